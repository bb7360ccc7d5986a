/* Choosing looks, and what a look changes.
 *
 * A look costs an embedding, so that faces in view get one when it can tell something: a new track at once;
 * then again while it has few, when the face is larger or more frontal than before, after a while, and
 * whenever boxes may have been mixed up (they overlapped, or the face was out of view). Fewest looks first,
 * at most so many a frame: delay stays bounded.
 *
 * A look that is far from the track's own template is not of the same person: the track got hold of another
 * face. If another history knows that face, the two are exchanged, or the one that was out of view goes on;
 * else a second such look, alike the first, ends the history and begins a new one. A new track's first look
 * is compared with those out of view: a face that was hidden for a moment comes back as what it was.
 */
#include "track/track.h"
#include <math.h>
#include <string.h>

/* A look this far from the template, as a part of the similarity that joins, is of another person. */
static const double unlike_part = 0.5;
/* Boxes that overlap more hide one another; those that overlap at all may be mixed up. */
static const double hidden_iou = 0.3, touching_iou = 0.05;

static double unlike(const mien_tracker *t)
{
    return unlike_part * t->o.rejoin_similarity;
}

/* Greatest overlap of a body's face with another in view. */
static double crowding(const mien_tracker *t, const mien__body *body)
{
    double most = 0;
    for (int i = 0; i < t->o.max_tracks; i++) {
        const mien__body *const b = &t->bodies[i];
        if (b->used && b != body && b->seen)
            most = fmax(most, mien__face_overlap(&b->face, &body->face));
    }
    return most;
}

static bool worth_a_look(const mien_tracker *t, mien__body *b)
{
    enum { SOME_LOOKS_MORE = 2 };
    const mien__history *const h = b->history;
    if (!b->used || !b->seen || b->hits < t->o.min_hits)
        return false;
    const double crowd = crowding(t, b), geometry = mien__face_geometry(&b->face, (double)t->o.min_face_px);
    b->again = b->again || crowd > touching_iou;
    if (!(geometry > 0) || crowd > hidden_iou ||
        (b->attempts > 0 && (t->now_ms == b->attempted_ms || t->now_ms - b->attempted_ms < t->o.look_gap_ms)))
        return false;
    return h->t.looks < t->o.unknown_looks + SOME_LOOKS_MORE || b->again || geometry > 1.1 * h->geometry ||
           t->now_ms - h->looked_ms >= t->o.refresh_ms;
}

/* ---- whose face is it now ---- */

/* The history, other than `own`, that knows this face best; NULL when none does. Those in view count where
 * `in_view`. */
static mien__history *known_elsewhere(mien_tracker *t, const mien__history *own, const float *vec,
                                      bool in_view)
{
    mien__history *found = NULL;
    double best = t->o.rejoin_similarity;
    for (size_t i = 0; i < t->n_histories; i++) {
        mien__history *const h = &t->histories[i];
        if (!h->used || h == own || h->n_kept == 0 || !h->announced)
            continue;
        const mien__body *const body = mien__tracker_body_of(t, h);
        if (body && body->seen && !in_view)
            continue;
        const double s = mien__dot(vec, h->fused, t->o.dim);
        if (s >= best)
            best = s, found = h;
    }
    return found;
}

/* Give the body a history that was out of view. */
static void take_over(mien_tracker *t, mien__body *body, mien__history *h)
{
    mien__body *const ghost = mien__tracker_body_of(t, h);
    if (ghost)
        ghost->used = false;
    body->history = h;
    h->t.face = body->face;
    h->t.last_ms = t->now_ms;
}

/* Settle which history the look belongs to; NULL: to none yet. */
static mien__history *settle(mien_tracker *t, mien__body *body)
{
    mien__history *h = body->history, *other = NULL;
    const int dim = t->o.dim;
    if (h->n_kept == 0) {
        other = h->announced ? NULL : known_elsewhere(t, h, t->vec, false);
        if (!other)
            return h;
        mien__history_clear(h, dim); /* never announced: nobody misses it */
        take_over(t, body, other);
        return other;
    }
    if (mien__dot(t->vec, h->fused, dim) >= unlike(t)) {
        h->has_strange = false;
        return h;
    }
    other = known_elsewhere(t, h, t->vec, true);
    if (other) {
        mien__body *const its_body = mien__tracker_body_of(t, other);
        if (its_body && its_body->seen) { /* an exchange; is it wrong, that body's next look undoes it */
            its_body->history = h;
            h->t.face = its_body->face;
            its_body->again = true;
        }
        take_over(t, body, other);
        return other;
    }
    if (!h->has_strange || mien__dot(t->vec, h->strange, dim) < t->o.rejoin_similarity) {
        memcpy(h->strange, t->vec, (size_t)dim * sizeof *h->strange);
        h->has_strange = true;
        body->again = true;
        return NULL;
    }
    h->has_strange = false;
    body->history = mien__tracker_history(t, &body->face);
    return body->history;
}

/* ---- names ---- */

static mien_status identify(const mien_tracker *t, const float *vec, mien_track_candidate *ret, size_t *ret_n,
                            double *ret_threshold, mien_error *err)
{
    *ret_n = 0;
    const mien_status status = t->o.identify(t->o.user, vec, ret, ret_n, ret_threshold, err);
    if (*ret_n > MIEN_TRACK_CANDIDATES)
        *ret_n = MIEN_TRACK_CANDIDATES;
    return status;
}

/* The body in view, other than that of `h`, whose history is named `person`. */
static mien__history *holder_of(mien_tracker *t, const mien__history *h, int64_t person)
{
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (b->used && b->seen && b->history != h && b->history->t.state == MIEN_TRACK_KNOWN &&
            b->history->t.person == person)
            return b->history;
    }
    return NULL;
}

/* Take a name away for good: the votes for it are forgotten. */
static void withdraw(mien_tracker *t, mien__history *h)
{
    const int64_t before = h->t.person;
    mien__votes_forget(h, before);
    h->t.state = MIEN_TRACK_UNKNOWN;
    h->t.person = 0;
    h->misses = 0;
    mien__tracker_say(t, MIEN_TRACK_STRANGER, h, before);
}

static void apply(mien_tracker *t, mien__history *h, const mien__verdict *verdict)
{
    mien_track *const k = &h->t;
    const int64_t before = k->person;
    const bool changed = verdict->state != k->state || verdict->person != before;
    k->similarity = verdict->similarity;
    if (changed && k->state == MIEN_TRACK_KNOWN && verdict->state == MIEN_TRACK_UNKNOWN) {
        k->best = verdict->similarity;
        withdraw(t, h);
        return;
    }
    k->state = verdict->state;
    k->person = verdict->person;
    k->best = changed ? k->similarity : fmax(k->best, k->similarity);
    if (!changed)
        return;
    h->misses = 0;
    if (k->state == MIEN_TRACK_UNKNOWN) {
        mien__tracker_say(t, MIEN_TRACK_STRANGER, h, before);
        return;
    }
    mien__history *const loser = holder_of(t, h, k->person);
    if (loser)
        withdraw(t, loser);
    mien__tracker_say(t, MIEN_TRACK_RECOGNISED, h, before);
}

static mien_status name(mien_tracker *t, mien__history *h, mien_error *err)
{
    mien_track_candidate c[MIEN_TRACK_CANDIDATES];
    double to_beat[MIEN_TRACK_CANDIDATES], threshold = 1;
    size_t n = 0;
    mien_status status = identify(t, t->vec, c, &n, &threshold, err);
    if (status != MIEN_OK)
        return status;
    mien__vote(h, c, n, threshold);
    status = identify(t, h->fused, c, &n, &threshold, err);
    if (status != MIEN_OK)
        return status;
    h->t.threshold = threshold;
    for (size_t i = 0; i < n; i++) {
        const mien__history *const holder = holder_of(t, h, c[i].person);
        to_beat[i] = holder ? holder->t.similarity + t->o.hysteresis : -2;
    }
    const mien__verdict verdict = mien__decide_name(h, &t->o, c, n, threshold, to_beat);
    apply(t, h, &verdict);
    return MIEN_OK;
}

/* Tracks in view that came to hold one person, as an old one does who comes back: the better claim stays. */
static void resolve(mien_tracker *t)
{
    for (int i = 0; i < t->o.max_tracks; i++) {
        const mien__body *const b = &t->bodies[i];
        if (!b->used || !b->seen || b->history->t.state != MIEN_TRACK_KNOWN)
            continue;
        mien__history *const other = holder_of(t, b->history, b->history->t.person);
        if (other)
            withdraw(t, other->t.similarity <= b->history->t.similarity ? other : b->history);
    }
}

/* ---- one look ---- */

static mien_status look_at(mien_tracker *t, mien__body *body, mien_error *err)
{
    double quality = 0;
    body->attempts++;
    body->attempted_ms = t->now_ms;
    mien_status status = t->o.look(t->o.user, &body->face, t->vec, &quality, err);
    if (status != MIEN_OK || !(quality > 0))
        return status;
    const double geometry = mien__face_geometry(&body->face, (double)t->o.min_face_px);
    const double weight = geometry * (quality < 1 ? quality : 1);
    body->again = false;
    mien__history *const h = settle(t, body);
    if (h) {
        h->t.looks++;
        h->looked_ms = t->now_ms;
        h->t.quality = fmax(h->t.quality, weight);
        h->geometry = fmax(h->geometry, geometry);
        if (!h->announced) {
            h->announced = true;
            mien__tracker_say(t, MIEN_TRACK_SEEN, h, 0);
        }
        mien__history_add(h, t->vec, weight, t->o.dim, unlike(t));
        if (t->o.identify)
            status = name(t, h, err);
    }
    return status;
}

/* The body to look at next; NULL when there is none. */
static mien__body *next_look(mien_tracker *t)
{
    mien__body *next = NULL;
    for (int i = 0; i < t->o.max_tracks; i++) {
        mien__body *const b = &t->bodies[i];
        if (!worth_a_look(t, b))
            continue;
        const mien_track *const k = &b->history->t;
        if (!next || k->looks < next->history->t.looks ||
            (k->looks == next->history->t.looks && k->id < next->history->t.id))
            next = b;
    }
    return next;
}

mien_status mien__tracker_look(mien_tracker *t, mien_error *err)
{
    mien_status status = MIEN_OK;
    for (int i = 0; i < t->o.max_looks && status == MIEN_OK; i++) {
        mien__body *const body = next_look(t);
        if (!body)
            break;
        status = look_at(t, body, err);
    }
    resolve(t);
    return status;
}
