/* Threads that search while others add, remove and save: every answer is one that the index could have given,
 * no removed template is found after its removal returned. For the thread sanitizer as well.
 */
#include "search_fixtures.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { DIM = 32, FIXED = 5000, MOVING = 300, ROUNDS = 40, SEARCHERS = 3 };

static sf_store store;
static mien_index *ix;
static atomic_int stop, faults;
/* Of each moving row, modulo 3: 0 in the index for certain, 1 for certain not, 2 being changed. Only grows.
 */
static atomic_int is_there[MOVING];
static atomic_long searches;

static void *searcher(void *arg)
{
    mien__rng r;
    mien__rng_seed(&r, (uint64_t)(uintptr_t)arg);
    mien_search_opts o = MIEN_SEARCH_OPTS_INIT;
    o.by_person = 0;
    o.top_k = 2;
    while (!atomic_load(&stop)) {
        const size_t m = mien__rng_u64(&r) % MOVING, row = FIXED + m;
        float q[2 * DIM];
        memcpy(q, store.vecs + row * DIM, DIM * sizeof *q);
        memcpy(q + DIM, store.vecs + (mien__rng_u64(&r) % FIXED) * DIM, DIM * sizeof *q);
        mien_hit hits[4];
        size_t n[2];
        const int before = atomic_load(&is_there[m]);
        if (mien_index_search(ix, q, 2, &o, hits, n, NULL) != MIEN_OK) {
            atomic_fetch_add(&faults, 1);
            continue;
        }
        const int after = atomic_load(&is_there[m]);
        const bool found = n[0] && hits[0].id == sf_id(row) && hits[0].hi >= 0.999;
        if (before == after && before % 3 != 2 && found != (before % 3 == 0))
            atomic_fetch_add(&faults, 1);
        if (hits[2].hi < 0.999) /* what never moves is always found */
            atomic_fetch_add(&faults, 1);
        atomic_fetch_add(&searches, 1);
    }
    return NULL;
}

/* States go 0 (there), 2, 4 (not there: 4 % 3 == 1), 5, 6 (there), 8, ... so that a change and back is seen.
 */
static void *mover(void *arg)
{
    const size_t first = (size_t)(uintptr_t)arg;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t m = first; m < MOVING; m += 2) {
            const size_t row = FIXED + m;
            const int base = 6 * round;
            atomic_store(&is_there[m], base + 2);
            if (mien_index_remove(ix, sf_id(row), NULL) != MIEN_OK)
                atomic_fetch_add(&faults, 1);
            atomic_store(&is_there[m], base + 4);
            atomic_store(&is_there[m], base + 5);
            if (mien_index_add(ix, sf_id(row), store.persons[row], store.vecs + row * DIM, NULL) != MIEN_OK)
                atomic_fetch_add(&faults, 1);
            atomic_store(&is_there[m], base + 6);
        }
    }
    return NULL;
}

static void searches_and_changes_at_once(void **state)
{
    (void)state;
    char path[] = "/tmp/mien_threads_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int coded = 0; coded < 2; coded++) {
        mien_index_opts o = MIEN_INDEX_OPTS_INIT;
        o.dim = DIM;
        o.threads = 2;
        o.coded = coded ? MIEN_INDEX_CODED_ALWAYS : MIEN_INDEX_CODED_NEVER;
        assert_int_equal(mien_index_new(&o, &ix, NULL), MIEN_OK);
        sf_add_all(ix, &store);
        atomic_store(&stop, 0);
        for (size_t m = 0; m < MOVING; m++)
            atomic_store(&is_there[m], 0);
        pthread_t s[SEARCHERS], w[2];
        for (size_t i = 0; i < SEARCHERS; i++)
            assert_int_equal(pthread_create(&s[i], NULL, searcher, (void *)(i + 1)), 0);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&w[i], NULL, mover, (void *)i), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(mien_index_sync(ix, path, NULL), MIEN_OK);
            assert_int_equal(mien_index_check(ix, 20, NULL, NULL, NULL), MIEN_OK);
        }
        for (size_t i = 0; i < 2; i++)
            pthread_join(w[i], NULL);
        for (int i = 0; i < 1000 && atomic_load(&searches) < 50; i++)
            usleep(1000);
        atomic_store(&stop, 1);
        for (size_t i = 0; i < SEARCHERS; i++)
            pthread_join(s[i], NULL);
        assert_int_equal(atomic_load(&faults), 0);
        mien_index_free(ix);
    }
    print_message("%ld searches\n", atomic_load(&searches));
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    store = sf_store_new(51, FIXED + MOVING, DIM, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sf_store_free(&store);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(searches_and_changes_at_once) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
