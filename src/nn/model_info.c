/* The description of a model: its fields as data, copying and checking it. */
#include "nn/mien_file.h"
#include <math.h>
#include <string.h>

#define SIDE_MAX 65536.0
#define NUMBER_MAX 1e30
#define EXACT_MAX 9007199254740992.0

#define TEXT(key, name)                                                 \
    {                                                                   \
        key, MIEN__FIELD_TEXT, offsetof(mien_model_info, name), 1, 0, 0 \
    }
#define NUM(key, kind, name, n, lo, hi)                                     \
    {                                                                       \
        key, MIEN__FIELD_##kind, offsetof(mien_model_info, name), n, lo, hi \
    }

static const mien__field fields[] = {
    TEXT(1, name),
    TEXT(2, description),
    TEXT(3, licence),
    TEXT(4, training_data),
    TEXT(5, source),
    TEXT(6, decoder),
    TEXT(7, sha256),
    TEXT(8, protocol),
    NUM(16, INT, task, 1, 0, MIEN_TASK_LANDMARK),
    NUM(17, INT, input_width, 1, 0, SIDE_MAX),
    NUM(18, INT, input_height, 1, 0, SIDE_MAX),
    NUM(19, INT, input_multiple, 1, 1, SIDE_MAX),
    NUM(20, INT, color_order, 1, 0, MIEN_BGR),
    NUM(21, INT, normalize, 1, 0, MIEN_NORM_STANDARDIZE),
    NUM(22, F32, mean, 3, -NUMBER_MAX, NUMBER_MAX),
    NUM(23, F32, scale, 3, -NUMBER_MAX, NUMBER_MAX),
    NUM(24, INT, crop, 1, 0, MIEN_CROP_MARGIN),
    NUM(25, F32, crop_margin, 1, -1, 16),
    NUM(26, F32, landmarks, 2 * MIEN_LANDMARKS, -SIDE_MAX, SIDE_MAX),
    NUM(27, INT, embedding_len, 1, 0, 1 << 20),
    NUM(28, F64, default_fmr, 1, 0, 1),
    NUM(29, U64, n_mated, 1, 0, EXACT_MAX),
    NUM(30, U64, n_nonmated, 1, 0, EXACT_MAX),
    NUM(31, F32, min_face_px, 1, 0, SIDE_MAX),
    NUM(32, F32, max_face_frac, 1, 0, 16),
    NUM(33, U64, n_people, 1, 0, EXACT_MAX),
    NUM(34, F64, spread, 1, 0, 0.9),
    NUM(35, F64, fusion_mated, 1, 0, 1),
    NUM(36, F64, fusion_other, 1, 0, 1),
};

const mien__field *mien__model_field(size_t index)
{
    return index < MIEN_COUNTOF(fields) ? &fields[index] : NULL;
}

mien_model_info mien__model_info_empty(void)
{
    mien_model_info info;
    memset(&info, 0, sizeof info);
    info.name = info.description = info.licence = info.training_data = info.source = "";
    info.decoder = info.sha256 = info.protocol = "";
    info.input_multiple = 1;
    for (int i = 0; i < 3; i++)
        info.scale[i] = 1.0f;
    return info;
}

static bool in_range(const mien__field *f, double v)
{
    return v >= f->lo && v <= f->hi; /* false for NaN */
}

static double number_of(const mien_model_info *info, const mien__field *f, uint32_t i)
{
    const char *at = (const char *)info + f->offset;
    switch (f->type) {
    case MIEN__FIELD_INT:
        return ((const int *)(const void *)at)[i];
    case MIEN__FIELD_U64:
        return (double)((const uint64_t *)(const void *)at)[i];
    case MIEN__FIELD_F32:
        return ((const float *)(const void *)at)[i];
    default:
        return ((const double *)(const void *)at)[i];
    }
}

static bool points_ok(const mien_operating_point *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(p[i].fmr > 0.0 && p[i].fmr < 1.0) || !isfinite(p[i].threshold) || !isfinite(p[i].fmr_lo) ||
            !isfinite(p[i].fmr_hi))
            return false;
        if (i && !(p[i].fmr > p[i - 1].fmr && p[i].threshold <= p[i - 1].threshold))
            return false;
    }
    return true;
}

mien_status mien__model_info_copy(mien__arena *arena, const mien_model_info *src, mien_model_info *ret,
                                  mien_error *err)
{
    mien_model_info copy = *src;
    for (size_t i = 0; i < MIEN_COUNTOF(fields); i++) {
        const mien__field *f = &fields[i];
        for (uint32_t k = 0; f->type != MIEN__FIELD_TEXT && k < f->n; k++)
            if (!in_range(f, number_of(src, f, k)))
                return mien__fail(err, MIEN_E_ARG, "model description: field %u is out of range: %g",
                                  (unsigned)f->key, number_of(src, f, k));
        if (f->type != MIEN__FIELD_TEXT)
            continue;
        const char *text = *(const char *const *)(const void *)((const char *)src + f->offset);
        const size_t n = text ? strlen(text) : 0;
        if (n > MIEN__TEXT_MAX)
            return mien__fail(err, MIEN_E_LIMIT, "model description: a text of %zu bytes", n);
        char *mine = mien__arena_strndup(arena, text ? text : "", n);
        if (!mine)
            return mien__nomem(err, n);
        memcpy((char *)&copy + f->offset, &mine, sizeof mine);
    }
    if (src->n_points > MIEN_MAX_OPERATING_POINTS || (src->n_points && !src->points) ||
        !points_ok(src->points, src->n_points))
        return mien__fail(err, MIEN_E_ARG,
                          "model description: the operating points are not a calibration table");
    mien_operating_point *points = mien__arena_alloc_array(arena, src->n_points + 1, sizeof *points);
    if (!points)
        return mien__nomem(err, sizeof *points);
    if (src->n_points)
        memcpy(points, src->points, src->n_points * sizeof *points);
    copy.points = points;
    *ret = copy;
    return MIEN_OK;
}
