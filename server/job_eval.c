/* What the work of evaluations shares (see job_eval.h). */
#include "job_eval.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATHS = 100 };

mien_status eval_fail(mien_error *err, mien_status st, const char *fmt, ...)
{
    va_list args;
    *err = (mien_error)MIEN_ERROR_INIT;
    err->status = st;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return st;
}

mien_status eval_go_on(const job *j, mien_error *err)
{
    return job_stopped(j) ? eval_fail(err, MIEN_E_INTERRUPTED, "it was stopped") : MIEN_OK;
}

/* ---- arguments ---- */

const char *eval_text_arg(const job *j, const char *name)
{
    return json_string_value(json_object_get(job_args(j), name));
}

double eval_real_arg(const job *j, const char *name, double fallback)
{
    const json_t *v = json_object_get(job_args(j), name);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

size_t eval_count_arg(const job *j, const char *name, size_t fallback)
{
    const json_t *v = json_object_get(job_args(j), name);
    return json_is_integer(v) ? (size_t)json_integer_value(v) : fallback;
}

/* ---- files ---- */

mien_status eval_path(const job *j, const char *name, char ret[FOLDER_PATH_BYTES], mien_error *err)
{
    return folder_path(ret, job_folder(j), name) ? MIEN_OK
                                                 : eval_fail(err, MIEN_E_IO, "the data folder's path is too long");
}

mien_status eval_offer(job *j, const char *name, const char *text, mien_error *err)
{
    char path[FOLDER_PATH_BYTES];
    const mien_status st = eval_path(j, name, path, err);
    if (st)
        return st;
    if (!file_write(path, text, strlen(text)))
        return eval_fail(err, MIEN_E_IO, "%s could not be stored: %s", name, strerror(errno));
    job_offer(j, name, "application/json");
    return MIEN_OK;
}

/* ---- a set ---- */

mien_status eval_set_open(job *j, eval_set *ret, mien_error *err)
{
    api_server *s = job_server(j);
    *ret = (eval_set){ 0 };
    job_say(j, "reading the set", 0, 0, NULL);
    mien_status st = set_open(s, job_key(j), eval_text_arg(j, "set"), &ret->album, &ret->info, err);
    if (!st)
        st = set_people_new(ret->album, (size_t)mien_model_info_of(s->embed)->embedding_len, &ret->people, err);
    if (!st && ret->people.n == 0)
        st = eval_fail(err, MIEN_E_EVAL_DATA, "the set holds no picture");
    if (st)
        eval_set_close(ret);
    return st;
}

void eval_set_close(eval_set *s)
{
    if (s->people.n || s->people.pictures)
        set_people_free(&s->people);
    mien_album_free(s->album);
    *s = (eval_set){ 0 };
}

static size_t find(const set_people *p, const char *path)
{
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (strcmp(p->pictures[mid].path, path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->n && !strcmp(p->pictures[lo].path, path) ? lo : p->n;
}

size_t eval_set_find(const eval_set *s, const char *path)
{
    const size_t i = find(&s->people, path);
    const char *slash = strchr(path, '/');
    return i == s->people.n && slash ? find(&s->people, slash + 1) : i;
}

json_t *eval_no_face(const eval_set *s)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < s->people.n && json_array_size(paths) < MAX_PATHS; i++)
        if (!s->people.pictures[i].face)
            json_array_append_new(paths, json_string(s->people.pictures[i].path));
    return json_pack("{s:I,s:o}", "count", (json_int_t)s->people.n_no_face, "paths", paths);
}

void eval_note_row(size_t line, const char *why, void *user)
{
    eval_noted_rows *bad = user;
    if (bad->n++ < EVAL_BAD_ROWS)
        json_array_append_new(bad->list, json_pack("{s:I,s:s}", "line", (json_int_t)line, "why", why));
}
