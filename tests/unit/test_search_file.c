/* The file of a search index: saved and opened, plain and sealed; erased in; damaged, cut short, foreign, of
 * the future; and what other processes that have it mapped see.
 */
#include "search/index_file.h"
#include "search_fixtures.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIM = 48, N = 4096 + 900 };

static char path[] = "/tmp/mien_search_XXXXXX/index";
static sf_store store;
static const uint8_t key[32] = { 1, 2, 3 }, other_key[32] = { 1, 2, 4 };

static int set_up(void **state)
{
    (void)state;
    char *const slash = strrchr(path, '/');
    *slash = 0;
    const bool made = mkdtemp(path) != NULL;
    *slash = '/';
    store = sf_store_new(71, N, DIM, 2);
    return made ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    *strrchr(path, '/') = 0;
    sf_store_free(&store);
    return rmdir(path);
}

static mien_index_opts opts_of(const uint8_t *k, mien_index_coded coded)
{
    mien_index_opts o = MIEN_INDEX_OPTS_INIT;
    o.dim = DIM;
    o.threads = 2;
    o.key = k;
    o.coded = coded;
    memset(o.model, 7, sizeof o.model);
    memset(o.gallery, 9, sizeof o.gallery);
    return o;
}

static void save(const mien_index_opts *o, uint64_t seq)
{
    mien_index *ix = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_index_new(o, &ix, NULL), MIEN_OK);
    sf_add_all(ix, &store);
    mien_index_set_seq(ix, seq);
    if (mien_index_sync(ix, path, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    mien_index_free(ix);
}

static mien_index *reopen(const mien_index_opts *o)
{
    mien_index *ix = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_index_open(path, o, &ix, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    return ix;
}

static uint8_t *slurp(size_t *ret_size)
{
    mien__file_map m;
    assert_int_equal(mien__file_read(&m, path, SIZE_MAX, NULL), MIEN_OK);
    *ret_size = m.size;
    return (uint8_t *)(uintptr_t)m.data;
}

static bool contains(const uint8_t *hay, size_t n, const void *needle, size_t bytes)
{
    return memmem(hay, n, needle, bytes) != NULL;
}

static void saved_index_answers_as_before(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const mien_index_opts o =
            opts_of(i & 1 ? key : NULL, i & 2 ? MIEN_INDEX_CODED_ALWAYS : MIEN_INDEX_CODED_NEVER);
        save(&o, 1234);
        mien_index *const ix = reopen(&o);
        mien_index_info info;
        mien_index_info_of(ix, &info);
        assert_true(info.n == N && info.sealed == (i & 1) && info.changes == 0);
        assert_int_equal(info.n_coded, i & 2 ? N : 0);
        assert_int_equal(mien_index_seq(ix), 1234);
        if (!(i & 2))
            sf_check(ix, &store, store.vecs + 5 * DIM, 9, 6, true, true);
        assert_int_equal(mien_index_check(ix, 50, sf_fetch, &store, NULL), MIEN_OK);
        /* changed after opening, saved over itself, opened again */
        assert_int_equal(mien_index_remove(ix, sf_id(3), NULL), MIEN_OK);
        assert_int_equal(mien_index_remove(ix, sf_id(4500), NULL), MIEN_OK);
        assert_int_equal(mien_index_add(ix, sf_id(4500), 3, store.vecs + 4500 * DIM, NULL), MIEN_OK);
        assert_int_equal(mien_index_sync(ix, path, NULL), MIEN_OK);
        mien_index *const again = reopen(&o);
        assert_int_equal(mien_index_find(again, sf_id(3), NULL, NULL), MIEN_E_NOT_FOUND);
        uint64_t person = 0;
        assert_int_equal(mien_index_find(again, sf_id(4500), &person, NULL), MIEN_OK);
        assert_int_equal(person, 3);
        mien_index_free(again);
        mien_index_free(ix);
    }
}

static void sealed_file_shows_nothing(void **state)
{
    (void)state;
    const mien_index_opts o = opts_of(key, MIEN_INDEX_CODED_NEVER),
                          plain = opts_of(NULL, MIEN_INDEX_CODED_NEVER);
    size_t size = 0;
    save(&plain, 1);
    uint8_t *open_bytes = slurp(&size);
    /* 16 templates' first four bytes, as a plain file has them */
    uint8_t needle[64];
    memcpy(needle, open_bytes + mien__idx_data_at(2), sizeof needle);
    assert_true(contains(open_bytes, size, needle, sizeof needle));
    mien_free(open_bytes);
    save(&o, 1);
    uint8_t *const bytes = slurp(&size);
    assert_false(contains(bytes, size, needle, 16));
    const uint64_t ids[2] = { sf_id(100), sf_id(101) };
    assert_false(contains(bytes, size, ids, sizeof ids));
    size_t zeros = 0;
    for (size_t i = mien__idx_data_at(2); i < size; i++)
        zeros += bytes[i] == 0;
    assert_true(zeros < size / 200); /* one in 256, though most of the second block is empty */
    mien_free(bytes);
}

static void other_owner_is_refused(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        const mien_index_opts o = opts_of(sealed ? key : NULL, MIEN_INDEX_CODED_NEVER);
        save(&o, 1);
        mien_index_opts bad[4] = { o, o, o, o };
        bad[0].dim = DIM + 1;
        bad[1].model[0]++;
        bad[2].gallery[15]++;
        bad[3].key = sealed ? other_key : key;
        for (int i = 0; i < 4; i++) {
            mien_index *ix = NULL;
            mien_error err = MIEN_ERROR_INIT;
            assert_int_equal(mien_index_open(path, &bad[i], &ix, &err), MIEN_E_INDEX_FOREIGN);
            assert_true(!ix && err.message[0]);
            assert_int_equal(mien_index_erase(path, &bad[i], (uint64_t[]){ 1 }, 1, &err),
                             MIEN_E_INDEX_FOREIGN);
        }
        bad[3].key = NULL;
        mien_index *ix = NULL;
        assert_int_equal(mien_index_open(path, &bad[3], &ix, NULL), sealed ? MIEN_E_INDEX_FOREIGN : MIEN_OK);
        mien_index_free(ix);
    }
}

/* What opening and using a file of these bytes comes to. */
static mien_status outcome(const mien_index_opts *o, const uint8_t *bytes, size_t size)
{
    assert_int_equal(mien__file_write_atomic(path, bytes, size, NULL), MIEN_OK);
    mien_index *ix = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status status = mien_index_open(path, o, &ix, &err);
    if (status == MIEN_OK) {
        mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
        mien_hit hit;
        size_t n;
        status = mien_index_search(ix, store.vecs, 1, &s, &hit, &n, &err);
    }
    assert_true(status == MIEN_OK || err.message[0]);
    mien_index_free(ix);
    return status;
}

static void damage_is_noticed(void **state)
{
    (void)state;
    mien__rng r;
    mien__rng_seed(&r, 4);
    for (int sealed = 0; sealed < 2; sealed++) {
        const mien_index_opts o = opts_of(sealed ? key : NULL, MIEN_INDEX_CODED_ALWAYS);
        save(&o, 1);
        size_t size = 0;
        uint8_t *const bytes = slurp(&size);
        assert_int_equal(outcome(&o, bytes, size), MIEN_OK);
        for (size_t at = 0; at < size; at += at < 152 ? 1 : 1 + mien__rng_u64(&r) % (size / 60)) {
            if (at >= 152 && at < MIEN__IDX_HEADER)
                continue; /* not in use */
            if (at >= MIEN__IDX_HEADER + 2 * MIEN__IDX_ENTRY && at < mien__idx_data_at(2))
                continue;
            bytes[at] ^= 16;
            const mien_status status = outcome(&o, bytes, size);
            bytes[at] ^= 16;
            if (status != MIEN_E_INDEX_CORRUPT && status != MIEN_E_INDEX_FORMAT &&
                status != MIEN_E_INDEX_FOREIGN)
                fail_msg("byte %zu of %zu changed: %s", at, size, mien_status_name(status));
            assert_true(at < 152 || status == MIEN_E_INDEX_CORRUPT);
        }
        bytes[8]++; /* a newer version */
        assert_int_equal(outcome(&o, bytes, size), MIEN_E_INDEX_FORMAT);
        bytes[8]--;
        static const size_t cuts[] = { 0, 1, 7, 8, 100, 4095, 4096, 4200, 8192, 100000 };
        for (size_t i = 0; i < MIEN_COUNTOF(cuts); i++) {
            const mien_status status = outcome(&o, bytes, cuts[i]);
            assert_true(status == MIEN_E_INDEX_FORMAT || status == MIEN_E_INDEX_CORRUPT);
        }
        assert_int_equal(outcome(&o, bytes, size - 1), MIEN_E_INDEX_CORRUPT);
        mien_free(bytes);
    }
}

static void blocks_cannot_be_swapped_or_replayed(void **state)
{
    (void)state;
    const mien_index_opts o = opts_of(key, MIEN_INDEX_CODED_NEVER);
    save(&o, 1);
    size_t size = 0, size2 = 0;
    uint8_t *const before = slurp(&size);
    assert_int_equal(mien_index_erase(path, &o, (uint64_t[]){ sf_id(7) }, 1, NULL), MIEN_OK);
    uint8_t *const after = slurp(&size2);
    assert_int_equal(size, size2);
    /* the first block and its table entry from the older state */
    const size_t at = mien__idx_data_at(2), block = (size - at) / 2;
    memcpy(after + at, before + at, block);
    memcpy(after + MIEN__IDX_HEADER, before + MIEN__IDX_HEADER, MIEN__IDX_ENTRY);
    assert_int_equal(outcome(&o, after, size), MIEN_E_INDEX_CORRUPT);
    mien_free(before);
    mien_free(after);
}

static void erase_leaves_no_byte_and_others_stop_finding(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const mien_index_opts o =
            opts_of(i & 1 ? key : NULL, i & 2 ? MIEN_INDEX_CODED_ALWAYS : MIEN_INDEX_CODED_NEVER);
        save(&o, 1);
        mien_index *const reader = reopen(&o); /* as another process would have it, nothing read yet */
        mien_index *const used = reopen(&o);
        mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
        s.by_person = 0;
        s.scan_all = 1;
        mien_hit hit;
        size_t n = 0;
        assert_int_equal(mien_index_search(used, store.vecs + 7 * DIM, 1, &s, &hit, &n, NULL), MIEN_OK);
        assert_int_equal(hit.id, sf_id(7));
        size_t size = 0;
        uint8_t *bytes = slurp(&size);
        const uint64_t id = sf_id(7), ids[] = { sf_id(4800), id, 5, id };
        if (!(i & 1))
            assert_true(contains(bytes, size, &id, 8));
        mien_free(bytes);
        assert_int_equal(mien_index_erase(path, &o, ids, 4, NULL), MIEN_OK);
        bytes = slurp(&size);
        assert_false(contains(bytes + mien__idx_data_at(2), size - mien__idx_data_at(2), &id, 8));
        mien_free(bytes);
        if (!(i & 1)) { /* a plain file is shared */
            assert_int_equal(mien_index_search(reader, store.vecs + 7 * DIM, 1, &s, &hit, &n, NULL), MIEN_OK);
            assert_true(hit.id != id);
            assert_int_equal(mien_index_search(used, store.vecs + 7 * DIM, 1, &s, &hit, &n, NULL), MIEN_OK);
            assert_true(hit.id != id);
        }
        assert_int_equal(mien_index_remove(used, id, NULL), i & 1 ? MIEN_OK : MIEN_E_NOT_FOUND);
        mien_index *const fresh = reopen(&o);
        assert_int_equal(mien_index_verify(fresh, NULL), MIEN_OK);
        mien_index_info info;
        mien_index_info_of(fresh, &info);
        assert_int_equal(info.n, N - 2);
        assert_int_equal(mien_index_find(fresh, id, NULL, NULL), MIEN_E_NOT_FOUND);
        assert_int_equal(mien_index_find(fresh, sf_id(8), NULL, NULL), MIEN_OK);
        mien_index_free(fresh);
        mien_index_free(used);
        mien_index_free(reader);
    }
    const mien_index_opts o = opts_of(NULL, MIEN_INDEX_CODED_NEVER);
    unlink(path);
    assert_int_equal(mien_index_erase(path, &o, (uint64_t[]){ 1 }, 1, NULL), MIEN_OK);
    mien_index *ix = NULL;
    assert_int_equal(mien_index_open(path, &o, &ix, NULL), MIEN_E_NOT_FOUND);
}

static void self_test_catches_a_changed_store_and_a_changed_index(void **state)
{
    (void)state;
    const mien_index_opts o = opts_of(NULL, MIEN_INDEX_CODED_ALWAYS);
    mien_index *ix = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
    mien_hit hit;
    size_t n;
    assert_int_equal(mien_index_new(&o, &ix, NULL), MIEN_OK);
    assert_int_equal(mien_index_check(ix, 10, NULL, NULL, NULL), MIEN_OK); /* empty */
    sf_add_all(ix, &store);
    assert_int_equal(mien_index_check(ix, 10, sf_fetch, &store, NULL), MIEN_OK);
    float *const x = store.vecs;
    float *const saved = malloc((size_t)N * DIM * sizeof *saved);
    assert_non_null(saved);
    memcpy(saved, x, (size_t)N * DIM * sizeof *saved);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        x[i] = -x[i];
    assert_int_equal(mien_index_check(ix, 10, sf_fetch, &store, &err), MIEN_E_INDEX_UNSURE);
    assert_int_equal(mien_index_search(ix, x, 1, &s, &hit, &n, &err), MIEN_E_INDEX_UNSURE);
    memcpy(x, saved, (size_t)N * DIM * sizeof *saved);
    free(saved);
    assert_int_equal(mien_index_check(ix, 10, sf_fetch, &store, NULL), MIEN_OK);
    assert_int_equal(mien_index_search(ix, x, 1, &s, &hit, &n, NULL), MIEN_OK);
    /* places that claim to be exact are no longer found by the bound */
    const mien__block *const b = mien__index_block(ix, 0);
    for (size_t i = 0; i < MIEN__BLOCK; i++)
        b->scale[i] = -b->scale[i];
    assert_int_equal(mien_index_check(ix, 10, sf_fetch, &store, &err), MIEN_E_INDEX_UNSURE);
    for (size_t i = 0; i < MIEN__BLOCK; i++)
        b->scale[i] = -b->scale[i];
    /* signs that say something else */
    for (size_t i = 0; i < ix->layout.sign_block_bytes; i++)
        b->signs[i] = (uint8_t)~b->signs[i];
    assert_int_equal(mien_index_check(ix, 100, NULL, NULL, &err), MIEN_E_INDEX_UNSURE);
    mien_index_free(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_index_answers_as_before),
        cmocka_unit_test(sealed_file_shows_nothing),
        cmocka_unit_test(other_owner_is_refused),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(blocks_cannot_be_swapped_or_replayed),
        cmocka_unit_test(erase_leaves_no_byte_and_others_stop_finding),
        cmocka_unit_test(self_test_catches_a_changed_store_and_a_changed_index),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
