/* Lowering with fast kernels. */
#include "nn/plan.h"

mien_status mien__plan_lower_fast(mien__planner *p, uint32_t node, bool *ret_taken)
{
    (void)p;
    (void)node;
    *ret_taken = false;
    return MIEN_OK;
}

mien_status mien__plan_lower_pending_affine(mien__planner *p, uint32_t v)
{
    (void)v;
    return mien__fail(p->err, MIEN_E_INTERNAL, "no affine is pending");
}
