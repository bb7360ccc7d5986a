/* The tracker: a frame's faces linked to bodies, bodies born and lost, histories kept and let go.
 *
 * As SORT (Bewley et al. 2016): move every body to where it is expected, pair bodies and faces by greatest
 * total overlap, correct the paired ones, begin a body for every face that is left. Faces that jumped, as in
 * videos of few frames a second, are paired in a second round by boxes that are grown (Yang et al. 2023,
 * C-BIoU), which asks for a look to be sure. A body not found for lost_ms is dropped; its history waits
 * rejoin_ms for a look that knows it (looks.c) and then leaves. Only searched frames count against a body.
 *
 * All memory is taken by mien_tracker_new(): a step allocates nothing.
 */
#include "track/track.h"
#include <math.h>
#include <string.h>

enum { MAX_TRACKS = 256, MAX_DIM = 4096, EVENTS_EACH = 6 };
/* How much boxes grow, on every side, for the second round of pairing. */
static const double grown = 0.4;
/* A pair that overlaps less may be a jump from one face to another, as at a cut. */
static const double steady_iou = 0.6;

void mien_track_opts_init(mien_track_opts *opts)
{
    *opts = (mien_track_opts){ .struct_size = sizeof *opts,
                               .max_tracks = 64,
                               .min_iou = 0.2,
                               .min_hits = 2,
                               .lost_ms = 500,
                               .rejoin_ms = 4000,
                               .rejoin_similarity = 0.4,
                               .look_gap_ms = 200,
                               .refresh_ms = 2000,
                               .max_looks = 2,
                               .min_face_px = 24,
                               .min_votes = 2,
                               .unknown_looks = 4,
                               .hysteresis = 0.06 };
}

static bool opts_ok(const mien_track_opts *o)
{
    return o->dim >= 0 && o->dim <= MAX_DIM && (o->dim == 0 || o->look) && o->max_tracks >= 1 &&
           o->max_tracks <= MAX_TRACKS && o->min_iou > 0 && o->min_iou < 1 && o->min_hits >= 1 &&
           o->lost_ms >= 0 && o->rejoin_ms >= 0 && o->rejoin_similarity > 0 && o->rejoin_similarity <= 1 &&
           o->look_gap_ms >= 0 && o->refresh_ms >= 0 && o->max_looks >= 0 && o->min_votes >= 1 &&
           o->unknown_looks >= 1 && o->hysteresis >= 0 && o->hysteresis < 1;
}

mien_status mien_tracker_new(const mien_track_opts *opts, mien_tracker **ret, mien_error *err)
{
    mien_track_opts o;
    mien_track_opts_init(&o);
    if (opts)
        o = *opts;
    if (!ret || !opts_ok(&o))
        return mien__fail(err, MIEN_E_ARG,
                          "tracker: no place for the result, or an option is out of its range");
    mien_tracker *const t = mien_alloc_zero(sizeof *t);
    if (!t)
        return mien__nomem(err, sizeof *t);
    const size_t n = (size_t)o.max_tracks, dim = (size_t)o.dim, each = (MIEN__KEPT_LOOKS + 2) * dim;
    t->o = o;
    t->next_id = 1;
    t->n_histories = 2 * n;
    t->max_events = EVENTS_EACH * t->n_histories;
    t->vector_floats = t->n_histories * each + dim + 1;
    t->bodies = mien_alloc_array_zero(n, sizeof *t->bodies);
    t->histories = mien_alloc_array_zero(t->n_histories, sizeof *t->histories);
    t->vectors = mien_alloc_array_zero(t->vector_floats, sizeof *t->vectors);
    t->gain = mien_alloc_array(n * MIEN__ASSIGN_MAX, sizeof *t->gain);
    t->tracks = mien_alloc_array_zero(n, sizeof *t->tracks);
    t->events = mien_alloc_array_zero(t->max_events, sizeof *t->events);
    if (!t->bodies || !t->histories || !t->vectors || !t->gain || !t->tracks || !t->events) {
        const size_t bytes = t->vector_floats * sizeof *t->vectors;
        mien_tracker_free(t);
        return mien__nomem(err, bytes);
    }
    for (size_t i = 0; i < t->n_histories; i++) {
        mien__history *const h = &t->histories[i];
        h->kept = t->vectors + i * each;
        h->fused = h->kept + MIEN__KEPT_LOOKS * dim;
        h->strange = h->fused + dim;
    }
    t->vec = t->vectors + t->n_histories * each;
    *ret = t;
    return MIEN_OK;
}

void mien_tracker_free(mien_tracker *t)
{
    if (!t)
        return;
    mien_free_secret(t->vectors, t->vector_floats * sizeof *t->vectors);
    mien_free(t->bodies);
    mien_free(t->histories);
    mien_free(t->gain);
    mien_free(t->tracks);
    mien_free(t->events);
    mien_free(t);
}

/* ---- histories ---- */

void mien__tracker_say(mien_tracker *t, mien_track_event_kind kind, const mien__history *h, int64_t before)
{
    if (t->n_events < t->max_events)
        t->events[t->n_events++] = (mien_track_event){ kind, h->t, before };
}

mien__body *mien__tracker_body_of(mien_tracker *t, const mien__history *h)
{
    for (int i = 0; i < t->o.max_tracks; i++) {
        if (t->bodies[i].used && t->bodies[i].history == h)
            return &t->bodies[i];
    }
    return NULL;
}

void mien__tracker_leave(mien_tracker *t, mien__history *h)
{
    h->t.seen = 0;
    if (h->announced)
        mien__tracker_say(t, MIEN_TRACK_LEFT, h, 0);
    mien__history_clear(h, t->o.dim);
}

mien__history *mien__tracker_history(mien_tracker *t, const mien_face *face)
{
    mien__history *free_one = NULL, *oldest = NULL;
    for (size_t i = 0; i < t->n_histories && !free_one; i++) {
        mien__history *const h = &t->histories[i];
        if (!h->used)
            free_one = h;
        else if (!mien__tracker_body_of(t, h) && (!oldest || h->t.last_ms < oldest->t.last_ms))
            oldest = h;
    }
    if (!free_one) { /* there are twice as many as bodies, so one has none */
        mien__tracker_leave(t, oldest);
        free_one = oldest;
    }
    free_one->used = true;
    free_one->t =
        (mien_track){ .id = t->next_id++, .face = *face, .first_ms = t->now_ms, .last_ms = t->now_ms };
    return free_one;
}

/* ---- bodies ---- */

static void drop(mien_tracker *t, mien__body *b)
{
    b->used = false;
    if (!b->history->announced)
        mien__history_clear(b->history, t->o.dim);
}

static void found(mien_tracker *t, mien__body *b, const mien_face *face)
{
    mien__motion_update(&b->motion, face);
    b->again = b->again || (b->missing_ms >= 0 && t->now_ms - b->missing_ms >= t->o.lost_ms / 2);
    b->missing_ms = -1;
    b->face = *face;
    b->seen = true;
    b->hits++;
    b->history->t.face = *face;
    b->history->t.last_ms = t->now_ms;
}

static void give_birth(mien_tracker *t, const mien_face *face)
{
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (b->used)
            continue;
        *b = (mien__body){ .used = true, .face = *face, .seen = true, .hits = 1, .missing_ms = -1 };
        mien__motion_begin(&b->motion, face);
        b->history = mien__tracker_history(t, face);
        return;
    }
}

/* One round of pairing among what is left of bodies and faces. */
static void pair_up(mien_tracker *t, const mien_face *faces, size_t n, bool *taken, double grow)
{
    int rows[MAX_TRACKS], pairs[MAX_TRACKS];
    size_t n_rows = 0;
    for (int i = 0; i < t->o.max_tracks; i++) {
        const mien__body *const b = &t->bodies[i];
        if (!b->used || b->seen)
            continue;
        for (size_t j = 0; j < n; j++) {
            const double iou = taken[j] ? 0 : mien__motion_overlap(&b->motion, &faces[j], grow);
            t->gain[n_rows * n + j] = iou >= t->o.min_iou ? iou : 0;
        }
        rows[n_rows++] = i;
    }
    if (n_rows == 0 || n == 0)
        return;
    mien__assign(t->gain, n_rows, n, pairs);
    for (size_t r = 0; r < n_rows; r++) {
        if (pairs[r] < 0)
            continue;
        mien__body *const b = &t->bodies[rows[r]];
        b->again = b->again || grow > 0 || t->gain[r * n + (size_t)pairs[r]] < steady_iou;
        taken[pairs[r]] = true;
        found(t, b, &faces[pairs[r]]);
    }
}

static void link_faces(mien_tracker *t, const mien_face *faces, size_t n)
{
    bool taken[MIEN__ASSIGN_MAX] = { false };
    pair_up(t, faces, n, taken, 0);
    pair_up(t, faces, n, taken, grown);
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (!b->used || b->seen)
            continue;
        if (b->missing_ms < 0)
            b->missing_ms = t->now_ms;
        if (b->hits < t->o.min_hits || t->now_ms - b->missing_ms >= t->o.lost_ms)
            drop(t, b);
    }
    for (size_t j = 0; j < n; j++) {
        if (!taken[j])
            give_birth(t, &faces[j]);
    }
}

/* Tracks of which no look is to be had are announced without one. */
static void announce(mien_tracker *t)
{
    enum { PATIENCE = 3 };
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (!b->used || !b->seen || b->history->announced || b->hits < t->o.min_hits)
            continue;
        if (t->o.dim > 0 && b->hits < t->o.min_hits + PATIENCE)
            continue;
        b->history->announced = true;
        mien__tracker_say(t, MIEN_TRACK_SEEN, b->history, 0);
    }
}

static void let_go(mien_tracker *t)
{
    for (size_t i = 0; i < t->n_histories; i++) {
        mien__history *const h = &t->histories[i];
        if (h->used && !mien__tracker_body_of(t, h) &&
            t->now_ms - h->t.last_ms >= (int64_t)t->o.lost_ms + t->o.rejoin_ms)
            mien__tracker_leave(t, h);
    }
}

/* The face as it is expected now: the last detection, moved and scaled with the filter. */
static mien_face expected_face(const mien__body *b)
{
    mien_face f = b->face;
    if (b->seen)
        return f;
    const double *const x = b->motion.x;
    const double sx = x[2] / fmax((double)f.x1 - f.x0, 1e-3), sy = x[3] / fmax((double)f.y1 - f.y0, 1e-3);
    const double cx = 0.5 * ((double)f.x0 + f.x1), cy = 0.5 * ((double)f.y0 + f.y1);
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        f.landmarks[i][0] = (float)(x[0] + (f.landmarks[i][0] - cx) * sx);
        f.landmarks[i][1] = (float)(x[1] + (f.landmarks[i][1] - cy) * sy);
    }
    f.x0 = (float)(x[0] - x[2] / 2), f.x1 = (float)(x[0] + x[2] / 2);
    f.y0 = (float)(x[1] - x[3] / 2), f.y1 = (float)(x[1] + x[3] / 2);
    return f;
}

static void list_tracks(mien_tracker *t)
{
    t->n_tracks = 0;
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (!b->used || !b->history->announced)
            continue;
        b->history->t.seen = b->seen;
        mien_track k = b->history->t;
        k.face = expected_face(b);
        size_t at = t->n_tracks++;
        for (; at > 0 && t->tracks[at - 1].id > k.id; at--)
            t->tracks[at] = t->tracks[at - 1];
        t->tracks[at] = k;
    }
}

/* ---- public ---- */

static bool face_ok(const mien_face *f)
{
    return isfinite(f->x0) && isfinite(f->y0) && f->x1 > f->x0 && f->y1 > f->y0 && f->x1 < 1e6f &&
           f->y1 < 1e6f && f->x0 > -1e6f && f->y0 > -1e6f;
}

mien_status mien_tracker_step(mien_tracker *t, int64_t media_ms, const mien_face *faces, size_t n,
                              mien_error *err)
{
    if (!t || (n && !faces))
        return mien__fail(err, MIEN_E_ARG, "tracker: no tracker or no faces given");
    if (t->begun && media_ms < t->now_ms)
        return mien__fail(err, MIEN_E_ARG, "tracker: a frame of %lld ms after one of %lld",
                          (long long)media_ms, (long long)t->now_ms);
    for (size_t i = 0; i < n; i++) {
        if (!face_ok(&faces[i]))
            return mien__fail(err, MIEN_E_ARG, "tracker: face %zu has no box", i);
    }
    const double dt_s = t->begun ? (double)(media_ms - t->now_ms) * 1e-3 : 0;
    t->begun = true;
    t->now_ms = media_ms;
    t->n_events = 0;
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        b->seen = false;
        if (b->used)
            mien__motion_predict(&b->motion, dt_s);
    }
    mien_status status = MIEN_OK;
    if (faces) {
        link_faces(t, faces, n < MIEN__ASSIGN_MAX ? n : MIEN__ASSIGN_MAX);
        if (t->o.dim > 0)
            status = mien__tracker_look(t, err);
        announce(t);
    }
    let_go(t);
    list_tracks(t);
    return status;
}

void mien_tracker_finish(mien_tracker *t)
{
    if (!t)
        return;
    t->n_events = 0;
    t->n_tracks = 0;
    t->begun = false;
    for (int i = 0; i < t->o.max_tracks; i++)
        t->bodies[i].used = false;
    /* in the order of their ids, not of the places they were given */
    for (int64_t last = 0;;) {
        mien__history *next = NULL;
        for (size_t i = 0; i < t->n_histories; i++) {
            mien__history *const h = &t->histories[i];
            if (h->used && h->t.id > last && (!next || h->t.id < next->t.id))
                next = h;
        }
        if (!next)
            return;
        last = next->t.id;
        mien__tracker_leave(t, next);
    }
}

const mien_track *mien_tracker_tracks(const mien_tracker *t, size_t *ret_n)
{
    *ret_n = t->n_tracks;
    return t->tracks;
}

const mien_track_event *mien_tracker_events(const mien_tracker *t, size_t *ret_n)
{
    *ret_n = t->n_events;
    return t->events;
}
