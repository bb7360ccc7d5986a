/* Model descriptions to and from JSON. One table of fields serves both ways, so that what is printed can be
 * edited and read back. */
#include "meta.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum field_kind { TEXT, INT, U64, FLOAT, DOUBLE, FLOATS3, TASK, COLOR, NORMALIZE, CROP } field_kind;

typedef struct field {
    const char *key;
    field_kind kind;
    size_t offset;
    bool read_only; /* a property of the file, not of the description */
} field;

#define AT(member) offsetof(mien_model_info, member)
static const field fields[] = {
    { "name", TEXT, AT(name), false },
    { "description", TEXT, AT(description), false },
    { "task", TASK, AT(task), false },
    { "licence", TEXT, AT(licence), false },
    { "training_data", TEXT, AT(training_data), false },
    { "source", TEXT, AT(source), false },
    { "sha256", TEXT, AT(sha256), true },
    { "decoder", TEXT, AT(decoder), false },
    { "input_width", INT, AT(input_width), false },
    { "input_height", INT, AT(input_height), false },
    { "input_multiple", INT, AT(input_multiple), false },
    { "color_order", COLOR, AT(color_order), false },
    { "normalize", NORMALIZE, AT(normalize), false },
    { "mean", FLOATS3, AT(mean), false },
    { "scale", FLOATS3, AT(scale), false },
    { "crop", CROP, AT(crop), false },
    { "crop_margin", FLOAT, AT(crop_margin), false },
    { "embedding_len", INT, AT(embedding_len), false },
    { "default_fmr", DOUBLE, AT(default_fmr), false },
    { "n_mated", U64, AT(n_mated), false },
    { "n_nonmated", U64, AT(n_nonmated), false },
    { "protocol", TEXT, AT(protocol), false },
    { "n_people", U64, AT(n_people), false },
    { "spread", DOUBLE, AT(spread), false },
    { "fusion_mated", DOUBLE, AT(fusion_mated), false },
    { "fusion_other", DOUBLE, AT(fusion_other), false },
    { "min_face_px", FLOAT, AT(min_face_px), false },
    { "max_face_frac", FLOAT, AT(max_face_frac), false },
    { "n_params", U64, AT(n_params), true },
    { "file_bytes", U64, AT(file_bytes), true },
};

static const char *const task_words[] = { "other", "detect", "embed", "landmark", NULL };
static const char *const color_words[] = { "rgb", "bgr", NULL };
static const char *const normalize_words[] = { "mean_scale", "standardize", NULL };
static const char *const crop_words[] = { "none", "similarity", "margin", NULL };

const char *cli_task_name(mien_task task)
{
    return (unsigned)task < 4 ? task_words[task] : "other";
}

static const char *const *words_of(field_kind kind)
{
    switch (kind) {
    case TASK:
        return task_words;
    case COLOR:
        return color_words;
    case NORMALIZE:
        return normalize_words;
    case CROP:
        return crop_words;
    default:
        return NULL;
    }
}

static int get_enum(const field *f, const void *at)
{
    switch (f->kind) {
    case TASK:
        return (int)*(const mien_task *)at;
    case COLOR:
        return (int)*(const mien_color_order *)at;
    case NORMALIZE:
        return (int)*(const mien_normalize *)at;
    default:
        return (int)*(const mien_crop *)at;
    }
}

static void set_enum(const field *f, void *at, int v)
{
    switch (f->kind) {
    case TASK:
        *(mien_task *)at = (mien_task)v;
        break;
    case COLOR:
        *(mien_color_order *)at = (mien_color_order)v;
        break;
    case NORMALIZE:
        *(mien_normalize *)at = (mien_normalize)v;
        break;
    default:
        *(mien_crop *)at = (mien_crop)v;
    }
}

static json_t *field_json(const field *f, const void *at)
{
    json_t *list = NULL;
    switch (f->kind) {
    case TEXT:
        return cli_json_text(*(const char *const *)at);
    case INT:
        return json_integer(*(const int *)at);
    case U64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case FLOAT:
        return json_real((double)*(const float *)at);
    case DOUBLE:
        return json_real(*(const double *)at);
    case FLOATS3:
        list = json_array();
        for (int i = 0; i < 3; i++)
            cli_json_append(list, json_real((double)((const float *)at)[i]));
        return list;
    default:
        return json_string(words_of(f->kind)[get_enum(f, at)]);
    }
}

json_t *cli_meta_json(const mien_model_info *info)
{
    json_t *page = json_object(), *points = json_array(), *landmarks = json_array();
    for (size_t i = 0; i < CLI_COUNTOF(fields); i++)
        cli_json_set(page, fields[i].key, field_json(&fields[i], (const char *)info + fields[i].offset));
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        cli_json_append(landmarks,
                        json_pack("[f,f]", (double)info->landmarks[i][0], (double)info->landmarks[i][1]));
    cli_json_set(page, "landmarks", landmarks);
    for (size_t i = 0; i < info->n_points; i++) {
        const mien_operating_point *p = &info->points[i];
        cli_json_append(points, json_pack("{s:f,s:f,s:f,s:f}", "fmr", p->fmr, "threshold", p->threshold,
                                          "fmr_lo", p->fmr_lo, "fmr_hi", p->fmr_hi));
    }
    cli_json_set(page, "points", points);
    return page;
}

static bool read_floats(const json_t *v, float *to, size_t n)
{
    if (!json_is_array(v) || json_array_size(v) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_number(item))
            return false;
        to[i] = (float)json_number_value(item);
    }
    return true;
}

static bool read_field(const field *f, const json_t *v, void *at)
{
    const char *const *words = words_of(f->kind);
    switch (f->kind) {
    case TEXT:
        if (json_is_string(v))
            *(const char **)at = json_string_value(v);
        return json_is_string(v);
    case INT:
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 1 << 20)
            return false;
        *(int *)at = (int)json_integer_value(v);
        return true;
    case U64:
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return false;
        *(uint64_t *)at = (uint64_t)json_integer_value(v);
        return true;
    case FLOAT:
        if (json_is_number(v))
            *(float *)at = (float)json_number_value(v);
        return json_is_number(v);
    case DOUBLE:
        if (json_is_number(v))
            *(double *)at = json_number_value(v);
        return json_is_number(v);
    case FLOATS3:
        return read_floats(v, at, 3);
    default:
        for (int i = 0; json_is_string(v) && words[i]; i++) {
            if (!strcmp(words[i], json_string_value(v))) {
                set_enum(f, at, i);
                return true;
            }
        }
        return false;
    }
}

static bool read_landmarks(const json_t *v, mien_model_info *info)
{
    if (!json_is_array(v) || json_array_size(v) != MIEN_LANDMARKS)
        return false;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        if (!read_floats(json_array_get(v, (size_t)i), info->landmarks[i], 2))
            return false;
    }
    return true;
}

static bool read_points(cli_meta *meta, const json_t *v, mien_model_info *info)
{
    if (!json_is_array(v) || json_array_size(v) > MIEN_MAX_OPERATING_POINTS)
        return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        mien_operating_point *p = &meta->points[i];
        json_t *item = json_array_get(v, i);
        *p = (mien_operating_point){ 0 };
        if (json_unpack(item, "{s:F,s:F,s?F,s?F}", "fmr", &p->fmr, "threshold", &p->threshold, "fmr_lo",
                        &p->fmr_lo, "fmr_hi", &p->fmr_hi) != 0 ||
            !(p->fmr > 0 && p->fmr < 1) || (i && p->fmr <= p[-1].fmr))
            return false;
    }
    info->points = meta->points;
    info->n_points = json_array_size(v);
    return true;
}

static const field *find_field(const char *key)
{
    for (size_t i = 0; i < CLI_COUNTOF(fields); i++) {
        if (!strcmp(fields[i].key, key))
            return &fields[i];
    }
    return NULL;
}

int cli_meta_read(cli_meta *meta, const char *path, mien_model_info *info)
{
    json_error_t error;
    const char *key = NULL;
    json_t *value = NULL;
    meta->page = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(meta->page)) {
        if (meta->page)
            cli_say_path(path, "not a JSON object");
        else if (error.line > 0)
            cli_say_path(path, "line %d: %s", error.line, error.text);
        else
            cli_say_path(path, "cannot read: %s", error.text);
        return CLI_INPUT;
    }
    json_object_foreach(meta->page, key, value)
    {
        const field *f = find_field(key);
        bool ok = false;
        if (!strcmp(key, "points"))
            ok = read_points(meta, value, info);
        else if (!strcmp(key, "landmarks"))
            ok = read_landmarks(value, info);
        else if (f)
            ok = f->read_only || read_field(f, value, (char *)info + f->offset);
        if (!ok) {
            cli_say_path(path,
                         f || !strcmp(key, "points") || !strcmp(key, "landmarks")
                             ? "'%s' has no usable value"
                             : "'%s' is not a property of models",
                         key);
            return CLI_INPUT;
        }
    }
    return CLI_YES;
}

int cli_curve_read(const char *path, mien_curve **ret)
{
    enum { MOST = 1 << 18 };
    mien_error err = MIEN_ERROR_INIT;
    FILE *f = fopen(path, "rb");
    if (!f) {
        cli_say_path(path, "%s", strerror(errno));
        return CLI_INPUT;
    }
    char *text = cli_alloc(MOST + 1, 1);
    const size_t n = fread(text, 1, MOST + 1, f);
    fclose(f);
    const mien_status st = mien_curve_of_json(text, n, ret, &err);
    free(text);
    return st ? cli_fail_path(path, &err) : CLI_YES;
}

int cli_meta_calibration(cli_meta *meta, const char *path, mien_model_info *info)
{
    const int rc = cli_curve_read(path, &meta->curve);
    if (rc != CLI_YES)
        return rc;
    const mien_curve_info *c = mien_curve_info_of(meta->curve);
    for (size_t i = 0; i < c->n_points && i < MIEN_MAX_OPERATING_POINTS; i++) {
        const mien_curve_point *p = &c->points[i];
        meta->points[i] = (mien_operating_point){ p->fmr.value, p->threshold, p->fmr.lo, p->fmr.hi };
    }
    info->points = meta->points;
    info->n_points = c->n_points;
    info->n_people = c->n_people;
    info->n_mated = c->n_mated;
    info->n_nonmated = c->n_nonmated;
    info->protocol = c->protocol;
    info->spread = c->spread;
    info->fusion_mated = c->fusion_mated;
    info->fusion_other = c->fusion_other;
    if (!(info->default_fmr >= meta->points[0].fmr))
        info->default_fmr = meta->points[0].fmr;
    return CLI_YES;
}

void cli_meta_free(cli_meta *meta)
{
    mien_curve_free(meta->curve);
    meta->curve = NULL;
    json_decref(meta->page);
    meta->page = NULL;
}
