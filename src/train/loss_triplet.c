/* Triplet loss with semi-hard negatives (FaceNet, Schroff 2015, section 3.2).
 *
 *   L = mean over pairs (a, p) of one person of max(0, d(a, p) - d(a, n) + margin),  d = |u_a - u_p|^2
 *
 * The negative n of a pair is the nearest one that is farther from the anchor than the positive (eq. 4):
 * inside the margin it is semi-hard, past it the pair is content and costs nothing. When every negative is
 * nearer than the positive the paper names none; the farthest of them is taken, the least hard, which keeps
 * the pair in play without the collapse that the hardest brings. The lowest index wins ties.
 *
 * On unit rows d = 2 - 2 cos, so the gradient runs over the cosines. All pairs count in the mean, content
 * ones too, so that the loss falls as triplets are satisfied.
 */
#include "train/loss.h"
#include "train/loss_rows.h"
#include <string.h>

size_t mien__loss_triplet_scratch(int n, int dim)
{
    return 2 * mien__loss_piece((size_t)n * n, sizeof(double)) + mien__loss_piece((size_t)n, sizeof(double)) +
           mien__loss_piece((size_t)n * dim, sizeof(float));
}

static void cosines(const float *unit, int n, int dim, double *ret)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            const double c = mien__row_dot(unit + (size_t)i * dim, unit + (size_t)j * dim, dim);
            ret[(size_t)i * n + j] = ret[(size_t)j * n + i] = c;
        }
}

/* The negative of a pair whose cosine is `positive`, from the anchor's row of cosines; -1: nobody else. */
static int pick_negative(const double *row, const int32_t *labels, int n, int32_t person, double positive)
{
    int farther = -1, nearer = -1;
    for (int j = 0; j < n; j++) {
        if (labels[j] < 0 || labels[j] == person)
            continue;
        if (row[j] < positive) {
            if (farther < 0 || row[j] > row[farther])
                farther = j;
        } else if (nearer < 0 || row[j] < row[nearer]) {
            nearer = j;
        }
    }
    return farther >= 0 ? farther : nearer;
}

double mien__loss_triplet(const float *e, const int32_t *labels, int n, int dim, double margin, float *d_e,
                          int *ret_triplets, void *scratch)
{
    char *at = scratch;
    double *const c = (double *)(void *)at;
    at += mien__loss_piece((size_t)n * n, sizeof(double));
    double *const g = (double *)(void *)at;
    at += mien__loss_piece((size_t)n * n, sizeof(double));
    double *const inv = (double *)(void *)at;
    at += mien__loss_piece((size_t)n, sizeof(double));
    float *const unit = (float *)(void *)at;

    double loss = 0.0;
    size_t pairs = 0;
    int violating = 0;
    mien__rows_normalise(e, n, dim, unit, inv);
    cosines(unit, n, dim, c);
    memset(g, 0, (size_t)n * n * sizeof *g);
    for (int a = 0; a < n; a++) {
        const double *const row = c + (size_t)a * n;
        for (int p = 0; p < n; p++) {
            if (p == a || labels[a] < 0 || labels[p] != labels[a])
                continue;
            const int neg = pick_negative(row, labels, n, labels[a], row[p]);
            if (neg < 0)
                continue;
            pairs++;
            const double cost = 2.0 * (row[neg] - row[p]) + margin;
            if (cost <= 0.0) /* NaN goes on */
                continue;
            violating++;
            loss += cost;
            g[(size_t)a * n + p] -= 2.0;
            g[(size_t)a * n + neg] += 2.0;
        }
    }
    const double to_mean = pairs > 0 ? 1.0 / (double)pairs : 0.0;
    for (size_t i = 0; i < (size_t)n * n; i++)
        g[i] *= to_mean;
    mien__cosines_back(g, unit, inv, n, dim, d_e);
    *ret_triplets = violating;
    return loss * to_mean;
}
