/* The parts of `mien enroll`: jobs, work on one picture, batches into the gallery, print. */
#ifndef MIEN_CLI_ENROLL_H
#define MIEN_CLI_ENROLL_H

#include "galleries.h"
#include <stdatomic.h>

typedef struct enroll_opts {
    cli_gallery_common base; /* first */
    int format, force, keep_images, pick;
    const char *folder, *model, *note;
    cli_consent consent;
    double fpir;
} enroll_opts;

enum { ENROLL_PICK_ONE, ENROLL_PICK_LARGEST, ENROLL_PICK_CENTRAL };
enum { ENROLL_DIGEST_BYTES = 32 };

/* One picture to enrol and for whom. */
typedef struct enroll_job {
    const char *path;
    char *name;
} enroll_job;

/* What became of it. */
typedef struct enroll_result {
    const enroll_job *job;
    mien_status status; /* of reading */
    mien_error err;
    mien_reason reason;
    size_t n_faces; /* in the picture */
    mien_face face; /* in px of the picture that is kept, else of the file */
    mien_quality quality;
    float *vec;
    uint8_t digest[ENROLL_DIGEST_BYTES];
    uint8_t *image; /* to keep; NULL */
    size_t image_bytes;
    mien_enrolled enrolled;
    char *other; /* name of the person it looks like; NULL */
} enroll_result;

typedef struct enroll_run {
    const enroll_opts *opts;
    const char *path; /* of the gallery */
    mien_gallery *gallery;
    const mien_curve *curve; /* NULL: not calibrated */
    mien_consent consent;
    bool has_consent;
    enroll_job *jobs;
    size_t n_jobs, dim;
    enroll_result **pending; /* in order, not yet told to anybody */
    size_t n_pending, n_to_enrol, pending_bytes;
    atomic_bool failed; /* the gallery refused a change: nothing more is tried */
    double other_threshold, unlike_threshold;
    size_t n_enrolled, n_already, n_refused, n_failed, n_new_people;
    bool first;
    int exit_code;
} enroll_run;

/* Read, find, measure and embed one picture; any thread. */
void *enroll_work(void *run, void *kit, size_t item);
void enroll_result_free(enroll_result *r);
/* Take a result, in order; writes a batch into the gallery when there are enough. */
void enroll_done(void *run, size_t item, void *result);
/* Write what is pending and tell what became of it. */
void enroll_flush(enroll_run *run);
void enroll_print_result(enroll_run *run, const enroll_result *r);
void enroll_print_begin(const enroll_run *run);
void enroll_print_end(const enroll_run *run);

#endif
