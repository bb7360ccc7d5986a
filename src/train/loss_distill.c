/* Losses of distillation: a network follows a teacher's embeddings, their relations, or a tensor inside.
 *
 *   cosine      L = mean_i (1 - u_i . t_i),  u = e / |e|
 *   relational  L = mean_{i<j} (c_ij - t_ij)^2,  c, t = cosines between rows of the batch: the distance-wise
 *               loss of Park 2019 (section 3.2.1) with cosines for distances, which need no scale of their
 *               own. Teacher and student may differ in length.
 *   hint        L = sum (x - t)^2 / sum t^2 (Romero 2015, eq. 3, made free of the tensor's scale)
 *
 * A zero row has cosine 0 with everything and no gradient. A hint that is zero everywhere is not divided.
 */
#include "train/loss.h"
#include "train/loss_rows.h"
#include <math.h>

double mien__loss_cosine(const float *e, const float *t, int n, int dim, float *d_e)
{
    double loss = 0.0;
    for (int i = 0; i < n; i++) {
        const float *const ei = e + (size_t)i * dim, *const ti = t + (size_t)i * dim;
        float *const d = d_e + (size_t)i * dim;
        const double norm = sqrt(mien__row_dot(ei, ei, dim));
        const double inv = norm < MIEN__ROW_MIN_NORM ? 0.0 : 1.0 / norm;
        const double c = mien__row_dot(ei, ti, dim) * inv, to_mean = -inv / n;
        for (int p = 0; p < dim; p++)
            d[p] = (float)(((double)ti[p] - c * inv * (double)ei[p]) * to_mean);
        loss += 1.0 - c;
    }
    return n > 0 ? loss / n : 0.0;
}

size_t mien__loss_relational_scratch(int n, int dim)
{
    return mien__loss_piece((size_t)n * n, sizeof(double)) + 2 * mien__loss_piece((size_t)n, sizeof(double)) +
           mien__loss_piece((size_t)n * dim, sizeof(float));
}

double mien__loss_relational(const float *e, int dim, const float *t, int t_dim, int n, float *d_e,
                             void *scratch)
{
    char *at = scratch;
    double *const g = (double *)(void *)at;
    at += mien__loss_piece((size_t)n * n, sizeof(double));
    double *const inv_e = (double *)(void *)at;
    at += mien__loss_piece((size_t)n, sizeof(double));
    double *const inv_t = (double *)(void *)at;
    at += mien__loss_piece((size_t)n, sizeof(double));
    float *const unit = (float *)(void *)at;

    const double n_pairs = 0.5 * n * (n - 1.0), to_mean = n_pairs > 0.0 ? 1.0 / n_pairs : 0.0;
    double loss = 0.0;
    mien__rows_normalise(e, n, dim, unit, inv_e);
    for (int i = 0; i < n; i++) {
        const float *const ti = t + (size_t)i * t_dim;
        const double norm = sqrt(mien__row_dot(ti, ti, t_dim));
        inv_t[i] = norm < MIEN__ROW_MIN_NORM ? 0.0 : 1.0 / norm;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            g[(size_t)i * n + j] = 0.0;
            if (j <= i)
                continue;
            const double c = mien__row_dot(unit + (size_t)i * dim, unit + (size_t)j * dim, dim);
            const double want =
                mien__row_dot(t + (size_t)i * t_dim, t + (size_t)j * t_dim, t_dim) * inv_t[i] * inv_t[j];
            loss += (c - want) * (c - want);
            g[(size_t)i * n + j] = 2.0 * (c - want) * to_mean;
        }
    mien__cosines_back(g, unit, inv_e, n, dim, d_e);
    return loss * to_mean;
}

double mien__loss_hint(const float *x, const float *t, size_t count, double weight, bool add, float *d_x)
{
    enum { LANES = 8 };
    double square[LANES] = { 0 }, error[LANES] = { 0 }, sum_square = 0.0, sum_error = 0.0;
    for (size_t i = 0; i < count; i += LANES) {
        const size_t n = count - i < LANES ? count - i : LANES;
        for (size_t j = 0; j < n; j++) {
            const double want = (double)t[i + j], off = (double)x[i + j] - want;
            square[j] += want * want;
            error[j] += off * off;
        }
    }
    for (int j = 0; j < LANES; j++) {
        sum_square += square[j];
        sum_error += error[j];
    }
    if (count == 0)
        return 0.0;
    const double floor = MIEN__ROW_MIN_NORM * (double)count;
    const double inv = 1.0 / (sum_square < floor ? (double)count : sum_square);
    const double slope = 2.0 * inv * weight;
    for (size_t i = 0; i < count; i++) {
        const double d = slope * ((double)x[i] - (double)t[i]);
        d_x[i] = (float)(add ? (double)d_x[i] + d : d);
    }
    return sum_error * inv;
}
