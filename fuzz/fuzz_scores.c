/* Fuzz target: tables of scores from CSV, with and without scores, and what is measured on them. */
#include <mien/eval.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t told;

static void bad_row(size_t line, const char *why, void *user)
{
    if (line < 1 || !why || !*why)
        abort();
    (void)user;
    told++;
}

static void check_rate(mien_eval_rate r)
{
    if (!(r.lo >= 0 && r.hi <= 1 + 1e-12 && r.lo <= r.hi && isfinite(r.value)))
        abort();
}

static void measure(const mien_eval_table *t)
{
    mien_evaluation *e = NULL;
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    o.resamples = 2;
    o.threads = 1;
    if (mien_eval_measure(t, &o, &e, NULL) != MIEN_OK)
        return;
    const mien_eval_summary *s = mien_evaluation_summary(e);
    check_rate(s->auc);
    check_rate(s->eer);
    check_rate(s->decided.fmr);
    check_rate(s->decided.fnmr);
    check_rate(s->decided.accuracy);
    for (size_t i = 0; i < s->n_groups; i++) {
        check_rate(s->groups[i].fmr);
        check_rate(s->groups[i].fnmr);
    }
    if (s->n_mated + s->n_nonmated + s->n_failed_mated + s->n_failed_nonmated != mien_eval_table_rows(t))
        abort();
    mien_evaluation_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int pairs_only = 0; pairs_only < 3; pairs_only++) {
        mien_eval_table *t = NULL;
        mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
        size_t bad = 0;
        told = 0;
        o.pairs_only = pairs_only;
        o.bad_row = bad_row;
        if (mien_eval_table_parse((const char *)data, size, &o, &t, &bad, NULL) != MIEN_OK)
            continue;
        if (bad != told || mien_eval_table_rows(t) == 0)
            abort();
        for (size_t i = 0; i < mien_eval_table_rows(t); i++) {
            const mien_eval_row r = mien_eval_table_row(t, i);
            if (!r.failed && !isfinite(r.score))
                abort();
            (void)mien_eval_table_label(t, i, 0);
        }
        measure(t);
        mien_eval_table_free(t);
    }
    return 0;
}
