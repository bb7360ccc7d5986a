/* Keys: passphrase or key file -> key-encryption key -> gallery key -> derived keys; and a key per person,
 * wrapped.
 *
 * A passphrase goes through Argon2id 1.3 with libsodium's "moderate" costs (3 passes over 256 MB, about a
 * second); the costs are stored, bounded when read, since a file from elsewhere could ask for hours. The
 * bytes of a key file go through BLAKE2b keyed with the salt. The gallery key is random and only its wrapping
 * depends on either, so changing the passphrase rewrites one row. A gallery that is not encrypted holds its
 * key in the open: it still keys the digests of names and the audit chain, so that those of two galleries
 * cannot be compared. All keys live in memory of sodium_malloc(): between guard pages, locked where the
 * system allows, zeroed when freed.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <string.h>

enum {
    KDF_PLAIN = 0,
    KDF_FILE = 1,
    KDF_ARGON2ID = 2,
    KEY_MIN = 32,
    KEY_MAX = 1 << 20,
    PASSPHRASE_MAX = 1024
};
#define ARGON2_MEMORY_MAX ((int64_t)1 << 30)
enum { ARGON2_OPS_MAX = 16 };

static const mien__place key_place = { MIEN__KIND_GALLERY_KEY, 0, 0 };

static void derive(mien__keys *k)
{
    uint8_t *const keys[] = { k->people, k->meta, k->blind, k->rotation, k->audit, k->index };
    for (size_t i = 0; i < MIEN_COUNTOF(keys); i++)
        (void)crypto_kdf_derive_from_key(keys[i], MIEN__KEY_BYTES, i + 1, "mien gal", k->gallery);
}

static mien_status empty(mien__keys **ret, mien_error *err)
{
    if (sodium_init() < 0)
        return mien__fail(err, MIEN_E_INTERNAL, "libsodium cannot be initialised");
    *ret = sodium_malloc(sizeof **ret);
    if (!*ret)
        return mien__nomem(err, sizeof **ret);
    return MIEN_OK;
}

mien_status mien__keys_new(mien__keys **ret, mien_error *err)
{
    const mien_status st = empty(ret, err);
    if (st)
        return st;
    crypto_kdf_keygen((*ret)->gallery);
    derive(*ret);
    return MIEN_OK;
}

void mien__keys_free(mien__keys *keys)
{
    sodium_free(keys);
}

/* ---- the key-encryption key ---- */

static mien_status check_secret(const char *passphrase, const void *key, size_t key_bytes, mien_error *err)
{
    if (passphrase && key)
        return mien__fail(err, MIEN_E_ARG, "a passphrase and a key were both given");
    if (passphrase && (!passphrase[0] || strlen(passphrase) > PASSPHRASE_MAX))
        return mien__fail(err, MIEN_E_ARG, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX);
    if (key && (key_bytes < KEY_MIN || key_bytes > KEY_MAX))
        return mien__fail(err, MIEN_E_ARG, "a key has %d to %d bytes, this one has %zu", KEY_MIN, KEY_MAX,
                          key_bytes);
    return MIEN_OK;
}

static mien_status kek_of(const mien__kdf *kdf, const char *passphrase, const void *key, size_t key_bytes,
                          uint8_t ret[MIEN__KEY_BYTES], mien_error *err)
{
    if (kdf->kind == KDF_FILE) {
        crypto_generichash(ret, MIEN__KEY_BYTES, key, key_bytes, kdf->salt, sizeof kdf->salt);
        return MIEN_OK;
    }
    if (crypto_pwhash(ret, MIEN__KEY_BYTES, passphrase, strlen(passphrase), kdf->salt,
                      (unsigned long long)kdf->ops, (size_t)kdf->memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return mien__fail(err, MIEN_E_NOMEM, "turning the passphrase into a key takes %lld MB of memory",
                          (long long)(kdf->memory_bytes >> 20));
    return MIEN_OK;
}

mien_status mien__keys_wrap(const mien__keys *keys, const uint8_t id[MIEN__ID_BYTES], const char *passphrase,
                            const void *key, size_t key_bytes, mien__kdf *ret, mien_error *err)
{
    mien_status st = check_secret(passphrase, key, key_bytes, err);
    if (st)
        return st;
    mien__kdf kdf = { .kind = passphrase ? KDF_ARGON2ID : key ? KDF_FILE : KDF_PLAIN };
    randombytes_buf(kdf.salt, sizeof kdf.salt);
    if (kdf.kind == KDF_PLAIN) {
        memcpy(kdf.secret, keys->gallery, MIEN__KEY_BYTES);
        kdf.secret_bytes = MIEN__KEY_BYTES;
        *ret = kdf;
        return MIEN_OK;
    }
    if (passphrase) {
        kdf.ops = crypto_pwhash_OPSLIMIT_MODERATE;
        kdf.memory_bytes = crypto_pwhash_MEMLIMIT_MODERATE;
    }
    uint8_t kek[MIEN__KEY_BYTES];
    st = kek_of(&kdf, passphrase, key, key_bytes, kek, err);
    if (!st) {
        mien__aead_seal(id, kek, key_place, keys->gallery, MIEN__KEY_BYTES, kdf.secret);
        kdf.secret_bytes = MIEN__WRAPPED_BYTES;
        *ret = kdf;
    }
    sodium_memzero(kek, sizeof kek);
    return st;
}

static mien_status check_kdf(const mien__kdf *kdf, const char *passphrase, const void *key, mien_error *err)
{
    const size_t bytes = kdf->kind == KDF_PLAIN ? MIEN__KEY_BYTES : MIEN__WRAPPED_BYTES;
    if (kdf->kind < KDF_PLAIN || kdf->kind > KDF_ARGON2ID || kdf->secret_bytes != bytes)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the row with the gallery's key is damaged");
    if (kdf->kind == KDF_ARGON2ID &&
        (kdf->ops < (int64_t)crypto_pwhash_OPSLIMIT_MIN || kdf->ops > ARGON2_OPS_MAX ||
         kdf->memory_bytes < (int64_t)crypto_pwhash_MEMLIMIT_MIN || kdf->memory_bytes > ARGON2_MEMORY_MAX))
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT,
                          "the costs of the gallery's passphrase are out of range");
    if (kdf->kind == KDF_PLAIN && (passphrase || key))
        return mien__fail(err, MIEN_E_GALLERY_KEY, "the gallery is not encrypted, but a key was given");
    if (kdf->kind == KDF_FILE && !key)
        return mien__fail(err, MIEN_E_GALLERY_KEY, "the gallery is encrypted: it opens with its key file");
    if (kdf->kind == KDF_ARGON2ID && !passphrase)
        return mien__fail(err, MIEN_E_GALLERY_KEY, "the gallery is encrypted: it opens with its passphrase");
    return MIEN_OK;
}

mien_status mien__keys_unwrap(const mien__kdf *kdf, const uint8_t id[MIEN__ID_BYTES], const char *passphrase,
                              const void *key, size_t key_bytes, mien__keys **ret, mien_error *err)
{
    uint8_t kek[MIEN__KEY_BYTES];
    mien__keys *keys = NULL;
    mien_status st = check_secret(passphrase, key, key_bytes, err);
    if (st || (st = check_kdf(kdf, passphrase, key, err)) || (st = empty(&keys, err)))
        return st;
    if (kdf->kind == KDF_PLAIN) {
        memcpy(keys->gallery, kdf->secret, MIEN__KEY_BYTES);
    } else if (!(st = kek_of(kdf, passphrase, key, key_bytes, kek, err)) &&
               !mien__aead_open(id, kek, key_place, kdf->secret, kdf->secret_bytes, keys->gallery)) {
        st = mien__fail(err, MIEN_E_GALLERY_KEY, "the %s is not the gallery's",
                        passphrase ? "passphrase" : "key");
    }
    sodium_memzero(kek, sizeof kek);
    if (st) {
        mien__keys_free(keys);
        return st;
    }
    derive(keys);
    *ret = keys;
    return MIEN_OK;
}
