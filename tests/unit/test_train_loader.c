/* The loader: the same bytes for any number of threads, after a seek and with a cache; every sample once an
 * epoch; unreadable pictures are replaced; it ends cleanly at any moment. */
#include "train_fixtures.h"
#include "train/loader.h"

enum { N = 23, SIDE = 48, PX = SIDE * SIDE * 3 };

static char dir[64];
static mien__dataset *set;
static size_t all[N];

static mien__loader_opts opts(void)
{
    mien__loader_opts o = { .set = set,
                            .indices = all,
                            .n_indices = N,
                            .side = SIDE,
                            .augment = mien__augment_default,
                            .batch = 5,
                            .shuffle = true,
                            .seed = 42,
                            .threads = 1,
                            .ahead = 3 };
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            o.template5[i][k] = mien__template_112[i][k] * SIDE / 112;
    return o;
}

static mien__loader *start(const mien__loader_opts *o)
{
    mien__loader *l = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien__loader_new(o, &l, &err))
        fail_msg("%s", err.message);
    return l;
}

static mien__batch take(mien__loader *l)
{
    mien__batch b = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    if (mien__loader_next(l, &b, &err))
        fail_msg("%s", err.message);
    return b;
}

/* Digests of the next n batches: pixels, labels, samples, epoch and step. */
static void digest(mien__loader *l, int n, uint8_t (*ret)[32])
{
    for (int i = 0; i < n; i++) {
        const mien__batch b = take(l);
        mien__buf buf = { 0 };
        mien__buf_init(&buf, 1 << 24);
        assert_int_equal(mien__buf_append(&buf, b.rgb, (size_t)b.n * PX, NULL), MIEN_OK);
        assert_int_equal(mien__buf_append(&buf, b.labels, (size_t)b.n * sizeof *b.labels, NULL), MIEN_OK);
        assert_int_equal(mien__buf_append(&buf, b.samples, (size_t)b.n * sizeof *b.samples, NULL), MIEN_OK);
        assert_int_equal(mien__buf_append(&buf, &b.epoch, sizeof b.epoch, NULL), MIEN_OK);
        assert_int_equal(mien__buf_append(&buf, &b.step, sizeof b.step, NULL), MIEN_OK);
        mien__sha256(buf.data, buf.size, ret[i]);
        mien__buf_free(&buf);
    }
}

static void loader_threads_cache_and_seek_give_the_same_bytes(void **state)
{
    (void)state;
    enum { STEPS = 13 };
    uint8_t want[STEPS][32], got[STEPS][32];
    for (int mode = 0; mode < 2; mode++) {
        mien__loader_opts o = opts();
        o.per_person = mode ? 2 : 0;
        o.batch = mode ? 6 : 5;
        mien__loader *l = start(&o);
        digest(l, STEPS, want);
        const size_t steps = mien__loader_steps_per_epoch(l);
        /* back and forth on the same loader */
        for (int from = STEPS - 1; from >= 0; from -= 4) {
            assert_int_equal(mien__loader_seek(l, (uint64_t)from / steps, (uint64_t)from % steps, NULL), 0);
            digest(l, STEPS - from, got);
            assert_memory_equal(got, want + from, sizeof got[0] * (size_t)(STEPS - from));
        }
        mien__loader_free(l);
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            o.threads = threads;
            o.ahead = threads == 3 ? 7 : 1;
            o.cache_bytes = threads == 3 ? (size_t)100 * 100 * 3 * 9 : 0; /* some of the pictures */
            l = start(&o);
            digest(l, STEPS, got);
            assert_memory_equal(got, want, sizeof want);
            mien__loader_free(l);
        }
    }
}

static void loader_epoch_shows_every_sample_once_in_a_new_order(void **state)
{
    (void)state;
    const mien__loader_opts o = opts();
    mien__loader *l = start(&o);
    assert_int_equal(mien__loader_steps_per_epoch(l), 5);
    size_t order[3][N];
    for (size_t epoch = 0; epoch < 3; epoch++) {
        int seen[N] = { 0 };
        size_t n = 0;
        for (size_t step = 0; step < 5; step++) {
            const mien__batch b = take(l);
            assert_int_equal(b.epoch, epoch);
            assert_int_equal(b.step, step);
            assert_int_equal(b.n, step < 4 ? 5 : 3);
            for (int i = 0; i < b.n; i++) {
                seen[b.samples[i]]++;
                order[epoch][n++] = b.samples[i];
                assert_int_equal(b.labels[i], set->samples[b.samples[i]].label);
            }
        }
        for (int i = 0; i < N; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_memory_not_equal(order[0], order[1], sizeof order[0]);
    assert_memory_not_equal(order[1], order[2], sizeof order[0]);
    mien__loader_free(l);
}

static void loader_drop_last_gives_full_batches_only(void **state)
{
    (void)state;
    mien__loader_opts o = opts();
    o.drop_last = true;
    o.shuffle = false;
    mien__loader *l = start(&o);
    assert_int_equal(mien__loader_steps_per_epoch(l), 4);
    for (size_t i = 0; i < 9; i++) {
        const mien__batch b = take(l);
        assert_int_equal(b.n, 5);
        assert_int_equal(b.samples[0], i % 4 * 5); /* unshuffled: in order */
    }
    mien__loader_free(l);
    o.batch = 100; /* more than there are: the one batch stays */
    l = start(&o);
    assert_int_equal(mien__loader_steps_per_epoch(l), 1);
    assert_int_equal(take(l).n, N);
    mien__loader_free(l);
}

static void loader_per_person_groups_pictures_of_people(void **state)
{
    (void)state;
    mien__loader_opts o = opts();
    o.per_person = 3;
    o.batch = 10; /* three people with three pictures */
    mien__loader *l = start(&o);
    int shown[N] = { 0 };
    for (int k = 0; k < 60; k++) {
        const mien__batch b = take(l);
        assert_int_equal(b.n, 9);
        for (int p = 0; p < 3; p++) {
            for (int i = 0; i < 3; i++) {
                const int at = 3 * p + i;
                shown[b.samples[at]]++;
                assert_int_equal(b.labels[at], b.labels[3 * p]);
                /* everybody here has at least three pictures: none twice in a batch */
                for (int j = 0; j < at; j++)
                    assert_int_not_equal(b.samples[at], b.samples[j]);
            }
            assert_true(p == 0 || b.labels[3 * p] != b.labels[3 * p - 3]);
        }
    }
    for (int i = 0; i < N; i++)
        assert_true(shown[i] > 0);
    mien__loader_free(l);
    o.per_person = 11;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_ARG);
    o.per_person = 2;
    o.n_indices = 3; /* one person */
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_EVAL_DATA);
}

static void loader_unreadable_pictures_are_replaced_and_counted(void **state)
{
    (void)state;
    char away[1024];
    (void)snprintf(away, sizeof away, "%s.away", set->samples[7].path);
    assert_int_equal(rename(set->samples[7].path, away), 0);
    for (int mode = 0; mode < 2; mode++) {
        mien__loader_opts o = opts();
        o.per_person = mode ? 3 : 0;
        o.batch = mode ? 6 : 5;
        mien__loader *l = start(&o);
        for (size_t i = 0; i < 3 * mien__loader_steps_per_epoch(l); i++) {
            const mien__batch b = take(l);
            for (int k = 0; k < b.n; k++) {
                assert_int_not_equal(b.samples[k], 7);
                assert_int_equal(b.labels[k], set->samples[b.samples[k]].label);
                if (mode) /* somebody's picture is replaced by another of hers */
                    assert_int_equal(b.labels[k], b.labels[k - k % 3]);
            }
        }
        assert_true(mien__loader_replaced(l) >= 1);
        mien__loader_free(l);
    }
    assert_int_equal(rename(away, set->samples[7].path), 0);
    /* and none left: an error, each time */
    mien__sample gone[2] = { set->samples[0], set->samples[1] };
    gone[0].path = gone[1].path = "/nonexistent/picture.png";
    const mien__dataset none = { .samples = gone, .n = 2 };
    mien__loader_opts o = opts();
    o.set = &none;
    o.n_indices = 2;
    mien__loader *l = start(&o);
    mien__batch b = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mien__loader_next(l, &b, &err), MIEN_E_EVAL_DATA);
        assert_non_null(strstr(err.message, "/nonexistent/picture.png"));
        assert_null(b.rgb);
    }
    mien__loader_free(l);
}

static void loader_ends_at_any_moment(void **state)
{
    (void)state;
    mien__loader_opts o = opts();
    o.threads = 3;
    for (int taken = 0; taken < 12; taken++) {
        mien__loader *l = start(&o);
        for (int i = 0; i < taken; i++)
            (void)take(l);
        if (taken % 3 == 2)
            assert_int_equal(mien__loader_seek(l, 5, 1, NULL), MIEN_OK);
        mien__loader_free(l);
    }
    mien__loader_free(NULL);
}

static void loader_bad_options_are_refused(void **state)
{
    (void)state;
    mien__loader *l = NULL;
    const size_t outside[] = { 0, N };
    mien__loader_opts o = opts();
    o.batch = 0;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_ARG);
    o = opts();
    o.n_indices = 0;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_EVAL_DATA);
    o = opts();
    o.indices = outside;
    o.n_indices = 2;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_ARG);
    o = opts();
    o.augment.flip = 2;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_ARG);
    o = opts();
    o.side = 0;
    assert_int_equal(mien__loader_new(&o, &l, NULL), MIEN_E_ARG);
    assert_null(l);
    o = opts();
    l = start(&o);
    assert_int_equal(mien__loader_seek(l, 0, 5, NULL), MIEN_E_ARG);
    mien__loader_free(l);
}

/* ---- order ---- */

static void permute_is_a_bijection(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 300; n++) {
        uint8_t seen[300] = { 0 };
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t j = mien__permute(n * 77, n, i);
            assert_true(j < n && !seen[j]);
            seen[j] = 1;
        }
    }
    assert_true(mien__permute(3, UINT64_C(1) << 40, 12345) < UINT64_C(1) << 40);
}

/* Over many keys each place gets each item equally often: chi-square with n - 1 degrees of freedom. */
static void permute_is_even(void **state)
{
    (void)state;
    enum { MOST = 11, KEYS = 20000 };
    for (uint64_t n = 2; n <= MOST; n += 3) {
        for (uint64_t place = 0; place < n; place += n - 1) {
            double count[MOST] = { 0 }, chi2 = 0;
            for (uint64_t key = 0; key < KEYS; key++)
                count[mien__permute(key * UINT64_C(0x9e3779b97f4a7c15), n, place)]++;
            for (uint64_t i = 0; i < n; i++)
                chi2 += (count[i] - (double)KEYS / (double)n) * (count[i] - (double)KEYS / (double)n) /
                        ((double)KEYS / (double)n);
            /* mean n - 1, standard deviation sqrt(2 (n - 1)) */
            if (chi2 > (double)(n - 1) + 5 * sqrt(2 * (double)(n - 1)))
                fail_msg("n %d place %d: chi-square %.1f", (int)n, (int)place, chi2);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    static const int pictures[] = { 7, 3, 5, 8 };
    dir_make(dir);
    unsigned seed = 0;
    for (int p = 0; p < 4; p++) {
        char name[64];
        (void)snprintf(name, sizeof name, "person%d", p);
        sub_dir(dir, name);
        for (int i = 0; i < pictures[p]; i++) {
            (void)snprintf(name, sizeof name, "person%d/%d.jpg", p, i);
            picture_save(in_dir(dir, name), 100, 100, seed++);
        }
    }
    set = aligned_set(dir, NULL);
    for (size_t i = 0; i < N; i++)
        all[i] = i;
    return set->n == N && set->n_people == 4 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    mien__dataset_free(set);
    dir_drop(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permute_is_a_bijection),
        cmocka_unit_test(permute_is_even),
        cmocka_unit_test(loader_threads_cache_and_seek_give_the_same_bytes),
        cmocka_unit_test(loader_epoch_shows_every_sample_once_in_a_new_order),
        cmocka_unit_test(loader_drop_last_gives_full_batches_only),
        cmocka_unit_test(loader_per_person_groups_pictures_of_people),
        cmocka_unit_test(loader_unreadable_pictures_are_replaced_and_counted),
        cmocka_unit_test(loader_ends_at_any_moment),
        cmocka_unit_test(loader_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
