/* Hints: inner values of a teacher on the crops or scenes of a batch, and the loss that draws the student's
 * values to them (Romero 2015, "FitNets", eq. 3, with the squares divided by the teacher's mean square). The
 * teacher is a copy of the model whose outputs are the values wanted, run by an ordinary session.
 */
#include "train/hints.h"
#include "nn/graph.h"
#include "train/loss.h"
#include "train/targets.h"
#include <stdio.h>
#include <string.h>

struct mien__hints {
    mien_model *model;
    mien_session *session;
    const mien_model_info *info;
    mien__pool *pool;
    float *input;
    int batch, width, height;
    size_t n;
    char (*student)[96];
};

/* A copy of the teacher that gives the named values as its outputs. */
static mien_status teacher_of(const mien_model *teacher, const char *const *specs, size_t n, mien_model **ret,
                              mien_error *err)
{
    mien__graph *g = NULL;
    mien_status st = mien__graph_copy(mien__model_graph(teacher), &g, err);
    uint32_t *outputs = mien_alloc_array_zero(n + 1, sizeof *outputs);
    if (!st && !outputs)
        st = mien__nomem(err, n * sizeof *outputs);
    for (size_t i = 0; !st && i < n; i++) {
        const char *equals = strchr(specs[i], '=');
        uint32_t at = 0;
        while (equals && at < g->n_values && strcmp(g->values[at].name, equals + 1) != 0)
            at++;
        if (!equals || at == g->n_values)
            st = mien__fail(err, MIEN_E_NOT_FOUND, "hint '%.100s': %s", specs[i],
                            equals ? "the teacher has no such value" : "wanted STUDENT_VALUE=TEACHER_VALUE");
        outputs[i] = at;
    }
    if (!st && !mien__graph_set_io(g, g->inputs, g->n_inputs, outputs, (uint32_t)n))
        st = mien__nomem(err, n * sizeof *outputs);
    mien_free(outputs);
    if (st) {
        mien__graph_free(g);
        return st;
    }
    return mien__model_from_graph(g, mien_model_info_of(teacher), ret, err);
}

mien_status mien__hints_new(const mien_model *teacher, const char *const *specs, size_t n, int batch,
                            int width, int height, unsigned threads, mien__hints **ret, mien_error *err)
{
    mien__hints *h = mien_alloc_zero(sizeof *h);
    mien_session_opts so = MIEN_SESSION_OPTS_INIT;
    mien_tensor_view shape = { 0 };
    mien_status st = h ? MIEN_OK : mien__nomem(err, sizeof *h);
    if (st)
        return st;
    so.threads = threads;
    h->n = n;
    h->batch = batch;
    h->student = mien_alloc_array_zero(n + 1, sizeof *h->student);
    if (!h->student) {
        st = mien__nomem(err, n * sizeof *h->student);
        goto done;
    }
    if ((st = teacher_of(teacher, specs, n, &h->model, err)) ||
        (st = mien__pool_new(&h->pool, threads, err)) ||
        (st = mien_session_new(h->model, &so, &h->session, err)) ||
        (st = mien_session_input(h->session, 0, &shape, err)))
        goto done;
    h->info = mien_model_info_of(h->model);
    shape.dims[0] = batch;
    shape.dims[2] = h->height = height;
    shape.dims[3] = h->width = width;
    if ((st = mien_session_prepare(h->session, 1, &shape, &h->input, err)))
        goto done;
    for (size_t i = 0; i < n; i++)
        snprintf(h->student[i], sizeof h->student[i], "%.*s", (int)strcspn(specs[i], "="), specs[i]);
    *ret = h;
    h = NULL;
done:
    mien__hints_free(h);
    return st;
}

void mien__hints_free(mien__hints *h)
{
    if (!h)
        return;
    mien_session_free(h->session);
    mien_model_free(h->model);
    mien__pool_free(h->pool);
    mien_free(h->student);
    mien_free(h);
}

mien_status mien__hints_run(mien__hints *h, const uint8_t *rgb, mien_error *err)
{
    mien__planes_from_rgb(h->info, rgb, h->batch, h->width, h->height, h->input, h->pool);
    return mien_session_run(h->session, err);
}

const char *mien__hints_student(const mien__hints *h, size_t i)
{
    return i < h->n ? h->student[i] : NULL;
}

const float *mien__hints_value(const mien__hints *h, size_t i, size_t *ret_count)
{
    mien_tensor_view v;
    if (mien_session_output(h->session, i, &v, NULL))
        return NULL;
    *ret_count = 1;
    for (int d = 0; d < v.rank; d++)
        *ret_count *= (size_t)v.dims[d];
    return v.data;
}

/* Taps of one value share its gradient: an output that is hinted at has that of the main loss already. */
static bool has_gradient(const mien__net *net, size_t tap)
{
    for (size_t i = 0; i < tap; i++)
        if (mien__net_tap_at(net, i)->grad == mien__net_tap_at(net, tap)->grad)
            return true;
    return false;
}

mien_status mien__hints_loss(const mien__hints *h, mien__net *net, double weight, double *loss,
                             mien__parts *parts, mien_error *err)
{
    double sum = 0.0, worst = 0.0;
    if (!h)
        return MIEN_OK;
    const size_t first = mien__net_n_taps(net) - h->n;
    const double share = weight / (double)h->n;
    for (size_t i = 0; i < h->n; i++) {
        const mien__net_tap *tap = mien__net_tap_at(net, first + i);
        size_t count = 0;
        const float *value = mien__hints_value(h, i, &count);
        if (!value || count != tap->count)
            return mien__fail(err, MIEN_E_MODEL_SHAPE,
                              "hint '%.60s': the teacher's value has %zu numbers, ours %zu", tap->name, count,
                              tap->count);
        const double off =
            mien__loss_hint(tap->data, value, count, share, has_gradient(net, first + i), tap->grad);
        sum += off;
        worst = off > worst ? off : worst;
    }
    mien__parts_add(parts, "loss_hint", sum / (double)h->n);
    mien__parts_add(parts, "hint_worst", worst);
    *loss += share * sum;
    return MIEN_OK;
}

void mien__hints_force(const mien__hints *h, mien__net *net, bool on, const float **values)
{
    size_t count = 0;
    for (size_t i = 0; i < h->n; i++)
        values[i] = mien__hints_value(h, i, &count);
    mien__net_force(net, on ? values : NULL);
}
