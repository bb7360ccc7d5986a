/* The insides of a search index.
 *
 * Templates lie in blocks of MIEN__BLOCK places. A block is one stretch of memory, the same in the file:
 *
 *   codes    [64 tiles][4 groups][dim / 4 steps][16 templates][4]   1 byte per dimension, + 128; 0 = free
 * place id       [4096] uint64 person   [4096] uint64 scale    [4096] float     x' = scale * code error
 * [4096] float     >= |x - x'|; -infinity = free place signs    [64 tiles][plane][bytes][64 templates]   when
 * the block has sign codes
 *
 * Locks. `writer` is held by whoever changes anything; each block has a lock of its own, shared by searches
 * for the time of one block and held alone while one of its places changes. The directory only grows, by
 * pointers that never move, so that it is read without a lock.
 */
#ifndef MIEN_SRC_SEARCH_INDEX_H
#define MIEN_SRC_SEARCH_INDEX_H

#include "search/kernels/search_kernels.h"
#include <mien/search.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    MIEN__BLOCK = 4096,
    MIEN__BLOCK_TILES = MIEN__BLOCK / MIEN__TILE,
    MIEN__DIR = 256, /* directory: 256 x 256 blocks */
    MIEN__MAX_BLOCKS = MIEN__DIR * MIEN__DIR,
    MIEN__SIGN_PLANES = 2,
    MIEN__SUM_LANES = 8, /* of a block's checksum */
    MIEN__QUERIES = 64,  /* scanned together */
};

/* Sizes that follow from dimension and options. */
typedef struct mien__index_layout {
    size_t dim, dim_padded;  /* padded to 16 */
    size_t steps;            /* dim_padded / 4 */
    size_t tile_bytes;       /* of codes */
    size_t rotation_dim;     /* a power of two */
    size_t sign_dim;         /* signs of a template: 512, or one rotation where that is more */
    size_t sign_bytes;       /* per template and plane */
    size_t sign_tile_bytes;  /* of a plane */
    size_t sign_block_bytes; /* all of a block's */
    size_t id_at, person_at, scale_at, error_at, signs_at; /* offsets in a block */
    size_t plain_bytes;                                    /* of a block without sign codes */
    size_t coded_bytes;                                    /* with */
} mien__index_layout;

/* Zeroed memory of whole pages that is given back to the system when freed. Secret: locked where possible,
 * not dumped, zeroed before it is freed. */
typedef struct mien__pages {
    void *p;
    size_t bytes;
    bool secret, locked;
} mien__pages;
mien__pages *mien__pages_new(size_t bytes, bool secret); /* NULL when short */
void mien__pages_free(mien__pages *pages);

typedef enum mien__block_state {
    MIEN__BLOCK_UNREAD, /* mapped from a file, checksum not compared yet */
    MIEN__BLOCK_GOOD,
    MIEN__BLOCK_BAD
} mien__block_state;

typedef struct mien__block {
    pthread_rwlock_t lock;
    mien__pages *own, *own_signs, *own_floats; /* memory of its own; NULL where it lies in the file */
    uint8_t *codes;                            /* the block's memory */
    uint64_t *ids, *persons;                   /* in it */
    float *scale, *error;
    uint8_t *signs;   /* in it, or apart (own_signs), or NULL; changes under the lock */
    bool in_file;     /* codes are part of the mapping */
    size_t used;      /* places up to the last ever taken; under the lock */
    float *floats;    /* [4096][dim] with keep_floats */
    atomic_int state; /* mien__block_state */
} mien__block;

/* Keyed rotations: three times signs flipped at random and a Hadamard transform. */
typedef struct mien__rotation {
    size_t dim, n;   /* n rotations of dim, a power of two */
    uint64_t *flips; /* [n][3][dim / 64] bits */
} mien__rotation;

/* What seals, unseals and names the files of an index. */
typedef struct mien__idx_keys {
    bool sealed;
    uint8_t seal[32], rotation[32], mac[32];
} mien__idx_keys;
void mien__index_keys(const mien_index_opts *opts, mien__idx_keys *ret);

struct mien__scratch;

struct mien_index {
    mien__index_layout layout;
    mien_index_opts opts; /* key and kernels are held elsewhere */
    bool sealed;
    mien__idx_keys keys;
    const mien__search_kernels *kernels;
    mien__pool *pool;
    pthread_mutex_t pool_lock; /* the pool runs one search at a time; others run without */
    mien__rotation rotation;
    pthread_mutex_t writer;
    mien__block *dir[MIEN__DIR]; /* arrays of MIEN__DIR blocks, made when needed */
    atomic_size_t n_blocks;
    atomic_size_t n; /* templates */
    atomic_uint_fast64_t seq, changes;
    atomic_bool unsure, all_locked;
    /* places by id, made at the first need; under the writer's lock */
    uint32_t *map;
    size_t map_cap, map_used; /* used: with the marks of removed ones */
    uint32_t *free_slots;
    size_t n_free, free_cap;
    size_t next_uncoded; /* first block that may lack sign codes */
    /* the file it was opened from */
    uint8_t *file;
    size_t file_bytes;
    int fd; /* for the lock when a block does not match its checksum; -1 */
    pthread_mutex_t scratch_lock;
    struct mien__scratch *scratch; /* kept between searches */
};

mien_status mien__index_check_opts(const mien_index_opts *opts, mien_error *err);

/* ---- layout and memory (block.c) ---- */
void mien__index_layout_of(size_t dim, mien__index_layout *ret);
size_t mien__index_slots(const mien_index *ix); /* places in all blocks so far */
static inline mien__block *mien__index_block(const mien_index *ix, size_t b)
{
    return &ix->dir[b / MIEN__DIR][b % MIEN__DIR];
}
/* Append a block: own memory (mem = NULL) or lying in the file. The writer's lock is held. */
mien_status mien__index_add_block(mien_index *ix, uint8_t *mem, bool coded, size_t used, mien_error *err);
void mien__index_free_blocks(mien_index *ix);
/* Compare a mapped block with its checksum when that was not done yet. */
mien_status mien__block_ready(mien_index *ix, size_t b, mien_error *err);
/* Room for signs, and fill it from the codes of the places in use. Writer's lock held, block's lock not. */
mien_status mien__block_code(mien_index *ix, size_t b, mien_error *err);
void mien__index_rotated(const mien_index *ix, const int8_t *code, float scale, float *y); /* y[sign_dim] */
bool mien__index_is_coded(const mien_index *ix); /* as of now, by options and count */

/* ---- quantisation (quantize.c) ---- */
/* Check that a vector is finite and of length 1 within 0.001. */
mien_status mien__index_check_vec(const float *vec, size_t dim, const char *what, mien_error *err);
/* code[dim_padded] in -127..127 and *ret_scale with |vec - scale * code| <= *ret_error. */
void mien__quantize(const float *vec, size_t dim, size_t dim_padded, int8_t *code, float *ret_scale,
                    float *ret_error);
/* A place's code in the interleaved tiles. */
void mien__code_put(const mien__index_layout *l, uint8_t *codes, size_t place, const int8_t *code);
void mien__code_clear(const mien__index_layout *l, uint8_t *codes, size_t place);
/* false when a byte is zero: the place is free, or is being erased in the file by another process. */
bool mien__code_get(const mien__index_layout *l, const uint8_t *codes, size_t place, int8_t *code);
double mien__dot_f64(const float *a, const float *b, size_t n); /* in order */

/* ---- sign codes (rotate.c) ---- */
mien_status mien__rotation_new(mien__rotation *r, const mien__index_layout *l, const uint8_t key[32],
                               mien_error *err);
void mien__rotation_free(mien__rotation *r);
/* y[n * dim], which starts with a template and zeros up to dim: rotated n ways. */
void mien__rotate(const mien__rotation *r, float *y);
static inline const uint8_t *mien__sign_tile(const mien__index_layout *l, const uint8_t *signs, size_t plane,
                                             size_t tile)
{
    return signs + (plane * MIEN__BLOCK_TILES + tile) * l->sign_tile_bytes;
}
/* Put the signs of rotated y at a place of its tile. */
void mien__signs_put(const mien__index_layout *l, uint8_t *signs, size_t place, const float *y);
void mien__signs_clear(const mien__index_layout *l, uint8_t *signs, size_t place);
/* A query's tables: lut[plane][2 * sign_bytes][16]; thr[0] for the first plane's sum, thr[1] for both. */
typedef struct mien__sign_query {
    uint8_t (*lut)[16];
    unsigned thr[MIEN__SIGN_PLANES];
} mien__sign_query;
void mien__sign_query_set(const mien__index_layout *l, const float *y, double least_cos,
                          mien__sign_query *ret);
size_t mien__sign_query_bytes(const mien__index_layout *l); /* of lut */

/* ---- places by id (slots.c); the writer's lock is held ---- */
enum { MIEN__NO_SLOT = 0xffffffffu };
mien_status mien__slots_ready(mien_index *ix, mien_error *err); /* builds map and free list */
uint32_t mien__slots_find(const mien_index *ix, uint64_t id);
mien_status mien__slots_reserve(mien_index *ix, size_t n_free,
                                mien_error *err);        /* for one id, n free places */
void mien__slots_insert(mien_index *ix, uint32_t slot);  /* whose id is written already */
void mien__slots_remove(mien_index *ix, uint64_t id);    /* while it is still written */
void mien__slots_release(mien_index *ix, uint32_t slot); /* to the free list, which has room for it */
void mien__slots_free(mien_index *ix);

#endif
