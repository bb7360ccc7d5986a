/* Transpose: axis i of the output is axis PERM[i] of the input; PERM absent reverses the axes.
 * Gradient: d_y permuted back.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

/* False when PERM is not a permutation. */
bool mien__transpose_perm(const mien__node *node, int rank, int *ret)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_PERM);
    unsigned seen = 0;
    if (a && (a->is_float || a->n != (uint32_t)rank))
        return false;
    for (int i = 0; i < rank; i++) {
        const int64_t p = a ? a->v.i[i] : rank - 1 - i;
        if (p < 0 || p >= rank || (seen & (1u << p)))
            return false;
        seen |= 1u << p;
        ret[i] = (int)p;
    }
    return true;
}

mien_status mien__transpose_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                  mien_error *err)
{
    int perm[MIEN_MAX_RANK];
    int64_t dims[MIEN_MAX_RANK];
    if (!mien__transpose_perm(node, in[0]->rank, perm))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "PERM does not permute %d axes", in[0]->rank);
    for (int i = 0; i < in[0]->rank; i++)
        dims[i] = in[0]->dims[perm[i]];
    return mien__op_set_shape(node, out, in[0]->dtype, in[0]->rank, dims, err);
}

void mien__transpose_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    int perm[MIEN_MAX_RANK];
    int64_t strides[MIEN_MAX_RANK], st[MIEN_MAX_RANK];
    if (mien__tensor_elems(out) == 0 || !mien__transpose_perm(node, in[0]->rank, perm))
        return;
    mien__strides(in[0]->rank, in[0]->dims, strides);
    for (int i = 0; i < out->rank; i++)
        st[i] = strides[perm[i]];
    mien__copy_strided(out->data, in[0]->data, mien__dtype_bytes(out->dtype), out->rank, out->dims, st);
}

void mien__transpose_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                              const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    int perm[MIEN_MAX_RANK];
    int64_t strides[MIEN_MAX_RANK], st[MIEN_MAX_RANK];
    float *d_x = mien__op_grad(node, d_in, 0);
    if (!d_x || !mien__transpose_perm(node, in[0]->rank, perm))
        return;
    mien__strides(in[0]->rank, in[0]->dims, strides);
    for (int i = 0; i < out->rank; i++)
        st[i] = strides[perm[i]];
    mien__add_strided(d_x, d_out[0]->data, out->rank, out->dims, st);
}
