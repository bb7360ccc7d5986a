/* Compares the largest face of two photographs and says whether they show the same person.
 *
 *   compare A.jpg B.jpg        exit 0: same person, 1: different people, 2: something failed
 *
 * Build: cc compare.c $(pkg-config --cflags --libs mien)
 */
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct tools {
    mien_model *detect_model, *embed_model;
    mien_detector *detector;
    mien_embedder *embedder;
} tools;

static mien_status open_tools(tools *t, mien_error *err)
{
    const mien_detect_opts detect_opts = MIEN_DETECT_OPTS_INIT;
    const mien_embed_opts embed_opts = MIEN_EMBED_OPTS_INIT;
    mien_status status = mien_model_load_default(MIEN_TASK_DETECT, &t->detect_model, err);
    if (status == MIEN_OK)
        status = mien_model_load_default(MIEN_TASK_EMBED, &t->embed_model, err);
    if (status == MIEN_OK)
        status = mien_detector_new(t->detect_model, &detect_opts, &t->detector, err);
    if (status == MIEN_OK)
        status = mien_embedder_new(t->embed_model, &embed_opts, &t->embedder, err);
    return status;
}

static void close_tools(tools *t)
{
    mien_embedder_free(t->embedder);
    mien_detector_free(t->detector);
    mien_model_free(t->embed_model);
    mien_model_free(t->detect_model);
}

/* Embeds the largest face of a picture into vec. */
static mien_status embed_file(tools *t, const char *path, float *vec, mien_error *err)
{
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    size_t n = 0, largest = 0;
    mien_status status = mien_image_load(path, NULL, &image, err);
    if (status != MIEN_OK)
        return status;
    status = mien_detect(t->detector, mien_image_view_of(image), &faces, &n, err);
    if (status == MIEN_OK && n == 0) {
        snprintf(err->message, sizeof err->message, "%s: no face found", path);
        status = MIEN_E_NO_FACE;
    }
    if (status == MIEN_OK) {
        for (size_t i = 1; i < n; i++) {
            if (faces[i].y1 - faces[i].y0 > faces[largest].y1 - faces[largest].y0)
                largest = i;
        }
        status = mien_embed_face(t->embedder, mien_image_view_of(image), &faces[largest], vec, err);
    }
    mien_image_free(image);
    return status;
}

int main(int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_decision decision;
    tools t = { NULL, NULL, NULL, NULL };
    float *vecs = NULL;
    int result = 2;
    if (argc != 3) {
        fprintf(stderr, "usage: compare A.jpg B.jpg\n");
        return 2;
    }
    mien_status status = open_tools(&t, &err);
    if (status == MIEN_OK) {
        const size_t len = (size_t)mien_model_info_of(t.embed_model)->embedding_len;
        vecs = calloc(2 * len, sizeof *vecs);
        if (!vecs)
            goto done;
        for (int i = 0; i < 2 && status == MIEN_OK; i++)
            status = embed_file(&t, argv[1 + i], vecs + (size_t)i * len, &err);
        if (status == MIEN_OK)
            status = mien_decide(t.embed_model, mien_cosine(vecs, vecs + len, len), 0, &decision, &err);
    }
    if (status != MIEN_OK) {
        fprintf(stderr, "compare: %s\n", err.message);
        goto done;
    }
    printf("%s: similarity %.4f, threshold %.4f at a false match rate of %g\n",
           decision.same ? "same person" : "different people", decision.similarity, decision.threshold,
           decision.fmr);
    result = decision.same ? 0 : 1;
done:
    free(vecs);
    close_tools(&t);
    return result;
}
