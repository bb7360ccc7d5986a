/* The page: header with the verdict, key figures, the table, and the sections of the other files; see
 * report.h. Polyglot markup (every element closed, every attribute quoted, no named entity beyond XML's own),
 * so that a test can hold it against an XML parser. */
#include "train/report_parts.h"
#include <string.h>

static mien_status check(const mien__report *r, const void *ret, mien_error *err)
{
    if (!r || !ret || !r->title || (r->n_examples && !r->examples) || (r->n_config && !r->config) ||
        (r->n_environment && !r->environment))
        return mien__fail(err, MIEN_E_ARG, "report: a pointer is NULL");
    if (r->n_examples > MIEN__REPORT_MAX_EXAMPLES)
        return mien__fail(err, MIEN_E_ARG, "report: %zu examples, at most %d", r->n_examples,
                          MIEN__REPORT_MAX_EXAMPLES);
    static const uint8_t magic[] = { 0xff, 0xd8, 0xff };
    for (size_t i = 0; i < r->n_examples; i++) {
        const mien__report_example *const e = &r->examples[i];
        if ((e->jpeg_a && (e->bytes_a < 3 || memcmp(e->jpeg_a, magic, 3) != 0)) ||
            (e->jpeg_b && (e->bytes_b < 3 || memcmp(e->jpeg_b, magic, 3) != 0)))
            return mien__fail(err, MIEN_E_ARG, "report: a picture of example %zu is not a JPEG", i);
    }
    return MIEN_OK;
}

static void head(const mien__report *r, mien__text *t)
{
    mien__text_fmt(
        t, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
           "<meta charset=\"utf-8\"/>\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; img-src "
           "data:; style-src &#39;unsafe-inline&#39;\"/>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>");
    mien__text_html(t, r->title);
    mien__text_fmt(t, "</title>\n<style>\n");
    mien__text_raw(t, mien__report_css, strlen(mien__report_css));
    mien__text_fmt(t, "</style>\n</head>\n<body>\n<main>\n<h1>");
    mien__text_html(t, r->title);
    mien__text_fmt(t, "</h1>\n<p class=\"soft\">Training report of mien %s</p>\n", mien_version());
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

static void entries(const char *title, const mien__report_entry *e, size_t n, mien__text *t)
{
    if (n == 0)
        return;
    mien__text_fmt(t, "<section><h2>%s</h2>\n<table class=\"pair\"><tbody>\n", title);
    for (size_t i = 0; i < n; i++) {
        mien__text_fmt(t, "<tr><th scope=\"row\">");
        mien__text_html(t, e[i].key);
        mien__text_fmt(t, "</th><td>");
        mien__text_html(t, e[i].value ? e[i].value : "");
        mien__text_fmt(t, "</td></tr>\n");
    }
    mien__text_fmt(t, "</tbody></table></section>\n");
}

mien_status mien__report_html(const mien__report *r, mien__buf *ret, mien_error *err)
{
    const mien_status st = check(r, ret, err);
    if (st)
        return st;
    mien__text t;
    mien__text_init(&t, MIEN__REPORT_MAX_BYTES, err);
    head(r, &t);
    verdict(r, &t);
    tiles(r, &t);
    table(r, &t);
    mien__report_curves(r, &t);
    mien__report_scores(r, &t);
    mien__report_confusion(r, &t);
    mien__report_examples(r, &t);
    mien__text_fmt(&t, "<div class=\"columns\">\n");
    data_summary(r, &t);
    entries("Environment", r->environment, r->n_environment, &t);
    mien__text_fmt(&t, "</div>\n");
    entries("Configuration", r->config, r->n_config, &t);
    mien__text_fmt(&t, "</main>\n</body>\n</html>\n");
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
