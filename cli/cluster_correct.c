/* `mien cluster`: what people correct. */
#include "cluster.h"
#include <stdlib.h>
#include <string.h>

int64_t *cli_cluster_faces(const char *text, size_t *ret_n)
{
    int64_t *faces = cli_alloc(strlen(text) / 2 + 1, sizeof *faces);
    size_t n = 0;
    for (const char *p = text;; p++) {
        char *end = NULL;
        const long long v = *p >= '0' && *p <= '9' ? strtoll(p, &end, 10) : 0;
        if (v < 1 || (*end && *end != ',')) {
            free(faces);
            return NULL;
        }
        faces[n++] = v;
        if (!*end)
            break;
        p = end;
    }
    *ret_n = n;
    return faces;
}

static mien_status correct_name(mien_album *album, const char *text, mien_error *err)
{
    int64_t group = 0;
    const char *const equals = strchr(text, '=');
    char *const which = cli_format("%.*s", (int)(equals - text), text);
    mien_status st = mien_album_find(album, which, &group, err);
    if (st == MIEN_OK)
        st = mien_album_name(album, group, equals + 1, err);
    free(which);
    return st;
}

static mien_status correct_not(mien_album *album, const char *text, mien_error *err)
{
    int64_t group = 0;
    mien_status st = mien_album_find(album, strchr(text, ':') + 1, &group, err);
    if (st == MIEN_OK)
        st = mien_album_not(album, strtoll(text, NULL, 10), group, err);
    return st;
}

static mien_status correct_merge(mien_album *album, const char *text, mien_error *err)
{
    int64_t into = 0, from = 0;
    const char *const comma = strchr(text, ',');
    char *const which = cli_format("%.*s", (int)(comma - text), text);
    mien_status st = mien_album_find(album, which, &into, err);
    if (st == MIEN_OK)
        st = mien_album_find(album, comma + 1, &from, err);
    if (st == MIEN_OK)
        st = mien_album_merge(album, into, from, err);
    free(which);
    return st;
}

static mien_status correct_split(mien_album *album, const char *text, mien_error *err)
{
    size_t n = 0;
    int64_t *const faces = cli_cluster_faces(text, &n);
    const mien_status st = mien_album_split(album, faces, n, NULL, err);
    free(faces);
    return st;
}

static mien_status undo(mien_album *album, mien_error *err)
{
    char what[128];
    const mien_status st = mien_album_undo(album, what, sizeof what, err);
    if (st == MIEN_OK)
        cli_say("taken back: %s", what);
    return st;
}

/* In the order: take back, forget, part, join, name. */
int cli_cluster_correct(const cluster_opts *o, mien_album *album)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = o->undo ? undo(album, &err) : MIEN_OK;
    if (st == MIEN_OK && o->forget)
        st = mien_album_remove(album, o->forget, &err);
    if (st == MIEN_OK && o->not_this)
        st = correct_not(album, o->not_this, &err);
    if (st == MIEN_OK && o->split)
        st = correct_split(album, o->split, &err);
    if (st == MIEN_OK && o->merge)
        st = correct_merge(album, o->merge, &err);
    if (st == MIEN_OK && o->name)
        st = correct_name(album, o->name, &err);
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}
