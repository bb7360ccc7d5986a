/* Grouping and albums with each allocation failing: the library's own, and SQLite's. */
#include "anomaly/anomaly.h"
#include <mien/album.h>
#include <sqlite3.h>

enum { DIM = 16, N = 12 };

static float vecs[N][DIM];

static void make_vectors(void)
{
    for (int i = 0; i < N; i++) {
        vecs[i][i % 4] = 0.8f;
        vecs[i][4 + i] = 0.6f;
    }
}

static mien_status group_faces(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_cluster_face r[N];
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    const uint64_t pictures[N] = { 1, 1, 2, 3 };
    const int32_t fixed[N] = { 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
    const mien_cluster_not nots[] = { { 8, 0 } };
    const mien_cluster_input in = { &vecs[0][0], N, DIM, pictures, NULL, fixed, nots, 1 };
    int32_t people[N] = { 0 }, groups[N];
    mien_cluster_scores scores;
    o.link = 0.4;
    o.pair = 0.5;
    mien_status st = mien_cluster(&in, &o, r, NULL, err);
    for (int i = 0; i < N && !st; i++)
        groups[i] = r[i].group;
    return st ? st : mien_cluster_score(groups, people, N, &scores, err);
}

static mien_status use_album(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_album *a = NULL;
    mien_album_list *list = NULL;
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    const mien_album_person person = { "Ann", vecs[1] };
    o.link = 0.4;
    o.pair = 0.5;
    char what[64];
    mien_status st = mien_album_open(NULL, "model", DIM, &a, err);
    for (int i = 0; i < N && !st; i++) {
        char name[8] = { (char)('a' + i), 0 };
        const mien_album_picture p = { name, 1, 1, 1, 1 };
        const mien_album_new_face f = { { 0, 0, 1, 1, 1, { { 0 } } }, 1, vecs[i] };
        st = mien_album_add(a, &p, &f, 1, err);
    }
    if (!st)
        st = mien_album_group(a, &o, &person, 1, 0, NULL, err);
    if (!st)
        st = mien_album_merge(a, 1, 2, err);
    if (!st)
        st = mien_album_split(a, (const int64_t[]){ 1 }, 1, NULL, err);
    if (!st)
        st = mien_album_give(a, 1, (const int64_t[]){ 1 }, 1, err);
    if (!st)
        st = mien_album_undo_next(a, what, sizeof what, err);
    if (!st)
        st = mien_album_undo(a, NULL, 0, err);
    if (!st)
        st = mien_album_list_new(a, &list, err);
    mien_album_list_free(list);
    mien_album_free(a);
    return st;
}

static void grouping(void **state)
{
    (void)state;
    anomaly_run("grouping", group_faces, NULL);
}

static void album(void **state)
{
    (void)state;
    anomaly_run("album", use_album, NULL);
}

/* ---- SQLite's memory ---- */

static sqlite3_mem_methods plain;
static long sql_calls, sql_fail_at;

static void *sql_malloc(int n)
{
    return ++sql_calls == sql_fail_at ? NULL : plain.xMalloc(n);
}

static void *sql_realloc(void *p, int n)
{
    return ++sql_calls == sql_fail_at ? NULL : plain.xRealloc(p, n);
}

static void album_sqlite_allocations(void **state)
{
    (void)state;
    mien_error err = MIEN_ERROR_INIT;
    long total = 0, refused = 0;
    sql_calls = sql_fail_at = 0;
    assert_int_equal(use_album(NULL, &err), MIEN_OK);
    total = sql_calls;
    for (long n = 1; n <= total; n = n < 200 ? n + 1 : n + n / 64 + 1) {
        mien_error why = MIEN_ERROR_INIT;
        sql_calls = 0;
        sql_fail_at = n;
        const mien_status st = use_album(NULL, &why);
        if (st != MIEN_OK && (st != MIEN_E_NOMEM || why.status != st || !why.message[0]))
            fail_msg("allocation %ld of SQLite failing gives %s: %s", n, mien_status_name(st), why.message);
        refused += st != MIEN_OK;
    }
    sql_fail_at = 0;
    assert_int_equal(sqlite3_memory_used(), 0);
    printf("album: %ld allocations of SQLite, %ld refusals\n", total, refused);
}

static int setup(void **state)
{
    (void)state;
    make_vectors();
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
    sqlite3_mem_methods hooked = plain;
    hooked.xMalloc = sql_malloc;
    hooked.xRealloc = sql_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &hooked) == SQLITE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grouping),
        cmocka_unit_test(album),
        cmocka_unit_test(album_sqlite_allocations),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
