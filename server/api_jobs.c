/* Calls on jobs: how far they are, what came of them, stopping and removing them. A job is its key's; a key that
 * administers every collection sees all. */
#include "jobs_parts.h"
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 20, MAX_FILE = 1 << 30 };

static bool is_for(const api_call *c, const job *j)
{
    return j->key.id == c->key.id || key_is_root(&c->key);
}

/* The job `id`, under the lock; NULL: answered. */
static job *find(api_call *c, const char *id)
{
    jobs *all = c->server->jobs;
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->items[i]->id, id) && is_for(c, all->items[i]) && !all->items[i]->forget)
            return all->items[i];
    api_fail(c, 404, "NOT_FOUND", "there is no such job, or it was removed");
    return NULL;
}

static void run_list(api_call *c)
{
    jobs *all = c->server->jobs;
    const char *kind = http_query(c->http, "kind");
    json_t *list = json_array();
    pthread_mutex_lock(&all->lock);
    for (size_t i = all->n; i-- > 0;)
        if (is_for(c, all->items[i]) && !all->items[i]->forget && (!kind || !strcmp(kind, all->items[i]->kind)))
            json_array_append_new(list, job_json(all->items[i], false));
    pthread_mutex_unlock(&all->lock);
    api_ok(c, 200, json_pack("{s:o}", "jobs", list));
}

static void run_show(api_call *c)
{
    jobs *all = c->server->jobs;
    pthread_mutex_lock(&all->lock);
    const job *j = find(c, c->params[0]);
    json_t *answer = j ? job_json(j, true) : NULL;
    pthread_mutex_unlock(&all->lock);
    if (j)
        api_ok(c, 200, answer);
}

/* A running job is asked to stop and stays; an ended one is removed. With ?forget=1 both. */
static void run_stop(api_call *c)
{
    jobs *all = c->server->jobs;
    int64_t forget = 0;
    json_t *answer = NULL;
    if (!api_arg_int(c, "forget", 0, 1, 0, &forget))
        return;
    pthread_mutex_lock(&all->lock);
    job *j = find(c, c->params[0]);
    if (j && j->state == JOB_RUNNING) {
        j->stop = true;
        j->forget = forget;
        answer = job_json(j, false);
    } else if (j) {
        job_forget(all, j);
    }
    pthread_mutex_unlock(&all->lock);
    if (answer)
        api_ok(c, 202, answer);
    else if (j)
        api_ok(c, 204, NULL);
}

/* A file is offered to be saved, never shown as a page of ours: a report holds names that others chose. */
static void run_file(api_call *c)
{
    jobs *all = c->server->jobs;
    char path[FOLDER_PATH_BYTES], type[JOB_TYPE_BYTES], disposition[JOB_FILE_BYTES + 32];
    bool found = false;
    size_t n = 0;
    pthread_mutex_lock(&all->lock);
    const job *j = find(c, c->params[0]);
    for (size_t i = 0; j && i < j->n_files; i++)
        if (!strcmp(j->files[i].name, c->params[1])) {
            found = folder_path(path, j->folder, j->files[i].name);
            snprintf(type, sizeof type, "%s", j->files[i].type);
        }
    pthread_mutex_unlock(&all->lock);
    if (!j)
        return;
    uint8_t *data = found ? file_read(path, MAX_FILE, &n) : NULL;
    if (!data) {
        api_fail(c, 404, "NOT_FOUND", "the job has no such file");
        return;
    }
    snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", c->params[1]);
    http_reply_header(c->reply, "Content-Disposition", disposition);
    http_reply_header(c->reply, "Content-Security-Policy",
                      "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    http_reply_take(c->reply, 200, type, data, n, free);
}

json_t *job_result(api_call *c, const char *id, const char *kind)
{
    jobs *all = c->server->jobs;
    json_t *ret = NULL;
    pthread_mutex_lock(&all->lock);
    const job *j = find(c, id ? id : "");
    if (j && (strcmp(j->kind, kind) != 0 || j->state != JOB_DONE))
        api_fail(c, 409, "NOT_DONE", "the job is no '%s' that ended well", kind);
    else if (j)
        ret = json_deep_copy(j->result);
    pthread_mutex_unlock(&all->lock);
    return ret;
}

const api_route api_jobs[] = {
    { "GET", "/v1/jobs", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_list },
    { "GET", "/v1/jobs/{job}", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_show },
    { "DELETE", "/v1/jobs/{job}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_stop },
    { "GET", "/v1/jobs/{job}/files/{file}", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_file },
    { 0 },
};
