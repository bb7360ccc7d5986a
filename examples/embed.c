/* Embeds every face of every picture in a folder and prints one CSV row each: file, face, score, the numbers.
 *
 *   embed FOLDER > faces.csv       exit 0: done, 1: some file could not be read, 2: something failed
 *
 * Build: cc embed.c $(pkg-config --cflags --libs mien)
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
    mien_detector *detector;
    mien_embedder *embedder;
    float *vec;
    int len;
} job;

/* Prints the rows of one picture. */
static mien_status embed_picture(job *j, const char *path, const char *name, mien_error *err)
{
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    mien_status status = mien_image_load(path, NULL, &image, err);
    if (status == MIEN_OK)
        status = mien_detect(j->detector, mien_image_view_of(image), &faces, &n, err);
    for (size_t i = 0; i < n && status == MIEN_OK; i++) {
        status = mien_embed_face(j->embedder, mien_image_view_of(image), &faces[i], j->vec, err);
        if (status != MIEN_OK)
            break;
        printf("%s,%zu,%.3f", name, i + 1, (double)faces[i].score);
        for (int k = 0; k < j->len; k++)
            printf(",%.6f", (double)j->vec[k]);
        printf("\n");
    }
    mien_image_free(image);
    return status;
}

/* Returns how many files could not be read; -1 when the folder cannot. */
static int embed_folder(job *j, const char *folder)
{
    struct dirent **entries = NULL;
    int n_bad = 0;
    const int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        mien_error err = MIEN_ERROR_INIT;
        char path[4096];
        const char *const name = entries[i]->d_name;
        if (name[0] != '.' && snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
            embed_picture(j, path, name, &err) != MIEN_OK) {
            fprintf(stderr, "embed: %s\n", err.message);
            n_bad++;
        }
        free(entries[i]);
    }
    free(entries);
    return n < 0 ? -1 : n_bad;
}

int main(int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_detect_opts detect_opts = MIEN_DETECT_OPTS_INIT;
    const mien_embed_opts embed_opts = MIEN_EMBED_OPTS_INIT;
    mien_model *detect_model = NULL, *embed_model = NULL;
    job j = { NULL, NULL, NULL, 0 };
    int result = 2;
    if (argc != 2) {
        fprintf(stderr, "usage: embed FOLDER\n");
        return 2;
    }
    if (mien_model_load_default(MIEN_TASK_DETECT, &detect_model, &err) != MIEN_OK ||
        mien_model_load_default(MIEN_TASK_EMBED, &embed_model, &err) != MIEN_OK ||
        mien_detector_new(detect_model, &detect_opts, &j.detector, &err) != MIEN_OK ||
        mien_embedder_new(embed_model, &embed_opts, &j.embedder, &err) != MIEN_OK) {
        fprintf(stderr, "embed: %s\n", err.message);
        goto done;
    }
    j.len = mien_model_info_of(embed_model)->embedding_len;
    j.vec = calloc((size_t)j.len, sizeof *j.vec);
    if (!j.vec)
        goto done;
    result = embed_folder(&j, argv[1]);
    if (result != 0)
        result = result < 0 ? 2 : 1;
done:
    free(j.vec);
    mien_embedder_free(j.embedder);
    mien_detector_free(j.detector);
    mien_model_free(embed_model);
    mien_model_free(detect_model);
    return result;
}
