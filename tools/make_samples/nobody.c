/* Embeddings of all people's neutral and smiling pictures, and the greatest similarity of a new face to them.
 */
#include "nobody.h"
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_JUDGES = 4, MAX_VECTORS = 512 };

typedef struct judge {
    mien_model *model;
    mien_embedder *embedder;
    double threshold;
    size_t len;
    float *vectors;
} judge;

struct judges {
    mien_model *detector_model;
    mien_detector *detector;
    judge each[MAX_JUDGES];
    int n, n_vectors, ids[MAX_VECTORS]; /* whose each vector is */
};

/* Embed the largest face with every model at the end of their vectors. */
static int embed(judges *j, mien_image_view v)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_face *faces = NULL;
    size_t n = 0;
    if (j->n_vectors == MAX_VECTORS)
        die("too many faces", NULL);
    if (mien_detect(j->detector, v, &faces, &n, &err))
        die("detector", err.message);
    if (n == 0)
        return 0;
    const mien_face face = faces[mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_LARGEST)];
    for (int i = 0; i < j->n; i++) {
        judge *g = &j->each[i];
        if (mien_embed_face(g->embedder, v, &face, g->vectors + (size_t)j->n_vectors * g->len, &err))
            die("embedder", err.message);
    }
    return 1;
}

judges *judges_new(const char *folder, const char *const *models, int n_models, const int *ids, int n_ids)
{
    mien_error err = MIEN_ERROR_INIT;
    judges *j = take_memory(1, sizeof *j);
    j->n = n_models;
    if (n_models > MAX_JUDGES ||
        (mien_model_load("yunet_n_dynamic", &j->detector_model, NULL) &&
         mien_model_load_default(MIEN_TASK_DETECT, &j->detector_model, &err)) ||
        mien_detector_new(j->detector_model, NULL, &j->detector, &err))
        die("detector", err.message);
    for (int i = 0; i < n_models; i++) {
        judge *g = &j->each[i];
        if (mien_model_load(models[i], &g->model, &err) ||
            mien_embedder_new(g->model, NULL, &g->embedder, &err) ||
            mien_model_threshold(g->model, 1e-3, &g->threshold, &err))
            die(models[i], err.message);
        g->len = (size_t)mien_model_info_of(g->model)->embedding_len;
        g->vectors = take_memory(MAX_VECTORS, g->len * sizeof *g->vectors);
    }
    for (int i = 0; i < 2 * n_ids; i++) {
        char path[4096];
        snprintf(path, sizeof path, i % 2 ? "%s/smiling_front/%03d_08.jpg" : "%s/neutral_front/%03d_03.jpg",
                 folder, ids[i / 2]);
        judges_add(j, path, ids[i / 2]);
    }
    return j;
}

void judges_add(judges *j, const char *path, int id)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL;
    if (mien_image_load(path, NULL, &img, &err))
        die(path, err.message);
    const int found = embed(j, mien_image_view_of(img));
    mien_image_free(img);
    if (found)
        j->ids[j->n_vectors++] = id;
}

void judges_free(judges *j)
{
    for (int i = 0; i < j->n; i++) {
        free(j->each[i].vectors);
        mien_embedder_free(j->each[i].embedder);
        mien_model_free(j->each[i].model);
    }
    mien_detector_free(j->detector);
    mien_model_free(j->detector_model);
    free(j);
}

double judges_margin(judges *j, const canvas *a, int *ret_nearest)
{
    mien_image *img = canvas_image(a);
    const int found = embed(j, mien_image_view_of(img));
    mien_image_free(img);
    *ret_nearest = 0;
    double least = found ? 2 : -1;
    for (int i = 0; i < j->n && found; i++) {
        const judge *g = &j->each[i];
        const float *own = g->vectors + (size_t)j->n_vectors * g->len;
        for (int k = 0; k < j->n_vectors; k++) {
            const double m = g->threshold - mien_cosine(own, g->vectors + (size_t)k * g->len, g->len);
            if (m < least) {
                least = m;
                *ret_nearest = j->ids[k];
            }
        }
    }
    return least;
}
