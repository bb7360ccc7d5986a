/* Thin-plate spline warps (Bookstein 1989): x = a0 + a1 u + a2 v + sum_i w_i U(|(u, v) - q_i|), U(r) = r^2 log r^2, one spline
 * for each source coordinate, solved with a little smoothing because some template points lie on top of each other. The
 * field is smooth, so it is evaluated every few px and interpolated. */
#include "shape.h"
#include <math.h>
#include <stdlib.h>

enum { WARP_STEP = 5, MAX_PAIRS = 256, MAX_ROWS = MAX_PAIRS + 3 };

static double spline_u(double r2)
{
    return r2 > 1e-9 ? r2 * log(r2) : 0;
}

/* Gauss elimination with partial pivoting; two right-hand sides in columns n and n + 1. */
static void solve(double (*m)[MAX_ROWS + 2], int n)
{
    for (int c = 0; c < n; c++) {
        int pivot = c;
        for (int r = c + 1; r < n; r++)
            if (fabs(m[r][c]) > fabs(m[pivot][c]))
                pivot = r;
        for (int k = 0; k < n + 2 && pivot != c; k++) {
            const double t = m[c][k];
            m[c][k] = m[pivot][k];
            m[pivot][k] = t;
        }
        for (int r = 0; r < n; r++) {
            if (r == c || fabs(m[r][c]) < 1e-300)
                continue;
            const double f = m[r][c] / m[c][c];
            for (int k = c; k < n + 2; k++)
                m[r][k] -= f * m[c][k];
        }
    }
    for (int r = 0; r < n; r++)
        for (int k = n; k < n + 2; k++)
            m[r][k] /= m[r][r];
}

warp warp_new(const float (*to)[2], const float (*from)[2], int n, int w, int h)
{
    static double m[MAX_ROWS][MAX_ROWS + 2];
    const int rows = n + 3;
    const double unit = 100; /* keeps the matrix well scaled */
    if (n > MAX_PAIRS)
        die("too many points", NULL);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows + 2; j++)
            m[i][j] = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            const double x = (to[i][0] - to[j][0]) / unit, y = (to[i][1] - to[j][1]) / unit;
            m[i][j] = spline_u(x * x + y * y) + (i == j ? 0.003 : 0);
        }
        const double lin[3] = { 1, to[i][0] / unit, to[i][1] / unit };
        for (int k = 0; k < 3; k++)
            m[i][n + k] = m[n + k][i] = lin[k];
        m[i][rows] = from[i][0];
        m[i][rows + 1] = from[i][1];
    }
    solve(m, rows);
    warp f = { canvas_new(w / WARP_STEP + 2, h / WARP_STEP + 2, 2), w, h };
    for (int y = 0; y < f.field.h; y++)
        for (int x = 0; x < f.field.w; x++) {
            const double u = x * WARP_STEP / unit, v = y * WARP_STEP / unit;
            for (int k = 0; k < 2; k++) {
                const int col = rows + k;
                double s = m[n][col] + m[n + 1][col] * u + m[n + 2][col] * v;
                for (int i = 0; i < n; i++) {
                    const double dx = u - to[i][0] / unit, dy = v - to[i][1] / unit;
                    s += m[i][col] * spline_u(dx * dx + dy * dy);
                }
                canvas_at(&f.field, x, y)[k] = (float)s;
            }
        }
    return f;
}

void warp_free(warp *f)
{
    canvas_free(&f->field);
}

canvas warp_apply(const warp *f, const canvas *src)
{
    canvas r = canvas_new(f->w, f->h, src->c);
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            float at[2];
            canvas_bilinear(&f->field, ((float)x + 0.5f) / WARP_STEP + 0.5f, ((float)y + 0.5f) / WARP_STEP + 0.5f, at);
            canvas_bicubic(src, at[0], at[1], canvas_at(&r, x, y));
        }
    return r;
}
