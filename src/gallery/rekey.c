/* Another passphrase or key file: the gallery's key is wrapped anew, everything sealed with it stays as it
 * is.
 *
 * So whoever had the old passphrase and a copy of the file, or the gallery's key itself, keeps what they
 * have. The old wrapping is overwritten and the WAL emptied.
 */
#include "gallery/gallery.h"
#include <sodium.h>

mien_status mien_gallery_rekey(mien_gallery *gallery, const char *passphrase, const void *key,
                               size_t key_bytes, mien_error *err)
{
    mien__kdf kdf = { 0 };
    if (!gallery || (!passphrase && !key))
        return mien__fail(err, MIEN_E_ARG, "gallery, or the new passphrase or key, is missing");
    if (!gallery->shared->encrypted)
        return mien__fail(
            err, MIEN_E_ARG,
            "%.120s is not encrypted: export it, and import it into a new gallery made with a key",
            gallery->shared->path);
    mien_status st =
        mien__keys_wrap(gallery->shared->keys, gallery->shared->id, passphrase, key, key_bytes, &kdf, err);
    if (!st && !(st = mien__write_begin(gallery, err))) {
        st = mien__sql_run(gallery, MIEN__SQL_GALLERY_KEY, err, "iiibb", (int64_t)kdf.kind, kdf.ops,
                           kdf.memory_bytes, kdf.salt, sizeof kdf.salt, kdf.secret, kdf.secret_bytes);
        if (!st)
            st = mien__audit_append(gallery, "rekey", 0, "{}", err);
        st = mien__write_end(gallery, st, err);
    }
    if (!st &&
        sqlite3_wal_checkpoint_v2(gallery->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        mien__log(MIEN_LOG_WARN,
                  "the key is changed, but other programs kept the write-ahead log from being emptied: "
                  "it may hold the old wrapping until they close the gallery");
    sodium_memzero(&kdf, sizeof kdf);
    return st;
}
