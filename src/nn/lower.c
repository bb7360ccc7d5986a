/* Nodes in the terms of the kernel table (see lower.h). */
#include "nn/lower.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

bool mien__act_of(const mien__node *node, mien__act *ret_act, float *ret_alpha, float *ret_beta)
{
    static const struct {
        mien__op op;
        mien__act act;
    } kinds[] = {
        { MIEN__OP_Relu, MIEN__ACT_RELU },
        { MIEN__OP_LeakyRelu, MIEN__ACT_LEAKY },
        { MIEN__OP_Sigmoid, MIEN__ACT_SIGMOID },
        { MIEN__OP_Tanh, MIEN__ACT_TANH },
        { MIEN__OP_HardSigmoid, MIEN__ACT_HSIGMOID },
        { MIEN__OP_HardSwish, MIEN__ACT_HSWISH },
        { MIEN__OP_Clip, MIEN__ACT_CLIP },
        { MIEN__OP_Gelu, MIEN__ACT_GELU },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(kinds); i++)
        if (kinds[i].op == node->op) {
            *ret_act = kinds[i].act;
            mien__unary_params(node, ret_alpha, ret_beta);
            return true;
        }
    return false;
}

void mien__conv_of(const mien__node *node, const mien__tensor *x, const mien__tensor *w,
                   const mien__tensor *y, mien__conv *ret)
{
    const mien__window win = mien__op_window_checked(node, w->dims[2], w->dims[3]);
    *ret = (mien__conv){ .n = (int)x->dims[0],
                         .ic = (int)x->dims[1],
                         .ih = (int)x->dims[2],
                         .iw = (int)x->dims[3],
                         .oc = (int)y->dims[1],
                         .oh = (int)y->dims[2],
                         .ow = (int)y->dims[3],
                         .kh = (int)win.kh,
                         .kw = (int)win.kw,
                         .sh = (int)win.sh,
                         .sw = (int)win.sw,
                         .dh = (int)win.dh,
                         .dw = (int)win.dw,
                         .pt = (int)win.pt,
                         .pl = (int)win.pl,
                         .pb = (int)win.pb,
                         .pr = (int)win.pr,
                         .groups = (int)mien__node_int(node, MIEN__ATTR_GROUP, 1) };
}
