/* One face measured: where it lies, how it is turned, and what its aligned crop shows.
 *
 * The crop is the similarity fit of the landmarks onto the 112x112 template that most embedders use (Umeyama
 * 1991; template of ArcFace, Deng 2019), the picture mirrored at its border so that no black edge is taken
 * for detail. Only px of an ellipse over eyes, nose, mouth and cheeks count, so that hair and background do
 * not. */
#include "geom/geom.h"
#include "quality/measure.h"
#include <math.h>

enum { PX = MIEN__QUALITY_PX };

static const float template_px[MIEN_LANDMARKS][2] = { { 38.2946f, 51.6963f },
                                                      { 73.5318f, 51.5014f },
                                                      { 56.0252f, 71.7366f },
                                                      { 41.5493f, 92.3655f },
                                                      { 70.7299f, 92.2041f } };

/* Half axes and centre of the ellipse: from above the brows to the chin, from cheek to cheek. */
static const float CENTRE_X = 56, CENTRE_Y = 72, HALF_WIDTH = 38, HALF_HEIGHT = 42;

typedef struct crop {
    uint8_t rgb[MIEN__QUALITY_AREA * 3];
    uint8_t mask[MIEN__QUALITY_AREA];
    float luma[MIEN__QUALITY_AREA];
    float scratch[2 * MIEN__QUALITY_AREA];
} crop;

static void fill_mask(uint8_t *mask)
{
    for (int y = 0; y < PX; y++) {
        for (int x = 0; x < PX; x++) {
            const float u = ((float)x + 0.5f - CENTRE_X) / HALF_WIDTH;
            const float v = ((float)y + 0.5f - CENTRE_Y) / HALF_HEIGHT;
            mask[y * PX + x] = u * u + v * v <= 1;
        }
    }
}

static float share_inside(mien_image_view image, const mien_face *f)
{
    const double w = (double)f->x1 - f->x0, h = (double)f->y1 - f->y0;
    if (!(w > 0) || !(h > 0))
        return 0;
    const double in_w = fmin(f->x1, image.width) - fmax(f->x0, 0),
                 in_h = fmin(f->y1, image.height) - fmax(f->y0, 0);
    return in_w > 0 && in_h > 0 ? (float)(in_w / w * (in_h / h)) : 0;
}

/* A turned head shows its eyes nearer to each other than they are; beyond 75 degrees nothing can be made of
 * that. */
static float eye_distance(const mien_face *f, float yaw_deg)
{
    const double rad = 3.14159265358979323846 / 180;
    const double dx = (double)f->landmarks[1][0] - f->landmarks[0][0];
    const double dy = (double)f->landmarks[1][1] - f->landmarks[0][1];
    return (float)(hypot(dx, dy) / cos(fmin(fabs((double)yaw_deg), 75) * rad));
}

static bool finite_face(const mien_face *f)
{
    float sum = f->x0 + f->y0 + f->x1 + f->y1;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        sum += f->landmarks[i][0] + f->landmarks[i][1];
    return isfinite(sum);
}

mien_status mien_quality_measure(mien_image_view image, const mien_face *face, mien_quality *ret,
                                 mien_error *err)
{
    if (!face || !ret)
        return mien__fail(err, MIEN_E_ARG, "quality: a pointer is NULL");
    if (!mien__view_ok(image))
        return mien__fail(err, MIEN_E_ARG, "quality: not a picture (%d x %d px, stride %zu)", image.width,
                          image.height, image.stride_bytes);
    if (!finite_face(face))
        return mien__fail(err, MIEN_E_ARG, "quality: the face's box or landmarks are not finite");
    mien_quality q = { .inside = share_inside(image, face) };
    mien_affine m;
    if (!mien__pose_of(face->landmarks, &q.yaw_deg, &q.pitch_deg, &q.roll_deg))
        return mien__fail(err, MIEN_E_ARG, "quality: the face's landmarks lie on one line");
    q.eye_distance_px = eye_distance(face, q.yaw_deg);
    mien_status st = mien_fit_similarity(face->landmarks, template_px, MIEN_LANDMARKS, &m, err);
    if (st)
        return st;
    crop *c = mien_alloc(sizeof *c);
    if (!c)
        return mien__nomem(err, sizeof *c);
    st = mien__warp_mirrored(image, &m, mien__warp_taps(&m), PX, PX, c->rgb, (size_t)PX * 3, err);
    if (st)
        goto done;
    fill_mask(c->mask);
    for (int i = 0; i < MIEN__QUALITY_AREA; i++)
        c->luma[i] = 0.299f * c->rgb[3 * i] + 0.587f * c->rgb[3 * i + 1] + 0.114f * c->rgb[3 * i + 2];
    const mien__light light = mien__light_of(c->luma, c->mask);
    q.brightness = light.mean;
    q.contrast = light.deviation;
    q.overexposed = light.brightest;
    q.underexposed = light.darkest;
    q.sharpness = mien__sharpness_of(c->luma, c->mask, c->scratch);
    q.score = mien__quality_score(&q);
    *ret = q;
done:
    mien_free_secret(c, sizeof *c); /* a face */
    return st;
}
