/* People as rows: name, note and consent are sealed under the person's own key, which is wrapped under the
 * gallery's; deleting the wrapped key makes everything else of the person unreadable.
 */
#include "gallery/gallery.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

/* columns of MIEN__PERSON_COLUMNS */
enum {
    C_ID,
    C_KEY,
    C_NAME,
    C_NOTE,
    C_CONSENT,
    C_GIVEN,
    C_EXPIRES,
    C_CREATED,
    C_CHANGED,
    C_SEEN,
    C_FACES,
    C_IMAGES,
    C_STAMP
};

/* ---- checks of what callers give ---- */

mien_status mien__text_check(const char *what, const char *text, size_t limit, mien_error *err)
{
    if (strlen(text) > limit)
        return mien__fail(err, MIEN_E_LIMIT, "a %s has at most %zu bytes, this one has %zu", what, limit,
                          strlen(text));
    if (!mien__utf8_ok(text))
        return mien__fail(err, MIEN_E_ARG, "the %s is not valid UTF-8", what);
    return MIEN_OK;
}

mien_status mien__name_check(const char *name, mien_error *err)
{
    if (!name || !name[0])
        return mien__fail(err, MIEN_E_ARG, "a person needs a name");
    return mien__text_check("name", name, MIEN__NAME_MAX, err);
}

mien_status mien__consent_check(const mien_consent *consent, mien_error *err)
{
    if (!consent)
        return MIEN_OK;
    if (consent->given_ms < 0 || consent->expires_ms < 0)
        return mien__fail(err, MIEN_E_ARG, "a time before 1970 in a consent");
    mien_status st =
        mien__text_check("purpose", consent->purpose ? consent->purpose : "", MIEN__CONSENT_MAX, err);
    return st ? st
              : mien__text_check("legal basis", consent->basis ? consent->basis : "", MIEN__CONSENT_MAX, err);
}

/* ---- keys of people ---- */

mien_status mien__unwrap_person(const mien_gallery *g, int64_t person, const void *blob, size_t bytes,
                                uint8_t ret[MIEN__KEY_BYTES], mien_error *err)
{
    if (!g->shared->encrypted) {
        memset(ret, 0, MIEN__KEY_BYTES);
        return MIEN_OK;
    }
    return mien__unseal_into(g, g->shared->keys->people, (mien__place){ MIEN__KIND_PERSON_KEY, person, 0 },
                             blob, bytes, ret, MIEN__KEY_BYTES, err);
}

static mien_status no_person(const mien_gallery *g, int64_t person, mien_error *err)
{
    return mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no person %lld", g->shared->path, (long long)person);
}

mien_status mien__person_key(mien_gallery *g, int64_t person, uint8_t ret[MIEN__KEY_BYTES], mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien_status st = mien__sql_open(g, MIEN__SQL_PERSON_KEY, &s, err, "i", person);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && !row)
        st = no_person(g, person, err);
    if (!st)
        st = mien__unwrap_person(g, person, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0),
                                 ret, err);
    mien__sql_end(g, s);
    return st;
}

/* ---- reading ---- */

void mien__record_free(mien__record *r)
{
    mien_free_secret(r->name, r->name_bytes + 1);
    mien_free_secret(r->note, r->note_bytes + 1);
    mien_free_secret(r->consent, r->consent_bytes + 1);
    sodium_memzero(r, sizeof *r);
}

static mien_status read_text(const mien_gallery *g, sqlite3_stmt *row, int column, mien__kind kind,
                             const mien__record *r, char **ret, size_t *ret_bytes, mien_error *err)
{
    const void *const blob = sqlite3_column_blob(row, column);
    return mien__unseal(g, r->key, (mien__place){ kind, r->person.id, 0 }, blob,
                        (size_t)sqlite3_column_bytes(row, column), ret, ret_bytes, err);
}

/* Purpose, NUL, basis; nothing at all for no consent. */
static void split_consent(mien__record *r)
{
    const size_t purpose = strlen(r->consent);
    r->person.consent.purpose = r->consent;
    r->person.consent.basis = purpose < r->consent_bytes ? r->consent + purpose + 1 : "";
}

mien_status mien__record_read(mien_gallery *g, sqlite3_stmt *row, int64_t now_ms, mien__record *ret,
                              mien_error *err)
{
    mien__record r = { 0 };
    mien_person *const p = &r.person;
    p->id = sqlite3_column_int64(row, C_ID);
    mien_status st = mien__unwrap_person(g, p->id, sqlite3_column_blob(row, C_KEY),
                                         (size_t)sqlite3_column_bytes(row, C_KEY), r.key, err);
    if (st || (st = read_text(g, row, C_NAME, MIEN__KIND_NAME, &r, &r.name, &r.name_bytes, err)) ||
        (st = read_text(g, row, C_NOTE, MIEN__KIND_NOTE, &r, &r.note, &r.note_bytes, err)) ||
        (st = read_text(g, row, C_CONSENT, MIEN__KIND_CONSENT, &r, &r.consent, &r.consent_bytes, err))) {
        mien__record_free(&r);
        return st;
    }
    p->name = r.name;
    p->note = r.note;
    split_consent(&r);
    p->consent.given_ms = sqlite3_column_int64(row, C_GIVEN);
    p->consent.expires_ms = sqlite3_column_int64(row, C_EXPIRES);
    p->expired = p->consent.expires_ms > 0 && p->consent.expires_ms <= now_ms;
    p->created_ms = sqlite3_column_int64(row, C_CREATED);
    p->changed_ms = sqlite3_column_int64(row, C_CHANGED);
    p->seen_ms = sqlite3_column_int64(row, C_SEEN);
    p->n_faces = (size_t)sqlite3_column_int64(row, C_FACES);
    p->n_images = (size_t)sqlite3_column_int64(row, C_IMAGES);
    r.stamp = sqlite3_column_int64(row, C_STAMP);
    *ret = r;
    return MIEN_OK;
}

mien_status mien__record_load(mien_gallery *g, int64_t person, mien__record *ret, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien_status st = mien__sql_open(g, MIEN__SQL_PERSON_GET, &s, err, "i", person);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st)
        st = row ? mien__record_read(g, s, mien__clock_ms(), ret, err) : no_person(g, person, err);
    mien__sql_end(g, s);
    return st;
}

mien_status mien__name_find(mien_gallery *g, const char *name, int64_t *ret, mien_error *err)
{
    uint8_t lookup[MIEN__LOOKUP_BYTES];
    mien__lookup(g, MIEN__KIND_NAME, name, strlen(name), lookup);
    return mien__sql_number(g, MIEN__SQL_PERSON_FIND, 0, ret, err, "b", lookup, sizeof lookup);
}

/* ---- writing ---- */

mien_status mien__name_set(mien_gallery *g, int64_t person, const uint8_t *key, const char *name,
                           mien_error *err)
{
    uint8_t lookup[MIEN__LOOKUP_BYTES];
    mien__buf b;
    int64_t other = 0;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st = mien__name_find(g, name, &other, err);
    if (!st && other != 0 && other != person)
        st =
            mien__fail(err, MIEN_E_EXISTS,
                       "another person of the gallery has that name already (person %lld)", (long long)other);
    if (!st)
        st = mien__seal(g, key, (mien__place){ MIEN__KIND_NAME, person, 0 }, name, strlen(name), &b, err);
    mien__lookup(g, MIEN__KIND_NAME, name, strlen(name), lookup);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_PERSON_NAME, err, "ibb", person, lookup, sizeof lookup, b.data,
                           b.size);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien__note_set(mien_gallery *g, int64_t person, const uint8_t *key, const char *note,
                           mien_error *err)
{
    mien__buf b;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st =
        mien__seal(g, key, (mien__place){ MIEN__KIND_NOTE, person, 0 }, note, strlen(note), &b, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_PERSON_NOTE, err, "ib", person, b.data ? (const void *)b.data : "",
                           b.size);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien__consent_set(mien_gallery *g, int64_t person, const uint8_t *key,
                              const mien_consent *consent, mien_error *err)
{
    const char *const purpose = consent && consent->purpose ? consent->purpose : "";
    const char *const basis = consent && consent->basis ? consent->basis : "";
    mien__buf text, b;
    mien__buf_init(&text, MIEN__BLOB_MAX);
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st = mien__buf_append(&text, purpose, strlen(purpose) + 1, err);
    if (!st)
        st = mien__buf_append(&text, basis, strlen(basis), err);
    if (!st)
        st =
            mien__seal(g, key, (mien__place){ MIEN__KIND_CONSENT, person, 0 }, text.data, text.size, &b, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_PERSON_CONSENT, err, "ibii", person, b.data, b.size,
                           consent ? consent->given_ms : (int64_t)0,
                           consent ? consent->expires_ms : (int64_t)0);
    mien__buf_wipe(&b);
    mien__buf_wipe(&text);
    return st;
}

mien_status mien__person_add(mien_gallery *g, const mien__new_person *p, int64_t *ret_id,
                             uint8_t ret_key[MIEN__KEY_BYTES], mien_error *err)
{
    uint8_t key[MIEN__KEY_BYTES] = { 0 }, wrapped[MIEN__WRAPPED_BYTES], lookup[MIEN__LOOKUP_BYTES];
    const bool encrypted = g->shared->encrypted;
    int64_t id = p->id;
    mien_status st = id ? MIEN_OK : mien__sql_number(g, MIEN__SQL_PERSON_NEXT, 1, &id, err, "");
    if (st)
        return st;
    if (encrypted) {
        randombytes_buf(key, sizeof key);
        mien__aead_seal(g->shared->id, g->shared->keys->people, (mien__place){ MIEN__KIND_PERSON_KEY, id, 0 },
                        key, sizeof key, wrapped);
    }
    randombytes_buf(lookup, sizeof lookup); /* until the name is set below */
    st = mien__sql_run(g, MIEN__SQL_PERSON_ADD, err, "ibbi", id, encrypted ? wrapped : NULL, sizeof wrapped,
                       lookup, sizeof lookup, p->now_ms);
    if (st || (st = mien__name_set(g, id, key, p->name, err)) ||
        (st = mien__note_set(g, id, key, p->note ? p->note : "", err)) ||
        (st = mien__consent_set(g, id, key, p->consent, err)))
        goto done;
    g->state.n_people++;
    *ret_id = id;
    memcpy(ret_key, key, sizeof key);
done:
    sodium_memzero(key, sizeof key);
    return st;
}

/* ---- templates ---- */

mien_status mien__vec_check(const float *vec, int dim, mien_error *err)
{
    double norm = 0.0;
    if (!vec)
        return mien__fail(err, MIEN_E_ARG, "no template was given");
    for (int i = 0; i < dim; i++)
        norm += (double)vec[i] * (double)vec[i];
    if (!(fabs(sqrt(norm) - 1.0) <= 1e-3)) /* also when a number is not finite */
        return mien__fail(err, MIEN_E_ARG, "the template's norm is %.4g instead of 1", sqrt(norm));
    return MIEN_OK;
}

void mien__halves_of(const float *vec, int dim, uint16_t *ret)
{
    for (int i = 0; i < dim; i++)
        ret[i] = mien__float_to_half(vec[i]);
}

void mien__vec_of(const uint16_t *halves, int dim, float *ret)
{
    double norm = 0.0;
    mien__halves_to_floats(halves, (size_t)dim, ret);
    for (int i = 0; i < dim; i++)
        norm += (double)ret[i] * (double)ret[i];
    const double scale = norm > 0.0 ? 1.0 / sqrt(norm) : 0.0;
    for (int i = 0; i < dim; i++)
        ret[i] = (float)(ret[i] * scale);
}

mien_status mien__template_load(mien_gallery *g, int64_t person, float *ret, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    const int dim = g->shared->dim;
    uint8_t key[MIEN__KEY_BYTES];
    uint16_t halves[MIEN__DIM_MAX];
    mien_status st = mien__sql_open(g, MIEN__SQL_TEMPLATE_GET, &s, err, "i", person);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no template of person %lld", g->shared->path,
                        (long long)person);
    if (!st)
        st = mien__unwrap_person(g, person, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0),
                                 key, err);
    if (!st)
        st = mien__unseal_into(g, key, (mien__place){ MIEN__KIND_TEMPLATE, person, 0 },
                               sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), halves,
                               (size_t)dim * sizeof *halves, err);
    if (!st)
        mien__vec_of(halves, dim, ret);
    mien__sql_end(g, s);
    sodium_memzero(key, sizeof key);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    return st;
}
