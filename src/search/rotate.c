/* Sign codes: half a bit per dimension that is read first, another half that is read for the few that pass.
 *
 * A template is rotated at random, by a key: three times its signs are flipped and a Hadamard transform is
 * taken (Ailon, Chazelle 2009, "The fast Johnson-Lindenstrauss transform"; three rounds as Andoni et al.
 * 2015). Its code is the signs of the result. A query is rotated too, but kept as numbers: with y = Rx, p =
 * Rq and s the signs of y over a set A of m of the D coordinates,
 *
 *   p.s = c (y.s) + noise,   y.s ~ m sqrt(2 / (pi D)),   noise ~ N(0, (1 - c^2) (m - m (2 m / (pi D))) / D)
 *
 * for a query of cosine c (Gao, Long 2024, "RaBitQ"): half the variance of comparing signs with signs. The
 * sum is taken by byte shuffles, four signs at a time, from 16-entry tables of the query's 6-bit partial sums
 * (André et al. 2015). Two coordinate sets, the planes, of D / 2 each: a template passes the first when its
 * sum lies no more than MARGIN deviations below what is expected at the floor, then the two together.
 */
#include "search/index.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define PI 3.14159265358979323846
/* Chance of missing a mate at the floor: 0.0003 per plane at 3.4 deviations. */
#define MARGIN 3.4

mien_status mien__rotation_new(mien__rotation *r, size_t dim, const uint8_t key[32], mien_error *err)
{
    const size_t words = 3 * dim / 64;
    uint64_t *const flips = mien_alloc_array(words, sizeof *flips);
    if (!flips)
        return mien__nomem(err, words * sizeof *flips);
    static const unsigned char nonce[crypto_stream_chacha20_NONCEBYTES] = { 0 };
    crypto_stream_chacha20((unsigned char *)flips, words * sizeof *flips, nonce, key);
    *r = (mien__rotation){ dim, flips };
    return MIEN_OK;
}

void mien__rotation_free(mien__rotation *r)
{
    if (r->flips)
        mien_free_secret(r->flips, 3 * r->dim / 64 * sizeof *r->flips);
    *r = (mien__rotation){ 0, NULL };
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

void mien__rotate(const mien__rotation *r, float *x)
{
    for (size_t round = 0; round < 3; round++) {
        flip(x, r->dim, r->flips + round * r->dim / 64);
        hadamard(x, r->dim);
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
    double offset = 0, m = 0;
    for (size_t plane = 0; plane < MIEN__SIGN_PLANES; plane++) {
        for (size_t k = plane * nibbles; k < (plane + 1) * nibbles; k++) {
            const float *const p = y + 4 * k;
            const float low = fabsf(p[0]) + fabsf(p[1]) + fabsf(p[2]) + fabsf(p[3]);
            for (unsigned v = 0; v < 16; v++)
                ret->lut[k][v] = (uint8_t)lrintf((partial(p, v) + low) / unit);
            offset += low;
        }
        m += 4.0 * (double)nibbles;
        const double d = (double)l->sign_dim, ys = m * sqrt(2 / (PI * d));
        const double sigma = sqrt((1 - least_cos * least_cos) * (m - ys * ys) / d);
        const double least = (least_cos * ys - MARGIN * sigma + offset) / unit;
        ret->thr[plane] = least > 0 ? (unsigned)least : 0;
    }
}
