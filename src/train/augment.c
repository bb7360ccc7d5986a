/* Cutting one training crop: a similarity from the landmarks onto the template, the random geometry about the
 * crop's centre on top of it, one warp from the source picture, then what happens to pixels.
 *
 * All random numbers of a sample are drawn first, in a fixed order and number, so that switching one part off
 * leaves the others as they were; only noise and noisy rectangles draw more, from what follows in the stream.
 * Order of the parts, as light meets them: colour, something in front of the face, blur, then the sensor and
 * file at the size the face has there (noise, JPEG), then enlarged to the crop.
 */
#include "train/augment.h"
#include "geom/geom.h"
#include <math.h>

enum { MAX_CROP_SIDE_PX = 2048 };

const float mien__template_112[MIEN_LANDMARKS][2] = {
    { 38.2946f, 51.6963f }, { 73.5318f, 51.5014f }, { 56.0252f, 71.7366f },
    { 41.5493f, 92.3655f }, { 70.7299f, 92.2041f },
};

const mien__augment mien__augment_none = { 0 };

const mien__augment mien__augment_default = {
    .flip = 0.5f,
    .mirror = 0.5f,
    .rotate_rad = 0.13962634f, /* 8 degrees */
    .scale = 0.06f,
    .shift = 0.03f,
    .crop = 0.06f,
    .brightness = 0.15f,
    .contrast = 0.25f,
    .saturation = 0.25f,
    .hue = 0.05f,
    .grey = 0.05f,
    .blur_px = 1.5f,
    .blur_p = 0.15f,
    .noise = 0.03f,
    .noise_p = 0.15f,
    .jpeg_lo = 40,
    .jpeg_p = 0.25f,
    .lowres_lo = 24,
    .lowres_hi = 64,
    .lowres_p = 0.15f,
    .occlude = 0.35f,
    .occlude_p = 0.1f,
};

/* What was drawn for one sample. */
typedef struct plan {
    bool flip, mirror, grey, occlude, occlude_noisy;
    double rotate, scale, shift[2], crop, crop_at[2];
    mien__tone tone;
    double blur, noise;
    int jpeg, lowres; /* 0: none */
    double rect_size[2], rect_at[2];
} plan;

static double within(mien__rng *rng, double range)
{
    return (2 * mien__rng_unit(rng) - 1) * range;
}

static bool chance(mien__rng *rng, double p)
{
    return mien__rng_unit(rng) < p;
}

static void draw_geometry(const mien__augment *a, mien__rng *rng, plan *p)
{
    p->flip = chance(rng, a->flip);
    p->rotate = within(rng, a->rotate_rad);
    p->scale = 1 + within(rng, a->scale);
    for (int i = 0; i < 2; i++)
        p->shift[i] = within(rng, a->shift);
    p->crop = mien__rng_unit(rng) * a->crop;
    for (int i = 0; i < 2; i++)
        p->crop_at[i] = mien__rng_unit(rng) - 0.5;
}

static void draw(const mien__augment *a, mien__rng *rng, plan *p)
{
    draw_geometry(a, rng, p);
    p->tone.brightness = within(rng, a->brightness);
    p->tone.contrast = 1 + within(rng, a->contrast);
    p->tone.saturation = 1 + within(rng, a->saturation);
    for (int i = 0; i < 3; i++)
        p->tone.balance[i] = 1 + within(rng, a->hue);
    if (chance(rng, a->grey))
        p->tone.saturation = 0;
    p->blur = mien__rng_unit(rng) * a->blur_px;
    if (!chance(rng, a->blur_p))
        p->blur = 0;
    p->noise = mien__rng_unit(rng) * a->noise;
    if (!chance(rng, a->noise_p))
        p->noise = 0;
    p->jpeg = a->jpeg_lo + (int)(mien__rng_unit(rng) * (101 - a->jpeg_lo));
    if (!chance(rng, a->jpeg_p) || a->jpeg_lo < 1)
        p->jpeg = 0;
    p->lowres = a->lowres_lo + (int)(mien__rng_unit(rng) * (a->lowres_hi - a->lowres_lo + 1));
    if (!chance(rng, a->lowres_p) || a->lowres_lo < 1)
        p->lowres = 0;
    /* sides from a third of the greatest on: slivers teach nothing */
    for (int i = 0; i < 2; i++)
        p->rect_size[i] = (1 + 2 * mien__rng_unit(rng)) / 3 * a->occlude;
    for (int i = 0; i < 2; i++)
        p->rect_at[i] = mien__rng_unit(rng);
    p->occlude_noisy = chance(rng, 0.5);
    p->occlude = chance(rng, a->occlude_p) && a->occlude > 0;
    p->mirror = chance(rng, a->mirror);
}

/* after * m */
static mien_affine then(const mien_affine *m, const mien_affine *after)
{
    const double *a = after->m, *b = m->m;
    return (mien_affine){ {
        a[0] * b[0] + a[1] * b[3],
        a[0] * b[1] + a[1] * b[4],
        a[0] * b[2] + a[1] * b[5] + a[2],
        a[3] * b[0] + a[4] * b[3],
        a[3] * b[1] + a[4] * b[4],
        a[3] * b[2] + a[4] * b[5] + a[5],
    } };
}

/* About the crop's centre c: x -> F (s R (x - c) + t) + c. Cutting the fraction f off and enlarging what is
 * left is a scale of 1 / (1 - f) and a shift of the window by up to f / 2 of the side. */
static mien_affine geometry(const plan *p, int side)
{
    const double c = side / 2.0, grow = 1 / (1 - p->crop), s = p->scale * grow;
    const double re = s * cos(p->rotate), im = s * sin(p->rotate);
    const double tx = side * (p->shift[0] * grow + p->crop_at[0] * p->crop * grow);
    const double ty = side * (p->shift[1] * grow + p->crop_at[1] * p->crop * grow);
    const double f = p->flip ? -1 : 1;
    return (mien_affine){ {
        f * re,
        -f * im,
        f * (tx - re * c + im * c) + c,
        im,
        re,
        ty - im * c - re * c + c,
    } };
}

static mien_status pixels(const plan *p, const mien__crop *c, mien__rng *rng, mien_error *err)
{
    mien__pixel_tone(c, &p->tone);
    if (p->occlude) {
        const int w = (int)lrint(p->rect_size[0] * c->side), h = (int)lrint(p->rect_size[1] * c->side);
        mien__pixel_occlude(c, (int)lrint(p->rect_at[0] * (c->side - w)),
                            (int)lrint(p->rect_at[1] * (c->side - h)), w, h, p->occlude_noisy, rng);
    }
    const mien_status st = mien__pixel_blur(c, p->blur, err);
    if (st)
        return st;
    const int px = p->lowres > 0 && p->lowres < c->side ? p->lowres : c->side;
    return mien__pixel_capture(c, px, p->noise, p->jpeg, rng, err);
}

mien_status mien__sample_crop(const mien__sample *s, mien_image_view image,
                              const float template5[MIEN_LANDMARKS][2], int side, const mien__augment *a,
                              mien__rng *rng, uint8_t *ret_rgb, mien_error *err)
{
    if (side < 1 || side > MAX_CROP_SIDE_PX)
        return mien__fail(err, MIEN_E_ARG, "training crops of %d px, must be 1..%d", side, MAX_CROP_SIDE_PX);
    if (!mien__view_ok(image))
        return mien__fail(err, MIEN_E_ARG, "training crop: not a picture (%d x %d px, stride %zu)",
                          image.width, image.height, image.stride_bytes);
    mien_affine m;
    mien_status st = mien_fit_similarity(s->landmarks, template5, MIEN_LANDMARKS, &m, err);
    if (st)
        return st;
    plan p = { 0 };
    if (a) {
        st = mien__augment_check(a, err);
        if (st)
            return st;
        draw(a, rng, &p);
        const mien_affine g = geometry(&p, side);
        m = then(&m, &g);
    }
    st = (p.mirror ? mien__warp_mirrored : mien__warp_into)(image, &m, mien__warp_taps(&m), side, side,
                                                            ret_rgb, (size_t)side * 3, err);
    if (st || !a)
        return st;
    const mien__crop c = { ret_rgb, side };
    return pixels(&p, &c, rng, err);
}

void mien__augment_stream(uint64_t seed, uint64_t epoch, uint64_t sample, mien__rng *ret)
{
    /* each key goes through a generator of its own, so that neighbouring keys share nothing */
    mien__rng_seed(ret, seed);
    mien__rng_seed(ret, mien__rng_u64(ret) ^ epoch);
    mien__rng_seed(ret, mien__rng_u64(ret) ^ sample);
}

/* ---- reading a sample's picture ---- */

mien_status mien__sample_load(const mien__sample *s, const float template5[MIEN_LANDMARKS][2],
                              mien_image **ret_image, mien__sample *ret_sample, mien_error *err)
{
    mien_affine m;
    mien_status st = mien_fit_similarity(s->landmarks, template5, MIEN_LANDMARKS, &m, err);
    if (st)
        return st;
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    /* The face may be made half as large by reading when it is then still no smaller than in the crop; a
     * quarter is left for what augmentation enlarges. */
    const double keep = 1.25 * mien__affine_scale(&m) * (s->width < s->height ? s->width : s->height);
    opts.min_short_side = keep < 1 ? 1 : keep > INT32_MAX ? INT32_MAX : (int)ceil(keep);
    mien_image *image = NULL;
    st = mien_image_load(s->path, &opts, &image, err);
    if (st)
        return st;
    const int scale = mien_image_scale(image);
    const mien_image_view v = mien_image_view_of(image);
    if (v.width != (s->width + scale - 1) / scale || v.height != (s->height + scale - 1) / scale) {
        st = mien__fail(err, MIEN_E_EVAL_DATA, "%s is no longer %d x %d px", s->path, s->width, s->height);
        mien_image_free(image);
        return st;
    }
    mien__sample seen = *s;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            seen.landmarks[i][k] /= (float)scale;
    *ret_sample = seen;
    *ret_image = image;
    return MIEN_OK;
}
