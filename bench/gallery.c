/* How a gallery grows: enrolling, opening, searching, removing and verifying at N people, templates as the
 * default model makes them.
 *
 *   make bench-gallery, or build/release/bench_gallery N [encrypted] [FILE]
 *
 * Prints one JSON line. Templates are random unit vectors, one face a person; enrolment goes in calls of
 * 1,000 faces without comparison with the others. Times are medians where a thing is done more than once.
 */
#include <mien/mien.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1000, PROBES = 21, REMOVALS = 5 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static unsigned long long state = 88172645463325252ull;

static double unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static void random_vec(float *v, int dim)
{
    double norm = 0;
    for (int i = 0; i < dim; i++) {
        const double x = unit() + unit() + unit() - 1.5;
        v[i] = (float)x;
        norm += x * x;
    }
    for (int i = 0; i < dim; i++)
        v[i] = (float)(v[i] / sqrt(norm));
}

static void check(mien_status st, const mien_error *e, const char *what)
{
    if (st == MIEN_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, e->message);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static mien_gallery *open_it(const char *path, mien_gallery_mode mode, const mien_model *model, int encrypted)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_error e = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    opts.mode = mode;
    opts.embedder = model;
    opts.key = encrypted ? "0123456789abcdef0123456789abcdef" : NULL;
    opts.key_bytes = encrypted ? 32 : 0;
    check(mien_gallery_open(path, &opts, &g, &e), &e, "open");
    return g;
}

static double enrol_all(mien_gallery *g, long people, int dim)
{
    mien_enrolment *const items = calloc(BATCH, sizeof *items);
    mien_enrolled *const done = calloc(BATCH, sizeof *done);
    float *const vecs = calloc((size_t)BATCH * (size_t)dim, sizeof *vecs);
    char(*const names)[32] = calloc(BATCH, sizeof *names);
    const double start = now_ms();
    long at = 0;
    while (at < people) {
        size_t n = 0;
        for (; n < BATCH && at < people; n++, at++) {
            const mien_enrolment empty = MIEN_ENROLMENT_INIT;
            items[n] = empty;
            snprintf(names[n], sizeof names[n], "Person %ld", at);
            random_vec(vecs + n * (size_t)dim, dim);
            items[n].name = names[n];
            items[n].vec = vecs + n * (size_t)dim;
            items[n].quality.score = 0.7f;
            items[n].source = "picture.jpg";
        }
        mien_error e = MIEN_ERROR_INIT;
        check(mien_gallery_enrol(g, items, n, done, &e), &e, "enrol");
    }
    free(items);
    free(done);
    free(vecs);
    free(names);
    return now_ms() - start;
}

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

int main(int argc, char **argv)
{
    const long people = argc > 1 ? atol(argv[1]) : 1000;
    const int encrypted = argc > 2 && strcmp(argv[2], "encrypted") == 0;
    const char *const path = argc > 3 ? argv[3] : "/tmp/mien-growth.gallery";
    mien_error e = MIEN_ERROR_INIT;
    mien_model *model = NULL;
    char index[4096];
    snprintf(index, sizeof index, "%s-index", path);
    unlink(path);
    unlink(index);
    check(mien_model_load_default(MIEN_TASK_EMBED, &model, &e), &e, "model");
    const int dim = mien_model_info_of(model)->embedding_len;
    float *const probe = calloc((size_t)dim, sizeof *probe);
    mien_gallery *g = open_it(path, MIEN_GALLERY_CREATE, model, encrypted);
    const double enrol_ms = enrol_all(g, people, dim);
    double start = now_ms();
    mien_gallery_free(g); /* saves the index */
    const double close_ms = now_ms() - start;
    const long enrol_kb = peak_kb();
    double times[PROBES];
    mien_candidate found[10];
    size_t n = 0;
    start = now_ms();
    g = open_it(path, MIEN_GALLERY_WRITE, model, encrypted);
    random_vec(probe, dim);
    check(mien_gallery_search(g, probe, 1, 10, found, &n, &e), &e, "search");
    const double open_ms = now_ms() - start;
    for (int i = 0; i < PROBES; i++) {
        random_vec(probe, dim);
        start = now_ms();
        check(mien_gallery_search(g, probe, 1, 10, found, &n, &e), &e, "search");
        times[i] = now_ms() - start;
    }
    const double search_ms = median(times, PROBES);
    double mbps = 0;
    int verified = 1;
    for (int i = 0; i < REMOVALS; i++) {
        mien_receipt r;
        start = now_ms();
        check(mien_gallery_remove(g, 1 + i * (people / REMOVALS), 0, &r, &e), &e, "remove");
        times[i] = now_ms() - start;
        mbps = (double)r.bytes_searched / 1e3 / times[i];
        verified = verified && r.verified;
    }
    const double remove_ms = median(times, REMOVALS);
    struct stat st;
    const double bytes = stat(path, &st) == 0 ? (double)st.st_size : 0;
    const double index_bytes = stat(index, &st) == 0 ? (double)st.st_size : 0;
    printf("{\"people\":%ld,\"dim\":%d,\"encrypted\":%s,\"enrol_us\":%.1f,\"close_ms\":%.1f,\"open_and_"
           "search_ms\":%.1f,"
           "\"search_ms\":%.3f,\"remove_ms\":%.1f,\"remove_mb_per_s\":%.0f,\"verified\":%s,\"file_mb\":%.1f,"
           "\"index_mb\":%.1f,"
           "\"peak_mb_enrol\":%.0f,\"peak_mb\":%.0f}\n",
           people, dim, encrypted ? "true" : "false", enrol_ms * 1e3 / (double)people, close_ms, open_ms,
           search_ms, remove_ms, mbps, verified ? "true" : "false", bytes / 1e6, index_bytes / 1e6,
           (double)enrol_kb / 1024, (double)peak_kb() / 1024);
    mien_gallery_free(g);
    mien_model_free(model);
    free(probe);
    unlink(path);
    unlink(index);
    return 0;
}
