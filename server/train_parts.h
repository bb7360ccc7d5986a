/* Training through the API: what a run learns from, its settings, and the run. See api_train.c. */
#ifndef MIEN_SERVER_TRAIN_PARTS_H
#define MIEN_SERVER_TRAIN_PARTS_H

#include "jobs.h"
#include "sets.h"
#include <mien/train.h>

/* Fewer people with two pictures leave nobody to tell apart on one side; with fewer than six held out no
 * difference can be shown (see mien_train()). */
enum { TRAIN_LEAST_PEOPLE = 4, TRAIN_SHOWN_FROM = 6, TRAIN_MOST_PICTURES = 50000 };

/* ---- train_material.c: faces of people, out of a set or a collection ---- */

typedef struct train_person {
    int64_t id; /* of the gallery; 0 in a set */
    char *name;
    size_t n; /* pictures */
} train_person;

typedef struct train_face {
    size_t person;
    int64_t id;
    mien_face face; /* of a gallery: where it is in the kept picture */
} train_face;

typedef struct train_material {
    mien_album *album;                     /* of a set, or */
    mien_gallery *gallery;                 /* of a collection */
    train_person *people;                  /* who have a picture */
    size_t n_people, n_pictures, n_twice;  /* n_twice: people with two pictures or more */
    size_t n_left_people, n_left_pictures; /* without a kept picture or expired; without a face or a person */
    train_face *faces;                     /* of a set; of a collection once they are listed */
    size_t n_faces;
} train_material;

/* Open a set that the key may see, or, where set is NULL, a collection.
 * @return MIEN_OK; E_NOT_FOUND, E_LIMIT, and what opening them returns. To be closed in any case. */
mien_status train_material_open(api_server *s, const key_info *key, const char *set, const char *collection,
                                train_material *ret, mien_error *err);
void train_material_close(train_material *m);
/* List the faces of a collection's first people, 0: of all. */
mien_status train_material_list(train_material *m, size_t most_people, mien_error *err);
/* Write a face's aligned crop. */
mien_status train_material_write(api_server *s, const train_material *m, const train_face *f,
                                 const char *path, mien_error *err);
/* Whether that went wrong with this one picture alone. */
bool train_material_is_unusable(mien_status st);
/* How many people are kept away from a run: a fifth of those with two pictures, from 8 to 100, at most half.
 */
size_t train_held_out(size_t n_twice);
/* Whether it is enough; if not, a sentence. */
mien_status train_material_check(size_t n_twice, mien_error *err);

/* ---- settings ---- */

typedef struct train_settings {
    int64_t epochs, batch, seed, threads;
    double lr;
    mien_train_loss loss;
    const char *tune, *augment; /* lent by the arguments */
} train_settings;

/* Read them of a call and put them into args, or give them back of the args. false: answered. */
bool train_settings_read(api_call *c, json_t *args);
train_settings train_settings_of(const json_t *args);
void train_settings_fill(const train_settings *t, mien_train_opts *ret);

/* ---- train_run.c ---- */

/* A folder of its own for crops; folder_remove() it. */
mien_status train_work_new(api_server *s, char ret[FOLDER_PATH_BYTES], mien_error *err);
mien_status train_run(job *j, json_t **ret_result, mien_error *err);

mien_status train_fault(mien_error *err, mien_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
