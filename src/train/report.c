/* The page: the verdict, key figures, the table, and the sections of the other files; see report.h. */
#include "train/report_parts.h"
#include <string.h>

static mien_status check(const mien__report *r, const void *ret, mien_error *err)
{
    if (!r || !ret || !r->title || (r->n_examples && !r->examples) || (r->n_config && !r->config) ||
        (r->n_environment && !r->environment))
        return mien__fail(err, MIEN_E_ARG, "report: a pointer is NULL");
    return mien__page_check_examples(r->examples, r->n_examples, err);
}

static void verdict(const mien__report *r, mien__text *t)
{
    const mien__comparison *const c = r->comparison;
    if (!c && !r->outcome)
        return;
    static const char *const words[] = { "Not shown to be better", "Better", "Worse" };
    static const char *const classes[] = { "", " better", " worse" };
    mien__text_fmt(t, "<div class=\"verdict%s\">", c ? classes[c->verdict] : "");
    if (c) {
        mien__text_fmt(t, "<p class=\"word\">%s</p><p>", words[c->verdict]);
        mien__verdict_sentence(c, t); /* numbers and words of ours: nothing to escape */
        mien__text_fmt(t, "</p>");
    }
    if (r->outcome) {
        mien__text_fmt(t, "<p>");
        mien__text_html(t, r->outcome);
        mien__text_fmt(t, "</p>");
    }
    mien__text_fmt(t, "</div>\n");
}

static void tile(const char *name, double after, const double *before, mien__text *t)
{
    mien__text_fmt(t, "<div><dt>%s</dt><dd><span class=\"big\">%.2f %%</span>", name, 100 * after);
    if (before)
        mien__text_fmt(t, "<br/><span class=\"soft\">was %.2f %%</span>", 100 * *before);
    mien__text_fmt(t, "</dd></div>\n");
}

static void tiles(const mien__report *r, mien__text *t)
{
    const mien__validation *const b = r->before, *const v = r->after;
    if (!v)
        return;
    mien__text_fmt(t, "<dl class=\"tiles\">\n");
    tile("FNMR at FAR 1 %", v->open.at[0].fnmr.value, b ? &b->open.at[0].fnmr.value : NULL, t);
    tile("FNMR at FAR 0.1 %", v->open.at[1].fnmr.value, b ? &b->open.at[1].fnmr.value : NULL, t);
    tile("Equal error rate", v->open.eer, b ? &b->open.eer : NULL, t);
    if (v->closed.done)
        tile("Closed-set accuracy", v->closed.accuracy.value,
             b && b->closed.done ? &b->closed.accuracy.value : NULL, t);
    mien__text_fmt(t, "</dl>\n");
}

/* The value, and its interval apart, so that the columns align. */
static void figure_cell(const mien__validation *v, int row, mien__text *t)
{
    const size_t begin = t->buf.size;
    char text[128];
    mien__validation_cell(v, row, t);
    const size_t len = t->buf.size - begin;
    if (t->status || len >= sizeof text)
        return;
    memcpy(text, t->buf.data + begin, len);
    text[len] = '\0';
    size_t value = strcspn(text, "[(*");
    const size_t rest = value;
    value -= value > 0 && text[value - 1] == ' ';
    t->buf.size = begin;
    mien__text_fmt(t, "<td class=\"n\">");
    mien__text_raw(t, text, value);
    mien__text_fmt(t, "<span class=\"ci\">");
    mien__text_raw(t, text + rest, len - rest);
    mien__text_fmt(t, "</span></td>");
}

static void table(const mien__report *r, mien__text *t)
{
    const mien__validation *const columns[] = { r->before, r->after };
    static const char *const names[] = { "Before", "After" };
    if (!r->before && !r->after)
        return;
    bool supported = true;
    for (int i = 0; i < 2; i++)
        supported = supported &&
                    (!columns[i] || (columns[i]->open.at[0].supported && columns[i]->open.at[1].supported));
    mien__text_fmt(
        t,
        "<section><h2>Accuracy on held-out people</h2>\n<div class=\"scroll\">"
        "<table class=\"figures\"><caption>In brackets 95 %% intervals: bootstrap over people; "
        "closed-set accuracy by Clopper and Pearson; pair accuracy with its standard deviation over "
        "folds.%s</caption><thead><tr><th scope=\"col\">Measure</th>",
        supported ? "" : " * Too few non-mated pairs for this FAR (rule of three).");
    for (int i = 0; i < 2; i++)
        if (columns[i])
            mien__text_fmt(t, "<th scope=\"col\" class=\"n\">%s</th>", names[i]);
    mien__text_fmt(t, "</tr></thead><tbody>\n");
    for (int row = 0; mien__validation_row(row); row++) {
        mien__text_fmt(t, "<tr><th scope=\"row\">%s</th>", mien__validation_row(row));
        for (int i = 0; i < 2; i++)
            if (columns[i])
                figure_cell(columns[i], row, t);
        mien__text_fmt(t, "</tr>\n");
    }
    mien__text_fmt(t, "</tbody></table></div></section>\n");
}

static void count_row(const char *name, size_t n, mien__text *t)
{
    mien__text_fmt(t, "<tr><th scope=\"row\">%s</th><td class=\"n\">%zu</td></tr>\n", name, n);
}

static void data_summary(const mien__report *r, mien__text *t)
{
    const mien__report_data *const d = r->data;
    if (!d)
        return;
    mien__text_fmt(t, "<section><h2>Data</h2>\n<div class=\"scroll\"><table><tbody>\n");
    count_row("People trained on", d->train_people, t);
    count_row("Pictures trained on", d->train_pictures, t);
    count_row("People held out", d->val_people, t);
    count_row("Pictures held out", d->val_pictures, t);
    count_row("Left out: unreadable", d->n_unreadable, t);
    count_row("Left out: no face found", d->n_no_face, t);
    count_row("Near duplicates across the split", d->n_duplicates, t);
    mien__text_fmt(t, "</tbody></table></div>\n");
    if (d->n_duplicates > 0)
        mien__text_fmt(
            t,
            "<p class=\"soft note\">Pictures that are nearly the same stand on both sides of the split: the "
            "figures above may flatter the model.</p>\n");
    mien__text_fmt(t, "</section>\n");
}

mien_status mien__report_html(const mien__report *r, mien__buf *ret, mien_error *err)
{
    const mien_status st = check(r, ret, err);
    if (st)
        return st;
    mien__text t;
    mien__text_init(&t, MIEN__PAGE_MAX_BYTES, err);
    mien__page_begin(r->title, "Training report", &t);
    verdict(r, &t);
    tiles(r, &t);
    table(r, &t);
    mien__report_curves(r, &t);
    mien__report_scores(r, &t);
    mien__report_confusion(r, &t);
    mien__page_examples("Examples of errors", "Pairs on the wrong side of the threshold.", r->examples,
                        r->n_examples, &t);
    mien__text_fmt(&t, "<div class=\"columns\">\n");
    data_summary(r, &t);
    mien__page_entries("Environment", r->environment, r->n_environment, &t);
    mien__text_fmt(&t, "</div>\n");
    mien__page_entries("Configuration", r->config, r->n_config, &t);
    mien__page_end(&t);
    return mien__text_take(&t, ret);
}

mien_status mien__report_write(const mien__report *r, const char *path, mien_error *err)
{
    mien__buf page = { 0 };
    mien_status st =
        path ? mien__report_html(r, &page, err) : mien__fail(err, MIEN_E_ARG, "report: the path is NULL");
    if (!st)
        st = mien__file_write_atomic(path, page.data, page.size, err);
    mien__buf_free(&page);
    return st;
}
