/* Who is taken for whom: confusion matrix, frequent confusions. */
#include "train/report_parts.h"
#include <string.h>

enum { NAMED_PEOPLE = 20, MATRIX = 440, NAMES = 126, NAME_CHARS = 18 };

static void name_of(const mien__report *r, int32_t label, mien__text *t)
{
    if (r->people && label >= 0 && (size_t)label < r->n_people && r->people[label])
        mien__text_html(t, r->people[label]);
    else
        mien__text_fmt(t, "person %d", (int)label);
}

/* A name for the margin of the matrix, cut at a character. */
static void short_name(const mien__report *r, int32_t label, mien__text *t)
{
    char text[4 * NAME_CHARS + 4];
    const char *const s =
        r->people && label >= 0 && (size_t)label < r->n_people && r->people[label] ? r->people[label] : NULL;
    if (!s) {
        name_of(r, label, t);
        return;
    }
    size_t n = 0;
    for (int chars = 0; s[n] && n < 4 * NAME_CHARS; n++) {
        chars += ((unsigned char)s[n] & 0xc0) != 0x80;
        if (chars > NAME_CHARS)
            break;
    }
    memcpy(text, s, n);
    memcpy(text + n, s[n] ? "\xe2\x80\xa6" : "", s[n] ? 4 : 1);
    mien__text_html(t, text);
}

static void matrix_cell(const mien__report *r, const mien__val_closed *c, size_t i, size_t k, double left,
                        double top, double side, mien__text *t)
{
    const uint32_t *const row = c->matrix + i * c->n_people;
    size_t total = 0;
    for (size_t m = 0; m < c->n_people; m++)
        total += row[m];
    if (row[k] == 0 || total == 0)
        return;
    mien__text_fmt(
        t,
        "<rect class=\"cell%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" opacity=\"%.2f\">"
        "<title>",
        i == k ? " right" : "", left, top, side - 1, side - 1, 0.25 + 0.75 * (double)row[k] / (double)total);
    name_of(r, c->matrix_labels[i], t);
    mien__text_fmt(t, " taken for ");
    name_of(r, c->matrix_labels[k], t);
    mien__text_fmt(t, ": %zu of %zu</title></rect>\n", (size_t)row[k], total);
}

static void matrix(const mien__report *r, const mien__val_closed *c, mien__text *t)
{
    const bool named = c->n_people <= NAMED_PEOPLE;
    const double edge = named ? NAMES : 0, side = (MATRIX - edge) / (double)c->n_people;
    mien__text_fmt(
        t,
        "<figure class=\"matrix\"><figcaption><strong>Confusion matrix</strong> <span class=\"unit\">a "
        "row per person, a column per person taken for; the stronger the colour, the larger the "
        "share of the row</span></figcaption>\n<svg role=\"img\" viewBox=\"0 0 %d %.0f\" "
        "aria-labelledby=\"cm-t cm-d\"><title id=\"cm-t\">Confusion matrix</title><desc id=\"cm-d\">%zu "
        "of %zu pictures on the diagonal.</desc>\n",
        (int)MATRIX, MATRIX - edge, c->n_right, c->n_probes);
    mien__text_fmt(t, "<rect class=\"none\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%.2f\"/>\n", edge,
                   MATRIX - edge, MATRIX - edge);
    for (size_t i = 0; i < c->n_people; i++) {
        if (named) {
            mien__text_fmt(t, "<text x=\"%.1f\" y=\"%.2f\" text-anchor=\"end\">", edge - 8,
                           ((double)i + 0.5) * side + 4);
            short_name(r, c->matrix_labels[i], t);
            mien__text_fmt(t, "</text>\n");
        }
        for (size_t k = 0; k < c->n_people; k++)
            matrix_cell(r, c, i, k, edge + (double)k * side, (double)i * side, side, t);
    }
    mien__text_fmt(t, "</svg></figure>\n");
}

static void frequent(const mien__report *r, const mien__val_closed *c, mien__text *t)
{
    if (c->n_top == 0) {
        mien__text_fmt(t, "<p>No picture was taken for another person.</p>\n");
        return;
    }
    mien__text_fmt(t, "<div class=\"scroll\"><table>");
    if (c->n_top < c->n_wrong_kinds)
        mien__text_fmt(t, "<caption>The %zu most frequent of %zu confusions.</caption>", c->n_top,
                       c->n_wrong_kinds);
    mien__text_fmt(t, "<thead><tr><th scope=\"col\">Person</th><th scope=\"col\">Taken for</th>"
                      "<th scope=\"col\" class=\"n\">Pictures</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < c->n_top; i++) {
        mien__text_fmt(t, "<tr><td>");
        name_of(r, c->top[i].actual, t);
        mien__text_fmt(t, "</td><td>");
        name_of(r, c->top[i].predicted, t);
        mien__text_fmt(t, "</td><td class=\"n\">%zu</td></tr>\n", (size_t)c->top[i].count);
    }
    mien__text_fmt(t, "</tbody></table></div>\n");
}

void mien__report_confusion(const mien__report *r, mien__text *t)
{
    const mien__validation *const v = r->after ? r->after : r->before;
    if (!v || !v->closed.done)
        return;
    const mien__val_closed *const c = &v->closed;
    mien__text_fmt(
        t,
        "<section><h2>Confusions</h2>\n<p class=\"soft\">Each of %zu people is enrolled with the first "
        "half of their pictures (%zu); the other %zu pictures go to the nearest person. %zu were right"
        "%s.</p>\n",
        c->n_people, c->n_enrolled, c->n_probes, c->n_right, r->after ? " after training" : "");
    if (c->n_left_out > 0)
        mien__text_fmt(t, "<p class=\"soft\">%zu people with a single picture took no part.</p>\n",
                       c->n_left_out);
    mien__text_fmt(t, "<div class=\"columns\">\n");
    if (c->matrix)
        matrix(r, c, t);
    mien__text_fmt(t, "<div>");
    frequent(r, c, t);
    mien__text_fmt(t, "</div></div></section>\n");
}
