/* Affine warp of 8-bit RGB: bilinear, black outside.
 *
 * The inverse map is walked with fixed point (32 fraction bits, exact per row start), so that the bytes do
 * not depend on the instruction set; weights have 10 bits per axis, results are rounded to nearest. A pixel's
 * four neighbours that lie outside count as black, as in OpenCV's BORDER_CONSTANT, or mirror the picture at
 * its border.
 */
#include "geom/geom.h"
#include <math.h>
#include <string.h>

enum { FRAC_BITS = 32, WEIGHT_BITS = 10, MAX_TAPS = 8, AUTO_TAPS = 4 };

bool mien__view_ok(mien_image_view v)
{
    return v.data && v.width > 0 && v.height > 0 && v.width <= MIEN__MAX_SIDE_PX &&
           v.height <= MIEN__MAX_SIDE_PX && v.stride_bytes >= (size_t)v.width * 3;
}

/* A coordinate outside [0, n) mirrored at the border, once; farther off it stays at the far border. */
static int64_t mirrored(int64_t x, int64_t n)
{
    x = x < 0 ? -1 - x : x >= n ? 2 * n - 1 - x : x;
    return x < 0 ? 0 : x >= n ? n - 1 : x;
}

/* Weighted sum of the 2x2 pixels around (u, v) in Q(2 * WEIGHT_BITS), added to acc. */
static inline void sample_add(const mien_image_view *s, int64_t u, int64_t v, bool mirror, uint32_t acc[3])
{
    const int64_t x = u >> FRAC_BITS, y = v >> FRAC_BITS;
    const uint32_t one = 1u << WEIGHT_BITS;
    const uint32_t fx = (uint32_t)(u >> (FRAC_BITS - WEIGHT_BITS)) & (one - 1);
    const uint32_t fy = (uint32_t)(v >> (FRAC_BITS - WEIGHT_BITS)) & (one - 1);
    const uint32_t w00 = (one - fx) * (one - fy), w01 = fx * (one - fy);
    const uint32_t w10 = (one - fx) * fy, w11 = fx * fy;
    if (x >= 0 && y >= 0 && x + 1 < s->width && y + 1 < s->height) {
        const uint8_t *p = s->data + (size_t)y * s->stride_bytes + (size_t)x * 3;
        const uint8_t *q = p + s->stride_bytes;
        for (int c = 0; c < 3; c++)
            acc[c] += (p[c] * w00 + p[c + 3] * w01 + q[c] * w10 + q[c + 3] * w11) >> 8;
        return;
    }
    if (!mirror && (x < -1 || y < -1 || x >= s->width || y >= s->height))
        return;
    const uint32_t w[4] = { w00, w01, w10, w11 };
    for (int k = 0; k < 4; k++) {
        const int64_t px = mirror ? mirrored(x + (k & 1), s->width) : x + (k & 1);
        const int64_t py = mirror ? mirrored(y + (k >> 1), s->height) : y + (k >> 1);
        if (px < 0 || py < 0 || px >= s->width || py >= s->height)
            continue;
        const uint8_t *p = s->data + (size_t)py * s->stride_bytes + (size_t)px * 3;
        for (int c = 0; c < 3; c++)
            acc[c] += (p[c] * w[k]) >> 8;
    }
}

static void warp_row(const mien_image_view *s, int64_t u, int64_t v, int64_t du, int64_t dv, int width,
                     bool mirror, uint8_t *dst)
{
    const int shift = 2 * WEIGHT_BITS - 8;
    for (int x = 0; x < width; x++, u += du, v += dv, dst += 3) {
        uint32_t acc[3] = { 0, 0, 0 };
        sample_add(s, u, v, mirror, acc);
        for (int c = 0; c < 3; c++)
            dst[c] = (uint8_t)((acc[c] + (1u << (shift - 1))) >> shift);
    }
}

/* off: fixed-point offsets of the taps^2 samples from the pixel's centre */
static void warp_row_taps(const mien_image_view *s, int64_t u, int64_t v, int64_t du, int64_t dv, int width,
                          const int64_t (*off)[2], int n_off, bool mirror, uint8_t *dst)
{
    const uint32_t unit = 1u << (2 * WEIGHT_BITS - 8);
    const uint32_t total = unit * (uint32_t)n_off;
    for (int x = 0; x < width; x++, u += du, v += dv, dst += 3) {
        uint32_t acc[3] = { 0, 0, 0 };
        for (int k = 0; k < n_off; k++)
            sample_add(s, u + off[k][0], v + off[k][1], mirror, acc);
        for (int c = 0; c < 3; c++)
            dst[c] = (uint8_t)((acc[c] + total / 2) / total);
    }
}

static bool in_range(const mien_affine *inv, int width, int height)
{
    for (int k = 0; k < 4; k++) {
        double x, y;
        mien__affine_apply(inv, (k & 1) ? width : 0, (k & 2) ? height : 0, &x, &y);
        if (!(fabs(x) < 1073741824.0) || !(fabs(y) < 1073741824.0))
            return false;
    }
    return true;
}

static int64_t fixed(double v)
{
    return llrint(v * 4294967296.0);
}

int mien__warp_taps(const mien_affine *to_crop)
{
    const double shrink = 1 / fmax(mien__affine_scale(to_crop), 1e-6);
    return shrink < 1.5 ? 1 : shrink > 1.5 * AUTO_TAPS ? AUTO_TAPS : (int)ceil(shrink / 1.5);
}

static mien_status warp(mien_image_view src, const mien_affine *to_crop, int taps, int width, int height,
                        bool mirror, uint8_t *dst, size_t dst_stride_bytes, mien_error *err)
{
    mien_assert(mien__view_ok(src) && taps >= 1 && taps <= MAX_TAPS && width > 0 && height > 0);
    mien_affine inv;
    if (!mien__affine_invert(to_crop, &inv) || !in_range(&inv, width, height))
        return mien__fail(err, MIEN_E_ARG, "warp: the map is singular or leads too far away");
    int64_t off[MAX_TAPS * MAX_TAPS][2];
    const int n_off = taps * taps;
    for (int k = 0; k < n_off; k++) {
        const double ox = ((k % taps) + 0.5) / taps - 0.5, oy = ((k / taps) + 0.5) / taps - 0.5;
        off[k][0] = fixed(inv.m[0] * ox + inv.m[1] * oy);
        off[k][1] = fixed(inv.m[3] * ox + inv.m[4] * oy);
    }
    const int64_t du = fixed(inv.m[0]), dv = fixed(inv.m[3]);
    for (int y = 0; y < height; y++) {
        double u, v;
        mien__affine_apply(&inv, 0.5, y + 0.5, &u, &v);
        uint8_t *row = dst + (size_t)y * dst_stride_bytes;
        if (taps == 1)
            warp_row(&src, fixed(u - 0.5), fixed(v - 0.5), du, dv, width, mirror, row);
        else
            warp_row_taps(&src, fixed(u - 0.5), fixed(v - 0.5), du, dv, width, off, n_off, mirror, row);
    }
    return MIEN_OK;
}

mien_status mien__warp_into(mien_image_view src, const mien_affine *to_crop, int taps, int width, int height,
                            uint8_t *dst, size_t dst_stride_bytes, mien_error *err)
{
    return warp(src, to_crop, taps, width, height, false, dst, dst_stride_bytes, err);
}

mien_status mien__warp_mirrored(mien_image_view src, const mien_affine *to_crop, int taps, int width,
                                int height, uint8_t *dst, size_t dst_stride_bytes, mien_error *err)
{
    return warp(src, to_crop, taps, width, height, true, dst, dst_stride_bytes, err);
}

mien_status mien_warp(mien_image_view src, const mien_affine *to_crop, int width, int height,
                      mien_image **ret, mien_error *err)
{
    if (!to_crop || !ret)
        return mien__fail(err, MIEN_E_ARG, "warp: a pointer is NULL");
    if (!mien__view_ok(src))
        return mien__fail(err, MIEN_E_ARG, "warp: not a picture (%d x %d px, stride %zu)", src.width,
                          src.height, src.stride_bytes);
    if (width < 1 || height < 1 || width > 30000 || height > 30000)
        return mien__fail(err, MIEN_E_ARG, "warp: crop of %d x %d px, sides must be 1..30000", width, height);
    mien_image *out = NULL;
    mien_status st = mien_image_new(width, height, NULL, 0, &out, err);
    if (st)
        goto done;
    st = mien__warp_into(src, to_crop, 1, width, height, mien_image_pixels(out),
                         mien_image_view_of(out).stride_bytes, err);
    if (st)
        goto done;
    *ret = out;
    out = NULL;
done:
    mien_image_free(out);
    return st;
}
