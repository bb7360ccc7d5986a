/* A gallery file with changed bytes: open, verify, walk, search, change, remove.
 *
 * SQLite pages are too large and too redundant to be found by chance, so the input is a list of changes to a
 * good gallery, made once: each 6 bytes say where (4, little-endian, modulo the size) and what two bytes to
 * write there; the first byte of the input cuts the file short when it is 255.
 */
#include "base/base.h"
#include "nn/graph.h"
#include "nn/mien_file.h"
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 32, PEOPLE = 6 };

static char dir[64], path[96];
static mien_model *model;
static uint8_t *good;
static size_t good_bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mien_model *make_model(void)
{
    static float weights[DIM * 3];
    static const int64_t x_dims[] = { -1, 3, 1, 1 }, w_dims[] = { DIM, 3 };
    mien__graph *const g = mien__graph_new();
    uint32_t x = 0, w = 0, flat = 0, y = 0;
    mien_model *m = NULL;
    for (int i = 0; i < DIM * 3; i++)
        weights[i] = (float)(i % 7) - 3.0f;
    mien_model_info info = mien__model_info_empty();
    info.name = "fuzz";
    info.task = MIEN_TASK_EMBED;
    info.input_width = info.input_height = info.input_multiple = 1;
    info.embedding_len = DIM;
    const bool ok = mien__graph_add_value(g, "x", MIEN__F32, 4, x_dims, NULL, &x) &&
                    mien__graph_add_value(g, "w", MIEN__F32, 2, w_dims, weights, &w) &&
                    mien__graph_add_value(g, "f", MIEN__F32, -1, NULL, NULL, &flat) &&
                    mien__graph_add_value(g, "y", MIEN__F32, -1, NULL, NULL, &y) &&
                    mien__graph_add_node(g, MIEN__OP_Flatten, "f", &x, 1, &flat, 1, NULL) &&
                    mien__graph_add_node(g, MIEN__OP_Gemm, "g", (uint32_t[]){ flat, w }, 2, &y, 1, NULL) &&
                    mien__graph_set_io(g, &x, 1, &y, 1);
    if (!ok || mien__graph_check(g, NULL) || mien__model_from_graph(g, &info, &m, NULL))
        abort();
    return m;
}

static void vec_of(int person, float ret[DIM])
{
    memset(ret, 0, DIM * sizeof *ret);
    ret[person % DIM] = 0.8f;
    ret[(person + 5) % DIM] = 0.6f;
}

static mien_status open_it(mien_gallery_mode mode, mien_gallery **ret)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.mode = mode;
    opts.embedder = model;
    opts.busy_ms = 10;
    return mien_gallery_open(path, &opts, ret, NULL);
}

static void clear(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", "-index" };
    for (size_t i = 0; i < MIEN_COUNTOF(suffixes); i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void at_end(void)
{
    clear();
    rmdir(dir);
}

static void make_good(void)
{
    mien_gallery *g = NULL;
    strcpy(dir, "/tmp/mien-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    atexit(at_end);
    snprintf(path, sizeof path, "%s/g", dir);
    model = make_model();
    if (open_it(MIEN_GALLERY_CREATE, &g))
        abort();
    for (int i = 0; i < PEOPLE; i++) {
        char name[16];
        float vec[DIM];
        mien_enrolment e = MIEN_ENROLMENT_INIT;
        mien_enrolled done;
        snprintf(name, sizeof name, "Person %d", i / 2);
        vec_of(i / 2, vec);
        e.name = name;
        e.vec = vec;
        if (mien_gallery_enrol(g, &e, 1, &done, NULL))
            abort();
    }
    if (mien_gallery_set_text(g, "calibration", "{}", NULL) ||
        mien_gallery_edit(g, 1, "Renamed", NULL, NULL, NULL))
        abort();
    mien_gallery_free(g);
    FILE *const f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    good_bytes = (size_t)ftell(f);
    rewind(f);
    good = malloc(good_bytes);
    if (fread(good, 1, good_bytes, f) != good_bytes)
        abort();
    fclose(f);
}

static int see_person(void *user, const mien_person *p)
{
    (void)user;
    return p->name[0] == 1;
}

static void exercise(mien_gallery *g)
{
    mien_gallery_info info;
    mien_candidate c[3];
    mien_receipt r;
    mien_enrolled done;
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    float vec[DIM];
    size_t n = 0;
    char what[100];
    vec_of(1, vec);
    (void)!mien_gallery_info_of(g, &info, NULL);
    (void)!mien_gallery_verify(g, NULL, NULL, NULL, NULL, NULL);
    (void)!mien_gallery_people(g, NULL, 0, 0, see_person, NULL, NULL);
    (void)!mien_gallery_search(g, vec, 1, 3, c, &n, NULL);
    (void)!mien_gallery_undo(g, what, sizeof what, NULL);
    e.name = "New";
    e.vec = vec;
    e.other_threshold = 0.9;
    (void)!mien_gallery_enrol(g, &e, 1, &done, NULL);
    (void)!mien_gallery_merge(g, 1, 2, NULL);
    (void)!mien_gallery_remove(g, 1, 1, &r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien_gallery *g = NULL;
    if (!good)
        make_good();
    clear();
    uint8_t *const bad = malloc(good_bytes);
    memcpy(bad, good, good_bytes);
    size_t bytes = good_bytes;
    if (size > 3 && data[0] == 255)
        bytes = ((size_t)data[1] << 8 | data[2]) * 16 % (good_bytes + 1);
    for (size_t at = 1; at + 6 <= size; at += 6) {
        const size_t where = (size_t)data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
        bad[where % good_bytes] = data[at + 4];
        bad[(where + 1) % good_bytes] = data[at + 5];
    }
    FILE *const f = fopen(path, "wb");
    if (!f || fwrite(bad, 1, bytes, f) != bytes)
        abort();
    fclose(f);
    free(bad);
    if (open_it(MIEN_GALLERY_WRITE, &g) == MIEN_OK)
        exercise(g);
    mien_gallery_free(g);
    return 0;
}
