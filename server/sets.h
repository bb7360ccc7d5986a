/* Sets: pictures that were sent to be worked on together: an album to be grouped, people to measure or train on.
 *
 * Of each picture only its name, size and faces are kept: box, template and an aligned crop, in an album's file
 * (<mien/album.h>) of the set's own, DATA/sets/ID/album.db. The picture itself is not. A set belongs to the key that
 * made it and is removed when its time is over. A picture NAME/FILE is one of the person NAME.
 */
#ifndef MIEN_SERVER_SETS_H
#define MIEN_SERVER_SETS_H

#include "folders.h"
#include "server_parts.h"
#include <mien/album.h>

enum { SET_NAME_BYTES = 128, SET_PURPOSE_BYTES = 32 };

typedef struct set_info {
    char id[FOLDER_ID_BYTES];
    char name[SET_NAME_BYTES];
    char purpose[SET_PURPOSE_BYTES]; /* what it was made for, in its maker's word; "" */
    int64_t key; /* that made it */
    int64_t created_ms, expires_ms;
} set_info;

/* Make the folder, remove what is over. false and one sentence. */
bool sets_open(api_server *s, char *ret_fault, size_t capacity);
/* Remove sets whose time is over. */
void sets_expire(api_server *s);

/* Each folder of a set; `info` NULL: it is half made or half removed. */
typedef void (*set_fn)(void *ctx, const char *folder, const set_info *info);
void sets_each(api_server *s, set_fn fn, void *ctx);

/* Make a set that lives for `ms`. @return MIEN_OK; E_ARG, E_IO */
mien_status set_make(api_server *s, const key_info *key, const char *name, const char *purpose, int64_t ms,
                     set_info *ret, mien_error *err);
/* Whether the key may use that set, and its time is not over. */
bool set_find(api_server *s, const key_info *key, const char *id, set_info *ret);
/* @return MIEN_OK; E_NOT_FOUND, E_IO */
mien_status set_remove(api_server *s, const key_info *key, const char *id, mien_error *err);

/* Open the album of set `id` for a key: its maker's, or one that administers.
 * @return MIEN_OK; E_NOT_FOUND; mien_album_open()'s. The caller frees *ret; ret_info may be NULL */
mien_status set_open(api_server *s, const key_info *key, const char *id, mien_album **ret, set_info *ret_info,
                     mien_error *err);
/* The same for the call's first parameter; NULL: answered. */
mien_album *set_of(api_call *c, set_info *ret_info);

/* One picture of a set and the face that stands for it: the most central. */
typedef struct set_picture {
    char *path;
    int32_t person; /* index into names; -1: in no person's folder */
    int64_t face;   /* 0: none was found */
} set_picture;

/* A set by its people. */
typedef struct set_people {
    set_picture *pictures; /* by path */
    size_t n;
    char **names;
    size_t n_people;
    size_t n_no_face, dim;
    float *vecs; /* [n][dim], zero where there is no face; wiped when freed */
} set_people;
mien_status set_people_new(mien_album *album, size_t dim, set_people *ret, mien_error *err);
void set_people_free(set_people *p);

#endif
