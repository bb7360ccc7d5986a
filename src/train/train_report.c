/* The end of a run: what the new model is worth beside the old one on people neither was trained on, in
 * words, figures and a page.
 */
#include "train/report.h"
#include "train/train_embed.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLES_PER_KIND = 12, CONFIG_ROWS = 24, VALUE_BYTES = 160 };

typedef struct conclusion {
    const mien_train_opts *o;
    mien__embed_task *task;
    mien__val_crops val;
    float *before_e, *after_e;
    int before_dim, after_dim;
    mien__validation before, after;
    mien__comparison comparison;
    bool measured, compared;
    mien__report_example examples[2 * EXAMPLES_PER_KIND];
    size_t n_examples;
} conclusion;

static mien_status embeddings(conclusion *c, const mien_model *m, float **ret, int *ret_dim, mien_error *err)
{
    *ret_dim = mien_model_info_of(m)->embedding_len;
    *ret = mien_alloc_array(c->val.n, (size_t)*ret_dim * sizeof **ret);
    return *ret ? mien__embed_task_embed(c->task, m, *ret, err)
                : mien__nomem(err, c->val.n * (size_t)*ret_dim);
}

static mien_status measure(conclusion *c, const mien_model *before, const mien_model *after, mien_error *err)
{
    const mien__validate_opts vo = MIEN__VALIDATE_OPTS_INIT;
    mien_status st = embeddings(c, after, &c->after_e, &c->after_dim, err);
    if (!st)
        st = mien__validate(c->after_e, c->val.labels, c->val.n, c->after_dim, &vo, &c->after, err);
    c->measured = !st;
    if (st || !before)
        return st;
    if ((st = embeddings(c, before, &c->before_e, &c->before_dim, err)) ||
        (st = mien__validate(c->before_e, c->val.labels, c->val.n, c->before_dim, &vo, &c->before, err)) ||
        (st = mien__compare(c->before_e, c->before_dim, c->after_e, c->after_dim, c->val.labels, c->val.n,
                            &vo, &c->comparison, err)))
        return st;
    c->compared = true;
    return MIEN_OK;
}

static mien_train_figures figures_of(const mien__validation *v)
{
    mien_train_figures f = { .eer = v->open.eer, .auc = v->open.auc, .accuracy = { NAN, NAN, NAN } };
    for (int i = 0; i < MIEN__VAL_FARS; i++) {
        f.fnmr[i] = v->open.at[i].fnmr;
        f.supported[i] = v->open.at[i].supported;
    }
    if (v->closed.done)
        f.accuracy = v->closed.accuracy;
    return f;
}

static void give_figures(const conclusion *c, mien_train_result *ret)
{
    ret->measured = c->measured;
    if (c->measured) {
        ret->after = figures_of(&c->after);
        ret->n_val_people = c->after.open.n_people;
        ret->n_val_mated = c->after.open.n_mated_people;
    }
    if (c->compared) {
        ret->before = figures_of(&c->before);
        ret->change = c->comparison.difference;
    }
}

/* ---- examples of errors ---- */

typedef struct worst {
    double score;
    size_t a, b;
} worst;

/* Keep the pair when it is among the worst so far; `worst` is ordered, worst first. */
static void keep(worst *w, size_t *n, double score, double badness, size_t a, size_t b, bool mated)
{
    size_t at = *n;
    if (*n == EXAMPLES_PER_KIND && badness <= (mated ? -w[*n - 1].score : w[*n - 1].score))
        return;
    if (*n < EXAMPLES_PER_KIND)
        (*n)++;
    else
        at = *n - 1;
    while (at > 0 && badness > (mated ? -w[at - 1].score : w[at - 1].score)) {
        w[at] = w[at - 1];
        at--;
    }
    w[at] = (worst){ score, a, b };
}

static mien_status add_example(conclusion *c, const worst *w, bool mated, mien_error *err)
{
    const size_t bytes = (size_t)c->val.side * (size_t)c->val.side * 3;
    const size_t at[2] = { w->a, w->b };
    uint8_t *jpeg[2] = { NULL, NULL };
    size_t size[2] = { 0, 0 };
    mien_status st = MIEN_OK;
    for (int i = 0; !st && c->o->error_pictures && i < 2; i++) {
        const mien_image_view view = { c->val.rgb + at[i] * bytes, c->val.side, c->val.side,
                                       (size_t)c->val.side * 3 };
        st = mien_image_encode(view, "jpeg", 85, &jpeg[i], &size[i], err);
    }
    if (st) {
        mien_image_data_free(jpeg[0]);
        return st;
    }
    c->examples[c->n_examples++] = (mien__report_example){ .mated = mated,
                                                           .score = w->score,
                                                           .threshold = c->after.open.at[0].threshold,
                                                           .name_a = c->val.people[c->val.labels[w->a]],
                                                           .name_b = c->val.people[c->val.labels[w->b]],
                                                           .jpeg_a = jpeg[0],
                                                           .jpeg_b = jpeg[1],
                                                           .bytes_a = size[0],
                                                           .bytes_b = size[1] };
    return MIEN_OK;
}

static mien_status find_examples(conclusion *c, mien_error *err)
{
    worst found[2][EXAMPLES_PER_KIND];
    size_t n[2] = { 0, 0 };
    const size_t dim = (size_t)c->after_dim;
    const double threshold = c->after.open.at[0].threshold;
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < c->val.n; i++)
        for (size_t j = i + 1; j < c->val.n; j++) {
            const bool mated = c->val.labels[i] == c->val.labels[j];
            float dot = 0.0f; /* a ranking: float will do */
            if (c->val.labels[i] < 0 || c->val.labels[j] < 0)
                continue;
            for (size_t k = 0; k < dim; k++)
                dot += c->after_e[i * dim + k] * c->after_e[j * dim + k];
            if (mated == (dot < threshold))
                keep(found[mated], &n[mated], dot, mated ? -dot : dot, i, j, mated);
        }
    for (int kind = 1; kind >= 0; kind--)
        for (size_t i = 0; !st && i < n[kind]; i++)
            st = add_example(c, &found[kind][i], kind == 1, err);
    return st;
}

/* ---- the page ---- */

static size_t config_rows(const mien_train_opts *o, mien__report_entry *rows, char (*values)[VALUE_BYTES])
{
    static const char *const losses[] = { "distillation", "softmax", "ArcFace", "CosFace", "triplet" };
    size_t n = 0;
#define ROW(name, ...)                                     \
    do {                                                   \
        snprintf(values[n], VALUE_BYTES, __VA_ARGS__);     \
        rows[n] = (mien__report_entry){ name, values[n] }; \
        n++;                                               \
    } while (0)
    ROW("data", "%.150s", o->data);
    if (o->val_data)
        ROW("validation data", "%.150s", o->val_data);
    else
        ROW("held out for validation", "%g of the people", o->val_fraction);
    if (o->model) {
        ROW("started from", "%.150s", mien_model_info_of(o->model)->name);
        ROW("tuned", "%.150s", o->tune ? o->tune : "all");
    } else
        ROW("architecture", "%.150s", o->arch);
    ROW("loss", "%s", losses[o->loss]);
    for (size_t i = 0; i < o->n_teachers && n < CONFIG_ROWS - 10; i++)
        ROW("teacher", "%.150s", mien_model_info_of(o->teachers[i])->name);
    ROW("epochs", "%d", o->epochs);
    ROW("pictures per step", "%d x %d", o->batch, o->accumulate);
    ROW("optimiser", "%s, learning rate %g, weight decay %g", o->sgd ? "SGD" : "AdamW", o->lr,
        o->weight_decay);
    ROW("weight average", "%g", o->ema);
    ROW("augmentation", "%.150s", o->augment ? o->augment : "default");
    ROW("seed", "%llu", (unsigned long long)o->seed);
#undef ROW
    return n;
}

static mien_status write_page(conclusion *c, const mien__run_data *data, const char *outcome, mien_error *err)
{
    char path[4096], values[CONFIG_ROWS][VALUE_BYTES];
    mien__report_entry rows[CONFIG_ROWS];
    const mien__report_entry environment[] = { { "mien", mien_version() },
                                               { "processor level", mien_cpu_level() } };
    mien__runlog_data log = { 0 };
    snprintf(path, sizeof path, "%s/log.jsonl", c->o->dir);
    mien_status st = mien__runlog_read(path, &log, err);
    const mien__report_data d = { .train_people = data->n_people,
                                  .train_pictures = data->n_train,
                                  .val_people = c->measured ? c->after.open.n_people : 0,
                                  .val_pictures = c->val.n,
                                  .n_unreadable = data->set->n_unreadable,
                                  .n_no_face = data->set->n_no_face,
                                  .n_duplicates = data->n_duplicates };
    const mien__report r = { .title = c->o->model ? "Fine-tuning" : "Training",
                             .outcome = outcome,
                             .before = c->compared ? &c->before : NULL,
                             .after = c->measured ? &c->after : NULL,
                             .comparison = c->compared ? &c->comparison : NULL,
                             .log = &log,
                             .data = &d,
                             .people = c->val.people,
                             .n_people = c->val.n_people,
                             .examples = c->examples,
                             .n_examples = c->n_examples,
                             .config = rows,
                             .n_config = config_rows(c->o, rows, values),
                             .environment = environment,
                             .n_environment = MIEN_COUNTOF(environment) };
    snprintf(path, sizeof path, "%s/report.html", c->o->dir);
    if (!st)
        st = mien__report_write(&r, path, err);
    mien__runlog_data_clear(&log);
    return st;
}

static mien_status summarise(const conclusion *c, mien_train_result *ret, mien_error *err)
{
    mien__buf b;
    mien__buf_init(&b, (size_t)1 << 20);
    const mien_status st = mien__validation_table(c->compared ? &c->before : NULL, &c->after,
                                                  c->compared ? &c->comparison : NULL, &b, err);
    if (!st)
        snprintf(ret->summary, sizeof ret->summary, "%.*s", (int)b.size, (const char *)b.data);
    mien__buf_free(&b);
    return st;
}

mien_status mien__train_conclude(const mien_train_opts *o, mien__embed_task *t, const mien__run_data *data,
                                 const mien_model *before, const mien_model *after, mien_train_result *ret,
                                 mien_error *err)
{
    conclusion c = { .o = o, .task = t, .val = mien__embed_task_val(t) };
    const char *outcome = "Nothing was measured: validation takes two people, and one of them twice.";
    mien_status st = MIEN_OK;
    if (mien__embed_task_labelled(t) && ((st = measure(&c, before, after, err)) ||
                                         (st = summarise(&c, ret, err)) || (st = find_examples(&c, err))))
        goto done;
    give_figures(&c, ret);
    if (c.compared) {
        ret->better = c.comparison.verdict == MIEN__BETTER ? 1 : c.comparison.verdict == MIEN__WORSE ? -1 : 0;
        outcome = ret->better > 0 ? "The tuned model is better on people it was not trained on."
                  : o->force      ? "The tuned model was kept although it was not shown to be better."
                                  : "The tuned model was not kept.";
    } else if (c.measured)
        outcome = "The model is new: there is none to compare it with.";
    else if (before)
        snprintf(ret->summary, sizeof ret->summary, "%s\n", outcome);
    st = write_page(&c, data, outcome, err);
done:
    for (size_t i = 0; i < c.n_examples; i++) {
        mien_image_data_free((uint8_t *)(uintptr_t)c.examples[i].jpeg_a);
        mien_image_data_free((uint8_t *)(uintptr_t)c.examples[i].jpeg_b);
    }
    mien__validation_clear(&c.before);
    mien__validation_clear(&c.after);
    mien_free(c.before_e);
    mien_free(c.after_e);
    return st;
}
