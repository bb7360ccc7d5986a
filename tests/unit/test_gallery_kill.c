/* kill -9 at any moment: after each the gallery is whole and holds every change that was acknowledged.
 *
 * A child process changes the gallery without pause and tells by a pipe before and after each change; it is
 * killed after a random time. MIEN_GALLERY_KILLS says how often (default 20; make soak: 500).
 */
#include "gallery_ledger.h"
#include <signal.h>
#include <sys/wait.h>

typedef struct message {
    int acknowledged;
    ledger_step step;
} message;

static mien_gallery *open_for(const fixture *f, mien_model *model, bool key)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    opts.mode = MIEN_GALLERY_WRITE;
    opts.embedder = model;
    opts.key = key ? fixture_key : NULL;
    opts.key_bytes = key ? 32 : 0;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    return g;
}

static void child(const fixture *f, ledger l, mien_model *const *models, bool key, uint64_t seed, int out)
{
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    mien_gallery *const g = open_for(f, models[l.model], key);
    for (;;) {
        message m = { 0, ledger_choose(&l, &rng, true) };
        mien_error e = MIEN_ERROR_INIT;
        if (write(out, &m, sizeof m) != sizeof m)
            _exit(3);
        const mien_status st = ledger_do(g, &l, m.step, models, &e);
        if (st) {
            fprintf(stderr, "step %d: %s\n", m.step.op, e.message);
            _exit(4);
        }
        ledger_apply(&l, m.step);
        m.acknowledged = 1;
        if (write(out, &m, sizeof m) != sizeof m)
            _exit(3);
    }
}

/* Kill a run once and bring the ledger up to date with what it told. */
static bool run_once(const fixture *f, ledger *l, ledger_step *ret_under_way, mien_model *const *models,
                     bool key, uint64_t seed)
{
    int ends[2], status = 0;
    message m;
    bool open_step = false;
    mien__rng rng;
    mien__rng_seed(&rng, seed ^ 0x5bd1e995);
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(f, *l, models, key, seed, ends[1]);
    }
    close(ends[1]);
    usleep((useconds_t)(5000 + mien__rng_u64(&rng) % 120000));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        fail_msg("the writer ended by itself with %d", WEXITSTATUS(status));
    while (read(ends[0], &m, sizeof m) == sizeof m) {
        open_step = !m.acknowledged;
        *ret_under_way = m.step;
        if (m.acknowledged)
            ledger_apply(l, m.step);
    }
    close(ends[0]);
    return open_step;
}

static void acknowledged_changes_survive(void **state)
{
    const fixture *const f = *state;
    const char *const wanted = getenv("MIEN_GALLERY_KILLS");
    const int kills = wanted ? atoi(wanted) : 20;
    mien_model *const models[2] = { fixture_model(1, DIM), fixture_model(2, DIM) };
    int steps = 0;
    for (int key = 0; key < 2; key++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        ledger l = { 0 };
        mien_gallery_free(g);
        for (int i = 0; i < kills / 2; i++) {
            ledger_step under_way = { 0 };
            char when[64];
            const bool open_step = run_once(f, &l, &under_way, models, key, (uint64_t)(i * 2 + key) + 1000);
            snprintf(when, sizeof when, "kill %d, key %d", i, key);
            mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
            opts.mode = MIEN_GALLERY_WRITE;
            opts.key = key ? fixture_key : NULL;
            opts.key_bytes = key ? 32 : 0;
            OK(mien_gallery_open(f->path, &opts, &g, err));
            ledger_check(g, &l, open_step ? &under_way : NULL, models, when);
            /* what was under way and came through counts from now on */
            mien_gallery_info info;
            OK(mien_gallery_info_of(g, &info, err));
            char hex[65];
            OK(mien_model_fingerprint(models[l.model], hex, err));
            if (open_step && !(ledger_matches(g, &l, &info) && strcmp(info.model, hex) == 0))
                ledger_apply(&l, under_way);
            else if (open_step &&
                     under_way.op == OP_EXPIRE) { /* two changes: the first may have come through */
                size_t n = 0;
                OK(mien_gallery_expire(g, NULL, NULL, &n, err));
                if (n > 0)
                    ledger_apply(&l, under_way);
            }
            steps = (int)info.audit_entries;
            mien_gallery_free(g);
        }
        printf("key %d: %d kills, %d changes in the chain\n", key, kills / 2, steps);
        fixture_clear(f);
    }
    mien_model_free(models[0]);
    mien_model_free(models[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_changes_survive, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
