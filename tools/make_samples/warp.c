/* Thin-plate spline warps (Bookstein 1989): x = a0 + a1 u + a2 v + sum_i w_i U(|(u, v) - q_i|), U(r) = r^2
 * log r^2, one spline for each source coordinate, solved with a little smoothing because some template points
 * lie on top of each other. The matrix depends on the target's points only, so it is inverted once and serves
 * every picture warped to them. The field is smooth: it is evaluated every few px and interpolated. */
#include "shape.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEP = 6, MAX_ROWS = 256 };

struct spline {
    int n, rows, w, h, gw, gh;
    double *inverse; /* [rows][rows] */
    float *basis;    /* [gh * gw][rows]: U of the distances, then 1, u, v */
};

static const double UNIT = 100; /* px; keeps the matrix well scaled */

static double radial(double x, double y)
{
    const double r2 = x * x + y * y;
    return r2 > 1e-9 ? r2 * log(r2) : 0;
}

/* Gauss-Jordan elimination with row pivoting; m is destroyed. */
static void invert(double *m, double *inv, int n)
{
    for (int i = 0; i < n * n; i++)
        inv[i] = i % (n + 1) == 0;
    for (int c = 0; c < n; c++) {
        int pivot = c;
        for (int r = c + 1; r < n; r++)
            if (fabs(m[r * n + c]) > fabs(m[pivot * n + c]))
                pivot = r;
        const double scale = 1 / m[pivot * n + c];
        for (int k = 0; k < n; k++) {
            const double a = m[pivot * n + k] * scale, b = inv[pivot * n + k] * scale;
            m[pivot * n + k] = m[c * n + k];
            inv[pivot * n + k] = inv[c * n + k];
            m[c * n + k] = a;
            inv[c * n + k] = b;
        }
        for (int r = 0; r < n; r++) {
            const double f = m[r * n + c];
            for (int k = 0; k < n && r != c; k++) {
                m[r * n + k] -= f * m[c * n + k];
                inv[r * n + k] -= f * inv[c * n + k];
            }
        }
    }
}

static void fill_basis(spline *s, const float (*to)[2])
{
    for (int g = 0; g < s->gw * s->gh; g++) {
        const double u = g % s->gw * STEP / UNIT, v = g / s->gw * STEP / UNIT;
        float *row = s->basis + (size_t)g * (size_t)s->rows;
        for (int i = 0; i < s->n; i++)
            row[i] = (float)radial(u - to[i][0] / UNIT, v - to[i][1] / UNIT);
        row[s->n] = 1;
        row[s->n + 1] = (float)u;
        row[s->n + 2] = (float)v;
    }
}

spline *spline_new(const float (*to)[2], int n, int w, int h)
{
    spline *s = take_memory(1, sizeof *s);
    *s = (spline){ n, n + 3, w, h, w / STEP + 2, h / STEP + 2, NULL, NULL };
    if (s->rows > MAX_ROWS)
        die("too many points", NULL);
    const int rows = s->rows;
    double *m = take_memory((size_t)rows * (size_t)rows, sizeof *m);
    s->inverse = take_memory((size_t)rows * (size_t)rows, sizeof *m);
    s->basis = take_memory((size_t)s->gw * (size_t)s->gh * (size_t)rows, sizeof *s->basis);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            m[i * rows + j] = radial((to[i][0] - to[j][0]) / UNIT, (to[i][1] - to[j][1]) / UNIT);
        m[i * rows + i] += 0.003;
        const double linear[3] = { 1, to[i][0] / UNIT, to[i][1] / UNIT };
        for (int k = 0; k < 3; k++)
            m[i * rows + n + k] = m[(n + k) * rows + i] = linear[k];
    }
    invert(m, s->inverse, rows);
    free(m);
    fill_basis(s, to);
    return s;
}

void spline_free(spline *s)
{
    free(s->inverse);
    free(s->basis);
    free(s);
}

warp warp_new(const spline *s, const float (*from)[2])
{
    float weights[2][MAX_ROWS];
    for (int r = 0; r < s->rows; r++)
        for (int k = 0; k < 2; k++) {
            double sum = 0;
            for (int i = 0; i < s->n; i++)
                sum += s->inverse[r * s->rows + i] * (double)from[i][k];
            weights[k][r] = (float)sum;
        }
    warp f = { canvas_new(s->gw, s->gh, 2), s->w, s->h };
    for (int g = 0; g < s->gw * s->gh; g++) {
        const float *row = s->basis + (size_t)g * (size_t)s->rows;
        double x = 0, y = 0; /* the weights are large and cancel */
        for (int i = 0; i < s->rows; i++) {
            x += (double)row[i] * (double)weights[0][i];
            y += (double)row[i] * (double)weights[1][i];
        }
        f.field.p[2 * g] = (float)x;
        f.field.p[2 * g + 1] = (float)y;
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
            float at[2]; /* the field's value i lies at px coordinate i * STEP */
            canvas_bilinear(&f->field, ((float)x + 0.5f) / STEP + 0.5f, ((float)y + 0.5f) / STEP + 0.5f, at);
            canvas_bicubic(src, at[0], at[1], canvas_at(&r, x, y));
        }
    return r;
}
