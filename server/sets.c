/* Sets on the disk (see sets.h): making, finding and removing them. DATA/sets/ID holds set.json, written once, and
 * album.db. A set is removed by renaming its folder first, so that nobody finds half of one; what a stop leaves behind
 * is swept up at the next start.
 */
#include "sets.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_folder(const api_server *s, const char *id, char ret[FOLDER_PATH_BYTES])
{
    char sets[FOLDER_PATH_BYTES];
    return folder_path(sets, s->opts.data, "sets") && folder_path(ret, sets, id);
}

/* ---- set.json ---- */

static bool read_info(const api_server *s, const char *id, set_info *ret)
{
    char folder[FOLDER_PATH_BYTES], path[FOLDER_PATH_BYTES];
    const char *fault = NULL, *name = NULL, *purpose = "";
    size_t n = 0;
    json_int_t key = 0, created = 0, expires = 0;
    uint8_t *text = folder_is_id(id) && set_folder(s, id, folder) && folder_path(path, folder, "set.json")
                        ? file_read(path, 4096, &n)
                        : NULL;
    json_t *j = text ? api_json_parse(text, n, 4096, &fault) : NULL;
    const bool ok = j && !json_unpack(j, "{s:s,s?s,s:I,s:I,s:I}", "name", &name, "purpose", &purpose, "key", &key,
                                      "created_ms", &created, "expires_ms", &expires);
    if (ok) {
        *ret = (set_info){ .key = key, .created_ms = created, .expires_ms = expires };
        snprintf(ret->id, sizeof ret->id, "%s", id);
        snprintf(ret->name, sizeof ret->name, "%s", name);
        snprintf(ret->purpose, sizeof ret->purpose, "%s", purpose);
    }
    json_decref(j);
    free(text);
    return ok;
}

static mien_status fail(mien_error *err, mien_status st, const char *what)
{
    err->status = st;
    snprintf(err->message, sizeof err->message, "%s", what);
    return st;
}

mien_status set_make(api_server *s, const key_info *key, const char *name, const char *purpose, int64_t ms, set_info *ret,
                     mien_error *err)
{
    char folder[FOLDER_PATH_BYTES], path[FOLDER_PATH_BYTES], fault[256];
    *ret = (set_info){ .key = key->id, .created_ms = keys_steady_ms(), .expires_ms = keys_steady_ms() + ms };
    folder_new_id(ret->id);
    snprintf(ret->name, sizeof ret->name, "%s", name);
    snprintf(ret->purpose, sizeof ret->purpose, "%s", purpose);
    json_t *j = json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", ret->name, "purpose", ret->purpose, "key", (json_int_t)ret->key,
                          "created_ms", (json_int_t)ret->created_ms, "expires_ms", (json_int_t)ret->expires_ms);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return fail(err, MIEN_E_ARG, "the set's name is not valid text");
    const bool ok = set_folder(s, ret->id, folder) && folder_path(path, folder, "set.json") &&
                    folder_make(folder, fault, sizeof fault) && file_write(path, text, strlen(text));
    free(text);
    if (ok)
        return MIEN_OK;
    folder_remove(folder);
    return fail(err, MIEN_E_IO, "the set could not be stored");
}

/* ---- all of them ---- */

void sets_each(api_server *s, set_fn fn, void *ctx)
{
    char folder[FOLDER_PATH_BYTES];
    DIR *d = folder_path(folder, s->opts.data, "sets") ? opendir(folder) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        set_info info;
        if (e->d_name[0] != '.' && !read_info(s, e->d_name, &info)) {
            info = (set_info){ 0 }; /* half made or half removed */
            fn(ctx, e->d_name, NULL);
        } else if (e->d_name[0] != '.') {
            fn(ctx, e->d_name, &info);
        }
    }
    if (d)
        closedir(d);
}

static bool remove_folder(api_server *s, const char *name)
{
    char folder[FOLDER_PATH_BYTES], gone[FOLDER_PATH_BYTES];
    if (!set_folder(s, name, folder))
        return false;
    snprintf(gone, sizeof gone, "%.*s", (int)sizeof gone - 1, folder);
    if (folder_is_id(name)) {
        strcpy(gone + strlen(gone) - 4, ".old");
        if (rename(folder, gone))
            return false;
    }
    folder_remove(gone);
    return true;
}

mien_status set_remove(api_server *s, const key_info *key, const char *id, mien_error *err)
{
    set_info info;
    if (!set_find(s, key, id, &info))
        return fail(err, MIEN_E_NOT_FOUND, "there is no such set, or its time was over");
    return remove_folder(s, id) ? MIEN_OK : fail(err, MIEN_E_IO, "the set could not be removed");
}

static void sweep(void *ctx, const char *name, const set_info *info)
{
    api_server *s = ctx;
    /* a set is made in a moment; what has no description after the start of the server was left by a stop */
    if (info ? info->expires_ms <= keys_steady_ms() : !folder_is_id(name) || !s->http)
        remove_folder(s, name);
}

void sets_expire(api_server *s)
{
    sets_each(s, sweep, s);
}

bool sets_open(api_server *s, char *fault, size_t capacity)
{
    char folder[FOLDER_PATH_BYTES];
    if (!folder_path(folder, s->opts.data, "sets") || !folder_make(folder, fault, capacity))
        return false;
    sets_expire(s);
    return true;
}

/* ---- one of them ---- */

bool set_find(api_server *s, const key_info *key, const char *id, set_info *ret)
{
    return read_info(s, id, ret) && ret->expires_ms > keys_steady_ms() &&
           (ret->key == key->id || key_is_root(key));
}

mien_status set_open(api_server *s, const key_info *key, const char *id, mien_album **ret, set_info *ret_info,
                     mien_error *err)
{
    set_info info;
    char folder[FOLDER_PATH_BYTES], path[FOLDER_PATH_BYTES], print[65];
    if (!set_find(s, key, id, &info))
        return fail(err, MIEN_E_NOT_FOUND, "there is no such set, or its time was over");
    if (ret_info)
        *ret_info = info;
    if (!set_folder(s, id, folder) || !folder_path(path, folder, "album.db"))
        return fail(err, MIEN_E_LIMIT, "the data folder's path is too long");
    const mien_status st = mien_model_fingerprint(s->embed, print, err);
    return st ? st
              : mien_album_open(path, print, (size_t)mien_model_info_of(s->embed)->embedding_len, ret, err);
}

mien_album *set_of(api_call *c, set_info *ret_info)
{
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (set_open(c->server, &c->key, c->params[0], &album, ret_info, &err))
        api_fail_status(c, &err);
    return album;
}
