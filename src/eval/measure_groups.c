/* Rates of the groups that label columns make. Each group's pairs lie together as two numbers each, so that a
 * resample is one pass. A pair without a label in a column is in none of its groups. */
#include "eval/measure.h"
#include <math.h>
#include <string.h>

static const uint32_t error_bit = (uint32_t)1 << 31;

/* Number of the first group of each column; returns how many there are. */
static size_t number_groups(const mien_eval_table *t, size_t *base)
{
    size_t n = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        base[c] = n;
        n += t->columns[c].dropped || t->columns[c].values.n < 2 ? 0 : t->columns[c].values.n;
    }
    base[t->n_columns] = n;
    return n;
}

/* Group of a row in column c; -1: none. */
static ptrdiff_t group_of(const mien_eval_table *t, const size_t *base, size_t c, size_t row)
{
    const uint8_t label = t->labels[row * t->n_columns + c];
    return base[c] == base[c + 1] || !label ? -1 : (ptrdiff_t)(base[c] + label - 1);
}

typedef struct filling {
    const mien__epairs *p;
    const mien_eval_table *t;
    const size_t *base;
    double threshold;
    mien__groups *g;
    uint32_t *next; /* [2 n] */
    uint32_t *seen; /* [n_units] last group + 1 in which a person was counted */
} filling;

static void each_pair(const filling *f, void (*fn)(const filling *, const mien__epair *, size_t, bool))
{
    for (size_t c = 0; c < f->t->n_columns; c++)
        for (int mated = 0; mated < 2; mated++) {
            const mien__epair *const v = mated ? f->p->mated : f->p->nonmated;
            const size_t n = mated ? f->p->n_mated : f->p->n_nonmated;
            for (size_t i = 0; i < n; i++) {
                const ptrdiff_t group = group_of(f->t, f->base, c, v[i].row);
                if (group >= 0)
                    fn(f, &v[i], (size_t)group, mated != 0);
            }
        }
}

static void count_pair(const filling *f, const mien__epair *v, size_t group, bool mated)
{
    (void)v;
    *(mated ? &f->g->shown[group].n_mated : &f->g->shown[group].n_nonmated) += 1;
}

static void put_pair(const filling *f, const mien__epair *v, size_t group, bool mated)
{
    const uint32_t at = f->next[2 * group + !mated]++;
    const bool error = mated ? v->score < f->threshold : v->score >= f->threshold;
    f->g->pairs[0][at] = v->a | (error ? error_bit : 0);
    f->g->pairs[1][at] = v->b;
}

static void count_failed(const filling *f)
{
    for (size_t row = 0; row < f->t->n; row++)
        for (size_t c = 0; f->t->rows[row].failed && c < f->t->n_columns; c++) {
            const ptrdiff_t group = group_of(f->t, f->base, c, row);
            if (group >= 0)
                f->g->shown[group].n_failed++;
        }
}

static void count_people(const filling *f)
{
    for (size_t group = 0; group < f->g->n; group++)
        for (uint32_t i = f->g->first[2 * group]; i < f->g->first[2 * group + 2]; i++) {
            const uint32_t unit[2] = { f->g->pairs[0][i] & ~error_bit, f->g->pairs[1][i] };
            for (int k = 0; k < 2; k++)
                if (unit[k] < f->p->n_units && f->seen[unit[k]] != group + 1) {
                    f->seen[unit[k]] = (uint32_t)(group + 1);
                    f->g->shown[group].n_people++;
                }
        }
}

static void name_groups(const mien_eval_table *t, const size_t *base, mien__groups *g)
{
    for (size_t c = 0; c < t->n_columns; c++)
        for (size_t i = base[c]; i < base[c + 1]; i++) {
            g->shown[i].column = t->columns[c].name;
            g->shown[i].value = mien__names_at(&t->columns[c].values, (uint32_t)(i - base[c] + 1));
        }
}

mien_status mien__groups_new(const mien__epairs *p, const mien_eval_table *t, double threshold,
                             mien__groups *ret, mien_error *err)
{
    size_t base[MIEN_EVAL_MAX_COLUMNS + 1];
    mien__groups g = { .n = number_groups(t, base) };
    filling f = { p, t, base, threshold, &g, NULL, NULL };
    mien_status st = MIEN_OK;
    if (!g.n) {
        *ret = g;
        return st;
    }
    g.shown = mien_alloc_array_zero(g.n, sizeof *g.shown);
    g.first = mien_alloc_array_zero(2 * g.n + 1, sizeof *g.first);
    f.next = mien_alloc_array(2 * g.n, sizeof *f.next);
    f.seen = mien_alloc_array_zero(p->n_units, sizeof *f.seen);
    if (!g.shown || !g.first || !f.next || !f.seen) {
        st = mien__nomem(err, p->n_units * sizeof *f.seen);
        goto done;
    }
    each_pair(&f, count_pair);
    for (size_t i = 0; i < g.n; i++) {
        g.first[2 * i + 1] = g.first[2 * i] + (uint32_t)g.shown[i].n_mated;
        g.first[2 * i + 2] = g.first[2 * i + 1] + (uint32_t)g.shown[i].n_nonmated;
    }
    memcpy(f.next, g.first, 2 * g.n * sizeof *f.next);
    for (int k = 0; k < 2; k++)
        g.pairs[k] = mien_alloc_array(g.first[2 * g.n], sizeof *g.pairs[k]);
    if (!g.pairs[0] || !g.pairs[1]) {
        st = mien__nomem(err, g.first[2 * g.n] * sizeof *g.pairs[0]);
        goto done;
    }
    each_pair(&f, put_pair);
    count_failed(&f);
    if (p->by_people)
        count_people(&f);
    name_groups(t, base, &g);
    *ret = g;
    g = (mien__groups){ 0 };
done:
    mien__groups_clear(&g);
    mien_free(f.next);
    mien_free(f.seen);
    return st;
}

void mien__groups_clear(mien__groups *g)
{
    mien_free(g->shown);
    mien_free(g->first);
    mien_free(g->pairs[0]);
    mien_free(g->pairs[1]);
    *g = (mien__groups){ 0 };
}

void mien__group_figures(const mien__groups *g, const uint32_t *weight, double *ret)
{
    for (size_t k = 0; k < 2 * g->n; k++) {
        uint64_t all = 0, errors = 0;
        for (uint32_t i = g->first[k]; i < g->first[k + 1]; i++) {
            const uint32_t a = g->pairs[0][i];
            const uint64_t w = (uint64_t)weight[a & ~error_bit] * weight[g->pairs[1][i]];
            all += w;
            errors += a & error_bit ? w : 0;
        }
        ret[k ^ 1] = all ? (double)errors / (double)all : NAN; /* FMR stands before FNMR */
    }
}
