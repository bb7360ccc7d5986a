/* Where a face is and will be: a Kalman filter (Kalman 1960) of independent coordinates.
 *
 * The centre moves at constant velocity disturbed by white noise acceleration (Bar-Shalom, Li, Kirubarajan
 * 2001, section 6.2.2: over dt the covariance of position and velocity grows by q [dt^3/3, dt^2/2; dt^2/2,
 * dt]); width and height are random walks. All noises scale with the face, so that a face near the camera and
 * one far away are followed alike, and with time, so that dropped frames cost nothing but certainty. As SORT
 * (Bewley et al. 2016) but for the state: size by sides in place of area and ratio.
 */
#include "track/track.h"
#include <math.h>

/* In sizes of the face: what a detector's box is off by; how hard heads are moved, per s^(3/2); how fast
 * boxes grow, per s^(1/2); how fast a new face may be going, per s. */
static const double measured_sd = 0.06, moved_sd = 3.0, grown_sd = 0.8, begun_sd = 2.0;

static void box_of(const mien_face *f, double ret[4])
{
    ret[0] = 0.5 * ((double)f->x0 + f->x1);
    ret[1] = 0.5 * ((double)f->y0 + f->y1);
    ret[2] = (double)f->x1 - f->x0;
    ret[3] = (double)f->y1 - f->y0;
}

static double size_of(const mien__motion *m)
{
    const double s = sqrt(m->x[2] * m->x[3]);
    return s > 1 ? s : 1;
}

void mien__motion_begin(mien__motion *m, const mien_face *face)
{
    *m = (mien__motion){ 0 };
    box_of(face, m->x);
    const double s = size_of(m);
    for (int i = 0; i < 4; i++)
        m->pxx[i] = measured_sd * measured_sd * s * s;
    for (int i = 0; i < 2; i++)
        m->pvv[i] = begun_sd * begun_sd * s * s;
}

void mien__motion_predict(mien__motion *m, double dt)
{
    const double s = size_of(m), q = moved_sd * moved_sd * s * s;
    for (int i = 0; i < 2; i++) {
        m->x[i] += m->v[i] * dt;
        m->pxx[i] += 2 * dt * m->pxv[i] + dt * dt * m->pvv[i] + q * dt * dt * dt / 3;
        m->pxv[i] += dt * m->pvv[i] + q * dt * dt / 2;
        m->pvv[i] += q * dt;
    }
    for (int i = 2; i < 4; i++)
        m->pxx[i] += grown_sd * grown_sd * s * s * dt;
}

void mien__motion_update(mien__motion *m, const mien_face *face)
{
    double z[4];
    const double s = size_of(m), r = measured_sd * measured_sd * s * s;
    box_of(face, z);
    for (int i = 0; i < 4; i++) {
        const double gain = m->pxx[i] / (m->pxx[i] + r), off = z[i] - m->x[i];
        m->x[i] += gain * off;
        if (i < 2) {
            const double gain_v = m->pxv[i] / (m->pxx[i] + r);
            m->v[i] += gain_v * off;
            m->pvv[i] -= gain_v * m->pxv[i];
            m->pxv[i] *= 1 - gain;
        }
        m->pxx[i] *= 1 - gain;
    }
}

/* Overlap of boxes given as centre and sides. */
static double overlap(const double a[4], const double b[4])
{
    const double x0 = fmax(a[0] - a[2] / 2, b[0] - b[2] / 2), x1 = fmin(a[0] + a[2] / 2, b[0] + b[2] / 2);
    const double y0 = fmax(a[1] - a[3] / 2, b[1] - b[3] / 2), y1 = fmin(a[1] + a[3] / 2, b[1] + b[3] / 2);
    if (!(x1 > x0) || !(y1 > y0))
        return 0;
    const double both = (x1 - x0) * (y1 - y0), all = a[2] * a[3] + b[2] * b[3] - both;
    return all > 0 ? both / all : 0;
}

double mien__motion_overlap(const mien__motion *m, const mien_face *face, double grow)
{
    double a[4] = { m->x[0], m->x[1], m->x[2], m->x[3] }, b[4];
    box_of(face, b);
    for (int i = 2; i < 4; i++)
        a[i] *= 1 + 2 * grow, b[i] *= 1 + 2 * grow;
    return overlap(a, b);
}

double mien__face_overlap(const mien_face *a, const mien_face *b)
{
    double p[4], q[4];
    box_of(a, p);
    box_of(b, q);
    return overlap(p, q);
}

double mien__face_geometry(const mien_face *f, double min_px)
{
    enum { ENOUGH_PX = 112 };
    const double w = (double)f->x1 - f->x0, h = (double)f->y1 - f->y0, side = w < h ? w : h;
    if (!(side >= min_px))
        return 0;
    const double ex = (double)f->landmarks[1][0] - f->landmarks[0][0],
                 ey = (double)f->landmarks[1][1] - f->landmarks[0][1], eyes = sqrt(ex * ex + ey * ey);
    if (!(eyes > 0.05 * side))
        return 0;
    /* the nose's offset from the middle of the eyes, along them: 0 from the front, about 0.6 eye distances
     * when the far eye is about to vanish */
    const double nx = (double)f->landmarks[2][0] - 0.5 * ((double)f->landmarks[0][0] + f->landmarks[1][0]),
                 ny = (double)f->landmarks[2][1] - 0.5 * ((double)f->landmarks[0][1] + f->landmarks[1][1]);
    const double turned = fabs(nx * ex + ny * ey) / (eyes * eyes) / 0.6;
    const double front = turned < 1 ? 1 - turned : 0, large = side < ENOUGH_PX ? side / ENOUGH_PX : 1;
    return front > 0.1 ? sqrt(front * large) : 0;
}
