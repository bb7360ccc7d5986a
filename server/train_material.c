/* What a run learns from (see train_parts.h): of a set the crops that were made when its pictures came, one
 * for each picture of a person; of a collection the kept pictures of its people, cut anew where each face was
 * when it was enrolled. Kept pictures came from outside: they are decoded in the confined process, as every
 * picture is.
 */
#include "train_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

mien_status train_fault(mien_error *err, mien_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return err->status = status;
}

static mien_status no_memory(mien_error *err)
{
    return train_fault(err, MIEN_E_NOMEM, "out of memory");
}

/* ---- people ---- */

static bool add_person(train_material *m, int64_t id, const char *name, size_t n)
{
    if ((m->n_people & (m->n_people + 1)) == 0) { /* full at 0, 1, 3, 7, ...: to twice the room */
        train_person *more = realloc(m->people, (2 * m->n_people + 1) * sizeof *more);
        if (!more)
            return false;
        m->people = more;
    }
    train_person *p = &m->people[m->n_people];
    *p = (train_person){ id, strdup(name), n };
    if (!p->name)
        return false;
    m->n_people++;
    m->n_pictures += n;
    m->n_twice += n > 1;
    return true;
}

static mien_status read_set(train_material *m, size_t dim, mien_error *err)
{
    set_people p = { 0 };
    size_t *index = NULL, *counts = NULL;
    mien_status st = set_people_new(m->album, dim, &p, err);
    if (st)
        return st;
    index = calloc(p.n_people + 1, sizeof *index);
    counts = calloc(p.n_people + 1, sizeof *counts);
    m->faces = calloc(p.n + 1, sizeof *m->faces);
    st = index && counts && m->faces ? MIEN_OK : no_memory(err);
    for (size_t i = 0; !st && i < p.n; i++)
        if (p.pictures[i].person >= 0 && p.pictures[i].face > 0)
            counts[p.pictures[i].person]++;
        else
            m->n_left_pictures++;
    for (size_t i = 0; !st && i < p.n_people; i++) {
        index[i] = m->n_people;
        if (!counts[i])
            m->n_left_people++;
        else if (!add_person(m, 0, p.names[i], counts[i]))
            st = no_memory(err);
    }
    for (size_t i = 0; !st && i < p.n; i++)
        if (p.pictures[i].person >= 0 && p.pictures[i].face > 0)
            m->faces[m->n_faces++] =
                (train_face){ .person = index[p.pictures[i].person], .id = p.pictures[i].face };
    free(index);
    free(counts);
    set_people_free(&p);
    return st;
}

typedef struct listing {
    train_material *m;
    size_t person;
    bool full;
} listing;

static int take_person(void *user, const mien_person *p)
{
    listing *l = user;
    if (p->expired || p->n_images == 0)
        l->m->n_left_people++;
    else
        l->full = !add_person(l->m, p->id, p->name, p->n_images);
    return l->full;
}

static mien_status read_collection(train_material *m, mien_error *err)
{
    listing l = { .m = m };
    const mien_status st = mien_gallery_people(m->gallery, NULL, 0, 0, take_person, &l, err);
    return st ? st : l.full ? no_memory(err) : MIEN_OK;
}

mien_status train_material_open(api_server *s, const key_info *key, const char *set, const char *collection,
                                train_material *ret, mien_error *err)
{
    char actor[64];
    const size_t dim = (size_t)mien_model_info_of(s->embed)->embedding_len;
    mien_status st = MIEN_OK;
    *ret = (train_material){ 0 };
    snprintf(actor, sizeof actor, "key %lld training", (long long)key->id);
    if (set) {
        if (!(st = set_open(s, key, set, &ret->album, NULL, err)))
            st = read_set(ret, dim, err);
    } else if (!(st = collection_open(s, collection, actor, &ret->gallery, err)))
        st = read_collection(ret, err);
    if (!st && ret->n_pictures > TRAIN_MOST_PICTURES)
        st = train_fault(err, MIEN_E_LIMIT, "a run takes at most %d pictures, here are %zu",
                         TRAIN_MOST_PICTURES, ret->n_pictures);
    return st;
}

void train_material_close(train_material *m)
{
    for (size_t i = 0; i < m->n_people; i++)
        free(m->people[i].name);
    free(m->people);
    free(m->faces);
    mien_album_free(m->album);
    mien_gallery_free(m->gallery);
    *m = (train_material){ 0 };
}

size_t train_held_out(size_t n_twice)
{
    const size_t fifth = n_twice / 5, n = fifth < 8 ? 8 : fifth > 100 ? 100 : fifth;
    return n > n_twice / 2 ? n_twice / 2 : n;
}

mien_status train_material_check(size_t n_twice, mien_error *err)
{
    if (n_twice >= TRAIN_LEAST_PEOPLE)
        return MIEN_OK;
    return train_fault(err, MIEN_E_EVAL_DATA,
                       "training takes at least %d people with two pictures each, better fifty: here %s %zu",
                       TRAIN_LEAST_PEOPLE, n_twice == 1 ? "is" : "are", n_twice);
}

/* ---- faces ---- */

static int take_face(void *user, const mien_gallery_face *f)
{
    listing *l = user;
    train_material *m = l->m;
    l->full = m->n_faces == m->n_pictures; /* enrolled meanwhile: not of this run */
    if (!l->full && f->has_image)
        m->faces[m->n_faces++] = (train_face){ l->person, f->id, f->face };
    return l->full;
}

mien_status train_material_list(train_material *m, size_t most_people, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (m->album)
        return MIEN_OK;
    if (!(m->faces = calloc(m->n_pictures + 1, sizeof *m->faces)))
        return no_memory(err);
    for (size_t i = 0; !st && i < m->n_people && (!most_people || i < most_people); i++) {
        listing l = { m, i, false };
        st = mien_gallery_faces(m->gallery, m->people[i].id, take_face, &l, err);
        if (st == MIEN_E_NOT_FOUND) /* removed meanwhile */
            st = MIEN_OK;
    }
    return st;
}

static mien_status write_file(const char *path, const uint8_t *data, size_t n, mien_error *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < n) {
        const ssize_t got = write(fd, data + done, n - done);
        if (got < 0 && errno != EINTR)
            break;
        done += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0 && close(fd) == 0 && done == n)
        return MIEN_OK;
    return train_fault(err, MIEN_E_IO, "a crop cannot be written: %s", strerror(errno));
}

/* Cut the face out of a kept picture. */
static mien_status cut(api_server *s, const uint8_t *data, size_t n, const mien_face *where, uint8_t **ret,
                       size_t *ret_n, mien_error *err)
{
    mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
    mien_image *picture = NULL, *crop = NULL;
    mien_face f = *where;
    o.max_bytes = API_MAX_BODY;
    o.sandbox = s->opts.sandbox;
    o.min_short_side = 1200;
    if (s->opts.max_pixels)
        o.max_pixels = s->opts.max_pixels;
    mien_status st = mien_image_decode(data, n, &o, &picture, err);
    if (st)
        return st;
    const float k = 1.0f / (float)mien_image_scale(picture);
    f.x0 *= k, f.y0 *= k, f.x1 *= k, f.y1 *= k;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        f.landmarks[i][0] *= k, f.landmarks[i][1] *= k;
    st = mien_align(s->embed, mien_image_view_of(picture), &f, &crop, err);
    if (st == MIEN_E_ARG) /* the landmarks kept of it are none */
        st = MIEN_E_NO_FACE;
    if (!st)
        st = mien_image_encode(mien_image_view_of(crop), "jpeg", 95, ret, ret_n, err);
    mien_image_free(crop);
    mien_image_free(picture);
    return st;
}

bool train_material_is_unusable(mien_status st)
{
    return st == MIEN_E_NO_FACE || st == MIEN_E_IMAGE_FORMAT || st == MIEN_E_IMAGE_CORRUPT ||
           st == MIEN_E_IMAGE_CODEC || st == MIEN_E_LIMIT;
}

mien_status train_material_write(api_server *s, const train_material *m, const train_face *f,
                                 const char *path, mien_error *err)
{
    uint8_t *data = NULL, *crop = NULL;
    size_t n = 0, n_crop = 0;
    mien_status st = m->album ? mien_album_crop(m->album, f->id, &data, &n, err)
                              : mien_gallery_image(m->gallery, f->id, &data, &n, err);
    if (st)
        return st == MIEN_E_NOT_FOUND ? MIEN_E_NO_FACE : st; /* removed meanwhile */
    if (m->album)
        st = write_file(path, data, n, err);
    else if (!(st = cut(s, data, n, &f->face, &crop, &n_crop, err)))
        st = write_file(path, crop, n_crop, err);
    mien_image_data_free(crop);
    mien_image_data_free(data);
    return st;
}
