/* ONNX operators that move, cut and reduce: what is an attribute in one operator set and an input in the next
 * ends up as the one form of graph.h.
 *
 * A constant target shape or size that begins with the declared batch of 1 is rewritten so that it follows
 * the input's batch: the result at the declared size is the same, and batches become possible.
 */
#include "nn/onnx_read.h"
#include <math.h>
#include <string.h>

void mien__onnx_constant(mien__onnx_node *n)
{
    const MienOnnx__Attribute *a = mien__onnx_attr(n, "value");
    void *data = NULL;
    if (a && a->t) {
        (void)mien__onnx_tensor(n->imp, a->t, n->out[0]);
    } else if ((a = mien__onnx_attr(n, "value_float")) != NULL) {
        if (mien__import_const(n->imp, n->out[0], MIEN__F32, 0, NULL, &data) != MIEN__NO_VALUE)
            *(float *)data = a->f;
    } else if ((a = mien__onnx_attr(n, "value_int")) != NULL) {
        if (mien__import_const(n->imp, n->out[0], MIEN__I64, 0, NULL, &data) != MIEN__NO_VALUE)
            *(int64_t *)data = a->i;
    } else if ((a = mien__onnx_attr(n, "value_floats")) != NULL) {
        const int64_t count = (int64_t)a->n_floats;
        if (mien__import_const(n->imp, n->out[0], MIEN__F32, 1, &count, &data) != MIEN__NO_VALUE && count)
            memcpy(data, a->floats, a->n_floats * sizeof *a->floats);
    } else if ((a = mien__onnx_attr(n, "value_ints")) != NULL) {
        const int64_t count = (int64_t)a->n_ints;
        if (mien__import_const(n->imp, n->out[0], MIEN__I64, 1, &count, &data) != MIEN__NO_VALUE && count)
            memcpy(data, a->ints, a->n_ints * sizeof *a->ints);
    } else {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "the constant is neither a tensor nor numbers");
    }
}

void mien__onnx_cast(mien__onnx_node *n)
{
    enum { ONNX_BOOL = 9 };
    const int64_t to = mien__onnx_int(n, "to", 0);
    const uint32_t x = mien__onnx_in(n, 0);
    const mien__dtype dtype = to > 0 && to < 64 ? mien__onnx_dtype((int32_t)to) : (mien__dtype)0;
    if (to == ONNX_BOOL && !(x != MIEN__NO_VALUE && n->imp->g->values[x].dtype == MIEN__I64)) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "conversion to bool is not supported");
        return;
    }
    if (!dtype) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "conversion to element type %lld is not supported",
                                (long long)to);
        return;
    }
    mien__draft d = mien__draft_of(MIEN__OP_Cast, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_TO, dtype);
    mien__onnx_emit(n, &d);
}

void mien__onnx_concat(mien__onnx_node *n)
{
    mien__draft d = mien__draft_of(MIEN__OP_Concat, n->in, n->n_in);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__onnx_int(n, "axis", 1));
    mien__onnx_emit(n, &d);
}

void mien__onnx_split(mien__onnx_node *n)
{
    size_t count = 0;
    const uint32_t x = mien__onnx_in(n, 0);
    const int64_t *const split = mien__onnx_ints_or_input(n, "split", 1, &count);
    mien__draft d = mien__draft_of(MIEN__OP_Split, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__onnx_int(n, "axis", 0));
    if (split)
        mien__draft_ints(&d, MIEN__ATTR_SPLIT, split, count);
    mien__import_emit(n->imp, &d, n->out, n->n_out);
}

void mien__onnx_slice(mien__onnx_node *n)
{
    static const char *const attr[3] = { "starts", "ends", "axes" };
    uint32_t in[5] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_in(n, 2), mien__onnx_in(n, 3),
                       mien__onnx_in(n, 4) };
    uint32_t n_in = 5;
    for (uint32_t i = 0; n->opset < 10 && i < 3; i++) {
        size_t count = 0;
        const int64_t *const v = mien__onnx_ints(n, attr[i], &count);
        in[i + 1] = v ? mien__import_i64s(n->imp, v, (uint32_t)count) : MIEN__NO_VALUE;
    }
    while (n_in > 3 && in[n_in - 1] == MIEN__NO_VALUE)
        n_in--;
    const mien__draft d = mien__draft_of(MIEN__OP_Slice, in, n_in);
    mien__onnx_emit(n, &d);
}

void mien__onnx_reshape(mien__onnx_node *n)
{
    uint32_t shape = mien__onnx_in(n, 1);
    if (mien__onnx_int(n, "allowzero", 0) != 0) {
        int64_t count = 0;
        const int64_t *const v = mien__import_i64(n->imp, shape, "the shape", &count);
        for (int64_t i = 0; v && i < count; i++)
            if (v[i] == 0)
                (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                        "allowzero with a size of 0 is not supported");
    }
    if (n->imp->status == MIEN_OK && shape != MIEN__NO_VALUE)
        shape = mien__import_follow_batch(n->imp, mien__onnx_in(n, 0), shape);
    (void)mien__import_op2(n->imp, MIEN__OP_Reshape, mien__onnx_in(n, 0), shape, mien__onnx_out(n, 0));
}

void mien__onnx_flatten(mien__onnx_node *n)
{
    const uint32_t x = mien__onnx_in(n, 0);
    mien__draft d = mien__draft_of(MIEN__OP_Flatten, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__onnx_int(n, "axis", 1));
    mien__onnx_emit(n, &d);
}

/* Squeeze and Unsqueeze: axes are an attribute before opset 13, an input from then on. */
void mien__onnx_squeeze(mien__onnx_node *n)
{
    size_t count = 0;
    const uint32_t x = mien__onnx_in(n, 0);
    const int64_t *const axes = mien__onnx_ints_or_input(n, "axes", 1, &count);
    mien__draft d = mien__draft_of(mien__op_by_name(n->pb->op_type), &x, 1);
    if (axes)
        mien__draft_ints(&d, MIEN__ATTR_AXES, axes, count);
    mien__onnx_emit(n, &d);
}

void mien__onnx_transpose(mien__onnx_node *n)
{
    size_t count = 0;
    const uint32_t x = mien__onnx_in(n, 0);
    const int64_t *const perm = mien__onnx_ints(n, "perm", &count);
    mien__draft d = mien__draft_of(MIEN__OP_Transpose, &x, 1);
    if (perm)
        mien__draft_ints(&d, MIEN__ATTR_PERM, perm, count);
    mien__onnx_emit(n, &d);
}

/* ---- Pad ---- */

/* Spread pads given for some axes (opset 18) over all of them. */
static const int64_t *spread_pads(mien__onnx_node *n, const int64_t *pads, size_t *count,
                                  int64_t room[2 * MIEN_MAX_RANK])
{
    int64_t n_axes = 0;
    const mien__tensor *const t = mien__import_shape_of(n->imp, mien__onnx_in(n, 0));
    const int64_t *const axes = mien__import_i64(n->imp, mien__onnx_in(n, 3), "axes", &n_axes);
    if (!axes || !t || *count != 2 * (size_t)n_axes) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                "padding of chosen axes needs an input of known rank");
        return NULL;
    }
    memset(room, 0, 2 * MIEN_MAX_RANK * sizeof *room);
    for (int64_t i = 0; i < n_axes; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + t->rank : axes[i];
        if (axis < 0 || axis >= t->rank) {
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "axis %lld of %d", (long long)axes[i],
                                    t->rank);
            return NULL;
        }
        room[axis] = pads[i];
        room[axis + t->rank] = pads[i + n_axes];
    }
    *count = 2 * (size_t)t->rank;
    return room;
}

void mien__onnx_pad(mien__onnx_node *n)
{
    int64_t room[2 * MIEN_MAX_RANK], one = 0;
    size_t count = 0;
    const uint32_t x = mien__onnx_in(n, 0), v = mien__onnx_in(n, 2);
    double value = mien__onnx_float(n, "value", 0.0);
    if (!mien__onnx_str_is(n, "mode", "constant", "constant")) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only padding with a constant is supported");
        return;
    }
    const int64_t *pads = mien__onnx_ints_or_input(n, "pads", 1, &count);
    if (v != MIEN__NO_VALUE) {
        const float *const f = mien__import_f32(n->imp, v, "the padding's value", &one);
        value = f && one == 1 ? (double)f[0] : value;
    }
    if (mien__onnx_in(n, 3) != MIEN__NO_VALUE)
        pads = spread_pads(n, pads, &count, room);
    if (n->imp->status == MIEN_OK && !pads)
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "pads is missing");
    mien__draft d = mien__draft_of(MIEN__OP_Pad, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pads, pads ? count : 0);
    mien__draft_float(&d, MIEN__ATTR_VALUE, value);
    mien__onnx_emit(n, &d);
}

/* ---- Resize, Upsample ---- */

typedef struct resize_mode {
    int64_t mode, coord, round;
} resize_mode;

static int64_t choose(mien__onnx_node *n, const char *attr, const char *fallback, const char *const *names,
                      int count)
{
    for (int i = 0; i < count; i++)
        if (mien__onnx_str_is(n, attr, fallback, names[i]))
            return i;
    (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "this %s is not supported", attr);
    return 0;
}

static resize_mode read_resize_mode(mien__onnx_node *n)
{
    static const char *const modes[] = { "nearest", "linear" };
    static const char *const coords[] = { "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel" };
    static const char *const rounds[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    resize_mode m = { 0, MIEN__COORD_ASYMMETRIC, MIEN__ROUND_FLOOR };
    m.mode = mien__onnx_str_is(n, "mode", "nearest", "bilinear") ? 1 : choose(n, "mode", "nearest", modes, 2);
    if (n->opset >= 11) {
        m.coord = choose(n, "coordinate_transformation_mode", "half_pixel", coords, 4);
        m.round = choose(n, "nearest_mode", "round_prefer_floor", rounds, 4);
    }
    if (mien__onnx_int(n, "antialias", 0) != 0 ||
        !mien__onnx_str_is(n, "keep_aspect_ratio_policy", "stretch", "stretch"))
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only plain resizing is supported");
    return m;
}

/* Scales or sizes given for some axes (opset 18) spread over all; scales elsewhere are 1. */
static uint32_t spread_resize(mien__onnx_node *n, uint32_t arg, bool sizes)
{
    size_t n_axes = 0;
    int64_t count = 0;
    void *data = NULL;
    const int64_t *const axes = mien__onnx_ints(n, "axes", &n_axes);
    const mien__tensor *const t = mien__import_shape_of(n->imp, mien__onnx_in(n, 0));
    const void *const v = sizes ? (const void *)mien__import_i64(n->imp, arg, "sizes", &count)
                                : (const void *)mien__import_f32(n->imp, arg, "scales", &count);
    const int64_t rank = t ? t->rank : 4;
    int64_t dims[MIEN_MAX_RANK] = { 0 };
    if (!v || count != (int64_t)n_axes || (sizes && !t)) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                "resizing of chosen axes needs constants and a known shape");
        return MIEN__NO_VALUE;
    }
    if (t)
        memcpy(dims, t->dims, sizeof dims);
    const uint32_t out =
        mien__import_const(n->imp, MIEN__NO_VALUE, sizes ? MIEN__I64 : MIEN__F32, 1, &rank, &data);
    for (int64_t i = 0; data && i < rank; i++)
        if (sizes)
            ((int64_t *)data)[i] = dims[i];
        else
            ((float *)data)[i] = 1.0f;
    for (size_t i = 0; data && i < n_axes; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "axis %lld of %lld", (long long)axes[i],
                                    (long long)rank);
        else if (sizes)
            ((int64_t *)data)[axis] = ((const int64_t *)v)[i];
        else
            ((float *)data)[axis] = ((const float *)v)[i];
    }
    return out;
}

static bool is_empty(const mien__import *imp, uint32_t v)
{
    return v == MIEN__NO_VALUE ||
           (mien__import_is_const(imp, v) && mien__value_elems(&imp->g->values[v]) == 0);
}

void mien__onnx_resize(mien__onnx_node *n)
{
    mien__import *const imp = n->imp;
    const resize_mode m = read_resize_mode(n);
    const MienOnnx__Attribute *const list = mien__onnx_attr(n, "scales"); /* Upsample before opset 9 */
    uint32_t arg = n->opset >= 11 ? mien__onnx_in(n, 2) : mien__onnx_in(n, 1);
    bool sizes = false;
    if (imp->status != MIEN_OK)
        return;
    if (list && list->n_floats) {
        const int64_t count = (int64_t)list->n_floats;
        void *data = NULL;
        arg = mien__import_const(imp, MIEN__NO_VALUE, MIEN__F32, 1, &count, &data);
        if (data)
            memcpy(data, list->floats, list->n_floats * sizeof *list->floats);
    } else if (n->opset >= 11 && is_empty(imp, arg)) {
        arg = mien__onnx_in(n, 3);
        sizes = true;
    }
    if (is_empty(imp, arg)) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "neither scales nor sizes are given");
        return;
    }
    if (mien__onnx_attr(n, "axes"))
        arg = spread_resize(n, arg, sizes);
    const uint32_t scales = sizes && imp->status == MIEN_OK
                                ? mien__import_sizes_to_scales(imp, mien__onnx_in(n, 0), arg)
                                : MIEN__NO_VALUE;
    if (scales != MIEN__NO_VALUE) {
        arg = scales;
        sizes = false;
    }
    const uint32_t in[2] = { mien__onnx_in(n, 0), arg };
    mien__draft d = mien__draft_of(MIEN__OP_Resize, in, 2);
    mien__draft_int(&d, MIEN__ATTR_MODE, m.mode);
    mien__draft_int(&d, MIEN__ATTR_COORD, m.coord);
    mien__draft_int(&d, MIEN__ATTR_ROUND, m.round);
    mien__draft_int(&d, MIEN__ATTR_SIZES, sizes);
    mien__onnx_emit(n, &d);
}

/* ---- reading and making tensors ---- */

void mien__onnx_gather(mien__onnx_node *n)
{
    const uint32_t in[2] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1) };
    mien__draft d = mien__draft_of(MIEN__OP_Gather, in, 2);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__onnx_int(n, "axis", 0));
    mien__onnx_emit(n, &d);
}

/* Opset 15 may ask for a part of the shape. */
void mien__onnx_shape(mien__onnx_node *n)
{
    const int64_t start = mien__onnx_int(n, "start", 0), end = mien__onnx_int(n, "end", INT64_MAX);
    const bool whole = start == 0 && end == INT64_MAX;
    const uint32_t shape = mien__import_op1(n->imp, MIEN__OP_Shape, mien__onnx_in(n, 0),
                                            whole ? mien__onnx_out(n, 0) : MIEN__NO_VALUE);
    if (whole)
        return;
    const uint32_t in[3] = { shape, mien__import_i64s(n->imp, &start, 1),
                             mien__import_i64s(n->imp, &end, 1) };
    const mien__draft d = mien__draft_of(MIEN__OP_Slice, in, 3);
    mien__onnx_emit(n, &d);
}

void mien__onnx_constant_of_shape(mien__onnx_node *n)
{
    const uint32_t x = mien__onnx_in(n, 0);
    const MienOnnx__Attribute *const a = mien__onnx_attr(n, "value");
    mien__draft d = mien__draft_of(MIEN__OP_ConstantOfShape, &x, 1);
    if (a && a->t) {
        const uint32_t v = mien__onnx_tensor(n->imp, a->t, MIEN__NO_VALUE);
        if (v == MIEN__NO_VALUE)
            return;
        const mien__value *const value = &n->imp->g->values[v];
        if (mien__value_elems(value) != 1) {
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "value is not one number");
            return;
        }
        if (value->dtype == MIEN__I64)
            mien__draft_int(&d, MIEN__ATTR_VALUE, *(const int64_t *)value->data);
        else
            mien__draft_float(&d, MIEN__ATTR_VALUE, (double)*(const float *)value->data);
    }
    mien__onnx_emit(n, &d);
}

void mien__onnx_depth_to_space(mien__onnx_node *n)
{
    static const char *const modes[] = { "DCR", "CRD" };
    const uint32_t x = mien__onnx_in(n, 0);
    mien__draft d = mien__draft_of(MIEN__OP_DepthToSpace, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_BLOCK, mien__onnx_int(n, "blocksize", 0));
    mien__draft_int(&d, MIEN__ATTR_MODE, choose(n, "mode", "DCR", modes, 2));
    mien__onnx_emit(n, &d);
}

/* ---- reductions: min = -max(-x), L1 = sum |x|, sum of squares = sum x x ---- */

void mien__onnx_reduce(mien__onnx_node *n)
{
    const char *const type = n->pb->op_type;
    const bool min = strcmp(type, "ReduceMin") == 0, l1 = strcmp(type, "ReduceL1") == 0,
               square = strcmp(type, "ReduceSumSquare") == 0;
    const mien__op op = min ? MIEN__OP_ReduceMax : l1 || square ? MIEN__OP_ReduceSum : mien__op_by_name(type);
    size_t count = 0;
    uint32_t x = mien__onnx_in(n, 0);
    const int64_t *const axes = mien__onnx_ints_or_input(n, "axes", 1, &count);
    if (count == 0 && mien__onnx_int(n, "noop_with_empty_axes", 0) != 0) {
        (void)mien__import_op1(n->imp, MIEN__OP_Identity, x, mien__onnx_out(n, 0));
        return;
    }
    if (min)
        x = mien__import_op1(n->imp, MIEN__OP_Neg, x, MIEN__NO_VALUE);
    else if (l1)
        x = mien__import_op1(n->imp, MIEN__OP_Abs, x, MIEN__NO_VALUE);
    else if (square)
        x = mien__import_op2(n->imp, MIEN__OP_Mul, x, x, MIEN__NO_VALUE);
    mien__draft d = mien__draft_of(op, &x, 1);
    if (count)
        mien__draft_ints(&d, MIEN__ATTR_AXES, axes, count);
    mien__draft_int(&d, MIEN__ATTR_KEEPDIMS, mien__onnx_int(n, "keepdims", 1) != 0);
    const uint32_t y = mien__import_emit1(n->imp, &d, min ? MIEN__NO_VALUE : mien__onnx_out(n, 0));
    if (min)
        (void)mien__import_op1(n->imp, MIEN__OP_Neg, y, mien__onnx_out(n, 0));
}
