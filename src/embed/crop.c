/* Face crops: by 5 landmarks onto the model's template, or the box with a margin (FaceNet).
 *
 * Template crops: similarity fit (Umeyama 1991), bilinear warp; where the face is shrunk by more than 1.5
 * each crop pixel averages several samples, at most 4 x 4. Margin crops: the box grown by crop_margin of its
 * longer side in total, cut at the picture's border, resized to the input without keeping its proportions, as
 * in FaceNet's align_dataset_mtcnn.
 */
#include "embed/embed.h"
#include <math.h>
#include <string.h>

enum { MAX_CROP_PX = 2048 };

mien_status mien__crop_size(const mien_model_info *info, int *ret_w, int *ret_h, mien_error *err)
{
    if (info->task != MIEN_TASK_EMBED)
        return mien__fail(err, MIEN_E_MODEL_TASK, "model %s does not embed faces", info->name);
    if (info->input_width < 1 || info->input_height < 1 || info->input_width > MAX_CROP_PX ||
        info->input_height > MAX_CROP_PX)
        return mien__fail(err, MIEN_E_MODEL_SHAPE, "model %s: crops of %d x %d px, sides must be 1..%d",
                          info->name, info->input_width, info->input_height, MAX_CROP_PX);
    *ret_w = info->input_width;
    *ret_h = info->input_height;
    return MIEN_OK;
}

static bool face_finite(const mien_face *f)
{
    float sum = f->x0 + f->y0 + f->x1 + f->y1;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        sum += f->landmarks[i][0] + f->landmarks[i][1];
    return isfinite(sum);
}

static mien_status crop_template(const mien_model_info *info, mien_image_view image, const mien_face *face,
                                 uint8_t *dst, int width, int height, mien_error *err)
{
    mien_affine m;
    const mien_status st = mien_fit_similarity(face->landmarks, info->landmarks, MIEN_LANDMARKS, &m, err);
    if (st)
        return st;
    return mien__warp_into(image, &m, mien__warp_taps(&m), width, height, dst, (size_t)width * 3, err);
}

static mien_status crop_margin(const mien_model_info *info, mien_image_view image, const mien_face *face,
                               mien__resampler *r, uint8_t *dst, int width, int height, mien_error *err)
{
    const double w = (double)face->x1 - face->x0, h = (double)face->y1 - face->y0;
    const double half = (w > h ? w : h) * info->crop_margin / 2;
    const int x0 = (int)fmax(0, floor(fmin(face->x0 - half, 1e6))),
              x1 = (int)fmin(image.width, face->x1 + half);
    const int y0 = (int)fmax(0, floor(fmin(face->y0 - half, 1e6))),
              y1 = (int)fmin(image.height, face->y1 + half);
    if (!(w > 0) || !(h > 0) || x1 <= x0 || y1 <= y0)
        return mien__fail(err, MIEN_E_ARG,
                          "the face's box (%.0f, %.0f, %.0f, %.0f) leaves nothing of the picture",
                          (double)face->x0, (double)face->y0, (double)face->x1, (double)face->y1);
    const mien_image_view part = {
        image.data + (size_t)y0 * image.stride_bytes + (size_t)x0 * 3,
        x1 - x0,
        y1 - y0,
        image.stride_bytes,
    };
    return mien__resize_into(r, part, dst, width, height, err);
}

mien_status mien__crop_face(const mien_model_info *info, mien_image_view image, const mien_face *face,
                            mien__resampler *r, uint8_t *dst, int width, int height, mien_error *err)
{
    if (!mien__view_ok(image))
        return mien__fail(err, MIEN_E_ARG, "alignment: not a picture (%d x %d px, stride %zu)", image.width,
                          image.height, image.stride_bytes);
    if (!face_finite(face))
        return mien__fail(err, MIEN_E_ARG, "alignment: the face's box or landmarks are not finite");
    if (info->crop == MIEN_CROP_SIMILARITY)
        return crop_template(info, image, face, dst, width, height, err);
    if (info->crop == MIEN_CROP_MARGIN)
        return crop_margin(info, image, face, r, dst, width, height, err);
    return mien__fail(err, MIEN_E_MODEL_TASK, "model %s does not say how faces are cut", info->name);
}

typedef struct copy_ctx {
    uint8_t *dst;
    int width;
} copy_ctx;

static void copy_row(void *ctx, int y, const uint8_t *row, int width)
{
    const copy_ctx *c = ctx;
    uint8_t *dst = c->dst + (size_t)y * (size_t)c->width * 3;
    if (dst != row)
        memcpy(dst, row, (size_t)width * 3);
}

mien_status mien__resize_into(mien__resampler *r, mien_image_view src, uint8_t *dst, int width, int height,
                              mien_error *err)
{
    const mien__resize_part whole = { width, height, 0, 0, width, height };
    copy_ctx ctx = { dst, width };
    /* the last row serves as the row buffer until it is made itself */
    uint8_t *last = dst + (size_t)(height - 1) * (size_t)width * 3;
    return mien__resample_rows(r, src, &whole, last, copy_row, &ctx, err);
}

/* Mean and 1 / max(std, 1 / sqrt(n)) over all bytes (FaceNet's prewhiten). */
static void standard(const uint8_t *crop, size_t n, float *ret_mean, float *ret_scale)
{
    uint64_t sum = 0, sum2 = 0;
    for (size_t i = 0; i < n; i++) {
        sum += crop[i];
        sum2 += (uint64_t)crop[i] * crop[i];
    }
    const double mean = (double)sum / (double)n, var = (double)sum2 / (double)n - mean * mean;
    *ret_mean = (float)mean;
    *ret_scale = (float)(1 / fmax(sqrt(fmax(var, 0)), 1 / sqrt((double)n)));
}

static void mirror_row(float *p, int width)
{
    for (int i = 0, j = width - 1; i < j; i++, j--) {
        const float t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}

void mien__crop_to_planes(const mien_model_info *info, const uint8_t *crop, int width, int height,
                          bool mirror, float *planes)
{
    const size_t plane = (size_t)width * (size_t)height;
    float mean[3], scale[3];
    memcpy(mean, info->mean, sizeof mean);
    memcpy(scale, info->scale, sizeof scale);
    if (info->normalize == MIEN_NORM_STANDARDIZE) {
        standard(crop, plane * 3, &mean[0], &scale[0]);
        mean[1] = mean[2] = mean[0];
        scale[1] = scale[2] = scale[0];
    }
    for (int y = 0; y < height; y++) {
        float *p = planes + (size_t)y * (size_t)width;
        mien__row_to_planes(crop + (size_t)y * (size_t)width * 3, width, info->color_order == MIEN_BGR, mean,
                            scale, p, p + plane, p + 2 * plane);
        for (int c = 0; c < 3 && mirror; c++)
            mirror_row(p + (size_t)c * plane, width);
    }
}
