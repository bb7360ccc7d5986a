/* Fits a model's operating points: thresholds at false match rates, from pictures of people.
 *
 *   build/release/tools/tool_calibrate [--model M] [--detector M] [--flip] [--exclude DIR]... DIR...
 *
 * Every DIR holds one folder of pictures per person; folders of one name in several DIRs are one person;
 * people that have a folder in an --exclude DIR are left out, so that what is tested on is not what was
 * fitted on. Each picture gives one vector (the most central face); non-mated pairs are all pairs of pictures
 * of different people, and the table holds the rates that their number supports (rule of three,
 * mien_eval_calibrate()).
 *
 * Pairs share pictures and people, so they are not independent and the exact binomial interval is too narrow.
 * Beside it the tool prints the interval of a bootstrap over people (Bolle, Ratha, Pankanti 2004 call the
 * idea the subsets bootstrap): 1,000 draws of as many people, with replacement, each pair weighted by how
 * often both were drawn. The wider of both ends goes to the table.
 *
 * Output: the protocol and C initialisers for the registry on stdout; progress on stderr.
 */
#include <dirent.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PEOPLE = 20000, MAX_PICTURES = 100000, DRAWS = 1000, PATH_BYTES = 4096 };

typedef struct picture {
    int person;
    float *vec;
} picture;

typedef struct study {
    char *names[MAX_PEOPLE];
    int n_people, n_pictures, n_failed, n_excluded, n_used;
    picture pictures[MAX_PICTURES];
    mien_detector *detector;
    mien_embedder *embedder;
    const char *exclude[16];
    int n_exclude;
    size_t len;
} study;

static void die(const char *what, const mien_error *err)
{
    fprintf(stderr, "calibrate: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

static int is_dir(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    DIR *d = opendir(path);
    if (d)
        closedir(d);
    return d != NULL;
}

static int person_of(study *s, const char *name)
{
    for (int i = 0; i < s->n_people; i++)
        if (strcmp(s->names[i], name) == 0)
            return i;
    if (s->n_people == MAX_PEOPLE)
        die("too many people", NULL);
    s->names[s->n_people] = strdup(name);
    return s->n_people++;
}

static void add_picture(study *s, const char *path, int person)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    if (s->n_pictures == MAX_PICTURES)
        die("too many pictures", NULL);
    if (mien_image_load(path, NULL, &img, &err))
        die(path, &err);
    const mien_image_view v = mien_image_view_of(img);
    if (mien_detect(s->detector, v, &faces, &n, &err))
        die(path, &err);
    if (n == 0) {
        s->n_failed++;
        mien_image_free(img);
        return;
    }
    float *vec = malloc(s->len * sizeof *vec);
    const size_t k = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
    if (!vec || mien_embed_face(s->embedder, v, &faces[k], vec, &err))
        die(path, &err);
    s->pictures[s->n_pictures++] = (picture){ person, vec };
    mien_image_free(img);
}

static void add_person(study *s, const char *dir, const char *name)
{
    char path[PATH_BYTES], file[PATH_BYTES + 300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    struct dirent **list = NULL;
    const int n = scandir(path, &list, NULL, alphasort);
    const int before = s->n_pictures;
    const int person = n > 0 ? person_of(s, name) : 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
            add_picture(s, file, person);
        }
        free(list[i]);
    }
    free(list);
    if (s->n_pictures / 100 != before / 100)
        fprintf(stderr, "\r%d pictures", s->n_pictures);
}

static void add_folder(study *s, const char *dir)
{
    struct dirent **list = NULL;
    const int n = scandir(dir, &list, NULL, alphasort);
    if (n < 0)
        die(dir, NULL);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        int skip = name[0] == '.';
        for (int k = 0; k < s->n_exclude && !skip; k++)
            if (is_dir(s->exclude[k], name)) {
                skip = 1;
                s->n_excluded++;
            }
        if (!skip && is_dir(dir, name))
            add_person(s, dir, name);
        free(list[i]);
    }
    free(list);
}

typedef struct pair {
    int a, b; /* people */
    double score;
} pair;

static int by_f64(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Widen each point's interval to that of the bootstrap over people. */
static void bootstrap(const study *s, const pair *pairs, size_t n, mien_operating_point *pt, size_t n_pt)
{
    static double rates[MIEN_MAX_OPERATING_POINTS][DRAWS];
    double *weight = malloc((size_t)s->n_people * sizeof *weight);
    double *pics = malloc((size_t)s->n_people * sizeof *pics);
    int *present = malloc((size_t)s->n_people * sizeof *present);
    int n_present = 0;
    uint64_t seed = 1;
    if (!weight || !pics || !present)
        die("memory", NULL);
    memset(pics, 0, (size_t)s->n_people * sizeof *pics);
    for (int i = 0; i < s->n_pictures; i++)
        pics[s->pictures[i].person]++;
    for (int p = 0; p < s->n_people; p++)
        if (pics[p] > 0)
            present[n_present++] = p;
    for (int d = 0; d < DRAWS; d++) {
        memset(weight, 0, (size_t)s->n_people * sizeof *weight);
        for (int k = 0; k < n_present; k++)
            weight[present[next_random(&seed) % (uint64_t)n_present]]++;
        double sum = 0, own = 0, hits[MIEN_MAX_OPERATING_POINTS] = { 0 };
        for (int p = 0; p < s->n_people; p++) {
            sum += weight[p] * pics[p];
            own += weight[p] * weight[p] * pics[p] * pics[p];
        }
        for (size_t i = 0; i < n; i++)
            for (size_t k = n_pt; k-- > 0 && pairs[i].score >= pt[k].threshold;)
                hits[k] += weight[pairs[i].a] * weight[pairs[i].b];
        for (size_t k = 0; k < n_pt; k++)
            rates[k][d] = hits[k] / ((sum * sum - own) / 2);
    }
    for (size_t k = 0; k < n_pt; k++) {
        qsort(rates[k], DRAWS, sizeof rates[k][0], by_f64);
        const double lo = rates[k][DRAWS / 40], hi = rates[k][DRAWS - 1 - DRAWS / 40];
        fprintf(stderr, "%g: exact %.3g..%.3g, over people %.3g..%.3g\n", pt[k].fmr, pt[k].fmr_lo,
                pt[k].fmr_hi, lo, hi);
        pt[k].fmr_lo = lo < pt[k].fmr_lo ? lo : pt[k].fmr_lo;
        pt[k].fmr_hi = hi > pt[k].fmr_hi ? hi : pt[k].fmr_hi;
    }
    free(present);
    free(pics);
    free(weight);
}

static void report(const study *s, const double *mated, size_t n_mated, size_t n_nonmated,
                   const mien_operating_point *pt, size_t n_pt)
{
    int people = 0;
    for (int p = 0; p < s->n_people; p++)
        for (int i = 0; i < s->n_pictures; i++)
            if (s->pictures[i].person == p) {
                people++;
                break;
            }
    printf("people %d, pictures %d (no face in %d), folders excluded %d\n", people, s->n_pictures,
           s->n_failed, s->n_excluded);
    printf("non-mated pairs %zu, mated pairs %zu\n", n_nonmated, n_mated);
    for (size_t k = 0; k < n_pt; k++) {
        size_t ok = 0;
        for (size_t i = 0; i < n_mated; i++)
            ok += mated[i] >= pt[k].threshold;
        printf("    { %g, %.4f, %.3g, %.3g }, /* true match rate %.4f of %zu */\n", pt[k].fmr,
               pt[k].threshold, pt[k].fmr_lo, pt[k].fmr_hi, n_mated ? (double)ok / (double)n_mated : 0,
               n_mated);
    }
}

static void fit(const study *s)
{
    static const double rates[] = { 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4,
                                    1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1 };
    const size_t n = (size_t)s->n_pictures;
    double *non = malloc((n * n / 2 + 1) * sizeof *non), *mated = malloc((n * n / 2 + 1) * sizeof *mated);
    pair *pairs = malloc((n * n / 2 + 1) * sizeof *pairs);
    size_t n_non = 0, n_mated = 0, n_high = 0, first = 0;
    if (!non || !mated || !pairs)
        die("memory", NULL);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            const picture *a = &s->pictures[i], *b = &s->pictures[j];
            const double score = mien_cosine(a->vec, b->vec, s->len);
            if (a->person == b->person) {
                mated[n_mated++] = score;
            } else {
                pairs[n_non] = (pair){ a->person, b->person, score };
                non[n_non++] = score;
            }
        }
    }
    const size_t n_rates = sizeof rates / sizeof rates[0];
    while (first < n_rates && (double)n_non * rates[first] < 3)
        first++;
    mien_operating_point pt[MIEN_MAX_OPERATING_POINTS];
    mien_error err = MIEN_ERROR_INIT;
    if (first == n_rates || mien_eval_calibrate(non, n_non, rates + first, n_rates - first, pt, &err))
        die("calibration", &err);
    for (size_t i = 0; i < n_non; i++) /* only high scores matter to the bootstrap */
        if (pairs[i].score >= pt[n_rates - first - 1].threshold)
            pairs[n_high++] = pairs[i];
    bootstrap(s, pairs, n_high, pt, n_rates - first);
    report(s, mated, n_mated, n_non, pt, n_rates - first);
    free(pairs);
    free(mated);
    free(non);
}

int main(int argc, char **argv)
{
    static study s;
    const char *model_name = NULL, *detector_name = NULL, *dirs[16];
    int n_dirs = 0;
    mien_embed_opts eo = MIEN_EMBED_OPTS_INIT;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--flip") == 0)
            eo.flip = 1;
        else if (strcmp(argv[i], "--model") == 0 && i + 1 < argc)
            model_name = argv[++i];
        else if (strcmp(argv[i], "--detector") == 0 && i + 1 < argc)
            detector_name = argv[++i];
        else if (strcmp(argv[i], "--exclude") == 0 && i + 1 < argc && s.n_exclude < 16)
            s.exclude[s.n_exclude++] = argv[++i];
        else if (argv[i][0] != '-' && n_dirs < 16)
            dirs[n_dirs++] = argv[i];
        else
            n_dirs = -1000;
    }
    if (n_dirs < 1) {
        fprintf(stderr, "usage: calibrate [--model M] [--detector M] [--flip] [--exclude DIR]... DIR...\n");
        return 2;
    }
    mien_error err = MIEN_ERROR_INIT;
    mien_model *det = NULL, *emb = NULL;
    if ((detector_name ? mien_model_load(detector_name, &det, &err)
                       : mien_model_load_default(MIEN_TASK_DETECT, &det, &err)) ||
        (model_name ? mien_model_load(model_name, &emb, &err)
                    : mien_model_load_default(MIEN_TASK_EMBED, &emb, &err)) ||
        mien_detector_new(det, NULL, &s.detector, &err) || mien_embedder_new(emb, &eo, &s.embedder, &err))
        die("models", &err);
    s.len = (size_t)mien_model_info_of(emb)->embedding_len;
    printf("model %s, detector %s, mirror average %s\n", mien_model_info_of(emb)->name,
           mien_model_info_of(det)->name, eo.flip ? "on" : "off");
    for (int i = 0; i < n_dirs; i++)
        add_folder(&s, dirs[i]);
    fprintf(stderr, "\r%d pictures\n", s.n_pictures);
    fit(&s);
    for (int i = 0; i < s.n_pictures; i++)
        free(s.pictures[i].vec);
    for (int i = 0; i < s.n_people; i++)
        free(s.names[i]);
    mien_embedder_free(s.embedder);
    mien_detector_free(s.detector);
    mien_model_free(emb);
    mien_model_free(det);
    return 0;
}
