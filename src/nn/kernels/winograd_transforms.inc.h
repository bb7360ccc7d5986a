/* One-dimensional transforms of Winograd's minimal filtering F(m, 3), m = 2, 3, 4 (Lavin, Gray 2016;
 * constructed after Cook and Toom as in Blahut 2010, ch. 5): y = A^T [(G g) * (B^T d)] with B^T's row for
 * point p the coefficients of prod over the other points of (x - q), G's row (1, p, p^2) / prod (p - q),
 * A^T's column (1, p, .., p^(m-1)).
 *
 *   m = 2: points 0, 1, -1, inf      m = 3: 0, 1, -1, 2, inf      m = 4: 0, +-sqrt(1/2), +-sqrt(2), inf
 *
 * The points of m = 4 leave less than half the rounding error of 0, +-1, +-2 (0.45 of it, random data, 64 and
 * 256 channels) (cf. Alam et al. 2022, "Winograd convolution for deep neural networks: efficient point
 * selection").
 */
#ifndef MIEN_SRC_NN_KERNELS_WINOGRAD_TRANSFORMS_INC_H
#define MIEN_SRC_NN_KERNELS_WINOGRAD_TRANSFORMS_INC_H

#include "nn/kernels/vec.h"

#define WINO_A 0.70710678118654752440 /* sqrt(1/2) */
#define WINO_B 1.41421356237309504880 /* sqrt(2) */
enum { WINO_MAX_M = 4, WINO_MAX_T = WINO_MAX_M + 2 };

/* r = B^T d, T = M + 2 entries each */
VF_INLINE void wino_in_1d(const int M, const vf *d, vf *r)
{
    if (M == 2) {
        r[0] = vf_sub(d[0], d[2]);
        r[1] = vf_add(d[2], d[1]);
        r[2] = vf_sub(d[2], d[1]);
        r[3] = vf_sub(d[3], d[1]);
    } else if (M == 3) {
        const vf two = vf_set1(2.0f), t = vf_sub(d[3], d[1]); /* x^3 - x */
        const vf u = vf_sub(d[1], d[2]);
        r[0] = vf_fma(two, vf_sub(d[0], d[2]), t);
        r[1] = vf_sub(vf_sub(t, d[1]), d[2]); /* x^3 - x^2 - 2x */
        r[2] = vf_fma(vf_set1(3.0f), u, t);   /* x^3 - 3x^2 + 2x */
        r[3] = t;
        r[4] = vf_fnma(two, t, vf_sub(d[4], d[2])); /* x^4 - 2x^3 - x^2 + 2x */
    } else {
        const vf a = vf_set1((float)WINO_A), b = vf_set1((float)WINO_B), c = vf_set1(2.5f);
        const vf ta = vf_fnma(vf_set1(2.0f), d[2], d[4]), ua = vf_mul(a, vf_fnma(vf_set1(2.0f), d[1], d[3]));
        const vf tb = vf_fnma(vf_set1(0.5f), d[2], d[4]), ub = vf_mul(b, vf_fnma(vf_set1(0.5f), d[1], d[3]));
        r[0] = vf_fnma(c, d[2], vf_add(d[0], d[4]));
        r[1] = vf_add(ta, ua);
        r[2] = vf_sub(ta, ua);
        r[3] = vf_add(tb, ub);
        r[4] = vf_sub(tb, ub);
        r[5] = vf_fnma(c, d[3], vf_add(d[1], d[5]));
    }
}

/* y = A^T m: M entries from T */
VF_INLINE void wino_out_1d(const int M, const vf *m, vf *y)
{
    const vf p = vf_add(m[1], m[2]), q = vf_sub(m[1], m[2]);
    if (M == 2) {
        y[0] = vf_add(m[0], p);
        y[1] = vf_add(q, m[3]);
    } else if (M == 3) {
        y[0] = vf_add(vf_add(m[0], p), m[3]);
        y[1] = vf_fma(vf_set1(2.0f), m[3], q);
        y[2] = vf_fma(vf_set1(4.0f), m[3], vf_add(p, m[4]));
    } else {
        const vf s = vf_add(m[3], m[4]), t = vf_sub(m[3], m[4]);
        y[0] = vf_add(vf_add(m[0], p), s);
        y[1] = vf_fma(vf_set1((float)WINO_A), q, vf_mul(vf_set1((float)WINO_B), t));
        y[2] = vf_fma(vf_set1(0.5f), p, vf_mul(vf_set1(2.0f), s));
        y[3] = vf_fma(vf_set1((float)(WINO_A / 2)), q, vf_fma(vf_set1((float)(WINO_B * 2)), t, m[5]));
    }
}

/* out[T] = G in: three entries `step` apart to m + 2; of VB filters at once */
static void wino_filter_1d(int m, double (*in)[VB], int step, double (*out)[VB])
{
    static const double points[WINO_MAX_M + 1][WINO_MAX_T] = {
        [2] = { 0, 1, -1 }, [3] = { 0, 1, -1, 2 }, [4] = { 0, WINO_A, -WINO_A, WINO_B, -WINO_B }
    };
    static const double inverse_norms[WINO_MAX_M + 1][WINO_MAX_T] = { [2] = { 1, 0.5, 0.5 },
                                                                      [3] = { 0.5, -0.5, -1.0 / 6, 1.0 / 6 },
                                                                      [4] = { 1, -2.0 / 3, -2.0 / 3, 1.0 / 6,
                                                                              1.0 / 6 } };
    for (int i = 0; i < m + 1; i++) {
        const double p = points[m][i], norm = inverse_norms[m][i];
        for (int v = 0; v < VB; v++)
            out[i][v] = (in[0][v] + p * (in[step][v] + p * in[2 * step][v])) * norm;
    }
    memcpy(out[m + 1], in[2 * step], sizeof out[0]);
}

/* u[T][T] = G w G^T of VB 3x3 filters, in double; each line of u `step` floats after the one before */
static void wino_filter(int m, double (*w)[VB], float *u, size_t step)
{
    const int t = m + 2;
    double rows[3 * WINO_MAX_T][VB], col[WINO_MAX_T][VB];
    for (int r = 0; r < 3; r++)
        wino_filter_1d(m, w + 3 * r, 1, rows + r * t);
    for (int x = 0; x < t; x++) {
        wino_filter_1d(m, rows + x, t, col);
        for (int y = 0; y < t; y++)
            for (int v = 0; v < VB; v++)
                u[(size_t)(y * t + x) * step + v] = (float)col[y][v];
    }
}

#endif
