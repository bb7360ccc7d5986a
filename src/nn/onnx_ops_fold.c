/* ONNX operators that exist only on constants: comparisons, choices and rounding in the arithmetic of shapes.
 */
#include "nn/onnx_read.h"
#include "nn/ops/op_util.h"
#include <math.h>
#include <string.h>

static double number(const mien__value *v, int64_t i)
{
    return v->dtype == MIEN__I64 ? (double)((const int64_t *)v->data)[i]
                                 : (double)((const float *)v->data)[i];
}

static double evaluate(const char *op, const double *x)
{
    switch (op[0]) {
    case 'A':
        return x[0] != 0.0 && x[1] != 0.0;
    case 'O':
        return x[0] != 0.0 || x[1] != 0.0;
    case 'N':
        return !(x[0] != 0.0);
    case 'E':
        return !(x[0] < x[1]) && !(x[0] > x[1]);
    case 'G':
        return x[0] > x[1];
    case 'L':
        return x[0] < x[1];
    case 'F':
        return floor(x[0]);
    case 'C':
        return ceil(x[0]);
    default:
        return x[0] != 0.0 ? x[1] : x[2]; /* Where */
    }
}

void mien__onnx_fold_only(mien__onnx_node *n)
{
    const char *const op = n->pb->op_type;
    const uint32_t wanted = strcmp(op, "Where") == 0 ? 3 : strchr("NFC", op[0]) ? 1 : 2;
    int64_t dims[MIEN_MAX_RANK] = { 0 }, strides[3][MIEN_MAX_RANK];
    int rank = 0;
    bool ok = n->n_in == wanted;
    for (uint32_t i = 0; ok && i < wanted; i++)
        if (!mien__import_is_const(n->imp, n->in[i])) {
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "supported on constants only");
            return;
        }
    for (uint32_t i = 0; ok && i < wanted; i++) {
        int64_t old[MIEN_MAX_RANK];
        const mien__tensor *const t = &n->imp->shapes[n->in[i]].t;
        memcpy(old, dims, sizeof old);
        ok = mien__broadcast(rank, old, t->rank, t->dims, &rank, dims);
    }
    if (!ok) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "the inputs do not go together");
        return;
    }
    for (uint32_t i = 0; i < wanted; i++)
        mien__broadcast_strides(&n->imp->shapes[n->in[i]].t, rank, dims, strides[i]);
    const mien__dtype dtype = wanted == 3                   ? n->imp->g->values[n->in[1]].dtype
                              : wanted == 1 && op[0] != 'N' ? n->imp->g->values[n->in[0]].dtype
                                                            : MIEN__I64;
    void *data = NULL;
    if (mien__import_const(n->imp, n->out[0], dtype, rank, dims, &data) == MIEN__NO_VALUE)
        return;
    const int64_t count = mien__elems(rank, dims);
    for (int64_t i = 0; i < count; i++) {
        double x[3] = { 0 };
        for (uint32_t k = 0; k < wanted; k++) {
            int64_t at = 0, rest = i;
            for (int a = rank - 1; a >= 0; a--) {
                at += rest % dims[a] * strides[k][a];
                rest /= dims[a];
            }
            x[k] = number(&n->imp->g->values[n->in[k]], at);
        }
        const double y = evaluate(op, x);
        if (dtype == MIEN__I64)
            ((int64_t *)data)[i] = y > -9e18 && y < 9e18 ? (int64_t)y : 0;
        else
            ((float *)data)[i] = (float)y;
    }
}
