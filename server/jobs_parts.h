/* What jobs.c, jobs_store.c and api_jobs.c share. */
#ifndef MIEN_SERVER_JOBS_PARTS_H
#define MIEN_SERVER_JOBS_PARTS_H

#include "folders.h"
#include "jobs.h"
#include "see.h"

enum { JOBS_MOST = 200, JOB_MAX_FILES = 8, JOB_FILE_BYTES = 64, JOB_TYPE_BYTES = 64 };

typedef enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_STOPPED } job_state;

struct job {
    api_server *server;
    job_fn run;
    char id[FOLDER_ID_BYTES], kind[32], phase[64];
    char folder[FOLDER_PATH_BYTES];
    char collection[KEY_COLLECTION_BYTES];
    key_info key;
    job_state state;
    bool stop, forget; /* asked to stop; and to be forgotten then */
    int64_t created_ms, started_ms, ended_ms;
    uint64_t done, total;
    double told_ms;
    json_t *args, *more, *result, *error;
    char *input; /* what the work reads and nobody is shown; while it has not ended */
    size_t input_bytes;
    struct {
        char name[JOB_FILE_BYTES], type[JOB_TYPE_BYTES];
    } files[JOB_MAX_FILES];
    size_t n_files;
};

struct jobs {
    api_server *server;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop;
    char folder[FOLDER_PATH_BYTES];
    job **items; /* oldest first */
    size_t n;
    kit kit; /* of the thread */
};

bool job_has_ended(const job *j);
const char *job_state_name(const job *j);
/* Under the lock; `whole`: with its result. */
json_t *job_json(const job *j, bool whole);
/* Write job.json; under the lock. */
bool job_write(const job *j);
/* Read what an earlier run of the server left, oldest first. */
void jobs_read(jobs *all);
void job_free(job *j);
/* Remove a job that does not run, with its folder; under the lock. */
void job_forget(jobs *all, job *j);

#endif
