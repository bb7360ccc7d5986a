/* The search index with each of its allocations failing, and its file on a disk that takes no more. */
#include "anomaly/anomaly.h"
#include "search_fixtures.h"
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DIM = 16, N = 4096 + 30 };
static sf_store store;
static char folder[] = "/tmp/mien_anomaly_search_XXXXXX";
static char path[64];

typedef struct job {
    bool sealed, coded;
} job;

static mien_index_opts opts_of(const job *j)
{
    static const uint8_t key[32] = { 5 };
    mien_index_opts o = MIEN_INDEX_OPTS_INIT;
    o.dim = DIM;
    o.threads = 2;
    o.key = j->sealed ? key : NULL;
    o.coded = j->coded ? MIEN_INDEX_CODED_ALWAYS : MIEN_INDEX_CODED_NEVER;
    return o;
}

/* The whole life of an index; after a failed change the index must answer as before it. */
static mien_status live(void *ctx, mien_error *err)
{
    const mien_index_opts o = opts_of(ctx);
    mien_index *ix = NULL, *opened = NULL;
    mien_hit hits[6];
    size_t n[2];
    mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
    s.top_k = 3;
    s.scan_all = 1;
    s.fetch = sf_fetch;
    s.fetch_user = &store;
    mien_status st = mien_index_new(&o, &ix, err);
    for (size_t i = 0; i < N && !st; i += i == 40 ? 4050 : 1)
        st = mien_index_add(ix, sf_id(i), store.persons[i], store.vecs + i * DIM, err);
    if (!st && (st = mien_index_remove(ix, sf_id(3), err)) != MIEN_OK &&
        mien_index_find(ix, sf_id(3), NULL, NULL))
        fail_msg("a removal that failed has removed");
    if (!st)
        st = mien_index_remove_person(ix, store.persons[8], NULL, err);
    if (!st)
        st = mien_index_search(ix, store.vecs, 2, &s, hits, n, err);
    if (!st)
        st = mien_index_check(ix, 5, sf_fetch, &store, err);
    if (!st)
        st = mien_index_sync(ix, path, err);
    if (!st)
        st = mien_index_erase(path, &o, &(uint64_t){ sf_id(12) }, 1, err);
    if (!st)
        st = mien_index_open(path, &o, &opened, err);
    if (!st)
        st = mien_index_search(opened, store.vecs, 1, &s, hits, n, err);
    mien_index_free(opened);
    mien_index_free(ix);
    return st;
}

static void index_survives_failing_allocations(void **state)
{
    (void)state;
    static const job jobs[] = { { false, false }, { true, true }, { false, true } };
    for (size_t i = 0; i < MIEN_COUNTOF(jobs); i++)
        anomaly_run_steps("index", live, (void *)(uintptr_t)&jobs[i], 30);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    static const job plain = { false, false };
    const mien_index_opts o = opts_of(&plain);
    mien_index *ix = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_index_new(&o, &ix, NULL), MIEN_OK);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(mien_index_add(ix, sf_id(i), 1, store.vecs + i * DIM, NULL), MIEN_OK);
    mien_index_set_seq(ix, 1);
    assert_int_equal(mien_index_sync(ix, path, NULL), MIEN_OK);
    mien_index_set_seq(ix, 2);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t most = 0; most < 160000; most += 30000) { /* the write fails at ever later places */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ most, before.rlim_max });
        const mien_status status = mien_index_sync(ix, path, &err);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(status, MIEN_E_IO);
        mien_index *old = NULL;
        assert_int_equal(mien_index_open(path, &o, &old, NULL), MIEN_OK);
        assert_true(mien_index_seq(old) == 1);
        assert_int_equal(mien_index_verify(old, NULL), MIEN_OK);
        mien_index_free(old);
    }
    mien_index_free(ix);
}

static int set_up(void **state)
{
    (void)state;
    store = sf_store_new(1, N, DIM, 2);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/index", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sf_store_free(&store);
    unlink(path);
    return rmdir(folder); /* and nothing else was left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_survives_failing_allocations),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
