/* Measures the search index beside FAISS, in one process, on the same vectors, with the same threads, taking
 * turns.
 *
 * usage: search_bench KEY=VALUE...
 *   n=1000000 dim=512 threads=1 seed=1 rounds=5   random unit vectors ...
 *   npy=FILE                                      ... or real ones: repeated to n with noise, so that each is
 * a person of n / rows templates faiss=1 pq=1 exact=1 probes=2000 floor=0.4 dir=/tmp   what to measure, and
 * where the index is saved only=rss file=FILE                            open a saved index, search it, print
 * resident memory
 *
 * Prints one JSON object. Times are medians of the rounds, in milliseconds (single queries: the fastest of
 * three counts for a round); what is compared took turns within a round, and `ratio` is the median of the
 * rounds' ratios. The bound of memory is a plain read of as many bytes as the codes have, by as many threads.
 * Mates are made at the floor exactly, from random templates of the index.
 */
#include "search_faiss.h"
#include <mien/base.h>
#include <mien/search.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TOP = 10, BATCH = 64, MOST_ROUNDS = 64, EXACT_QUERIES = 20 };

static struct {
    size_t n, dim, probes;
    unsigned threads;
    uint64_t seed;
    int rounds, faiss, pq, exact;
    double floor;
    const char *npy, *dir, *only, *file;
} opt = { 1000000, 512, 2000, 1, 1, 5, 1, 1, 1, 0.4, NULL, "/tmp", NULL, NULL };

#ifdef NO_FAISS
int faiss_make(const float *x, size_t n, size_t dim, int threads, int pq)
{
    (void)x, (void)n, (void)dim, (void)threads, (void)pq;
    return 0;
}
void faiss_flat(const float *queries, size_t n_q, size_t k, float *ret_sim, int64_t *ret_ids)
{
    (void)queries, (void)n_q, (void)k, (void)ret_sim, (void)ret_ids;
}
void faiss_coded(const float *queries, size_t n_q, size_t k, double k_factor, float *ret_sim,
                 int64_t *ret_ids)
{
    (void)k_factor;
    faiss_flat(queries, n_q, k, ret_sim, ret_ids);
}
void faiss_free(void)
{
}
#endif

static float *vecs; /* [n][dim]: the store */

static void die(const char *what)
{
    fprintf(stderr, "search_bench: %s\n", what);
    exit(1);
}

static void must(mien_status status, const mien_error *err)
{
    if (status != MIEN_OK)
        die(err->message);
}

static void *get(size_t n, size_t bytes)
{
    void *const p = malloc(n * bytes);
    if (!p)
        die("out of memory");
    return p;
}

/* With one thread processor time, which other programs disturb less. */
static double now_ms(void)
{
    struct timespec t;
    clock_gettime(opt.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- numbers ---- */

static uint64_t rng_state;

static uint64_t rng(void) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float normal(void) /* the sum of eight 8-bit numbers: near enough, and quick */
{
    const uint64_t v = rng();
    int sum = 0;
    for (int i = 0; i < 8; i++)
        sum += (int)(v >> (8 * i) & 255);
    return (float)(sum - 1020) / 209.0f;
}

static void unit(float *v)
{
    double s = 0;
    for (size_t d = 0; d < opt.dim; d++)
        s += (double)v[d] * v[d];
    for (size_t d = 0; d < opt.dim; d++)
        v[d] = (float)(v[d] / sqrt(s));
}

/* A vector whose cosine to v is c. */
static void mate(const float *v, double c, float *ret)
{
    double dot = 0, s = 0;
    for (size_t d = 0; d < opt.dim; d++) {
        ret[d] = normal();
        dot += (double)ret[d] * v[d];
    }
    for (size_t d = 0; d < opt.dim; d++) {
        ret[d] = (float)(ret[d] - dot * v[d]);
        s += (double)ret[d] * ret[d];
    }
    for (size_t d = 0; d < opt.dim; d++)
        ret[d] = (float)(c * v[d] + sqrt((1 - c * c) / s) * ret[d]);
    unit(ret);
}

/* A NumPy file of float32, two dimensions. */
static float *load_npy(size_t *ret_rows)
{
    char head[12];
    FILE *const f = fopen(opt.npy, "rb");
    if (!f || fread(head, 1, 10, f) != 10 || memcmp(head, "\x93NUMPY\1", 7) != 0)
        die("not a NumPy file");
    const size_t len = (size_t)(unsigned char)head[8] | (size_t)(unsigned char)head[9] << 8;
    char *const text = get(len + 1, 1);
    if (fread(text, 1, len, f) != len)
        die("cut short");
    text[len] = 0;
    const char *const shape = strstr(text, "'shape': (");
    char *end = NULL;
    if (!strstr(text, "'<f4'") || !shape)
        die("not float32");
    *ret_rows = strtoul(shape + 10, &end, 10);
    opt.dim = strtoul(end + 1, NULL, 10);
    float *const rows = get(*ret_rows * opt.dim, sizeof *rows);
    if (fread(rows, opt.dim * sizeof *rows, *ret_rows, f) != *ret_rows)
        die("cut short");
    fclose(f);
    free(text);
    return rows;
}

static void make_vecs(void)
{
    size_t rows = 0;
    float *const real = opt.npy ? load_npy(&rows) : NULL;
    rng_state = opt.seed;
    vecs = get(opt.n * opt.dim, sizeof *vecs);
    for (size_t i = 0; i < opt.n; i++) {
        float *const v = vecs + i * opt.dim;
        if (!real) {
            for (size_t d = 0; d < opt.dim; d++)
                v[d] = normal();
            unit(v);
        } else if (i < rows) {
            memcpy(v, real + i * opt.dim, opt.dim * sizeof *v);
            unit(v);
        } else { /* another picture of one who is there: the difference of two others, scaled, stays in the
                    space where faces vary */
            const float *const a = real + i % rows * opt.dim, *const b = real + rng() % rows * opt.dim,
                               *const c = real + rng() % rows * opt.dim;
            for (size_t d = 0; d < opt.dim; d++)
                v[d] = a[d] + 0.6f * (b[d] - c[d]);
            unit(v);
        }
    }
    free(real);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *v, int n)
{
    double s[MOST_ROUNDS];
    memcpy(s, v, (size_t)n * sizeof *s);
    qsort(s, (size_t)n, sizeof *s, by_value);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static double median_ratio(const double *a, const double *b, int n)
{
    double r[MOST_ROUNDS];
    for (int i = 0; i < n; i++)
        r[i] = a[i] / b[i];
    return median(r, n);
}

static size_t n_fetched;

static mien_status fetch(void *user, const uint64_t *ids, size_t n, float *ret_vecs, mien_error *err)
{
    (void)user;
    (void)err;
    n_fetched += n;
    for (size_t i = 0; i < n; i++)
        memcpy(ret_vecs + i * opt.dim, vecs + ids[i] * opt.dim, opt.dim * sizeof *ret_vecs);
    return MIEN_OK;
}

static double search(mien_index *ix, const float *queries, size_t n, size_t k, int scan_all, mien_hit *hits,
                     size_t *counts)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_search_opts o = MIEN_SEARCH_OPTS_INIT;
    o.top_k = k;
    o.by_person = 0;
    o.scan_all = scan_all;
    o.fetch = fetch;
    const double t = now_ms();
    must(mien_index_search(ix, queries, n, &o, hits, counts, &err), &err);
    return now_ms() - t;
}

/* The fastest of three: a single pass is short. */
static double search_one(mien_index *ix, const float *query, int scan_all, mien_hit *hits, size_t *counts)
{
    double least = search(ix, query, 1, TOP, scan_all, hits, counts);
    for (int i = 0; i < 2; i++)
        least = fmin(least, search(ix, query, 1, TOP, scan_all, hits, counts));
    return least;
}

static double faiss_one(const float *query, double k_factor) /* 0: flat */
{
    float sims[TOP];
    int64_t ids[TOP];
    double least = INFINITY;
    for (int i = 0; i < 3; i++) {
        const double t = now_ms();
        if (k_factor > 0)
            faiss_coded(query, 1, TOP, k_factor, sims, ids);
        else
            faiss_flat(query, 1, TOP, sims, ids);
        least = fmin(least, now_ms() - t);
    }
    return least;
}

typedef struct reader {
    const uint64_t *p;
    size_t words;
    uint64_t sum;
} reader;

static void *read_words(void *arg)
{
    reader *const r = arg;
    uint64_t s[8] = { 0 };
    for (size_t i = 0; i + 8 <= r->words; i += 8) {
        for (int k = 0; k < 8; k++)
            s[k] += r->p[i + (size_t)k];
    }
    for (int k = 0; k < 8; k++)
        r->sum += s[k];
    return NULL;
}

/* Read n * dim bytes with all threads. */
static double read_all(const uint8_t *p, size_t bytes)
{
    pthread_t threads[256];
    reader readers[256];
    const double t = now_ms();
    const size_t each = bytes / opt.threads / 64 * 64;
    for (unsigned i = 0; i < opt.threads; i++) {
        readers[i] = (reader){ (const uint64_t *)(const void *)(p + i * each), each / 8, 0 };
        if (i + 1 < opt.threads && pthread_create(&threads[i], NULL, read_words, &readers[i]) != 0)
            die("no thread");
    }
    read_words(&readers[opt.threads - 1]);
    for (unsigned i = 0; i + 1 < opt.threads; i++)
        pthread_join(threads[i], NULL);
    volatile uint64_t sink = readers[0].sum;
    (void)sink;
    return now_ms() - t;
}

/* ids of the TOP best of all, in float64 */
static void plain_top(const float *q, uint64_t *ret)
{
    double best[TOP];
    for (int i = 0; i < TOP; i++)
        best[i] = -2;
    for (size_t i = 0; i < opt.n; i++) {
        double s[4] = { 0 };
        const float *const v = vecs + i * opt.dim;
        for (size_t d = 0; d < opt.dim; d++)
            s[d & 3] += (double)q[d] * v[d];
        const double sum = s[0] + s[1] + s[2] + s[3];
        if (sum <= best[TOP - 1])
            continue;
        int at = TOP - 1;
        for (; at > 0 && best[at - 1] < sum; at--) {
            best[at] = best[at - 1];
            ret[at] = ret[at - 1];
        }
        best[at] = sum;
        ret[at] = i;
    }
}

static double recall(const float *queries, mien_index *ix)
{
    mien_hit hits[TOP];
    size_t n = 0, found = 0;
    n_fetched = 0;
    for (size_t i = 0; i < EXACT_QUERIES; i++) {
        uint64_t want[TOP];
        plain_top(queries + i * opt.dim, want);
        search(ix, queries + i * opt.dim, 1, TOP, 1, hits, &n);
        for (size_t a = 0; a < TOP; a++) {
            for (size_t b = 0; b < n; b++)
                found += hits[b].id == want[a];
        }
    }
    printf("\"fetched_per_query\": %.1f, ", (double)n_fetched / EXACT_QUERIES);
    return (double)found / (EXACT_QUERIES * TOP);
}

static long status_kb(const char *name)
{
    char line[256];
    long kb = -1;
    FILE *const f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kb = strtol(line + strlen(name) + 1, NULL, 10);
    }
    if (f)
        fclose(f);
    return kb;
}

static mien_index_opts index_opts(mien_index_coded coded)
{
    mien_index_opts o = MIEN_INDEX_OPTS_INIT;
    o.dim = opt.dim;
    o.threads = opt.threads;
    o.coded = coded;
    o.coded_floor = opt.floor;
    return o;
}

/* ---- the parts ---- */

static mien_index *build(mien_index_coded coded)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_index_opts o = index_opts(coded);
    mien_index *ix = NULL;
    must(mien_index_new(&o, &ix, &err), &err);
    const double t = now_ms();
    for (size_t i = 0; i < opt.n; i++)
        must(mien_index_add(ix, i, i, vecs + i * opt.dim, &err), &err);
    printf("\"add_per_s%s\": %.0f, ", coded == MIEN_INDEX_CODED_ALWAYS ? "_coded" : "",
           1e3 * (double)opt.n / (now_ms() - t));
    return ix;
}

/* Save and open, plain and sealed. The plain one comes back, opened. */
static mien_index *through_file(mien_index *ix, const float *query)
{
    char path[4096];
    mien_error err = MIEN_ERROR_INIT;
    mien_index_opts o = index_opts(MIEN_INDEX_CODED_NEVER);
    mien_hit hit;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/mien-bench-index", opt.dir);
    double t = now_ms();
    must(mien_index_sync(ix, path, &err), &err);
    printf("\"save_ms\": %.0f, ", now_ms() - t);
    mien_index_free(ix);
    t = now_ms();
    must(mien_index_open(path, &o, &ix, &err), &err);
    const double opened = now_ms() - t;
    printf("\"open_ms\": %.2f, \"first_search_ms\": %.1f, ", opened, search(ix, query, 1, 1, 1, &hit, &n));
    return ix;
}

static void measure_sealed(void)
{
    char path[4096];
    static const uint8_t key[MIEN_INDEX_KEY_BYTES] = { 1 };
    mien_error err = MIEN_ERROR_INIT;
    mien_index_opts o = index_opts(MIEN_INDEX_CODED_NEVER);
    mien_index *ix = NULL;
    snprintf(path, sizeof path, "%s/mien-bench-index-sealed", opt.dir);
    o.key = key;
    must(mien_index_new(&o, &ix, &err), &err);
    for (size_t i = 0; i < opt.n; i++)
        must(mien_index_add(ix, i, i, vecs + i * opt.dim, &err), &err);
    must(mien_index_sync(ix, path, &err), &err);
    mien_index_free(ix);
    const double t = now_ms();
    must(mien_index_open(path, &o, &ix, &err), &err);
    printf("\"open_sealed_ms\": %.0f, ", now_ms() - t);
    mien_index_free(ix);
    unlink(path);
}

static void measure_exact(mien_index *ix, const float *queries)
{
    const size_t bytes = opt.n * opt.dim;
    uint8_t *const mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        die("out of memory");
    memset(mem, 1, bytes);
    mien_hit *const hits = get(BATCH * TOP, sizeof *hits);
    size_t counts[BATCH];
    float sims[BATCH * TOP];
    int64_t ids[BATCH * TOP];
    double one[MOST_ROUNDS], many[MOST_ROUNDS], bound[MOST_ROUNDS], f_one[MOST_ROUNDS], f_many[MOST_ROUNDS];
    for (int r = -1; r < opt.rounds; r++) { /* the first warms up */
        const int i = r < 0 ? 0 : r;
        bound[i] = fmin(fmin(read_all(mem, bytes), read_all(mem, bytes)), read_all(mem, bytes));
        one[i] = search_one(ix, queries + (size_t)(r + 1) * opt.dim, 1, hits, counts);
        many[i] = search(ix, queries, BATCH, TOP, 1, hits, counts);
        if (!opt.faiss)
            continue;
        f_one[i] = faiss_one(queries + (size_t)(r + 1) * opt.dim, 0);
        const double t = now_ms();
        faiss_flat(queries, BATCH, TOP, sims, ids);
        f_many[i] = now_ms() - t;
    }
    const int n = opt.rounds;
    printf(
        "\"batch1_ms\": %.3f, \"batch64_ms_per_query\": %.4f, \"read_bound_ms\": %.3f, \"of_bound\": %.3f, ",
        median(one, n), median(many, n) / BATCH, median(bound, n), median_ratio(bound, one, n));
    if (opt.faiss)
        printf("\"faiss_flat_batch1_ms\": %.3f, \"faiss_flat_batch64_ms_per_query\": %.4f, "
               "\"batch1_ratio\": %.2f, \"batch64_ratio\": %.2f, ",
               median(f_one, n), median(f_many, n) / BATCH, median_ratio(f_one, one, n),
               median_ratio(f_many, many, n));
    munmap(mem, bytes);
    free(hits);
}

/* Mates at the floor: how many come first, coded; and FAISS's at the first depth that keeps as many. */
static double kept(mien_index *ix, const float *probes, const size_t *rows)
{
    mien_hit *const hits = get(opt.probes * TOP, sizeof *hits);
    size_t *const counts = get(opt.probes, sizeof *counts);
    size_t found = 0;
    search(ix, probes, opt.probes, TOP, 0, hits, counts);
    for (size_t i = 0; i < opt.probes; i++) {
        bool here = false;
        for (size_t k = 0; k < counts[i]; k++)
            here = here || hits[i * TOP + k].id == rows[i];
        found += here;
    }
    free(hits);
    free(counts);
    return (double)found / (double)opt.probes;
}

static double faiss_kept(const float *probes, const size_t *rows, double k_factor, size_t n)
{
    float *const sims = get(n * TOP, sizeof *sims);
    int64_t *const ids = get(n * TOP, sizeof *ids);
    size_t found = 0;
    faiss_coded(probes, n, TOP, k_factor, sims, ids);
    for (size_t i = 0; i < n; i++) {
        bool here = false;
        for (size_t k = 0; k < TOP; k++)
            here = here || ids[i * TOP + k] == (int64_t)rows[i];
        found += here;
    }
    free(sims);
    free(ids);
    return (double)found / (double)n;
}

static void measure_coded(mien_index *ix)
{
    float *const probes = get(opt.probes * opt.dim, sizeof *probes);
    size_t *const rows = get(opt.probes, sizeof *rows), counts[BATCH];
    mien_hit *const hits = get(BATCH * TOP, sizeof *hits);
    float sims[BATCH * TOP];
    int64_t ids[BATCH * TOP];
    for (size_t i = 0; i < opt.probes; i++) {
        rows[i] = rng() % opt.n;
        mate(vecs + rows[i] * opt.dim, opt.floor, probes + i * opt.dim);
    }
    printf("\"mates_kept\": %.5f, ", kept(ix, probes, rows));
    double factor = 1, one[MOST_ROUNDS], many[MOST_ROUNDS], all[MOST_ROUNDS] = { 0 },
           all_many[MOST_ROUNDS] = { 0 }, f_one[MOST_ROUNDS], f_many[MOST_ROUNDS];
    const bool peer = opt.faiss && opt.pq;
    const size_t some = opt.probes < 128 ? opt.probes : 128; /* it is slow */
    while (peer && factor < 4096 && faiss_kept(probes, rows, factor, some) < 0.999)
        factor *= 2;
    for (int r = -1; r < opt.rounds; r++) {
        const int i = r < 0 ? 0 : r;
        const float *const q = probes + (size_t)(r + 1) * opt.dim;
        one[i] = search_one(ix, q, 0, hits, counts);
        many[i] = search(ix, probes, BATCH, TOP, 0, hits, counts);
        all[i] = search_one(ix, q, 1, hits, counts);
        all_many[i] = search(ix, probes, BATCH, TOP, 1, hits, counts);
        if (!peer)
            continue;
        f_one[i] = faiss_one(q, factor);
        const double t = now_ms();
        faiss_coded(probes, BATCH, TOP, factor, sims, ids);
        f_many[i] = now_ms() - t;
    }
    const int n = opt.rounds;
    printf("\"coded_batch1_ms\": %.3f, \"coded_batch64_ms_per_query\": %.4f, \"coded_batch1_ratio_to_int8\": "
           "%.2f, "
           "\"coded_batch64_ratio_to_int8\": %.2f, ",
           median(one, n), median(many, n) / BATCH, median_ratio(all, one, n),
           median_ratio(all_many, many, n));
    if (peer)
        printf("\"faiss_pq_k_factor\": %.0f, \"faiss_pq_batch1_ms\": %.3f, "
               "\"faiss_pq_batch64_ms_per_query\": %.4f, "
               "\"coded_batch1_ratio_to_pq\": %.2f, \"coded_batch64_ratio_to_pq\": %.2f, ",
               factor, median(f_one, n), median(f_many, n) / BATCH, median_ratio(f_one, one, n),
               median_ratio(f_many, many, n));
    free(probes);
    free(rows);
    free(hits);
}

/* A saved index searched by a process that has nothing else. */
static void measure_rss(void)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_index_opts o = index_opts(MIEN_INDEX_CODED_NEVER);
    mien_index *ix = NULL;
    mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
    mien_hit hit;
    size_t n = 0;
    float *const q = get(opt.dim, sizeof *q);
    rng_state = 3;
    for (size_t d = 0; d < opt.dim; d++)
        q[d] = normal();
    unit(q);
    must(mien_index_open(opt.file, &o, &ix, &err), &err);
    must(mien_index_search(ix, q, 1, &s, &hit, &n, &err), &err);
    must(mien_index_find(ix, 5, NULL, &err), &err); /* makes what writers need */
    printf("{\"rss_mb\": %.1f}\n", (double)status_kb("VmRSS:") * 1024 / 1e6);
    mien_index_free(ix);
    free(q);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *const eq = strchr(argv[i], '=');
        if (!eq)
            die("arguments are KEY=VALUE");
        *eq = 0;
        const char *const key = argv[i], *const v = eq + 1;
        const double x = strtod(v, NULL);
        if (!strcmp(key, "n"))
            opt.n = (size_t)x;
        else if (!strcmp(key, "dim"))
            opt.dim = (size_t)x;
        else if (!strcmp(key, "threads"))
            opt.threads = (unsigned)x;
        else if (!strcmp(key, "seed"))
            opt.seed = (uint64_t)x;
        else if (!strcmp(key, "rounds"))
            opt.rounds = x < 1 ? 1 : x > MOST_ROUNDS - 1 ? MOST_ROUNDS - 1 : (int)x;
        else if (!strcmp(key, "faiss"))
            opt.faiss = (int)x;
        else if (!strcmp(key, "pq"))
            opt.pq = (int)x;
        else if (!strcmp(key, "exact"))
            opt.exact = (int)x;
        else if (!strcmp(key, "probes"))
            opt.probes = x < BATCH ? BATCH : (size_t)x;
        else if (!strcmp(key, "floor"))
            opt.floor = x;
        else if (!strcmp(key, "npy"))
            opt.npy = v;
        else if (!strcmp(key, "dir"))
            opt.dir = v;
        else if (!strcmp(key, "only"))
            opt.only = v;
        else if (!strcmp(key, "file"))
            opt.file = v;
        else
            die("no such argument");
    }
    if (opt.threads < 1 || opt.threads > 256)
        die("threads are 1..256");
}

static void measure_all_exact(const float *queries)
{
    mien_index *ix = build(MIEN_INDEX_CODED_NEVER);
    mien_index_info info;
    mien_index_info_of(ix, &info);
    printf("\"kernel\": \"%s\", \"index_mb\": %.1f, ", info.kernel, (double)info.memory_bytes / 1e6);
    ix = through_file(ix, queries);
    measure_exact(ix, queries);
    printf("\"recall_at_10\": %.4f, ", recall(queries, ix));
    mien_error err = MIEN_ERROR_INIT;
    const double t = now_ms();
    must(mien_index_check(ix, 100, fetch, NULL, &err), &err);
    printf("\"check_ms\": %.0f, ", now_ms() - t);
    mien_index_free(ix);
    measure_sealed();
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    if (opt.only) {
        measure_rss();
        return 0;
    }
    make_vecs();
    printf("{\"n\": %zu, \"dim\": %zu, \"threads\": %u, \"data\": \"%s\", ", opt.n, opt.dim, opt.threads,
           opt.npy ? "real" : "random");
    float *const queries = get(BATCH * opt.dim, sizeof *queries);
    for (size_t i = 0; i < BATCH; i++) /* half strangers, half known */
        mate(vecs + rng() % opt.n * opt.dim, i % 2 ? 0.0 : 0.5, queries + i * opt.dim);
    if (opt.faiss)
        opt.faiss = faiss_make(vecs, opt.n, opt.dim, (int)opt.threads, opt.pq);
    if (opt.exact)
        measure_all_exact(queries);
    mien_index *const ix = build(MIEN_INDEX_CODED_ALWAYS);
    measure_coded(ix);
    mien_index_free(ix);
    if (opt.faiss)
        faiss_free();
    printf("\"faiss\": %d}\n", opt.faiss);
    free(queries);
    free(vecs);
    return 0;
}
