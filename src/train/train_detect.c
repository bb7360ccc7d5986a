/* Training a detector: each step composes a batch of scenes, lets the teacher look at them, and takes the
 * loss against both the truth and the teacher.
 *
 * Scenes are made and the teacher is run by the network's own threads, a maker and a session per thread:
 * scene k of the seed is the same whoever makes it. Validation scenes come from another seed and, where
 * given, other people.
 */
#include "train/train_detect.h"
#include "train/arch.h"
#include "train/data.h"
#include "train/detect_loss.h"
#include "train/detect_val.h"
#include "train/net.h"
#include "train/scene.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 320, STEPS_PER_EPOCH = 250 };

/* One thread's tools. */
typedef struct scene_worker {
    mien__scene_maker *maker;
    mien_session *session;
    float *input;
    mien_status st;
    mien_error err;
} scene_worker;

struct mien__detect_task {
    const mien_train_opts *o;
    const mien_model_info *info;
    mien__task task;
    mien__scene_set *set, *val_set;
    size_t left_out; /* rows of the table with too low a score */
    mien__pool *pool;
    scene_worker *workers;
    unsigned n_workers;
    const mien__decoder *decoder; /* of the teacher; NULL without one */
    uint8_t *rgb;
    mien__truth *truths; /* [batch][MIEN__SCENE_MAX_TRUTHS] */
    const mien__truth **truth_lists;
    size_t *n_truths;
    float *teacher_map[MIEN__DET_MAPS];
    mien__det_loss_opts loss;
    void *scratch;
    mien__hints *hints;
    const char **taps;
    const float **forced; /* the hints' values, one per tap */
    mien__net *net;
    size_t n_taps;
    uint64_t step; /* being filled */
    mien__det_val *val;
};

static mien_status remember(scene_worker *w, mien_status st)
{
    w->st = st;
    return st;
}

/* ---- a batch ---- */

static mien_status run_teacher(mien__detect_task *t, scene_worker *w, int at, const uint8_t *rgb)
{
    mien_tensor_view outputs[32];
    mien__det_level levels[MIEN__DET_LEVELS];
    const size_t n = mien_session_n_outputs(w->session);
    const mien_model_info *info = mien_model_info_of(t->o->teachers[0]);
    mien_status st = MIEN_OK;
    mien__planes_from_rgb(info, rgb, 1, SIDE, SIDE, w->input, NULL);
    if ((st = mien_session_run(w->session, &w->err)))
        return st;
    if (n > MIEN_COUNTOF(outputs))
        return mien__fail(&w->err, MIEN_E_MODEL_SHAPE, "the teacher has %zu outputs", n);
    for (size_t i = 0; !st && i < n; i++)
        st = mien_session_output(w->session, i, &outputs[i], &w->err);
    if (!st)
        st = mien__decoder_bind(t->decoder, outputs, n, SIDE, SIDE, levels, &w->err);
    if (!st)
        mien__det_maps_fill(levels, at, t->teacher_map);
    return st;
}

static void fill_one(void *ctx, size_t at, unsigned worker)
{
    mien__detect_task *t = ctx;
    scene_worker *w = &t->workers[worker];
    uint8_t *rgb = t->rgb + at * SIDE * SIDE * 3;
    if (w->st ||
        remember(w, mien__scene_make(w->maker, t->step * (uint64_t)t->o->batch + at, rgb,
                                     t->truths + at * MIEN__SCENE_MAX_TRUTHS, &t->n_truths[at], &w->err)))
        return;
    if (t->decoder)
        remember(w, run_teacher(t, w, (int)at, rgb));
}

static mien_status fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    mien__detect_task *t = ctx;
    t->step = step;
    mien__pool_run(t->pool, fill_one, t, (size_t)t->o->batch);
    for (unsigned i = 0; i < t->n_workers; i++)
        if (t->workers[i].st) {
            if (err)
                *err = t->workers[i].err;
            return t->workers[i].st;
        }
    mien__planes_from_rgb(t->info, t->rgb, t->o->batch, SIDE, SIDE, input, t->pool);
    if (!t->hints)
        return MIEN_OK;
    const mien_status st = mien__hints_run(t->hints, t->rgb, err);
    if (!st && t->net)
        mien__hints_force(t->hints, t->net, (double)step < t->o->blockwise_epochs * STEPS_PER_EPOCH,
                          t->forced);
    return st;
}

static mien_status loss(void *ctx, mien__net *net, double *ret_loss, mien__parts *parts, mien_error *err)
{
    mien__detect_task *t = ctx;
    mien__det_maps student = { t->o->batch, SIDE, SIDE, { NULL } }, teacher = student;
    float *d_maps[MIEN__DET_MAPS];
    mien__det_loss_parts p;
    for (size_t i = 0; i < MIEN__DET_MAPS; i++) {
        const mien__net_tap *tap = mien__net_tap_at(net, i);
        student.map[i] = tap->data;
        teacher.map[i] = t->teacher_map[i];
        d_maps[i] = tap->grad;
    }
    mien__det_loss(&t->loss, &student, t->decoder ? &teacher : NULL, t->truth_lists, t->n_truths, d_maps, &p,
                   t->scratch);
    *ret_loss = p.total;
    mien__parts_add(parts, "truth_score", p.truth_cls + p.truth_obj);
    mien__parts_add(parts, "truth_box", p.truth_box);
    mien__parts_add(parts, "truth_landmarks", p.truth_kps);
    mien__parts_add(parts, "teach_score", p.teach_cls + p.teach_obj);
    mien__parts_add(parts, "teach_box", p.teach_box);
    mien__parts_add(parts, "teach_landmarks", p.teach_kps);
    return mien__hints_loss(t->hints, net, t->o->w_hint, ret_loss, parts, err);
}

/* ---- validation ---- */

static mien_status validate(void *ctx, const mien_model *model, mien__parts *parts, double *ret_score,
                            mien_error *err)
{
    return mien__det_val_measure(((mien__detect_task *)ctx)->val, model, parts, ret_score, err);
}

static mien_status finish(void *ctx, mien__graph **g, mien_error *err)
{
    (void)ctx;
    return mien__arch_yunet_finish(*g, err);
}

/* ---- opening ---- */

static mien_status add_backgrounds(const char *path, mien__scene_set *set, mien_error *err)
{
    const mien__data_opts d = { .aligned = true, .threads = 1 };
    mien__dataset *pictures = NULL;
    mien_status st = mien__dataset_read(path, &d, &pictures, err);
    for (size_t i = 0; !st && i < pictures->n; i++)
        st = mien__scene_set_add(set, &(mien__scene_source){ .path = pictures->samples[i].path }, err);
    mien__dataset_free(pictures);
    return st;
}

static mien_status open_set(const char *csv, const char *backgrounds, mien__scene_set **ret,
                            size_t *ret_left_out, mien_error *err)
{
    mien_status st = mien__scene_set_new(ret, err);
    if (!st)
        st = mien__scene_set_read_csv(*ret, csv, 0.8f, ret_left_out, err);
    if (!st && mien__scene_set_faces(*ret) == 0)
        st = mien__fail(err, MIEN_E_EVAL_DATA, "%s: no picture with a face that is certain (%zu are not)",
                        csv, *ret_left_out);
    if (!st && backgrounds)
        st = add_backgrounds(backgrounds, *ret, err);
    return st;
}

static mien_status open_worker(mien__detect_task *t, scene_worker *w, mien_error *err)
{
    mien__scene_opts so = MIEN__SCENE_OPTS_INIT;
    const mien_session_opts session = MIEN_SESSION_OPTS_INIT;
    mien_tensor_view shape = { .rank = 4, .dims = { 1, 3, SIDE, SIDE } };
    so.width = so.height = SIDE;
    so.seed = t->o->seed;
    mien_status st = mien__scene_maker_new(t->set, &so, &w->maker, err);
    if (st || !t->decoder)
        return st;
    if (!(st = mien_session_new(t->o->teachers[0], &session, &w->session, err)))
        st = mien_session_prepare(w->session, 1, &shape, &w->input, err);
    return st;
}

static mien_status open_memory(mien__detect_task *t, mien_error *err)
{
    const size_t n = (size_t)t->o->batch;
    t->rgb = mien_alloc_array_zero(n, (size_t)SIDE * SIDE * 3);
    t->truths = mien_alloc_array_zero(n * MIEN__SCENE_MAX_TRUTHS, sizeof *t->truths);
    t->truth_lists = mien_alloc_array_zero(n, sizeof *t->truth_lists);
    t->n_truths = mien_alloc_array_zero(n, sizeof *t->n_truths);
    t->scratch = mien_alloc(mien__det_loss_scratch(t->o->batch, SIDE, SIDE));
    if (!t->rgb || !t->truths || !t->truth_lists || !t->n_truths || !t->scratch)
        return mien__nomem(err, n * SIDE * SIDE * 3);
    for (size_t i = 0; i < n; i++)
        t->truth_lists[i] = t->truths + i * MIEN__SCENE_MAX_TRUTHS;
    for (int kind = 0; kind < 4; kind++)
        for (int level = 0; level < MIEN__DET_LEVELS; level++) {
            const size_t side = SIDE / (8u << level);
            float **map = &t->teacher_map[mien__det_map_index((mien__det_kind)kind, level)];
            *map = mien_alloc_array_zero(
                n * (size_t)mien__det_map_channels((mien__det_kind)kind) * side * side, sizeof **map);
            if (!*map)
                return mien__nomem(err, n * side * side);
        }
    return MIEN_OK;
}

static mien_status open_validation(mien__detect_task *t, mien_error *err)
{
    const mien_train_opts *o = t->o;
    const mien_model *const asked = t->decoder && !(o->w_truth > 0) ? o->teachers[0] : NULL;
    return mien__det_val_new(t->val_set ? t->val_set : t->set, o->seed, SIDE, asked, o->threads, &t->val,
                             err);
}

static mien_status open_hints(mien__detect_task *t, mien_error *err)
{
    const mien_train_opts *o = t->o;
    if (!o->n_hints)
        return MIEN_OK;
    if (!t->decoder)
        return mien__fail(err, MIEN_E_ARG, "hints need a teacher");
    const mien_status st = mien__hints_new(o->teachers[0], o->hints, o->n_hints, o->batch, SIDE, SIDE,
                                           o->threads, &t->hints, err);
    if (st)
        return st;
    t->forced = mien_alloc_array_zero(o->n_hints, sizeof *t->forced);
    if (!t->forced || !(t->taps = mien_alloc_array_zero(o->n_hints, sizeof *t->taps)))
        return mien__nomem(err, o->n_hints * sizeof *t->taps);
    for (t->n_taps = 0; t->n_taps < o->n_hints; t->n_taps++)
        t->taps[t->n_taps] = mien__hints_student(t->hints, t->n_taps);
    return MIEN_OK;
}

static mien_status open_teacher(mien__detect_task *t, mien_error *err)
{
    if (!t->o->n_teachers)
        return MIEN_OK;
    const mien_model_info *info = mien_model_info_of(t->o->teachers[0]);
    if (t->o->n_teachers > 1 || info->task != MIEN_TASK_DETECT || strcmp(info->decoder, "yunet") != 0 ||
        (info->input_width && info->input_width != SIDE))
        return mien__fail(err, MIEN_E_MODEL_TASK,
                          "a detector follows one YuNet that takes pictures of any size");
    t->decoder = mien__decoder_find(info->decoder);
    return MIEN_OK;
}

mien_status mien__detect_task_new(const mien_train_opts *o, const mien_model_info *info,
                                  mien__detect_task **ret, mien_error *err)
{
    size_t ignored = 0;
    mien__detect_task *t = mien_alloc_zero(sizeof *t);
    mien_status st = t ? MIEN_OK : mien__nomem(err, sizeof *t);
    if (st)
        return st;
    t->o = o;
    t->info = info;
    t->loss = (mien__det_loss_opts)MIEN__DET_LOSS_OPTS_INIT;
    t->loss.truth_cls *= o->w_truth;
    t->loss.truth_obj *= o->w_truth;
    t->loss.truth_box *= o->w_truth;
    t->loss.truth_kps *= o->w_truth * o->w_landmark;
    t->loss.teach_kps *= o->w_landmark;
    if ((st = open_teacher(t, err)) || (st = open_set(o->data, o->backgrounds, &t->set, &t->left_out, err)) ||
        (o->val_data && (st = open_set(o->val_data, o->backgrounds, &t->val_set, &ignored, err))) ||
        (st = mien__pool_new(&t->pool, o->threads, err)) || (st = open_memory(t, err)) ||
        (st = open_validation(t, err)) || (st = open_hints(t, err)))
        goto done;
    t->n_workers = mien__pool_threads(t->pool);
    if (!(t->workers = mien_alloc_array_zero(t->n_workers, sizeof *t->workers)))
        st = mien__nomem(err, t->n_workers * sizeof *t->workers);
    for (unsigned i = 0; !st && i < t->n_workers; i++)
        st = open_worker(t, &t->workers[i], err);
    if (st)
        goto done;
    t->task = (mien__task){ .ctx = t,
                            .batch = o->batch,
                            .steps_per_epoch = STEPS_PER_EPOCH,
                            .fill = fill,
                            .loss = loss,
                            .validate = validate,
                            .info = info,
                            .finish = finish };
    *ret = t;
    t = NULL;
done:
    mien__detect_task_free(t);
    return st;
}

void mien__detect_task_free(mien__detect_task *t)
{
    if (!t)
        return;
    for (unsigned i = 0; t->workers && i < t->n_workers; i++) {
        mien__scene_maker_free(t->workers[i].maker);
        mien_session_free(t->workers[i].session);
    }
    mien_free(t->workers);
    mien__scene_set_free(t->set);
    mien__scene_set_free(t->val_set);
    mien__pool_free(t->pool);
    for (size_t i = 0; i < MIEN__DET_MAPS; i++)
        mien_free(t->teacher_map[i]);
    mien_free(t->rgb);
    mien_free(t->truths);
    mien_free(t->truth_lists);
    mien_free(t->n_truths);
    mien_free(t->scratch);
    mien__hints_free(t->hints);
    mien_free(t->taps);
    mien_free(t->forced);
    mien__det_val_free(t->val);
    mien_free(t);
}

const char *const *mien__detect_task_taps(const mien__detect_task *t, size_t *ret_n)
{
    *ret_n = t->n_taps;
    return t->taps;
}

void mien__detect_task_attach(mien__detect_task *t, mien__net *net)
{
    t->net = net;
}

const mien__task *mien__detect_task_of(mien__detect_task *t)
{
    return &t->task;
}

int mien__detect_task_side(const mien__detect_task *t)
{
    (void)t;
    return SIDE;
}

size_t mien__detect_task_pictures(const mien__detect_task *t)
{
    return mien__scene_set_faces(t->set);
}

mien_status mien__detect_task_sheet(mien__detect_task *t, int rows, int columns, mien_image **ret,
                                    mien_error *err)
{
    return mien__scene_sheet(t->workers[0].maker, 0, columns, rows, ret, err);
}
