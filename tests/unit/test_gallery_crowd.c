/* One writer and many readers, each a process: no lock error reaches anybody, nobody is shown who was removed
 * before the search began, and everybody who was there all the time is found.
 *
 * MIEN_GALLERY_CROWD: seconds (default 3, with 4 readers; make soak: 60 with 8). Readers open the gallery
 * anew now and then; some have two threads with a handle each.
 */
#include "gallery_fixtures.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { IDS = 1 << 16, STAYING = 20 };

/* Shared by all processes. */
typedef struct board {
    atomic_llong removed_ns[IDS]; /* when the removal of a person had returned; 0: not removed */
    atomic_long searches, changes, found;
    atomic_int stop;
} board;

static board *shared_board;

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, const mien_error *e)
{
    fprintf(stderr, "%s: %s %s\n", what, mien_status_name(e->status), e->message);
    _exit(5);
}

static mien_gallery *open_it(const fixture *f, mien_gallery_mode mode)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    mien_error e = MIEN_ERROR_INIT;
    opts.mode = mode;
    opts.embedder = f->model;
    opts.key = fixture_key;
    opts.key_bytes = 32;
    if (mien_gallery_open(f->path, &opts, &g, &e))
        die("open", &e);
    return g;
}

static void search_once(mien_gallery *g, int person, bool must_be_found)
{
    float probe[DIM];
    mien_candidate found[5];
    size_t n = 0;
    mien_error e = MIEN_ERROR_INIT;
    fixture_vec(person, 0, 0, probe);
    const long long start = now_ns();
    if (mien_gallery_search(g, probe, 1, 5, found, &n, &e))
        die("search", &e);
    for (size_t i = 0; i < n; i++) {
        const long long removed = atomic_load(&shared_board->removed_ns[found[i].person % IDS]);
        if (removed && removed < start) {
            fprintf(stderr, "person %lld was found %lld us after the removal\n", (long long)found[i].person,
                    (start - removed) / 1000);
            _exit(6);
        }
    }
    if (must_be_found && (n == 0 || found[0].similarity < 0.9)) {
        fprintf(stderr, "somebody who is there was not found\n");
        _exit(7);
    }
    atomic_fetch_add(&shared_board->searches, 1);
    atomic_fetch_add(&shared_board->found, n > 0 && found[0].similarity > 0.9);
}

typedef struct reader {
    mien_gallery *g;
    uint64_t seed;
} reader;

static void *read_on(void *arg)
{
    const reader *const r = arg;
    mien__rng rng;
    mien__rng_seed(&rng, r->seed);
    for (int i = 0; i < 500 && !atomic_load(&shared_board->stop); i++) {
        const int person = (int)(mien__rng_u64(&rng) % 120);
        search_once(r->g, person, person < STAYING);
    }
    return NULL;
}

static void reader_process(const fixture *f, int number)
{
    for (uint64_t round = 0; !atomic_load(&shared_board->stop); round++) {
        reader a = { open_it(f, MIEN_GALLERY_READ), (uint64_t)number * 1000 + round },
               b = { NULL, a.seed + 500 };
        pthread_t thread;
        mien_error e = MIEN_ERROR_INIT;
        const bool two = number % 2 == 0;
        if (two &&
            (mien_gallery_open_beside(a.g, NULL, &b.g, &e) || pthread_create(&thread, NULL, read_on, &b)))
            die("open beside", &e);
        read_on(&a);
        mien_gallery_free(a.g); /* in any order */
        if (two) {
            pthread_join(thread, NULL);
            mien_gallery_free(b.g);
        }
    }
    _exit(0);
}

static void writer_process(const fixture *f)
{
    mien__rng rng;
    int64_t ids[120] = { 0 };
    mien_gallery *const g = open_it(f, MIEN_GALLERY_WRITE);
    mien__rng_seed(&rng, 3);
    while (!atomic_load(&shared_board->stop)) {
        const int p = STAYING + (int)(mien__rng_u64(&rng) % 100);
        mien_error e = MIEN_ERROR_INIT;
        if (ids[p]) {
            mien_receipt r;
            if (mien_gallery_remove(g, ids[p], 0, &r, &e))
                die("remove", &e);
            atomic_store(&shared_board->removed_ns[ids[p] % IDS], now_ns());
            ids[p] = 0;
        } else {
            mien_enrolment item = MIEN_ENROLMENT_INIT;
            mien_enrolled done;
            float vec[DIM];
            char name[32];
            snprintf(name, sizeof name, "Guest %d", p);
            fixture_vec(p, 1, 0.2, vec);
            item.name = name;
            item.vec = vec;
            if (mien_gallery_enrol(g, &item, 1, &done, &e))
                die("enrol", &e);
            ids[p] = done.person;
        }
        atomic_fetch_add(&shared_board->changes, 1);
    }
    mien_gallery_free(g);
    _exit(0);
}

static void one_writer_many_readers(void **state)
{
    const fixture *const f = *state;
    const char *const wanted = getenv("MIEN_GALLERY_CROWD");
    const int seconds = wanted ? atoi(wanted) : 3, readers = wanted ? 8 : 4;
    pid_t pids[9];
    shared_board =
        mmap(NULL, sizeof *shared_board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared_board, MAP_FAILED);
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    for (int i = 0; i < STAYING; i++) {
        char name[32];
        snprintf(name, sizeof name, "Staying %d", i);
        fixture_enrol(g, name, i, 0);
    }
    mien_gallery_free(g);
    for (int i = 0; i <= readers; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            if (i == 0)
                writer_process(f);
            reader_process(f, i);
        }
    }
    sleep((unsigned)seconds);
    atomic_store(&shared_board->stop, 1);
    for (int i = 0; i <= readers; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("process %d ended with %x", i, status);
    }
    printf("%d s, 1 writer, %d readers: %ld changes, %ld searches, no error, nobody shown after a removal\n",
           seconds, readers, atomic_load(&shared_board->changes), atomic_load(&shared_board->searches));
    assert_true(atomic_load(&shared_board->changes) > 0 && atomic_load(&shared_board->searches) > 0);
    g = open_it(f, MIEN_GALLERY_WRITE);
    OK(mien_gallery_verify(g, NULL, NULL, NULL, NULL, err));
    mien_gallery_free(g);
    munmap(shared_board, sizeof *shared_board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_writer_many_readers, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
