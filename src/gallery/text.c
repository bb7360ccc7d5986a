/* Small named texts of the gallery: calibration, settings of programs. */
#include "gallery/gallery.h"
#include <sodium.h>
#include <string.h>

enum { KEY_MAX = 64 };

/* The row is known by the key's digest, as associated data has numbers only. */
static mien__place place_of(const mien_gallery *g, const char *key)
{
    uint8_t digest[MIEN__LOOKUP_BYTES];
    int64_t row = 0;
    mien__lookup(g, MIEN__KIND_TEXT, key, strlen(key), digest);
    memcpy(&row, digest, sizeof row);
    return (mien__place){ MIEN__KIND_TEXT, 0, row };
}

static mien_status check_key(const char *key, mien_error *err)
{
    if (!key || !key[0])
        return mien__fail(err, MIEN_E_ARG, "a text needs a key");
    return mien__text_check("text's key", key, KEY_MAX, err);
}

mien_status mien_gallery_set_text(mien_gallery *gallery, const char *key, const char *text, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (!gallery)
        return mien__fail(err, MIEN_E_ARG, "gallery is NULL");
    if ((st = check_key(key, err)) ||
        (text && (st = mien__text_check("text", text, MIEN__TEXT_LIMIT, err))) ||
        (st = mien__write_begin(gallery, err)))
        return st;
    mien__buf b;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    if (!text) {
        st = mien__sql_run(gallery, MIEN__SQL_TEXT_DELETE, err, "t", key);
    } else if (!(st = mien__seal(gallery, gallery->shared->keys->meta, place_of(gallery, key), text,
                                 strlen(text), &b, err))) {
        st = mien__sql_run(gallery, MIEN__SQL_TEXT_SET, err, "tb", key, b.data ? (const void *)b.data : "",
                           b.size);
    }
    if (!st)
        st = mien__audit_append(gallery, text ? "set" : "unset", 0, "{}", err);
    st = mien__write_end(gallery, st, err);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien_gallery_text(mien_gallery *gallery, const char *key, char **ret_text, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    char *text = NULL;
    size_t bytes = 0;
    if (!gallery || !ret_text)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    mien_status st = check_key(key, err);
    if (st || (st = mien__sql_open(gallery, MIEN__SQL_TEXT_GET, &s, err, "t", key)))
        return st;
    st = mien__sql_row(gallery, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no text '%.64s'", gallery->shared->path, key);
    if (!st)
        st = mien__unseal(gallery, gallery->shared->keys->meta, place_of(gallery, key),
                          sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0), &text, &bytes, err);
    if (!st)
        *ret_text = text;
    mien__sql_end(gallery, s);
    return st;
}

void mien_text_free(char *text)
{
    mien_free(text);
}
