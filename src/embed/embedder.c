/* The embedder: crops to unit vectors.
 *
 * Crops run in batches of BATCH network inputs through a session planned for that size; what is left over,
 * and single faces, run one by one through a second session, so that no call of a changing size plans anew.
 * With `flip` the mirrored crop's vector is added before normalising (the mean's direction).
 */
#include "embed/embed.h"
#include <math.h>
#include <string.h>

enum { BATCH = 8, MAX_LEN = 1 << 16 };

struct mien_embedder {
    const mien_model *model;
    mien_embed_opts opts;
    int width, height;
    size_t len;
    mien_session *single, *batch; /* batch: made when first needed */
    bool batch_refused;           /* the network takes one crop at a time */
    mien__resampler resampler;
    uint8_t *crop; /* width * height * 3 */
    double *sum;   /* [len] */
    float *vecs;   /* [2][len]: a crop and its mirror image */
};

static mien_status new_session(const mien_embedder *e, mien_session **ret, mien_error *err)
{
    mien_session_opts so = MIEN_SESSION_OPTS_INIT;
    so.threads = e->opts.threads;
    return mien_session_new(e->model, &so, ret, err);
}

mien_status mien_embedder_new(const mien_model *model, const mien_embed_opts *opts, mien_embedder **ret,
                              mien_error *err)
{
    if (!model || !ret)
        return mien__fail(err, MIEN_E_ARG, "embedder: a pointer is NULL");
    mien_embed_opts o = MIEN_EMBED_OPTS_INIT;
    if (opts)
        memcpy(&o, opts, opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    o.struct_size = sizeof o;
    const mien_model_info *info = mien_model_info_of(model);
    int w = 0, h = 0;
    mien_status st = mien__crop_size(info, &w, &h, err);
    if (st)
        return st;
    if (info->embedding_len < 1 || info->embedding_len > MAX_LEN)
        return mien__fail(err, MIEN_E_MODEL_SHAPE, "model %s: %d floats in an embedding, must be 1..%d",
                          info->name, info->embedding_len, MAX_LEN);
    mien_embedder *e = mien_alloc_zero(sizeof *e);
    if (!e)
        return mien__nomem(err, sizeof *e);
    e->model = model;
    e->opts = o;
    e->width = w;
    e->height = h;
    e->len = (size_t)info->embedding_len;
    e->crop = mien_alloc_array((size_t)w * (size_t)h, 3);
    e->sum = mien_alloc_array(e->len, sizeof *e->sum);
    e->vecs = mien_alloc_array(e->len * 2, sizeof *e->vecs);
    st = e->crop && e->sum && e->vecs ? new_session(e, &e->single, err)
                                      : mien__nomem(err, (size_t)w * (size_t)h * 3);
    if (st) {
        mien_embedder_free(e);
        return st;
    }
    *ret = e;
    return MIEN_OK;
}

void mien_embedder_free(mien_embedder *e)
{
    if (!e)
        return;
    mien_session_free(e->batch);
    mien_session_free(e->single);
    mien__resampler_free(&e->resampler);
    mien_free(e->crop);
    mien_free(e->sum);
    mien_free(e->vecs);
    mien_free(e);
}

const mien_model *mien_embedder_model(const mien_embedder *e)
{
    return e->model;
}

static mien_status prepare(const mien_embedder *e, mien_session *s, int n, float **ret, mien_error *err)
{
    const mien_tensor_view shape = { .rank = 4, .dims = { n, 3, e->height, e->width } };
    return mien_session_prepare(s, 1, &shape, ret, err);
}

/* Lend output 0 of the last run, n rows of len floats. */
static mien_status output(const mien_embedder *e, const mien_session *s, int n, const float **ret,
                          mien_error *err)
{
    mien_tensor_view out = { 0 };
    const mien_status st = mien_session_output(s, 0, &out, err);
    if (st)
        return st;
    int64_t elems = 1;
    for (int i = 0; i < out.rank; i++)
        elems *= out.dims[i];
    if (elems != (int64_t)e->len * n)
        return mien__fail(err, MIEN_E_MODEL_SHAPE,
                          "model %s gave %lld floats for %d crops, %zu each were expected",
                          mien_model_info_of(e->model)->name, (long long)elems, n, e->len);
    *ret = out.data;
    return MIEN_OK;
}

/* Scale the sum of `rows` vectors to unit length. */
static mien_status unit_sum(const mien_embedder *e, const float *rows, int n, float *ret, mien_error *err)
{
    double norm2 = 0;
    for (size_t i = 0; i < e->len; i++) {
        double s = 0;
        for (int k = 0; k < n; k++)
            s += rows[(size_t)k * e->len + i];
        e->sum[i] = s;
        norm2 += s * s;
    }
    if (!(norm2 > 0) || !isfinite(norm2))
        return mien__fail(err, MIEN_E_INTERNAL, "model %s gave a vector without a direction",
                          mien_model_info_of(e->model)->name);
    const double scale = 1 / sqrt(norm2);
    for (size_t i = 0; i < e->len; i++)
        ret[i] = (float)(e->sum[i] * scale);
    return MIEN_OK;
}

/* Embed what lies in e->crop. */
static mien_status embed_crop(mien_embedder *e, float *ret_vec, mien_error *err)
{
    const int views = e->opts.flip ? 2 : 1;
    for (int k = 0; k < views; k++) {
        float *input = NULL;
        const float *out = NULL;
        mien_status st = prepare(e, e->single, 1, &input, err);
        if (st)
            return st;
        mien__crop_to_planes(mien_model_info_of(e->model), e->crop, e->width, e->height, k == 1, input);
        st = mien_session_run(e->single, err);
        if (!st)
            st = output(e, e->single, 1, &out, err);
        if (st)
            return st;
        memcpy(e->vecs + (size_t)k * e->len, out, e->len * sizeof *out);
    }
    return unit_sum(e, e->vecs, views, ret_vec, err);
}

mien_status mien_embed_face(mien_embedder *e, mien_image_view image, const mien_face *face, float *ret_vec,
                            mien_error *err)
{
    if (!e || !face || !ret_vec)
        return mien__fail(err, MIEN_E_ARG, "embedding: a pointer is NULL");
    const mien_status st = mien__crop_face(mien_model_info_of(e->model), image, face, &e->resampler, e->crop,
                                           e->width, e->height, err);
    return st ? st : embed_crop(e, ret_vec, err);
}

/* Make the batch session; a network that takes only one crop at a time is remembered as such. */
static mien_status prepare_batch(mien_embedder *e, float **ret, mien_error *err)
{
    mien_status st = MIEN_OK;
    mien_error why = MIEN_ERROR_INIT;
    if (!e->batch)
        st = new_session(e, &e->batch, err);
    if (st)
        return st;
    st = prepare(e, e->batch, BATCH, ret, &why);
    if (st == MIEN_E_MODEL_SHAPE) {
        e->batch_refused = true;
        mien_session_free(e->batch);
        e->batch = NULL;
        return MIEN_OK;
    }
    if (st && err)
        *err = why;
    return st;
}

/* Embed BATCH / views crops in one run. */
static mien_status embed_batch(mien_embedder *e, const mien_image_view *crops, float *input, float *ret_vecs,
                               mien_error *err)
{
    const int views = e->opts.flip ? 2 : 1;
    const size_t floats = (size_t)e->width * (size_t)e->height * 3;
    const float *out = NULL;
    for (int i = 0; i < BATCH / views; i++) {
        mien_status st = mien__resize_into(&e->resampler, crops[i], e->crop, e->width, e->height, err);
        if (st)
            return st;
        for (int k = 0; k < views; k++)
            mien__crop_to_planes(mien_model_info_of(e->model), e->crop, e->width, e->height, k == 1,
                                 input + (size_t)(i * views + k) * floats);
    }
    mien_status st = mien_session_run(e->batch, err);
    if (!st)
        st = output(e, e->batch, BATCH, &out, err);
    for (int i = 0; i < BATCH / views && !st; i++)
        st = unit_sum(e, out + (size_t)(i * views) * e->len, views, ret_vecs + (size_t)i * e->len, err);
    return st;
}

mien_status mien_embed_crops(mien_embedder *e, const mien_image_view *crops, size_t n, float *ret_vecs,
                             mien_error *err)
{
    if (!e || (n && (!crops || !ret_vecs)))
        return mien__fail(err, MIEN_E_ARG, "embedding: a pointer is NULL");
    for (size_t i = 0; i < n; i++)
        if (!mien__view_ok(crops[i]))
            return mien__fail(err, MIEN_E_ARG, "embedding: crop %zu is not a picture (%d x %d px)", i,
                              crops[i].width, crops[i].height);
    const size_t step = e->opts.flip ? BATCH / 2 : BATCH;
    size_t i = 0;
    mien_status st = MIEN_OK;
    while (i + step <= n && !st && !e->batch_refused) {
        float *input = NULL;
        st = prepare_batch(e, &input, err);
        if (st || e->batch_refused)
            break;
        st = embed_batch(e, crops + i, input, ret_vecs + i * e->len, err);
        i += step;
    }
    for (; i < n && !st; i++) {
        st = mien__resize_into(&e->resampler, crops[i], e->crop, e->width, e->height, err);
        if (!st)
            st = embed_crop(e, ret_vecs + i * e->len, err);
    }
    return st;
}
