/* The shared parts of a page; see page.h. Polyglot markup (every element closed, every attribute quoted, no
 * named entity beyond XML's own), so that a test can hold it against an XML parser. */
#include "report/page.h"
#include <string.h>

void mien__page_begin(const char *title, const char *kind, mien__text *t)
{
    mien__text_fmt(
        t, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
           "<meta charset=\"utf-8\"/>\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; img-src "
           "data:; style-src &#39;unsafe-inline&#39;\"/>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>");
    mien__text_html(t, title);
    mien__text_fmt(t, "</title>\n<style>\n");
    mien__text_raw(t, mien__report_css, strlen(mien__report_css));
    mien__text_fmt(t, "</style>\n</head>\n<body>\n<main>\n<h1>");
    mien__text_html(t, title);
    mien__text_fmt(t, "</h1>\n<p class=\"soft\">%s of mien %s</p>\n", kind, mien_version());
}

void mien__page_end(mien__text *t)
{
    mien__text_fmt(t, "</main>\n</body>\n</html>\n");
}

void mien__page_entries(const char *title, const mien__report_entry *e, size_t n, mien__text *t)
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

/* ---- examples of errors ---- */

mien_status mien__page_check_examples(const mien__report_example *e, size_t n, mien_error *err)
{
    if (n > MIEN__PAGE_MAX_EXAMPLES)
        return mien__fail(err, MIEN_E_ARG, "report: %zu examples, at most %d", n, MIEN__PAGE_MAX_EXAMPLES);
    static const uint8_t magic[] = { 0xff, 0xd8, 0xff };
    for (size_t i = 0; i < n; i++) {
        if ((e[i].jpeg_a && (e[i].bytes_a < 3 || memcmp(e[i].jpeg_a, magic, 3) != 0)) ||
            (e[i].jpeg_b && (e[i].bytes_b < 3 || memcmp(e[i].jpeg_b, magic, 3) != 0)))
            return mien__fail(err, MIEN_E_ARG, "report: a picture of example %zu is not a JPEG", i);
    }
    return MIEN_OK;
}

static void face(const uint8_t *jpeg, size_t bytes, const char *name, mien__text *t)
{
    if (!jpeg)
        return;
    mien__text_fmt(t, "<img alt=\"");
    mien__text_html(t, name ? name : "face");
    mien__text_fmt(t, "\" src=\"data:image/jpeg;base64,");
    mien__text_base64(t, jpeg, bytes);
    mien__text_fmt(t, "\"/>");
}

static void example(const mien__report_example *e, mien__text *t)
{
    mien__text_fmt(t, "<div class=\"error\">");
    if (e->jpeg_a || e->jpeg_b) {
        mien__text_fmt(t, "<div class=\"faces\">");
        face(e->jpeg_a, e->bytes_a, e->name_a, t);
        face(e->jpeg_b, e->bytes_b, e->name_b, t);
        mien__text_fmt(t, "</div>");
    }
    mien__text_fmt(t, "<span class=\"tag\">%s</span><br/>",
                   e->mated ? "One person, not recognised" : "Two people, confused");
    if (e->name_a)
        mien__text_html(t, e->name_a);
    if (e->name_a && e->name_b)
        mien__text_fmt(t, "<br/>");
    if (e->name_b)
        mien__text_html(t, e->name_b);
    mien__text_fmt(t, "%s<span class=\"soft\">score %.3f, threshold %.3f</span></div>\n",
                   e->name_a || e->name_b ? "<br/>" : "", e->score, e->threshold);
}

void mien__page_examples(const char *title, const char *note, const mien__report_example *e, size_t n,
                         mien__text *t)
{
    if (n == 0)
        return;
    mien__text_fmt(t, "<section><h2>%s</h2>\n<p class=\"soft\">%s</p>\n<div class=\"errors\">\n", title,
                   note);
    for (size_t i = 0; i < n; i++)
        example(&e[i], t);
    mien__text_fmt(t, "</div></section>\n");
}
