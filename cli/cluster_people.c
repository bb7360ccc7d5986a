/* `mien cluster`: who is known already, from a gallery; and who the folders say it is, to judge the groups
 * by. */
#include "cluster.h"
#include <stdlib.h>
#include <string.h>

/* ---- people of a gallery ---- */

static int note_person(void *user, const mien_person *person)
{
    cluster_known *k = user;
    if (person->expired || !person->n_faces)
        return 0;
    if (k->n == k->capacity) {
        k->capacity = k->capacity ? 2 * k->capacity : 64;
        k->people = cli_grow(k->people, k->capacity, sizeof *k->people);
        k->ids = cli_grow(k->ids, k->capacity, sizeof *k->ids);
    }
    k->ids[k->n] = person->id;
    k->people[k->n++] = (mien_album_person){ cli_strdup(person->name), NULL };
    return 0;
}

void cli_cluster_known_free(cluster_known *k)
{
    if (k->vecs)
        explicit_bzero(k->vecs, k->n * k->dim * sizeof *k->vecs);
    for (size_t i = 0; i < k->n; i++)
        free((char *)(uintptr_t)k->people[i].name);
    free(k->vecs);
    free(k->people);
    free(k->ids);
    mien_gallery_free(k->gallery);
}

int cli_cluster_known(const cluster_opts *o, const mien_model *model, size_t dim, cluster_known *k)
{
    const cli_gallery_how how = { .mode = MIEN_GALLERY_READ, .embedder = model, .no_index = true };
    mien_error err = MIEN_ERROR_INIT;
    *k = (cluster_known){ .dim = dim };
    if (!o->base.gallery)
        return CLI_YES;
    const int rc = cli_gallery_open(&o->base, o->base.gallery, &how, &k->gallery);
    if (rc != CLI_YES)
        return rc;
    mien_status st = mien_gallery_people(k->gallery, NULL, 0, 0, note_person, k, &err);
    k->vecs = cli_alloc(k->n * dim, sizeof *k->vecs);
    for (size_t i = 0; i < k->n && st == MIEN_OK; i++) {
        k->people[i].vec = k->vecs + i * dim;
        st = mien_gallery_template(k->gallery, k->ids[i], k->vecs + i * dim, &err);
    }
    return st == MIEN_OK ? CLI_YES : cli_fail_path(o->base.gallery, &err);
}

/* ---- judging ---- */

typedef struct person {
    const char *path;
    size_t len, face; /* of the folder */
    float area;
} person;

/* By folder, then picture, the largest face first. */
static int by_folder(const void *a, const void *b)
{
    const person *const x = a, *const y = b;
    const size_t len = x->len < y->len ? x->len : y->len;
    const int order = memcmp(x->path, y->path, len);
    if (order || x->len != y->len)
        return order ? order : x->len < y->len ? -1 : 1;
    const int picture = strcmp(x->path, y->path);
    if (picture)
        return picture;
    return x->area > y->area ? -1 : x->area < y->area ? 1 : x->face < y->face ? -1 : 1;
}

/* Of each picture only the largest face is judged: the folder says whose it is. */
int cli_cluster_judge(const mien_album_list *list, mien_cluster_scores *ret)
{
    person *const people = cli_alloc(list->n_faces, sizeof *people);
    int32_t *const truth = cli_alloc(list->n_faces, sizeof *truth), *const found = cli_alloc(list->n_faces,
                                                                                             sizeof *found);
    mien_error err = MIEN_ERROR_INIT;
    size_t n = 0;
    int32_t who = 0;
    for (size_t i = 0; i < list->n_faces; i++) {
        const mien_face *const f = &list->faces[i].face;
        const char *const slash = strrchr(list->faces[i].path, '/');
        people[i] = (person){ list->faces[i].path, slash ? (size_t)(slash - list->faces[i].path) : 0, i,
                              (f->x1 - f->x0) * (f->y1 - f->y0) };
    }
    qsort(people, list->n_faces, sizeof *people, by_folder);
    for (size_t i = 0; i < list->n_faces; i++) {
        const person *const p = &people[i], *const before = i ? &people[i - 1] : NULL;
        if (before && !strcmp(before->path, p->path))
            continue;
        who += before && (before->len != p->len || memcmp(before->path, p->path, p->len) != 0);
        const mien_album_group_info *const g = cli_cluster_group(list, p->face);
        truth[n] = who;
        found[n++] = g ? (int32_t)(g - list->groups) : MIEN_CLUSTER_NONE;
    }
    const mien_status st = mien_cluster_score(found, truth, n, ret, &err);
    free(people);
    free(truth);
    free(found);
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}
