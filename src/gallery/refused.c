/* The do-not-enrol list: people who asked to be removed and not to come back.
 *
 * An entry holds a keyed digest of the name and, if the person had a template, a coarse form of it: the signs
 * of 512 random projections (Charikar 2002; the directions drawn by ChaCha20 from the gallery's rotation
 * key). Two templates at angle a differ in a share a / pi of the signs, so the share tells the cosine to
 * within some 0.06; without the key the signs tell nothing of the directions. With the key they are still
 * biometric data of that person, kept in order to refuse it: docs/privacy.md says so to those who decide
 * about it. Sealed in an encrypted gallery.
 */
#include "gallery/gallery.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

enum { CODE_BITS = 512, CODE_BYTES = CODE_BITS / 8 };

/* One row of signs after the other: bit i of row j says whether dimension i is added or taken away. */
static mien_status code_of(const mien_gallery *g, const float *vec, uint8_t ret[CODE_BYTES], mien_error *err)
{
    const size_t dim = (size_t)g->shared->dim, row_bytes = (dim + 7) / 8;
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t *const signs = mien_alloc(row_bytes * CODE_BITS);
    if (!signs)
        return mien__nomem(err, row_bytes * CODE_BITS);
    crypto_stream_chacha20(signs, row_bytes * CODE_BITS, nonce, g->shared->keys->rotation);
    memset(ret, 0, CODE_BYTES);
    for (size_t j = 0; j < CODE_BITS; j++) {
        const uint8_t *const row = signs + j * row_bytes;
        double sum = 0.0;
        for (size_t i = 0; i < dim; i++)
            sum += row[i / 8] >> (i % 8) & 1 ? (double)vec[i] : -(double)vec[i];
        ret[j / 8] |= (uint8_t)((sum > 0.0) << (j % 8));
    }
    mien_free_secret(signs, row_bytes * CODE_BITS);
    return MIEN_OK;
}

static double cosine_of(const uint8_t a[CODE_BYTES], const uint8_t b[CODE_BYTES])
{
    int differ = 0;
    for (int i = 0; i < CODE_BYTES; i++)
        for (unsigned x = (unsigned)(a[i] ^ b[i]); x; x &= x - 1)
            differ++;
    return cos(3.14159265358979323846 * differ / CODE_BITS);
}

static mien_status like_a_code(mien_gallery *g, const float *vec, bool *ret, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true, coded = false;
    uint8_t code[CODE_BYTES], stored[CODE_BYTES];
    mien_status st = mien__sql_open(g, MIEN__SQL_REFUSED_CODES, &s, err, "");
    while (!st && !*ret && !(st = mien__sql_row(g, s, &row, err)) && row) {
        const mien__place place = { MIEN__KIND_REFUSED, 0, sqlite3_column_int64(s, 0) };
        if (!coded && (st = code_of(g, vec, code, err)))
            break;
        coded = true;
        st = mien__unseal_into(g, g->shared->keys->meta, place, sqlite3_column_blob(s, 1),
                               (size_t)sqlite3_column_bytes(s, 1), stored, sizeof stored, err);
        if (!st && cosine_of(code, stored) >= g->shared->same_threshold)
            *ret = true;
    }
    mien__sql_end(g, s);
    sodium_memzero(code, sizeof code);
    sodium_memzero(stored, sizeof stored);
    return st;
}

mien_status mien__refused(mien_gallery *g, const char *name, const float *vec, bool *ret, mien_error *err)
{
    uint8_t lookup[MIEN__LOOKUP_BYTES];
    int64_t id = 0;
    mien_status st = MIEN_OK;
    *ret = false;
    if (name) {
        mien__lookup(g, MIEN__KIND_REFUSED, name, strlen(name), lookup);
        st = mien__sql_number(g, MIEN__SQL_REFUSED_FIND, 0, &id, err, "b", lookup, sizeof lookup);
        *ret = id != 0;
    }
    return st || *ret ? st : like_a_code(g, vec, ret, err);
}

mien_status mien__refuse_person(mien_gallery *g, const char *name, const float *vec, mien_error *err)
{
    uint8_t lookup[MIEN__LOOKUP_BYTES], code[CODE_BYTES];
    int64_t id = 0;
    mien__buf sealed;
    mien__buf_init(&sealed, MIEN__BLOB_MAX);
    mien__lookup(g, MIEN__KIND_REFUSED, name, strlen(name), lookup);
    mien_status st = mien__sql_number(g, MIEN__SQL_REFUSED_NEXT, 1, &id, err, "");
    if (!st && vec && !(st = code_of(g, vec, code, err)))
        st = mien__seal(g, g->shared->keys->meta, (mien__place){ MIEN__KIND_REFUSED, 0, id }, code,
                        sizeof code, &sealed, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_REFUSED_ADD, err, "ibbi", id, lookup, sizeof lookup,
                           sealed.data ? (const void *)sealed.data : "", sealed.size, mien__clock_ms());
    sodium_memzero(code, sizeof code);
    mien__buf_wipe(&sealed);
    return st;
}
