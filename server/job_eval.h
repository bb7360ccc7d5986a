/* Evaluations and calibrations as jobs: the work, and what its files share. */
#ifndef MIEN_SERVER_JOB_EVAL_H
#define MIEN_SERVER_JOB_EVAL_H

#include "jobs.h"
#include "sets.h"
#include <mien/eval.h>

/* The work of POST /v1/eval and POST /v1/calibrate, whose arguments api_eval.c has checked. */
mien_status job_verify(job *j, json_t **ret, mien_error *err);    /* pairs of a set's people, or of a list */
mien_status job_scores(job *j, json_t **ret, mien_error *err);    /* of any matcher */
mien_status job_identify(job *j, json_t **ret, mien_error *err);  /* searches */
mien_status job_calibrate(job *j, json_t **ret, mien_error *err); /* a curve */

/* The set of a job's arguments with its people. */
typedef struct eval_set {
    mien_album *album;
    set_info info;
    set_people people;
} eval_set;
mien_status eval_set_open(job *j, eval_set *ret, mien_error *err);
void eval_set_close(eval_set *s);

/* A picture's place among the set's by its path, also one that begins with the name of the set's folder; n: none. */
size_t eval_set_find(const eval_set *s, const char *path);
/* {"count", "paths": the first hundred} of pictures in which no face was found. */
json_t *eval_no_face(const eval_set *s);

/* Rows of a list that were passed over: "bad_row_list" of a result. */
enum { EVAL_BAD_ROWS = 10 };
typedef struct eval_noted_rows {
    size_t n;
    json_t *list; /* [{"line", "why"}] */
} eval_noted_rows;
void eval_note_row(size_t line, const char *why, void *user); /* of mien_eval_csv_opts */

/* Arguments of the job. */
const char *eval_text_arg(const job *j, const char *name); /* NULL: none */
double eval_real_arg(const job *j, const char *name, double fallback);
size_t eval_count_arg(const job *j, const char *name, size_t fallback);

mien_status eval_fail(mien_error *err, mien_status st, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* E_INTERRUPTED where the job was asked to stop. */
mien_status eval_go_on(const job *j, mien_error *err);
/* Path of a file in the job's folder. */
mien_status eval_path(const job *j, const char *name, char ret[FOLDER_PATH_BYTES], mien_error *err);
/* Write a text there and offer it. */
mien_status eval_offer(job *j, const char *name, const char *text, mien_error *err);

#endif
