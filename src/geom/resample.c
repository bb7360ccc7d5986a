/* Separable resampling with a triangle filter.
 *
 * Growing: bilinear at pixel centres. Shrinking by a factor f: the triangle is f times as wide, which weights
 * every source pixel and so avoids aliasing (as Pillow's BILINEAR does). Vertical pass first, because it runs
 * along memory; only the source columns that the wanted part needs are touched. Weights are Q14, sums 32-bit;
 * the result is the same bytes on every CPU.
 */
#include "geom/geom.h"
#include <math.h>
#include <string.h>

enum { Q = 14 };

void mien__resampler_free(mien__resampler *r)
{
    if (!r)
        return;
    mien_free(r->x_start);
    mien_free(r->y_start);
    mien_free(r->x_w);
    mien_free(r->y_w);
    mien_free(r->column_sums);
    mien_free(r->column);
    *r = (mien__resampler){ 0 };
}

/* Make *p hold n items, discarding what it held. */
static bool reserve(void **p, size_t *cap, size_t n, size_t item_bytes)
{
    if (n <= *cap)
        return true;
    void *fresh = mien_alloc_array(n, item_bytes);
    if (!fresh)
        return false;
    mien_free(*p);
    *p = fresh;
    *cap = n;
    return true;
}

static int taps_for(int src_n, int full_n)
{
    const double f = (double)src_n / full_n;
    const int taps = (int)ceil(2.0 * (f > 1 ? f : 1)) + 1;
    return taps < src_n ? taps : src_n;
}

/* Weights of outputs first..first+n-1 of full_n over src_n sources; each has exactly `taps` entries. */
static void make_weights(int src_n, int full_n, int first, int n, int taps, int32_t *start, uint16_t *weights)
{
    const double f = (double)src_n / full_n, radius = f > 1 ? f : 1;
    for (int i = 0; i < n; i++) {
        const double centre = (first + i + 0.5) * f;
        int lo = (int)floor(centre - radius);
        lo = lo < 0 ? 0 : lo > src_n - taps ? src_n - taps : lo;
        uint16_t *w = weights + (size_t)i * (size_t)taps;
        double sum = 0;
        for (int k = 0; k < taps; k++) {
            const double t = 1 - fabs(lo + k + 0.5 - centre) / radius;
            sum += t > 0 ? t : 0;
        }
        /* rounding is carried along, so that the weights sum to one exactly */
        double exact = 0;
        int given = 0;
        for (int k = 0; k < taps; k++) {
            const double t = 1 - fabs(lo + k + 0.5 - centre) / radius;
            exact += t > 0 ? t : 0;
            const int upto = (int)floor(exact / sum * (1 << Q) + 0.5);
            w[k] = (uint16_t)(upto - given);
            given = upto;
        }
        start[i] = lo;
    }
}

static mien_status prepare(mien__resampler *r, const mien__resize_part *p, int xt, int yt, size_t row_bytes,
                           mien_error *err)
{
    if (reserve((void **)&r->x_start, &r->cap_x, (size_t)p->w, sizeof *r->x_start) &&
        reserve((void **)&r->y_start, &r->cap_y, (size_t)p->h, sizeof *r->y_start) &&
        reserve((void **)&r->x_w, &r->cap_xw, (size_t)p->w * (size_t)xt, sizeof *r->x_w) &&
        reserve((void **)&r->y_w, &r->cap_yw, (size_t)p->h * (size_t)yt, sizeof *r->y_w) &&
        reserve((void **)&r->column_sums, &r->cap_sums, row_bytes, sizeof *r->column_sums) &&
        reserve((void **)&r->column, &r->cap_column, row_bytes, 1))
        return MIEN_OK;
    return mien__fail(err, MIEN_E_NOMEM, "out of memory resizing to %d x %d px", p->w, p->h);
}

#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O3")))
#endif
static void
weigh_rows(const uint8_t *src, size_t stride, const uint16_t *w, int taps, size_t n, uint32_t *restrict sums,
           uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        sums[i] = 1u << (Q - 1);
    for (int k = 0; k < taps; k++, src += stride) {
        const uint32_t wk = w[k];
        if (wk == 0)
            continue;
        for (size_t i = 0; i < n; i++)
            sums[i] += wk * src[i];
    }
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(sums[i] >> Q);
}

static void weigh_columns(const uint8_t *src, const int32_t *start, const uint16_t *w, int taps, int n,
                          int origin, uint8_t *dst)
{
    for (int i = 0; i < n; i++, w += taps, dst += 3) {
        const uint8_t *p = src + (size_t)(start[i] - origin) * 3;
        uint32_t a = 1u << (Q - 1), b = a, c = a;
        for (int k = 0; k < taps; k++, p += 3) {
            a += (uint32_t)w[k] * p[0];
            b += (uint32_t)w[k] * p[1];
            c += (uint32_t)w[k] * p[2];
        }
        dst[0] = (uint8_t)(a >> Q);
        dst[1] = (uint8_t)(b >> Q);
        dst[2] = (uint8_t)(c >> Q);
    }
}

static bool part_ok(const mien__resize_part *p)
{
    return p->full_w > 0 && p->full_h > 0 && p->full_w <= MIEN__MAX_SIDE_PX &&
           p->full_h <= MIEN__MAX_SIDE_PX && p->x0 >= 0 && p->y0 >= 0 && p->w > 0 && p->h > 0 &&
           p->w <= p->full_w - p->x0 && p->h <= p->full_h - p->y0;
}

mien_status mien__resample_rows(mien__resampler *r, mien_image_view src, const mien__resize_part *p,
                                uint8_t *row_buffer, mien__row_fn fn, void *ctx, mien_error *err)
{
    if (!mien__view_ok(src) || !part_ok(p))
        return mien__fail(err, MIEN_E_ARG, "resizing a picture of %d x %d to %d x %d px", src.width,
                          src.height, p->full_w, p->full_h);
    if (p->full_w == src.width && p->full_h == src.height) {
        for (int y = 0; y < p->h; y++)
            fn(ctx, y, src.data + (size_t)(p->y0 + y) * src.stride_bytes + (size_t)p->x0 * 3, p->w);
        return MIEN_OK;
    }
    const int xt = taps_for(src.width, p->full_w), yt = taps_for(src.height, p->full_h);
    const mien_status st = prepare(r, p, xt, yt, (size_t)src.width * 3, err);
    if (st)
        return st;
    make_weights(src.width, p->full_w, p->x0, p->w, xt, r->x_start, r->x_w);
    make_weights(src.height, p->full_h, p->y0, p->h, yt, r->y_start, r->y_w);
    const int first = r->x_start[0], last = r->x_start[p->w - 1] + xt;
    const size_t n = (size_t)(last - first) * 3;
    for (int y = 0; y < p->h; y++) {
        const uint8_t *rows = src.data + (size_t)r->y_start[y] * src.stride_bytes + (size_t)first * 3;
        weigh_rows(rows, src.stride_bytes, r->y_w + (size_t)y * (size_t)yt, yt, n, r->column_sums, r->column);
        weigh_columns(r->column, r->x_start, r->x_w, xt, p->w, first, row_buffer);
        fn(ctx, y, row_buffer, p->w);
    }
    return MIEN_OK;
}

void mien__row_to_planes(const uint8_t *row, int width, bool swap, const float mean[3], const float scale[3],
                         float *p0, float *p1, float *p2)
{
    const int i0 = swap ? 2 : 0, i2 = swap ? 0 : 2;
    for (int i = 0; i < width; i++, row += 3) {
        p0[i] = ((float)row[i0] - mean[0]) * scale[0];
        p1[i] = ((float)row[1] - mean[1]) * scale[1];
        p2[i] = ((float)row[i2] - mean[2]) * scale[2];
    }
}
