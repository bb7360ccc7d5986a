/* Elementwise functions of one float tensor, any shape:
 *
 *   Relu max(x, 0)            LeakyRelu x < 0 ? ALPHA x : x     Sigmoid 1 / (1 + e^-x)    Tanh
 *   HardSigmoid clip(ALPHA x + BETA, 0, 1)                      HardSwish x clip(x / 6 + 1/2, 0, 1)
 *   Gelu x (1 + erf(x / sqrt 2)) / 2                            Erf, Exp, Sqrt, Neg, Abs, Log
 *   Clip min(max(x, MIN), MAX)                                  Reciprocal 1 / x
 *   Elu x < 0 ? ALPHA (e^x - 1) : x                             Softplus log(1 + e^x)
 *
 * Gradient: d_x = f'(x) d_y; at a kink Relu, Clip, Abs and the Hard ones give 0, LeakyRelu and Elu the right
 * side's 1.
 *
 * Defaults are ONNX's: LeakyRelu ALPHA 0.01; HardSigmoid ALPHA 0.2, BETA 0.5; Elu ALPHA 1. NaN stays NaN
 * except in Clip, Relu and the Hard ones, where comparisons decide as written in the code.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <float.h>
#include <math.h>

mien_status mien__unary_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    const mien_status st = mien__op_need_f32(node, in, 0, 0, MIEN_MAX_RANK, err);
    return st ? st : mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

static float clampf(float x, float lo, float hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static float apply(mien__op op, float x, float alpha, float beta)
{
    switch (op) {
    case MIEN__OP_Relu:
        return x > 0.0f ? x : 0.0f;
    case MIEN__OP_LeakyRelu:
        return x < 0.0f ? alpha * x : x;
    case MIEN__OP_Sigmoid:
        return mien__sigmoid(x);
    case MIEN__OP_Tanh:
        return tanhf(x);
    case MIEN__OP_HardSigmoid:
        return clampf(alpha * x + beta, 0.0f, 1.0f);
    case MIEN__OP_HardSwish:
        return x * clampf(x / 6.0f + 0.5f, 0.0f, 1.0f);
    case MIEN__OP_Gelu:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case MIEN__OP_Erf:
        return erff(x);
    case MIEN__OP_Clip:
        return clampf(x, alpha, beta);
    case MIEN__OP_Exp:
        return expf(x);
    case MIEN__OP_Sqrt:
        return sqrtf(x);
    case MIEN__OP_Neg:
        return -x;
    case MIEN__OP_Abs:
        return fabsf(x);
    case MIEN__OP_Reciprocal:
        return 1.0f / x;
    case MIEN__OP_Log:
        return logf(x);
    case MIEN__OP_Elu:
        return x < 0.0f ? alpha * expm1f(x) : x;
    case MIEN__OP_Softplus:
        return x > 20.0f ? x : log1pf(expf(x));
    default:
        mien_assert(!"not a unary operator");
        return x;
    }
}

/* f'(x), y being f(x). */
static float slope(mien__op op, float x, float y, float alpha, float beta)
{
    switch (op) {
    case MIEN__OP_Relu:
        return x > 0.0f ? 1.0f : 0.0f;
    case MIEN__OP_LeakyRelu:
        return x < 0.0f ? alpha : 1.0f;
    case MIEN__OP_Sigmoid:
        return y * (1.0f - y);
    case MIEN__OP_Tanh:
        return 1.0f - y * y;
    case MIEN__OP_HardSigmoid:
        return alpha * x + beta > 0.0f && alpha * x + beta < 1.0f ? alpha : 0.0f;
    case MIEN__OP_HardSwish:
        return x <= -3.0f ? 0.0f : x >= 3.0f ? 1.0f : x / 3.0f + 0.5f;
    case MIEN__OP_Gelu:
        return 0.5f * (1.0f + erff(x * 0.70710678118654752f)) +
               x * 0.39894228040143268f * expf(-0.5f * x * x);
    case MIEN__OP_Erf:
        return 1.12837916709551257f * expf(-x * x);
    case MIEN__OP_Clip:
        return x > alpha && x < beta ? 1.0f : 0.0f;
    case MIEN__OP_Exp:
        return y;
    case MIEN__OP_Sqrt:
        return 0.5f / y;
    case MIEN__OP_Neg:
        return -1.0f;
    case MIEN__OP_Abs:
        return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f;
    case MIEN__OP_Reciprocal:
        return -y * y;
    case MIEN__OP_Log:
        return 1.0f / x;
    case MIEN__OP_Elu:
        return x < 0.0f ? alpha * expf(x) : 1.0f;
    case MIEN__OP_Softplus:
        return mien__sigmoid(x);
    default:
        mien_assert(!"not a unary operator");
        return 0.0f;
    }
}

/* The two parameters of an operator. */
void mien__unary_params(const mien__node *node, float *ret_alpha, float *ret_beta)
{
    *ret_alpha = *ret_beta = 0.0f;
    switch (node->op) {
    case MIEN__OP_LeakyRelu:
        *ret_alpha = (float)mien__node_float(node, MIEN__ATTR_ALPHA, 0.01);
        break;
    case MIEN__OP_Elu:
        *ret_alpha = (float)mien__node_float(node, MIEN__ATTR_ALPHA, 1.0);
        break;
    case MIEN__OP_HardSigmoid:
        *ret_alpha = (float)mien__node_float(node, MIEN__ATTR_ALPHA, 0.2);
        *ret_beta = (float)mien__node_float(node, MIEN__ATTR_BETA, 0.5);
        break;
    case MIEN__OP_Clip:
        *ret_alpha = (float)mien__node_float(node, MIEN__ATTR_MIN, -(double)FLT_MAX);
        *ret_beta = (float)mien__node_float(node, MIEN__ATTR_MAX, (double)FLT_MAX);
        break;
    default:
        break;
    }
}

void mien__unary_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t n = mien__tensor_elems(in[0]);
    const float *x = in[0]->data;
    float *y = out->data, alpha = 0.0f, beta = 0.0f;
    mien__unary_params(node, &alpha, &beta);
    for (int64_t i = 0; i < n; i++)
        y[i] = apply(node->op, x[i], alpha, beta);
}

void mien__unary_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                          const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const int64_t n = mien__tensor_elems(in[0]);
    const float *x = in[0]->data, *y = out->data, *d_y = d_out[0]->data;
    float *d_x = mien__op_grad(node, d_in, 0), alpha = 0.0f, beta = 0.0f;
    mien__unary_params(node, &alpha, &beta);
    for (int64_t i = 0; d_x && i < n; i++)
        d_x[i] += slope(node->op, x[i], y[i], alpha, beta) * d_y[i];
}
