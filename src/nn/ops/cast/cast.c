/* Cast to TO (1 float32, 2 int64). float -> int64 truncates, NaN gives 0, values out of range the nearest
 * end. Gradient: from float32 to float32, d_x = d_y; an int64 output has none.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

mien_status mien__cast_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                             mien_error *err)
{
    const int64_t to = mien__node_int(node, MIEN__ATTR_TO, 0);
    if (to != MIEN__F32 && to != MIEN__I64)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "type %lld is not supported", (long long)to);
    return mien__op_set_shape(node, out, (mien__dtype)to, in[0]->rank, in[0]->dims, err);
}

static int64_t to_i64(float x)
{
    if (!(x == x)) /* NaN is the one value unlike itself */
        return 0;
    return x >= 9223372036854775808.0f ? INT64_MAX : x < -9223372036854775808.0f ? INT64_MIN : (int64_t)x;
}

void mien__cast_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t n = mien__tensor_elems(out);
    (void)node;
    if (in[0]->dtype == out->dtype) {
        if (n)
            memcpy(out->data, in[0]->data, (size_t)n * mien__dtype_bytes(out->dtype));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        if (out->dtype == MIEN__I64)
            ((int64_t *)out->data)[i] = to_i64(((const float *)in[0]->data)[i]);
        else
            ((float *)out->data)[i] = (float)((const int64_t *)in[0]->data)[i];
}

void mien__cast_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                         const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    float *d_x = mien__op_grad(node, d_in, 0);
    if (d_x && in[0]->dtype == MIEN__F32 && out->dtype == MIEN__F32)
        mien__add(d_x, d_out[0]->data, mien__tensor_elems(out));
}
