/* Head pose from five landmarks: a rigid mean shape under scaled orthography.
 *
 * The shape is a median over many faces (tools/face_shape.py on LFW people outside its development pairs):
 * the distance of the eyes is 1, x points to the subject's left, y down, z away from the viewer; eyes and
 * mouth lie in the plane z = 0, which defines a pitch of zero. The view M, the first two rows of a rotation
 * times a scale, is the one with the least squared distance from the landmarks W:
 *
 *     M <- nearest scaled rotation to  M + (W - M S) S' / a,     a >= the greatest eigenvalue of S S'
 *
 * which lessens the distance with every step (Koschat, Swayne 1991, "A weighted Procrustes criterion", with
 * the scale left free). The nearest one to B is s (B B')^(-1/2) B with s the mean of B's singular values. The
 * rotation is read as nodding, then turning, then tilting in the picture: R = Rz(roll) Ry(-yaw) Rx(pitch).
 *
 * Coarse by nature: a long nose looks like a nod, and a smile lifts the corners of the mouth. docs/quality.md
 * says how coarse.
 */
#include "quality/measure.h"
#include <math.h>

static const double shape[MIEN_LANDMARKS][3] = {
    { -0.500, 0.000, 0.000 }, { 0.500, 0.000, 0.000 }, { 0.000, 0.577, -0.536 },
    { -0.438, 1.009, 0.000 }, { 0.438, 1.009, 0.000 },
};

/* The greatest eigenvalue of S S' is 1.14; the smallest, 0.17, sets the pace: an error shrinks to its 0.85
 * per step. */
enum { STEPS = 120 };
static const double STEP_BOUND = 1.15;

typedef struct view {
    double m[2][3];
} view;

/* The scaled rotation nearest to b; false when b's rows are parallel. */
static bool nearest(const view *b, view *ret)
{
    const double *p = b->m[0], *q = b->m[1];
    const double pp = p[0] * p[0] + p[1] * p[1] + p[2] * p[2], qq = q[0] * q[0] + q[1] * q[1] + q[2] * q[2];
    const double pq = p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
    const double root = sqrt(fmax(pp * qq - pq * pq, 0)); /* of the determinant of B B' */
    if (!(root > 1e-12 * (pp + qq)))
        return false;
    /* the square root of a 2x3 Gram matrix C is (C + root I) / trace, its determinant root */
    const double trace = sqrt(pp + qq + 2 * root), scale = trace / 2 / root;
    const double a = (pp + root) / trace, c = pq / trace, d = (qq + root) / trace;
    for (int k = 0; k < 3; k++) {
        const double first = scale * (d * p[k] - c * q[k]), second = scale * (a * q[k] - c * p[k]);
        ret->m[0][k] = first;
        ret->m[1][k] = second;
    }
    return true;
}

/* Centre the points and scale them to the distance of the shape's: only ratios matter. */
static bool normalise(const float (*landmarks)[2], double ret[MIEN_LANDMARKS][2])
{
    double mean[2] = { 0, 0 }, spread = 0;
    for (int j = 0; j < MIEN_LANDMARKS; j++)
        for (int i = 0; i < 2; i++)
            mean[i] += (double)landmarks[j][i] / MIEN_LANDMARKS;
    for (int j = 0; j < MIEN_LANDMARKS; j++) {
        for (int i = 0; i < 2; i++) {
            ret[j][i] = landmarks[j][i] - mean[i];
            spread += ret[j][i] * ret[j][i];
        }
    }
    if (!(spread > 0) || !isfinite(spread))
        return false;
    for (int j = 0; j < MIEN_LANDMARKS; j++)
        for (int i = 0; i < 2; i++)
            ret[j][i] /= sqrt(spread);
    return true;
}

static bool step(const double w[MIEN_LANDMARKS][2], const double s[MIEN_LANDMARKS][3], view *m)
{
    view b = *m;
    for (int j = 0; j < MIEN_LANDMARKS; j++) {
        for (int i = 0; i < 2; i++) {
            const double off = w[j][i] - (m->m[i][0] * s[j][0] + m->m[i][1] * s[j][1] + m->m[i][2] * s[j][2]);
            for (int k = 0; k < 3; k++)
                b.m[i][k] += off * s[j][k] / STEP_BOUND;
        }
    }
    return nearest(&b, m);
}

bool mien__pose_of(const float (*landmarks)[2], float *ret_yaw_deg, float *ret_pitch_deg, float *ret_roll_deg)
{
    const double degrees = 180 / 3.14159265358979323846;
    double w[MIEN_LANDMARKS][2], s[MIEN_LANDMARKS][3], mean[3] = { 0, 0, 0 };
    if (!normalise(landmarks, w))
        return false;
    for (int j = 0; j < MIEN_LANDMARKS; j++)
        for (int k = 0; k < 3; k++)
            mean[k] += shape[j][k] / MIEN_LANDMARKS;
    for (int j = 0; j < MIEN_LANDMARKS; j++)
        for (int k = 0; k < 3; k++)
            s[j][k] = shape[j][k] - mean[k];
    /* begin frontal, upright on the line from the eyes to the mouth */
    const double down[2] = { (w[3][0] + w[4][0] - w[0][0] - w[1][0]) / 2,
                             (w[3][1] + w[4][1] - w[0][1] - w[1][1]) / 2 };
    view m = { { { down[1], down[0], 0 }, { -down[0], down[1], 0 } } };
    for (int i = 0; i < STEPS; i++) {
        if (!step(w, s, &m))
            return false;
    }
    const double scale = sqrt(m.m[0][0] * m.m[0][0] + m.m[0][1] * m.m[0][1] + m.m[0][2] * m.m[0][2]);
    double r[2][3];
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            r[i][k] = m.m[i][k] / scale;
    const double third[3] = { r[0][1] * r[1][2] - r[0][2] * r[1][1], r[0][2] * r[1][0] - r[0][0] * r[1][2],
                              r[0][0] * r[1][1] - r[0][1] * r[1][0] };
    *ret_yaw_deg = (float)(degrees * atan2(third[0], hypot(r[0][0], r[1][0])));
    *ret_pitch_deg = (float)(degrees * atan2(third[1], third[2]));
    *ret_roll_deg = (float)(degrees * atan2(r[1][0], r[0][0]));
    return true;
}
