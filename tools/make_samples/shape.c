/* Templates, similarity fit, statistical shape model.
 *
 * The model: shapes are aligned to their mean by generalised Procrustes analysis (Gower 1975), then the principal
 * components are found through the Gram matrix of the people, which is smaller than the covariance of the coordinates
 * (Turk and Pentland 1991), by Jacobi rotations. */
#include "shape.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int point_kind(int i)
{
    const int stable = (i >= 18 && i <= 27) || (i >= 50 && i <= 52) || (i >= 56 && i <= 58);
    if (i <= 93 || (i >= 104 && i <= 114) || (i >= 125 && i <= 133) || (i >= 158 && i <= 182))
        return POINT_FACE | (stable ? POINT_STABLE : 0);
    return i >= 94 && i <= 103 ? 0 /* inner lips: on top of each other when closed */ : POINT_OUTLINE;
}

shape shape_read(const char *path, float scale)
{
    shape s;
    int n = 0;
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%d", &n) != 1 || n != N_POINTS)
        die(path, "not a template of 189 points");
    for (int i = 0; i < N_POINTS; i++) {
        if (fscanf(f, "%f %f", &s.p[i][0], &s.p[i][1]) != 2)
            die(path, "points missing");
        s.p[i][0] *= scale;
        s.p[i][1] *= scale;
    }
    fclose(f);
    return s;
}

similarity similarity_fit(const shape *from, const shape *to, int kinds)
{
    double mf[2] = { 0 }, mt[2] = { 0 }, dot = 0, cross = 0, norm = 0, n = 0;
    for (int i = 0; i < N_POINTS; i++)
        if (point_kind(i) & kinds) {
            for (int k = 0; k < 2; k++) {
                mf[k] += from->p[i][k];
                mt[k] += to->p[i][k];
            }
            n++;
        }
    for (int k = 0; k < 2; k++) {
        mf[k] /= n;
        mt[k] /= n;
    }
    for (int i = 0; i < N_POINTS; i++)
        if (point_kind(i) & kinds) {
            const double x = from->p[i][0] - mf[0], y = from->p[i][1] - mf[1];
            const double u = to->p[i][0] - mt[0], v = to->p[i][1] - mt[1];
            dot += x * u + y * v;
            cross += x * v - y * u;
            norm += x * x + y * y;
        }
    const double a = dot / norm, b = cross / norm;
    return (similarity){ (float)a, (float)b, (float)(mt[0] - a * mf[0] + b * mf[1]),
                         (float)(mt[1] - b * mf[0] - a * mf[1]) };
}

shape similarity_apply(similarity m, const shape *s)
{
    shape r;
    for (int i = 0; i < N_POINTS; i++) {
        r.p[i][0] = m.a * s->p[i][0] - m.b * s->p[i][1] + m.tx;
        r.p[i][1] = m.b * s->p[i][0] + m.a * s->p[i][1] + m.ty;
    }
    return r;
}

/* Pupils to (-0.5, 0) and (0.5, 0): the model's frame. */
static shape to_model_frame(const shape *s)
{
    const float dx = s->p[1][0] - s->p[0][0], dy = s->p[1][1] - s->p[0][1], d2 = dx * dx + dy * dy;
    const float cx = (s->p[0][0] + s->p[1][0]) / 2, cy = (s->p[0][1] + s->p[1][1]) / 2;
    const float a = dx / d2, b = -dy / d2;
    return similarity_apply((similarity){ a, b, -a * cx + b * cy, -b * cx - a * cy }, s);
}

static double face_dot(const shape *a, const shape *b)
{
    double s = 0;
    for (int i = 0; i < N_POINTS; i++)
        if (point_kind(i) & POINT_FACE)
            s += (double)a->p[i][0] * (double)b->p[i][0] + (double)a->p[i][1] * (double)b->p[i][1];
    return s;
}

/* Eigenvalues (on the diagonal) and eigenvectors (columns of v) of a symmetric matrix, by cyclic Jacobi rotations. */
static void jacobi(double (*g)[MAX_PEOPLE], double (*v)[MAX_PEOPLE], int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            v[i][j] = i == j;
    for (int sweep = 0; sweep < 30; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (fabs(g[p][q]) < 1e-15)
                    continue;
                const double th = (g[q][q] - g[p][p]) / (2 * g[p][q]);
                const double t = (th >= 0 ? 1 : -1) / (fabs(th) + sqrt(th * th + 1));
                const double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int k = 0; k < n; k++) {
                    const double a = g[k][p], b = g[k][q];
                    g[k][p] = c * a - s * b;
                    g[k][q] = s * a + c * b;
                }
                for (int k = 0; k < n; k++) {
                    const double a = g[p][k], b = g[q][k];
                    g[p][k] = c * a - s * b;
                    g[q][k] = s * a + c * b;
                }
                for (int k = 0; k < n; k++) {
                    const double a = v[k][p], b = v[k][q];
                    v[k][p] = c * a - s * b;
                    v[k][q] = s * a + c * b;
                }
            }
}

static void align_people(const shape *people, int n, shape *aligned, shape *mean)
{
    *mean = to_model_frame(&people[0]);
    for (int round = 0; round < 5; round++) {
        shape sum = { 0 };
        for (int j = 0; j < n; j++) {
            aligned[j] = similarity_apply(similarity_fit(&people[j], mean, POINT_FACE), &people[j]);
            for (int i = 0; i < N_POINTS; i++)
                for (int k = 0; k < 2; k++)
                    sum.p[i][k] += aligned[j].p[i][k] / (float)n;
        }
        *mean = to_model_frame(&sum);
    }
    for (int j = 0; j < n; j++) {
        aligned[j] = similarity_apply(similarity_fit(&people[j], mean, POINT_FACE), &people[j]);
        for (int i = 0; i < N_POINTS; i++)
            for (int k = 0; k < 2; k++)
                aligned[j].p[i][k] -= mean->p[i][k];
    }
}

void shape_model_fit(const shape *people, int n, shape_model *m)
{
    static double gram[MAX_PEOPLE][MAX_PEOPLE], vec[MAX_PEOPLE][MAX_PEOPLE];
    shape *d = take_memory((size_t)n, sizeof *d);
    align_people(people, n, d, &m->mean);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            gram[i][j] = face_dot(&d[i], &d[j]) / n;
    jacobi(gram, vec, n);
    int used[MAX_PEOPLE] = { 0 };
    for (int k = 0; k < N_MODES; k++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!used[i] && (best < 0 || gram[i][i] > gram[best][best]))
                best = i;
        used[best] = 1;
        const double value = gram[best][best] > 1e-12 ? gram[best][best] : 1e-12;
        m->sigma[k] = (float)sqrt(value);
        memset(&m->modes[k], 0, sizeof m->modes[k]);
        for (int j = 0; j < n; j++)
            for (int i = 0; i < N_POINTS; i++)
                for (int c = 0; c < 2; c++)
                    m->modes[k].p[i][c] += (float)(vec[j][best] / sqrt(n * value)) * d[j].p[i][c];
    }
    m->typical = 0;
    for (int j = 0; j < n; j++) {
        float coef[N_MODES], len = 0;
        shape_model_project(m, &people[j], coef);
        for (int k = 0; k < N_MODES; k++)
            len += coef[k] * coef[k] / (m->sigma[k] * m->sigma[k]);
        m->typical += sqrtf(len) / (float)n;
    }
    free(d);
}

void shape_model_project(const shape_model *m, const shape *s, float *ret_coef)
{
    shape d = similarity_apply(similarity_fit(s, &m->mean, POINT_FACE), s);
    for (int i = 0; i < N_POINTS; i++)
        for (int k = 0; k < 2; k++)
            d.p[i][k] -= m->mean.p[i][k];
    for (int k = 0; k < N_MODES; k++)
        ret_coef[k] = (float)face_dot(&d, &m->modes[k]);
}

shape shape_model_make(const shape_model *m, const float *coef, float length)
{
    shape s = m->mean;
    float len = 0;
    for (int k = 0; k < N_MODES; k++)
        len += coef[k] * coef[k] / (m->sigma[k] * m->sigma[k]);
    const float scale = len > 0 ? length * m->typical / sqrtf(len) : 0;
    for (int k = 0; k < N_MODES; k++)
        for (int i = 0; i < N_POINTS; i++)
            for (int c = 0; c < 2; c++)
                s.p[i][c] += scale * coef[k] * m->modes[k].p[i][c];
    return s;
}
