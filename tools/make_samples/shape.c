/* Templates and similarity fits (least squares, closed form in two dimensions). */
#include "shape.h"
#include <stdio.h>

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
