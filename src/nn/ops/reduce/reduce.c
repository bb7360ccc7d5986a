/* Reductions over AXES (absent: all), KEEPDIMS (default 1): ReduceMean, ReduceSum, ReduceMax,
 * ReduceL2 = sqrt(sum x^2). Float only; sums run in double. An empty reduction gives 0 (-inf for ReduceMax).
 * Gradient: Mean d_y / n, Sum d_y, L2 d_y x / y (0 at y = 0) to every element; Max d_y to the first greatest.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

mien_status mien__reduce_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    unsigned mask = 0;
    int64_t dims[MIEN_MAX_RANK];
    int rank = 0;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 0, MIEN_MAX_RANK, err)) ||
        (st = mien__op_axes_mask(node, in[0]->rank, true, &mask, err)))
        return st;
    const bool keep = mien__node_int(node, MIEN__ATTR_KEEPDIMS, 1) != 0;
    for (int i = 0; i < in[0]->rank; i++)
        if (!(mask & (1u << i)))
            dims[rank++] = in[0]->dims[i];
        else if (keep)
            dims[rank++] = 1;
    return mien__op_set_shape(node, out, MIEN__F32, rank, dims, err);
}

static double fold(mien__op op, double acc, float x)
{
    switch (op) {
    case MIEN__OP_ReduceMax:
        return x > acc ? x : acc;
    case MIEN__OP_ReduceL2:
        return acc + (double)x * x;
    default:
        return acc + x;
    }
}

/* The axes of the input, split into kept ([0]) and reduced ([1]) ones, with their strides. */
typedef struct halves {
    int n[2];
    int64_t d[2][MIEN_MAX_RANK], s[2][MIEN_MAX_RANK], kept, per;
} halves;

static bool halves_of(const mien__node *node, const mien__tensor *t, halves *ret)
{
    int64_t strides[MIEN_MAX_RANK];
    unsigned mask = 0;
    *ret = (halves){ .n = { 0, 0 } };
    if (mien__op_axes_mask(node, t->rank, true, &mask, NULL))
        return false;
    mien__strides(t->rank, t->dims, strides);
    for (int i = 0; i < t->rank; i++) {
        const int side = mask & (1u << i) ? 1 : 0, at = ret->n[side]++;
        ret->d[side][at] = t->dims[i];
        ret->s[side][at] = strides[i];
    }
    ret->kept = mien__dims_product(ret->d[0], 0, ret->n[0]);
    ret->per = mien__dims_product(ret->d[1], 0, ret->n[1]);
    return true;
}

/* Offset of the index-th combination of one side's axes. */
static int64_t offset_of(const halves *h, int side, int64_t index)
{
    int64_t at = 0;
    for (int d = h->n[side] - 1; d >= 0; d--) {
        at += index % h->d[side][d] * h->s[side][d];
        index /= h->d[side][d];
    }
    return at;
}

void mien__reduce_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    halves h;
    if (!halves_of(node, in[0], &h))
        return;
    for (int64_t o = 0; o < h.kept; o++) {
        const float *x = (const float *)in[0]->data + offset_of(&h, 0, o);
        double acc = node->op == MIEN__OP_ReduceMax ? -INFINITY : 0.0;
        for (int64_t i = 0; i < h.per; i++)
            acc = fold(node->op, acc, x[offset_of(&h, 1, i)]);
        if (node->op == MIEN__OP_ReduceMean)
            acc /= (double)(h.per ? h.per : 1);
        else if (node->op == MIEN__OP_ReduceL2)
            acc = sqrt(acc);
        ((float *)out->data)[o] = (float)acc;
    }
}

/* What one output element was reduced from. */
static void set_backward(mien__op op, const halves *h, const float *x, float y, float d_y, float *d_x)
{
    int64_t best = 0;
    for (int64_t i = 0; i < h->per; i++) {
        const int64_t at = offset_of(h, 1, i);
        switch (op) {
        case MIEN__OP_ReduceMean:
            d_x[at] += d_y / (float)h->per;
            break;
        case MIEN__OP_ReduceSum:
            d_x[at] += d_y;
            break;
        case MIEN__OP_ReduceL2:
            d_x[at] += y > 0.0f ? d_y * (x[at] / y) : 0.0f;
            break;
        default:
            best = x[at] > x[offset_of(h, 1, best)] ? i : best;
        }
    }
    if (op == MIEN__OP_ReduceMax && h->per)
        d_x[offset_of(h, 1, best)] += d_y;
}

void mien__reduce_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    halves h;
    float *d_x = mien__op_grad(node, d_in, 0);
    if (!d_x || !halves_of(node, in[0], &h))
        return;
    for (int64_t o = 0; o < h.kept; o++) {
        const int64_t at = offset_of(&h, 0, o);
        set_backward(node->op, &h, (const float *)in[0]->data + at, ((const float *)out->data)[o],
                     ((const float *)d_out[0]->data)[o], d_x + at);
    }
}
