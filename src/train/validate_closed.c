/* The closed set: nearest centroid, then accuracy, macro precision, recall, F1 and the confusions.
 *
 * The centroid of a person is the normalised mean of the enrolled embeddings; a probe goes to the centroid of
 * greatest cosine, the lower label among equals. Per person: precision = right / taken for this person,
 * recall = right / probes of this person, F1 = their harmonic mean; macro figures are means over people. For
 * their intervals people are resampled with the classification held as it is: the figures of a person are
 * the unit.
 */
#include "train/validate_parts.h"
#include "eval/stats.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROBES_PER_TASK = 32 };

typedef struct closed {
    const mien__people *p;
    const float *e;
    int dim;
    uint32_t *who; /* [n_who] people with two pictures or more */
    size_t n_who;
    float *centroids;    /* [n_who][dim] */
    uint32_t *probe_row; /* [n_probes] */
    uint32_t *probe_of;  /* [n_probes] index into who */
    uint32_t *taken_for; /* [n_probes] index into who */
    size_t n_probes, n_enrolled;
} closed;

static size_t pictures_of(const mien__people *p, size_t person)
{
    return p->first[person + 1] - p->first[person];
}

static void closed_clear(closed *c)
{
    mien_free(c->who);
    mien_free(c->centroids);
    mien_free(c->probe_row);
    mien_free(c->probe_of);
    mien_free(c->taken_for);
}

static mien_status closed_alloc(closed *c, mien_error *err)
{
    size_t floats;
    if (!mien_mul_ok(c->n_who, (size_t)c->dim, &floats))
        return mien__nomem(err, SIZE_MAX);
    c->who = mien_alloc_array(c->n_who, sizeof *c->who);
    c->centroids = mien_alloc_array_zero(floats, sizeof *c->centroids);
    c->probe_row = mien_alloc_array(c->n_probes, sizeof *c->probe_row);
    c->probe_of = mien_alloc_array(c->n_probes, sizeof *c->probe_of);
    c->taken_for = mien_alloc_array(c->n_probes, sizeof *c->taken_for);
    if (!c->who || !c->centroids || !c->probe_row || !c->probe_of || !c->taken_for)
        return mien__nomem(err, floats * sizeof *c->centroids);
    return MIEN_OK;
}

static void centroid(const closed *c, size_t first, size_t n, float *ret)
{
    double norm = 0;
    for (int k = 0; k < c->dim; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)c->e[(size_t)c->p->rows[first + i] * (size_t)c->dim + (size_t)k];
        ret[k] = (float)sum;
        norm += sum * sum;
    }
    const float scale = norm > 0 ? (float)(1 / sqrt(norm)) : 0;
    for (int k = 0; k < c->dim; k++)
        ret[k] *= scale;
}

static mien_status enrol(closed *c, mien_error *err)
{
    for (size_t i = 0; i < c->p->n; i++) {
        const size_t m = pictures_of(c->p, i);
        c->n_who += m >= 2;
        c->n_enrolled += m / 2;
        c->n_probes += m >= 2 ? m - m / 2 : 0;
    }
    if (c->n_who < 2)
        return MIEN_OK;
    const mien_status st = closed_alloc(c, err);
    if (st)
        return st;
    size_t w = 0, probe = 0;
    for (size_t i = 0; i < c->p->n; i++) {
        const size_t m = pictures_of(c->p, i), first = c->p->first[i];
        if (m < 2)
            continue;
        centroid(c, first, m / 2, c->centroids + w * (size_t)c->dim);
        for (size_t k = m / 2; k < m; k++) {
            c->probe_row[probe] = c->p->rows[first + k];
            c->probe_of[probe++] = (uint32_t)w;
        }
        c->who[w++] = (uint32_t)i;
    }
    return st;
}

static void classify(void *ctx, size_t task, unsigned worker)
{
    (void)worker;
    closed *const c = ctx;
    const size_t begin = task * PROBES_PER_TASK;
    const size_t end = begin + PROBES_PER_TASK < c->n_probes ? begin + PROBES_PER_TASK : c->n_probes;
    for (size_t i = begin; i < end; i++) {
        const float *const x = c->e + (size_t)c->probe_row[i] * (size_t)c->dim;
        double best = -HUGE_VAL;
        for (size_t w = 0; w < c->n_who; w++) {
            const float *const y = c->centroids + w * (size_t)c->dim;
            double sum = 0;
            for (int k = 0; k < c->dim; k++)
                sum += (double)x[k] * (double)y[k];
            if (sum > best) {
                best = sum;
                c->taken_for[i] = (uint32_t)w;
            }
        }
    }
}

/* ---- figures ---- */

static mien_status macro(const closed *c, const mien__validate_opts *o, mien__val_closed *r, mien_error *err)
{
    mien_status st = MIEN_OK;
    const size_t n = c->n_who, n_boot = (size_t)o->resamples;
    double *const figures = mien_alloc_array_zero(n, 3 * sizeof *figures); /* right, probes, taken first */
    double *const boot = mien_alloc_array_zero(n_boot, 3 * sizeof *boot);
    uint32_t *const weight = mien_alloc_array(n, sizeof *weight);
    if (!figures || !boot || !weight) {
        st = mien__nomem(err, 3 * (n + n_boot) * sizeof *boot);
        goto done;
    }
    for (size_t i = 0; i < c->n_probes; i++) {
        figures[3 * c->probe_of[i]] += c->probe_of[i] == c->taken_for[i];
        figures[3 * c->probe_of[i] + 1] += 1;
        figures[3 * c->taken_for[i] + 2] += 1;
    }
    double mean[3] = { 0 };
    for (size_t w = 0; w < n; w++) {
        double *const f = figures + 3 * w;
        const double right = f[0], probes = f[1], taken = f[2];
        f[0] = taken > 0 ? right / taken : 0;
        f[1] = right / probes;
        f[2] = 2 * right / (probes + taken);
        for (int k = 0; k < 3; k++)
            mean[k] += f[k] / (double)n;
    }
    for (size_t b = 0; b < n_boot; b++) {
        mien__resample(o->seed, b, n, weight);
        for (size_t w = 0; w < n; w++)
            for (size_t k = 0; k < 3; k++)
                boot[k * n_boot + b] += weight[w] * figures[3 * w + k] / (double)n;
    }
    mien_eval_rate *const to[] = { &r->precision, &r->recall, &r->f1 };
    for (size_t k = 0; k < 3; k++)
        *to[k] = mien__open_ended(mien__interval_of(mean[k], boot + k * n_boot, n_boot), n);
done:
    mien_free(weight);
    mien_free(boot);
    mien_free(figures);
    return st;
}

static int by_people(const void *a, const void *b)
{
    const mien__val_confusion *x = a, *y = b;
    if (x->actual != y->actual)
        return x->actual < y->actual ? -1 : 1;
    return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

static int most_first(const void *a, const void *b)
{
    const mien__val_confusion *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return by_people(a, b);
}

static mien_status confusions(const closed *c, mien__val_closed *r, mien_error *err)
{
    mien__val_confusion *const list = mien_alloc_array(c->n_probes, sizeof *list);
    if (!list)
        return mien__nomem(err, c->n_probes * sizeof *list);
    size_t wrong = 0, kinds = 0;
    for (size_t i = 0; i < c->n_probes; i++)
        if (c->probe_of[i] != c->taken_for[i])
            list[wrong++] = (mien__val_confusion){ c->p->labels[c->who[c->probe_of[i]]],
                                                   c->p->labels[c->who[c->taken_for[i]]], 1 };
    qsort(list, wrong, sizeof *list, by_people);
    for (size_t i = 0; i < wrong; i++) {
        if (kinds > 0 && by_people(&list[kinds - 1], &list[i]) == 0)
            list[kinds - 1].count++;
        else
            list[kinds++] = list[i];
    }
    qsort(list, kinds, sizeof *list, most_first);
    r->n_right = c->n_probes - wrong;
    r->n_wrong_kinds = kinds;
    r->n_top = kinds < MIEN__VAL_CONFUSIONS ? kinds : MIEN__VAL_CONFUSIONS;
    memcpy(r->top, list, r->n_top * sizeof *list);
    mien_free(list);
    if (c->n_who > MIEN__VAL_MATRIX_PEOPLE)
        return MIEN_OK;
    r->matrix = mien_alloc_array_zero(c->n_who * c->n_who, sizeof *r->matrix);
    if (!r->matrix)
        return mien__nomem(err, c->n_who * c->n_who * sizeof *r->matrix);
    for (size_t w = 0; w < c->n_who; w++)
        r->matrix_labels[w] = c->p->labels[c->who[w]];
    for (size_t i = 0; i < c->n_probes; i++)
        r->matrix[c->probe_of[i] * c->n_who + c->taken_for[i]]++;
    return MIEN_OK;
}

mien_status mien__validate_closed(const mien__people *p, const float *e, int dim,
                                  const mien__validate_opts *o, mien__val_closed *ret, mien_error *err)
{
    closed c = { .p = p, .e = e, .dim = dim };
    mien__val_closed r = { 0 };
    mien_status st = enrol(&c, err);
    if (st || c.n_who < 2)
        goto done;
    mien__pool_run(o->pool, classify, &c, (c.n_probes + PROBES_PER_TASK - 1) / PROBES_PER_TASK);
    r.done = true;
    r.n_people = c.n_who;
    r.n_enrolled = c.n_enrolled;
    r.n_probes = c.n_probes;
    r.n_left_out = p->n - c.n_who;
    st = confusions(&c, &r, err);
    if (st)
        goto done;
    r.accuracy = mien__rate_of(r.n_right, r.n_probes);
    st = macro(&c, o, &r, err);
done:
    closed_clear(&c);
    if (st)
        mien_free(r.matrix);
    else
        *ret = r;
    return st;
}
