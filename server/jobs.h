/* Jobs: what takes longer than a request. A call hands one in and is answered 202 at once; one thread of low priority
 * runs them one after the other, so that recognition goes on beside it; GET /v1/jobs/ID says how far it is, and what
 * came of it. A job has a folder, DATA/jobs/ID, for files it offers; both are removed with the job, at the latest a
 * week after its end. What a stop of the server interrupts is then `stopped`.
 */
#ifndef MIEN_SERVER_JOBS_H
#define MIEN_SERVER_JOBS_H

#include "server_parts.h"

typedef struct job job;
/* The work, on the jobs' thread. *ret_result: an object for the job's "result". E_INTERRUPTED: it was stopped. */
typedef mien_status (*job_fn)(job *j, json_t **ret_result, mien_error *err);

bool jobs_start(api_server *s, char *ret_fault, size_t capacity);
/* Ask what runs to stop, and tell events no more: the layer that carries them is about to go. */
void jobs_hush(api_server *s);
/* Stop what runs (it is asked, and waited for) and free. */
void jobs_stop(api_server *s);

/* Take a job in and answer the call: 202 and the job, or 429 when too many wait. `kind` is static. Takes args, an
 * object that the job is shown with. */
void job_take(api_call *c, const char *kind, job_fn run, json_t *args);
/* The same with a text that the work reads and nobody is shown; copied. */
void job_take_with(api_call *c, const char *kind, job_fn run, json_t *args, const void *input, size_t bytes);

/* ---- for the work ---- */
api_server *job_server(const job *j);
const key_info *job_key(const job *j);
const json_t *job_args(const job *j); /* lent */
const char *job_collection(const job *j); /* of the call */
const char *job_folder(const job *j);
/* The text that it was handed in with, ended by a zero; lent. NULL: none. */
const char *job_input(const job *j, size_t *ret_bytes);
bool job_stopped(const job *j);
/* Detector and embedder of the jobs' thread, made when first asked for; lent. */
mien_status job_kit(job *j, kit **ret, mien_error *err);
/* Say how far it is; total 0: not known. Takes `more`, an object of further figures that replaces the one before;
 * NULL: those stay. */
void job_say(job *j, const char *phase, uint64_t done, uint64_t total, json_t *more);
/* Offer a file of the job's folder to be fetched; `type` is static. */
void job_offer(job *j, const char *name, const char *type);

/* ---- for later calls ---- */
/* The result of an ended job of that kind, of the call's key or for one that administers; owned by the caller. NULL:
 * answered. */
json_t *job_result(api_call *c, const char *id, const char *kind);

#endif
