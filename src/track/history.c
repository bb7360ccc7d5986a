/* A track's looks fused to one template.
 *
 * The best looks are kept, up to MIEN__KEPT_LOOKS; the template is their mean weighted by quality, scaled to
 * unit length. One look of someone else (boxes mixed up for a frame, a hand over the mouth) must not poison
 * it: while three or more are left, the look that is least like the mean of the others goes, if it is unlike
 * them; at most a third goes.
 */
#include "track/track.h"
#include <math.h>
#include <string.h>

double mien__dot(const float *a, const float *b, int dim)
{
    double s = 0;
    for (int i = 0; i < dim; i++)
        s += (double)a[i] * b[i];
    return s;
}

void mien__history_clear(mien__history *h, int dim)
{
    float *const kept = h->kept, *const fused = h->fused, *const strange = h->strange;
    if (dim > 0) {
        memset(kept, 0, MIEN__KEPT_LOOKS * (size_t)dim * sizeof *kept);
        memset(fused, 0, (size_t)dim * sizeof *fused);
        memset(strange, 0, (size_t)dim * sizeof *strange);
    }
    *h = (mien__history){ .kept = kept, .fused = fused, .strange = strange };
}

static void add_scaled(float *to, const float *vec, double weight, int dim)
{
    for (int i = 0; i < dim; i++)
        to[i] += (float)(weight * vec[i]);
}

/* The look least like the mean of the others; `sum` is that of all that are in. Returns its likeness. */
static double most_unlike(const mien__history *h, const bool *out, const float *sum, int dim, int *ret)
{
    const double all = mien__dot(sum, sum, dim);
    double worst = 2;
    for (int i = 0; i < h->n_kept; i++) {
        if (out[i])
            continue;
        /* against sum - w v, without making it: v is a unit vector */
        const double with = mien__dot(h->kept + (size_t)i * (size_t)dim, sum, dim), w = h->weights[i];
        const double rest = all - 2 * w * with + w * w;
        const double likeness = rest > 1e-12 ? (with - w) / sqrt(rest) : 1;
        if (likeness < worst)
            worst = likeness, *ret = i;
    }
    return worst;
}

static void fuse(mien__history *h, int dim, double unlike)
{
    bool out[MIEN__KEPT_LOOKS] = { false };
    int left = h->n_kept, may_go = h->n_kept / 3, worst = 0;
    memset(h->fused, 0, (size_t)dim * sizeof *h->fused);
    for (int i = 0; i < h->n_kept; i++)
        add_scaled(h->fused, h->kept + (size_t)i * (size_t)dim, h->weights[i], dim);
    while (left >= 3 && may_go > 0 && most_unlike(h, out, h->fused, dim, &worst) < unlike) {
        add_scaled(h->fused, h->kept + (size_t)worst * (size_t)dim, -h->weights[worst], dim);
        out[worst] = true;
        left--, may_go--;
    }
    const double norm = sqrt(mien__dot(h->fused, h->fused, dim));
    for (int i = 0; norm > 0 && i < dim; i++)
        h->fused[i] = (float)(h->fused[i] / norm);
}

void mien__history_add(mien__history *h, const float *vec, double weight, int dim, double unlike)
{
    int at = h->n_kept;
    if (at == MIEN__KEPT_LOOKS) { /* the least of the old ones makes room, if it is less */
        at = 0;
        for (int i = 1; i < MIEN__KEPT_LOOKS; i++)
            at = h->weights[i] < h->weights[at] ? i : at;
        if (weight <= h->weights[at])
            return;
    } else {
        h->n_kept++;
    }
    memcpy(h->kept + (size_t)at * (size_t)dim, vec, (size_t)dim * sizeof *vec);
    h->weights[at] = weight;
    fuse(h, dim, unlike);
}
