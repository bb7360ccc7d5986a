/* Validation in words, as a table and as JSON. */
#include "train/validate.h"
#include <math.h>
#include <string.h>

enum { TABLE_BYTES = 1 << 16, COLUMN = 28 };

const char *mien__verdict_name(mien__verdict v)
{
    return v == MIEN__BETTER ? "better" : v == MIEN__WORSE ? "worse" : "not shown to be better";
}

void mien__rate_text(mien_eval_rate r, mien__text *t)
{
    mien__text_fmt(t, "%.2f %% [%.2f, %.2f]", 100 * r.value, 100 * r.lo, 100 * r.hi);
}

void mien__verdict_sentence(const mien__comparison *c, mien__text *t)
{
    mien__text_fmt(
        t,
        "The new model is %s on %zu held-out people: FNMR at FAR 1 %% went from %.2f %% to %.2f %%, "
        "a difference of %.2f points [%.2f, %.2f].",
        mien__verdict_name(c->verdict), c->n_people, 100 * c->fnmr_before, 100 * c->fnmr_after,
        100 * c->difference.value, 100 * c->difference.lo, 100 * c->difference.hi);
    if (c->n_mated_people < MIEN__VAL_MIN_PEOPLE)
        mien__text_fmt(
            t, " Only %zu of them have two pictures or more; at least %d are needed to show anything.",
            c->n_mated_people, MIEN__VAL_MIN_PEOPLE);
}

/* ---- table ---- */

enum {
    ROW_PEOPLE,
    ROW_PAIRS,
    ROW_FNMR,
    ROW_FNMR_3,
    ROW_TAR,
    ROW_TAR_3,
    ROW_EER,
    ROW_AUC,
    ROW_PAIR,
    ROW_ACC,
    ROW_PRECISION,
    ROW_RECALL,
    ROW_F1,
    N_ROWS
};
static const char *const row_names[N_ROWS] = {
    "people / pictures",
    "mated / non-mated pairs",
    "FNMR at FAR 1 %",
    "FNMR at FAR 0.1 %",
    "TAR at FAR 1 %",
    "TAR at FAR 0.1 %",
    "EER",
    "AUC",
    "pair accuracy",
    "closed-set accuracy",
    "closed-set precision",
    "closed-set recall",
    "closed-set F1",
};

const char *mien__validation_row(int row)
{
    return row >= 0 && row < N_ROWS ? row_names[row] : NULL;
}

void mien__validation_cell(const mien__validation *v, int row, mien__text *t)
{
    const mien__val_open *const o = &v->open;
    const mien__val_closed *const c = &v->closed;
    if (row == ROW_PEOPLE) {
        mien__text_fmt(t, "%zu / %zu", o->n_people, o->n_pictures);
    } else if (row == ROW_PAIRS) {
        mien__text_fmt(t, "%zu / %zu", o->n_mated, o->n_nonmated);
    } else if (row >= ROW_FNMR && row <= ROW_TAR_3) {
        const mien__val_rate *const at = &o->at[row == ROW_FNMR_3 || row == ROW_TAR_3];
        const mien_eval_rate tar = { 1 - at->fnmr.value, 1 - at->fnmr.hi, 1 - at->fnmr.lo };
        mien__rate_text(row <= ROW_FNMR_3 ? at->fnmr : tar, t);
        if (!at->supported)
            mien__text_fmt(t, " *");
    } else if (row == ROW_EER) {
        mien__text_fmt(t, "%.2f %%", 100 * o->eer);
    } else if (row == ROW_AUC) {
        mien__text_fmt(t, "%.5f", o->auc);
    } else if (row == ROW_PAIR && o->folds) {
        mien__text_fmt(t, "%.2f %% (sd %.2f)", 100 * o->pair_accuracy, 100 * o->pair_accuracy_std);
    } else if (row >= ROW_ACC && c->done) {
        const mien_eval_rate *const rates[] = { &c->accuracy, &c->precision, &c->recall, &c->f1 };
        mien__rate_text(*rates[row - ROW_ACC], t);
    } else {
        mien__text_fmt(t, "-");
    }
}

static void column(const mien__validation *v, int row, mien__text *t)
{
    const size_t begin = t->buf.size;
    mien__validation_cell(v, row, t);
    for (size_t len = t->buf.size - begin; len < COLUMN; len++)
        mien__text_raw(t, " ", 1);
}

mien_status mien__validation_table(const mien__validation *before, const mien__validation *after,
                                   const mien__comparison *c, mien__buf *ret, mien_error *err)
{
    if (!after || !ret)
        return mien__fail(err, MIEN_E_ARG, "validation table: a pointer is NULL");
    mien__text t;
    mien__text_init(&t, TABLE_BYTES, err);
    if (before)
        mien__text_fmt(&t, "%-24s%-28safter\n", "", "before");
    for (int row = 0; row < N_ROWS; row++) {
        mien__text_fmt(&t, "%-24s", row_names[row]);
        if (before)
            column(before, row, &t);
        mien__validation_cell(after, row, &t);
        mien__text_fmt(&t, "\n");
    }
    mien__text_fmt(&t, "In brackets: 95 %% intervals, bootstrap over people (accuracy: Clopper-Pearson).\n");
    if (!after->open.at[0].supported || !after->open.at[1].supported)
        mien__text_fmt(&t,
                       "* too few non-mated pairs for this FAR (rule of three); read it as a tendency.\n");
    if (c) {
        mien__verdict_sentence(c, &t);
        mien__text_fmt(&t, "\n");
    }
    return mien__text_take(&t, ret);
}

/* ---- JSON ---- */

static void pair_of(mien__text *t, const char *name, double v)
{
    mien__text_fmt(t, ",\"%s\":", name);
    mien__text_json_f64(t, v, 7);
}

static void rate(mien__text *t, const char *name, mien_eval_rate r)
{
    mien__text_fmt(t, ",\"%s\":{\"value\":", name);
    mien__text_json_f64(t, r.value, 7);
    pair_of(t, "lo", r.lo);
    pair_of(t, "hi", r.hi);
    mien__text_fmt(t, "}");
}

static void person(mien__text *t, const char *key, int32_t label, const char *const *names, size_t n_names)
{
    mien__text_fmt(t, "\"%s\":", key);
    if (names && label >= 0 && (size_t)label < n_names)
        mien__text_json(t, names[label]);
    else
        mien__text_fmt(t, "%d", (int)label);
}

static void json_open(const mien__val_open *o, mien__text *t)
{
    mien__text_fmt(t, "{\"people\":%zu,\"pictures\":%zu,\"mated\":%zu,\"nonmated\":%zu", o->n_people,
                   o->n_pictures, o->n_mated, o->n_nonmated);
    for (int i = 0; i < MIEN__VAL_FARS; i++) {
        const mien__val_rate *const at = &o->at[i];
        mien__text_fmt(t, ",\"far_1e%d\":{\"supported\":%s", -2 - i, at->supported ? "true" : "false");
        pair_of(t, "threshold", at->threshold);
        rate(t, "fnmr", at->fnmr);
        mien__text_fmt(t, "}");
    }
    pair_of(t, "auc", o->auc);
    pair_of(t, "eer", o->eer);
    if (o->folds) {
        mien__text_fmt(t, ",\"pairs\":{\"folds\":%zu", o->folds);
        pair_of(t, "accuracy", o->pair_accuracy);
        pair_of(t, "accuracy_std", o->pair_accuracy_std);
        pair_of(t, "precision", o->pair_precision);
        pair_of(t, "recall", o->pair_recall);
        pair_of(t, "f1", o->pair_f1);
        mien__text_fmt(t, "}");
    }
    mien__text_fmt(t, "}");
}

static void json_closed(const mien__val_closed *c, const char *const *names, size_t n_names, mien__text *t)
{
    mien__text_fmt(t, "{\"people\":%zu,\"enrolled\":%zu,\"probes\":%zu,\"right\":%zu,\"left_out\":%zu",
                   c->n_people, c->n_enrolled, c->n_probes, c->n_right, c->n_left_out);
    rate(t, "accuracy", c->accuracy);
    rate(t, "precision", c->precision);
    rate(t, "recall", c->recall);
    rate(t, "f1", c->f1);
    mien__text_fmt(t, ",\"confusions\":[");
    for (size_t i = 0; i < c->n_top; i++) {
        mien__text_fmt(t, i ? ",{" : "{");
        person(t, "actual", c->top[i].actual, names, n_names);
        mien__text_fmt(t, ",");
        person(t, "predicted", c->top[i].predicted, names, n_names);
        mien__text_fmt(t, ",\"count\":%zu}", (size_t)c->top[i].count);
    }
    mien__text_fmt(t, "]}");
}

void mien__validation_json(const mien__validation *v, const char *const *names, size_t n_names, mien__text *t)
{
    mien__text_fmt(t, "{\"open\":");
    json_open(&v->open, t);
    mien__text_fmt(t, ",\"closed\":");
    if (v->closed.done)
        json_closed(&v->closed, names, n_names, t);
    else
        mien__text_fmt(t, "null");
    mien__text_fmt(t, "}");
}

void mien__comparison_json(const mien__comparison *c, mien__text *t)
{
    mien__text_fmt(t, "{\"verdict\":\"%s\",\"people\":%zu", mien__verdict_name(c->verdict), c->n_people);
    pair_of(t, "fnmr_before", c->fnmr_before);
    pair_of(t, "fnmr_after", c->fnmr_after);
    rate(t, "difference", c->difference);
    mien__text_fmt(t, "}");
}
