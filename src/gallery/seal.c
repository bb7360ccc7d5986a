/* Sealing: XChaCha20-Poly1305 (libsodium's IETF form) with a random 24-byte nonce before and a 16-byte tag
 * after the bytes. Associated data, numbers little-endian: "mien", version 1, kind, gallery id, person, row;
 * a sealed value moved to another column, row, person or gallery does not open.
 *
 * Lookups are keyed BLAKE2b digests: equal names have equal digests in one gallery, and nothing else is told.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};
_Static_assert(NONCE + TAG == MIEN__SEAL_BYTES, "what sealing adds");

enum { BOUND_BYTES = 4 + 4 + 4 + MIEN__ID_BYTES + 8 + 8 };

static uint8_t *put(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (uint8_t)(v >> (8 * i));
    return at;
}

static void bind_to(const uint8_t id[MIEN__ID_BYTES], mien__place place, uint8_t ret[BOUND_BYTES])
{
    memcpy(ret, "mien", 4);
    uint8_t *at = put(ret + 4, 1, 4);
    at = put(at, (uint64_t)place.kind, 4);
    memcpy(at, id, MIEN__ID_BYTES);
    at = put(at + MIEN__ID_BYTES, (uint64_t)place.person, 8);
    put(at, (uint64_t)place.row, 8);
}

void mien__aead_seal(const uint8_t id[MIEN__ID_BYTES], const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                     const void *data, size_t bytes, uint8_t *ret)
{
    uint8_t bound[BOUND_BYTES];
    bind_to(id, place, bound);
    randombytes_buf(ret, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(ret + NONCE, NULL, data, bytes, bound, sizeof bound,
                                                     NULL, ret, key);
}

bool mien__aead_open(const uint8_t id[MIEN__ID_BYTES], const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                     const uint8_t *blob, size_t blob_bytes, uint8_t *ret)
{
    uint8_t bound[BOUND_BYTES];
    if (!blob || blob_bytes < MIEN__SEAL_BYTES)
        return false;
    bind_to(id, place, bound);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, blob + NONCE, blob_bytes - NONCE,
                                                      bound, sizeof bound, blob, key) == 0;
}

mien_status mien__seal(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                       const void *data, size_t bytes, mien__buf *ret, mien_error *err)
{
    if (!g->shared->encrypted)
        return mien__buf_append(ret, data, bytes, err);
    uint8_t *const blob = mien_alloc(bytes + MIEN__SEAL_BYTES);
    if (!blob)
        return mien__nomem(err, bytes + MIEN__SEAL_BYTES);
    mien__aead_seal(g->shared->id, key, place, data, bytes, blob);
    const mien_status st = mien__buf_append(ret, blob, bytes + MIEN__SEAL_BYTES, err);
    mien_free(blob);
    return st;
}

static mien_status does_not_open(const mien_gallery *g, mien__place place, mien_error *err)
{
    static const char *const names[] = {
        [MIEN__KIND_GALLERY_KEY] = "key",
        [MIEN__KIND_PERSON_KEY] = "person's key",
        [MIEN__KIND_NAME] = "name",
        [MIEN__KIND_NOTE] = "note",
        [MIEN__KIND_CONSENT] = "consent",
        [MIEN__KIND_TEMPLATE] = "person's template",
        [MIEN__KIND_FACE] = "face's template",
        [MIEN__KIND_SOURCE] = "face's source",
        [MIEN__KIND_IMAGE] = "picture",
        [MIEN__KIND_TEXT] = "text",
        [MIEN__KIND_PURPOSE] = "purpose",
        [MIEN__KIND_AUDIT] = "audit entry",
        [MIEN__KIND_JOURNAL] = "journal entry",
        [MIEN__KIND_REFUSED] = "do-not-enrol entry",
    };
    return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "a %s in %.120s is damaged (person %lld, row %lld)",
                      names[place.kind], g->shared->path, (long long)place.person, (long long)place.row);
}

mien_status mien__unseal_into(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                              const void *blob, size_t blob_bytes, void *ret, size_t bytes, mien_error *err)
{
    const bool encrypted = g->shared->encrypted;
    if (!blob || blob_bytes != bytes + (encrypted ? MIEN__SEAL_BYTES : 0))
        return does_not_open(g, place, err);
    if (!encrypted)
        memcpy(ret, blob, bytes);
    else if (!mien__aead_open(g->shared->id, key, place, blob, blob_bytes, ret))
        return does_not_open(g, place, err);
    return MIEN_OK;
}

mien_status mien__unseal(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                         const void *blob, size_t blob_bytes, char **ret, size_t *ret_bytes, mien_error *err)
{
    const size_t added = g->shared->encrypted ? MIEN__SEAL_BYTES : 0;
    if (blob_bytes < added || blob_bytes - added > MIEN__BLOB_MAX)
        return does_not_open(g, place, err);
    const size_t bytes = blob_bytes - added;
    char *const text = mien_alloc(bytes + 1);
    if (!text)
        return mien__nomem(err, bytes + 1);
    const mien_status st =
        bytes == 0 && !added ? MIEN_OK : mien__unseal_into(g, key, place, blob, blob_bytes, text, bytes, err);
    if (st) {
        mien_free_secret(text, bytes + 1);
        return st;
    }
    text[bytes] = '\0';
    *ret = text;
    *ret_bytes = bytes;
    return MIEN_OK;
}

void mien__lookup(const mien_gallery *g, mien__kind kind, const void *data, size_t bytes,
                  uint8_t ret[MIEN__LOOKUP_BYTES])
{
    crypto_generichash_state state;
    const uint8_t tag = (uint8_t)kind;
    crypto_generichash_init(&state, g->shared->keys->blind, MIEN__KEY_BYTES, MIEN__LOOKUP_BYTES);
    crypto_generichash_update(&state, &tag, 1);
    crypto_generichash_update(&state, data, bytes);
    crypto_generichash_final(&state, ret, MIEN__LOOKUP_BYTES);
    sodium_memzero(&state, sizeof state);
}

void mien__subject(const mien_gallery *g, int64_t person, uint8_t ret[MIEN__DIGEST_BYTES])
{
    uint8_t message[8 + 8] = "person: ";
    put(message + 8, (uint64_t)person, 8);
    crypto_generichash(ret, MIEN__DIGEST_BYTES, message, sizeof message, g->shared->keys->audit,
                       MIEN__KEY_BYTES);
}

void mien__buf_wipe(mien__buf *b)
{
    if (b->data)
        sodium_memzero(b->data, b->size);
    mien__buf_free(b);
}
