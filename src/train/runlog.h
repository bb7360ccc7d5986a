/* The log of a training run: one JSON object per line, and the reader that gives back its curves.
 *
 * A line goes to the file in one write before mien__runlog_write() returns, so a run that is killed at any
 * moment loses at most the line it was writing; opening the log again removes that piece.
 */
#ifndef MIEN_SRC_TRAIN_RUNLOG_H
#define MIEN_SRC_TRAIN_RUNLOG_H

#include "train/validate.h"

enum {
    MIEN__RUNLOG_MAX_BYTES = 1 << 28,
    MIEN__RUNLOG_MAX_SERIES = 256,
    MIEN__RUNLOG_NAME_BYTES = 96,
    MIEN__RUNLOG_MAX_DEPTH = 8,
};

/* A figure of a step: "loss", "loss_distill", "lr", "images_s", "grad_norm", ... */
typedef struct mien__runlog_value {
    const char *name;
    double value; /* written as null when it is not finite */
} mien__runlog_value;

typedef struct mien__runlog_record {
    uint64_t step, epoch;
    const mien__runlog_value *values;
    size_t n_values;
    const mien__validation *validation; /* NULL: none at this step */
    const char *note;                   /* NULL: none */
} mien__runlog_record;

typedef struct mien__runlog mien__runlog; /* not shared between threads */

/** Open a log for writing.
 *  @param resume  NULL: begin anew, whatever the file held. Else the last step of the checkpoint a run goes
 * on from: lines of later steps and a partial last line are cut off, so that the log reads as if the run had
 * never been interrupted
 *  @return E_IO; E_LIMIT when the old log has more than MIEN__RUNLOG_MAX_BYTES */
mien_status mien__runlog_open(const char *path, const uint64_t *resume, mien__runlog **ret, mien_error *err);
/* Append one line. On failure (a full disk) the file is cut back to whole lines. */
mien_status mien__runlog_write(mien__runlog *l, const mien__runlog_record *r, mien_error *err);
void mien__runlog_close(mien__runlog *l);

/* One curve; steps ascend. Names of nested figures are joined by dots: "validation.open.far_1e-2.fnmr.lo". */
typedef struct mien__series {
    char name[MIEN__RUNLOG_NAME_BYTES];
    size_t n, capacity;
    double *steps, *values;
} mien__series;

typedef struct mien__runlog_data {
    mien__series *series; /* in order of appearance */
    size_t n;
    size_t n_lines, n_bad; /* lines with a step; lines that are not JSON, left out */
} mien__runlog_data;

/** Read the curves of a log. Lines that are not JSON are counted and left out, and so is a partial last
 *  line; where a step comes again, the later line stands. Strings, arrays and null give no figure. */
mien_status mien__runlog_parse(const void *data, size_t bytes, mien__runlog_data *ret, mien_error *err);
mien_status mien__runlog_read(const char *path, mien__runlog_data *ret, mien_error *err);
/* NULL when there is none of that name. */
const mien__series *mien__runlog_find(const mien__runlog_data *d, const char *name);
void mien__runlog_data_clear(mien__runlog_data *d);

/* Private: the figures of one line, which the writer needs too when it cuts a log. */
typedef struct mien__runlog_line {
    size_t n;
    struct {
        char name[MIEN__RUNLOG_NAME_BYTES];
        double value;
    } figures[MIEN__RUNLOG_MAX_SERIES];
} mien__runlog_line;
/* False when it is not one JSON object, has more figures than fit or is nested too deeply. */
bool mien__runlog_scan(const char *s, size_t bytes, mien__runlog_line *ret);
/* The step of a line; false when it has none. */
bool mien__runlog_step(const mien__runlog_line *line, double *ret);

#endif
