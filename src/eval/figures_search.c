/* Figures of searches as JSON: docs/eval.md has the fields. */
#include "eval/figures.h"
#include "eval/table.h"
#include <math.h>

enum { DIGITS = 6, SIGNIFICANT = 9, MAX_BYTES = 1 << 20 };

typedef struct page {
    mien__figures f; /* first */
    const mien_eval_search_summary *s;
    const mien_eval_search_json_opts *opts;
} page;

static void put(page *p, json_t *object, const char *key, json_t *value)
{
    mien__figures_set(&p->f, object, key, value);
}

static void put_number(page *p, json_t *object, const char *key, double v)
{
    put(p, object, key, mien__figures_round(v, DIGITS));
}

static void put_rate(page *p, json_t *to, const char *name, const mien_eval_rate *rate)
{
    char key[32];
    put_number(p, to, name, rate->value);
    snprintf(key, sizeof key, "%s_lo", name);
    put_number(p, to, key, rate->lo);
    snprintf(key, sizeof key, "%s_hi", name);
    put_number(p, to, key, rate->hi);
}

static json_t *at_fpir(page *p)
{
    json_t *list = json_array();
    for (int i = 0; i < MIEN_EVAL_FPIRS; i++) {
        const mien_eval_at_fpir *a = &p->s->at[i];
        json_t *item = json_object();
        put(p, item, "fpir", json_real(a->fpir));
        put_number(p, item, "threshold", a->threshold);
        put_rate(p, item, "fnir", &a->fnir);
        put(p, item, "supported", json_boolean(a->supported));
        mien__figures_append(&p->f, list, item);
    }
    return list;
}

/* What the calibration expects, and whether it agrees with what was measured within their intervals. */
static void put_expected(page *p, json_t *v)
{
    const mien_eval_rate *e = p->opts->expected, *is = &p->s->fpir;
    put(p, v, "fpir_expected", e ? mien__figures_round(e->value, DIGITS) : json_null());
    put(p, v, "fpir_expected_lo", e ? mien__figures_round(e->lo, DIGITS) : json_null());
    put(p, v, "fpir_expected_hi", e ? mien__figures_round(e->hi, DIGITS) : json_null());
    put(p, v, "fpir_agrees", e ? json_boolean(is->lo <= e->hi && is->hi >= e->lo) : json_null());
}

static void put_curves(page *p, json_t *v)
{
    const mien_eval_search_summary *s = p->s;
    json_t *bins[2] = { json_array(), json_array() }, *points = json_array();
    for (int i = 0; i < MIEN_EVAL_BINS; i++) {
        mien__figures_append(&p->f, bins[0], mien__figures_count(s->hist_mated[i]));
        mien__figures_append(&p->f, bins[1], mien__figures_count(s->hist_nonmated[i]));
    }
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        if (isnan(s->curve_fnir[i].value))
            continue;
        json_t *point = json_object();
        put_number(p, point, "fpir", s->curve_fpir[i]);
        put_rate(p, point, "fnir", &s->curve_fnir[i]);
        mien__figures_append(&p->f, points, point);
    }
    json_t *curves = json_object();
    put_number(p, curves, "score_lo", s->score_lo);
    put_number(p, curves, "score_hi", s->score_hi);
    put(p, curves, "mated", bins[0]);
    put(p, curves, "nonmated", bins[1]);
    put(p, curves, "fnir", points);
    put(p, v, "curves", curves);
}

static json_t *figures(page *p)
{
    const mien_eval_search_summary *s = p->s;
    const mien_eval_search_json_opts *o = p->opts;
    json_t *v = json_object(), *cmc = json_array();
    put(p, v, "model", mien__figures_text(o->matcher ? o->matcher : ""));
    put_rate(p, v, "fpir", &s->fpir);
    put_rate(p, v, "fnir", &s->fnir);
    put_rate(p, v, "rank1", &s->rank[0]);
    put_number(p, v, "threshold", s->threshold);
    put(p, v, "fpir_asked", isfinite(o->fpir_asked) ? json_real(o->fpir_asked) : json_null());
    put(p, v, "fpir_promised", json_boolean(o->promised && isfinite(o->fpir_asked)));
    put_expected(p, v);
    put(p, v, "people", mien__figures_count(o->n_people));
    put(p, v, "pictures", mien__figures_count(o->n_pictures));
    put(p, v, "mated", mien__figures_count(s->n_mated));
    put(p, v, "nonmated", mien__figures_count(s->n_nonmated));
    put(p, v, "failed_mated", mien__figures_count(s->n_failed_mated));
    put(p, v, "failed_nonmated", mien__figures_count(s->n_failed_nonmated));
    put(p, v, "left_out", mien__figures_count(o->n_left_out));
    put(p, v, "intervals", json_string(s->by_people ? "bootstrap over people" : "Clopper-Pearson"));
    for (int i = 0; i < MIEN_EVAL_RANKS; i++)
        mien__figures_append(&p->f, cmc, mien__figures_round(s->rank[i].value, DIGITS));
    put(p, v, "cmc", cmc);
    put(p, v, "fnir_at_fpir", at_fpir(p));
    if (o->curves)
        put_curves(p, v);
    return v;
}

mien_status mien_eval_search_json(const mien_eval_search_summary *summary,
                                  const mien_eval_search_json_opts *opts, char **ret_text, mien_error *err)
{
    mien_eval_search_json_opts o = MIEN_EVAL_SEARCH_JSON_OPTS_INIT;
    if (!summary || !ret_text)
        return mien__fail(err, MIEN_E_ARG, "figures: a pointer is NULL");
    MIEN__EVAL_TAKE(o, opts);
    page p = { .s = summary, .opts = &o };
    json_t *v = figures(&p);
    if (p.f.failed) {
        json_decref(v);
        v = NULL;
    }
    return mien__figures_dump(v, 2, SIGNIFICANT, MAX_BYTES, ret_text, err);
}
