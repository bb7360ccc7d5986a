/* Does one wrong picture among a person's few poison the template? Fusing with and without outlier rejection.
 *
 *   mien embed DIR --out faces.csv        # a folder per person
 *   build/release/bench_fuse faces.csv    # built by make bench-gallery
 *
 * People are parted in two by a hash of their name: on the first half the share is looked at, on the second
 * the table is reported. Of each person with more than M pictures, M make the template, the others are
 * probes. "poisoned": the second of the M is a picture of somebody else. "stranger": the other pictures of
 * that somebody against the poisoned template. Thresholds: of the default model at a false match rate of
 * 1e-3.
 */
#include "gallery/gallery.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FACES = 20000, MAX_DIM = 2048 };

typedef struct person {
    char name[200];
    size_t first, n;
    int half;
} person;

static float *vecs;
static int dim;
static person people[MAX_FACES];
static size_t n_people, n_faces;

static void person_of(const char *path, char ret[200])
{
    const char *const end = strrchr(path, '/');
    const char *start = end ? end : path;
    while (start > path && start[-1] != '/')
        start--;
    snprintf(ret, 200, "%.*s", (int)((end ? end : path) - start), start);
}

static void add_row(char *line)
{
    char name[200], *at = NULL;
    char *const comma = strchr(line, ',');
    *comma = '\0';
    person_of(line, name);
    at = strchr(comma + 1, ',');
    if (n_people == 0 || strcmp(people[n_people - 1].name, name) != 0) {
        person *const p = &people[n_people++];
        unsigned hash = 5381;
        for (const char *c = name; *c; c++)
            hash = hash * 33 + (unsigned char)*c;
        snprintf(p->name, sizeof p->name, "%s", name);
        p->first = n_faces;
        p->half = (int)(hash >> 4 & 1);
    }
    people[n_people - 1].n++;
    float *const v = vecs + n_faces++ * (size_t)dim;
    for (int i = 0; i < dim; i++, at = strchr(at + 1, ','))
        v[i] = (float)strtod(at + 1, NULL);
}

static void read_csv(const char *path)
{
    static char line[1 << 18];
    FILE *const f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    for (const char *c = line; (c = strchr(c, ',')) != NULL; c++)
        dim++;
    dim -= 1;
    vecs = calloc((size_t)MAX_FACES * (size_t)dim, sizeof *vecs);
    while (n_faces < MAX_FACES && fgets(line, sizeof line, f))
        add_row(line);
    fclose(f);
}

/* One cell: how often genuine probes, other people's probes and the stranger match. */
typedef struct cell {
    long genuine, genuine_missed, others, others_matched, stranger, stranger_matched, kept_right, left_right,
        left_wrong, templates;
} cell;

static void fuse_one(double share, const person *p, const person *wrong, size_t m, double threshold,
                     size_t seed, cell *c)
{
    static float set[64 * MAX_DIM], vec[MAX_DIM], weights[64];
    static double scratch[2 * MAX_DIM], fit[64];
    static uint8_t out[64];
    const size_t d = (size_t)dim;
    for (size_t i = 0; i < m; i++) {
        memcpy(set + i * d, vecs + (wrong && i == 1 ? wrong->first : p->first + i) * d, d * sizeof *set);
        weights[i] = 0.7f;
    }
    mien__fuse_at(share, set, weights, m, dim, scratch, vec, out, fit);
    for (size_t i = 0; i < m; i++) {
        const bool is_wrong = wrong && i == 1;
        c->left_wrong += is_wrong && out[i];
        c->left_right += !is_wrong && out[i];
        c->kept_right += !is_wrong && !out[i];
    }
    c->templates++;
    for (size_t i = m; i < p->n; i++) {
        c->genuine++;
        c->genuine_missed += mien_cosine(vec, vecs + (p->first + i) * d, d) < threshold;
    }
    for (size_t k = 0; k < 100; k++) {
        const person *const q = &people[(seed * 7919 + k * 104729) % n_people];
        if (q == p || q == wrong)
            continue;
        c->others++;
        c->others_matched += mien_cosine(vec, vecs + q->first * d, d) >= threshold;
    }
    for (size_t i = 1; wrong && i < wrong->n; i++) {
        c->stranger++;
        c->stranger_matched += mien_cosine(vec, vecs + (wrong->first + i) * d, d) >= threshold;
    }
}

static cell measure(double share, int half, size_t m, bool poison, double threshold)
{
    cell c = { 0 };
    for (size_t i = 0; i < n_people; i++) {
        const person *const p = &people[i];
        if (p->half != half || p->n <= m || m > 64)
            continue;
        const person *wrong = NULL;
        for (size_t k = 1; poison && k < n_people && !wrong; k++) {
            const person *const q = &people[(i * 31 + k * 17) % n_people];
            wrong = q != p && q->half == half && q->n > 1 ? q : NULL;
        }
        fuse_one(share, p, wrong, m, threshold, i + 1, &c);
    }
    return c;
}

static double percent(long part, long whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void row(double share, int half, size_t m, bool poison, double threshold)
{
    const cell c = measure(share, half, m, poison, threshold);
    printf("| %zu | %s | %s%.1f | %ld | %.2f | %.3f | ", m, poison ? "one wrong" : "all right",
           share > 0 ? "" : "off ", share, c.templates, percent(c.genuine_missed, c.genuine),
           percent(c.others_matched, c.others));
    if (poison)
        printf("%.1f | %.1f | ", percent(c.stranger_matched, c.stranger), percent(c.left_wrong, c.templates));
    else
        printf("- | - | ");
    printf("%.2f |\n", percent(c.left_right, c.left_right + c.kept_right));
}

int main(int argc, char **argv)
{
    static const double shares[] = { 0.0, 0.3, 0.4, 0.5, 0.6, 0.7 };
    mien_model *model = NULL;
    mien_error e = MIEN_ERROR_INIT;
    double threshold = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_fuse faces.csv\n");
        return 2;
    }
    read_csv(argv[1]);
    if (dim > MAX_DIM || mien_model_load_default(MIEN_TASK_EMBED, &model, &e) ||
        mien_model_threshold(model, 1e-3, &threshold, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 1;
    }
    printf("%zu people, %zu faces, threshold %.4f\n", n_people, n_faces, threshold);
    for (int half = 0; half < 2; half++) {
        printf("\n%s half\n\n| pictures | | share | templates | FNMR %% | FMR %% | stranger %% | wrong left "
               "out %% | right left out %% |\n"
               "|---|---|---|---|---|---|---|---|---|\n",
               half ? "second" : "first");
        for (size_t m = 3; m <= 5; m += 2)
            for (int poison = 0; poison < 2; poison++)
                for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
                    if (half == 0 || i == 0 || (shares[i] > 0.49 && shares[i] < 0.51))
                        row(shares[i], half, m, poison, threshold);
    }
    mien_model_free(model);
    free(vecs);
    return 0;
}
