/* Elementwise operators of two tensors with numpy broadcasting, both float32 or both int64:
 * Add, Sub, Mul, Div, Pow, Max, Min.
 *
 * int64 wraps on overflow, divides towards zero, x / 0 = 0 (it only ever computes shapes, and a shape rule
 * rejects what comes out of that), and raises by repeated multiplication (0 for negative exponents).
 * Gradient (float32): Add 1, 1; Sub 1, -1; Mul b, a; Div 1/b, -a/b^2; Pow b a^(b-1), a^b log a (0 at a <= 0);
 * Max, Min: 1 for the input taken, the second one on a tie; each summed over the axes it was repeated along.
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

/* The output as rows. Neighbouring dimensions over which both inputs are either contiguous or repeated become
 * one, so that a row is as long as it can be. */
typedef struct walk {
    int rank; /* at least 1; the last dimension is the row */
    int64_t rows, d[MIEN_MAX_RANK + 1], sa[MIEN_MAX_RANK + 1], sb[MIEN_MAX_RANK + 1];
    int64_t at[MIEN_MAX_RANK + 1], a, b; /* offsets of the current row in both inputs */
} walk;

static walk walk_of(const mien__tensor *const *in, const mien__tensor *out)
{
    walk w = { .d = { 1 } };
    int64_t fa[MIEN_MAX_RANK], fb[MIEN_MAX_RANK];
    int r = 0;
    mien__broadcast_strides(in[0], out->rank, out->dims, fa);
    mien__broadcast_strides(in[1], out->rank, out->dims, fb);
    for (int i = 0; i < out->rank; i++) {
        const int64_t n = out->dims[i];
        if (n == 1)
            continue;
        if (r && w.sa[r - 1] == fa[i] * n && w.sb[r - 1] == fb[i] * n) {
            w.d[r - 1] *= n;
            w.sa[r - 1] = fa[i];
            w.sb[r - 1] = fb[i];
        } else {
            w.d[r] = n;
            w.sa[r] = fa[i];
            w.sb[r] = fb[i];
            r++;
        }
    }
    w.rank = r ? r : 1;
    w.rows = mien__dims_product(w.d, 0, w.rank - 1);
    return w;
}

static void next_row(walk *w)
{
    for (int i = w->rank - 2; i >= 0; i--) {
        w->a += w->sa[i];
        w->b += w->sb[i];
        if (++w->at[i] < w->d[i])
            break;
        w->a -= w->d[i] * w->sa[i];
        w->b -= w->d[i] * w->sb[i];
        w->at[i] = 0;
    }
}

void mien__binary_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    walk w = walk_of(in, out);
    const int last = w.rank - 1;
    const int64_t row = w.d[last];
    if (mien__tensor_elems(out) == 0)
        return;
    for (int64_t k = 0; k < w.rows; k++, next_row(&w))
        if (out->dtype == MIEN__F32)
            row_f32(node->op, row, (const float *)in[0]->data + w.a, w.sa[last],
                    (const float *)in[1]->data + w.b, w.sb[last], (float *)out->data + k * row);
        else
            row_i64(node->op, row, (const int64_t *)in[0]->data + w.a, w.sa[last],
                    (const int64_t *)in[1]->data + w.b, w.sb[last], (int64_t *)out->data + k * row);
}

/* The derivatives by a and by b. */
static void slopes(mien__op op, float a, float b, float *ret_a, float *ret_b)
{
    *ret_a = *ret_b = 1.0f;
    switch (op) {
    case MIEN__OP_Add:
        break;
    case MIEN__OP_Sub:
        *ret_b = -1.0f;
        break;
    case MIEN__OP_Mul:
        *ret_a = b;
        *ret_b = a;
        break;
    case MIEN__OP_Div:
        *ret_a = 1.0f / b;
        *ret_b = -a / (b * b);
        break;
    case MIEN__OP_Pow:
        *ret_a = fabsf(b) > 0.0f ? b * powf(a, b - 1.0f) : 0.0f;
        *ret_b = a > 0.0f ? powf(a, b) * logf(a) : 0.0f;
        break;
    default:
        *ret_a = (op == MIEN__OP_Max ? a > b : a < b) ? 1.0f : 0.0f;
        *ret_b = 1.0f - *ret_a;
    }
}

/* One row; the gradient of an input that is one value all along (step 0) is summed in double. */
static void row_backward(mien__op op, int64_t n, const float *a, int64_t sa, const float *b, int64_t sb,
                         const float *d_y, float *d_a, float *d_b)
{
    double sum_a = 0.0, sum_b = 0.0;
    for (int64_t i = 0; i < n; i++) {
        float fa, fb;
        slopes(op, a[i * sa], b[i * sb], &fa, &fb);
        if (sa == 0)
            sum_a += (double)fa * d_y[i];
        else if (d_a)
            d_a[i] += fa * d_y[i];
        if (sb == 0)
            sum_b += (double)fb * d_y[i];
        else if (d_b)
            d_b[i] += fb * d_y[i];
    }
    if (sa == 0 && d_a)
        d_a[0] += (float)sum_a;
    if (sb == 0 && d_b)
        d_b[0] += (float)sum_b;
}

void mien__binary_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    walk w = walk_of(in, out);
    const int last = w.rank - 1;
    const int64_t row = w.d[last];
    float *d_a = mien__op_grad(node, d_in, 0), *d_b = mien__op_grad(node, d_in, 1);
    if (mien__tensor_elems(out) == 0)
        return;
    for (int64_t k = 0; k < w.rows; k++, next_row(&w))
        row_backward(node->op, row, (const float *)in[0]->data + w.a, w.sa[last],
                     (const float *)in[1]->data + w.b, w.sb[last], (const float *)d_out[0]->data + k * row,
                     d_a ? d_a + w.a : NULL, d_b ? d_b + w.b : NULL);
}
