/* The search for bytes that should be gone: one pass over every file of the gallery, whatever the number of
 * needles.
 *
 * Every 8-byte word of a needle, at every offset, goes into a hash table; the files are probed at every
 * eighth byte. A run of 15 bytes of a needle, wherever it lies, contains a whole aligned word, so none is
 * missed; a bitmap before the table answers nearly all probes from the cache. At a word that is in the table
 * the match is extended to both sides. Words with fewer than three different bytes are no evidence and are
 * left out. Texts are looked for by themselves.
 *
 * The database is read through SQLite's own handle: a descriptor of ours, once closed, would drop the locks
 * that the process holds on the file.
 */
#include "gallery/scrub.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEEDLE_MAX = 4096, CHUNK = 1 << 20, WORD = 8, SAMPLE = 64, SAMPLE_EVERY = 2048, TEXT_MIN = 6 };
enum { FILTER_LOG2 = 20, SHM_REGION = 32768, SHM_REGIONS = 1024 };
#define NEEDLES_MAX ((size_t)1 << 20)
#define WORDS_MAX ((size_t)1 << 24)

typedef struct needle {
    uint8_t *data;
    size_t bytes;
    bool whole, dropped;
} needle;

typedef struct word {
    uint64_t value;
    uint32_t needle, offset;
    uint32_t next; /* 1 + index of the next with this hash; 0: none */
} word;

struct mien__scrub {
    needle *needles;
    size_t n, capacity;
    char **texts;
    size_t n_texts, texts_capacity;
    word *words;
    uint32_t *buckets; /* 1 + index into words; power of two of them */
    uint64_t *filter;
    size_t n_words;
    int buckets_log2;
};

mien__scrub *mien__scrub_new(void)
{
    return mien_alloc_zero(sizeof(mien__scrub));
}

void mien__scrub_free(mien__scrub *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        mien_free_secret(s->needles[i].data, s->needles[i].bytes);
    mien_free(s->needles);
    for (size_t i = 0; i < s->n_texts; i++)
        mien_free_secret(s->texts[i], strlen(s->texts[i]));
    mien_free(s->texts);
    mien_free_secret(s->words, s->n_words * sizeof *s->words);
    mien_free(s->buckets);
    mien_free(s->filter);
    mien_free(s);
}

/* ---- needles ---- */

static mien_status add(mien__scrub *s, const void *data, size_t bytes, bool whole, mien_error *err)
{
    if (bytes < MIEN__SCRUB_RUN)
        return MIEN_OK;
    if (s->n == s->capacity) {
        const size_t more = s->capacity ? 2 * s->capacity : 64;
        needle *const grown =
            more <= NEEDLES_MAX ? mien_grow_array(s->needles, s->n, more, sizeof *grown) : NULL;
        if (!grown)
            return mien__nomem(err, more * sizeof *grown);
        s->needles = grown;
        s->capacity = more;
    }
    uint8_t *const copy = mien_alloc(bytes);
    if (!copy)
        return mien__nomem(err, bytes);
    memcpy(copy, data, bytes);
    s->needles[s->n++] = (needle){ copy, bytes, whole, false };
    return MIEN_OK;
}

mien_status mien__scrub_add(mien__scrub *s, const void *data, size_t bytes, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (size_t at = 0; at < bytes && !st; at += NEEDLE_MAX)
        st =
            add(s, (const uint8_t *)data + at, bytes - at < NEEDLE_MAX ? bytes - at : NEEDLE_MAX, false, err);
    return st;
}

mien_status mien__scrub_add_whole(mien__scrub *s, const void *data, size_t bytes, mien_error *err)
{
    return add(s, data, bytes < NEEDLE_MAX ? bytes : NEEDLE_MAX, true, err);
}

static int distinct(const uint8_t *p, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int j = 0; j < i && !seen; j++)
            seen = p[j] == p[i];
        count += !seen;
    }
    return count;
}

/* Pictures have stretches that others have too: headers, tables, flat areas. The first sample of each stretch
 * that is as varied as compressed data stands for it; the first kilobyte is left out. */
mien_status mien__scrub_add_large(mien__scrub *s, const void *data, size_t bytes, mien_error *err)
{
    const uint8_t *const d = data;
    mien_status st = MIEN_OK;
    for (size_t at = bytes > 4096 ? 1024 : 0; at + SAMPLE <= bytes && !st; at += SAMPLE_EVERY)
        for (size_t i = at; i + SAMPLE <= bytes && i < at + SAMPLE_EVERY; i += SAMPLE)
            if (distinct(d + i, SAMPLE) >= SAMPLE / 2) {
                st = add(s, d + i, SAMPLE, true, err);
                break;
            }
    return st;
}

mien_status mien__scrub_add_text(mien__scrub *s, const char *text, mien_error *err)
{
    if (strlen(text) < TEXT_MIN)
        return MIEN_OK;
    if (s->n_texts == s->texts_capacity) {
        const size_t more = s->texts_capacity ? 2 * s->texts_capacity : 4;
        char **const grown = mien_grow_array(s->texts, s->n_texts, more, sizeof *grown);
        if (!grown)
            return mien__nomem(err, more * sizeof *grown);
        s->texts = grown;
        s->texts_capacity = more;
    }
    char *const copy = mien_strdup(text);
    if (!copy)
        return mien__nomem(err, strlen(text) + 1);
    s->texts[s->n_texts++] = copy;
    return MIEN_OK;
}

bool mien__scrub_texts_explained(mien_gallery *g, const mien__scrub *s)
{
    for (size_t i = 0; i < s->n_texts; i++) {
        int64_t still = 0;
        if (mien__sql_number(g, MIEN__SQL_STILL_TEXT, 0, &still, NULL, "b", s->texts[i],
                             strlen(s->texts[i])) != MIEN_OK ||
            !still)
            return false;
    }
    return true;
}

const void *mien__scrub_needle(const mien__scrub *s, size_t index, size_t *ret_bytes)
{
    *ret_bytes = s->needles[index].bytes;
    return s->needles[index].data;
}

void mien__scrub_drop(mien__scrub *s, size_t index)
{
    s->needles[index].dropped = true;
}

/* ---- the table ---- */

static uint64_t load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t hash_of(uint64_t v)
{
    return v * 0x9e3779b97f4a7c15u;
}

static void put_word(mien__scrub *s, uint32_t index, uint32_t offset)
{
    const uint8_t *const at = s->needles[index].data + offset;
    if (distinct(at, WORD) < 3)
        return;
    const uint64_t value = load(at), h = hash_of(value);
    const uint64_t bit = h >> (64 - FILTER_LOG2), bucket = h >> (64 - s->buckets_log2);
    s->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
    s->words[s->n_words] = (word){ value, index, offset, s->buckets[bucket] };
    s->buckets[bucket] = (uint32_t)++s->n_words;
}

static mien_status build(mien__scrub *s, mien_error *err)
{
    size_t total = 0;
    if (s->words)
        return MIEN_OK;
    for (size_t i = 0; i < s->n; i++)
        total += s->needles[i].bytes - WORD + 1;
    if (total > WORDS_MAX)
        return mien__fail(err, MIEN_E_LIMIT, "too much to search for at once");
    s->buckets_log2 = 10;
    while (((size_t)1 << s->buckets_log2) < total)
        s->buckets_log2++;
    s->words = mien_alloc_array(total ? total : 1, sizeof *s->words);
    s->buckets = mien_alloc_array_zero((size_t)1 << s->buckets_log2, sizeof *s->buckets);
    s->filter = mien_alloc_array_zero(((size_t)1 << FILTER_LOG2) / 64, sizeof *s->filter);
    if (!s->words || !s->buckets || !s->filter)
        return mien__nomem(err, total * sizeof *s->words);
    for (size_t i = 0; i < s->n; i++)
        for (size_t at = 0; at + WORD <= s->needles[i].bytes; at++)
            put_word(s, (uint32_t)i, (uint32_t)at);
    return MIEN_OK;
}

/* ---- matching ---- */

static bool matches(const needle *x, size_t offset, const uint8_t *buf, size_t at, size_t bytes)
{
    size_t left = 0, right = WORD;
    while (left < offset && left < at && buf[at - left - 1] == x->data[offset - left - 1])
        left++;
    while (offset + right < x->bytes && at + right < bytes && buf[at + right] == x->data[offset + right])
        right++;
    return x->whole ? left + right == x->bytes : left + right >= MIEN__SCRUB_RUN;
}

static bool search_words(const mien__scrub *s, const uint8_t *buf, size_t bytes, size_t *ret_needle)
{
    for (size_t at = 0; at + WORD <= bytes; at += WORD) {
        const uint64_t value = load(buf + at), h = hash_of(value), bit = h >> (64 - FILTER_LOG2);
        if (!(s->filter[bit / 64] >> (bit % 64) & 1))
            continue;
        for (uint32_t i = s->buckets[h >> (64 - s->buckets_log2)]; i; i = s->words[i - 1].next) {
            const word *const w = &s->words[i - 1];
            const needle *const x = &s->needles[w->needle];
            if (w->value == value && !x->dropped && matches(x, w->offset, buf, at, bytes)) {
                *ret_needle = w->needle;
                return true;
            }
        }
    }
    return false;
}

static void search(const mien__scrub *s, const uint8_t *buf, size_t bytes, mien__scrub_result *ret)
{
    ret->found = ret->found || search_words(s, buf, bytes, &ret->needle);
    for (size_t i = 0; i < s->n_texts && !ret->text; i++)
        ret->text = memmem(buf, bytes, s->texts[i], strlen(s->texts[i])) != NULL;
}

/* ---- files ---- */

/* Read `bytes` at `offset`; 0 on success. */
typedef int (*read_fn)(void *ctx, void *buf, size_t bytes, uint64_t offset);

static int read_sqlite(void *ctx, void *buf, size_t bytes, uint64_t offset)
{
    sqlite3_file *const f = ctx;
    const int rc = f->pMethods->xRead(f, buf, (int)bytes, (sqlite3_int64)offset);
    return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc; /* the rest is zeros */
}

static int read_fd(void *ctx, void *buf, size_t bytes, uint64_t offset)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t n =
            pread(*(const int *)ctx, (uint8_t *)buf + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    memset((uint8_t *)buf + done, 0, bytes - done);
    return 0;
}

/* Chunks overlap by a needle, so that one across their border is seen. */
static mien_status scan(const mien_gallery *g, const mien__scrub *s, uint8_t *buf, read_fn fn, void *ctx,
                        uint64_t size, mien__scrub_result *ret, mien_error *err)
{
    for (uint64_t at = 0; at < size; at += CHUNK - NEEDLE_MAX) {
        const size_t n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        if (fn(ctx, buf, n, at) != 0)
            return mien__fail(err, MIEN_E_IO, "cannot read %.160s to search it", g->shared->path);
        search(s, buf, n, ret);
        if (size - at <= CHUNK)
            break;
    }
    ret->bytes += size;
    return MIEN_OK;
}

static mien_status scan_database(mien_gallery *g, const mien__scrub *s, uint8_t *buf, mien__scrub_result *ret,
                                 mien_error *err)
{
    sqlite3_file *f = NULL;
    sqlite3_int64 size = 0;
    if (sqlite3_file_control(g->db, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || !f ||
        !f->pMethods || f->pMethods->xFileSize(f, &size) != SQLITE_OK || size < 0)
        return mien__fail(err, MIEN_E_IO, "cannot read %.160s to search it", g->shared->path);
    const mien_status st = scan(g, s, buf, read_sqlite, f, (uint64_t)size, ret, err);
    if (st || f->pMethods->iVersion < 2 || !f->pMethods->xShmMap)
        return st;
    for (int i = 0; i < SHM_REGIONS; i++) {
        void volatile *region = NULL;
        if (f->pMethods->xShmMap(f, i, SHM_REGION, 0, &region) != SQLITE_OK || !region)
            break;
        memcpy(buf, (const void *)(uintptr_t)region, SHM_REGION);
        search(s, buf, SHM_REGION, ret);
        ret->bytes += SHM_REGION;
    }
    return MIEN_OK;
}

static mien_status scan_beside(const mien_gallery *g, const mien__scrub *s, uint8_t *buf, const char *suffix,
                               mien__scrub_result *ret, mien_error *err)
{
    struct stat info;
    mien_status st = MIEN_OK;
    char *const path = sqlite3_mprintf("%s%s", g->shared->path, suffix);
    if (!path)
        return mien__nomem(err, strlen(g->shared->path));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        st = errno == ENOENT ? MIEN_OK : mien__fail(err, MIEN_E_IO, "cannot read %.160s to search it", path);
    } else {
        st = fstat(fd, &info) != 0 ? mien__fail(err, MIEN_E_IO, "cannot read %.160s to search it", path)
                                   : scan(g, s, buf, read_fd, &fd, (uint64_t)info.st_size, ret, err);
        close(fd);
    }
    sqlite3_free(path);
    return st;
}

mien_status mien__scrub_run(mien_gallery *g, mien__scrub *s, mien__scrub_result *ret, mien_error *err)
{
    static const char *const beside[] = { "-wal", "-journal", "-index" }; /* no locks are held on these */
    mien__scrub_result r = { 0 };
    mien_status st = build(s, err);
    uint8_t *const buf = st ? NULL : mien_alloc(CHUNK);
    if (!st && !buf)
        st = mien__nomem(err, CHUNK);
    if (!st)
        st = scan_database(g, s, buf, &r, err);
    for (size_t i = 0; i < MIEN_COUNTOF(beside) && !st; i++)
        st = scan_beside(g, s, buf, beside[i], &r, err);
    mien_free_secret(buf, CHUNK);
    if (!st)
        *ret = r;
    return st;
}
