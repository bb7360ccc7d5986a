/* What JSON pages of figures are made with, over jansson; see figures.h. */
#include "eval/figures.h"
#include <math.h>
#include <string.h>

void mien__figures_set(mien__figures *f, json_t *object, const char *key, json_t *value)
{
    f->failed |= json_object_set_new(object, key, value) != 0;
}

void mien__figures_append(mien__figures *f, json_t *array, json_t *value)
{
    f->failed |= json_array_append_new(array, value) != 0;
}

json_t *mien__figures_round(double v, int digits)
{
    if (!isfinite(v))
        return json_null();
    const double scale = pow(10, digits), rounded = round(v * scale) / scale;
    return json_real(rounded + 0.0); /* no -0 */
}

json_t *mien__figures_count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *mien__figures_text(const char *s)
{
    if (mien__utf8_ok(s))
        return json_string(s);
    static const char unknown[] = "\xef\xbf\xbd";
    mien__buf clean;
    mien__buf_init(&clean, 3 * strlen(s));
    mien_status st = MIEN_OK;
    for (size_t n = 0; *s && !st; s += n ? n : 1) {
        n = mien__utf8_length(s);
        st = mien__buf_append(&clean, n ? s : unknown, n ? n : sizeof unknown - 1, NULL);
    }
    json_t *ret = st ? NULL : json_stringn((const char *)clean.data, clean.size);
    mien__buf_free(&clean);
    return ret;
}

/* jansson writes through this into a growing buffer. Not every piece that fails stops it: the first failure
 * is remembered. */
typedef struct writer {
    mien__buf buf;
    mien_status status;
} writer;

static int append(const char *text, size_t bytes, void *user)
{
    writer *w = user;
    if (!w->status)
        w->status = mien__buf_append(&w->buf, text, bytes, NULL);
    return w->status ? -1 : 0;
}

mien_status mien__figures_dump(json_t *page, size_t indent, int digits, size_t max_bytes, char **ret,
                               mien_error *err)
{
    writer w = { .status = MIEN_OK };
    mien__buf_init(&w.buf, max_bytes);
    if (!page ||
        json_dump_callback(page, append, &w, JSON_INDENT(indent) | JSON_REAL_PRECISION((size_t)digits)))
        w.status = w.status ? w.status : MIEN_E_NOMEM;
    json_decref(page);
    (void)append("\n", 2, &w); /* with the text's end */
    if (w.status) {
        mien__buf_free(&w.buf);
        return mien__fail(err, w.status, "figures: %s",
                          w.status == MIEN_E_LIMIT ? "the text would be too long"
                                                   : "memory is short, or a text is not UTF-8");
    }
    *ret = (char *)w.buf.data;
    return MIEN_OK;
}
