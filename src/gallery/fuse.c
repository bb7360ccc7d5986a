/* One template of several: a mean of the faces' templates, weighted by quality, without those that do not
 * belong.
 *
 * A wrong picture among a person's few would draw the mean towards somebody else. With three faces or more
 * the method starts from the medoid (the face with the greatest sum of cosines to the others), which a
 * minority of wrong pictures cannot move far, and then, until nothing changes, keeps the faces whose cosine
 * to the weighted mean of the *other* kept ones is at least OUTLIER_SHARE of the median of those cosines. It
 * is a share and not a constant because embedders differ in what two pictures of one person score;
 * docs/gallery.md has the measurement behind it. More than half are never left out: then no picture is known
 * to be right, and all are kept. With two, no one can tell which is wrong: both are kept, and `fit` says how
 * little they agree.
 */
#include "gallery/gallery.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

#define OUTLIER_SHARE 0.5
enum { ROUNDS = 8 };

static double dot(const float *a, const double *b, int dim)
{
    double sum = 0.0;
    for (int i = 0; i < dim; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double norm(const double *v, int dim)
{
    double sum = 0.0;
    for (int i = 0; i < dim; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

/* A picture of unknown or no quality counts a little. */
static double weight_of(float quality)
{
    return quality > 0.05f && quality <= 1.0f ? (double)quality : 0.05;
}

static void sum_kept(const float *vecs, const float *weights, const uint8_t *outlier, size_t n, int dim,
                     double *ret)
{
    memset(ret, 0, (size_t)dim * sizeof *ret);
    for (size_t i = 0; i < n; i++) {
        if (outlier[i])
            continue;
        const double w = weight_of(weights[i]);
        for (int d = 0; d < dim; d++)
            ret[d] += w * (double)vecs[i * (size_t)dim + (size_t)d];
    }
}

/* Cosine of each face with the mean of the kept others. */
static void fit_all(const float *vecs, const float *weights, const uint8_t *outlier, size_t n, int dim,
                    const double *sum, double *others, double *ret_fit)
{
    for (size_t i = 0; i < n; i++) {
        const float *const v = vecs + i * (size_t)dim;
        const double w = outlier[i] ? 0.0 : weight_of(weights[i]);
        for (int d = 0; d < dim; d++)
            others[d] = sum[d] - w * (double)v[d];
        const double len = norm(others, dim);
        ret_fit[i] = len > 1e-9 ? dot(v, others, dim) / len : 1.0;
    }
}

static size_t medoid(const float *vecs, size_t n, int dim, double *sum)
{
    size_t best = 0;
    double most = -INFINITY;
    memset(sum, 0, (size_t)dim * sizeof *sum);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < dim; d++)
            sum[d] += (double)vecs[i * (size_t)dim + (size_t)d];
    for (size_t i = 0; i < n; i++) { /* the sum of cosines to all is the product with the sum of all */
        const double s = dot(vecs + i * (size_t)dim, sum, dim);
        if (s > most) {
            most = s;
            best = i;
        }
    }
    return best;
}

/* The median of what is kept; n is small, and selection by counting needs no memory. */
static double median_kept(const double *fit, const uint8_t *outlier, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += !outlier[i];
    for (size_t i = 0; i < n; i++) {
        size_t below = 0, same = 0;
        if (outlier[i])
            continue;
        for (size_t j = 0; j < n; j++) {
            below += !outlier[j] && fit[j] < fit[i];
            same += !outlier[j] && !(fit[j] < fit[i]) && !(fit[j] > fit[i]);
        }
        if (below <= kept / 2 && kept / 2 < below + same)
            return fit[i];
    }
    return 0.0;
}

static bool mark(const double *fit, double bound, size_t n, uint8_t *outlier)
{
    bool changed = false;
    for (size_t i = 0; i < n; i++) {
        const uint8_t out = fit[i] < bound;
        changed = changed || out != outlier[i];
        outlier[i] = out;
    }
    return changed;
}

static void find_outliers(double share, const float *vecs, const float *weights, size_t n, int dim,
                          double *scratch, uint8_t *outlier, double *fit)
{
    double *const sum = scratch, *const others = scratch + dim;
    const float *const start = vecs + medoid(vecs, n, dim, sum) * (size_t)dim;
    for (int d = 0; d < dim; d++)
        sum[d] = (double)start[d];
    for (size_t i = 0; i < n; i++)
        fit[i] = dot(vecs + i * (size_t)dim, sum, dim);
    bool changed = mark(fit, share * median_kept(fit, outlier, n), n, outlier);
    for (int round = 0; round < ROUNDS && (changed || round == 0); round++) {
        sum_kept(vecs, weights, outlier, n, dim, sum);
        fit_all(vecs, weights, outlier, n, dim, sum, others, fit);
        changed = mark(fit, share * median_kept(fit, outlier, n), n, outlier);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += !outlier[i];
    if (kept * 2 <= n)
        memset(outlier, 0, n);
}

void mien__fuse_at(double share, const float *vecs, const float *weights, size_t n, int dim, double *scratch,
                   float *ret_vec, uint8_t *ret_outlier, double *ret_fit)
{
    double *const sum = scratch, *const others = scratch + dim;
    mien_assert(n > 0);
    memset(ret_outlier, 0, n);
    if (n >= 3 && share > 0.0)
        find_outliers(share, vecs, weights, n, dim, scratch, ret_outlier, ret_fit);
    sum_kept(vecs, weights, ret_outlier, n, dim, sum);
    fit_all(vecs, weights, ret_outlier, n, dim, sum, others, ret_fit);
    const double len = norm(sum, dim);
    if (len > 1e-6) {
        for (int d = 0; d < dim; d++)
            ret_vec[d] = (float)(sum[d] / len);
    } else { /* opposite templates: no direction is common to them */
        memcpy(ret_vec, vecs, (size_t)dim * sizeof *ret_vec);
    }
}

static mien_status write_fits(mien_gallery *g, const mien__face_set *set, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < set->n && !st; i++)
        st = mien__sql_run(g, MIEN__SQL_FACE_FIT, err, "iir", set->ids[i], (int64_t)set->outlier[i],
                           set->fit[i]);
    return st;
}

void mien__fuse(const float *vecs, const float *weights, size_t n, int dim, double *scratch, float *ret_vec,
                uint8_t *ret_outlier, double *ret_fit)
{
    mien__fuse_at(OUTLIER_SHARE, vecs, weights, n, dim, scratch, ret_vec, ret_outlier, ret_fit);
}

/* Stores, and turns `vec` into what is stored. */
static mien_status write_template(mien_gallery *g, int64_t person, const uint8_t *key, float *vec,
                                  mien_error *err)
{
    const int dim = g->shared->dim;
    uint16_t halves[MIEN__DIM_MAX];
    mien__buf b;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien__halves_of(vec, dim, halves);
    mien__vec_of(halves, dim, vec);
    mien_status st = mien__seal(g, key, (mien__place){ MIEN__KIND_TEMPLATE, person, 0 }, halves,
                                (size_t)dim * sizeof *halves, &b, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_TEMPLATE_SET, err, "ib", person, b.data, b.size);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien__fuse_person(mien_gallery *g, int64_t person, int64_t now_ms, float *ret_vec,
                              mien_error *err)
{
    const int dim = g->shared->dim;
    uint8_t key[MIEN__KEY_BYTES];
    mien__face_set set = { 0 };
    float *vec = NULL;
    double *scratch = NULL;
    int64_t images = 0, stamp = 0;
    mien_status st = mien__person_key(g, person, key, err);
    if (st || (st = mien__face_set_load(g, person, key, &set, err)) ||
        (st = mien__sql_number(g, MIEN__SQL_IMAGE_COUNT, 0, &images, err, "i", person)))
        goto done;
    if (set.n == 0) {
        st = mien__sql_run(g, MIEN__SQL_TEMPLATE_DELETE, err, "i", person);
    } else {
        vec = mien_alloc_array((size_t)dim, sizeof *vec);
        scratch = mien_alloc_array((size_t)dim * 2, sizeof *scratch);
        if (!vec || !scratch) {
            st = mien__nomem(err, (size_t)dim * 20);
            goto done;
        }
        mien__fuse(set.vecs, set.weights, set.n, dim, scratch, vec, set.outlier, set.fit);
        if (!(st = write_fits(g, &set, err)))
            st = write_template(g, person, key, vec, err);
    }
    if (!st && !(st = mien__touch(g, person, &stamp, err)))
        st = mien__sql_run(g, MIEN__SQL_PERSON_COUNTS, err, "iiiii", person, (int64_t)set.n, images, now_ms,
                           stamp);
    if (!st && ret_vec && vec)
        memcpy(ret_vec, vec, (size_t)dim * sizeof *vec);
done:
    sodium_memzero(key, sizeof key);
    mien__face_set_free(&set, dim);
    mien_free_secret(vec, (size_t)dim * sizeof *vec);
    mien_free_secret(scratch, (size_t)dim * 2 * sizeof *scratch);
    return st;
}
