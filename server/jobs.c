/* Jobs (see jobs.h): a list under one lock, one thread that takes the oldest waiting one. jobs_store.c keeps them on the disk.
 */
#include "folders.h"
#include "jobs_parts.h"
#include "sets.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_WAITING = 16,
    SWEEP_S = 600,
    NICE = 10, /* recognition goes first */
    SAY_MS = 500
};
static const int64_t KEPT_MS = (int64_t)7 * 24 * 3600 * 1000;

/* ---- forgetting; under the lock ---- */

static void forget(jobs *all, size_t i)
{
    folder_remove(all->items[i]->folder);
    job_free(all->items[i]);
    memmove(all->items + i, all->items + i + 1, (--all->n - i) * sizeof *all->items);
}

void job_forget(jobs *all, job *j)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i] == j) {
            forget(all, i);
            return;
        }
}

/* Ended jobs beyond their time, and when `room` is wanted the oldest ended one. */
static void sweep(jobs *all, bool room)
{
    const int64_t now = keys_steady_ms();
    for (size_t i = all->n; i-- > 0;)
        if (job_has_ended(all->items[i]) && all->items[i]->ended_ms + KEPT_MS < now)
            forget(all, i);
    for (size_t i = 0; room && all->n == JOBS_MOST && i < all->n; i++)
        if (job_has_ended(all->items[i]))
            forget(all, i);
}

/* ---- running ---- */

static void tell(job *j, bool always)
{
    const double now = http_now_ms();
    if (j->server->jobs->stop || (!always && now - j->told_ms < SAY_MS))
        return;
    j->told_ms = now;
    events_say(j->server, j->collection, "job",
               json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "job", j->id, "kind", j->kind, "state", job_state_name(j),
                         "phase", j->phase, "done", (json_int_t)j->done, "total", (json_int_t)j->total));
}

static void end(job *j, mien_status st, json_t *result, const mien_error *err)
{
    int http = 0;
    j->ended_ms = keys_steady_ms();
    free(j->input);
    j->input = NULL;
    j->state = !st ? JOB_DONE : j->stop ? JOB_STOPPED : JOB_FAILED;
    json_decref(j->error);
    j->error = NULL;
    if (!st)
        j->result = result ? result : json_object();
    else
        json_decref(result);
    if (j->state == JOB_FAILED)
        j->error = json_pack("{s:s,s:s}", "code", api_code(st, &http), "message",
                             err->message[0] && http_is_utf8(err->message) ? err->message : mien_status_text(st));
    else if (j->state == JOB_STOPPED)
        j->error = json_pack("{s:s,s:s}", "code", "STOPPED", "message", "it was stopped");
    if (!job_write(j) && j->state == JOB_DONE) {
        j->state = JOB_FAILED;
        json_decref(j->error);
        j->error = json_pack("{s:s,s:s}", "code", "STORAGE", "message",
                             "the result could not be stored: the disk is full or not writable");
    }
    tell(j, true);
}

static void run(jobs *all, job *j)
{
    json_t *result = NULL;
    mien_error err = MIEN_ERROR_INIT;
    j->state = JOB_RUNNING;
    j->started_ms = keys_steady_ms();
    tell(j, true);
    pthread_mutex_unlock(&all->lock);
    const mien_status st = j->run(j, &result, &err);
    pthread_mutex_lock(&all->lock);
    end(j, st, result, &err);
    if (j->forget)
        job_forget(all, j);
}

static job *next_waiting(jobs *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i]->state == JOB_QUEUED)
            return all->items[i];
    return NULL;
}

static void *work(void *ctx)
{
    jobs *all = ctx;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    pthread_mutex_lock(&all->lock);
    while (!all->stop) {
        job *j = next_waiting(all);
        if (j) {
            run(all, j);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += SWEEP_S;
        if (pthread_cond_timedwait(&all->wake, &all->lock, &until) == ETIMEDOUT) {
            sweep(all, false);
            pthread_mutex_unlock(&all->lock);
            sets_expire(all->server);
            pthread_mutex_lock(&all->lock);
        }
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- for the work ---- */

api_server *job_server(const job *j)
{
    return j->server;
}

const key_info *job_key(const job *j)
{
    return &j->key;
}

const char *job_collection(const job *j)
{
    return j->collection;
}

const json_t *job_args(const job *j)
{
    return j->args;
}

const char *job_input(const job *j, size_t *ret_bytes)
{
    *ret_bytes = j->input_bytes;
    return j->input;
}

const char *job_folder(const job *j)
{
    return j->folder;
}

bool job_stopped(const job *j)
{
    jobs *all = j->server->jobs;
    pthread_mutex_lock(&all->lock);
    const bool stopped = j->stop;
    pthread_mutex_unlock(&all->lock);
    return stopped;
}

mien_status job_kit(job *j, kit **ret, mien_error *err)
{
    jobs *all = j->server->jobs;
    mien_detect_opts d = MIEN_DETECT_OPTS_INIT;
    mien_embed_opts e = MIEN_EMBED_OPTS_INIT;
    mien_status st = MIEN_OK;
    if (!all->kit.detector)
        st = mien_detector_new(j->server->detect, &d, &all->kit.detector, err);
    if (!st && !all->kit.embedder)
        st = mien_embedder_new(j->server->embed, &e, &all->kit.embedder, err);
    *ret = &all->kit;
    return st;
}

void job_say(job *j, const char *phase, uint64_t done, uint64_t total, json_t *more)
{
    jobs *all = j->server->jobs;
    pthread_mutex_lock(&all->lock);
    const bool changed = strcmp(j->phase, phase) != 0;
    snprintf(j->phase, sizeof j->phase, "%s", phase);
    j->done = done;
    j->total = total;
    if (more) {
        json_decref(j->more);
        j->more = more;
    }
    tell(j, changed);
    pthread_mutex_unlock(&all->lock);
}

void job_offer(job *j, const char *name, const char *type)
{
    jobs *all = j->server->jobs;
    pthread_mutex_lock(&all->lock);
    if (j->n_files < JOB_MAX_FILES) {
        snprintf(j->files[j->n_files].name, JOB_FILE_BYTES, "%s", name);
        snprintf(j->files[j->n_files++].type, JOB_TYPE_BYTES, "%s", type);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- taking in ---- */

static size_t waiting(const jobs *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += all->items[i]->state == JOB_QUEUED;
    return n;
}

static job *make(api_call *c, const char *kind, job_fn fn, json_t *args, const void *input, size_t bytes)
{
    char fault[256];
    job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    if (input && (j->input = malloc(bytes + 1))) {
        memcpy(j->input, input, bytes);
        j->input[bytes] = 0;
        j->input_bytes = bytes;
    }
    j->server = c->server;
    j->run = fn;
    j->args = json_incref(args);
    j->key = c->key;
    j->created_ms = keys_steady_ms();
    folder_new_id(j->id);
    snprintf(j->kind, sizeof j->kind, "%s", kind);
    snprintf(j->phase, sizeof j->phase, "waiting");
    snprintf(j->collection, sizeof j->collection, "%s", c->collection);
    if (!input == !j->input && folder_path(j->folder, c->server->jobs->folder, j->id) &&
        folder_make(j->folder, fault, sizeof fault) &&
        job_write(j))
        return j;
    folder_remove(j->folder);
    job_free(j);
    return NULL;
}

void job_take(api_call *c, const char *kind, job_fn fn, json_t *args)
{
    job_take_with(c, kind, fn, args, NULL, 0);
}

void job_take_with(api_call *c, const char *kind, job_fn fn, json_t *args, const void *input, size_t bytes)
{
    jobs *all = c->server->jobs;
    pthread_mutex_lock(&all->lock);
    sweep(all, true);
    const bool full = all->n == JOBS_MOST || waiting(all) >= MAX_WAITING;
    job *j = full ? NULL : make(c, kind, fn, args, input, bytes);
    json_t *answer = NULL;
    if (j) {
        all->items[all->n++] = j;
        answer = job_json(j, true);
        pthread_cond_signal(&all->wake);
    }
    pthread_mutex_unlock(&all->lock);
    json_decref(args);
    if (j) {
        char where[64];
        snprintf(where, sizeof where, "/v1/jobs/%s", json_string_value(json_object_get(answer, "id")));
        http_reply_header(c->reply, "Location", where);
        api_ok(c, 202, answer);
    } else if (full) {
        http_reply_header(c->reply, "Retry-After", "30");
        api_fail(c, 429, "TOO_MANY_JOBS", "%d jobs are waiting: try again later", MAX_WAITING);
    } else {
        api_fail(c, 507, "STORAGE", "the job could not be stored");
    }
}

/* ---- start and stop ---- */

bool jobs_start(api_server *s, char *fault, size_t capacity)
{
    pthread_condattr_t monotonic;
    jobs *all = s->jobs = calloc(1, sizeof *all);
    snprintf(fault, capacity, "out of memory");
    if (!all || !(all->items = calloc(JOBS_MOST, sizeof *all->items)))
        return false;
    all->server = s;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!folder_path(all->folder, s->opts.data, "jobs") || !folder_make(all->folder, fault, capacity))
        return false;
    jobs_read(all);
    for (size_t i = 0; i < all->n; i++)
        all->items[i]->server = s;
    sweep(all, false);
    return all->running = pthread_create(&all->thread, NULL, work, all) == 0;
}

void jobs_hush(api_server *s)
{
    jobs *all = s->jobs;
    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    all->stop = true;
    for (size_t i = 0; i < all->n; i++)
        all->items[i]->stop = true;
    pthread_cond_signal(&all->wake);
    pthread_mutex_unlock(&all->lock);
}

void jobs_stop(api_server *s)
{
    jobs *all = s->jobs;
    if (!all)
        return;
    jobs_hush(s);
    if (all->running)
        pthread_join(all->thread, NULL);
    for (size_t i = 0; i < all->n; i++)
        job_free(all->items[i]);
    kit_close(&all->kit);
    free(all->items);
    free(all);
    s->jobs = NULL;
}
