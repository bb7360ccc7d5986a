/* Similarity fit and affine maps.
 *
 * Least squares over rotation, uniform scale and shift: Umeyama, "Least-squares estimation of transformation
 * parameters between two point patterns", IEEE PAMI 13(4), 1991, eq. 39-43. In the plane, without mirroring,
 * the singular value decomposition there has a closed form: with centred points as complex numbers a (source)
 * and b (target), scale * e^(i angle) = sum(conj(a) b) / sum(|a|^2). Sums in double.
 */
#include "geom/geom.h"
#include <math.h>

static bool mean_of(const float (*p)[2], size_t n, double ret[2])
{
    double x = 0, y = 0;
    for (size_t i = 0; i < n; i++) {
        x += p[i][0];
        y += p[i][1];
    }
    ret[0] = x / (double)n;
    ret[1] = y / (double)n;
    return isfinite(ret[0]) && isfinite(ret[1]);
}

mien_status mien_fit_similarity(const float (*src)[2], const float (*dst)[2], size_t n, mien_affine *ret,
                                mien_error *err)
{
    if (!src || !dst || !ret)
        return mien__fail(err, MIEN_E_ARG, "similarity fit: a pointer is NULL");
    if (n < 2)
        return mien__fail(err, MIEN_E_ARG, "similarity fit needs at least 2 points, got %zu", n);
    double ms[2], md[2];
    if (!mean_of(src, n, ms) || !mean_of(dst, n, md))
        return mien__fail(err, MIEN_E_ARG, "similarity fit: a point is not finite");
    double re = 0, im = 0, var = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        const double ax = src[i][0] - ms[0], ay = src[i][1] - ms[1];
        const double bx = dst[i][0] - md[0], by = dst[i][1] - md[1];
        re += ax * bx + ay * by;
        im += ax * by - ay * bx;
        var += ax * ax + ay * ay;
        size += (double)src[i][0] * src[i][0] + (double)src[i][1] * src[i][1];
    }
    /* float points carry 24 bits: a spread below that of rounding is no spread */
    if (!(var > 1e-12 * size) || !isfinite(re) || !isfinite(im))
        return mien__fail(err, MIEN_E_ARG, "similarity fit: the %zu source points coincide", n);
    const double c = re / var, s = im / var;
    *ret = (mien_affine){ { c, -s, md[0] - (c * ms[0] - s * ms[1]), s, c, md[1] - (s * ms[0] + c * ms[1]) } };
    return MIEN_OK;
}

bool mien__affine_invert(const mien_affine *a, mien_affine *ret)
{
    const double *m = a->m;
    const double det = m[0] * m[4] - m[1] * m[3];
    const double size = fabs(m[0] * m[4]) + fabs(m[1] * m[3]);
    if (!(fabs(det) > 1e-12 * size) || !isfinite(det) || !isfinite(m[2]) || !isfinite(m[5]))
        return false;
    const double i0 = m[4] / det, i1 = -m[1] / det, i3 = -m[3] / det, i4 = m[0] / det;
    const mien_affine inv = {
        { i0, i1, -(i0 * m[2] + i1 * m[5]), i3, i4, -(i3 * m[2] + i4 * m[5]) },
    };
    for (int i = 0; i < 6; i++)
        if (!isfinite(inv.m[i]))
            return false;
    *ret = inv;
    return true;
}

double mien__affine_scale(const mien_affine *a)
{
    return sqrt(fabs(a->m[0] * a->m[4] - a->m[1] * a->m[3]));
}

void mien__affine_apply(const mien_affine *a, double x, double y, double *ret_x, double *ret_y)
{
    *ret_x = a->m[0] * x + a->m[1] * y + a->m[2];
    *ret_y = a->m[3] * x + a->m[4] * y + a->m[5];
}
