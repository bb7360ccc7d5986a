/* How samples/ looks to detectors and embedders.
 *
 *   build/release/tools/tool_score_samples [--people INST] [--svg FILE] SAMPLES
 *
 * SAMPLES holds person-NN/n.jpg, group.jpg and no-face/n.jpg. Every detector of the registry that is found
 * counts faces; every embedder that is found compares all pictures of people with each other: mated pairs
 * show one person, non-mated pairs two. Printed are counts, extremes, and histograms beside the threshold for
 * a false match rate of 1e-3; --svg draws the histograms. With --people, the London Set's folder inst, each
 * sample is also compared with the photographs of the 102 people that the samples were made from: nobody
 * should be recognised in them. Crops are by the landmarks of yunet_n_dynamic, which judged the samples when they were
 * made, or else of the default detector. */
#include <dirent.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PICTURES = 512, PATH_BYTES = 4096, BINS = 60, MAX_MODELS = 8 };

static const double LOWEST = -0.3, BIN_WIDTH = 1.3 / BINS;

typedef struct picture {
    char path[512];
    int person; /* -1: a photograph of a real person */
    mien_face face;
} picture;

typedef struct album {
    picture p[MAX_PICTURES];
    int n, n_persons;
} album;

typedef struct scores {
    char name[128];
    double threshold, lowest_mated, highest_nonmated, highest_real;
    int n_mated, n_nonmated, n_real, mated_below, nonmated_above, real_above;
    int mated[BINS], nonmated[BINS];
} scores;

static void die(const char *what, const mien_error *err)
{
    fprintf(stderr, "score_samples: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(1);
}

/* Files of a folder in order of their names, those that end in .jpg; folders too when asked for. */
static int list_folder(const char *folder, int folders, struct dirent ***ret)
{
    struct dirent **all = NULL;
    int kept = 0;
    const int n = scandir(folder, &all, NULL, alphasort);
    if (n < 0)
        die(folder, NULL);
    for (int i = 0; i < n; i++) {
        const char *name = all[i]->d_name, *end = strrchr(name, '.');
        const int good =
            folders ? strncmp(name, "person-", 7) == 0 : name[0] != '.' && end && strcmp(end, ".jpg") == 0;
        if (good)
            all[kept++] = all[i];
        else
            free(all[i]);
    }
    *ret = all;
    return kept;
}

static void add_folder(album *a, const char *folder, int person)
{
    struct dirent **list = NULL;
    const int n = list_folder(folder, 0, &list);
    for (int i = 0; i < n; i++) {
        if (a->n == MAX_PICTURES)
            die("too many pictures", NULL);
        picture *p = &a->p[a->n++];
        p->person = person;
        if ((size_t)snprintf(p->path, sizeof p->path, "%s/%s", folder, list[i]->d_name) >= sizeof p->path)
            die("a path is too long", NULL);
        free(list[i]);
    }
    free(list);
}

static void add_persons(album *a, const char *samples)
{
    struct dirent **list = NULL;
    char path[PATH_BYTES];
    a->n_persons = list_folder(samples, 1, &list);
    for (int i = 0; i < a->n_persons; i++) {
        snprintf(path, sizeof path, "%s/%s", samples, list[i]->d_name);
        add_folder(a, path, i);
        free(list[i]);
    }
    free(list);
}

/* Number of faces; the largest is kept when asked for. */
static size_t find(mien_detector *d, const char *path, mien_face *ret_largest)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    if (mien_image_load(path, NULL, &img, &err) || mien_detect(d, mien_image_view_of(img), &faces, &n, &err))
        die(path, &err);
    const mien_image_view v = mien_image_view_of(img);
    if (n > 0 && ret_largest)
        *ret_largest = faces[mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_LARGEST)];
    mien_image_free(img);
    return n;
}

static void count_faces(const mien_model *model, const album *a, const char *samples)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_detector *d = NULL;
    char path[PATH_BYTES];
    int one = 0, empty = 0;
    if (mien_detector_new(model, NULL, &d, &err))
        die("detector", &err);
    for (int i = 0; i < a->n; i++) {
        const size_t n = find(d, a->p[i].path, NULL);
        one += n == 1;
        if (n != 1)
            printf("  %s: %zu faces\n", a->p[i].path, n);
    }
    snprintf(path, sizeof path, "%s/group.jpg", samples);
    const size_t group = find(d, path, NULL);
    for (int k = 1; k <= 2; k++) {
        snprintf(path, sizeof path, "%s/no-face/%d.jpg", samples, k);
        empty += find(d, path, NULL) == 0;
    }
    printf("%-36s one face in %d of %d pictures, %zu in group.jpg, none in %d of 2 without\n",
           mien_model_info_of(model)->name, one, a->n, group, empty);
    mien_detector_free(d);
}

static void locate_faces(album *a)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *model = NULL;
    mien_detector *d = NULL;
    if (mien_model_load("yunet_n_dynamic", &model, NULL) && mien_model_load_default(MIEN_TASK_DETECT, &model, &err))
        die("detector", &err);
    if (mien_detector_new(model, NULL, &d, &err))
        die("detector", &err);
    int kept = 0;
    for (int i = 0; i < a->n; i++) {
        a->p[kept] = a->p[i];
        if (find(d, a->p[i].path, &a->p[kept].face) > 0)
            kept++;
    }
    a->n = kept;
    mien_detector_free(d);
    mien_model_free(model);
}

static float *embed_all(const mien_model *model, const album *a)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_embedder *e = NULL;
    const size_t len = (size_t)mien_model_info_of(model)->embedding_len;
    float *vectors = calloc((size_t)a->n, len * sizeof *vectors);
    if (!vectors || mien_embedder_new(model, NULL, &e, &err))
        die("embedder", &err);
    for (int i = 0; i < a->n; i++) {
        mien_image *img = NULL;
        if (mien_image_load(a->p[i].path, NULL, &img, &err) ||
            mien_embed_face(e, mien_image_view_of(img), &a->p[i].face, vectors + (size_t)i * len, &err))
            die(a->p[i].path, &err);
        mien_image_free(img);
    }
    mien_embedder_free(e);
    return vectors;
}

static int bin_of(double s)
{
    const int k = (int)((s - LOWEST) / BIN_WIDTH);
    return k < 0 ? 0 : k >= BINS ? BINS - 1 : k;
}

static void count_pair(scores *s, const picture *a, const picture *b, double score)
{
    if (a->person < 0 && b->person < 0)
        return;
    if (a->person < 0 || b->person < 0) {
        s->n_real++;
        s->real_above += score >= s->threshold;
        s->highest_real = score > s->highest_real ? score : s->highest_real;
        if (score >= s->threshold)
            printf("  like a real person: %s %s %.3f\n", a->path, b->path, score);
    } else if (a->person == b->person) {
        s->n_mated++;
        s->mated[bin_of(score)]++;
        s->mated_below += score < s->threshold;
        s->lowest_mated = score < s->lowest_mated ? score : s->lowest_mated;
    } else {
        s->n_nonmated++;
        s->nonmated[bin_of(score)]++;
        s->nonmated_above += score >= s->threshold;
        s->highest_nonmated = score > s->highest_nonmated ? score : s->highest_nonmated;
        if (score >= s->threshold)
            printf("  alike: %s %s %.3f\n", a->path, b->path, score);
    }
}

static void compare_all(const mien_model *model, const album *a, scores *s)
{
    mien_error err = MIEN_ERROR_INIT;
    const size_t len = (size_t)mien_model_info_of(model)->embedding_len;
    memset(s, 0, sizeof *s);
    s->lowest_mated = 2;
    s->highest_nonmated = s->highest_real = -2;
    snprintf(s->name, sizeof s->name, "%s", mien_model_info_of(model)->name);
    if (mien_model_threshold(model, 1e-3, &s->threshold, &err))
        die(s->name, &err);
    float *v = embed_all(model, a);
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < i; j++)
            count_pair(s, &a->p[i], &a->p[j], mien_cosine(v + (size_t)i * len, v + (size_t)j * len, len));
    free(v);
}

static void print_scores(const scores *s)
{
    printf("%s, threshold %.4f\n", s->name, s->threshold);
    printf("  mated      %5d pairs, lowest  %.3f, %d below the threshold\n", s->n_mated, s->lowest_mated,
           s->mated_below);
    printf("  non-mated  %5d pairs, highest %.3f, %d at or above it\n", s->n_nonmated, s->highest_nonmated,
           s->nonmated_above);
    if (s->n_real > 0)
        printf("  with real people %d pairs, highest %.3f, %d at or above it\n", s->n_real, s->highest_real,
               s->real_above);
    for (int k = 0; k < BINS; k += 3) {
        const int m = s->mated[k] + s->mated[k + 1] + s->mated[k + 2];
        const int u = s->nonmated[k] + s->nonmated[k + 1] + s->nonmated[k + 2];
        if (m + u == 0)
            continue;
        printf("  %6.3f ", LOWEST + k * BIN_WIDTH);
        for (int i = 0; i < (u + 9) / 10; i++)
            putchar('-');
        for (int i = 0; i < (m + 1) / 2; i++)
            putchar('#');
        putchar('\n');
    }
    printf("  each - stands for 10 non-mated pairs, each # for 2 mated ones\n");
}

static void draw_bars(FILE *f, const int *bins, double x, double y, const char *colour)
{
    int most = 1;
    for (int k = 0; k < BINS; k++)
        most = bins[k] > most ? bins[k] : most;
    for (int k = 0; k < BINS; k++)
        if (bins[k] > 0)
            fprintf(f, "<rect x='%.1f' y='%.1f' width='8.5' height='%.1f' fill='%s'/>\n", x + 9 * k,
                    y - 100.0 * bins[k] / most, 100.0 * bins[k] / most, colour);
}

static void draw_svg(const char *path, const scores *s, int n)
{
    FILE *f = fopen(path, "w");
    if (!f)
        die(path, NULL);
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='600' height='%d' font-family='sans-serif' "
            "font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n",
            170 * n + 30);
    for (int i = 0; i < n; i++) {
        const double x = 30, y = 150 + 170.0 * i, t = x + (s[i].threshold - LOWEST) / BIN_WIDTH * 9;
        fprintf(f,
                "<text x='30' y='%.1f'>%s: %d non-mated (grey), %d mated pairs (green), each to its own "
                "height</text>\n",
                y - 118, s[i].name, s[i].n_nonmated, s[i].n_mated);
        draw_bars(f, s[i].nonmated, x, y, "#888");
        draw_bars(f, s[i].mated, x, y, "#2a8a4a");
        fprintf(f, "<path d='M30 %.1fh540M%.1f %.1fv-108' stroke='black' fill='none'/>\n", y, t, y);
        for (int k = -2; k <= 10; k += 2)
            fprintf(f, "<text x='%.1f' y='%.1f' text-anchor='middle'>%.1f</text>\n",
                    x + (k / 10.0 - LOWEST) / BIN_WIDTH * 9, y + 14, k / 10.0);
        fprintf(f, "<text x='%.1f' y='%.1f'>threshold %.3f</text>\n", t + 4, y - 96, s[i].threshold);
    }
    fprintf(f, "</svg>\n");
    if (fclose(f))
        die(path, NULL);
}

int main(int argc, char **argv)
{
    static album a;
    static scores s[MAX_MODELS];
    const char *samples = NULL, *people = NULL, *svg = NULL;
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--people") == 0 && i + 1 < argc)
            people = argv[++i];
        else if (strcmp(argv[i], "--svg") == 0 && i + 1 < argc)
            svg = argv[++i];
        else
            samples = samples || argv[i][0] == '-' ? "" : argv[i];
    }
    if (!samples || !*samples) {
        fprintf(stderr, "usage: score_samples [--people INST] [--svg FILE] SAMPLES\n");
        return 2;
    }
    add_persons(&a, samples);
    printf("%d pictures of %d people\n", a.n, a.n_persons);
    const mien_registry_entry *r = NULL;
    mien_model *model = NULL;
    for (size_t k = 0; (r = mien_registry_at(k)) != NULL; k++)
        if (r->task == MIEN_TASK_DETECT && mien_model_load(r->name, &model, NULL) == MIEN_OK) {
            count_faces(model, &a, samples);
            mien_model_free(model);
        }
    char path[PATH_BYTES];
    for (int k = 0; k < 2 && people; k++) {
        snprintf(path, sizeof path, "%s/%s", people, k ? "smiling_front" : "neutral_front");
        add_folder(&a, path, -1);
    }
    locate_faces(&a);
    for (size_t k = 0; (r = mien_registry_at(k)) != NULL && n < MAX_MODELS; k++)
        if (r->task == MIEN_TASK_EMBED && mien_model_load(r->name, &model, NULL) == MIEN_OK) {
            compare_all(model, &a, &s[n]);
            print_scores(&s[n++]);
            mien_model_free(model);
        }
    if (svg)
        draw_svg(svg, s, n);
    return 0;
}
