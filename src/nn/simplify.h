/* Shared by the simplifier's passes: who makes and who reads each value, and rewriting. */
#ifndef MIEN_SRC_NN_SIMPLIFY_H
#define MIEN_SRC_NN_SIMPLIFY_H

#include "nn/ops.h"

#define MIEN__NOBODY UINT32_MAX

/* Removed nodes have op MIEN__OP_NONE until the graph is compacted. */
typedef struct mien__simp {
    mien__graph *g;
    uint32_t *producer; /* node per value, or MIEN__NOBODY */
    uint32_t *uses;     /* reads by nodes; +1 for a network output */
    uint32_t *user;     /* the last node that reads it */
    uint32_t n_alloc;   /* values the arrays have room for */
    mien_error *err;
    bool changed;
} mien__simp;

/* Recount producers and readers after rewriting. */
mien_status mien__simp_index(mien__simp *s);
/* The node that makes value v when it is of kind `op` (NONE: any), else NULL. */
mien__node *mien__simp_made_by(const mien__simp *s, uint32_t v, mien__op op);
/* The only reader of v when it is of kind `op` (NONE: any), else NULL. */
mien__node *mien__simp_sole_user(const mien__simp *s, uint32_t v, mien__op op);
/* Let everybody who reads `from` (also as network output) read `to`. */
void mien__simp_replace(mien__simp *s, uint32_t from, uint32_t to);
void mien__simp_remove(mien__simp *s, mien__node *n);
/* Constant float data of a value, or NULL; *ret_n its elements. */
const float *mien__simp_const(const mien__simp *s, uint32_t v, int64_t *ret_n);
/* Is v a constant of one element with about this value? */
bool mien__simp_is_number(const mien__simp *s, uint32_t v, double want);
/* Add a constant; its data is fresh memory for the caller to fill. */
mien_status mien__simp_new_const(mien__simp *s, const char *name, int rank, const int64_t *dims,
                                 float **ret_data, uint32_t *ret);

mien_status mien__simp_fold_affine(mien__simp *s);    /* BN and per-channel arithmetic into Conv and Gemm */
mien_status mien__simp_merge_siblings(mien__simp *s); /* heads of detectors */
mien_status mien__simp_patterns(mien__simp *s);       /* spelt-out Gelu, LayerNorm, HardSwish, L2Normalize */

#endif
