/* Sign codes: 256 bits of a template that are read first, 256 more that are read for the few that pass.
 *
 * A template is rotated at random, by a key: three times its signs are flipped and a Hadamard transform is
 * taken (Ailon, Chazelle 2009, "The fast Johnson-Lindenstrauss transform"; three rounds as Andoni et al.
 * 2015). Its code is the signs of the result: of one rotation where that has 512 coordinates or more, of
 * several else. A query is rotated too, but kept as numbers: with y = Rx, p = Rq and s the signs of y in m of
 * a rotation's D coordinates,
 *
 *   p.s = c (y.s) + noise,   y.s ~ m sqrt(2 / (pi D)),   noise ~ N(0, (1 - c^2) (m - (y.s)^2) / D)
 *
 * for a query of cosine c (Gao, Long 2024, "RaBitQ"): half the variance of comparing signs with signs. Sums
 * and variances of several rotations add. The sum is taken by byte shuffles, four signs at a time, from
 * 16-entry tables of the query's 6-bit partial sums (André et al. 2015). A template passes the first half,
 * the first plane, when its sum lies no more than MARGIN deviations below what is expected at the floor, then
 * both halves together.
 */
#include "search/index.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define PI 3.14159265358979323846
/* Chance of missing a mate at the floor: about 0.0002 per plane; measured, both: docs/search.md. */
#define MARGIN 3.6

mien_status mien__rotation_new(mien__rotation *r, const mien__index_layout *l, const uint8_t key[32],
                               mien_error *err)
{
    const size_t words = 3 * l->sign_dim / 64;
    uint64_t *const flips = mien_alloc_array(words, sizeof *flips);
    if (!flips)
        return mien__nomem(err, words * sizeof *flips);
    static const unsigned char nonce[crypto_stream_chacha20_NONCEBYTES] = { 0 };
    crypto_stream_chacha20((unsigned char *)flips, words * sizeof *flips, nonce, key);
    *r = (mien__rotation){ l->rotation_dim, l->sign_dim / l->rotation_dim, flips };
    return MIEN_OK;
}

void mien__rotation_free(mien__rotation *r)
{
    if (r->flips)
        mien_free_secret(r->flips, r->n * 3 * r->dim / 64 * sizeof *r->flips);
    *r = (mien__rotation){ 0, 0, NULL };
}

static void flip(float *x, size_t n, const uint64_t *bits)
{
    for (size_t i = 0; i < n; i++)
        x[i] = bits[i / 64] >> (i % 64) & 1 ? -x[i] : x[i];
}

static void hadamard(float *x, size_t n)
{
    for (size_t half = 1; half < n; half *= 2) {
        for (size_t i = 0; i < n; i += 2 * half) {
            for (size_t j = i; j < i + half; j++) {
                const float a = x[j], b = x[j + half];
                x[j] = a + b;
                x[j + half] = a - b;
            }
        }
    }
    const float unit = 1 / sqrtf((float)n);
    for (size_t i = 0; i < n; i++)
        x[i] *= unit;
}

void mien__rotate(const mien__rotation *r, float *y)
{
    for (size_t k = 1; k < r->n; k++)
        memcpy(y + k * r->dim, y, r->dim * sizeof *y);
    for (size_t k = 0; k < r->n; k++) {
        for (size_t round = 0; round < 3; round++) {
            flip(y + k * r->dim, r->dim, r->flips + (3 * k + round) * r->dim / 64);
            hadamard(y + k * r->dim, r->dim);
        }
    }
}

/* Byte b of a place's code, of all planes counted through. */
static uint8_t *sign_byte(const mien__index_layout *l, uint8_t *signs, size_t place, size_t b)
{
    const size_t tile = b / l->sign_bytes * MIEN__BLOCK_TILES + place / MIEN__TILE;
    return signs + tile * l->sign_tile_bytes + b % l->sign_bytes * MIEN__TILE + place % MIEN__TILE;
}

void mien__signs_put(const mien__index_layout *l, uint8_t *signs, size_t place, const float *y)
{
    for (size_t b = 0; b < MIEN__SIGN_PLANES * l->sign_bytes; b++) {
        unsigned v = 0;
        for (size_t i = 0; i < 8; i++)
            v |= (unsigned)(y[8 * b + i] >= 0) << i;
        *sign_byte(l, signs, place, b) = (uint8_t)v;
    }
}

void mien__signs_clear(const mien__index_layout *l, uint8_t *signs, size_t place)
{
    for (size_t b = 0; b < MIEN__SIGN_PLANES * l->sign_bytes; b++)
        *sign_byte(l, signs, place, b) = 0;
}

size_t mien__sign_query_bytes(const mien__index_layout *l)
{
    return MIEN__SIGN_PLANES * 2 * l->sign_bytes * 16;
}

/* Sum over four signs as a nibble says. */
static float partial(const float *p, unsigned nibble)
{
    float sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += nibble >> i & 1 ? p[i] : -p[i];
    return sum;
}

static void expect(const mien__index_layout *l, size_t signs, double *ret_mean, double *ret_variance)
{
    const double d = (double)l->rotation_dim;
    *ret_mean = *ret_variance = 0;
    while (signs > 0) { /* a rotation, or the part of it that is in */
        const size_t m = signs < l->rotation_dim ? signs : l->rotation_dim;
        const double ys = (double)m * sqrt(2 / (PI * d));
        *ret_mean += ys;
        *ret_variance += ((double)m - ys * ys) / d;
        signs -= m;
    }
}

void mien__sign_query_set(const mien__index_layout *l, const float *y, double least_cos,
                          mien__sign_query *ret)
{
    const size_t nibbles = 2 * l->sign_bytes; /* of a plane */
    float most = 1e-12f;
    for (size_t k = 0; k < MIEN__SIGN_PLANES * nibbles; k++) {
        const float *const p = y + 4 * k;
        most = fmaxf(most, fabsf(p[0]) + fabsf(p[1]) + fabsf(p[2]) + fabsf(p[3]));
    }
    const float unit = 2 * most / 63; /* a table holds (sum + most of this nibble) / unit */
    double offset = 0;
    for (size_t plane = 0; plane < MIEN__SIGN_PLANES; plane++) {
        for (size_t k = plane * nibbles; k < (plane + 1) * nibbles; k++) {
            const float *const p = y + 4 * k;
            const float low = fabsf(p[0]) + fabsf(p[1]) + fabsf(p[2]) + fabsf(p[3]);
            for (unsigned v = 0; v < 16; v++)
                ret->lut[k][v] = (uint8_t)lrintf((partial(p, v) + low) / unit);
            offset += low;
        }
        double mean, variance; /* of the sum so far for cosine 1, and of the noise for cosine 0 */
        expect(l, 4 * nibbles * (plane + 1), &mean, &variance);
        const double sigma = sqrt((1 - least_cos * least_cos) * variance);
        const double least = (least_cos * mean - MARGIN * sigma + offset) / unit;
        ret->thr[plane] = least > 0 ? (unsigned)least : 0;
    }
}
