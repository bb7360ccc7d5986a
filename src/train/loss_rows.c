/* Rows brought to unit length, and gradients brought back.
 *
 * For u = x / |x|: dL/dx = (dL/du - (dL/du . u) u) / |x|, the part of the gradient that is tangent to the
 * sphere. Sums run in double in eight interleaved lanes that are added in a fixed order: vectors can hold
 * them, and the result is the same on every machine.
 */
#include "train/loss_rows.h"
#include <math.h>

enum { LANES = 8, TILE = 64 };

double mien__row_dot(const float *a, const float *b, int dim)
{
    double s[LANES] = { 0 };
    int i = 0;
    for (; i + LANES <= dim; i += LANES)
        for (int j = 0; j < LANES; j++)
            s[j] += (double)a[i + j] * (double)b[i + j];
    for (int j = 0; i + j < dim; j++)
        s[j] += (double)a[i + j] * (double)b[i + j];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

void mien__row_normalise(const float *x, int dim, float *ret_unit, double *ret_inv_norm)
{
    const double norm = sqrt(mien__row_dot(x, x, dim));
    /* asked this way round, NaN goes through and is seen by the optimiser */
    const double inv = norm < MIEN__ROW_MIN_NORM ? 0.0 : 1.0 / norm;
    for (int i = 0; i < dim; i++)
        ret_unit[i] = (float)((double)x[i] * inv);
    *ret_inv_norm = inv;
}

void mien__row_back(const float *unit, double inv_norm, int dim, float *d)
{
    const double along = mien__row_dot(unit, d, dim);
    for (int i = 0; i < dim; i++)
        d[i] = (float)(((double)d[i] - along * (double)unit[i]) * inv_norm);
}

void mien__rows_normalise(const float *x, int n, int dim, float *ret_unit, double *ret_inv_norm)
{
    for (int i = 0; i < n; i++)
        mien__row_normalise(x + (size_t)i * dim, dim, ret_unit + (size_t)i * dim, &ret_inv_norm[i]);
}

static void cosines_back_tile(const double *g, const float *unit, int n, int dim, int i, int from, int width,
                              float *d)
{
    double sum[TILE] = { 0 };
    for (int j = 0; j < n; j++) {
        const double c = i == j ? 0.0 : g[(size_t)i * n + j] + g[(size_t)j * n + i];
        const float *const u = unit + (size_t)j * dim + from;
        for (int p = 0; p < width; p++)
            sum[p] += c * (double)u[p];
    }
    for (int p = 0; p < width; p++)
        d[from + p] = (float)sum[p];
}

void mien__cosines_back(const double *g, const float *unit, const double *inv_norm, int n, int dim, float *d)
{
    for (int i = 0; i < n; i++) {
        float *const row = d + (size_t)i * dim;
        for (int from = 0; from < dim; from += TILE)
            cosines_back_tile(g, unit, n, dim, i, from, dim - from < TILE ? dim - from : TILE, row);
        mien__row_back(unit + (size_t)i * dim, inv_norm[i], dim, row);
    }
}

int mien__labelled_rows(const int32_t *labels, int n)
{
    int counted = 0;
    for (int i = 0; i < n; i++)
        counted += labels[i] >= 0;
    return counted;
}
