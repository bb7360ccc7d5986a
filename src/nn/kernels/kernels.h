/* The table of fast kernels for one instruction set. The planner asks a table what it can do; what it cannot
 * is run by the operator's reference in ops/, with tensors re-ordered at the seams.
 *
 * Blocked layout: float x[n][ceil(c/B)][h][w][B] with B = block (8 or 16), 64-byte aligned; lanes past c hold
 * finite values that no kernel lets reach a real channel (weights there are zero). Plain layout: NCHW
 * row-major.
 *
 * Contract of every kernel: results do not depend on the pool's size, on the batch an image is in, or on
 * alignment; no allocation; scratch comes from the caller, sized by the plan.
 */
#ifndef MIEN_SRC_NN_KERNELS_H
#define MIEN_SRC_NN_KERNELS_H

#include "base/base.h"

typedef enum mien__act {
    MIEN__ACT_NONE,
    MIEN__ACT_RELU,
    MIEN__ACT_LEAKY, /* alpha */
    MIEN__ACT_PRELU, /* per-channel slopes */
    MIEN__ACT_SIGMOID,
    MIEN__ACT_TANH,
    MIEN__ACT_HSIGMOID, /* alpha, beta */
    MIEN__ACT_HSWISH,
    MIEN__ACT_CLIP,  /* alpha = min, beta = max */
    MIEN__ACT_SWISH, /* x * sigmoid(x) */
    MIEN__ACT_GELU,
} mien__act;

/* What is done to each output on its way to memory: y = act2(act(x + bias) + residual) */
typedef struct mien__post {
    mien__act act;
    float alpha, beta;
    bool residual;  /* add a tensor of the output's shape and layout; it may be the output itself when act is
                       one of NONE, RELU, LEAKY, PRELU, CLIP */
    mien__act act2; /* after the residual: NONE, RELU or PRELU */
} mien__post;

/* A convolution as planned. Any dense, grouped or depthwise case; the table says which it takes. */
typedef struct mien__conv {
    int n, ic, ih, iw, oc, oh, ow;
    int kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, groups;
    bool src_plain; /* first layer: source in NCHW (ic <= 4) instead of blocked */
    mien__post post;
    bool pre_affine; /* x -> scale[c] x + shift[c] on real pixels before padding (BN in front) */
    bool pool;       /* last, the largest of each 2x2: the result has oh/2 x ow/2 pixels */
} mien__conv;

typedef struct mien__conv_weights { /* plain, as in the graph; NULL where absent */
    const float *w, *bias, *slope, *slope2, *pre_scale, *pre_shift; /* slopes per output channel */
} mien__conv_weights;

typedef struct mien__conv_plan {
    mien__conv c;
    int algo;             /* private to the table */
    const char *kernel;   /* "winograd4x4/avx512", static */
    size_t packed_bytes;  /* of pack()'s output */
    size_t scratch_bytes; /* for a run with `threads` workers */
    unsigned threads;
    int tune[8]; /* private to the table */
} mien__conv_plan;

typedef struct mien__pool2d {
    int n, c, ih, iw, oh, ow, kh, kw, sh, sw, pt, pl, pb, pr;
    bool is_max, count_pad;
} mien__pool2d;

typedef struct mien__kernels {
    const char *name; /* as mien_cpu_level() */
    int block;

    /* Plan a convolution; false when this table has no kernel for it. */
    bool (*conv_plan)(const mien__conv *c, unsigned threads, mien__conv_plan *ret);
    void (*conv_pack)(const mien__conv_plan *p, const mien__conv_weights *w, void *packed);
    void (*conv_run)(const mien__conv_plan *p, const void *packed, const float *src, const float *residual,
                     float *dst, void *scratch, mien__pool *pool);

    /* y[n][m] = act(x[n][k] w^T + b), plain tensors; w packed. slope per m for PRELU, may be NULL. */
    size_t (*fc_packed_bytes)(int m, int k);
    void (*fc_pack)(int m, int k, const float *w, const float *bias, void *packed);
    void (*fc_run)(int n, int m, int k, const void *packed, const float *slope, const mien__post *post,
                   const float *src, float *dst, mien__pool *pool);

    /* layout changes */
    void (*to_blocked)(int n, int c, int hw, const float *src, float *dst, mien__pool *pool);
    void (*to_plain)(int n, int c, int hw, const float *src, float *dst, mien__pool *pool);

    /* on blocked tensors; `per_channel` operands are [ceil(c/B)*B] floats, zero padded */
    void (*pool2d)(const mien__pool2d *p, const float *src, float *dst, mien__pool *pool);
    void (*global_avg)(int n, int c, int hw, const float *src, float *dst /* blocked, 1x1 */,
                       mien__pool *pool);
    void (*affine)(int n, int c, int hw, const float *scale, const float *shift, const mien__post *post,
                   const float *slope, const float *src, float *dst, mien__pool *pool); /* scale NULL: 1 */
    /* elementwise over `count` floats, any layout: op is MIEN__OP_Add / Sub / Mul / Div / Max / Min */
    void (*binary)(int op, size_t count, const float *a, const float *b, float *dst, const mien__post *post,
                   mien__pool *pool);
    /* dst = src * gate[n][c] (gate blocked 1x1), squeeze-excite */
    void (*scale_channels)(int n, int c, int hw, const float *src, const float *gate, float *dst,
                           mien__pool *pool);
    void (*upsample_nearest)(int n, int c, int ih, int iw, int fh, int fw, const float *src, float *dst,
                             mien__pool *pool);
    /* elementwise activation over plain or blocked floats (no per-channel kinds) */
    void (*activate)(mien__act act, float alpha, float beta, size_t count, const float *src, float *dst,
                     mien__pool *pool);
    /* fused pre-processing: rgb8 -> plain float planes, dst[c][h][w] = (x - mean[c]) * scale[c]; swap = BGR.
     * Where dst is larger than the picture it is black (x = 0); where smaller, the picture is cut. */
    void (*rgb8_to_planes)(const uint8_t *src, int w, int h, size_t stride_bytes, bool swap,
                           const float mean[3], const float scale[3], float *dst, int dst_w, int dst_h);
} mien__kernels;

/* The table for the level in force; NULL for scalar (everything runs by reference). */
const mien__kernels *mien__kernels_get(void);
/* The table for a level, NULL when not built in or the CPU lacks it (tests compare levels with this). */
const mien__kernels *mien__kernels_for(mien__cpu_level level);

#endif
