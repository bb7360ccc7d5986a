/* Reading and writing the parts of an index file; its form is in index_file.h. */
#include "search/index_file.h"
#include <sodium.h>
#include <string.h>

static const char magic[8] = { 'm', 'i', 'e', 'n', 'i', 'd', 'x', '\n' };

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Separate keys from the caller's; without one, of the gallery's name, so that its rotation is its own. */
void mien__index_keys(const mien_index_opts *opts, mien__idx_keys *ret)
{
    static const unsigned char none[MIEN_INDEX_KEY_BYTES] = { 0 };
    const unsigned char *const key = opts->key ? opts->key : none;
    const struct {
        const char *label;
        uint8_t *ret;
    } parts[] = { { "mien index seal", ret->seal },
                  { "mien index rotation", ret->rotation },
                  { "mien index mac", ret->mac } };
    ret->sealed = opts->key != NULL;
    for (size_t i = 0; i < MIEN_COUNTOF(parts); i++) {
        crypto_generichash_state state;
        crypto_generichash_init(&state, key, MIEN_INDEX_KEY_BYTES, 32);
        crypto_generichash_update(&state, (const unsigned char *)parts[i].label, strlen(parts[i].label));
        crypto_generichash_update(&state, opts->gallery, sizeof opts->gallery);
        crypto_generichash_final(&state, parts[i].ret, 32);
        sodium_memzero(&state, sizeof state);
    }
}

static void key_name(const mien__idx_keys *keys, uint8_t ret[16])
{
    static const unsigned char label[] = "which key";
    crypto_generichash(ret, 16, label, sizeof label, keys->mac, sizeof keys->mac);
}

void mien__idx_entry_get(const uint8_t *p, bool sealed, mien__idx_entry *ret)
{
    *ret = (mien__idx_entry){ get32(p), get32(p + 4), get64(p + 8), { 0 }, { 0 }, { 0 } };
    if (sealed) {
        memcpy(ret->nonce, p + 16, sizeof ret->nonce);
        memcpy(ret->tag, p + 40, sizeof ret->tag);
    } else {
        for (size_t i = 0; i < MIEN__SUM_LANES; i++)
            ret->sums[i] = get32(p + 16 + 4 * i);
    }
}

void mien__idx_entry_put(uint8_t *p, bool sealed, const mien__idx_entry *e)
{
    memset(p, 0, MIEN__IDX_ENTRY);
    put32(p, e->used);
    put32(p + 4, e->live);
    put64(p + 8, e->generation);
    if (sealed) {
        memcpy(p + 16, e->nonce, sizeof e->nonce);
        memcpy(p + 40, e->tag, sizeof e->tag);
    } else {
        for (size_t i = 0; i < MIEN__SUM_LANES; i++)
            put32(p + 16 + 4 * i, e->sums[i]);
    }
}

size_t mien__idx_data_at(size_t n_blocks)
{
    return (MIEN__IDX_HEADER + n_blocks * MIEN__IDX_ENTRY + 4095) / 4096 * 4096;
}

void mien__idx_head_put(uint8_t *head, const mien__idx_head *h, const mien_index_opts *opts,
                        const mien__idx_keys *keys)
{
    memset(head, 0, MIEN__IDX_HEADER);
    memcpy(head, magic, sizeof magic);
    put32(head + 8, MIEN__IDX_VERSION);
    put32(head + 12, (h->sealed ? MIEN__IDX_SEALED : 0u) | (h->coded ? MIEN__IDX_CODED : 0u));
    put32(head + 16, (uint32_t)opts->dim);
    put32(head + 20, MIEN__BLOCK);
    put32(head + 24, (uint32_t)h->n_blocks);
    put64(head + 32, h->file_bytes);
    put64(head + 40, h->n);
    put64(head + 48, h->seq);
    memcpy(head + 56, opts->model, sizeof opts->model);
    memcpy(head + 88, opts->gallery, sizeof opts->gallery);
    key_name(keys, head + 104);
    mien__idx_digest(head, h->n_blocks, keys, head + MIEN__IDX_DIGEST_AT);
}

void mien__idx_digest(const uint8_t *head, size_t n_blocks, const mien__idx_keys *keys, uint8_t ret[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, keys->sealed ? keys->mac : NULL, keys->sealed ? sizeof keys->mac : 0, 32);
    crypto_generichash_update(&state, head, MIEN__IDX_DIGEST_AT);
    crypto_generichash_update(&state, head + MIEN__IDX_HEADER, n_blocks * MIEN__IDX_ENTRY);
    crypto_generichash_final(&state, ret, 32);
    sodium_memzero(&state, sizeof state);
}

size_t mien__idx_blocks_claimed(const uint8_t *head)
{
    const uint32_t n = get32(head + 24);
    return n < MIEN__MAX_BLOCKS ? n : MIEN__MAX_BLOCKS;
}

static mien_status check_owner(const uint8_t *f, const char *path, const mien_index_opts *opts,
                               const mien__idx_keys *keys, mien_error *err)
{
    uint8_t name[16];
    key_name(keys, name);
    if (get32(f + 16) != opts->dim)
        return mien__fail(err, MIEN_E_INDEX_FOREIGN, "%s has templates of %u dimensions, not %zu", path,
                          get32(f + 16), opts->dim);
    if (memcmp(f + 56, opts->model, sizeof opts->model) != 0)
        return mien__fail(err, MIEN_E_INDEX_FOREIGN, "%s was made for another model", path);
    if (memcmp(f + 88, opts->gallery, sizeof opts->gallery) != 0)
        return mien__fail(err, MIEN_E_INDEX_FOREIGN, "%s belongs to another gallery", path);
    if (keys->sealed != ((get32(f + 12) & MIEN__IDX_SEALED) != 0) || sodium_memcmp(name, f + 104, 16) != 0)
        return mien__fail(err, MIEN_E_INDEX_FOREIGN, "%s was written with another key", path);
    return MIEN_OK;
}

/* Every count, against each other and the size of the file. */
static mien_status check_table(const uint8_t *f, size_t size, const char *path, mien__idx_head *h,
                               mien_error *err)
{
    size_t live = 0;
    bool ok = h->n_blocks <= MIEN__MAX_BLOCKS && h->file_bytes == size && h->data_at <= size &&
              h->data_at + h->n_blocks * h->block_bytes == size;
    for (size_t i = 0; i < h->n_blocks && ok; i++) {
        mien__idx_entry e;
        mien__idx_entry_get(f + MIEN__IDX_HEADER + i * MIEN__IDX_ENTRY, h->sealed, &e);
        ok = e.used <= MIEN__BLOCK && e.live <= e.used && (e.used == MIEN__BLOCK || i + 1 == h->n_blocks);
        live += e.live;
    }
    if (!ok || live != h->n)
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "%s is damaged or cut short", path);
    return MIEN_OK;
}

mien_status mien__idx_head_get(const uint8_t *f, size_t size, const char *path, const mien_index_opts *opts,
                               const mien__idx_keys *keys, mien__idx_head *ret, mien_error *err)
{
    if (size < sizeof magic || memcmp(f, magic, sizeof magic) != 0)
        return mien__fail(err, MIEN_E_INDEX_FORMAT, "%s is not a search index", path);
    if (size < MIEN__IDX_HEADER)
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "%s is cut short", path);
    if (get32(f + 8) != MIEN__IDX_VERSION || get32(f + 20) != MIEN__BLOCK || get32(f + 12) > 3)
        return mien__fail(err, MIEN_E_INDEX_FORMAT, "%s has version %u, known is %d", path, get32(f + 8),
                          MIEN__IDX_VERSION);
    mien_status status = check_owner(f, path, opts, keys, err);
    if (status != MIEN_OK)
        return status;
    mien__index_layout l;
    mien__index_layout_of(opts->dim, &l);
    mien__idx_head h = { .sealed = keys->sealed,
                         .coded = (get32(f + 12) & MIEN__IDX_CODED) != 0,
                         .n_blocks = get32(f + 24),
                         .n = get64(f + 40),
                         .seq = get64(f + 48),
                         .file_bytes = get64(f + 32) };
    h.data_at = mien__idx_data_at(h.n_blocks);
    h.block_bytes = h.coded ? l.coded_bytes : l.plain_bytes;
    if ((status = check_table(f, size, path, &h, err)) != MIEN_OK)
        return status;
    uint8_t digest[32];
    mien__idx_digest(f, h.n_blocks, keys, digest);
    if (sodium_memcmp(digest, f + MIEN__IDX_DIGEST_AT, sizeof digest) != 0)
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "%s does not match its checksum", path);
    *ret = h;
    return MIEN_OK;
}

/* The start of an entry is part of what is summed. */
static void entry_start(const mien__idx_entry *e, uint8_t ret[16])
{
    put32(ret, e->used);
    put32(ret + 4, e->live);
    put64(ret + 8, e->generation);
}

static void sum_block(const mien__search_kernels *k, const uint8_t *block, size_t bytes,
                      const mien__idx_entry *e, uint32_t ret[MIEN__SUM_LANES])
{
    uint8_t start[64] = { 0 };
    uint32_t seeds[8];
    entry_start(e, start);
    mien__search_scalar.crc32c(start, 8, 0xffffffffu, seeds);
    k->crc32c(block, bytes / MIEN__SUM_LANES, seeds[0] ^ seeds[1], ret);
}

void mien__idx_sum(const mien__search_kernels *k, const uint8_t *block, size_t bytes, mien__idx_entry *e)
{
    sum_block(k, block, bytes, e, e->sums);
}

bool mien__idx_sum_ok(const mien__search_kernels *k, const uint8_t *block, size_t bytes,
                      const mien__idx_entry *e)
{
    uint32_t sums[MIEN__SUM_LANES];
    sum_block(k, block, bytes, e, sums);
    return memcmp(sums, e->sums, sizeof sums) == 0;
}

static void associated(const uint8_t gallery[16], size_t number, const mien__idx_entry *e, uint8_t ret[40])
{
    memcpy(ret, gallery, 16);
    put64(ret + 16, number);
    entry_start(e, ret + 24);
}

void mien__idx_seal(const mien__idx_keys *keys, const uint8_t gallery[16], size_t number,
                    const uint8_t *block, size_t bytes, uint8_t *dst, mien__idx_entry *e)
{
    uint8_t ad[40];
    associated(gallery, number, e, ad);
    randombytes_buf(e->nonce, sizeof e->nonce);
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(dst, e->tag, NULL, block, bytes, ad, sizeof ad, NULL,
                                                        e->nonce, keys->seal);
}

bool mien__idx_unseal(const mien__idx_keys *keys, const uint8_t gallery[16], size_t number,
                      const uint8_t *src, size_t bytes, uint8_t *dst, const mien__idx_entry *e)
{
    uint8_t ad[40];
    associated(gallery, number, e, ad);
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(dst, NULL, src, bytes, e->tag, ad, sizeof ad,
                                                               e->nonce, keys->seal) == 0;
}
