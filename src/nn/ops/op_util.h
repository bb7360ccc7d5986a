/* What the operators' shape rules share: naming errors, axis and window arguments, broadcasting. */
#ifndef MIEN_SRC_NN_OP_UTIL_H
#define MIEN_SRC_NN_OP_UTIL_H

#include "nn/ops.h"

/* Fail with "node 'name' (Op): ..." in front of the message. */
#define mien__op_fail(err, status, node, ...) \
    mien__op_fail_at((err), (status), (node), __FILE__, __LINE__, __VA_ARGS__)
mien_status mien__op_fail_at(mien_error *err, mien_status status, const mien__node *node, const char *file,
                             int line, const char *fmt, ...) MIEN_PRINTF(6, 7);

/* Input `i` must be float32 with rank in [min_rank, max_rank]. */
mien_status mien__op_need_f32(const mien__node *node, const mien__tensor *const *in, uint32_t i, int min_rank,
                              int max_rank, mien_error *err);
/* Input `i` must be an int64 vector (or scalar) whose values are known now. */
mien_status mien__op_need_known_i64(const mien__node *node, const mien__tensor *const *in, uint32_t i,
                                    mien_error *err);
/* Give an output a shape; E_LIMIT when it holds too many elements. */
mien_status mien__op_set_shape(const mien__node *node, mien__tensor *out, mien__dtype dtype, int rank,
                               const int64_t *dims, mien_error *err);
/* Bring an axis attribute into [0, rank). */
mien_status mien__op_axis(const mien__node *node, int64_t axis, int rank, int *ret, mien_error *err);
/* Read AXES as a bit mask over [0, rank); absent: all_when_absent ? every axis : none. */
mien_status mien__op_axes_mask(const mien__node *node, int rank, bool all_when_absent, unsigned *ret,
                               mien_error *err);

/* A sliding window in two dimensions. */
typedef struct mien__window {
    int64_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
} mien__window;
/* Read KERNEL, STRIDE, PAD, DILATION; KERNEL falls back to kh x kw when those are positive. */
mien_status mien__op_window(const mien__node *node, int64_t kh, int64_t kw, mien__window *ret,
                            mien_error *err);
/* The same for forward(), after infer() has checked it. */
mien__window mien__op_window_checked(const mien__node *node, int64_t kh, int64_t kw);
/* Length of a convolution's or pool's output; <= 0 when the window does not fit. */
int64_t mien__op_window_out(int64_t in, int64_t k, int64_t stride, int64_t dilation, int64_t before,
                            int64_t after, bool ceil);

/* numpy broadcasting; false when the shapes do not go together. */
bool mien__broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *ret_rank,
                     int64_t *ret_dims);
/* Element strides of `t` seen through a broadcast shape: 0 where it repeats. */
void mien__broadcast_strides(const mien__tensor *t, int rank, const int64_t *dims, int64_t *ret);
/* Row-major strides in elements. */
void mien__strides(int rank, const int64_t *dims, int64_t *ret);
int64_t mien__dims_product(const int64_t *dims, int from, int to); /* [from, to) */
int64_t mien__tensor_elems(const mien__tensor *t);
size_t mien__dtype_bytes(mien__dtype dtype);

/* dst (row-major, `dims`) = src read with element strides `st` from `src`: the engine behind Transpose,
 * Expand and Slice. item_bytes is 4 or 8. */
void mien__copy_strided(void *dst, const void *src, size_t item_bytes, int rank, const int64_t *dims,
                        const int64_t *st);

/* What backward functions share. The data of d_in[i], or NULL when that gradient is not wanted. */
float *mien__op_grad(const mien__node *node, mien__tensor *const *d_in, uint32_t i);
/* dst += src, n elements. */
void mien__add(float *dst, const float *src, int64_t n);
/* dst, addressed with element strides `st` (zero and negative ones too), += src (row-major, `dims`): the
 * gradient of mien__copy_strided(). */
void mien__add_strided(float *dst, const float *src, int rank, const int64_t *dims, const int64_t *st);

/* Mean and 1 / sqrt(var + eps) of n values (n > 0), var without Bessel's correction; in double, two passes.
 */
void mien__mean_inv(const float *x, int64_t n, double eps, double *ret_mean, double *ret_inv);

/* Scalar functions of the unary operators; also what fused activations mean. */
float mien__sigmoid(float x);

#endif
