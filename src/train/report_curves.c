/* Which curves the report shows. */
#include "train/report_parts.h"
#include "report/plot.h"
#include <stdio.h>
#include <string.h>

static const char *const colours[MIEN__PLOT_CURVES] = { "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7" };

/* ---- curves over steps ---- */

static void add_series(mien__plot *p, const mien__runlog_data *d, const char *name, const char *shown)
{
    const mien__series *const s = mien__runlog_find(d, name);
    if (!s || s->n == 0 || p->n_curves == MIEN__PLOT_CURVES)
        return;
    p->curves[p->n_curves] = (mien__curve){ .name = shown,
                                            .style = colours[p->n_curves],
                                            .x = s->steps,
                                            .y = s->values,
                                            .n = s->n,
                                            .dots = s->n <= 2,
                                            .mean = true };
    p->n_curves++;
}

/* A figure with its interval, as validation writes it. */
static void add_rate(mien__plot *p, const mien__runlog_data *d, const char *name, const char *shown)
{
    char full[3][MIEN__RUNLOG_NAME_BYTES];
    static const char *const parts[] = { "value", "lo", "hi" };
    const mien__series *s[3];
    for (int i = 0; i < 3; i++) {
        snprintf(full[i], sizeof full[i], "validation.%s.%s", name, parts[i]);
        s[i] = mien__runlog_find(d, full[i]);
    }
    if (!s[0] || s[0]->n == 0 || p->n_curves == MIEN__PLOT_CURVES)
        return;
    add_series(p, d, full[0], shown);
    mien__curve *const c = &p->curves[p->n_curves - 1];
    c->dots = c->n <= 40;
    if (s[1] && s[2] && s[1]->n == c->n && s[2]->n == c->n) {
        c->lo = s[1]->values;
        c->hi = s[2]->values;
    }
}

static mien__plot over_steps(const char *id, const char *title, const char *y_name)
{
    return (mien__plot){
        .id = id, .title = title, .x_name = "step", .y_name = y_name, .x_factor = 1, .y_factor = 1
    };
}

static void losses(const mien__runlog_data *d, mien__text *t)
{
    mien__plot p = over_steps("loss", "Loss", "mean of a batch");
    double lo = 0, hi = 0;
    bool any = false;
    for (size_t i = 0; i < d->n; i++) {
        const mien__series *const s = &d->series[i];
        if (strncmp(s->name, "loss", 4) != 0)
            continue;
        const char *const part = s->name[4] == '_' || s->name[4] == '.' ? s->name + 5 : "total";
        add_series(&p, d, s->name, part);
        for (size_t k = 0; k < s->n; k++) {
            lo = any && lo < s->values[k] ? lo : s->values[k];
            hi = any && hi > s->values[k] ? hi : s->values[k];
            any = true;
        }
    }
    if (lo > 0 && hi > 30 * lo)
        p.y_scale = MIEN__LOG;
    p.y_from_zero = p.y_scale == MIEN__LINEAR && lo >= 0;
    mien__plot_svg(&p, t);
}

static void single(const mien__runlog_data *d, const char *name, const char *title, const char *unit,
                   mien__text *t)
{
    mien__plot p = over_steps(name, title, unit);
    p.y_from_zero = true;
    add_series(&p, d, name, title);
    mien__plot_svg(&p, t);
}

void mien__report_curves(const mien__report *r, mien__text *t)
{
    const mien__runlog_data *const d = r->log;
    if (!d || d->n_lines == 0)
        return;
    mien__text_fmt(t, "<section><h2>Course of the training</h2>\n<div class=\"grid\">\n");
    losses(d, t);
    mien__plot p = over_steps("fnmr", "Validation, open set", "FNMR in %, band: 95 % interval");
    p.y_factor = 100;
    p.y_from_zero = true;
    add_rate(&p, d, "open.far_1e-2.fnmr", "at FAR 1 %");
    add_rate(&p, d, "open.far_1e-3.fnmr", "at FAR 0.1 %");
    mien__plot_svg(&p, t);
    p = over_steps("closed", "Validation, closed set", "in %, band: 95 % interval");
    p.y_factor = 100;
    add_rate(&p, d, "closed.accuracy", "accuracy");
    add_rate(&p, d, "closed.f1", "macro F1");
    mien__plot_svg(&p, t);
    single(d, "lr", "Learning rate", "", t);
    single(d, "grad_norm", "Gradient norm", "before clipping", t);
    single(d, "images_s", "Speed", "images per second", t);
    mien__text_fmt(t, "</div></section>\n");
}

/* ---- scores ---- */

typedef struct histogram {
    double x[2 * MIEN__VAL_BINS], mated[2 * MIEN__VAL_BINS], nonmated[2 * MIEN__VAL_BINS];
} histogram;

/* As steps, as shares of all pairs of a kind, between the outermost bins that either model uses. */
static size_t shares(const mien__val_open *o, int first, int last, histogram *h)
{
    size_t n = 0;
    for (int i = first; i <= last; i++)
        for (int side = 0; side < 2; side++, n++) {
            h->x[n] = (double)(i + side) / MIEN__VAL_BINS * 2 - 1;
            h->mated[n] = (double)o->hist_mated[i] / (double)(o->n_mated ? o->n_mated : 1);
            h->nonmated[n] = (double)o->hist_nonmated[i] / (double)(o->n_nonmated ? o->n_nonmated : 1);
        }
    return n;
}

static void score_histogram(const mien__validation *v, const char *id, const char *title, int first, int last,
                            mien__text *t)
{
    if (!v)
        return;
    histogram h;
    const size_t n = shares(&v->open, first, last, &h);
    mien__plot p = { .id = id,
                     .title = title,
                     .x_name = "similarity (cosine)",
                     .y_name = "share of pairs in %",
                     .y_from_zero = true,
                     .x_factor = 1,
                     .y_factor = 100,
                     .x_mark = &v->open.at[0].threshold,
                     .mark_name = "FAR 1 %",
                     .n_curves = 2 };
    p.curves[0] = (mien__curve){
        .name = "different people", .style = "nonmated", .x = h.x, .y = h.nonmated, .n = n, .fill = true
    };
    p.curves[1] = (mien__curve){
        .name = "same person", .style = "mated", .x = h.x, .y = h.mated, .n = n, .fill = true
    };
    mien__plot_svg(&p, t);
}

static bool bin_used(const mien__validation *v, int i)
{
    return v && (v->open.hist_mated[i] || v->open.hist_nonmated[i]);
}

static void det(const mien__report *r, mien__text *t)
{
    const mien__validation *const both[] = { r->before, r->after };
    static const char *const names[] = { "before", "after" };
    mien__plot p = { .id = "det",
                     .title = "Error trade-off (DET)",
                     .x_name = "false match rate in %",
                     .y_name = "FNMR in %",
                     .x_scale = MIEN__LOG,
                     .y_scale = MIEN__LOG,
                     .x_factor = 100,
                     .y_factor = 100 };
    for (int i = 0; i < 2; i++)
        if (both[i])
            p.curves[p.n_curves++] = (mien__curve){ .name = names[i],
                                                    .style = names[i],
                                                    .n = MIEN__VAL_DET,
                                                    .x = both[i]->open.det_fmr,
                                                    .y = both[i]->open.det_fnmr };
    mien__plot_svg(&p, t);
}

void mien__report_scores(const mien__report *r, mien__text *t)
{
    if (!r->before && !r->after)
        return;
    int first = 0, last = MIEN__VAL_BINS - 1;
    while (first < last && !bin_used(r->before, first) && !bin_used(r->after, first))
        first++;
    while (last > first && !bin_used(r->before, last) && !bin_used(r->after, last))
        last--;
    mien__text_fmt(t, "<section><h2>Scores on held-out people</h2>\n<div class=\"grid\">\n");
    score_histogram(r->before, "hist-before", "Scores before", first, last, t);
    score_histogram(r->after, "hist-after", "Scores after", first, last, t);
    det(r, t);
    mien__text_fmt(t, "</div></section>\n");
}
