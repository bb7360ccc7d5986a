/* Reading the log of a run: a small JSON reader (RFC 8259) that keeps numbers and nothing else.
 *
 * The file may be damaged or made by anyone, so depth, names, figures per line and series are bounded, and a
 * line counts only when the whole of it is well formed.
 */
#include "train/runlog.h"
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *p, *end;
    char name[MIEN__RUNLOG_NAME_BYTES]; /* where we are, joined by dots */
    size_t name_len;
    bool named; /* false below an array or a name that does not fit: figures are not kept */
    mien__runlog_line *line;
} reader;

static void spaces(reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static bool take(reader *r, char c)
{
    spaces(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* A string; its content between the quotes, escapes unresolved. */
static bool string(reader *r, const char **ret, size_t *ret_len)
{
    if (!take(r, '"'))
        return false;
    *ret = r->p;
    for (; r->p < r->end && *r->p != '"'; r->p++) {
        if ((unsigned char)*r->p < 0x20)
            return false;
        if (*r->p == '\\' && ++r->p == r->end)
            return false;
    }
    *ret_len = (size_t)(r->p - *ret);
    return take(r, '"');
}

static bool number(reader *r)
{
    char text[64];
    size_t n = 0;
    while (r->p < r->end && n < sizeof text - 1 && *r->p && strchr("+-.0123456789eE", *r->p))
        text[n++] = *r->p++;
    text[n] = '\0';
    double v;
    if (!mien__parse_f64(text, &v))
        return false;
    if (!r->named)
        return true;
    if (r->line->n == MIEN__RUNLOG_MAX_SERIES)
        return false;
    memcpy(r->line->figures[r->line->n].name, r->name, r->name_len + 1);
    r->line->figures[r->line->n++].value = v;
    return true;
}

static bool word(reader *r, const char *w)
{
    const size_t len = strlen(w);
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, w, len) != 0)
        return false;
    r->p += len;
    return true;
}

static bool value(reader *r, int depth);

static bool member(reader *r, int depth)
{
    const char *key;
    size_t len;
    if (!string(r, &key, &len) || !take(r, ':'))
        return false;
    const size_t was = r->name_len;
    const bool named = r->named;
    if (was + (was > 0) + len >= sizeof r->name || memchr(key, '\0', len)) {
        r->named = false;
    } else {
        if (was > 0)
            r->name[r->name_len++] = '.';
        memcpy(r->name + r->name_len, key, len);
        r->name_len += len;
    }
    r->name[r->name_len] = '\0';
    const bool ok = value(r, depth);
    r->name_len = was;
    r->name[was] = '\0';
    r->named = named;
    return ok;
}

static bool list(reader *r, char close, int depth)
{
    const bool named = r->named;
    r->p++;
    if (take(r, close))
        return true;
    if (close == ']')
        r->named = false;
    do {
        if (!(close == '}' ? member(r, depth) : value(r, depth)))
            return false;
    } while (take(r, ','));
    r->named = named;
    return take(r, close);
}

static bool value(reader *r, int depth)
{
    const char *s;
    size_t len;
    spaces(r);
    if (r->p == r->end || depth == 0)
        return false;
    switch (*r->p) {
    case '{':
        return list(r, '}', depth - 1);
    case '[':
        return list(r, ']', depth - 1);
    case '"':
        return string(r, &s, &len);
    case 't':
        return word(r, "true");
    case 'f':
        return word(r, "false");
    case 'n':
        return word(r, "null");
    default:
        return number(r);
    }
}

bool mien__runlog_scan(const char *s, size_t bytes, mien__runlog_line *ret)
{
    reader r = { .p = s, .end = s + bytes, .named = true, .line = ret };
    ret->n = 0;
    spaces(&r);
    if (r.p == r.end || *r.p != '{' || !value(&r, MIEN__RUNLOG_MAX_DEPTH))
        return false;
    spaces(&r);
    return r.p == r.end;
}

bool mien__runlog_step(const mien__runlog_line *line, double *ret)
{
    for (size_t i = 0; i < line->n; i++)
        if (strcmp(line->figures[i].name, "step") == 0) {
            *ret = line->figures[i].value;
            return true;
        }
    return false;
}

/* ---- series ---- */

const mien__series *mien__runlog_find(const mien__runlog_data *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->series[i].name, name) == 0)
            return &d->series[i];
    return NULL;
}

static mien_status grow(mien__series *s, mien_error *err)
{
    const size_t capacity = s->capacity ? 2 * s->capacity : 64;
    double *const steps = mien_alloc_array(capacity, sizeof *steps);
    double *const values = mien_alloc_array(capacity, sizeof *values);
    if (!steps || !values) {
        mien_free(steps);
        mien_free(values);
        return mien__nomem(err, capacity * sizeof *steps);
    }
    if (s->n > 0) {
        memcpy(steps, s->steps, s->n * sizeof *steps);
        memcpy(values, s->values, s->n * sizeof *values);
    }
    mien_free(s->steps);
    mien_free(s->values);
    s->steps = steps;
    s->values = values;
    s->capacity = capacity;
    return MIEN_OK;
}

/* Figures beyond the limit of series are left out: a log of ours has far fewer. */
static mien_status add(mien__runlog_data *d, const char *name, double step, double v, mien_error *err)
{
    size_t at = 0;
    while (at < d->n && strcmp(d->series[at].name, name) != 0)
        at++;
    if (at == MIEN__RUNLOG_MAX_SERIES)
        return MIEN_OK;
    mien__series *const s = &d->series[at];
    if (at == d->n) {
        *s = (mien__series){ .n = 0 };
        memcpy(s->name, name, strlen(name) + 1);
        d->n++;
    }
    while (s->n > 0 && s->steps[s->n - 1] >= step)
        s->n--;
    if (s->n == s->capacity) {
        const mien_status st = grow(s, err);
        if (st)
            return st;
    }
    s->steps[s->n] = step;
    s->values[s->n++] = v;
    return MIEN_OK;
}

static mien_status add_line(mien__runlog_data *d, const mien__runlog_line *line, mien_error *err)
{
    double step;
    mien_status st = MIEN_OK;
    if (!mien__runlog_step(line, &step))
        return st;
    d->n_lines++;
    for (size_t i = 0; !st && i < line->n; i++)
        if (strcmp(line->figures[i].name, "step") != 0)
            st = add(d, line->figures[i].name, step, line->figures[i].value, err);
    return st;
}

mien_status mien__runlog_parse(const void *data, size_t bytes, mien__runlog_data *ret, mien_error *err)
{
    const char *const text = data;
    mien_status st = MIEN_OK;
    mien__runlog_data d = { 0 };
    mien__runlog_line *const line = mien_alloc(sizeof *line);
    d.series = mien_alloc_array(MIEN__RUNLOG_MAX_SERIES, sizeof *d.series);
    if (!line || !d.series)
        st = mien__nomem(err, MIEN__RUNLOG_MAX_SERIES * sizeof *d.series);
    size_t at = 0;
    for (const char *end; !st && at < bytes && (end = memchr(text + at, '\n', bytes - at));) {
        const size_t len = (size_t)(end - text) - at;
        if (mien__runlog_scan(text + at, len, line))
            st = add_line(&d, line, err);
        else
            d.n_bad++;
        at += len + 1;
    }
    mien_free(line);
    if (st)
        mien__runlog_data_clear(&d);
    else
        *ret = d;
    return st;
}

mien_status mien__runlog_read(const char *path, mien__runlog_data *ret, mien_error *err)
{
    mien__file_map m = { 0 };
    mien_status st = mien__file_read(&m, path, MIEN__RUNLOG_MAX_BYTES, err);
    if (st)
        return st;
    st = mien__runlog_parse(m.data, m.size, ret, err);
    mien__file_map_close(&m);
    return st;
}

void mien__runlog_data_clear(mien__runlog_data *d)
{
    for (size_t i = 0; i < d->n; i++) {
        mien_free(d->series[i].steps);
        mien_free(d->series[i].values);
    }
    mien_free(d->series);
    *d = (mien__runlog_data){ 0 };
}
