/* Helpers of the shape rules and references; see op_util.h. */
#include "nn/ops/op_util.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW_MAX = 1 << 16 }; /* kernel, stride, padding, dilation: generous, keeps sums far from overflow */

mien_status mien__op_fail_at(mien_error *err, mien_status status, const mien__node *node, const char *file,
                             int line, const char *fmt, ...)
{
    char text[MIEN_ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return mien__fail_at(err, status, file, line, "node '%.80s' (%s): %.140s", node->name,
                         mien__op_name(node->op), text);
}

mien_status mien__op_need_f32(const mien__node *node, const mien__tensor *const *in, uint32_t i, int min_rank,
                              int max_rank, mien_error *err)
{
    const mien__tensor *t = in[i];
    if (t->dtype != MIEN__F32)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "input %u must be float32", (unsigned)i);
    if (t->rank < min_rank || t->rank > max_rank)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u has rank %d, wanted %d to %d",
                             (unsigned)i, t->rank, min_rank, max_rank);
    return MIEN_OK;
}

mien_status mien__op_need_known_i64(const mien__node *node, const mien__tensor *const *in, uint32_t i,
                                    mien_error *err)
{
    const mien__tensor *t = in[i];
    if (t->dtype != MIEN__I64 || t->rank > 1)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "input %u must be a vector of int64", (unsigned)i);
    if (!t->data)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "input %u depends on the picture's content",
                             (unsigned)i);
    return MIEN_OK;
}

mien_status mien__op_set_shape(const mien__node *node, mien__tensor *out, mien__dtype dtype, int rank,
                               const int64_t *dims, mien_error *err)
{
    if (rank > MIEN_MAX_RANK)
        return mien__op_fail(err, MIEN_E_LIMIT, node, "rank %d is above %d", rank, MIEN_MAX_RANK);
    if (mien__elems(rank, dims) < 0)
        return mien__op_fail(err, MIEN_E_LIMIT, node, "the output would be too large");
    out->dtype = dtype;
    out->rank = rank;
    for (int i = 0; i < rank; i++)
        out->dims[i] = dims[i];
    return MIEN_OK;
}

mien_status mien__op_axis(const mien__node *node, int64_t axis, int rank, int *ret, mien_error *err)
{
    const int64_t a = axis < 0 ? axis + rank : axis;
    if (axis < -MIEN_MAX_RANK || a < 0 || a >= rank)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "axis %lld of a tensor of rank %d",
                             (long long)axis, rank);
    *ret = (int)a;
    return MIEN_OK;
}

mien_status mien__op_axes_mask(const mien__node *node, int rank, bool all_when_absent, unsigned *ret,
                               mien_error *err)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_AXES);
    unsigned mask = 0;
    if (!a || a->is_float || a->n == 0) {
        *ret = all_when_absent ? (1u << rank) - 1 : 0;
        return MIEN_OK;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        int axis = 0;
        const mien_status st = mien__op_axis(node, a->v.i[i], rank, &axis, err);
        if (st)
            return st;
        if (mask & (1u << axis))
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "axis %d is named twice", axis);
        mask |= 1u << axis;
    }
    *ret = mask;
    return MIEN_OK;
}

/* Read up to `n` integers of an attribute over defaults; false when its length is another or a value lies
 * outside [lo, WINDOW_MAX]. */
static bool read_ints(const mien__node *node, mien__attr_key key, uint32_t n, int64_t lo, int64_t *ret)
{
    const mien__attr *a = mien__node_attr(node, key);
    if (!a || a->n == 0)
        return true;
    if (a->is_float || a->n != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (a->v.i[i] < lo || a->v.i[i] > WINDOW_MAX)
            return false;
        ret[i] = a->v.i[i];
    }
    return true;
}

static bool window_read(const mien__node *node, int64_t kh, int64_t kw, mien__window *ret)
{
    int64_t k[2] = { kh, kw }, s[2] = { 1, 1 }, d[2] = { 1, 1 }, p[4] = { 0, 0, 0, 0 };
    if (!read_ints(node, MIEN__ATTR_KERNEL, 2, 1, k) || !read_ints(node, MIEN__ATTR_STRIDE, 2, 1, s) ||
        !read_ints(node, MIEN__ATTR_DILATION, 2, 1, d) || !read_ints(node, MIEN__ATTR_PAD, 4, 0, p))
        return false;
    if (k[0] < 1 || k[1] < 1 || k[0] > WINDOW_MAX || k[1] > WINDOW_MAX)
        return false;
    *ret = (mien__window){ k[0], k[1], s[0], s[1], d[0], d[1], p[0], p[1], p[2], p[3] };
    return true;
}

mien_status mien__op_window(const mien__node *node, int64_t kh, int64_t kw, mien__window *ret,
                            mien_error *err)
{
    if (!window_read(node, kh, kw, ret))
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "kernel, stride, padding or dilation is invalid");
    return MIEN_OK;
}

mien__window mien__op_window_checked(const mien__node *node, int64_t kh, int64_t kw)
{
    mien__window w = { 1, 1, 1, 1, 1, 1, 0, 0, 0, 0 };
    const bool ok = window_read(node, kh, kw, &w);
    mien_assert(ok);
    (void)ok;
    return w;
}

int64_t mien__op_window_out(int64_t in, int64_t k, int64_t stride, int64_t dilation, int64_t before,
                            int64_t after, bool ceil)
{
    const int64_t span = in + before + after - ((k - 1) * dilation + 1);
    if (span < 0)
        return 0;
    int64_t out = (ceil ? (span + stride - 1) / stride : span / stride) + 1;
    if (ceil && (out - 1) * stride >= in + before)
        out--; /* a window may not start in the padding behind the picture */
    return out;
}

bool mien__broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *ret_rank,
                     int64_t *ret_dims)
{
    const int rank = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 0; i < rank; i++) {
        const int ia = i - (rank - rank_a), ib = i - (rank - rank_b);
        const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
        if (da != db && da != 1 && db != 1)
            return false;
        ret_dims[i] = da == 1 ? db : da;
    }
    *ret_rank = rank;
    return true;
}

void mien__strides(int rank, const int64_t *dims, int64_t *ret)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        ret[i] = step;
        step *= dims[i];
    }
}

void mien__broadcast_strides(const mien__tensor *t, int rank, const int64_t *dims, int64_t *ret)
{
    int64_t own[MIEN_MAX_RANK];
    mien__strides(t->rank, t->dims, own);
    for (int i = 0; i < rank; i++) {
        const int k = i - (rank - t->rank);
        ret[i] = k < 0 || (t->dims[k] == 1 && dims[i] != 1) ? 0 : own[k];
    }
}

int64_t mien__dims_product(const int64_t *dims, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= dims[i];
    return n;
}

int64_t mien__tensor_elems(const mien__tensor *t)
{
    return mien__elems(t->rank, t->dims);
}

size_t mien__dtype_bytes(mien__dtype dtype)
{
    return dtype == MIEN__I64 ? sizeof(int64_t) : dtype == MIEN__F16 ? 2 : sizeof(float);
}

/* One row of n items, source step `st` items. */
static void copy_row(void *dst, const void *src, size_t item_bytes, int64_t n, int64_t st)
{
    if (st == 1) {
        memcpy(dst, src, (size_t)n * item_bytes);
    } else if (item_bytes == 4) {
        uint32_t *d = dst;
        const uint32_t *s = src;
        for (int64_t i = 0; i < n; i++)
            d[i] = s[i * st];
    } else {
        uint64_t *d = dst;
        const uint64_t *s = src;
        for (int64_t i = 0; i < n; i++)
            d[i] = s[i * st];
    }
}

void mien__copy_strided(void *dst, const void *src, size_t item_bytes, int rank, const int64_t *dims,
                        const int64_t *st)
{
    int64_t d[MIEN_MAX_RANK + 1], s[MIEN_MAX_RANK + 1], at[MIEN_MAX_RANK + 1] = { 0 };
    int r = 0;
    for (int i = 0; i < rank; i++) { /* merge neighbours that are contiguous in the source as well */
        if (dims[i] == 0)
            return;
        if (dims[i] == 1)
            continue;
        if (r && s[r - 1] == st[i] * dims[i]) {
            d[r - 1] *= dims[i];
            s[r - 1] = st[i];
        } else {
            d[r] = dims[i];
            s[r] = st[i];
            r++;
        }
    }
    if (r == 0) {
        memcpy(dst, src, item_bytes);
        return;
    }
    char *out = dst;
    const char *from = src;
    const ptrdiff_t item = (ptrdiff_t)item_bytes;
    for (;;) {
        copy_row(out, from, item_bytes, d[r - 1], s[r - 1]);
        out += d[r - 1] * item;
        int i = r - 2;
        for (; i >= 0; i--) {
            from += s[i] * item;
            if (++at[i] < d[i])
                break;
            from -= d[i] * s[i] * item;
            at[i] = 0;
        }
        if (i < 0)
            return;
    }
}

float *mien__op_grad(const mien__node *node, mien__tensor *const *d_in, uint32_t i)
{
    return i < node->n_inputs && d_in[i] ? d_in[i]->data : NULL;
}

void mien__add(float *dst, const float *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] += src[i];
}

void mien__add_strided(float *dst, const float *src, int rank, const int64_t *dims, const int64_t *st)
{
    int64_t at[MIEN_MAX_RANK] = { 0 }, to = 0;
    const int64_t n = mien__elems(rank, dims);
    for (int64_t k = 0; k < n; k++) {
        dst[to] += src[k];
        for (int i = rank - 1; i >= 0; i--) {
            to += st[i];
            if (++at[i] < dims[i])
                break;
            to -= dims[i] * st[i];
            at[i] = 0;
        }
    }
}

void mien__mean_inv(const float *x, int64_t n, double eps, double *ret_mean, double *ret_inv)
{
    double mean = 0.0, var = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    *ret_mean = mean;
    *ret_inv = 1.0 / sqrt(var / (double)n + eps);
}

float mien__sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}
