/* Resizing: a separable filter, rows first.
 *
 * Along each axis an output pixel is a weighted sum of a run of source pixels:
 *   - enlarging, or shrinking by at most 2: bilinear between pixel centres, source position
 *     s = (o + 0.5) * in / out - 0.5, edges repeated;
 *   - shrinking by more than 2: the mean over the source interval [o * in/out, (o + 1) * in/out), ends
 * weighted by how much of them it covers. Weights are 15-bit fixed point. Each is the difference of two
 * rounded cumulative sums, so that they add up to one exactly and a constant picture stays constant. The rows
 * pass leaves values with 8 fractional bits (255 * 256 fits 16 bits); the columns pass rounds once. The
 * result is within 0.6 of the exact value.
 */
#include "image/codec.h"
#include <math.h>
#include <string.h>

enum { WEIGHT_BITS = 15, WEIGHT_ONE = 1 << WEIGHT_BITS, MID_BITS = 8, SIDE_MAX = 1 << 20 };

typedef struct axis {
    int out, taps;     /* every output has `taps` weights; spare ones are 0 */
    int32_t *first;    /* [out] first source index; first + taps <= in */
    uint16_t *weights; /* [out][taps] */
} axis;

static void axis_free(axis *a)
{
    mien_free(a->first);
    mien_free(a->weights);
}

/* Fill one output's weights from the interval's cumulative coverage. */
static void area_weights(double lo, double hi, int first, int taps, uint16_t *w)
{
    int64_t before = 0;
    for (int t = 0; t < taps; t++) {
        double end = first + t + 1;
        end = end < lo ? lo : (end > hi ? hi : end);
        int64_t sum = llround((end - lo) / (hi - lo) * WEIGHT_ONE);
        if (t == taps - 1)
            sum = WEIGHT_ONE;
        w[t] = (uint16_t)(sum - before);
        before = sum;
    }
}

static mien_status axis_make(axis *a, int in, int out, mien_error *err)
{
    const double ratio = (double)in / out;
    const bool area = ratio > 2.0;
    int taps = area ? (int)ceil(ratio) + 1 : 2;
    taps = taps > in ? in : taps;
    *a = (axis){ out, taps, mien_alloc_array((size_t)out, sizeof *a->first), NULL };
    size_t n = 0;
    if (a->first && mien_mul_ok((size_t)out, (size_t)taps, &n))
        a->weights = mien_alloc_array(n, sizeof *a->weights);
    if (!a->weights)
        return mien__nomem(err, n * sizeof *a->weights);
    for (int o = 0; o < out; o++) {
        uint16_t *const w = a->weights + (size_t)o * (size_t)taps;
        if (area) {
            const double lo = o * ratio, hi = o + 1 == out ? in : (o + 1) * ratio;
            int first = (int)floor(lo);
            first = first > in - taps ? in - taps : first;
            a->first[o] = first;
            area_weights(lo, hi, first, taps, w);
            continue;
        }
        double s = (o + 0.5) * ratio - 0.5;
        s = s < 0 ? 0 : (s > in - 1 ? in - 1 : s);
        int first = (int)s;
        first = first > in - taps ? in - taps : first;
        a->first[o] = first;
        w[0] = WEIGHT_ONE;
        if (taps == 2) {
            w[1] = (uint16_t)lround((s - first) * WEIGHT_ONE);
            w[0] = (uint16_t)(WEIGHT_ONE - w[1]);
        }
    }
    return MIEN_OK;
}

/* mid[i] = sum over taps of w[t] * row_t[i], with MID_BITS fractional bits. */
static void mix_rows(mien_image_view src, const axis *ys, int o, size_t n, uint32_t *restrict acc,
                     uint16_t *restrict mid)
{
    const uint16_t *const w = ys->weights + (size_t)o * (size_t)ys->taps;
    const uint8_t *restrict row = src.data + (size_t)ys->first[o] * src.stride_bytes;
    enum { SHIFT = WEIGHT_BITS - MID_BITS, HALF = 1 << (SHIFT - 1) };
    if (ys->taps == 2) {
        const uint8_t *restrict next = row + src.stride_bytes;
        const uint16_t w0 = w[0], w1 = w[1];
        for (size_t i = 0; i < n; i++)
            mid[i] = (uint16_t)(((uint32_t)w0 * row[i] + (uint32_t)w1 * next[i] + HALF) >> SHIFT);
        return;
    }
    for (size_t i = 0; i < n; i++)
        acc[i] = HALF;
    for (int t = 0; t < ys->taps; t++, row += src.stride_bytes) {
        const uint16_t wt = w[t];
        if (wt == 0)
            continue;
        for (size_t i = 0; i < n; i++)
            acc[i] += (uint32_t)wt * row[i];
    }
    for (size_t i = 0; i < n; i++)
        mid[i] = (uint16_t)(acc[i] >> SHIFT);
}

static void mix_columns(const uint16_t *restrict mid, const axis *xs, uint8_t *restrict dst)
{
    enum { SHIFT = WEIGHT_BITS + MID_BITS };
    const uint32_t half = 1u << (SHIFT - 1);
    const int taps = xs->taps;
    for (int o = 0; o < xs->out; o++, dst += 3) {
        const uint16_t *p = mid + 3 * (size_t)xs->first[o];
        const uint16_t *const w = xs->weights + (size_t)o * (size_t)taps;
        uint32_t r = half, g = half, b = half;
        for (int t = 0; t < taps; t++, p += 3) {
            r += (uint32_t)w[t] * p[0];
            g += (uint32_t)w[t] * p[1];
            b += (uint32_t)w[t] * p[2];
        }
        dst[0] = (uint8_t)(r >> SHIFT);
        dst[1] = (uint8_t)(g >> SHIFT);
        dst[2] = (uint8_t)(b >> SHIFT);
    }
}

mien_status mien_image_resize(mien_image_view src, int width, int height, mien_image **ret_image,
                              mien_error *err)
{
    if (!src.data || src.width <= 0 || src.height <= 0 || src.stride_bytes < 3 * (size_t)src.width ||
        !ret_image)
        return mien__fail(err, MIEN_E_ARG, "resize: no picture given");
    if (width <= 0 || height <= 0 || width > SIDE_MAX || height > SIDE_MAX)
        return mien__fail(err, MIEN_E_ARG, "resize: a picture of %d x %d px cannot be made (1..%d)", width,
                          height, SIDE_MAX);
    if (width == src.width && height == src.height)
        return mien_image_new(width, height, src.data, src.stride_bytes, ret_image, err);
    axis xs = { 0 }, ys = { 0 };
    mien_image *image = NULL;
    const size_t n = 3 * (size_t)src.width;
    uint32_t *acc = NULL;
    uint16_t *mid = NULL;
    mien_status status = axis_make(&xs, src.width, width, err);
    if (status == MIEN_OK)
        status = axis_make(&ys, src.height, height, err);
    if (status == MIEN_OK)
        status = mien_image_new(width, height, NULL, 0, &image, err);
    if (status != MIEN_OK)
        goto done;
    acc = mien_alloc_array(n, sizeof *acc);
    mid = mien_alloc_array(n, sizeof *mid);
    if (!acc || !mid) {
        status = mien__nomem(err, n * (sizeof *acc + sizeof *mid));
        goto done;
    }
    for (int y = 0; y < height; y++) {
        mix_rows(src, &ys, y, n, acc, mid);
        mix_columns(mid, &xs, image->pixels + (size_t)y * 3 * (size_t)width);
    }
    *ret_image = image;
    image = NULL;
done:
    mien_image_free(image);
    mien_free(mid);
    mien_free(acc);
    axis_free(&ys);
    axis_free(&xs);
    return status;
}
