/* Keys, sessions, remembered answers (see keys.h).
 *
 * A token reads mien_ID_SECRET: the row is found by its number, and BLAKE2b-256 of the whole token, which has
 * 256 random bits, is compared with the stored one in constant time; no slow hash is needed for what cannot
 * be guessed. An adopted token has no number and is found by its hash.
 *
 * Clocks jump. What lasts for a while (sessions, remembered answers, sets of pictures, results of jobs) is counted on a clock that
 * began with the wall clock when the program did and has only gone forward since: no jump ends a session, keeps one longer, or
 * forgets an answer whose request is repeated. A key's expiry is a date: it is over when either clock says so, so a wall clock that is put back revives
 * no key; one that runs ahead ends keys until it is put right.
 */
#include "keys.h"
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { HASH = 32, DAY_MS = 86400000 };

struct keys {
    sqlite3 *db;
    pthread_mutex_t lock;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
    "PRAGMA trusted_schema=OFF;"
    "CREATE TABLE IF NOT EXISTS key(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash BLOB NOT "
    "NULL UNIQUE,"
    " scopes INTEGER NOT NULL, collection TEXT NOT NULL, nearest INTEGER NOT NULL, created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE IF NOT EXISTS session(hash BLOB PRIMARY KEY, key INTEGER NOT NULL REFERENCES key(id) ON "
    "DELETE CASCADE,"
    " csrf TEXT NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS once(key INTEGER NOT NULL, name TEXT NOT NULL, what BLOB NOT NULL, status "
    "INTEGER NOT NULL,"
    " body TEXT, created INTEGER NOT NULL, PRIMARY KEY(key, name)) STRICT, WITHOUT ROWID;"
    /* what a run that was cut off left half done */
    "DELETE FROM once WHERE status = 0;";

int64_t keys_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A clock that no one sets; it counts the time that the machine slept too, where there is one that does. */
static int64_t unset_ms(void)
{
#ifdef CLOCK_BOOTTIME
    const clockid_t clock = CLOCK_BOOTTIME;
#else
    const clockid_t clock = CLOCK_MONOTONIC;
#endif
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t behind_wall_ms; /* of the clock that no one sets, when it was first asked */

static void note_wall(void)
{
    behind_wall_ms = keys_now_ms() - unset_ms();
}

int64_t keys_steady_ms(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, note_wall);
    return unset_ms() + behind_wall_ms;
}

static bool is_over(int64_t expires_ms)
{
    return expires_ms != 0 && (keys_now_ms() >= expires_ms || keys_steady_ms() >= expires_ms);
}

keys *keys_open(const char *path, char *fault, size_t capacity)
{
    char *text = NULL;
    keys *k = calloc(1, sizeof *k);
    snprintf(fault, capacity, "out of memory");
    if (!k || sodium_init() < 0) {
        free(k);
        return NULL;
    }
    pthread_mutex_init(&k->lock, NULL);
    (void)keys_steady_ms(); /* it begins now */
    const mode_t mask = umask(0077);
    int rc = sqlite3_open_v2(path, &k->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                             NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(k->db, 10000);
        rc = sqlite3_exec(k->db, schema, NULL, NULL, &text);
    }
    umask(mask);
    if (rc != SQLITE_OK) {
        snprintf(fault, capacity, "%.160s: %.80s", path, text ? text : sqlite3_errstr(rc));
        sqlite3_free(text);
        keys_close(k);
        return NULL;
    }
    return k;
}

void keys_close(keys *k)
{
    if (!k)
        return;
    sqlite3_close_v2(k->db);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* ---- statements: prepared for each use, always under the lock; types: i int64, s text, h hash ---- */

static sqlite3_stmt *prepare(keys *k, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    va_list args;
    if (sqlite3_prepare_v2(k->db, sql, -1, &st, NULL) != SQLITE_OK)
        return NULL;
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 'i')
            sqlite3_bind_int64(st, i + 1, va_arg(args, int64_t));
        else if (types[i] == 's')
            sqlite3_bind_text(st, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_blob(st, i + 1, va_arg(args, const uint8_t *), HASH, SQLITE_TRANSIENT);
    }
    va_end(args);
    return st;
}

static bool run(keys *k, sqlite3_stmt *st)
{
    const bool ok = st && sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    (void)k;
    return ok;
}

static void hash_of(const char *token, uint8_t ret[HASH])
{
    crypto_generichash(ret, HASH, (const unsigned char *)token, strlen(token), NULL, 0);
}

static void random_text(char *ret, size_t capacity)
{
    uint8_t secret[32];
    randombytes_buf(secret, sizeof secret);
    sodium_bin2base64(ret, capacity, secret, sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
}

static const char *text_at(sqlite3_stmt *st, int column)
{
    const char *s = (const char *)sqlite3_column_text(st, column);
    return s ? s : "";
}

#define KEY_COLUMNS "id, name, scopes, collection, nearest, created, expires, used"

static void read_key(sqlite3_stmt *st, key_info *ret)
{
    *ret = (key_info){ .id = sqlite3_column_int64(st, 0),
                       .scopes = (unsigned)sqlite3_column_int(st, 2),
                       .nearest = sqlite3_column_int(st, 4) != 0,
                       .created_ms = sqlite3_column_int64(st, 5),
                       .expires_ms = sqlite3_column_int64(st, 6),
                       .used_ms = sqlite3_column_int64(st, 7) };
    snprintf(ret->name, sizeof ret->name, "%s", text_at(st, 1));
    snprintf(ret->collection, sizeof ret->collection, "%s", text_at(st, 3));
}

/* ---- keys ---- */

static bool insert(keys *k, const key_info *what, const uint8_t hash[HASH], int64_t *ret_id)
{
    const bool ok = run(k, prepare(k,
                                   "INSERT INTO key(name, hash, scopes, collection, nearest, created, "
                                   "expires) VALUES(?,?,?,?,?,?,?)",
                                   "shisiii", what->name, hash, (int64_t)what->scopes, what->collection,
                                   (int64_t)what->nearest, keys_now_ms(), what->expires_ms));
    *ret_id = sqlite3_last_insert_rowid(k->db);
    return ok;
}

bool keys_make(keys *k, const key_info *what, char ret_token[KEY_TOKEN_BYTES], int64_t *ret_id)
{
    char secret[48];
    uint8_t hash[HASH];
    pthread_mutex_lock(&k->lock);
    bool ok = sqlite3_exec(k->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    if (ok) {
        /* the number is part of the token, so the row comes first, with a hash that nothing has */
        randombytes_buf(hash, sizeof hash);
        ok = insert(k, what, hash, ret_id);
        random_text(secret, sizeof secret);
        snprintf(ret_token, KEY_TOKEN_BYTES, "mien_%lld_%s", (long long)*ret_id, secret);
        hash_of(ret_token, hash);
        ok = ok && run(k, prepare(k, "UPDATE key SET hash = ? WHERE id = ?", "hi", hash, *ret_id));
        ok = sqlite3_exec(k->db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && ok;
    }
    pthread_mutex_unlock(&k->lock);
    sodium_memzero(secret, sizeof secret);
    return ok;
}

bool keys_adopt(keys *k, const key_info *what, const char *token, int64_t *ret_id)
{
    uint8_t hash[HASH];
    if (strlen(token) < 16 || strlen(token) >= KEY_TOKEN_BYTES || !strncmp(token, "mien_", 5))
        return false;
    hash_of(token, hash);
    pthread_mutex_lock(&k->lock);
    const bool ok = insert(k, what, hash, ret_id);
    pthread_mutex_unlock(&k->lock);
    return ok;
}

/* A time of use is worth a write once a minute. */
static void note_use(keys *k, const key_info *key, int64_t now)
{
    if (now - key->used_ms > 60000 || now < key->used_ms)
        run(k, prepare(k, "UPDATE key SET used = ? WHERE id = ?", "ii", now, key->id));
}

bool keys_check(keys *k, const char *token, key_info *ret)
{
    uint8_t hash[HASH];
    char *end = NULL;
    const size_t n = strlen(token);
    const bool ours = !strncmp(token, "mien_", 5);
    if (n < 16 || n >= KEY_TOKEN_BYTES)
        return false;
    hash_of(token, hash);
    const int64_t id = ours ? strtoll(token + 5, &end, 10) : 0;
    if (ours && (!end || *end != '_'))
        return false;
    pthread_mutex_lock(&k->lock);
    sqlite3_stmt *st = ours ? prepare(k, "SELECT " KEY_COLUMNS ", hash FROM key WHERE id = ?", "i", id)
                            : prepare(k, "SELECT " KEY_COLUMNS ", hash FROM key WHERE hash = ?", "h", hash);
    bool ok = st && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 8) == HASH &&
              !sodium_memcmp(sqlite3_column_blob(st, 8), hash, HASH);
    if (ok) {
        read_key(st, ret);
        ok = !is_over(ret->expires_ms);
    }
    sqlite3_finalize(st);
    if (ok)
        note_use(k, ret, keys_now_ms());
    pthread_mutex_unlock(&k->lock);
    return ok;
}

bool keys_hold(keys *k, int64_t id)
{
    pthread_mutex_lock(&k->lock);
    sqlite3_stmt *st = prepare(k, "SELECT expires FROM key WHERE id = ?", "i", id);
    const bool ok = st && sqlite3_step(st) == SQLITE_ROW && !is_over(sqlite3_column_int64(st, 0));
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return ok;
}

bool keys_revoke(keys *k, int64_t id)
{
    pthread_mutex_lock(&k->lock);
    const bool ok =
        run(k, prepare(k, "DELETE FROM key WHERE id = ?", "i", id)) && sqlite3_changes(k->db) == 1;
    pthread_mutex_unlock(&k->lock);
    return ok;
}

size_t keys_count(keys *k, unsigned scopes)
{
    pthread_mutex_lock(&k->lock);
    sqlite3_stmt *st = prepare(k, "SELECT count(*) FROM key WHERE (scopes & ?1) = ?1", "i", (int64_t)scopes);
    const size_t n = st && sqlite3_step(st) == SQLITE_ROW ? (size_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return n;
}

bool keys_each(keys *k, key_fn fn, void *ctx)
{
    pthread_mutex_lock(&k->lock);
    sqlite3_stmt *st = prepare(k, "SELECT " KEY_COLUMNS " FROM key ORDER BY id", "");
    int rc = SQLITE_ERROR;
    while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        key_info key;
        read_key(st, &key);
        fn(ctx, &key);
    }
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return rc == SQLITE_DONE;
}

/* ---- sessions ---- */

bool session_make(keys *k, int64_t key, int64_t ms, char ret_token[KEY_TOKEN_BYTES], char ret_csrf[44])
{
    uint8_t hash[HASH];
    const int64_t now = keys_steady_ms();
    random_text(ret_token, KEY_TOKEN_BYTES);
    random_text(ret_csrf, 44);
    hash_of(ret_token, hash);
    pthread_mutex_lock(&k->lock);
    run(k, prepare(k, "DELETE FROM session WHERE expires < ?", "i", now));
    const bool ok = run(k, prepare(k, "INSERT INTO session(hash, key, csrf, expires) VALUES(?,?,?,?)", "hisi",
                                   hash, key, ret_csrf, now + ms));
    pthread_mutex_unlock(&k->lock);
    return ok;
}

bool session_check(keys *k, const char *token, key_info *ret)
{
    uint8_t hash[HASH];
    const int64_t now = keys_steady_ms();
    hash_of(token, hash);
    pthread_mutex_lock(&k->lock);
    sqlite3_stmt *st =
        prepare(k,
                "SELECT k.id, name, scopes, collection, nearest, created, k.expires, used, csrf "
                "FROM session s JOIN key k ON k.id = s.key WHERE s.hash = ? AND s.expires > ?",
                "hi", hash, now);
    bool ok = st && sqlite3_step(st) == SQLITE_ROW;
    if (ok) {
        read_key(st, ret);
        snprintf(ret->csrf, sizeof ret->csrf, "%s", text_at(st, 8));
        ok = !is_over(ret->expires_ms);
    }
    sqlite3_finalize(st);
    pthread_mutex_unlock(&k->lock);
    return ok;
}

bool session_end(keys *k, const char *token)
{
    uint8_t hash[HASH];
    hash_of(token, hash);
    pthread_mutex_lock(&k->lock);
    const bool ok = run(k, prepare(k, "DELETE FROM session WHERE hash = ?", "h", hash));
    pthread_mutex_unlock(&k->lock);
    return ok;
}

/* ---- repeated writes ---- */

once_state once_begin(keys *k, int64_t key, const char *name, const uint8_t what[32], int *ret_status,
                      char **ret_body)
{
    once_state state = ONCE_FAULT;
    const int64_t now = keys_steady_ms();
    pthread_mutex_lock(&k->lock);
    run(k, prepare(k, "DELETE FROM once WHERE created < ?", "i", now - DAY_MS));
    const bool made =
        run(k, prepare(k, "INSERT OR IGNORE INTO once(key, name, what, status, created) VALUES(?,?,?,0,?)",
                       "ishi", key, name, what, now));
    if (made && sqlite3_changes(k->db) == 1) {
        state = ONCE_NEW;
    } else if (made) {
        sqlite3_stmt *st =
            prepare(k, "SELECT what, status, body FROM once WHERE key = ? AND name = ?", "is", key, name);
        if (st && sqlite3_step(st) == SQLITE_ROW) {
            *ret_status = sqlite3_column_int(st, 1);
            if (sqlite3_column_bytes(st, 0) != HASH || memcmp(sqlite3_column_blob(st, 0), what, HASH) != 0)
                state = ONCE_OTHER;
            else if (*ret_status == 0)
                state = ONCE_RUNNING;
            else if ((*ret_body = strdup(text_at(st, 2))))
                state = ONCE_DONE;
        }
        sqlite3_finalize(st);
    }
    pthread_mutex_unlock(&k->lock);
    return state;
}

void once_end(keys *k, int64_t key, const char *name, int status, const char *body, size_t bytes)
{
    pthread_mutex_lock(&k->lock);
    if (status) {
        sqlite3_stmt *st = prepare(k, "UPDATE once SET status = ?1, body = ?4 WHERE key = ?2 AND name = ?3",
                                   "iis", (int64_t)status, key, name);
        if (st)
            sqlite3_bind_text(st, 4, body ? body : "", body ? (int)bytes : 0, SQLITE_TRANSIENT);
        run(k, st);
    } else {
        run(k, prepare(k, "DELETE FROM once WHERE key = ? AND name = ?", "is", key, name));
    }
    pthread_mutex_unlock(&k->lock);
}

/* ---- scopes ---- */

static const struct {
    const char *word;
    unsigned bit;
} scope_words[] = {
    { "read", KEY_READ }, { "recognise", KEY_RECOGNISE }, { "enrol", KEY_ENROL }, { "admin", KEY_ADMIN }
};

bool key_is_root(const key_info *key)
{
    return (key->scopes & KEY_ADMIN) && !key->collection[0];
}

bool key_allows(const key_info *key, unsigned scope, const char *collection)
{
    const bool scoped = (key->scopes & KEY_ADMIN) || (key->scopes & scope) == scope;
    return scoped && (!key->collection[0] || (collection && !strcmp(key->collection, collection)));
}

unsigned key_scopes_of(const char *words)
{
    unsigned bits = 0;
    for (const char *s = words; *s;) {
        const size_t n = strcspn(s, ",");
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof scope_words / sizeof *scope_words; i++)
            if (strlen(scope_words[i].word) == n && !strncmp(s, scope_words[i].word, n))
                bit = scope_words[i].bit;
        if (!bit)
            return 0;
        bits |= bit;
        s += n + (s[n] == ',');
    }
    return bits;
}

void key_scopes_text(unsigned scopes, char *ret, size_t capacity)
{
    size_t n = 0;
    ret[0] = 0;
    for (size_t i = 0; i < sizeof scope_words / sizeof *scope_words && n < capacity; i++)
        if (scopes & scope_words[i].bit)
            n += (size_t)snprintf(ret + n, capacity - n, "%s%s", n ? "," : "", scope_words[i].word);
}
