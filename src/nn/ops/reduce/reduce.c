/* Reductions over AXES (absent: all), KEEPDIMS (default 1): ReduceMean, ReduceSum, ReduceMax,
 * ReduceL2 = sqrt(sum x^2). Float only; sums run in double. An empty reduction gives 0 (-inf for ReduceMax).
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

/* Split the axes into kept and reduced ones; both walks use odometers over source strides. */
void mien__reduce_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    int64_t strides[MIEN_MAX_RANK], kd[MIEN_MAX_RANK], ks[MIEN_MAX_RANK], rd[MIEN_MAX_RANK],
        rs[MIEN_MAX_RANK];
    int nk = 0, nr = 0;
    unsigned mask = 0;
    if (mien__op_axes_mask(node, t->rank, true, &mask, NULL))
        return;
    mien__strides(t->rank, t->dims, strides);
    for (int i = 0; i < t->rank; i++) {
        const bool reduced = mask & (1u << i);
        (reduced ? rd : kd)[reduced ? nr : nk] = t->dims[i];
        (reduced ? rs : ks)[reduced ? nr++ : nk++] = strides[i];
    }
    const int64_t kept = mien__dims_product(kd, 0, nk), per = mien__dims_product(rd, 0, nr);
    for (int64_t o = 0; o < kept; o++) {
        int64_t base = 0, rest = o;
        for (int d = nk - 1; d >= 0; d--) {
            base += rest % kd[d] * ks[d];
            rest /= kd[d];
        }
        double acc = node->op == MIEN__OP_ReduceMax ? -INFINITY : 0.0;
        for (int64_t i = 0; i < per; i++) {
            int64_t at = base;
            rest = i;
            for (int d = nr - 1; d >= 0; d--) {
                at += rest % rd[d] * rs[d];
                rest /= rd[d];
            }
            acc = fold(node->op, acc, ((const float *)t->data)[at]);
        }
        if (node->op == MIEN__OP_ReduceMean)
            acc /= (double)(per ? per : 1);
        else if (node->op == MIEN__OP_ReduceL2)
            acc = sqrt(acc);
        ((float *)out->data)[o] = (float)acc;
    }
}
