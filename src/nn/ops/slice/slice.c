/* Slice as numpy's x[start:end:step]: inputs x, starts, ends, axes (absent: 0..), steps (absent: 1); the last
 * four are int64 vectors known at plan time. Starts and ends are clamped as ONNX Slice-13 says; steps may be
 * negative. Gradient: d_y added where it was read.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

typedef struct range {
    int64_t start, step, n;
} range;

static int64_t clamp64(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Elements of start:end:step in a dimension of length n. */
static range range_of(int64_t n, int64_t start, int64_t end, int64_t step)
{
    range r = { 0, step, 0 };
    start += start < 0 ? n : 0;
    end += end < 0 ? n : 0;
    if (step > 0) {
        r.start = clamp64(start, 0, n);
        end = clamp64(end, 0, n);
        r.n = end > r.start ? (end - r.start - 1) / step + 1 : 0;
    } else {
        r.start = clamp64(start, -1, n - 1);
        end = clamp64(end, -1, n - 1);
        r.n = r.start > end ? (r.start - end - 1) / -step + 1 : 0;
    }
    return r;
}

/* Fill one range per axis. */
static mien_status ranges_of(const mien__node *node, const mien__tensor *const *in, range *ret,
                             mien_error *err)
{
    const mien__tensor *t = in[0];
    const int64_t count = mien__tensor_elems(in[1]);
    const int64_t *starts = in[1]->data, *ends = in[2]->data;
    const int64_t *axes = in[3] ? in[3]->data : NULL, *steps = in[4] ? in[4]->data : NULL;
    for (int d = 0; d < t->rank; d++)
        ret[d] = (range){ 0, 1, t->dims[d] };
    for (int64_t i = 0; i < count; i++) {
        int axis = 0;
        const mien_status st = mien__op_axis(node, axes ? axes[i] : i, t->rank, &axis, err);
        const int64_t step = steps ? steps[i] : 1;
        if (st)
            return st;
        if (step == 0 || step < -MIEN__MAX_TENSOR_ELEMS || step > INT32_MAX * (int64_t)INT32_MAX)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "step %lld", (long long)step);
        ret[axis] = range_of(t->dims[axis], starts[i], ends[i], step);
    }
    return MIEN_OK;
}

mien_status mien__slice_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    range r[MIEN_MAX_RANK];
    int64_t dims[MIEN_MAX_RANK];
    mien_status st = MIEN_OK;
    for (uint32_t i = 1; i < 5; i++) {
        if (!in[i])
            continue;
        if ((st = mien__op_need_known_i64(node, in, i, err)))
            return st;
        if (mien__tensor_elems(in[i]) != mien__tensor_elems(in[1]))
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node,
                                 "starts, ends, axes and steps differ in length");
    }
    if ((st = ranges_of(node, in, r, err)))
        return st;
    for (int d = 0; d < in[0]->rank; d++)
        dims[d] = r[d].n;
    return mien__op_set_shape(node, out, in[0]->dtype, in[0]->rank, dims, err);
}

/* First element and strides of what is read; false when that is nothing. */
static bool source_of(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                      int64_t *ret_at, int64_t *ret_strides)
{
    range r[MIEN_MAX_RANK];
    *ret_at = 0;
    if (mien__tensor_elems(out) == 0 || ranges_of(node, in, r, NULL))
        return false;
    mien__strides(in[0]->rank, in[0]->dims, ret_strides);
    for (int d = 0; d < out->rank; d++) {
        *ret_at += r[d].start * ret_strides[d];
        ret_strides[d] *= r[d].n == 1 ? 1 : r[d].step; /* a huge step takes one element only */
    }
    return true;
}

void mien__slice_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    int64_t strides[MIEN_MAX_RANK], at;
    const size_t item = mien__dtype_bytes(out->dtype);
    if (source_of(node, in, out, &at, strides))
        mien__copy_strided(out->data, (const char *)in[0]->data + (size_t)at * item, item, out->rank,
                           out->dims, strides);
}

void mien__slice_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                          const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    int64_t strides[MIEN_MAX_RANK], at;
    float *d_x = mien__op_grad(node, d_in, 0);
    if (d_x && source_of(node, in, out, &at, strides))
        mien__add_strided(d_x + at, d_out[0]->data, out->rank, out->dims, strides);
}
