/* The parts of `mien watch`: whom it knows, what it says, what it draws. */
#ifndef MIEN_CLI_WATCH_H
#define MIEN_CLI_WATCH_H

#include "galleries.h"

/* ---- watch_people.c: whom it knows: a gallery, or a folder of pictures, or nobody ---- */

typedef struct watch_people {
    size_t n; /* people */
    int dim;
    double threshold, fmr, fpir; /* that hold; NaN without people, and what is not known */
    double wanted, fpir_wanted;  /* threshold asked for (NaN: by the rate), and the rate */
    double pictures;             /* mean number behind a template */
    mien_curve *curve;           /* NULL: not calibrated */
    mien_gallery *gallery;       /* NULL: a folder */
    uint64_t sequence;           /* of the gallery when the threshold was settled */
    int64_t *ids;                /* gallery: whose names are known here */
    char **names;                /* folder: of person i + 1; gallery: of ids[i] */
    size_t n_names;
    float *vecs; /* folder: [n][dim], unit */
} watch_people;

/* Open the gallery or embed the folder (a folder per person, or a picture per person), and settle the
 * threshold: as given, or where at most `fpir` of strangers would be taken for one of these people. Reports;
 * returns the exit code. */
int watch_people_open(watch_people *people, const cli_gallery_common *base, const char *dir,
                      const cli_models *models, double threshold, double fpir);
/* The most alike people; a gallery that has changed is asked anew, and its threshold settled anew. */
mien_status watch_people_search(watch_people *people, const float *vec, mien_track_candidate *ret,
                                size_t *ret_n, mien_error *err);
/* Name of a person, lent until the gallery changes; NULL for 0. */
const char *watch_people_name(watch_people *people, int64_t person);
void watch_people_free(watch_people *people);

/* ---- watch_events.c: what it says, as JSON lines ---- */

typedef struct watch_log {
    FILE *f;
    const char *path; /* NULL: stdout */
    watch_people *people;
    int64_t wall_ms, media_ms; /* of the frame at hand */
    uint64_t n_tracks, n_recognised;
    uint64_t dropped;   /* reported so far */
    int64_t dropped_ms; /* when, wall clock */
    int exit_code;
} watch_log;

int watch_log_open(watch_log *log, const char *path, watch_people *people);
/* Times of what follows: now, and the last frame's. */
void watch_log_now(watch_log *log);
/* Begin an event; the caller adds to the object and gives it to watch_log_write(). */
json_t *watch_log_event(const watch_log *log, const char *event);
void watch_log_write(watch_log *log, json_t *event);
void watch_log_started(watch_log *log, const char *kind, const char *source, const mien_video_info *info,
                       const char *model);
void watch_log_track(watch_log *log, const mien_track_event *e);
/* Report new losses, at most once a second unless `now`. */
void watch_log_dropped(watch_log *log, uint64_t total, bool now);
void watch_log_error(watch_log *log, const mien_error *err);
void watch_log_close(watch_log *log);

/* ---- watch_draw.c: frames with what was seen drawn in ---- */

typedef struct watch_draw {
    const char *path; /* NULL: nothing is drawn */
    bool folder;      /* of JPEG files */
    double fps;
    mien_video_writer *writer;
} watch_draw;

int watch_draw_open(watch_draw *draw, const char *path, double fps);
mien_status watch_draw_frame(watch_draw *draw, watch_people *people, const mien_video_frame *frame,
                             const mien_track *tracks, size_t n, mien_error *err);
/* End the file, or remove what there is of it. */
int watch_draw_close(watch_draw *draw, bool keep);

#endif
