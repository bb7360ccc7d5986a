/* Elementwise operators of two tensors with numpy broadcasting, both float32 or both int64:
 * Add, Sub, Mul, Div, Pow, Max, Min.
 *
 * int64 wraps on overflow, divides towards zero, x / 0 = 0 (it only ever computes shapes, and a shape rule
 * rejects what comes out of that), and raises by repeated multiplication (0 for negative exponents).
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

mien_status mien__binary_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK];
    int rank = 0;
    const mien__tensor *a = in[0], *b = in[1];
    if (a->dtype != b->dtype)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "float32 and int64 inputs are mixed");
    if (!mien__broadcast(a->rank, a->dims, b->rank, b->dims, &rank, dims))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input shapes do not broadcast");
    return mien__op_set_shape(node, out, a->dtype, rank, dims, err);
}

static float apply_f32(mien__op op, float a, float b)
{
    switch (op) {
    case MIEN__OP_Add:
        return a + b;
    case MIEN__OP_Sub:
        return a - b;
    case MIEN__OP_Mul:
        return a * b;
    case MIEN__OP_Div:
        return a / b;
    case MIEN__OP_Pow:
        return powf(a, b);
    case MIEN__OP_Max:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static int64_t power(int64_t a, int64_t b)
{
    uint64_t base = (uint64_t)a, result = 1;
    if (b < 0)
        return 0;
    for (; b; b >>= 1, base *= base)
        if (b & 1)
            result *= base;
    return (int64_t)result;
}

static int64_t apply_i64(mien__op op, int64_t a, int64_t b)
{
    switch (op) {
    case MIEN__OP_Add:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case MIEN__OP_Sub:
        return (int64_t)((uint64_t)a - (uint64_t)b);
    case MIEN__OP_Mul:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case MIEN__OP_Div:
        return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
    case MIEN__OP_Pow:
        return power(a, b);
    case MIEN__OP_Max:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

/* One row of n outputs; steps are 0 or 1. */
static void row_f32(mien__op op, int64_t n, const float *a, int64_t sa, const float *b, int64_t sb, float *y)
{
    switch (op) {
    case MIEN__OP_Add:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i * sa] + b[i * sb];
        break;
    case MIEN__OP_Mul:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i * sa] * b[i * sb];
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            y[i] = apply_f32(op, a[i * sa], b[i * sb]);
    }
}

static void row_i64(mien__op op, int64_t n, const int64_t *a, int64_t sa, const int64_t *b, int64_t sb,
                    int64_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = apply_i64(op, a[i * sa], b[i * sb]);
}

/* Walk the output in rows. Neighbouring dimensions over which both inputs are either contiguous or repeated
 * become one, so that a row is as long as it can be. */
void mien__binary_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    int64_t fa[MIEN_MAX_RANK], fb[MIEN_MAX_RANK], at[MIEN_MAX_RANK + 1] = { 0 };
    int64_t d[MIEN_MAX_RANK + 1], sa[MIEN_MAX_RANK + 1], sb[MIEN_MAX_RANK + 1];
    int r = 0;
    mien__broadcast_strides(in[0], out->rank, out->dims, fa);
    mien__broadcast_strides(in[1], out->rank, out->dims, fb);
    if (mien__tensor_elems(out) == 0)
        return;
    for (int i = 0; i < out->rank; i++) {
        const int64_t n = out->dims[i];
        if (n == 1)
            continue;
        if (r && sa[r - 1] == fa[i] * n && sb[r - 1] == fb[i] * n) {
            d[r - 1] *= n;
            sa[r - 1] = fa[i];
            sb[r - 1] = fb[i];
        } else {
            d[r] = n;
            sa[r] = fa[i];
            sb[r] = fb[i];
            r++;
        }
    }
    if (r == 0) {
        d[0] = 1;
        sa[0] = sb[0] = 0;
        r = 1;
    }
    const int64_t row = d[r - 1], rows = mien__dims_product(d, 0, r - 1);
    int64_t oa = 0, ob = 0;
    for (int64_t k = 0; k < rows; k++) {
        if (out->dtype == MIEN__F32)
            row_f32(node->op, row, (const float *)in[0]->data + oa, sa[r - 1],
                    (const float *)in[1]->data + ob, sb[r - 1], (float *)out->data + k * row);
        else
            row_i64(node->op, row, (const int64_t *)in[0]->data + oa, sa[r - 1],
                    (const int64_t *)in[1]->data + ob, sb[r - 1], (int64_t *)out->data + k * row);
        for (int i = r - 2; i >= 0; i--) {
            oa += sa[i];
            ob += sb[i];
            if (++at[i] < d[i])
                break;
            oa -= d[i] * sa[i];
            ob -= d[i] * sb[i];
            at[i] = 0;
        }
    }
}
