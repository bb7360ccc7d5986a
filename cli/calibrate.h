/* What `mien calibrate` and `mien gallery calibrate` share: fitting templates, printing what came of it. */
#ifndef MIEN_CLI_CALIBRATE_H
#define MIEN_CLI_CALIBRATE_H

#include "galleries.h"
#include "labelled.h"

typedef struct calibrate_job {
    const char *data; /* for messages: the folder or the gallery */
    const mien_model *model;
    mien_gallery *keep; /* gallery to keep it with; NULL */
    const char *keep_path;
    const char *out, *protocol;
    double target; /* 0 or NaN: the strictest supported */
    bool json;
    float *vecs;      /* [n][dim] */
    uint32_t *people; /* [n] */
    size_t n, dim, n_no_face, n_bad;
    /* results */
    mien_curve *curve;
    mien_curve_point point; /* chosen */
    mien_estimate threshold;
} calibrate_job;

/* Fit, write, keep, print. Frees and wipes the templates. Reports; returns the exit code. */
int calibrate_run(calibrate_job *job);

void calibrate_print_text(const calibrate_job *job);
void calibrate_print_json(const calibrate_job *job, const char *curve);

#endif
