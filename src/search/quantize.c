/* Templates to bytes: symmetric, one scale per template, the error known exactly.
 *
 *   scale = max |x| / 127,  code = round(x / scale),  error >= |x - scale * code|
 *
 * The error is computed in double from the very scale that is stored and rounded up, so that
 *
 *   |q.x - q'.x'| = |q.(x - x') + (q - q').x'| <= |q| error(x) + error(q) |x'|,   |x'| <= |x| + error(x)
 *
 * holds for every query, not on average. For 512 dimensions both errors are about 0.0075.
 */
#include "search/index.h"
#include <math.h>
#include <string.h>

double mien__dot_f64(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

mien_status mien__index_check_vec(const float *vec, size_t dim, const char *what, mien_error *err)
{
    const double norm = sqrt(mien__dot_f64(vec, vec, dim)); /* not finite where a value is not */
    if (!(norm >= 0.999 && norm <= 1.001))
        return mien__fail(err, MIEN_E_ARG, "%s has length %g, not 1", what, norm);
    return MIEN_OK;
}

void mien__quantize(const float *vec, size_t dim, size_t dim_padded, int8_t *code, float *ret_scale,
                    float *ret_error)
{
    float most = 0;
    for (size_t i = 0; i < dim; i++)
        most = fabsf(vec[i]) > most ? fabsf(vec[i]) : most;
    const float scale = most / 127;
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        long v = lrintf(vec[i] / scale);
        v = v > 127 ? 127 : v < -127 ? -127 : v;
        code[i] = (int8_t)v;
        const double rest = vec[i] - (double)scale * (double)v;
        sum += rest * rest;
    }
    memset(code + dim, 0, dim_padded - dim);
    *ret_scale = scale;
    *ret_error = (float)(sqrt(sum) * (1 + 1e-6) + 1e-9);
}

/* Where the first four bytes of a place lie; the next are 64 on. */
static size_t place_at(const mien__index_layout *l, size_t place)
{
    return place / MIEN__GROUP * l->steps * 64 + place % MIEN__GROUP * 4;
}

void mien__code_put(const mien__index_layout *l, uint8_t *codes, size_t place, const int8_t *code)
{
    uint8_t *p = codes + place_at(l, place);
    for (size_t s = 0; s < l->steps; s++, p += 64) {
        for (size_t d = 0; d < 4; d++)
            p[d] = (uint8_t)(code[4 * s + d] + 128);
    }
}

void mien__code_clear(const mien__index_layout *l, uint8_t *codes, size_t place)
{
    uint8_t *p = codes + place_at(l, place);
    for (size_t s = 0; s < l->steps; s++, p += 64)
        memset(p, 0, 4);
}

bool mien__code_get(const mien__index_layout *l, const uint8_t *codes, size_t place, int8_t *code)
{
    const uint8_t *p = codes + place_at(l, place);
    bool whole = true;
    for (size_t s = 0; s < l->steps; s++, p += 64) {
        for (size_t d = 0; d < 4; d++) {
            whole = whole && p[d] != 0;
            code[4 * s + d] = (int8_t)(p[d] - 128);
        }
    }
    return whole;
}
