/* A set by its people: for each picture the face that stands for it, with its vector (see sets.h). */
#include "sets.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    set_people *to;
    int (*sizes)[2]; /* px of each picture */
    size_t capacity;
    bool short_of_memory;
} reading;

static bool grow(reading *r)
{
    const size_t more = r->capacity ? 2 * r->capacity : 256;
    set_picture *pictures = realloc(r->to->pictures, more * sizeof *pictures);
    if (pictures)
        r->to->pictures = pictures;
    int(*sizes)[2] = pictures ? realloc(r->sizes, more * sizeof *sizes) : NULL;
    char **names = sizes ? realloc(r->to->names, more * sizeof *names) : NULL;
    if (sizes)
        r->sizes = sizes;
    if (names) {
        r->to->names = names;
        r->capacity = more;
    }
    return names;
}

/* Pictures come in the order of their paths, so those of one person follow each other. */
static int add(void *user, const mien_album_picture *picture, size_t n_faces)
{
    reading *r = user;
    set_people *to = r->to;
    (void)n_faces;
    if (to->n == r->capacity && !grow(r))
        return r->short_of_memory = true;
    set_picture *p = &to->pictures[to->n];
    *p = (set_picture){ .path = strdup(picture->path), .person = -1 };
    r->sizes[to->n][0] = picture->width;
    r->sizes[to->n][1] = picture->height;
    if (!p->path)
        return r->short_of_memory = true;
    to->n++;
    const char *slash = strchr(p->path, '/');
    if (!slash)
        return 0;
    const size_t len = (size_t)(slash - p->path);
    const char *last = to->n_people ? to->names[to->n_people - 1] : NULL;
    if (!last || strlen(last) != len || strncmp(last, p->path, len) != 0) {
        if (!(to->names[to->n_people] = strndup(p->path, len)))
            return r->short_of_memory = true;
        to->n_people++;
    }
    p->person = (int32_t)(to->n_people - 1);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const mien_album_face *const *p = a, *const *q = b;
    const int order = strcmp((*p)->path, (*q)->path);
    return order ? order : ((*p)->id > (*q)->id) - ((*p)->id < (*q)->id);
}

/* The face of one picture: faces[first] up to those of another path. Returns how many there are. */
static size_t choose(const mien_album_face *const *faces, size_t first, size_t n, const int size[2],
                     set_picture *p, mien_face *room)
{
    size_t count = 0;
    while (first + count < n && !strcmp(faces[first + count]->path, p->path)) {
        room[count] = faces[first + count]->face;
        count++;
    }
    const size_t k = mien_face_pick(room, count, size[0], size[1], MIEN_PICK_CENTRAL);
    if (k < count)
        p->face = faces[first + k]->id;
    return count;
}

static mien_status choose_all(const mien_album_list *list, const reading *r)
{
    const mien_album_face **faces = malloc((list->n_faces + 1) * sizeof *faces);
    mien_face *room = malloc((list->n_faces + 1) * sizeof *room);
    size_t at = 0;
    for (size_t i = 0; faces && i < list->n_faces; i++)
        faces[i] = &list->faces[i];
    if (faces && room) {
        qsort(faces, list->n_faces, sizeof *faces, by_path);
        for (size_t i = 0; i < r->to->n; i++) {
            set_picture *p = &r->to->pictures[i];
            while (at < list->n_faces && strcmp(faces[at]->path, p->path) < 0)
                at++; /* of a picture added since the pictures were read */
            at += choose(faces, at, list->n_faces, r->sizes[i], p, room);
            r->to->n_no_face += !p->face;
        }
    }
    const bool ok = faces && room;
    free(faces);
    free(room);
    return ok ? MIEN_OK : MIEN_E_NOMEM;
}

static mien_status read_vectors(mien_album *album, set_people *p, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (!(p->vecs = calloc(p->n + 1, p->dim * sizeof *p->vecs)))
        return MIEN_E_NOMEM;
    for (size_t i = 0; i < p->n && !st; i++)
        if (p->pictures[i].face)
            st = mien_album_vector(album, p->pictures[i].face, p->vecs + i * p->dim, err);
    return st;
}

mien_status set_people_new(mien_album *album, size_t dim, set_people *ret, mien_error *err)
{
    mien_album_list *list = NULL;
    *ret = (set_people){ .dim = dim };
    reading r = { .to = ret };
    mien_status st = mien_album_pictures(album, add, &r, err);
    if (!st && r.short_of_memory)
        st = MIEN_E_NOMEM;
    if (!st)
        st = mien_album_list_new(album, &list, err);
    if (!st)
        st = choose_all(list, &r);
    if (!st)
        st = read_vectors(album, ret, err);
    if (st == MIEN_E_NOMEM)
        *err = (mien_error){ .status = st, .message = "out of memory" };
    mien_album_list_free(list);
    free(r.sizes);
    if (st)
        set_people_free(ret);
    return st;
}

void set_people_free(set_people *p)
{
    if (p->vecs)
        sodium_memzero(p->vecs, p->n * p->dim * sizeof *p->vecs);
    free(p->vecs);
    for (size_t i = 0; i < p->n; i++)
        free(p->pictures[i].path);
    for (size_t i = 0; i < p->n_people; i++)
        free(p->names[i]);
    free(p->pictures);
    free(p->names);
    *p = (set_people){ 0 };
}
