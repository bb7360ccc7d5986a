/* MatMul: numpy's matmul. y[...][i][j] = sum over k of a[...][i][k] b[...][k][j]; leading dims broadcast.
 *
 * Both inputs have rank 2 or more. Sums run in float in the order of k.
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

void mien__matmul_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    mien__tensor a = *in[0], b = *in[1];
    const int rank = out->rank - 2;
    const int64_t n = out->dims[rank], m = out->dims[rank + 1], k = a.dims[a.rank - 1];
    const int64_t batches = mien__dims_product(out->dims, 0, rank);
    int64_t sa[MIEN_MAX_RANK], sb[MIEN_MAX_RANK];
    (void)node;
    a.rank -= 2;
    b.rank -= 2;
    mien__broadcast_strides(&a, rank, out->dims, sa);
    mien__broadcast_strides(&b, rank, out->dims, sb);
    for (int64_t i = 0; i < batches; i++) {
        int64_t rest = i, oa = 0, ob = 0;
        for (int d = rank - 1; d >= 0; d--) {
            const int64_t at = rest % out->dims[d];
            rest /= out->dims[d];
            oa += at * sa[d];
            ob += at * sb[d];
        }
        multiply(n, m, k, (const float *)a.data + oa * n * k, (const float *)b.data + ob * k * m,
                 (float *)out->data + i * n * m);
    }
}
