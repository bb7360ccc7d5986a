/* A job as JSON, for callers and for the disk. What it is stands in job.json of its folder, written when it is taken in and
 * when it ends, so that a start of the server finds what was there before; a job that had not ended then is `stopped`.
 */
#include "jobs_parts.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_JSON = 64 << 20 };

static const char *const state_names[] = { "queued", "running", "done", "failed", "stopped" };

const char *job_state_name(const job *j)
{
    return state_names[j->state];
}

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

bool job_write(const job *j)
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

void job_free(job *j)
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
        job_free(j);
    return ok ? j : NULL;
}

static int by_age(const void *a, const void *b)
{
    const job *const *p = a, *const *q = b;
    return ((*p)->created_ms > (*q)->created_ms) - ((*p)->created_ms < (*q)->created_ms);
}

void jobs_read(jobs *all)
{
    DIR *d = opendir(all->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[FOLDER_PATH_BYTES];
        if (e->d_name[0] == '.' || !folder_path(path, all->folder, e->d_name))
            continue;
        job *j = folder_is_id(e->d_name) && all->n < JOBS_MOST ? read_job(all->folder, e->d_name) : NULL;
        if (j)
            all->items[all->n++] = j;
        else
            folder_remove(path);
    }
    if (d)
        closedir(d);
    qsort(all->items, all->n, sizeof *all->items, by_age);
}
