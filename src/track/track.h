/* The parts of the tracker; see tracker.c for how they work together.
 *
 * A track has two halves. Its body is where a face is: filter, last detection. Its history is whose face it
 * is: id, looks, fused template, votes, name. Bodies come and go with detections; a history outlives its body
 * for a while, and can be given to another body when looks show that the boxes were mixed up.
 */
#ifndef MIEN_SRC_TRACK_H
#define MIEN_SRC_TRACK_H

#include "base/base.h"
#include <mien/track.h>

/* ---- motion.c: where a face is and will be ---- */

typedef struct mien__motion {
    double x[4];                   /* centre x, y, width, height; px */
    double v[2];                   /* of the centre, px / s */
    double pxx[4], pxv[2], pvv[2]; /* covariances */
} mien__motion;

void mien__motion_begin(mien__motion *m, const mien_face *face);
void mien__motion_predict(mien__motion *m, double dt_s);
void mien__motion_update(mien__motion *m, const mien_face *face);
/* Intersection over union of the expected box and a face, each grown by `grow` of its size on every side. */
double mien__motion_overlap(const mien__motion *m, const mien_face *face, double grow);
double mien__face_overlap(const mien_face *a, const mien_face *b);
/* How much of a face can be seen, from its size and the place of the nose between the eyes: [0, 1]. */
double mien__face_geometry(const mien_face *face, double min_px);

/* ---- assign.c ---- */

enum { MIEN__ASSIGN_MAX = 256 };
/* Pair rows with columns so that the sum of gains is greatest; pairs of gain 0 are not made.
 *  @param gain    [n_rows][n_cols], >= 0, row-major
 *  @param ret     [n_rows] column or -1 */
void mien__assign(const double *gain, size_t n_rows, size_t n_cols, int *ret);

/* ---- history.c: what was seen of one person ---- */

enum { MIEN__KEPT_LOOKS = 10, MIEN__VOTES = 6 };

typedef struct mien__history {
    bool used, announced; /* announced: SEEN was said */
    mien_track t;         /* id, state, person, similarities, times; face of the last detection */
    int n_kept;
    double weights[MIEN__KEPT_LOOKS];
    float *kept;  /* [MIEN__KEPT_LOOKS][dim] */
    float *fused; /* [dim], unit; valid when n_kept > 0 */
    float *strange;
    bool has_strange;  /* the last look did not fit */
    double geometry;   /* best so far */
    int64_t looked_ms; /* last look taken */
    struct {
        int64_t person;
        int count;
    } votes[MIEN__VOTES];
    int misses; /* looks in a row that did not bear the name out */
} mien__history;

/* Add a look and fuse anew: the weighted mean without looks that are unlike the others. */
void mien__history_add(mien__history *h, const float *vec, double weight, int dim, double unlike);
/* Clear; templates are zeroed. */
void mien__history_clear(mien__history *h, int dim);
double mien__dot(const float *a, const float *b, int dim);

/* ---- vote.c: whose it is ---- */

/* Count a look's best candidate. */
void mien__vote(mien__history *h, const mien_track_candidate *c, size_t n, double threshold);
int mien__votes_of(const mien__history *h, int64_t person);
void mien__votes_forget(mien__history *h, int64_t person);

/* What may be said of a history now. */
typedef struct mien__verdict {
    mien_track_state state;
    int64_t person;
    double similarity;
} mien__verdict;
/* Decide from the votes and the candidates of the fused template. May count a miss.
 *  @param similarity_to_beat  per candidate: the claim of another track in view, -2 for none */
mien__verdict mien__decide_name(mien__history *h, const mien_track_opts *o, const mien_track_candidate *c,
                                size_t n, double threshold, const double *similarity_to_beat);

/* ---- tracker.c, looks.c ---- */

typedef struct mien__body {
    bool used;
    mien__motion motion;
    mien_face face;
    bool seen, again; /* again: look soon, for the box may hold another face now */
    int hits, attempts;
    int64_t missing_ms;   /* since when searches do not find it; -1: found by the last */
    int64_t attempted_ms; /* last look asked for */
    mien__history *history;
} mien__body;

struct mien_tracker {
    mien_track_opts o;
    int64_t now_ms, next_id;
    bool begun;
    mien__body *bodies;       /* [max_tracks] */
    mien__history *histories; /* [n_histories] */
    size_t n_histories;
    float *vectors, *vec; /* all templates in one piece; the look at hand */
    size_t vector_floats;
    double *gain; /* [max_tracks][MIEN__ASSIGN_MAX] */
    mien_track *tracks;
    size_t n_tracks;
    mien_track_event *events;
    size_t n_events, max_events;
};

void mien__tracker_say(mien_tracker *t, mien_track_event_kind kind, const mien__history *h, int64_t before);
/* A free history with a new id; makes room by letting the longest gone leave. NULL never. */
mien__history *mien__tracker_history(mien_tracker *t, const mien_face *face);
void mien__tracker_leave(mien_tracker *t, mien__history *h);
mien__body *mien__tracker_body_of(mien_tracker *t, const mien__history *h);
/* Look at the faces in view that are worth it, and decide. */
mien_status mien__tracker_look(mien_tracker *t, mien_error *err);

#endif
