/* Teachers: see targets.h. */
#include "train/targets.h"
#include "nn/graph.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- input planes ---- */

typedef struct planes_ctx {
    const mien_model_info *info;
    const uint8_t *rgb;
    int width, height;
    float *dst;
    const mien__kernels *k;
} planes_ctx;

static void planes_task(void *ctx, size_t task, unsigned worker)
{
    const planes_ctx *x = ctx;
    const size_t pixels = (size_t)x->width * (size_t)x->height;
    const uint8_t *src = x->rgb + task * pixels * 3;
    float *dst = x->dst + task * pixels * 3;
    const bool swap = x->info->color_order == MIEN_BGR;
    (void)worker;
    if (x->k) {
        x->k->rgb8_to_planes(src, x->width, x->height, (size_t)x->width * 3, swap, x->info->mean,
                             x->info->scale, dst, x->width, x->height);
        return;
    }
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < pixels; i++)
            dst[c * pixels + i] =
                ((float)src[i * 3 + (swap ? 2 - c : c)] - x->info->mean[c]) * x->info->scale[c];
}

void mien__planes_from_rgb(const mien_model_info *info, const uint8_t *rgb, int n, int width, int height,
                           float *dst, mien__pool *pool)
{
    planes_ctx x = { info, rgb, width, height, dst, mien__kernels_get() };
    mien__pool_run(pool, planes_task, &x, (size_t)n);
}

/* ---- embedding a set ---- */

enum { CHUNK = 32 };

typedef struct embed_worker {
    mien_embedder *embedder;
    mien_status st;
    mien_error err;
} embed_worker;

typedef struct embed_ctx {
    const mien__dataset *d;
    const mien_model_info *info;
    embed_worker *workers;
    float *ret;
    size_t len, first;
} embed_ctx;

static void embed_one(const embed_ctx *x, embed_worker *w, size_t i)
{
    const mien__sample *s = &x->d->samples[i];
    mien_image *image = NULL;
    mien_face face = { .score = 1.0f };
    float *row = x->ret + i * x->len;
    memset(row, 0, x->len * sizeof *row);
    mien_status st = mien_image_load(s->path, NULL, &image, &w->err);
    if (!st) {
        const mien_image_view view = mien_image_view_of(image);
        face.x1 = (float)view.width;
        face.y1 = (float)view.height;
        memcpy(face.landmarks, s->landmarks, sizeof face.landmarks);
        st = mien_embed_face(w->embedder, view, &face, row, &w->err);
    }
    mien_image_free(image);
    if (st == MIEN_E_NOMEM || st == MIEN_E_MODEL_TASK || st == MIEN_E_ARG)
        w->st = st;
    else if (st)
        mien__log(MIEN_LOG_WARN, "%s: left out: %s", s->path, w->err.message);
}

static void embed_task(void *ctx, size_t task, unsigned worker)
{
    const embed_ctx *x = ctx;
    embed_worker *w = &x->workers[worker];
    const size_t first = x->first + task * CHUNK;
    for (size_t i = first; i < first + CHUNK && i < x->d->n && !w->st; i++)
        embed_one(x, w, i);
}

mien_status mien__embed_dataset(const mien__dataset *d, const mien_model *model, bool flip, unsigned threads,
                                mien_train_progress_fn progress, void *user, float *ret, mien_error *err)
{
    mien__pool *pool = NULL;
    mien_embed_opts o = MIEN_EMBED_OPTS_INIT;
    embed_ctx x = { .d = d, .info = mien_model_info_of(model), .ret = ret };
    unsigned n_workers = 0;
    mien_status st = mien__pool_new(&pool, threads, err);
    if (st)
        return st;
    x.len = (size_t)x.info->embedding_len;
    n_workers = mien__pool_threads(pool);
    o.flip = flip;
    if (!(x.workers = mien_alloc_array_zero(n_workers, sizeof *x.workers)))
        st = mien__nomem(err, n_workers * sizeof *x.workers);
    for (unsigned i = 0; !st && i < n_workers; i++)
        st = mien_embedder_new(model, &o, &x.workers[i].embedder, err);
    const size_t round = (size_t)CHUNK * n_workers * 4;
    for (x.first = 0; !st && x.first < d->n; x.first += round) {
        const size_t left = d->n - x.first, now = left < round ? left : round;
        const mien_train_state state = {
            .phase = "teacher", .done = x.first, .total = d->n, .loss = NAN, .score = NAN, .seconds_left = NAN
        };
        mien__pool_run(pool, embed_task, &x, (now + CHUNK - 1) / CHUNK);
        for (unsigned i = 0; !st && i < n_workers; i++)
            if (x.workers[i].st) {
                st = x.workers[i].st;
                if (err)
                    *err = x.workers[i].err;
            }
        if (!st && progress && progress(&state, user))
            st = mien__fail(err, MIEN_E_INTERRUPTED, "stopped while embedding pictures");
    }
    for (unsigned i = 0; x.workers && i < n_workers; i++)
        mien_embedder_free(x.workers[i].embedder);
    mien_free(x.workers);
    mien__pool_free(pool);
    return st;
}

/* ---- directions to keep ---- */

static void rotate(double *a, double *v, int n, int p, int q)
{
    const double apq = a[p * n + q];
    if (fabs(apq) < 1e-300)
        return;
    const double theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    const double t = (theta >= 0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    const double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (int i = 0; i < n; i++) {
        const double x = a[i * n + p], y = a[i * n + q];
        a[i * n + p] = c * x - s * y;
        a[i * n + q] = s * x + c * y;
    }
    for (int i = 0; i < n; i++) {
        const double x = a[p * n + i], y = a[q * n + i];
        a[p * n + i] = c * x - s * y;
        a[q * n + i] = s * x + c * y;
    }
    for (int i = 0; i < n; i++) { /* rows of v are eigenvectors */
        const double x = v[p * n + i], y = v[q * n + i];
        v[p * n + i] = c * x - s * y;
        v[q * n + i] = s * x + c * y;
    }
}

mien_status mien__eigen_leading(double *a, int n, int k, double *ret_vectors, double *ret_values,
                                mien_error *err)
{
    enum { SWEEPS = 30 };
    double *v = mien_alloc_array_zero((size_t)n * (size_t)n, sizeof *v);
    if (!v)
        return mien__nomem(err, (size_t)n * (size_t)n * sizeof *v);
    for (int i = 0; i < n; i++)
        v[i * n + i] = 1.0;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0.0, on = 0.0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                *(i == j ? &on : &off) += a[i * n + j] * a[i * n + j];
        if (off <= 1e-22 * on)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                rotate(a, v, n, p, q);
    }
    for (int i = 0; i < k; i++) { /* selection of the k greatest; taken ones are marked by -inf */
        int best = 0;
        for (int j = 1; j < n; j++)
            if (a[j * n + j] > a[best * n + best])
                best = j;
        ret_values[i] = a[best * n + best];
        memcpy(ret_vectors + (size_t)i * (size_t)n, v + (size_t)best * (size_t)n, (size_t)n * sizeof *v);
        a[best * n + best] = -INFINITY;
    }
    mien_free(v);
    return MIEN_OK;
}

/* Turn rows [n][from] into [n][to], to <= from, by the leading directions of their second moment. */
static mien_status project(const float *rows, size_t n, int from, int to, float *ret, mien_error *err)
{
    enum { MAX_ROWS = 20000 };
    const size_t m = (size_t)from * (size_t)from, stride = n > MAX_ROWS ? n / MAX_ROWS : 1;
    double *moment = mien_alloc_array_zero(m, sizeof *moment),
           *vectors = mien_alloc_array_zero(m, sizeof *vectors),
           *values = mien_alloc_array_zero((size_t)from, sizeof *values);
    mien_status st = moment && vectors && values ? MIEN_OK : mien__nomem(err, m * sizeof *moment);
    for (size_t r = 0; !st && r < n; r += stride)
        for (int i = 0; i < from; i++)
            for (int j = 0; j < from; j++)
                moment[i * from + j] +=
                    (double)rows[r * (size_t)from + (size_t)i] * rows[r * (size_t)from + (size_t)j];
    if (!st)
        st = mien__eigen_leading(moment, from, to, vectors, values, err);
    for (size_t r = 0; !st && r < n; r++)
        for (int i = 0; i < to; i++) {
            double sum = 0.0;
            for (int j = 0; j < from; j++)
                sum += vectors[i * from + j] * rows[r * (size_t)from + (size_t)j];
            ret[r * (size_t)to + (size_t)i] = (float)sum;
        }
    mien_free(moment);
    mien_free(vectors);
    mien_free(values);
    return st;
}

static void unit_rows(float *rows, size_t n, int dim)
{
    for (size_t r = 0; r < n; r++) {
        float *row = rows + r * (size_t)dim;
        double sum = 0.0;
        for (int i = 0; i < dim; i++)
            sum += (double)row[i] * row[i];
        const float f = sum > 0 ? (float)(1.0 / sqrt(sum)) : 0.0f;
        for (int i = 0; i < dim; i++)
            row[i] *= f;
    }
}

/* What the kept targets are of: teachers and faces. */
static mien_status targets_key(const mien__dataset *d, const mien_model *const *teachers, size_t n, int dim,
                               char ret[65], mien_error *err)
{
    mien__buf b;
    mien_status st = MIEN_OK;
    mien__buf_init(&b, (size_t)1 << 30);
    for (size_t i = 0; !st && i < n; i++) {
        const mien_model_info *info = mien_model_info_of(teachers[i]);
        char text[160];
        const int len = snprintf(text, sizeof text, "%.40s %.64s %d %d\n", info->name, info->sha256,
                                 info->embedding_len, dim);
        st = mien__buf_append(&b, text, (size_t)len, err);
    }
    for (size_t i = 0; !st && i < d->n; i++) {
        st = mien__buf_append(&b, d->samples[i].path, strlen(d->samples[i].path) + 1, err);
        if (!st)
            st = mien__buf_append(&b, d->samples[i].landmarks, sizeof d->samples[i].landmarks, err);
    }
    if (!st)
        mien__sha256_hex(b.data, b.size, ret);
    mien__buf_free(&b);
    return st;
}

/* All teachers' rows side by side. */
static mien_status gather(const mien__dataset *d, const mien_model *const *teachers, size_t n_teachers,
                          int total, unsigned threads, mien_train_progress_fn progress, void *user,
                          float *rows, mien_error *err)
{
    const float share = (float)(1.0 / sqrt((double)n_teachers));
    mien_status st = MIEN_OK;
    size_t at = 0;
    for (size_t t = 0; !st && t < n_teachers; t++) {
        const size_t len = (size_t)mien_model_info_of(teachers[t])->embedding_len;
        float *part = mien_alloc_array(d->n * len, sizeof *part);
        if (!part)
            return mien__nomem(err, d->n * len * sizeof *part);
        st = mien__embed_dataset(d, teachers[t], true, threads, progress, user, part, err);
        for (size_t r = 0; !st && r < d->n; r++)
            for (size_t i = 0; i < len; i++)
                rows[r * (size_t)total + at + i] = part[r * len + i] * share;
        at += len;
        mien_free(part);
    }
    return st;
}

mien_status mien__targets_make(const mien__dataset *d, const mien_model *const *teachers, size_t n_teachers,
                               int dim, const char *path, unsigned threads, mien_train_progress_fn progress,
                               void *user, float **ret, mien_error *err)
{
    char key[65] = "", kept[65] = "";
    int total = 0;
    float *rows = NULL, *made = NULL;
    mien_status st = targets_key(d, teachers, n_teachers, dim, key, err);
    for (size_t i = 0; i < n_teachers; i++)
        total += mien_model_info_of(teachers[i])->embedding_len;
    made = mien_alloc_array_zero(d->n * (size_t)dim, sizeof *made);
    if (!st && !made)
        st = mien__nomem(err, d->n * (size_t)dim * sizeof *made);
    const mien__ckpt_item items[] = { { "key", kept, sizeof kept },
                                      { "targets", made, d->n * (size_t)dim * sizeof *made } };
    if (st || (path && !mien__ckpt_read(path, items, 2, NULL) && memcmp(key, kept, sizeof key) == 0))
        goto done;
    if (!(rows = mien_alloc_array_zero(d->n * (size_t)total, sizeof *rows)))
        st = mien__nomem(err, d->n * (size_t)total * sizeof *rows);
    if (st || (st = gather(d, teachers, n_teachers, total, threads, progress, user, rows, err)))
        goto done;
    if (total > dim)
        st = project(rows, d->n, total, dim, made, err);
    else
        for (size_t r = 0; r < d->n; r++)
            memcpy(made + r * (size_t)dim, rows + r * (size_t)total, (size_t)total * sizeof *made);
    unit_rows(made, d->n, dim);
    memcpy(kept, key, sizeof kept);
    if (!st && path)
        st = mien__ckpt_write(path, items, 2, err);
done:
    mien_free(rows);
    if (st)
        mien_free(made);
    else
        *ret = made;
    return st;
}
