/* MatMul: numpy's matmul. y[...][i][j] = sum over k of a[...][i][k] b[...][k][j]; leading dims broadcast.
 *
 * Both inputs have rank 2 or more. Sums run in float in the order of k.
 * Gradient: d_a = d_y b^T, d_b = a^T d_y, each summed over the batches that share it.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

mien_status mien__matmul_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK];
    int rank = 0;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 2, MIEN_MAX_RANK, err)) ||
        (st = mien__op_need_f32(node, in, 1, 2, MIEN_MAX_RANK, err)))
        return st;
    const mien__tensor *a = in[0], *b = in[1];
    if (a->dims[a->rank - 1] != b->dims[b->rank - 2])
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "inner sizes %lld and %lld differ",
                             (long long)a->dims[a->rank - 1], (long long)b->dims[b->rank - 2]);
    if (!mien__broadcast(a->rank - 2, a->dims, b->rank - 2, b->dims, &rank, dims))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "leading sizes do not broadcast");
    dims[rank] = a->dims[a->rank - 2];
    dims[rank + 1] = b->dims[b->rank - 1];
    return mien__op_set_shape(node, out, MIEN__F32, rank + 2, dims, err);
}

static void multiply(int64_t n, int64_t m, int64_t k, const float *a, const float *b, float *y)
{
    memset(y, 0, (size_t)(n * m) * sizeof *y);
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < k; l++) {
            const float f = a[i * k + l];
            for (int64_t j = 0; j < m; j++)
                y[i * m + j] += f * b[l * m + j];
        }
}

/* The batches of a product: strides of each input's matrices through the output's leading sizes. */
typedef struct batches {
    int rank;
    const int64_t *dims;
    int64_t n, a[MIEN_MAX_RANK], b[MIEN_MAX_RANK];
} batches;

static batches batches_of(const mien__tensor *const *in, const mien__tensor *out)
{
    mien__tensor a = *in[0], b = *in[1];
    batches r = { .rank = out->rank - 2, .dims = out->dims };
    a.rank -= 2;
    b.rank -= 2;
    r.n = mien__dims_product(out->dims, 0, r.rank);
    mien__broadcast_strides(&a, r.rank, out->dims, r.a);
    mien__broadcast_strides(&b, r.rank, out->dims, r.b);
    return r;
}

/* Which matrix of each input batch `i` of the output multiplies. */
static void batch_at(const batches *s, int64_t i, int64_t *ret_a, int64_t *ret_b)
{
    *ret_a = *ret_b = 0;
    for (int d = s->rank - 1; d >= 0; d--) {
        const int64_t at = i % s->dims[d];
        i /= s->dims[d];
        *ret_a += at * s->a[d];
        *ret_b += at * s->b[d];
    }
}

void mien__matmul_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const batches s = batches_of(in, out);
    const int64_t n = out->dims[s.rank], m = out->dims[s.rank + 1], k = in[0]->dims[in[0]->rank - 1];
    (void)node;
    for (int64_t i = 0; i < s.n; i++) {
        int64_t a, b;
        batch_at(&s, i, &a, &b);
        multiply(n, m, k, (const float *)in[0]->data + a * n * k, (const float *)in[1]->data + b * k * m,
                 (float *)out->data + i * n * m);
    }
}

static void multiply_backward(int64_t n, int64_t m, int64_t k, const float *a, const float *b,
                              const float *d_y, float *d_a, float *d_b)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < k; l++) {
            double sum = 0.0;
            for (int64_t j = 0; d_a && j < m; j++)
                sum += (double)d_y[i * m + j] * b[l * m + j];
            if (d_a)
                d_a[i * k + l] += (float)sum;
            for (int64_t j = 0; d_b && j < m; j++)
                d_b[l * m + j] += a[i * k + l] * d_y[i * m + j];
        }
}

void mien__matmul_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const batches s = batches_of(in, out);
    const int64_t n = out->dims[s.rank], m = out->dims[s.rank + 1], k = in[0]->dims[in[0]->rank - 1];
    float *d_a = mien__op_grad(node, d_in, 0), *d_b = mien__op_grad(node, d_in, 1);
    for (int64_t i = 0; i < s.n; i++) {
        int64_t a, b;
        batch_at(&s, i, &a, &b);
        multiply_backward(n, m, k, (const float *)in[0]->data + a * n * k,
                          (const float *)in[1]->data + b * k * m, (const float *)d_out[0]->data + i * n * m,
                          d_a ? d_a + a * n * k : NULL, d_b ? d_b + b * k * m : NULL);
    }
}
