/* Sessions: a plan for the shapes last asked for, and running it.
 *
 * A new plan is made completely before the old one goes, so a failure leaves the session as it was. Nothing
 * is allocated between two prepares of other shapes, except by mien_session_profile().
 */
#include "nn/plan.h"
#include <stdlib.h>
#include <string.h>

struct mien_session {
    const mien_model *model;
    mien__pool *pool;
    unsigned threads;
    const mien__kernels *kernels;
    mien__plan *plan; /* NULL before the first prepare */
};

mien_status mien_session_new(const mien_model *model, const mien_session_opts *opts,
                             mien_session **ret_session, mien_error *err)
{
    const mien_session_opts defaults = MIEN_SESSION_OPTS_INIT;
    if (!model || !ret_session)
        return mien__fail(err, MIEN_E_ARG, "model or result is NULL");
    if (opts && opts->struct_size < sizeof *opts)
        return mien__fail(err, MIEN_E_ARG, "options of %zu bytes", opts->struct_size);
    opts = opts ? opts : &defaults;
    mien_session *s = mien_alloc_zero(sizeof *s);
    if (!s)
        return mien__nomem(err, sizeof *s);
    s->model = model;
    s->kernels = mien__kernels_get();
    const mien_status st = mien__pool_new(&s->pool, opts->threads, err);
    if (st) {
        mien_session_free(s);
        return st;
    }
    s->threads = mien__pool_threads(s->pool);
    *ret_session = s;
    return MIEN_OK;
}

void mien_session_free(mien_session *session)
{
    if (!session)
        return;
    mien__plan_free(session->plan);
    mien__pool_free(session->pool);
    mien_free(session);
}

const mien_model *mien_session_model(const mien_session *session)
{
    return session->model;
}

/* Is the present plan one for these shapes? */
static bool same_shapes(const mien_session *s, const mien_tensor_view *shapes, size_t n)
{
    for (size_t i = 0; s->plan && i < n; i++) {
        const mien__tensor *t = &s->plan->slots[s->plan->input_slots[i]].t;
        if (t->rank != shapes[i].rank)
            return false;
        for (int d = 0; d < t->rank; d++)
            if (t->dims[d] != shapes[i].dims[d])
                return false;
    }
    return s->plan != NULL;
}

mien_status mien_session_prepare(mien_session *session, size_t n, const mien_tensor_view *shapes,
                                 float **ret_inputs, mien_error *err)
{
    if (!session || (n && (!shapes || !ret_inputs)))
        return mien__fail(err, MIEN_E_ARG, "session, shapes or result is NULL");
    const mien__graph *g = mien__model_graph(session->model);
    if (n != g->n_inputs)
        return mien__fail(err, MIEN_E_ARG, "%zu shapes for a network of %u inputs", n, (unsigned)g->n_inputs);
    if (!same_shapes(session, shapes, n)) {
        mien__plan *plan = NULL;
        const mien_status st =
            mien__plan_new(session->model, session->kernels, session->threads, shapes, &plan, err);
        if (st)
            return st;
        mien__plan_free(session->plan);
        session->plan = plan;
    }
    for (size_t i = 0; i < n; i++)
        ret_inputs[i] = session->plan->slots[session->plan->input_slots[i]].t.data;
    return MIEN_OK;
}

mien_status mien_session_run(mien_session *session, mien_error *err)
{
    if (!session || !session->plan)
        return mien__fail(err, MIEN_E_ARG, "the session has not been prepared");
    mien__plan_run(session->plan, session->pool);
    return MIEN_OK;
}

size_t mien_session_n_inputs(const mien_session *session)
{
    return session ? mien__model_graph(session->model)->n_inputs : 0;
}

size_t mien_session_n_outputs(const mien_session *session)
{
    return session ? mien__model_graph(session->model)->n_outputs : 0;
}

mien_status mien_session_input(const mien_session *session, size_t index, mien_tensor_view *ret,
                               mien_error *err)
{
    if (!session || !ret)
        return mien__fail(err, MIEN_E_ARG, "session or result is NULL");
    const mien__graph *g = mien__model_graph(session->model);
    if (index >= g->n_inputs)
        return mien__fail(err, MIEN_E_NOT_FOUND, "input %zu of %u", index, (unsigned)g->n_inputs);
    const mien__value *v = &g->values[g->inputs[index]];
    *ret = (mien_tensor_view){ .name = v->name, .rank = v->rank };
    for (int d = 0; d < v->rank; d++)
        ret->dims[d] = v->dims[d];
    return MIEN_OK;
}

mien_status mien_session_output(const mien_session *session, size_t index, mien_tensor_view *ret,
                                mien_error *err)
{
    if (!session || !ret)
        return mien__fail(err, MIEN_E_ARG, "session or result is NULL");
    const mien__graph *g = mien__model_graph(session->model);
    if (index >= g->n_outputs)
        return mien__fail(err, MIEN_E_NOT_FOUND, "output %zu of %u", index, (unsigned)g->n_outputs);
    if (!session->plan)
        return mien__fail(err, MIEN_E_ARG, "the session has not been prepared");
    const mien__tensor *t = &session->plan->slots[session->plan->output_slots[index]].t;
    *ret = (mien_tensor_view){ .name = g->values[g->outputs[index]].name, .data = t->data, .rank = t->rank };
    for (int d = 0; d < t->rank; d++)
        ret->dims[d] = t->dims[d];
    return MIEN_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

mien_status mien_session_profile(mien_session *session, int n, mien_error *err)
{
    if (!session || !session->plan || n < 1 || n > 100000)
        return mien__fail(err, MIEN_E_ARG, "the session has not been prepared, or %d runs", n);
    mien__plan *plan = session->plan;
    size_t total = 0;
    if (!mien_mul_ok(plan->n_steps, (size_t)n, &total))
        return mien__fail(err, MIEN_E_LIMIT, "%d runs of %u steps", n, (unsigned)plan->n_steps);
    double *ms = mien_alloc_array(total + 1, sizeof *ms);
    if (!ms)
        return mien__nomem(err, total * sizeof *ms);
    for (int r = 0; r < n; r++)
        for (uint32_t i = 0; i < plan->n_steps; i++) {
            const double start = mien__now_ms();
            plan->steps[i].run(&plan->steps[i], session->pool);
            ms[(size_t)i * (size_t)n + (size_t)r] = mien__now_ms() - start;
        }
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        double *row = ms + (size_t)i * (size_t)n;
        qsort(row, (size_t)n, sizeof *row, compare_doubles);
        plan->steps[i].ms = row[n / 2];
    }
    mien_free(ms);
    return MIEN_OK;
}

mien_status mien_session_layer(const mien_session *session, size_t index, mien_layer_info *ret,
                               mien_error *err)
{
    if (!session || !ret)
        return mien__fail(err, MIEN_E_ARG, "session or result is NULL");
    if (!session->plan || index >= session->plan->n_steps)
        return mien__fail(err, MIEN_E_NOT_FOUND, "there is no step %zu", index);
    const mien__step *s = &session->plan->steps[index];
    *ret = (mien_layer_info){ s->node ? s->node->name : "", s->op, s->kernel, s->ms, s->mmac };
    return MIEN_OK;
}

size_t mien_session_arena_bytes(const mien_session *session)
{
    return session && session->plan ? session->plan->memory_bytes : 0;
}

size_t mien_session_weight_bytes(const mien_session *session)
{
    return session && session->plan ? session->plan->packed_bytes : 0;
}
