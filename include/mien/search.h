/* A search index over templates: exact nearest neighbours by cosine at the speed of memory.
 *
 * An index holds one byte per dimension of each template, scans all of it with integer arithmetic, and has
 * the few templates that could be among the best compared again in float64: the answer is the one that a
 * float64 scan of everything gives. Above about a million templates
 * sign codes of 512 bits pick what is scanned; see mien_index_coded for what that changes.
 *
 * An index is a cache of a store (a gallery): it remembers the number of the last change of the store that it
 * reflects, and can be thrown away and built again. Its file is mapped, so that processes share its pages,
 * and is never relied upon: what is damaged is noticed and refused.
 *
 * Threads: any number may search one index at once, while one or more add, remove and save (writers wait for
 * each other; a search and a writer wait for each other for one block of 4,096 templates at most). A template
 * whose removal returned before a search began is not found by it.
 *
 * Templates are biometric data; so are the bytes of an index and of its file.
 */
#ifndef MIEN_SEARCH_H
#define MIEN_SEARCH_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

typedef struct mien_index mien_index;

enum {
    MIEN_INDEX_MAX_DIM = 4096,
    MIEN_INDEX_MAX_TOP_K = 4096,
    MIEN_INDEX_KEY_BYTES = 32,
    MIEN_INDEX_MODEL_BYTES = 32,
    MIEN_INDEX_GALLERY_BYTES = 16
};

/** Whether sign codes choose what is scanned. With them a template whose cosine to the probe is at least
 *  `coded_floor` is still found with a probability of 99.9 % and more (docs/search.md), one below it may be
 *  missed; whatever is found has its exact similarity. */
typedef enum mien_index_coded {
    MIEN_INDEX_CODED_AUTO, /**< above 1,000,000 templates of 256 dimensions and more */
    MIEN_INDEX_CODED_NEVER,
    MIEN_INDEX_CODED_ALWAYS
} mien_index_coded;

typedef struct mien_index_opts {
    size_t struct_size;
    size_t dim;       /**< of the templates, 1..MIEN_INDEX_MAX_DIM */
    unsigned threads; /**< that a search may use; 1 makes none, 0 = all processors */
    mien_index_coded coded;
    double coded_floor; /**< in [0.1, 1): the least similarity that the caller's decision accepts */
    int keep_floats;    /**< 1: keep the templates themselves too (4 bytes more per dimension): searches are
                             exact without `fetch`. Not saved, so not for mien_index_open(). */
    const void *key;    /**< [MIEN_INDEX_KEY_BYTES] or NULL. With a key the file is sealed, and the memory is
                             locked where the system lets it be and left out of core dumps. */
    uint8_t model[MIEN_INDEX_MODEL_BYTES];     /**< fingerprint of the embedder; a file must agree */
    uint8_t gallery[MIEN_INDEX_GALLERY_BYTES]; /**< identity of the store; a file must agree */
} mien_index_opts;

#define MIEN_INDEX_OPTS_INIT                                                        \
    {                                                                               \
        sizeof(mien_index_opts), 0, 1, MIEN_INDEX_CODED_AUTO, 0.40, 0, NULL, { 0 }, \
        {                                                                           \
            0                                                                       \
        }                                                                           \
    }

/** Make an empty index in memory.
 *  @return MIEN_OK; E_ARG; E_NOMEM; E_LIMIT (threads) */
MIEN_API MIEN_MUST_USE mien_status mien_index_new(const mien_index_opts *opts, mien_index **ret,
                                                  mien_error *err);

/** Open a saved index. Its blocks are mapped, not read, and each is checked when it is first used; a sealed
 * one is opened into memory. What is changed afterwards stays in this process until mien_index_sync().
 *  @return MIEN_OK; E_NOT_FOUND; E_INDEX_FORMAT (not an index, or of a newer version); E_INDEX_FOREIGN (of
 *          another gallery, model, dimension or key); E_INDEX_CORRUPT; E_IO; E_NOMEM. After any of them the
 *          caller builds the index anew from the store. */
MIEN_API MIEN_MUST_USE mien_status mien_index_open(const char *path, const mien_index_opts *opts,
                                                   mien_index **ret, mien_error *err);

/** Free the index; NULL is allowed. No other call on it may be running. */
MIEN_API void mien_index_free(mien_index *index);

/** Write the index to `path`, whole or not at all: a new file takes the place of the old, which stays valid
 * for those who have it mapped. Where several processes share a file, save only what is up to date with the
 * store, and hold off the store's other writers meanwhile: else a template that was just erased could come
 * back.
 *  @return MIEN_OK; E_IO; E_NOMEM; E_INDEX_CORRUPT (a block of the opened file turned out damaged) */
MIEN_API MIEN_MUST_USE mien_status mien_index_sync(mien_index *index, const char *path, mien_error *err);

/** Add a template; one of the same id is replaced.
 *  @param id      of the template in the store
 *  @param person  whose it is
 *  @param vec     [dim], finite, of length 1 within 0.001; `fetch` must return these very values
 *  @return MIEN_OK; E_ARG; E_NOMEM; E_LIMIT (2^28 templates); E_INDEX_CORRUPT */
MIEN_API MIEN_MUST_USE mien_status mien_index_add(mien_index *index, uint64_t id, uint64_t person,
                                                  const float *vec, mien_error *err);

/** Remove a template: its bytes are overwritten before the call returns. The saved file still has them; see
 *  mien_index_erase(). @return MIEN_OK; E_NOT_FOUND; E_NOMEM; E_INDEX_CORRUPT */
MIEN_API MIEN_MUST_USE mien_status mien_index_remove(mien_index *index, uint64_t id, mien_error *err);

/** Remove all templates of a person; *ret_n says how many (may be NULL; none is no error). */
MIEN_API MIEN_MUST_USE mien_status mien_index_remove_person(mien_index *index, uint64_t person, size_t *ret_n,
                                                            mien_error *err);

/** Overwrite templates in a saved file, in place, through to the disk: for those whose removal must leave no
 *  byte behind. Processes that have the file mapped stop finding them. Ids that the file does not have, and a
 *  file that is not there, are no error. To be called after the removal was committed to the store.
 *  @param opts  as for opening the file
 *  @return MIEN_OK; as mien_index_open(): then remove the whole file */
MIEN_API MIEN_MUST_USE mien_status mien_index_erase(const char *path, const mien_index_opts *opts,
                                                    const uint64_t *ids, size_t n, mien_error *err);

/** Give a template to another person (merging and splitting). @return MIEN_OK; E_NOT_FOUND; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_index_set_person(mien_index *index, uint64_t id, uint64_t person,
                                                         mien_error *err);

/** Say whether the index has a template, and whose it is (ret_person may be NULL).
 *  @return MIEN_OK; E_NOT_FOUND; E_NOMEM; E_INDEX_CORRUPT */
MIEN_API MIEN_MUST_USE mien_status mien_index_find(mien_index *index, uint64_t id, uint64_t *ret_person,
                                                   mien_error *err);

/** The number of the last change of the store that the index reflects; 0 in a new one. Saved with it. */
MIEN_API uint64_t mien_index_seq(const mien_index *index);
MIEN_API void mien_index_set_seq(mien_index *index, uint64_t seq);

/** Give the templates of `ids` as they are in the store: [n][dim] floats. One that the store has no more is
 *  told by a NaN as its first float. Called by the thread that searches, never by two at once. */
typedef mien_status (*mien_index_fetch)(void *user, const uint64_t *ids, size_t n, float *ret_vecs,
                                        mien_error *err);

/** Say whether a person may be found now (1) or not (0), for instance because of an expiry date. Called for
 * the few who come into question, by several threads at once; must give the same answer throughout a search.
 */
typedef int (*mien_index_admit)(void *user, uint64_t person);

typedef struct mien_search_opts {
    size_t struct_size;
    size_t top_k;  /**< 1..MIEN_INDEX_MAX_TOP_K */
    int by_person; /**< 1: the best template of each of the top_k best people; 0: the top_k best templates */
    int scan_all;  /**< 1: leave the sign codes aside */
    mien_index_fetch fetch; /**< NULL: similarities are those of the bytes, within stated bounds */
    void *fetch_user;
    mien_index_admit admit; /**< NULL: everybody */
    void *admit_user;
} mien_search_opts;

#define MIEN_SEARCH_OPTS_INIT                                     \
    {                                                             \
        sizeof(mien_search_opts), 1, 1, 0, NULL, NULL, NULL, NULL \
    }

typedef struct mien_hit {
    uint64_t id, person;
    double similarity; /**< cosine as stored: the plain sum of products in float64 */
    double lo, hi;     /**< the similarity lies between; both equal to it where it is exact */
} mien_hit;

/** Find the templates most like each query, most alike first; equals by lower person, then lower id. The
 * answer does not depend on threads or on the CPU. Exact with `fetch` or keep_floats: every template whose
 * upper bound |q.x - q'.x'| <= |q||x-x'| + |q-q'||x'| reaches the k-th best is compared in float64.
 *  @param queries   [n][dim], finite, of length 1 within 0.001
 *  @param ret_hits  [n][top_k]
 *  @param ret_n     [n] hits of each query: fewer than top_k when there are no more
 *  @return MIEN_OK; E_ARG; E_NOMEM; E_INDEX_CORRUPT (a block of the opened file is damaged: build anew);
 *          E_INDEX_UNSURE (the self-test had failed, or the store kept losing templates); what `fetch`
 * returned
 *  @cost 512 dimensions: about 12 ms per million templates and thread for one query, 1.5 ms in a batch */
MIEN_API MIEN_MUST_USE mien_status mien_index_search(mien_index *index, const float *queries, size_t n,
                                                     const mien_search_opts *opts, mien_hit *ret_hits,
                                                     size_t *ret_n, mien_error *err);

typedef struct mien_index_info {
    size_t n;       /**< templates */
    size_t n_slots; /**< places taken up, with those free for reuse */
    size_t dim;
    size_t n_coded;        /**< places that have sign codes */
    uint64_t changes;      /**< templates added, removed or given away since it was opened or saved */
    uint64_t memory_bytes; /**< mapped and allocated for templates */
    int sealed;            /**< a key was given */
    int locked;            /**< 1: all of its memory is locked against paging */
    int coded;             /**< 1: searches go by sign codes now */
    int unsure;            /**< 1: the self-test failed */
    const char *kernel;    /**< static string, for instance "avx512vnni" */
} mien_index_info;

MIEN_API void mien_index_info_of(mien_index *index, mien_index_info *ret);

/** Test the index against plain arithmetic: a sample of `samples` templates, spread over all blocks, must lie
 *  within their stated error of what `fetch` gives (where given) and find themselves; random queries must be
 *  answered as a float64 scan over all the stored bytes answers them; where sign codes are in use, mates made
 *  at the floor must be kept. After a failure searches return E_INDEX_UNSURE until a later test passes.
 *  @return MIEN_OK; E_INDEX_UNSURE; E_INDEX_CORRUPT; E_NOMEM; what `fetch` returned
 *  @cost about a second per million templates of 512 dimensions */
MIEN_API MIEN_MUST_USE mien_status mien_index_check(mien_index *index, size_t samples, mien_index_fetch fetch,
                                                    void *fetch_user, mien_error *err);

/** Check every block of the file the index was opened from, rather than each at its first use.
 *  @return MIEN_OK; E_INDEX_CORRUPT */
MIEN_API MIEN_MUST_USE mien_status mien_index_verify(mien_index *index, mien_error *err);

MIEN_END_DECLS

#endif
