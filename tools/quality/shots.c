/* Reading pictures below a folder; see shots.h. */
#include "shots.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void fail(const mien_error *err)
{
    fprintf(stderr, "quality: %s\n", err->message);
    exit(5);
}

void shots_open(shots *s)
{
    mien_error err = MIEN_ERROR_INIT;
    memset(s, 0, sizeof *s);
    if (mien_model_load_default(MIEN_TASK_DETECT, &s->detect, &err) ||
        mien_model_load_default(MIEN_TASK_EMBED, &s->embed, &err) ||
        mien_detector_new(s->detect, NULL, &s->detector, &err) ||
        mien_embedder_new(s->embed, NULL, &s->embedder, &err))
        fail(&err);
    const mien_model_info *info = mien_model_info_of(s->embed);
    s->dim = (size_t)info->embedding_len;
    if (mien_model_threshold(s->embed, info->default_fmr, &s->threshold, &err))
        fail(&err);
}

static void add(shots *s, const char *path, int person)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    if (mien_image_load(path, NULL, &image, &err))
        return;
    const mien_image_view v = mien_image_view_of(image);
    if (mien_detect(s->detector, v, &faces, &n, &err))
        fail(&err);
    const size_t at = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
    if (at == n) {
        s->faceless++;
        mien_image_free(image);
        return;
    }
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 256;
        s->items = realloc(s->items, s->capacity * sizeof *s->items);
    }
    shot *item = &s->items[s->n++];
    *item = (shot){ .path = strdup(path), .person = person, .face = faces[at] };
    item->vec = calloc(s->dim, sizeof(float));
    if (!item->path || !item->vec)
        exit(5);
    if (mien_quality_measure(v, &item->face, &item->quality, &err) ||
        mien_embed_face(s->embedder, v, &item->face, item->vec, &err))
        fail(&err);
    mien_image_free(image);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void walk(shots *s, const char *dir)
{
    struct dirent **names = NULL;
    const int n = scandir(dir, &names, visible, alphasort);
    int mine = -1;
    if (n < 0) {
        fprintf(stderr, "quality: %s: cannot be read\n", dir);
        exit(3);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            walk(s, path);
        } else {
            if (mine < 0)
                mine = s->people++;
            add(s, path, mine);
        }
        free(names[i]);
    }
    free(names);
}

void shots_read(shots *s, const char *dir)
{
    walk(s, dir);
}

void shots_free(shots *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].path);
        free(s->items[i].vec);
    }
    free(s->items);
    mien_detector_free(s->detector);
    mien_embedder_free(s->embedder);
    mien_model_free(s->detect);
    mien_model_free(s->embed);
}

mien_image *shot_picture(const shot *item)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    if (mien_image_load(item->path, NULL, &image, &err))
        fail(&err);
    return image;
}

const shot *shot_mate(const shots *s, size_t index)
{
    const int person = s->items[index].person;
    if (index + 1 < s->n && s->items[index + 1].person == person)
        return &s->items[index + 1];
    size_t first = index; /* the last of a person: their first */
    while (first > 0 && s->items[first - 1].person == person)
        first--;
    return first < index ? &s->items[first] : NULL;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n ? values[n / 2] : 0;
}
