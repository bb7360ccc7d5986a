/* OpenVINO operators with weights or windows: convolutions, pooling, MatMul, normalisations, Interpolate. */
#include "nn/ir_read.h"
#include <math.h>
#include <string.h>

/* Two numbers; absent: 1, 1. */
static void read_pair(const mien__ir_node *n, const char *key, int64_t ret[2])
{
    int64_t v[2];
    const size_t count = mien__ir_ints(n, key, v, 2);
    ret[0] = ret[1] = 1;
    if (count == 2)
        memcpy(ret, v, sizeof v);
    else if (count != 0)
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only two-dimensional windows are supported");
}

static void read_pads(const mien__ir_node *n, const int64_t kernel[2], const int64_t stride[2],
                      const int64_t dilation[2], int64_t ret[4])
{
    memset(ret, 0, 4 * sizeof *ret);
    const bool upper = mien__ir_is(n, "auto_pad", "explicit", "same_upper");
    const bool lower = mien__ir_is(n, "auto_pad", "explicit", "same_lower");
    if (upper || lower) {
        mien__import_same_pad(n->imp, mien__ir_in(n, 0), lower, kernel, stride, dilation, ret);
    } else if (!mien__ir_is(n, "auto_pad", "explicit", "valid")) {
        (void)mien__ir_ints(n, "pads_begin", &ret[0], 2);
        (void)mien__ir_ints(n, "pads_end", &ret[2], 2);
    }
}

/* GroupConvolution's weights [g][oc/g][ic/g][kh][kw] are the same bytes as [oc][ic/g][kh][kw]. */
void mien__ir_conv(const mien__ir_node *n)
{
    int64_t stride[2], dilation[2], pad[4], group = 1;
    const bool grouped = strcmp(n->layer->type, "GroupConvolution") == 0;
    uint32_t weights = mien__ir_in(n, 1);
    if (!mien__import_is_const(n->imp, weights) || n->imp->g->values[weights].rank != (grouped ? 5 : 4)) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                "only two-dimensional convolution with constant weights");
        return;
    }
    if (grouped) {
        const int64_t *const w = n->imp->g->values[weights].dims;
        group = w[0];
        weights = mien__import_const_view(n->imp, weights, MIEN__NO_VALUE, 4,
                                          (const int64_t[]){ w[0] * w[1], w[2], w[3], w[4] });
        if (weights == MIEN__NO_VALUE)
            return;
    }
    int64_t kernel[2];
    memcpy(kernel, &n->imp->g->values[weights].dims[2], sizeof kernel);
    read_pair(n, "strides", stride);
    read_pair(n, "dilations", dilation);
    read_pads(n, kernel, stride, dilation, pad);
    const uint32_t in[2] = { mien__ir_in(n, 0), weights };
    mien__draft d = mien__draft_of(MIEN__OP_Conv, in, 2);
    mien__draft_ints(&d, MIEN__ATTR_KERNEL, kernel, 2);
    mien__draft_ints(&d, MIEN__ATTR_STRIDE, stride, 2);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pad, 4);
    mien__draft_ints(&d, MIEN__ATTR_DILATION, dilation, 2);
    mien__draft_int(&d, MIEN__ATTR_GROUP, group);
    mien__ir_emit(n, &d);
}

void mien__ir_pool(const mien__ir_node *n)
{
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    const bool average = strcmp(n->layer->type, "AvgPool") == 0;
    const uint32_t x = mien__ir_in(n, 0);
    read_pair(n, "kernel", kernel);
    read_pair(n, "strides", stride);
    read_pair(n, "dilations", dilation);
    read_pads(n, kernel, stride, dilation, pad);
    mien__draft d = mien__draft_of(average ? MIEN__OP_AvgPool : MIEN__OP_MaxPool, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_KERNEL, kernel, 2);
    mien__draft_ints(&d, MIEN__ATTR_STRIDE, stride, 2);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pad, 4);
    mien__draft_ints(&d, MIEN__ATTR_DILATION, dilation, 2);
    mien__draft_int(&d, MIEN__ATTR_CEIL, mien__ir_is(n, "rounding_type", "floor", "ceil"));
    if (average)
        mien__draft_int(&d, MIEN__ATTR_COUNT_PAD, !mien__ir_true(n, "exclude-pad", true));
    mien__ir_emit(n, &d);
}

/* Swap the last two axes. */
static uint32_t swap_last(const mien__ir_node *n, uint32_t x)
{
    int64_t perm[MIEN_MAX_RANK];
    const mien__tensor *const t = mien__import_shape_of(n->imp, x);
    if (!t || t->rank < 2) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "transposing needs an input of known rank");
        return MIEN__NO_VALUE;
    }
    const int rank = t->rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    mien__draft d = mien__draft_of(MIEN__OP_Transpose, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_PERM, perm, (size_t)rank);
    return mien__import_emit1(n->imp, &d, MIEN__NO_VALUE);
}

void mien__ir_matmul(const mien__ir_node *n)
{
    uint32_t a = mien__ir_in(n, 0), b = mien__ir_in(n, 1);
    bool trans_b = mien__ir_true(n, "transpose_b", false);
    if (mien__ir_true(n, "transpose_a", false))
        a = swap_last(n, a);
    const mien__tensor *const t = mien__import_shape_of(n->imp, a);
    const bool dense =
        t && t->rank == 2 && mien__import_is_const(n->imp, b) && n->imp->g->values[b].rank == 2;
    if (trans_b != dense)
        b = swap_last(n, b); /* Gemm wants [m][k], MatMul [k][m] */
    (void)mien__import_op2(n->imp, dense ? MIEN__OP_Gemm : MIEN__OP_MatMul, a, b, mien__ir_out(n));
}

/* Opset 1 has the data third, opset 5 first. */
void mien__ir_batch_norm(const mien__ir_node *n)
{
    const bool old = strcmp(n->layer->version, "opset1") == 0;
    const uint32_t x = mien__ir_in(n, old ? 2 : 0);
    const uint32_t p[4] = { mien__ir_in(n, old ? 0 : 1), mien__ir_in(n, old ? 1 : 2), mien__ir_in(n, 3),
                            mien__ir_in(n, 4) };
    const double eps = mien__ir_float(n, "epsilon", mien__ir_float(n, "eps", 1e-5));
    mien__import_batch_norm(n->imp, x, p, eps, mien__ir_out(n));
}

/* eps_mode max: x / sqrt(max(sum x^2, eps)); add: x / sqrt(sum x^2 + eps). */
void mien__ir_normalize(const mien__ir_node *n)
{
    int64_t count = 0;
    const uint32_t x = mien__ir_in(n, 0);
    const double eps = mien__ir_float(n, "eps", 1e-12);
    const int64_t *const axes = mien__import_i64(n->imp, mien__ir_in(n, 1), "the axes", &count);
    if (!axes || eps < 0.0)
        return;
    if (mien__ir_is(n, "eps_mode", "add", "max")) {
        mien__draft d = mien__draft_of(MIEN__OP_L2Normalize, &x, 1);
        mien__draft_ints(&d, MIEN__ATTR_AXES, axes, (size_t)count);
        mien__draft_float(&d, MIEN__ATTR_EPSILON, sqrt(eps));
        mien__ir_emit(n, &d);
        return;
    }
    const uint32_t square = mien__import_op2(n->imp, MIEN__OP_Mul, x, x, MIEN__NO_VALUE);
    mien__draft d = mien__draft_of(MIEN__OP_ReduceSum, &square, 1);
    mien__draft_ints(&d, MIEN__ATTR_AXES, axes, (size_t)count);
    mien__draft_int(&d, MIEN__ATTR_KEEPDIMS, 1);
    uint32_t sum = mien__import_emit1(n->imp, &d, MIEN__NO_VALUE);
    sum =
        mien__import_op2(n->imp, MIEN__OP_Add, sum, mien__import_scalar(n->imp, (float)eps), MIEN__NO_VALUE);
    const uint32_t norm = mien__import_op1(n->imp, MIEN__OP_Sqrt, sum, MIEN__NO_VALUE);
    (void)mien__import_op2(n->imp, MIEN__OP_Div, x, norm, mien__ir_out(n));
}

/* ---- Interpolate ---- */

typedef struct interpolation {
    int64_t mode, coord, round, axes[MIEN_MAX_RANK];
    size_t n_axes;
    bool by_scales;
    uint32_t arg; /* sizes (int64) or scales (float) of the axes */
} interpolation;

static int64_t choose(const mien__ir_node *n, const char *key, const char *fallback, const char *const *names,
                      int count)
{
    for (int i = 0; i < count; i++)
        if (mien__ir_is(n, key, fallback, names[i]))
            return i;
    (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "this %s is not supported", key);
    return 0;
}

static bool any_nonzero_pad(const mien__ir_node *n)
{
    static const char *const keys[2] = { "pads_begin", "pads_end" };
    for (int k = 0; k < 2; k++) {
        int64_t v[MIEN_MAX_RANK];
        const size_t count = mien__ir_ints(n, keys[k], v, MIEN_MAX_RANK);
        for (size_t i = 0; i < count; i++)
            if (v[i] != 0)
                return true;
    }
    return false;
}

/* Read one of the three generations of the operator. */
static void read_interpolation(const mien__ir_node *n, interpolation *r)
{
    static const char *const modes[] = { "nearest", "linear", "linear_onnx" };
    static const char *const coords[] = { "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel" };
    static const char *const rounds[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                          "simple" };
    static const char *const shapes[] = { "sizes", "scales" };
    const bool v1 = strcmp(n->layer->version, "opset1") == 0, v11 = strcmp(n->layer->version, "opset11") == 0;
    const uint32_t axes = mien__ir_in(n, v11 ? 2 : 3);
    memset(r, 0, sizeof *r);
    r->mode = choose(n, "mode", "nearest", modes, 3) != 0;
    if (mien__ir_true(n, "antialias", false) || any_nonzero_pad(n))
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only plain resizing is supported");
    if (v1) {
        r->coord =
            mien__ir_true(n, "align_corners", false) ? MIEN__COORD_ALIGN_CORNERS : MIEN__COORD_ASYMMETRIC;
        r->round = MIEN__ROUND_FLOOR;
        r->n_axes = mien__ir_ints(n, "axes", r->axes, MIEN_MAX_RANK);
        r->arg = mien__ir_in(n, 1);
        return;
    }
    r->coord = choose(n, "coordinate_transformation_mode", "half_pixel", coords, 4);
    r->round = choose(n, "nearest_mode", "round_prefer_floor", rounds, 5);
    r->round = r->round == 4 ? MIEN__ROUND_FLOOR : r->round; /* "simple" is floor when enlarging */
    r->by_scales = choose(n, "shape_calculation_mode", "sizes", shapes, 2) == 1;
    r->arg = mien__ir_in(n, v11 || !r->by_scales ? 1 : 2);
    if (axes == MIEN__NO_VALUE) {
        r->n_axes = 4;
        for (int i = 0; i < 4; i++)
            r->axes[i] = i;
        return;
    }
    int64_t count = 0;
    const int64_t *const v = mien__import_i64(n->imp, axes, "the axes", &count);
    if (v && count <= MIEN_MAX_RANK)
        memcpy(r->axes, v, (size_t)count * sizeof *v);
    r->n_axes = v && count <= MIEN_MAX_RANK ? (size_t)count : 0;
}

/* All four sizes or scales as one constant. */
static uint32_t target_of(const mien__ir_node *n, const interpolation *r)
{
    static const int64_t four = 4;
    int64_t count = 0, sizes[4] = { 1, 1, 1, 1 };
    void *data = NULL;
    const mien__tensor *const t = mien__import_shape_of(n->imp, mien__ir_in(n, 0));
    const float *const f = r->by_scales ? mien__import_f32(n->imp, r->arg, "scales", &count) : NULL;
    const int64_t *const v = r->by_scales ? NULL : mien__import_i64(n->imp, r->arg, "sizes", &count);
    if ((!f && !v) || count != (int64_t)r->n_axes || (v && (!t || t->rank != 4))) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "resizing needs constants and a known shape");
        return MIEN__NO_VALUE;
    }
    if (v)
        memcpy(sizes, t->dims, sizeof sizes);
    const uint32_t out =
        mien__import_const(n->imp, MIEN__NO_VALUE, f ? MIEN__F32 : MIEN__I64, 1, &four, &data);
    for (int i = 0; data && i < 4; i++)
        if (f)
            ((float *)data)[i] = 1.0f;
        else
            ((int64_t *)data)[i] = sizes[i];
    for (size_t i = 0; data && i < r->n_axes; i++) {
        const int64_t axis = r->axes[i] < 0 ? r->axes[i] + 4 : r->axes[i];
        if (axis < 0 || axis > 3)
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "axis %lld", (long long)r->axes[i]);
        else if (f)
            ((float *)data)[axis] = f[i];
        else
            ((int64_t *)data)[axis] = v[i];
    }
    return out;
}

void mien__ir_interpolate(const mien__ir_node *n)
{
    interpolation r;
    read_interpolation(n, &r);
    uint32_t arg = n->imp->status == MIEN_OK ? target_of(n, &r) : MIEN__NO_VALUE;
    if (n->imp->status != MIEN_OK)
        return;
    const uint32_t scales =
        r.by_scales ? MIEN__NO_VALUE : mien__import_sizes_to_scales(n->imp, mien__ir_in(n, 0), arg);
    arg = scales != MIEN__NO_VALUE ? scales : arg;
    const uint32_t in[2] = { mien__ir_in(n, 0), arg };
    mien__draft d = mien__draft_of(MIEN__OP_Resize, in, 2);
    mien__draft_int(&d, MIEN__ATTR_MODE, r.mode);
    mien__draft_int(&d, MIEN__ATTR_COORD, r.coord);
    mien__draft_int(&d, MIEN__ATTR_ROUND, r.round);
    mien__draft_int(&d, MIEN__ATTR_SIZES, !r.by_scales && scales == MIEN__NO_VALUE);
    mien__ir_emit(n, &d);
}
