/* Jobs (see jobs.h): a list under one lock, one thread that takes the oldest waiting one. What a job is stands in
 * job.json of its folder, written when it is taken in and when it ends, so that a start of the server finds what was
 * there before; a job that had not ended then is `stopped`.
 */
#include "folders.h"
#include "jobs_parts.h"
#include "sets.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_WAITING = 16,
    MAX_JOBS = 200,
    MAX_JSON = 64 << 20,
    SWEEP_S = 600,
    NICE = 10, /* recognition goes first */
    SAY_MS = 500
};
static const int64_t KEPT_MS = (int64_t)7 * 24 * 3600 * 1000;

static const char *const state_names[] = { "queued", "running", "done", "failed", "stopped" };

bool job_has_ended(const job *j)
{
    return j->state > JOB_RUNNING;
}

/* ---- JSON; under the lock ---- */

static json_t *files_json(const job *j)
{
    json_t *list = json_array();
    for (size_t i = 0; i < j->n_files; i++) {
        char path[FOLDER_PATH_BYTES];
        struct stat st;
        if (folder_path(path, j->folder, j->files[i].name) && !stat(path, &st))
            json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "name", j->files[i].name, "type",
                                                  j->files[i].type, "bytes", (json_int_t)st.st_size));
    }
    return list;
}

static json_t *progress_json(const job *j)
{
    json_t *p = j->more ? json_copy(j->more) : json_object();
    json_object_set_new(p, "phase", json_string(j->phase));
    json_object_set_new(p, "done", json_integer((json_int_t)j->done));
    json_object_set_new(p, "total", json_integer((json_int_t)j->total));
    return p;
}

json_t *job_json(const job *j, bool whole)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:O,s:O,s:O*}", "id", j->id, "kind", j->kind, "state",
                     state_names[j->state], "created_ms", time_json(j->created_ms), "started_ms",
                     time_json(j->started_ms), "ended_ms", time_json(j->ended_ms), "progress", progress_json(j), "files",
                     files_json(j), "args", j->args, "error", j->error ? j->error : json_null(), "result",
                     whole ? (j->result ? j->result : json_null()) : NULL);
}

/* ---- on the disk ---- */

static bool write_down(const job *j)
{
    char path[FOLDER_PATH_BYTES];
    json_t *v = job_json(j, true);
    if (v)
        json_object_set_new(v, "key", json_integer(j->key.id));
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    const bool ok = text && folder_path(path, j->folder, "job.json") && file_write(path, text, strlen(text));
    free(text);
    json_decref(v);
    return ok;
}

static void free_job(job *j)
{
    json_decref(j->args);
    json_decref(j->more);
    json_decref(j->result);
    json_decref(j->error);
    free(j->input);
    free(j);
}

static bool named(const json_t *v, const char *name, char *ret, size_t capacity)
{
    const char *text = json_string_value(json_object_get(v, name));
    return text && (size_t)snprintf(ret, capacity, "%s", text) < capacity;
}

static void read_files(job *j, const json_t *v)
{
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(v, "files"), i, f)
        if (j->n_files < JOB_MAX_FILES && named(f, "name", j->files[j->n_files].name, JOB_FILE_BYTES) &&
            named(f, "type", j->files[j->n_files].type, JOB_TYPE_BYTES))
            j->n_files++;
}

static bool read_state(job *j, const json_t *v)
{
    char state[16];
    if (!named(v, "state", state, sizeof state))
        return false;
    for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++)
        if (!strcmp(state, state_names[i]))
            j->state = (job_state)i;
    if (job_has_ended(j))
        return true;
    j->state = JOB_STOPPED;
    j->ended_ms = keys_steady_ms();
    json_decref(j->error);
    j->error = json_pack("{s:s,s:s}", "code", "STOPPED", "message", "the server was stopped meanwhile");
    return true;
}

static job *read_job(const char *folder, const char *id)
{
    char path[FOLDER_PATH_BYTES];
    size_t n = 0;
    job *j = calloc(1, sizeof *j);
    uint8_t *text = j && folder_path(j->folder, folder, id) && folder_path(path, j->folder, "job.json")
                        ? file_read(path, MAX_JSON, &n)
                        : NULL;
    json_error_t e;
    json_t *v = text ? json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &e) : NULL;
    free(text);
    bool ok = v && named(v, "id", j->id, sizeof j->id) && !strcmp(j->id, id) &&
              named(v, "kind", j->kind, sizeof j->kind);
    if (ok) {
        const json_t *progress = json_object_get(v, "progress");
        j->key.id = json_integer_value(json_object_get(v, "key"));
        j->created_ms = json_integer_value(json_object_get(v, "created_ms"));
        j->started_ms = json_integer_value(json_object_get(v, "started_ms"));
        j->ended_ms = json_integer_value(json_object_get(v, "ended_ms"));
        j->args = json_incref(json_object_get(v, "args"));
        j->more = json_deep_copy(progress);
        j->done = (uint64_t)json_integer_value(json_object_get(progress, "done"));
        j->total = (uint64_t)json_integer_value(json_object_get(progress, "total"));
        named(progress, "phase", j->phase, sizeof j->phase);
        if (!json_is_null(json_object_get(v, "result")))
            j->result = json_incref(json_object_get(v, "result"));
        if (!json_is_null(json_object_get(v, "error")))
            j->error = json_incref(json_object_get(v, "error"));
        read_files(j, v);
        ok = j->args && read_state(j, v);
    }
    json_decref(v);
    if (!ok && j)
        free_job(j);
    return ok ? j : NULL;
}

static int by_age(const void *a, const void *b)
{
    const job *const *p = a, *const *q = b;
    return ((*p)->created_ms > (*q)->created_ms) - ((*p)->created_ms < (*q)->created_ms);
}

static void read_all(jobs *all)
{
    DIR *d = opendir(all->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[FOLDER_PATH_BYTES];
        if (e->d_name[0] == '.' || !folder_path(path, all->folder, e->d_name))
            continue;
        job *j = folder_is_id(e->d_name) && all->n < MAX_JOBS ? read_job(all->folder, e->d_name) : NULL;
        if (j)
            all->items[all->n++] = j;
        else
            folder_remove(path);
    }
    if (d)
        closedir(d);
    qsort(all->items, all->n, sizeof *all->items, by_age);
}

/* ---- forgetting; under the lock ---- */

static void forget(jobs *all, size_t i)
{
    folder_remove(all->items[i]->folder);
    free_job(all->items[i]);
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
    for (size_t i = 0; room && all->n == MAX_JOBS && i < all->n; i++)
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
               json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "job", j->id, "kind", j->kind, "state", state_names[j->state],
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
    if (!write_down(j) && j->state == JOB_DONE) {
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
        write_down(j))
        return j;
    folder_remove(j->folder);
    free_job(j);
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
    const bool full = all->n == MAX_JOBS || waiting(all) >= MAX_WAITING;
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
    if (!all || !(all->items = calloc(MAX_JOBS, sizeof *all->items)))
        return false;
    all->server = s;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!folder_path(all->folder, s->opts.data, "jobs") || !folder_make(all->folder, fault, capacity))
        return false;
    read_all(all);
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
        free_job(all->items[i]);
    kit_close(&all->kit);
    free(all->items);
    free(all);
    s->jobs = NULL;
}
