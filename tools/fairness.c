/* fairness: how often strangers of one group are taken for one person, at one threshold for everybody.
 *
 *   tool_fairness [options] LABELS.csv
 *
 * LABELS.csv has a row per picture, its first row names the columns: file (or path), and groups such as
 * FairFace's race, gender and age. The most central face of each picture is embedded; every picture is taken
 * to show another person, as FairFace's do, so all pairs are non-mated. Within each group the rate of pairs
 * at or above the model's threshold is its false match rate (ISO/IEC 19795-1); the threshold is the same for
 * all. Two intervals stand beside it: of Clopper and Pearson, which takes pairs as independent, and of a
 * bootstrap over pictures, which does not.
 *
 * What this says little of: people who are in the table twice count as strangers who match; --top shows the
 * most alike pairs to be looked at. Non-matches need several pictures of one person, which such tables do not
 * have.
 */
#include "fairness/fairness.h"
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hit {
    uint32_t a, b; /* pictures, by row */
    float score;
} hit;

typedef struct study {
    labels l;
    mien_model *detect, *embed;
    float *vecs; /* [rows][len] */
    char *state; /* [rows]: 'f' embedded, 'n' no face, 'u' unreadable */
    size_t len;
    double threshold, fmr; /* fmr 0: the threshold was given */
    hit *hits;
    size_t n_hits, room;
    int draws, markdown, threads;
    size_t top;
} study;

/* One line of the table. */
typedef struct figures {
    size_t pictures, no_face, matches;
    uint64_t pairs;
    double fmr;
    interval exact, pictures_95;
} figures;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "fairness: %s: %s\n", what, why);
    exit(1);
}

/* ---- embedding ---- */

static void embed_one(study *s, mien_detector *detector, mien_embedder *embedder, size_t at)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    const char *const path = s->l.rows[at].path;
    if (mien_image_load(path, NULL, &image, &err)) {
        fprintf(stderr, "fairness: left out: %s\n", err.message);
        s->state[at] = 'u';
        return;
    }
    const mien_image_view v = mien_image_view_of(image);
    if (mien_detect(detector, v, &faces, &n, &err))
        die(path, err.message);
    const size_t face = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
    s->state[at] = face < n ? 'f' : 'n';
    if (face < n && mien_embed_face(embedder, v, &faces[face], s->vecs + at * s->len, &err))
        die(path, err.message);
    mien_image_free(image);
}

static void embed_all(study *s)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_detect_opts d = MIEN_DETECT_OPTS_INIT;
    mien_embed_opts e = MIEN_EMBED_OPTS_INIT;
    mien_detector *detector = NULL;
    mien_embedder *embedder = NULL;
    d.threads = e.threads = (unsigned)s->threads;
    if (mien_detector_new(s->detect, &d, &detector, &err) || mien_embedder_new(s->embed, &e, &embedder, &err))
        die("models", err.message);
    s->len = (size_t)mien_model_info_of(s->embed)->embedding_len;
    s->vecs = malloc(s->l.n * s->len * sizeof *s->vecs);
    s->state = calloc(s->l.n, 1);
    if (!s->vecs || !s->state)
        die("memory", "not enough for the embeddings");
    for (size_t i = 0; i < s->l.n; i++) {
        embed_one(s, detector, embedder, i);
        if (i % 100 == 99 || i + 1 == s->l.n)
            fprintf(stderr, "\r%zu of %zu pictures", i + 1, s->l.n);
    }
    fputc('\n', stderr);
    mien_embedder_free(embedder);
    mien_detector_free(detector);
}

/* ---- pairs ---- */

/* All pairs at or above the threshold; the others need only be counted. */
static void find_hits(study *s)
{
    for (size_t i = 0; i < s->l.n; i++)
        for (size_t j = i + 1; s->state[i] == 'f' && j < s->l.n; j++) {
            if (s->state[j] != 'f')
                continue;
            const double score = mien_cosine(s->vecs + i * s->len, s->vecs + j * s->len, s->len);
            if (score < s->threshold)
                continue;
            if (s->n_hits == s->room) {
                s->room = s->room ? 2 * s->room : 1024;
                s->hits = realloc(s->hits, s->room * sizeof *s->hits);
                if (!s->hits)
                    die("memory", "too many pairs match");
            }
            s->hits[s->n_hits++] = (hit){ (uint32_t)i, (uint32_t)j, (float)score };
        }
}

static int in_group(const study *s, size_t at, int column, int group)
{
    return column < 0 || s->l.rows[at].group[column] == group;
}

/* Measure one group; column below 0: everybody. */
static figures measure(const study *s, int column, int group)
{
    figures f = { 0 };
    uint32_t *const place = malloc(s->l.n * sizeof *place);
    match *const matches = malloc((s->n_hits + 1) * sizeof *matches);
    if (!place || !matches)
        die("memory", "not enough for a group");
    for (size_t i = 0; i < s->l.n; i++) {
        if (!in_group(s, i, column, group))
            continue;
        f.no_face += s->state[i] == 'n';
        if (s->state[i] == 'f')
            place[i] = (uint32_t)f.pictures++;
    }
    for (size_t i = 0; i < s->n_hits; i++) {
        const hit h = s->hits[i];
        if (in_group(s, h.a, column, group) && in_group(s, h.b, column, group))
            matches[f.matches++] = (match){ place[h.a], place[h.b] };
    }
    f.pairs = f.pictures > 1 ? (uint64_t)f.pictures * (f.pictures - 1) / 2 : 0;
    if (f.pairs > 0) {
        f.fmr = (double)f.matches / (double)f.pairs;
        f.exact = clopper_pearson(f.matches, f.pairs);
        f.pictures_95 = over_pictures(matches, f.matches, f.pictures, s->draws, 1);
    }
    free(matches);
    free(place);
    return f;
}

/* ---- printing ---- */

static void print_figures(const study *s, const char *name, const figures *f)
{
    if (f->pairs == 0)
        printf(s->markdown ? "| %s | %zu | %zu | %llu | | | | |\n" : "  %-20s %8zu %7zu %10llu\n", name,
               f->pictures, f->no_face, (unsigned long long)f->pairs);
    else
        printf(s->markdown ? "| %s | %zu | %zu | %llu | %zu | %.2e | %.2e .. %.2e | %.2e .. %.2e |\n"
                           : "  %-20s %8zu %7zu %10llu %8zu  %.2e  %.2e .. %.2e  %.2e .. %.2e\n",
               name, f->pictures, f->no_face, (unsigned long long)f->pairs, f->matches, f->fmr, f->exact.lo,
               f->exact.hi, f->pictures_95.lo, f->pictures_95.hi);
}

static void print_head(const study *s, const char *name)
{
    if (s->markdown)
        printf("\n| %s | pictures | no face found | pairs | matches | FMR | 95 %%, pairs independent | 95 "
               "%%, over pictures |\n"
               "|---|---|---|---|---|---|---|---|\n",
               name);
    else
        printf("\n%-22s %8s %7s %10s %8s  %-8s  %-20s  %s\n", name, "pictures", "no face", "pairs", "matches",
               "FMR", "95 %, independent", "95 %, over pictures");
}

static void print_attribute(const study *s, int column)
{
    const attribute *const a = &s->l.attributes[column];
    double least = 1, greatest = 0;
    print_head(s, a->name);
    for (int g = 0; g < a->n_groups; g++) {
        const figures f = measure(s, column, g);
        print_figures(s, a->groups[g], &f);
        if (f.pairs > 0) {
            least = f.fmr < least ? f.fmr : least;
            greatest = f.fmr > greatest ? f.fmr : greatest;
        }
    }
    if (least > 0 && greatest > 0)
        printf("%sgreatest rate / smallest rate: %.2f\n", s->markdown ? "\n" : "  ", greatest / least);
}

static int by_score(const void *x, const void *y)
{
    const hit *const a = x, *const b = y;
    return (a->score < b->score) - (a->score > b->score);
}

static void print_all(study *s)
{
    size_t unreadable = 0;
    for (size_t i = 0; i < s->l.n; i++)
        unreadable += s->state[i] == 'u';
    printf("model %s, detector %s, threshold %.4f", mien_model_info_of(s->embed)->name,
           mien_model_info_of(s->detect)->name, s->threshold);
    if (s->fmr > 0)
        printf(" (FMR %g by the model's calibration)", s->fmr);
    printf("; %zu pictures listed, %zu unreadable; bootstrap of %d draws\n", s->l.n, unreadable, s->draws);
    print_head(s, "");
    const figures f = measure(s, -1, 0);
    print_figures(s, "everybody", &f);
    for (int a = 0; a < s->l.n_attributes; a++)
        print_attribute(s, a);
    if (s->n_hits > 0)
        qsort(s->hits, s->n_hits, sizeof *s->hits, by_score);
    for (size_t i = 0; i < s->top && i < s->n_hits; i++)
        fprintf(stderr, "%.4f %s %s\n", (double)s->hits[i].score, s->l.rows[s->hits[i].a].path,
                s->l.rows[s->hits[i].b].path);
}

/* ---- command line ---- */

typedef struct arguments {
    const char *model, *detector, *root, *groups, *labels;
    double fmr, threshold;
    long max, draws, threads, top;
    int markdown, has_threshold;
} arguments;

static const char usage[] =
    "usage: fairness [options] LABELS.csv\n"
    "  --root DIR        folder that the paths begin at (the table's own)\n"
    "  --groups A,B      columns that give the groups (race,gender,age)\n"
    "  --model M         embedder (the default one)\n"
    "  --detector M      detector (the default one)\n"
    "  --fmr X           threshold at this rate of the model's calibration (the model's default)\n"
    "  --threshold X     threshold itself\n"
    "  --max N           use N pictures, evenly over the table\n"
    "  --draws N         of the bootstrap (1000)\n"
    "  --threads N       (1)\n"
    "  --top N           name the N most alike pairs on stderr\n"
    "  --markdown        print tables in Markdown\n";

static double number(const char *text, double lo, double hi)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= lo && v <= hi)) {
        fprintf(stderr, "fairness: '%s' is not a number in %g..%g\n", text, lo, hi);
        exit(2);
    }
    return v;
}

/* False when the command line is wrong. */
static int parse(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        const char *const name = argv[i];
        if (strcmp(name, "--markdown") == 0) {
            a->markdown = 1;
            continue;
        }
        if (name[0] != '-') {
            if (a->labels)
                return 0;
            a->labels = name;
            continue;
        }
        if (i + 1 == argc)
            return 0;
        const char *const value = argv[++i];
        if (strcmp(name, "--root") == 0)
            a->root = value;
        else if (strcmp(name, "--groups") == 0)
            a->groups = value;
        else if (strcmp(name, "--model") == 0)
            a->model = value;
        else if (strcmp(name, "--detector") == 0)
            a->detector = value;
        else if (strcmp(name, "--fmr") == 0)
            a->fmr = number(value, 1e-9, 1);
        else if (strcmp(name, "--threshold") == 0) {
            a->threshold = number(value, -1, 1);
            a->has_threshold = 1;
        } else if (strcmp(name, "--max") == 0)
            a->max = (long)number(value, 2, MAX_ROWS);
        else if (strcmp(name, "--draws") == 0)
            a->draws = (long)number(value, 40, 1000000);
        else if (strcmp(name, "--threads") == 0)
            a->threads = (long)number(value, 1, 1024);
        else if (strcmp(name, "--top") == 0)
            a->top = (long)number(value, 0, 1e6);
        else
            return 0;
    }
    return a->labels != NULL;
}

static void open_models(study *s, const arguments *a)
{
    mien_error err = MIEN_ERROR_INIT;
    if ((a->detector ? mien_model_load(a->detector, &s->detect, &err)
                     : mien_model_load_default(MIEN_TASK_DETECT, &s->detect, &err)) ||
        (a->model ? mien_model_load(a->model, &s->embed, &err)
                  : mien_model_load_default(MIEN_TASK_EMBED, &s->embed, &err)))
        die("models", err.message);
    s->threshold = a->threshold;
    if (a->has_threshold)
        return;
    s->fmr = a->fmr > 0 ? a->fmr : mien_model_info_of(s->embed)->default_fmr;
    if (mien_model_threshold(s->embed, s->fmr, &s->threshold, &err))
        die("threshold", err.message);
}

int main(int argc, char **argv)
{
    static study s;
    arguments a = { .groups = "race,gender,age", .draws = 1000, .threads = 1 };
    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return 2;
    }
    s.draws = (int)a.draws;
    s.threads = (int)a.threads;
    s.top = (size_t)a.top;
    s.markdown = a.markdown;
    labels_read(&s.l, a.labels, a.groups, a.root, (size_t)a.max);
    open_models(&s, &a);
    embed_all(&s);
    find_hits(&s);
    print_all(&s);
    free(s.hits);
    free(s.state);
    free(s.vecs);
    mien_model_free(s.embed);
    mien_model_free(s.detect);
    labels_free(&s.l);
    return 0;
}
