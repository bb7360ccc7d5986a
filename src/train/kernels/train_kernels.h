/* The table of fast training kernels for one instruction set: what the backward pass needs beside the forward
 * table (nn/kernels/kernels.h), on the same blocked layout and under the same contract: results do not depend
 * on the pool's size or on alignment, no allocation, scratch comes from the caller.
 *
 * What a table cannot do is run by the operators' reference backward in nn/ops/, with tensors re-ordered at
 * the seams. Gradients of blocked tensors hold finite values in the lanes past c, as the tensors do.
 */
#ifndef MIEN_SRC_TRAIN_KERNELS_H
#define MIEN_SRC_TRAIN_KERNELS_H

#include "nn/kernels/kernels.h"

/* The gradient of a convolution's input, as planned. */
typedef struct mien__conv_dx_plan {
    mien__conv c;         /* the forward convolution; its post is ignored */
    mien__conv_plan conv; /* stride 1: a forward convolution with turned weights */
    int algo;             /* private to the table */
    size_t packed_bytes, scratch_bytes;
} mien__conv_dx_plan;

/* Batch normalisation with its activation, over n * hw values per channel; arrays [ceil(c/B)*B], zero padded.
 */
typedef struct mien__bn_act {
    int n, c, hw;
    const float *mean, *inv_std, *gamma, *beta;
    mien__act act;      /* NONE, RELU, PRELU or CLIP */
    float alpha, limit; /* CLIP: min, max */
    const float *slope; /* PRELU */
} mien__bn_act;

typedef struct mien__train_kernels {
    const char *name;
    int block;

    /* d_w[oc][ic/g][kh][kw] = sum over images and pixels of d_dst x; d_bias[oc] (NULL: not wanted) likewise.
     * Both plain, overwritten. src blocked, or NCHW when c->src_plain; d_dst blocked. */
    bool (*conv_dw_can)(const mien__conv *c);
    size_t (*conv_dw_scratch)(const mien__conv *c);
    void (*conv_dw)(const mien__conv *c, const float *src, const float *d_dst, float *d_w, float *d_bias,
                    void *scratch, mien__pool *pool);

    /* d_src (blocked) = the gradient of the input; with add, on top of what is there. w plain, packed anew
     * after each step of the optimiser. */
    bool (*conv_dx_plan)(const mien__conv *c, unsigned threads, mien__conv_dx_plan *ret);
    void (*conv_dx_pack)(const mien__conv_dx_plan *p, const float *w, void *packed);
    void (*conv_dx_run)(const mien__conv_dx_plan *p, const void *packed, const float *d_dst, bool add,
                        float *d_src, void *scratch, mien__pool *pool);

    /* mean and biased variance of each channel, [c]; sums in float per row piece, combined in double */
    void (*bn_stats)(int n, int c, int hw, const float *x, float *ret_mean, float *ret_var, mien__pool *pool);
    /* y = act(gamma (x - mean) inv_std + beta) with batch statistics: gradients of x, and of gamma, beta and
     * slope, [c] each (d_slope NULL unless PRELU); x and d_y blocked, d_x may be d_y. */
    void (*bn_act_backward)(const mien__bn_act *p, const float *x, const float *d_y, float *d_x,
                            float *d_gamma, float *d_beta, float *d_slope, mien__pool *pool);

    /* y = act(x): d_x = d_y act'(x), d_slope[c] for PRELU (slope is [c], too); any kind of mien__act that has
     * a derivative; d_x may be d_y */
    bool (*act_can)(mien__act act);
    void (*act_backward)(int n, int c, int hw, mien__act act, float alpha, float beta, const float *slope,
                         const float *x, const float *d_y, float *d_x, float *d_slope, mien__pool *pool);

    /* max pooling: the gradient goes to the first greatest element of each window; d_src is overwritten */
    void (*maxpool_backward)(const mien__pool2d *p, const float *src, const float *dst, const float *d_dst,
                             float *d_src, mien__pool *pool);
    /* nearest up-sampling by fh x fw: sums */
    void (*upsample_backward)(int n, int c, int ih, int iw, int fh, int fw, const float *d_dst, float *d_src,
                              mien__pool *pool);
    /* global average: d_src = d_dst / hw everywhere */
    void (*global_avg_backward)(int n, int c, int hw, const float *d_dst, float *d_src, mien__pool *pool);
    /* dst = src * gate[n][c]: d_src, d_gate (overwritten) */
    void (*scale_channels_backward)(int n, int c, int hw, const float *src, const float *gate,
                                    const float *d_dst, float *d_src, float *d_gate, mien__pool *pool);

    /* dst += src over count floats, any layout */
    void (*accumulate)(size_t count, const float *src, float *dst, mien__pool *pool);

    /* C[m][n] (ld = ldc) = (add ? C : 0) + A B, where A is a[m][k] or, with ta, a[k][m]; B is b[k][n] or,
     * with tb, b[n][k]. Plain row-major. The one matrix product of training: fully connected layers, class
     * heads, similarity matrices. scratch as gemm_scratch() says. */
    size_t (*gemm_scratch)(int m, int n, int k);
    void (*gemm)(int m, int n, int k, const float *a, int lda, bool ta, const float *b, int ldb, bool tb,
                 float *c, int ldc, bool add, void *scratch, mien__pool *pool);
} mien__train_kernels;

/* The table for the level in force; NULL for scalar (everything runs by reference). */
const mien__train_kernels *mien__train_kernels_get(void);
/* The table for a level, NULL when not built in or the CPU lacks it. */
const mien__train_kernels *mien__train_kernels_for(mien__cpu_level level);

#endif
