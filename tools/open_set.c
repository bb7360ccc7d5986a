/* Holds the calibration's promise for searches against people it was not fitted on: FPIR asked for and measured.
 *
 *   build/release/tools/tool_open_set [--model M] [--detector M] [--calibration FILE] GALLERY MATED NONMATED [OTHERS[:N]...]
 *
 * GALLERY and MATED hold a folder of pictures per person, NONMATED pictures of strangers,
 * each of another, in folders or not. OTHERS
 * enlarge the gallery: each folder or picture in them is a person (the first N in the order of names). A person's
 * template is the mean of the pictures' templates, made unit again; of each picture the most central face counts.
 *
 * For galleries of 10, 100, 1,000 people and of all, the threshold is that of mien_curve_decide(). Measured is the mean
 * over all galleries of that size that can be drawn from the people at hand, exactly: a stranger with k of M people at
 * or above the threshold finds somebody among n of them with probability 1 - C(M - k, n)/C(M, n); a mated probe
 * whose own person is at or above it, with b others above that person, is found with C(M - 1 - b, n - 1)/C(M - 1, n - 1).
 * Intervals: bootstrap over strangers, and over the people of mated probes. Of galleries drawn at random it
 * also counts those whose own measured FPIR lies in the interval that was promised.
 */
#include <dirent.h>
#include <math.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 20000, PATH_BYTES = 4096, RESAMPLES = 1000, GALLERIES = 200 };

typedef struct item {
    char name[256]; /* of the person's folder */
    float *vec;
    int n; /* pictures in it */
} item;

typedef struct study {
    item people[MAX_ITEMS], mated[MAX_ITEMS], strangers[MAX_ITEMS];
    int n_people, n_mated, n_strangers, n_missed; /* missed: mated pictures without a face */
    mien_detector *detector;
    mien_embedder *embedder;
    size_t len;
    mien_curve *curve;
} study;

static void die(const char *what, const mien_error *err)
{
    fprintf(stderr, "open_set: %s: %s\n", what, err && err->message[0] ? err->message : "failed");
    exit(1);
}

static void *get(size_t n, size_t bytes)
{
    void *p = calloc(n ? n : 1, bytes);
    if (!p)
        die("memory", NULL);
    return p;
}

/* ---- pictures to templates ---- */

/* NULL when no face is found. */
static float *embed(study *s, const char *path)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    float *vec = NULL;
    if (mien_image_load(path, NULL, &img, &err))
        die(path, &err);
    const mien_image_view v = mien_image_view_of(img);
    if (mien_detect(s->detector, v, &faces, &n, &err))
        die(path, &err);
    if (n > 0) {
        vec = get(s->len, sizeof *vec);
        const size_t k = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
        if (mien_embed_face(s->embedder, v, &faces[k], vec, &err))
            die(path, &err);
    }
    mien_image_free(img);
    return vec;
}

static int names_of(const char *dir, struct dirent ***ret)
{
    const int n = scandir(dir, ret, NULL, alphasort);
    return n < 0 ? 0 : n;
}

/* Call for each entry of a folder that does not begin with a dot; at most `limit`. */
static void each(study *s, const char *dir, int limit, void (*fn)(study *, const char *path, const char *name))
{
    char path[PATH_BYTES];
    struct dirent **list = NULL;
    const int n = names_of(dir, &list);
    if (n == 0)
        die(dir, NULL);
    for (int i = 0, done = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && done < limit) {
            snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            fn(s, path, list[i]->d_name);
            done++;
        }
        free(list[i]);
    }
    free(list);
}

static item *add(item *items, int *n, const char *name)
{
    if (*n == MAX_ITEMS)
        die("too many pictures", NULL);
    item *it = &items[(*n)++];
    snprintf(it->name, sizeof it->name, "%s", name);
    return it;
}

static void add_person(study *s, const char *path, const char *name)
{
    struct dirent **list = NULL;
    char file[PATH_BYTES + 300];
    float *sum = get(s->len, sizeof *sum);
    double length = 0;
    int n = 0;
    const int entries = names_of(path, &list);
    for (int i = 0; i < (entries ? entries : 1); i++) {
        snprintf(file, sizeof file, entries ? "%s/%s" : "%s", path, entries ? list[i]->d_name : "");
        float *vec = entries && list[i]->d_name[0] == '.' ? NULL : embed(s, file);
        for (size_t k = 0; vec && k < s->len; k++)
            sum[k] += vec[k];
        n += vec != NULL;
        free(vec);
        if (entries)
            free(list[i]);
    }
    free(list);
    for (size_t k = 0; k < s->len; k++)
        length += (double)sum[k] * (double)sum[k];
    for (size_t k = 0; k < s->len && n; k++)
        sum[k] = (float)((double)sum[k] / sqrt(length));
    if (n == 0) {
        free(sum);
        return;
    }
    item *it = add(s->people, &s->n_people, name);
    it->vec = sum;
    it->n = n;
}

static char current[256];

static void add_mated_picture(study *s, const char *path, const char *name)
{
    (void)name;
    float *vec = embed(s, path);
    s->n_missed += vec == NULL;
    add(s->mated, &s->n_mated, current)->vec = vec;
}

static void add_mated(study *s, const char *path, const char *name)
{
    snprintf(current, sizeof current, "%s", name);
    each(s, path, MAX_ITEMS, add_mated_picture);
}

static void add_stranger(study *s, const char *path, const char *name)
{
    DIR *dir = opendir(path);
    if (dir) {
        closedir(dir);
        each(s, path, MAX_ITEMS, add_stranger);
        return;
    }
    add(s->strangers, &s->n_strangers, name)->vec = embed(s, path);
}

/* ---- chances ---- */

/* C(m - k, n) / C(m, n): that none of k is among n of m. */
static double none_of(int m, int k, int n)
{
    if (n > m - k)
        return 0;
    return exp(lgamma(m - k + 1) - lgamma(m - k - n + 1) - lgamma(m + 1) + lgamma(m - n + 1));
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int by_f64(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Mean of values in groups and its interval over groups drawn with replacement; group of value i is group[i],
 * ascending; NULL: each its own. */
static mien_estimate mean_of(const double *values, const int *group, int n)
{
    static double means[RESAMPLES];
    double *sums = get((size_t)n, sizeof *sums), *counts = get((size_t)n, sizeof *counts);
    int groups = 0;
    for (int i = 0; i < n; i++) {
        groups += i == 0 || !group || group[i] != group[i - 1];
        sums[groups - 1] += values[i];
        counts[groups - 1]++;
    }
    uint64_t seed = 1;
    double all = 0;
    for (int i = 0; i < n; i++)
        all += values[i];
    for (int d = 0; d < RESAMPLES; d++) {
        double sum = 0, count = 0;
        for (int g = 0; g < groups; g++) {
            const size_t k = (size_t)(next_random(&seed) % (uint64_t)groups);
            sum += sums[k];
            count += counts[k];
        }
        means[d] = sum / count;
    }
    qsort(means, RESAMPLES, sizeof means[0], by_f64);
    free(sums);
    free(counts);
    return (mien_estimate){ all / n, means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40], 0 };
}

/* ---- the study ---- */

typedef struct table {
    float *stranger;  /* [n_strangers][n_people]; -2 without a template */
    float *own;       /* [n_mated] */
    int *above, *who; /* [n_mated] people nearer than the own one; the own one, -1 not enrolled */
} table;

static int find(const study *s, const char *name)
{
    for (int i = 0; i < s->n_people; i++)
        if (!strcmp(s->people[i].name, name))
            return i;
    return -1;
}

static table compare_all(const study *s)
{
    const size_t m = (size_t)s->n_people;
    table t = { get((size_t)s->n_strangers * m, sizeof(float)), get((size_t)s->n_mated, sizeof(float)),
                get((size_t)s->n_mated, sizeof(int)), get((size_t)s->n_mated, sizeof(int)) };
    for (int i = 0; i < s->n_strangers; i++)
        for (size_t j = 0; j < m; j++)
            t.stranger[(size_t)i * m + j] =
                s->strangers[i].vec ? (float)mien_cosine(s->strangers[i].vec, s->people[j].vec, s->len) : -2;
    for (int i = 0; i < s->n_mated; i++) {
        t.who[i] = find(s, s->mated[i].name);
        t.own[i] = -2;
        if (t.who[i] < 0 || !s->mated[i].vec)
            continue;
        t.own[i] = (float)mien_cosine(s->mated[i].vec, s->people[t.who[i]].vec, s->len);
        for (int j = 0; j < s->n_people; j++)
            t.above[i] += j != t.who[i] &&
                          (float)mien_cosine(s->mated[i].vec, s->people[j].vec, s->len) > t.own[i];
    }
    return t;
}

/* The part of random galleries whose FPIR lies within [lo, hi]. */
static double held(const study *s, const table *t, int n, double threshold, const mien_estimate *promised)
{
    int *order = get((size_t)s->n_people, sizeof *order), inside = 0;
    uint64_t seed = 2;
    for (int j = 0; j < s->n_people; j++)
        order[j] = j;
    for (int d = 0; d < GALLERIES; d++) {
        int hits = 0;
        for (int j = 0; j < n; j++) { /* the first n of a shuffle */
            const int k = j + (int)(next_random(&seed) % (uint64_t)(s->n_people - j)), other = order[k];
            order[k] = order[j];
            order[j] = other;
        }
        for (int i = 0; i < s->n_strangers; i++) {
            const float *row = t->stranger + (size_t)i * (size_t)s->n_people;
            int hit = 0;
            for (int j = 0; j < n && !hit; j++)
                hit = row[order[j]] >= (float)threshold;
            hits += hit;
        }
        const double rate = (double)hits / s->n_strangers;
        inside += rate >= promised->lo && rate <= promised->hi;
    }
    free(order);
    return (double)inside / GALLERIES;
}

static void judge(const study *s, const table *t, int n, double pictures, double fpir)
{
    const int m = s->n_people;
    mien_search_decision d;
    mien_error err = MIEN_ERROR_INIT;
    const mien_search_size size = { (uint64_t)n, pictures };
    if (mien_curve_decide(s->curve, 0, &size, fpir, &d, &err))
        die("decision", &err);
    if (!d.promised) {
        printf("| %d | %g | not promised: %.2g at best | | | | | |\n", n, fpir, d.fpir.value);
        return;
    }
    double *found = get((size_t)s->n_strangers, sizeof *found), *missed = get((size_t)s->n_mated, sizeof *missed);
    int *who = get((size_t)s->n_mated, sizeof *who), probes = 0;
    for (int i = 0; i < s->n_strangers; i++) {
        int k = 0;
        for (int j = 0; j < m; j++)
            k += t->stranger[(size_t)i * (size_t)m + (size_t)j] >= (float)d.threshold;
        found[i] = 1 - none_of(m, k, n);
    }
    for (int i = 0; i < s->n_mated; i++) {
        if (t->who[i] < 0)
            continue;
        who[probes] = t->who[i];
        missed[probes++] = t->own[i] < (float)d.threshold ? 1 : 1 - none_of(m - 1, t->above[i], n - 1);
    }
    const mien_estimate f = mean_of(found, NULL, s->n_strangers), miss = mean_of(missed, who, probes);
    printf("| %d | %g | %.4f | %.2g to %.2g | %.4f (%.4f to %.4f) | %s | %.0f %% | %.1f %% (%.1f to %.1f) |\n", n,
           fpir, d.threshold, d.fpir.lo, d.fpir.hi, f.value, f.lo, f.hi,
           f.value >= d.fpir.lo && f.value <= d.fpir.hi ? "yes" : "no", 100 * held(s, t, n, d.threshold, &d.fpir),
           100 * miss.value, 100 * miss.lo, 100 * miss.hi);
    free(who);
    free(missed);
    free(found);
}

static void report(const study *s)
{
    static const double fpirs[] = { 0.001, 0.003, 0.01, 0.03, 0.1 };
    const int sizes[] = { 10, 100, 1000, s->n_people };
    double pictures = 0;
    for (int i = 0; i < s->n_people; i++)
        pictures += s->people[i].n;
    pictures /= s->n_people;
    printf("people %d with %.2f pictures each, mated probes %d (no face: %d), strangers %d\n\n", s->n_people, pictures,
           s->n_mated, s->n_missed, s->n_strangers);
    puts("| people | FPIR asked | threshold | its interval | measured | inside | galleries inside | FNIR |");
    puts("|---|---|---|---|---|---|---|---|");
    const table t = compare_all(s);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
        for (size_t i = 0; i < sizeof fpirs / sizeof fpirs[0]; i++)
            if (sizes[k] <= s->n_people && (k < 3 || (sizes[k] != 10 && sizes[k] != 100 && sizes[k] != 1000)))
                judge(s, &t, sizes[k], pictures, fpirs[i]);
    free(t.stranger);
    free(t.own);
    free(t.above);
    free(t.who);
}

static void load_curve(study *s, const mien_model *model, const char *path)
{
    static char text[1 << 18];
    mien_error err = MIEN_ERROR_INIT;
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (path && !f)
        die(path, NULL);
    const size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    if (f ? mien_curve_of_json(text, n, &s->curve, &err) : mien_curve_of_model(model, &s->curve, &err))
        die("calibration", &err);
}

static void add_others(study *s, char *what)
{
    char *colon = strrchr(what, ':');
    int limit = MAX_ITEMS;
    if (colon && atoi(colon + 1) > 0) {
        limit = atoi(colon + 1);
        *colon = '\0';
    }
    each(s, what, limit, add_person);
}

int main(int argc, char **argv)
{
    static study s;
    const char *model_name = NULL, *detector_name = NULL, *calibration = NULL;
    char *dirs[16];
    int n_dirs = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--model") == 0 && i + 1 < argc)
            model_name = argv[++i];
        else if (strcmp(argv[i], "--detector") == 0 && i + 1 < argc)
            detector_name = argv[++i];
        else if (strcmp(argv[i], "--calibration") == 0 && i + 1 < argc)
            calibration = argv[++i];
        else if (argv[i][0] != '-' && n_dirs < 16)
            dirs[n_dirs++] = argv[i];
    }
    if (n_dirs < 3) {
        fprintf(stderr, "usage: open_set [--model M] [--detector M] [--calibration FILE] GALLERY MATED NONMATED "
                        "[OTHERS[:N]...]\n");
        return 2;
    }
    mien_error err = MIEN_ERROR_INIT;
    mien_model *det = NULL, *emb = NULL;
    if ((detector_name ? mien_model_load(detector_name, &det, &err)
                       : mien_model_load_default(MIEN_TASK_DETECT, &det, &err)) ||
        (model_name ? mien_model_load(model_name, &emb, &err)
                    : mien_model_load_default(MIEN_TASK_EMBED, &emb, &err)) ||
        mien_detector_new(det, NULL, &s.detector, &err) || mien_embedder_new(emb, NULL, &s.embedder, &err))
        die("models", &err);
    s.len = (size_t)mien_model_info_of(emb)->embedding_len;
    load_curve(&s, emb, calibration);
    each(&s, dirs[0], MAX_ITEMS, add_person);
    each(&s, dirs[1], MAX_ITEMS, add_mated);
    each(&s, dirs[2], MAX_ITEMS, add_stranger);
    for (int i = 3; i < n_dirs; i++)
        add_others(&s, dirs[i]);
    report(&s);
    for (int i = 0; i < MAX_ITEMS; i++) {
        free(s.people[i].vec);
        free(s.mated[i].vec);
        free(s.strangers[i].vec);
    }
    mien_curve_free(s.curve);
    mien_embedder_free(s.embedder);
    mien_detector_free(s.detector);
    mien_model_free(emb);
    mien_model_free(det);
    return 0;
}
