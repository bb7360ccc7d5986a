/* Grouping the faces of an album into people, without knowing who they are.
 *
 * mien_cluster() is the bare step: vectors in, group numbers out. mien_album (<mien/album.h>) keeps the
 * faces, groups, names and corrections of a collection in a file and calls it as pictures come in.
 */
#ifndef MIEN_CLUSTER_H
#define MIEN_CLUSTER_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

enum {
    MIEN_CLUSTER_NONE = -1,          /**< group of a face that belongs to none */
    MIEN_CLUSTER_MAX_FACES = 4000000 /**< in one call */
};

/** "This face is not that person." */
typedef struct mien_cluster_not {
    size_t face;   /**< index of the face */
    int32_t group; /**< a group of `fixed` that it must not join */
} mien_cluster_not;

/** The faces to group. Nothing is modified or kept. */
typedef struct mien_cluster_input {
    const float *vecs; /**< [n][dim] unit vectors of one model */
    size_t n, dim;
    const uint64_t *pictures; /**< [n] which picture a face is from: two faces of one picture are never put
                                   into one group; 0: of no picture. NULL: all 0 */
    const float *quality;     /**< [n] higher is better, decides who represents a group; NULL */
    const int32_t *fixed;     /**< [n] the group a face belongs to whatever the vectors say, 0 and up, or
                                   MIEN_CLUSTER_NONE; fixed groups are joined by others, never merged. NULL */
    const mien_cluster_not *nots; /**< [n_nots] */
    size_t n_nots;
} mien_cluster_input;

/** Say how far a call has come; return non-zero to end it with E_INTERRUPTED. On the caller's thread. */
typedef int (*mien_cluster_progress_fn)(uint64_t done, uint64_t total, void *user);

typedef struct mien_cluster_opts {
    size_t struct_size;
    double link;    /**< cosine from which two faces count as neighbours; no default */
    double pair;    /**< mean cosine to the rest that a face of a group of two must reach, >= link; between
                         link and pair for larger groups; no default. mien_cluster_thresholds() */
    int min_faces;  /**< smaller groups are dissolved; default 2 */
    int neighbours; /**< nearest faces kept for each face, 1..512; default 64 */
    int32_t first_group;               /**< new groups are numbered from here at least; default 0 */
    uint64_t seed;                     /**< of the order in which faces are visited; default 1 */
    unsigned threads;                  /**< default 1; 0: all processors */
    mien_cluster_progress_fn progress; /**< NULL: none */
    void *user;
} mien_cluster_opts;

#define MIEN_CLUSTER_OPTS_INIT                                      \
    {                                                               \
        sizeof(mien_cluster_opts), 2, 2, 2, 64, 0, 1, 1, NULL, NULL \
    }

/** What became of a face. */
typedef struct mien_cluster_face {
    int32_t group;      /**< of `fixed`, or a new one, or MIEN_CLUSTER_NONE */
    float similarity;   /**< mean cosine to the others of its group; 0 where there is none */
    float confidence;   /**< in [0, 1]: how firmly it belongs there; 0 where there is none */
    int representative; /**< 1: the one face to show for its group */
} mien_cluster_face;

struct mien_model;

/** Look up both thresholds of mien_cluster_opts in a model's calibration.
 *  @param n         faces to group
 *  @param pair_fmr  false match rate at which a group of two stands; 0: such that a stranger has at most 0.2
 *                   false partners among n faces, at most 1e-4, as far as the model's table goes
 *  @param link_fmr  that of a link; 0: 2e-3
 *  @return MIEN_OK; E_NOT_FOUND when the model is not calibrated for a rate; E_ARG */
MIEN_API MIEN_MUST_USE mien_status mien_cluster_thresholds(const struct mien_model *model, size_t n,
                                                           double pair_fmr, double link_fmr, double *ret_link,
                                                           double *ret_pair, mien_error *err);

/** Group faces into people.
 *  Chinese whispers (Biemann 2006) over the links between near faces, each weighing how far its cosine
 * exceeds `link`; then faces that are not near enough the rest of their group are taken out again, and what
 * is left over gets further rounds. docs/cluster.md has the method and its figures. The groups are the same
 * for any number of threads and any order of the faces; only the numbers of new groups follow from the order.
 *  @param ret_faces     [n]; new groups are numbered after the greatest of `fixed` and from first_group,
 *                       largest first; a face of no picture represents a group of such faces only
 *  @param ret_n_groups  the number after the greatest; may be NULL
 *  @return MIEN_OK, with n = 0 too; E_ARG (thresholds out of order, a vector that is not finite or not of
 * unit length, an index out of range); E_LIMIT; E_NOMEM; E_INTERRUPTED: nothing is written then
 *  @threads any.  @cost n * n * dim multiplications, about 16 n * neighbours + 8 n * dim bytes */
MIEN_API MIEN_MUST_USE mien_status mien_cluster(const mien_cluster_input *input,
                                                const mien_cluster_opts *opts, mien_cluster_face *ret_faces,
                                                int32_t *ret_n_groups, mien_error *err);

/** How well groups match known people. Each in [0, 1]. */
typedef struct mien_cluster_scores {
    size_t n_faces, n_people, n_groups;          /**< groups of one face are counted, too */
    double b_precision, b_recall, b_f1;          /**< B-cubed: mean over faces (Bagga, Baldwin 1998) */
    double pair_precision, pair_recall, pair_f1; /**< over pairs of faces; 1 where there is no pair */
} mien_cluster_scores;

/** Compare groups with the truth. A face of no group counts as a group of its own.
 *  @param groups, people  [n]
 *  @return MIEN_OK; E_EVAL_DATA when n is 0; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_cluster_score(const int32_t *groups, const int32_t *people, size_t n,
                                                      mien_cluster_scores *ret, mien_error *err);

MIEN_END_DECLS

#endif
