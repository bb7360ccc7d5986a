/* Makes a gallery of random people, and times in process what POST /v1/identify does, for bench/serve.py.
 *
 *   build/release/tools/tool_identify_loop picture FROM TO.jpg
 *   build/release/tools/tool_identify_loop fill GALLERY PEOPLE
 *   build/release/tools/tool_identify_loop time GALLERY PICTURE SECONDS
 *
 * People are unit vectors drawn evenly from the sphere (normal deviates, made unit; fixed seed): for the cost of a search they are as
 * good as faces. `time` decodes the picture, finds its faces, embeds each and searches, with one thread, as a worker of the server
 * does, and prints the milliseconds of each round. What the server does besides (HTTP, JSON, keys, the sandbox, the note of who was
 * last seen) is what the comparison is after.
 */
#include <math.h>
#include <mien/gallery.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 500, TOP = 1, MAX_BYTES = 16 << 20 };

static int fail(const mien_error *err)
{
    fprintf(stderr, "identify_loop: %s\n", err->message);
    return 1;
}

/* splitmix64 (Steele, Lea & Flood 2014) and Box-Muller. */
static double uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static void random_unit(uint64_t *state, float *ret, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        ret[i] = (float)(sqrt(-2 * log(uniform(state))) * cos(6.283185307179586 * uniform(state)));
        sum += (double)ret[i] * (double)ret[i];
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (float)((double)ret[i] / sqrt(sum));
}

static mien_status fill(mien_gallery *g, size_t dim, int people, mien_error *err)
{
    static mien_enrolment items[BATCH];
    static mien_enrolled got[BATCH];
    static char names[BATCH][32];
    float *vecs = calloc(BATCH * dim, sizeof *vecs);
    uint64_t state = 1;
    mien_status st = vecs ? MIEN_OK : MIEN_E_NOMEM;
    for (int done = 0; !st && done < people;) {
        size_t n = 0;
        for (; n < BATCH && done < people; n++, done++) {
            random_unit(&state, vecs + n * dim, dim);
            snprintf(names[n], sizeof names[n], "Person %d", done);
            items[n] = (mien_enrolment)MIEN_ENROLMENT_INIT;
            items[n].name = names[n];
            items[n].vec = vecs + n * dim;
            items[n].force = 1;
        }
        st = mien_gallery_enrol(g, items, n, got, err);
    }
    free(vecs);
    return st;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

typedef struct tools {
    mien_detector *detector;
    mien_embedder *embedder;
    mien_gallery *gallery;
    float *vec;
} tools;

static mien_status identify(const tools *t, const uint8_t *data, size_t bytes, mien_error *err)
{
    mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    mien_candidate found[TOP];
    size_t n = 0, n_found = 0;
    o.min_short_side = 1200;
    mien_status st = mien_image_decode(data, bytes, &o, &image, err);
    if (!st)
        st = mien_detect(t->detector, mien_image_view_of(image), &faces, &n, err);
    for (size_t i = 0; !st && i < n; i++) {
        st = mien_embed_face(t->embedder, mien_image_view_of(image), &faces[i], t->vec, err);
        if (!st)
            st = mien_gallery_search(t->gallery, t->vec, 1, TOP, found, &n_found, err);
    }
    mien_image_free(image);
    return st;
}

/* The file's bytes, none when it cannot be read. */
static uint8_t *read_file(const char *path, size_t *ret_bytes)
{
    uint8_t *data = malloc(MAX_BYTES);
    FILE *f = fopen(path, "rb");
    *ret_bytes = f && data ? fread(data, 1, MAX_BYTES, f) : 0;
    if (f)
        fclose(f);
    return data;
}

/* A picture of 640 x 480 of one of the same shape. */
static mien_status make_picture(const char *from, const char *to, mien_error *err)
{
    mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
    mien_image *image = NULL, *scaled = NULL;
    size_t bytes = 0;
    uint8_t *data = read_file(from, &bytes);
    mien_status st = mien_image_decode(data, bytes, &o, &image, err);
    if (!st)
        st = mien_image_resize(mien_image_view_of(image), 640, 480, &scaled, err);
    if (!st)
        st = mien_image_save(mien_image_view_of(scaled), to, 90, err);
    mien_image_free(scaled);
    mien_image_free(image);
    free(data);
    return st;
}

static mien_status time_rounds(const tools *t, const char *path, double seconds, mien_error *err)
{
    size_t bytes = 0;
    uint8_t *data = read_file(path, &bytes);
    mien_status st = identify(t, data, bytes, err); /* warm */
    for (const double end = now_ms() + seconds * 1e3; !st && now_ms() < end;) {
        const double start = now_ms();
        st = identify(t, data, bytes, err);
        printf("%.3f\n", now_ms() - start);
    }
    free(data);
    return st;
}

int main(int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *detect = NULL, *embed = NULL;
    mien_detect_opts d = MIEN_DETECT_OPTS_INIT;
    mien_embed_opts e = MIEN_EMBED_OPTS_INIT;
    mien_gallery_opts g = MIEN_GALLERY_OPTS_INIT;
    tools t = { 0 };
    if (argc == 4 && !strcmp(argv[1], "picture"))
        return make_picture(argv[2], argv[3], &err) ? fail(&err) : 0;
    const int filling = argc == 4 && !strcmp(argv[1], "fill");
    if (!filling && (argc != 5 || strcmp(argv[1], "time") != 0)) {
        fputs("usage: identify_loop picture FROM TO | fill GALLERY PEOPLE | time GALLERY PICTURE SECONDS\n",
              stderr);
        return 2;
    }
    if (mien_model_load_default(MIEN_TASK_DETECT, &detect, &err) ||
        mien_model_load_default(MIEN_TASK_EMBED, &embed, &err))
        return fail(&err);
    const size_t dim = (size_t)mien_model_info_of(embed)->embedding_len;
    d.threads = 1;
    e.threads = 1;
    g.mode = filling ? MIEN_GALLERY_CREATE : MIEN_GALLERY_READ;
    g.embedder = embed;
    mien_status st = mien_gallery_open(argv[2], &g, &t.gallery, &err);
    if (!st && filling)
        st = fill(t.gallery, dim, atoi(argv[3]), &err);
    if (!st && !filling) {
        t.vec = calloc(dim, sizeof *t.vec);
        st = mien_detector_new(detect, &d, &t.detector, &err);
        if (!st && !(st = mien_embedder_new(embed, &e, &t.embedder, &err)))
            st = time_rounds(&t, argv[3], atof(argv[4]), &err);
    }
    mien_gallery_free(t.gallery);
    mien_embedder_free(t.embedder);
    mien_detector_free(t.detector);
    free(t.vec);
    mien_model_free(embed);
    mien_model_free(detect);
    return st ? fail(&err) : 0;
}
