/* The audit chain: hash = BLAKE2b-256 keyed with the gallery's audit key over the hash before, number, time,
 * action, subject, actor and detail, each text with its length before it.
 *
 * So any change, removal or reordering of entries shows, up to the newest: that is held by a keyed tag over
 * the state row (counters and head). What it cannot show is a file put back whole as it was earlier, or,
 * where the gallery is not encrypted, a chain written anew by somebody who has the file and so the key;
 * `head` in the gallery's info can be noted elsewhere for that. Actor and detail are sealed in an encrypted
 * gallery; actions and times are not.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <string.h>

enum { ACTION_MAX = 64, DETAIL_MAX = 4096 };

static void put_u64(crypto_generichash_state *h, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    crypto_generichash_update(h, b, sizeof b);
}

static void put_bytes(crypto_generichash_state *h, const void *data, size_t bytes)
{
    put_u64(h, bytes);
    crypto_generichash_update(h, data, bytes);
}

void mien__audit_tag(const mien_gallery *g, const mien__state *state, uint8_t ret[MIEN__DIGEST_BYTES])
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, g->shared->keys->audit, MIEN__KEY_BYTES, MIEN__DIGEST_BYTES);
    put_bytes(&h, "state", 5);
    put_bytes(&h, g->shared->id, MIEN__ID_BYTES);
    const int64_t numbers[] = { state->sequence, state->changed_ms, state->n_people,
                                state->n_faces,  state->n_images,   state->audit_entries };
    for (size_t i = 0; i < MIEN_COUNTOF(numbers); i++)
        put_u64(&h, (uint64_t)numbers[i]);
    put_bytes(&h, state->audit_head, MIEN__DIGEST_BYTES);
    crypto_generichash_final(&h, ret, MIEN__DIGEST_BYTES);
    sodium_memzero(&h, sizeof h);
}

/* One entry as it is hashed. body: actor, NUL, detail. */
typedef struct entry {
    int64_t number, time_ms;
    const char *action;
    const void *subject;
    size_t subject_bytes;
    const char *body;
    size_t body_bytes;
} entry;

static void hash_entry(const mien_gallery *g, const uint8_t before[MIEN__DIGEST_BYTES], const entry *e,
                       uint8_t ret[MIEN__DIGEST_BYTES])
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, g->shared->keys->audit, MIEN__KEY_BYTES, MIEN__DIGEST_BYTES);
    put_bytes(&h, before, MIEN__DIGEST_BYTES);
    put_u64(&h, (uint64_t)e->number);
    put_u64(&h, (uint64_t)e->time_ms);
    put_bytes(&h, e->action, strlen(e->action));
    put_bytes(&h, e->subject, e->subject_bytes);
    put_bytes(&h, e->body, e->body_bytes);
    crypto_generichash_final(&h, ret, MIEN__DIGEST_BYTES);
    sodium_memzero(&h, sizeof h);
}

mien_status mien__audit_append(mien_gallery *g, const char *action, int64_t person, const char *detail,
                               mien_error *err)
{
    uint8_t subject[MIEN__DIGEST_BYTES], hash[MIEN__DIGEST_BYTES];
    mien__state *const state = &g->state;
    const char *const actor = g->actor;
    mien__buf body, sealed;
    mien__buf_init(&body, MIEN__BLOB_MAX);
    mien__buf_init(&sealed, MIEN__BLOB_MAX);
    mien_assert(g->in_write);
    if (person)
        mien__subject(g, person, subject);
    mien_status st = mien__buf_append(&body, actor, strlen(actor) + 1, err);
    if (!st)
        st = mien__buf_append(&body, detail, strlen(detail), err);
    const entry e = { state->audit_entries + 1,    mien__clock_ms(),        action,   subject,
                      person ? sizeof subject : 0, (const char *)body.data, body.size };
    if (!st)
        st = mien__seal(g, g->shared->keys->meta, (mien__place){ MIEN__KIND_AUDIT, 0, e.number }, e.body,
                        e.body_bytes, &sealed, err);
    if (st)
        goto done;
    hash_entry(g, state->audit_head, &e, hash);
    st = mien__sql_run(g, MIEN__SQL_AUDIT_ADD, err, "iitbbb", e.number, e.time_ms, e.action, e.subject,
                       e.subject_bytes, sealed.data, sealed.size, hash, sizeof hash);
    if (st)
        goto done;
    state->audit_entries = e.number;
    memcpy(state->audit_head, hash, sizeof hash);
done:
    mien__buf_free(&body);
    mien__buf_free(&sealed);
    return st;
}

/* ---- reading ---- */

typedef struct stored {
    entry e;
    char *body, action[ACTION_MAX + 1];
    uint8_t subject[MIEN__DIGEST_BYTES], hash[MIEN__DIGEST_BYTES];
} stored;

static void stored_free(stored *s)
{
    mien_free_secret(s->body, s->e.body_bytes + 1);
    s->body = NULL;
}

static mien_status read_entry(mien_gallery *g, sqlite3_stmt *row, stored *ret, mien_error *err)
{
    stored s = { .e.number = sqlite3_column_int64(row, 0), .e.time_ms = sqlite3_column_int64(row, 1) };
    const char *const action = (const char *)sqlite3_column_text(row, 2);
    s.e.subject_bytes = (size_t)sqlite3_column_bytes(row, 3);
    if (!action || strlen(action) > ACTION_MAX ||
        (s.e.subject_bytes != 0 && s.e.subject_bytes != sizeof s.subject) ||
        sqlite3_column_bytes(row, 5) != MIEN__DIGEST_BYTES)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "entry %lld of the audit chain is damaged",
                          (long long)s.e.number);
    memcpy(s.action, action, strlen(action) + 1);
    if (s.e.subject_bytes)
        memcpy(s.subject, sqlite3_column_blob(row, 3), sizeof s.subject);
    memcpy(s.hash, sqlite3_column_blob(row, 5), sizeof s.hash);
    const mien_status st = mien__unseal(
        g, g->shared->keys->meta, (mien__place){ MIEN__KIND_AUDIT, 0, s.e.number },
        sqlite3_column_blob(row, 4), (size_t)sqlite3_column_bytes(row, 4), &s.body, &s.e.body_bytes, err);
    if (!st)
        *ret = s;
    return st;
}

/* The pointers of an entry, once it lies where it stays. */
static void settle(stored *s)
{
    s->e.action = s->action;
    s->e.subject = s->subject;
    s->e.body = s->body;
}

static int report(const stored *s, mien_audit_fn fn, void *user)
{
    char subject[2 * MIEN__DIGEST_BYTES + 1] = "", hash[2 * MIEN__DIGEST_BYTES + 1];
    if (s->e.subject_bytes)
        sodium_bin2hex(subject, sizeof subject, s->subject, sizeof s->subject);
    sodium_bin2hex(hash, sizeof hash, s->hash, sizeof s->hash);
    const size_t actor = strlen(s->body);
    const mien_audit_entry out = { (uint64_t)s->e.number,
                                   s->e.time_ms,
                                   s->body,
                                   s->action,
                                   subject,
                                   actor < s->e.body_bytes ? s->body + actor + 1 : "",
                                   hash };
    return fn(user, &out);
}

enum { BATCH = 64 };

/* Read up to BATCH entries after `after`, so that no statement is open while callers run. */
static mien_status read_batch(mien_gallery *g, int64_t after, stored *batch, size_t limit, size_t *ret_n,
                              mien_error *err)
{
    sqlite3_stmt *s = NULL;
    size_t n = 0;
    bool row = true;
    mien_status st = mien__sql_open(g, MIEN__SQL_AUDIT_AFTER, &s, err, "i", after);
    while (!st && n < limit && !(st = mien__sql_row(g, s, &row, err)) && row)
        if (!(st = mien__sql_ascending(g, after, sqlite3_column_int64(s, 0), err)) &&
            !(st = read_entry(g, s, &batch[n], err))) {
            after = batch[n].e.number;
            settle(&batch[n++]);
        }
    mien__sql_end(g, s);
    if (st)
        for (size_t i = 0; i < n; i++)
            stored_free(&batch[i]);
    *ret_n = st ? 0 : n;
    return st;
}

mien_status mien_gallery_audit(mien_gallery *gallery, uint64_t after, size_t limit, mien_audit_fn fn,
                               void *user, mien_error *err)
{
    if (!gallery || !fn)
        return mien__fail(err, MIEN_E_ARG, "gallery or callback is NULL");
    stored *const batch = mien_alloc_array(BATCH, sizeof *batch);
    if (!batch)
        return mien__nomem(err, BATCH * sizeof *batch);
    mien_status st = MIEN_OK;
    size_t done = 0, n = BATCH;
    int64_t last = after > INT64_MAX ? INT64_MAX : (int64_t)after;
    bool stop = false;
    while (!st && !stop && n == BATCH && (limit == 0 || done < limit)) {
        const size_t want = limit && limit - done < BATCH ? limit - done : BATCH;
        if ((st = read_batch(gallery, last, batch, want, &n, err)))
            break;
        for (size_t i = 0; i < n; i++) {
            stop = stop || report(&batch[i], fn, user) != 0;
            last = batch[i].e.number;
            stored_free(&batch[i]);
        }
        done += n;
    }
    mien_free(batch);
    return st;
}

mien_status mien_gallery_audit_add(mien_gallery *gallery, const char *action, int64_t person,
                                   const char *detail, mien_error *err)
{
    if (!gallery || !action || !action[0] || person < 0)
        return mien__fail(err, MIEN_E_ARG, "gallery or action is missing");
    mien_status st = mien__text_check("action", action, ACTION_MAX, err);
    if (st || (st = mien__text_check("detail", detail ? detail : "", DETAIL_MAX, err)) ||
        (st = mien__write_begin(gallery, err)))
        return st;
    return mien__write_end(gallery, mien__audit_append(gallery, action, person, detail ? detail : "{}", err),
                           err);
}

/* ---- verifying ---- */

static mien_status chain_fault(mien_status *first, mien_fault_fn fn, void *user, mien_error *err,
                               const char *text, int64_t number)
{
    mien_error fault = MIEN_ERROR_INIT;
    (void)mien__fail(&fault, MIEN_E_GALLERY_CORRUPT, "audit chain: %s (entry %lld)", text, (long long)number);
    if (fn)
        fn(user, fault.message);
    if (!*first && err)
        *err = fault;
    *first = MIEN_E_GALLERY_CORRUPT;
    return *first;
}

mien_status mien__audit_verify(mien_gallery *g, mien_fault_fn fn, void *user, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    uint8_t head[MIEN__DIGEST_BYTES] = { 0 }, hash[MIEN__DIGEST_BYTES];
    int64_t number = 0;
    mien_status first = MIEN_OK;
    mien_status st = mien__sql_open(g, MIEN__SQL_AUDIT_AFTER, &s, err, "i", INT64_MIN);
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row) {
        stored e;
        mien_error damage = MIEN_ERROR_INIT;
        if ((st = mien__sql_ascending(g, number, sqlite3_column_int64(s, 0), err)))
            break;
        number++;
        const mien_status read = read_entry(g, s, &e, &damage);
        if (read == MIEN_E_NOMEM) {
            st = mien__nomem(err, MIEN__SEAL_BYTES);
            break;
        }
        if (read) {
            chain_fault(&first, fn, user, err, damage.message, number);
            continue;
        }
        settle(&e);
        if (e.e.number != number) {
            chain_fault(&first, fn, user, err, "entries are missing before this one", e.e.number);
            number = e.e.number;
        }
        hash_entry(g, head, &e.e, hash);
        if (memcmp(hash, e.hash, sizeof hash) != 0)
            chain_fault(&first, fn, user, err, "an entry was changed, or one before it", number);
        memcpy(head, e.hash, sizeof head); /* so that one change is one fault */
        stored_free(&e);
    }
    mien__sql_end(g, s);
    if (!st && (number != g->state.audit_entries || memcmp(head, g->state.audit_head, sizeof head) != 0))
        chain_fault(&first, fn, user, err, "the newest entries are missing", number);
    return st ? st : first;
}
