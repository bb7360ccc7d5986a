/* The detector: prepares pictures for the network, runs the passes, merges what they find.
 *
 * Each pass has a session of its own, because a session plans for one input size: pictures of one size after
 * another allocate nothing. The picture is resized (triangle filter) and written straight into the network's
 * input, top left; the rest is black, as the networks saw in training.
 */
#include "detect/detect.h"
#include "geom/geom.h"
#include <math.h>
#include <string.h>

enum { PASS_MAIN, PASS_COARSE, N_PASSES, MAX_OUTPUTS = 16 };

/* The coarse pass counts for faces above this share of the main pass's largest reliable face; smaller ones
 * have finer landmarks in the main pass. */
#define COARSE_SHARE 0.6f

struct mien_detector {
    const mien_model *model;
    const mien__decoder *decoder;
    mien_detect_opts opts;
    mien__det_limits limits;
    mien_session *sessions[N_PASSES];
    mien__resampler resampler;
    uint8_t *row;
    size_t row_cap;
    mien__face_list faces, pass_faces;
};

typedef struct plane_writer {
    const mien_model_info *info;
    float *planes;
    int net_w, net_h;
} plane_writer;

static mien_status check_opts(const mien_detect_opts *o, mien_error *err)
{
    if (!(o->min_score <= 1))
        return mien__fail(err, MIEN_E_ARG, "detector: min_score %g is above 1", (double)o->min_score);
    if (!(o->nms_iou >= 0 && o->nms_iou <= 1))
        return mien__fail(err, MIEN_E_ARG, "detector: nms_iou %g is not in [0, 1]", (double)o->nms_iou);
    if (o->min_size_px < 0 || o->max_faces < 0)
        return mien__fail(err, MIEN_E_ARG, "detector: min_size_px and max_faces must not be negative");
    if (o->max_side < MIEN__DET_MAX_STRIDE || o->max_side > 8192)
        return mien__fail(err, MIEN_E_ARG, "detector: max_side %d is not in %d..8192", o->max_side,
                          MIEN__DET_MAX_STRIDE);
    return MIEN_OK;
}

static mien_status check_model(const mien_model *model, const mien__decoder **ret, mien_error *err)
{
    const mien_model_info *info = mien_model_info_of(model);
    if (info->task != MIEN_TASK_DETECT)
        return mien__fail(err, MIEN_E_MODEL_TASK, "model %s does not detect faces", info->name);
    *ret = mien__decoder_find(info->decoder);
    if (!*ret)
        return mien__fail(err, MIEN_E_MODEL_TASK, "model %s needs the decoder '%s', which is not known",
                          info->name, info->decoder);
    const int s = MIEN__DET_MAX_STRIDE;
    if (info->input_width < 0 || info->input_height < 0 || info->input_width % s || info->input_height % s ||
        info->input_width > 8192 || info->input_height > 8192)
        return mien__fail(err, MIEN_E_MODEL_SHAPE,
                          "model %s: an input of %d x %d px is not a multiple of %d px", info->name,
                          info->input_width, info->input_height, s);
    return MIEN_OK;
}

mien_status mien_detector_new(const mien_model *model, const mien_detect_opts *opts, mien_detector **ret,
                              mien_error *err)
{
    if (!model || !ret)
        return mien__fail(err, MIEN_E_ARG, "detector: a pointer is NULL");
    mien_detect_opts o = MIEN_DETECT_OPTS_INIT;
    if (opts)
        memcpy(&o, opts, opts->struct_size < sizeof o ? opts->struct_size : sizeof o);
    o.struct_size = sizeof o;
    const mien__decoder *decoder = NULL;
    mien_status st = check_opts(&o, err);
    if (st == MIEN_OK)
        st = check_model(model, &decoder, err);
    if (st)
        return st;
    mien_detector *d = mien_alloc_zero(sizeof *d);
    if (!d)
        return mien__nomem(err, sizeof *d);
    const mien_model_info *info = mien_model_info_of(model);
    d->model = model;
    d->decoder = decoder;
    d->opts = o;
    if (o.min_score < 0)
        d->opts.min_score = decoder->min_score;
    d->limits = (mien__det_limits){
        .fixed_w = info->input_width,
        .fixed_h = info->input_height,
        .min_face_px = info->min_face_px > 0 ? info->min_face_px : decoder->min_face_px,
        .max_face_px = info->max_face_frac > 0 ? info->max_face_frac * 480 : decoder->max_face_px,
    };
    mien_session_opts so = MIEN_SESSION_OPTS_INIT;
    so.threads = o.threads;
    st = mien_session_new(model, &so, &d->sessions[PASS_MAIN], err);
    if (st) {
        mien_detector_free(d);
        return st;
    }
    *ret = d;
    return MIEN_OK;
}

void mien_detector_free(mien_detector *d)
{
    if (!d)
        return;
    for (int i = 0; i < N_PASSES; i++)
        mien_session_free(d->sessions[i]);
    mien__resampler_free(&d->resampler);
    mien_free(d->row);
    mien_free(d->faces.v);
    mien_free(d->pass_faces.v);
    mien_free(d);
}

static void write_row(void *ctx, int y, const uint8_t *row, int width)
{
    const plane_writer *w = ctx;
    const size_t plane = (size_t)w->net_w * (size_t)w->net_h;
    float *p = w->planes + (size_t)y * (size_t)w->net_w;
    mien__row_to_planes(row, width, w->info->color_order == MIEN_BGR, w->info->mean, w->info->scale, p,
                        p + plane, p + 2 * plane);
}

/* Make what lies right of and below the picture black. */
static void fill_rest(const plane_writer *pw, int used_w, int used_h)
{
    for (int c = 0; c < 3; c++) {
        const float black = (0 - pw->info->mean[c]) * pw->info->scale[c];
        float *p = pw->planes + (size_t)c * (size_t)pw->net_w * (size_t)pw->net_h;
        for (int y = 0; y < pw->net_h; y++, p += pw->net_w)
            for (int x = y < used_h ? used_w : 0; x < pw->net_w; x++)
                p[x] = black;
    }
}

static mien_status reserve_row(mien_detector *d, int width, mien_error *err)
{
    const size_t need = (size_t)width * 3;
    if (need <= d->row_cap)
        return MIEN_OK;
    uint8_t *row = mien_alloc(need);
    if (!row)
        return mien__nomem(err, need);
    mien_free(d->row);
    d->row = row;
    d->row_cap = need;
    return MIEN_OK;
}

/* Where tile (tx, ty) lies, how it maps to the picture and which centres are its own. */
static void place_tile(const mien_detector *d, const mien__det_pass *p, mien_image_view image, int tx, int ty,
                       mien__resize_part *part, mien__det_frame *frame)
{
    const int x0 = mien__tile_start(p->full_w, p->net_w, p->nx, tx);
    const int y0 = mien__tile_start(p->full_h, p->net_h, p->ny, ty);
    *part = (mien__resize_part){
        p->full_w, p->full_h, x0, y0, p->nx > 1 ? p->net_w : p->full_w, p->ny > 1 ? p->net_h : p->full_h,
    };
    const double sx = (double)image.width / p->full_w, sy = (double)image.height / p->full_h;
    *frame = (mien__det_frame){
        sx, sy, x0 * sx, y0 * sy, -HUGE_VAL, -HUGE_VAL, HUGE_VAL, HUGE_VAL, d->opts.min_score, 0,
    };
    if (tx > 0)
        frame->keep_x0 = (mien__tile_start(p->full_w, p->net_w, p->nx, tx - 1) + p->net_w + x0) / 2.0 * sx;
    if (ty > 0)
        frame->keep_y0 = (mien__tile_start(p->full_h, p->net_h, p->ny, ty - 1) + p->net_h + y0) / 2.0 * sy;
    if (tx + 1 < p->nx)
        frame->keep_x1 = (x0 + p->net_w + mien__tile_start(p->full_w, p->net_w, p->nx, tx + 1)) / 2.0 * sx;
    if (ty + 1 < p->ny)
        frame->keep_y1 = (y0 + p->net_h + mien__tile_start(p->full_h, p->net_h, p->ny, ty + 1)) / 2.0 * sy;
}

static mien_status decode_outputs(mien_detector *d, const mien_session *s, const mien__det_pass *p,
                                  const mien__det_frame *frame, mien_error *err)
{
    mien_tensor_view outputs[MAX_OUTPUTS];
    const size_t n = mien_session_n_outputs(s);
    if (n > MAX_OUTPUTS)
        return mien__fail(err, MIEN_E_MODEL_SHAPE, "%s detector with %zu outputs, at most %d are known",
                          d->decoder->name, n, MAX_OUTPUTS);
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = mien_session_output(s, i, &outputs[i], err);
    mien__det_level levels[MIEN__DET_LEVELS];
    if (!st)
        st = mien__decoder_bind(d->decoder, outputs, n, p->net_w, p->net_h, levels, err);
    d->pass_faces.n = 0;
    for (int i = 0; i < MIEN__DET_LEVELS && !st; i++)
        st = mien__decode_level(d->decoder, &levels[i], frame, &d->pass_faces, err);
    if (st)
        return st;
    mien__face_list_suppress(&d->pass_faces, d->opts.nms_iou, MIEN__DET_MAX_CANDIDATES);
    for (size_t i = 0; i < d->pass_faces.n && !st; i++)
        st = mien__face_list_push(&d->faces, &d->pass_faces.v[i], err);
    return st;
}

static mien_status run_pass(mien_detector *d, int which, const mien__det_pass *p, float min_side_px,
                            mien_image_view image, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (!d->sessions[which]) {
        mien_session_opts so = MIEN_SESSION_OPTS_INIT;
        so.threads = d->opts.threads;
        st = mien_session_new(d->model, &so, &d->sessions[which], err);
    }
    if (!st)
        st = reserve_row(d, p->full_w, err);
    plane_writer pw = { mien_model_info_of(d->model), NULL, p->net_w, p->net_h };
    const mien_tensor_view shape = { .rank = 4, .dims = { 1, 3, p->net_h, p->net_w } };
    if (!st)
        st = mien_session_prepare(d->sessions[which], 1, &shape, &pw.planes, err);
    for (int t = 0; t < p->nx * p->ny && !st; t++) {
        mien__resize_part part;
        mien__det_frame frame;
        place_tile(d, p, image, t % p->nx, t / p->nx, &part, &frame);
        frame.min_side_px = min_side_px;
        st = mien__resample_rows(&d->resampler, image, &part, d->row, write_row, &pw, err);
        if (st)
            break;
        fill_rest(&pw, part.w, part.h);
        st = mien_session_run(d->sessions[which], err);
        if (!st)
            st = decode_outputs(d, d->sessions[which], p, &frame, err);
    }
    return st;
}

mien_status mien_detect(mien_detector *d, mien_image_view image, const mien_face **ret_faces, size_t *ret_n,
                        mien_error *err)
{
    if (!d || !ret_faces || !ret_n)
        return mien__fail(err, MIEN_E_ARG, "detection: a pointer is NULL");
    if (!mien__view_ok(image))
        return mien__fail(err, MIEN_E_ARG, "detection: not a picture (%d x %d px, stride %zu)", image.width,
                          image.height, image.stride_bytes);
    mien__det_pass main_pass, coarse;
    mien__plan_main(&d->limits, &d->opts, image.width, image.height, &main_pass);
    const bool twice =
        mien__plan_coarse(&d->limits, &d->opts, &main_pass, image.width, image.height, &coarse);
    d->faces.n = 0;
    const float min_side = (float)d->opts.min_size_px;
    mien_status st = run_pass(d, PASS_MAIN, &main_pass, min_side, image, err);
    if (!st && twice) {
        const float scale = (float)image.width / (float)main_pass.full_w;
        const float large = mien__pass_max_face(&d->limits, &main_pass) * scale * COARSE_SHARE;
        const size_t n_main = d->faces.n;
        st = run_pass(d, PASS_COARSE, &coarse, fmaxf(min_side, large), image, err);
        if (!st)
            mien__face_list_drop_parts(&d->faces, n_main);
    }
    if (st)
        return st;
    mien__face_list_suppress(&d->faces, d->opts.nms_iou, 0);
    *ret_faces = d->faces.v;
    *ret_n = d->opts.max_faces > 0 && d->faces.n > (size_t)d->opts.max_faces ? (size_t)d->opts.max_faces
                                                                             : d->faces.n;
    return MIEN_OK;
}

void mien_detect_range(const mien_detector *d, int width, int height, float *ret_min_px, float *ret_max_px)
{
    if (!d || width < 1 || height < 1 || width > MIEN__MAX_SIDE_PX || height > MIEN__MAX_SIDE_PX)
        return;
    mien__det_pass p, coarse;
    mien__plan_main(&d->limits, &d->opts, width, height, &p);
    const float scale = (float)width / (float)p.full_w, shorter = (float)(width < height ? width : height);
    if (ret_min_px)
        *ret_min_px = fmaxf((float)d->opts.min_size_px, d->limits.min_face_px * scale);
    if (!ret_max_px)
        return;
    const bool twice = mien__plan_coarse(&d->limits, &d->opts, &p, width, height, &coarse);
    *ret_max_px = twice ? shorter : fminf(shorter, mien__pass_max_face(&d->limits, &p) * scale);
}
