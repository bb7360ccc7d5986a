/* Curves as JSON text: what is written with a gallery or to a file, and read back.
 *
 * Reading is strict: known keys only, every number in its range, points that are a curve, at most
 * MIEN__CURVE_JSON bytes; jansson bounds nesting and refuses duplicate keys when asked. A text that is not
 * all right is refused as a whole.
 */
#include "decide/curve.h"
#include "eval/figures.h"
#include <math.h>
#include <string.h>

#define FORMAT "mien-curve-1"
enum { MIEN__CURVE_JSON = 256 * 1024 };

static json_t *estimate_json(const mien_estimate *e)
{
    return e->value < 0 ? json_null() : json_pack("[f,f,f]", e->value, e->lo, e->hi);
}

static json_t *curve_json(const mien_curve *curve)
{
    const mien_curve_info *c = &curve->info;
    json_t *points = json_array();
    for (size_t i = 0; i < c->n_points; i++) {
        const mien_curve_point *p = &c->points[i];
        json_array_append_new(points, json_pack("{s:f,s:o,s:o}", "threshold", p->threshold, "fmr",
                                                estimate_json(&p->fmr), "fnmr", estimate_json(&p->fnmr)));
    }
    return json_pack("{s:s,s:s%,s:s%,s:s%,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:o}", "format", FORMAT, "model",
                     c->model, strlen(c->model), "protocol", c->protocol, strlen(c->protocol), "date",
                     c->date, strlen(c->date), "people", (json_int_t)c->n_people, "pictures",
                     (json_int_t)c->n_pictures, "mated", (json_int_t)c->n_mated, "nonmated",
                     (json_int_t)c->n_nonmated, "independent", c->n_independent, "spread", c->spread,
                     "fusion_mated", c->fusion_mated, "fusion_other", c->fusion_other, "points", points);
}

mien_status mien_curve_to_json(const mien_curve *curve, char **ret_text, mien_error *err)
{
    if (!curve || !ret_text)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    return mien__figures_dump(curve_json(curve), 1, 0, MIEN__CURVE_JSON, ret_text, err);
}

void mien_curve_text_free(char *text)
{
    mien_free(text);
}

static bool number_in(const json_t *v, double lo, double hi, double *ret)
{
    if (!json_is_number(v))
        return false;
    *ret = json_number_value(v);
    return *ret >= lo && *ret <= hi;
}

static bool read_estimate(const json_t *v, bool may_lack, mien_estimate *ret)
{
    *ret = (mien_estimate){ -1, 0, 1, 0 };
    if (json_is_null(v))
        return may_lack;
    return json_is_array(v) && json_array_size(v) == 3 &&
           number_in(json_array_get(v, 0), 0, 1, &ret->value) &&
           number_in(json_array_get(v, 1), 0, 1, &ret->lo) && number_in(json_array_get(v, 2), 0, 1, &ret->hi);
}

static bool read_points(const json_t *v, mien_curve *curve)
{
    const size_t n = json_array_size(v);
    if (!json_is_array(v) || n > MIEN_MAX_CURVE_POINTS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        mien_curve_point *p = &curve->points[i];
        if (!json_is_object(item) || json_object_size(item) != 3 ||
            !number_in(json_object_get(item, "threshold"), -1e6, 1e6, &p->threshold) ||
            !read_estimate(json_object_get(item, "fmr"), false, &p->fmr) ||
            !read_estimate(json_object_get(item, "fnmr"), true, &p->fnmr))
            return false;
    }
    curve->info.n_points = n;
    return mien__curve_points_ok(curve->points, n);
}

static bool read_count(const json_t *page, const char *key, uint64_t *ret)
{
    const json_t *v = json_object_get(page, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(v);
    return true;
}

/* A text without NUL, so that no two texts look the same. */
static const char *read_text(const json_t *page, const char *key)
{
    const json_t *v = json_object_get(page, key);
    const char *s = json_string_value(v);
    return s && strlen(s) == json_string_length(v) && strlen(s) <= MIEN__CURVE_TEXT ? s : NULL;
}

static bool read_rest(const json_t *page, mien_curve *curve)
{
    mien_curve_info *c = &curve->info;
    const char *format = read_text(page, "format");
    return format && !strcmp(format, FORMAT) && json_object_size(page) == 13 &&
           read_count(page, "people", &c->n_people) && read_count(page, "pictures", &c->n_pictures) &&
           read_count(page, "mated", &c->n_mated) && read_count(page, "nonmated", &c->n_nonmated) &&
           number_in(json_object_get(page, "independent"), 0, 1e18, &c->n_independent) &&
           number_in(json_object_get(page, "spread"), 0, 0.9, &c->spread) &&
           number_in(json_object_get(page, "fusion_mated"), 0, 1, &c->fusion_mated) &&
           number_in(json_object_get(page, "fusion_other"), 0, 1, &c->fusion_other) &&
           read_points(json_object_get(page, "points"), curve);
}

mien_status mien_curve_of_json(const char *text, size_t bytes, mien_curve **ret, mien_error *err)
{
    if (!text || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (bytes > MIEN__CURVE_JSON)
        return mien__fail(err, MIEN_E_LIMIT, "curve: a text of %zu bytes, at most %d", bytes,
                          MIEN__CURVE_JSON);
    json_error_t where;
    json_t *page = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    if (!page)
        return mien__fail(err, MIEN_E_EVAL_DATA, "curve: line %d: %.120s", where.line, where.text);
    if (!json_is_object(page)) {
        json_decref(page);
        return mien__fail(err, MIEN_E_EVAL_DATA, "curve: the text is not a JSON object");
    }
    const char *model = read_text(page, "model"), *protocol = read_text(page, "protocol"),
               *date = read_text(page, "date");
    mien_curve *curve = NULL;
    mien_status st = MIEN_OK;
    if (!model || !protocol || !date)
        st = mien__fail(err, MIEN_E_EVAL_DATA, "curve: the text is not a calibration of this program");
    else
        st = mien__curve_new(model, protocol, date, &curve, err);
    if (!st && !read_rest(page, curve))
        st = mien__fail(err, MIEN_E_EVAL_DATA, "curve: the text is not a calibration of this program");
    json_decref(page);
    if (st)
        mien_curve_free(curve);
    else
        *ret = curve;
    return st;
}
