/* What the tests of galleries share: a small embedder, a folder of their own, people made of random
 * templates. */
#ifndef MIEN_TESTS_GALLERY_FIXTURES_H
#define MIEN_TESTS_GALLERY_FIXTURES_H

#include "base/base.h"
#include "nn/graph.h"
#include "nn/mien_file.h"
#include <mien/mien.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 64 };

#define OK(call)                                                                              \
    do {                                                                                      \
        mien_error ok_err = MIEN_ERROR_INIT;                                                  \
        mien_error *const err = &ok_err;                                                      \
        const mien_status ok_status = (call);                                                 \
        if (ok_status != MIEN_OK)                                                             \
            fail_msg("%s: %s %s (%s:%d)", #call, mien_status_name(ok_status), ok_err.message, \
                     ok_err.file ? ok_err.file : "", ok_err.line);                            \
    } while (0)
#define FAILS(expected, call)                                                                      \
    do {                                                                                           \
        mien_error fails_err = MIEN_ERROR_INIT;                                                    \
        mien_error *const err = &fails_err;                                                        \
        const mien_status fails_status = (call);                                                   \
        if (fails_status != (expected) || fails_err.status != (expected) || !fails_err.message[0]) \
            fail_msg("%s: %s instead of %s; '%s'", #call, mien_status_name(fails_status),          \
                     mien_status_name(expected), fails_err.message);                               \
    } while (0)

/* Flatten -> fully connected, weights by seed: two seeds are two embedders. */
static inline mien_model *fixture_model(int seed, int dim)
{
    static const int64_t x_dims[] = { -1, 3, 4, 4 };
    const int64_t w_dims[] = { dim, 48 };
    mien__graph *const g = mien__graph_new();
    uint32_t x = 0, w = 0, flat = 0, y = 0;
    mien__rng rng;
    mien_model *m = NULL;
    float *const weights = mien__arena_alloc_array(g->arena, (size_t)dim * 48, sizeof *weights);
    mien__rng_seed(&rng, (uint64_t)seed);
    for (int i = 0; i < dim * 48; i++)
        weights[i] = (float)(mien__rng_unit(&rng) - 0.5);
    bool ok = mien__graph_add_value(g, "x", MIEN__F32, 4, x_dims, NULL, &x) &&
              mien__graph_add_value(g, "w", MIEN__F32, 2, w_dims, weights, &w) &&
              mien__graph_add_value(g, "f", MIEN__F32, -1, NULL, NULL, &flat) &&
              mien__graph_add_value(g, "y", MIEN__F32, -1, NULL, NULL, &y) &&
              mien__graph_add_node(g, MIEN__OP_Flatten, "flatten", &x, 1, &flat, 1, NULL) &&
              mien__graph_add_node(g, MIEN__OP_Gemm, "fc", (uint32_t[]){ flat, w }, 2, &y, 1, NULL) &&
              mien__graph_set_io(g, &x, 1, &y, 1);
    assert_true(ok);
    mien_model_info info = mien__model_info_empty();
    info.name = "fixture";
    info.task = MIEN_TASK_EMBED;
    info.input_width = info.input_height = 4;
    info.input_multiple = 1;
    info.embedding_len = dim;
    OK(mien__graph_check(g, err));
    OK(mien__model_from_graph(g, &info, &m, err));
    return m;
}

typedef struct fixture {
    char dir[64], path[96];
    mien_model *model;
} fixture;

static inline int fixture_open(void **state)
{
    fixture *const f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/mien-gallery-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/g.mien", f->dir);
    f->model = fixture_model(1, DIM);
    *state = f;
    return 0;
}

/* Remove every file in the folder. */
static inline void fixture_clear(const fixture *f)
{
    DIR *const d = opendir(f->dir);
    const struct dirent *e = NULL;
    while (d && (e = readdir(d)) != NULL) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", f->dir, e->d_name);
        (void)unlink(name);
    }
    if (d)
        closedir(d);
}

static inline int fixture_close(void **state)
{
    fixture *const f = *state;
    fixture_clear(f);
    rmdir(f->dir);
    mien_model_free(f->model);
    free(f);
    return 0;
}

static const char fixture_key[] = "0123456789abcdef0123456789abcdef";

/* Open the fixture's gallery; encrypted with fixture_key where `key`. */
static inline mien_gallery *fixture_gallery(const fixture *f, mien_gallery_mode mode, bool key)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    opts.mode = mode;
    opts.embedder = f->model;
    opts.actor = "tester";
    opts.key = key ? fixture_key : NULL;
    opts.key_bytes = key ? 32 : 0;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    return g;
}

/* A unit vector by number; `noise` moves it, by `variant`, from the person's own: cosine about
 * 1/sqrt(1+noise^2). */
static inline void fixture_vec(int person, int variant, double noise, float ret[DIM])
{
    mien__rng rng;
    double norm = 0, own[DIM];
    mien__rng_seed(&rng, (uint64_t)person * 7919 + 17);
    for (int i = 0; i < DIM; i++) {
        own[i] = mien__rng_unit(&rng) + mien__rng_unit(&rng) + mien__rng_unit(&rng) - 1.5;
        norm += own[i] * own[i];
    }
    const double scale = sqrt(norm / DIM);
    mien__rng_seed(&rng, (uint64_t)person * 104729 + (uint64_t)variant * 31 + 5);
    for (int i = 0; i < DIM; i++)
        own[i] = own[i] / scale +
                 noise * 2.0 * (mien__rng_unit(&rng) + mien__rng_unit(&rng) + mien__rng_unit(&rng) - 1.5);
    norm = 0;
    for (int i = 0; i < DIM; i++)
        norm += own[i] * own[i];
    for (int i = 0; i < DIM; i++)
        ret[i] = (float)(own[i] / sqrt(norm));
}

static inline mien_enrolled fixture_enrol(mien_gallery *g, const char *name, int person, int variant)
{
    float vec[DIM];
    mien_enrolled ret;
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    fixture_vec(person, variant, 0.3, vec);
    e.name = name;
    e.vec = vec;
    e.quality.score = 0.8f;
    e.source = "pictures/somewhere.jpg";
    OK(mien_gallery_enrol(g, &e, 1, &ret, err));
    return ret;
}

/* Every byte of a file; free() it. */
static inline uint8_t *fixture_bytes(const char *path, size_t *ret_n)
{
    FILE *const f = fopen(path, "rb");
    *ret_n = 0;
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *ret_n = (size_t)ftell(f);
    rewind(f);
    uint8_t *const data = malloc(*ret_n + 1);
    assert_int_equal(fread(data, 1, *ret_n, f), *ret_n);
    fclose(f);
    return data;
}

/* Is there this in any file of the gallery? */
static inline bool fixture_holds(const fixture *f, const void *what, size_t bytes)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-index" };
    bool found = false;
    for (int i = 0; i < 4; i++) {
        char name[120];
        size_t n = 0;
        snprintf(name, sizeof name, "%s%s", f->path, suffixes[i]);
        uint8_t *const data = fixture_bytes(name, &n);
        found = found || (data && memmem(data, n, what, bytes));
        free(data);
    }
    return found;
}

#endif
