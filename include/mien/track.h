/* Following faces through a video and deciding, over time, whose they are.
 *
 * Knows neither pixels nor galleries: the caller hands in the faces of each frame, embeds a face when asked
 * (`look`), and says whose a template may be (`identify`). The tracker links faces to tracks, chooses which
 * looks are worth their cost, fuses a track's looks to one template with outliers left out, and names a
 * person only when the evidence holds; "unknown" is an answer. Templates stay inside and are zeroed.
 *
 * Same inputs, same answers: nothing here depends on clocks, threads or addresses.
 */
#ifndef MIEN_TRACK_H
#define MIEN_TRACK_H

#include <mien/face.h>

MIEN_BEGIN_DECLS

/** Tracks of one video; used by one thread. */
typedef struct mien_tracker mien_tracker;

/** Whose a template may be. */
typedef struct mien_track_candidate {
    int64_t person;    /**< positive */
    double similarity; /**< cosine */
} mien_track_candidate;

enum { MIEN_TRACK_CANDIDATES = 4 };

/** Embed one face of the frame at hand.
 *  @param face         as it was given to mien_tracker_step()
 *  @param ret_vec      [dim] floats, unit L2 norm
 *  @param ret_quality  weight in (0, 1] from what the picture shows (sharpness, light); 0: not worth
 *                      embedding, ret_vec was not written */
typedef mien_status (*mien_track_look_fn)(void *user, const mien_face *face, float *ret_vec,
                                          double *ret_quality, mien_error *err);
/** Find the most alike people, best first.
 *  @param ret            [MIEN_TRACK_CANDIDATES]
 *  @param ret_threshold  similarity at or above which a candidate counts */
typedef mien_status (*mien_track_identify_fn)(void *user, const float *vec, mien_track_candidate *ret,
                                              size_t *ret_n, double *ret_threshold, mien_error *err);

typedef struct mien_track_opts {
    size_t struct_size;
    int dim;                         /**< floats of a template; 0: faces are only followed */
    mien_track_look_fn look;         /**< required where dim > 0 */
    mien_track_identify_fn identify; /**< NULL: nobody is named */
    void *user;                      /**< handed to both */
    int max_tracks;                  /**< at a time; further faces are not followed; default 64 */
    double min_iou; /**< least overlap of a face with where its track expects it; default 0.2 */
    int min_hits;   /**< detections before a track counts; default 2 */
    int lost_ms;    /**< without a detection a track is followed by its motion so long; default 500 */
    int rejoin_ms;  /**< and remembered so long after, by its looks; default 4000 */
    double rejoin_similarity; /**< cosine at which two looks are of one person; default 0.4: take the
                                   model's threshold */
    int look_gap_ms;          /**< least time between two looks at a track; default 200 */
    int refresh_ms;           /**< look again after so long though nothing is gained; default 2000 */
    int max_looks;            /**< per frame; default 2 */
    float min_face_px;        /**< smaller faces are followed, not looked at; default 24 */
    int min_votes;            /**< looks that must agree before a person is named; default 2 */
    int unknown_looks;        /**< looks after which a track without a name is unknown; default 4 */
    double hysteresis; /**< a name holds until its similarity falls so far under the threshold, and a rival
                          must be ahead by as much; default 0.06 */
} mien_track_opts;

/** Fill with the defaults. */
MIEN_API void mien_track_opts_init(mien_track_opts *opts);

typedef enum mien_track_state {
    MIEN_TRACK_NEW = 0,     /**< not yet enough looks to say */
    MIEN_TRACK_KNOWN = 1,   /**< `person` is named */
    MIEN_TRACK_UNKNOWN = 2, /**< nobody that identify() knows */
} mien_track_state;

/** A track as it stands. */
typedef struct mien_track {
    int64_t id;     /**< positive, in the order of birth */
    mien_face face; /**< last detection, moved to where the track is expected when the frame shows none */
    int seen;       /**< 1: detected in this frame, 0: followed by its motion */
    mien_track_state state;
    int64_t person;    /**< 0 unless known */
    double similarity; /**< known: with that person, of the fused looks. Else: with the best candidate; 0
                          without looks */
    double best;      /**< highest similarity that this track had with its person, or with any when unknown */
    double threshold; /**< that held at the last look */
    double quality;   /**< of its best look, (0, 1]; 0 without */
    int looks;        /**< taken so far */
    int64_t first_ms, last_ms; /**< media time of first and last detection */
} mien_track;

typedef enum mien_track_event_kind {
    MIEN_TRACK_SEEN = 0,       /**< a face that is no known track's came into view */
    MIEN_TRACK_RECOGNISED = 1, /**< a track was given a person, or another one than before */
    MIEN_TRACK_STRANGER = 2, /**< a track is nobody's: after enough looks, or because a name was withdrawn */
    MIEN_TRACK_LEFT = 3,     /**< out of view and not come back within lost_ms + rejoin_ms */
} mien_track_event_kind;

typedef struct mien_track_event {
    mien_track_event_kind kind;
    mien_track track; /**< as it stood after the event */
    int64_t before;   /**< RECOGNISED, STRANGER: the person it counted as before; 0 */
} mien_track_event;

/** Make a tracker; all memory it will ever need is taken here.
 *  @param opts  NULL for the defaults: faces are only followed
 *  @return MIEN_OK; E_ARG, E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_tracker_new(const mien_track_opts *opts, mien_tracker **ret,
                                                    mien_error *err);
MIEN_API void mien_tracker_free(mien_tracker *tracker);

/** Advance to a frame.
 *  Motion: constant velocity, a Kalman filter for each of centre and size (Kalman 1960); links: the
 * assignment with the greatest sum of overlaps (Kuhn 1955), as SORT (Bewley et al. 2016).
 *  @param media_ms  not before the last frame's
 *  @param faces     [n] of this frame; NULL when it was not searched: tracks move on
 *  @return MIEN_OK; E_ARG; what look() or identify() returned: the frame counts all the same, the looks that
 * are missing are taken later */
MIEN_API MIEN_MUST_USE mien_status mien_tracker_step(mien_tracker *tracker, int64_t media_ms,
                                                     const mien_face *faces, size_t n, mien_error *err);

/** End: every track leaves. The tracker starts anew with the next frame; ids go on. */
MIEN_API void mien_tracker_finish(mien_tracker *tracker);

/** Lend the tracks in view or expected there, by id; valid until the next step. */
MIEN_API const mien_track *mien_tracker_tracks(const mien_tracker *tracker, size_t *ret_n);

/** Lend what happened in the last step or finish, in order; valid until the next. */
MIEN_API const mien_track_event *mien_tracker_events(const mien_tracker *tracker, size_t *ret_n);

MIEN_END_DECLS

#endif
