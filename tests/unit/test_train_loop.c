/* The training loop on a network of a few weights: losses that are no number, stops at every step, resumed
 * runs, full disks. A task that counts gives every run the same batches, so weights can be compared byte by
 * byte.
 */
#include "nn/mien_file.h"
#include "nn_fixtures.h"
#include "train/checkpoint.h"
#include "train/trainer.h"
#include "train_fixtures.h"
#include <signal.h>
#include <sys/resource.h>

enum { BATCH = 2, SIDE = 6, PER_EPOCH = 4, EPOCHS = 4, TOTAL = PER_EPOCH * EPOCHS };

/* Follows a fixed vector; faults at chosen steps. */
typedef struct counting {
    uint64_t step;             /* of the last batch */
    uint64_t nan_from, nan_to; /* steps whose loss is no number */
    bool nan_input;            /* and whose pictures are not, either */
    uint64_t best_at;          /* the validation at this step is the best */
} counting;

static mien_status fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    counting *c = ctx;
    mien__rng rng;
    (void)err;
    c->step = step;
    mien__rng_seed(&rng, 77 + step);
    const bool bad = c->nan_input && step >= c->nan_from && step < c->nan_to;
    for (size_t i = 0; i < BATCH * 3 * SIDE * SIDE; i++)
        input[i] = bad ? NAN : (float)(2 * mien__rng_unit(&rng) - 1);
    return MIEN_OK;
}

static mien_status loss(void *ctx, mien__net *n, double *ret_loss, mien__parts *parts, mien_error *err)
{
    const counting *c = ctx;
    const mien__net_tap *tap = mien__net_tap_at(n, 0);
    (void)err;
    *ret_loss = 0;
    for (size_t i = 0; i < tap->count; i++) {
        const double d = (double)tap->data[i] - 0.1 * (double)(i % 4);
        *ret_loss += 0.5 * d * d;
        tap->grad[i] = (float)d;
    }
    mien__parts_add(parts, "part", *ret_loss);
    if (c->step >= c->nan_from && c->step < c->nan_to)
        *ret_loss = NAN;
    return MIEN_OK;
}

static mien_status validate(void *ctx, const mien_model *model, mien__parts *parts, double *ret_score,
                            mien_error *err)
{
    const counting *c = ctx;
    (void)model;
    (void)err;
    *ret_score = -fabs((double)(c->step + 1) - (double)c->best_at);
    mien__parts_add(parts, "score_part", *ret_score);
    return MIEN_OK;
}

/* Convolution, BatchNorm by the batch, mean over the picture: parameters and running averages. */
static mien__graph *tiny(void)
{
    static const float ones[4] = { 1, 1, 1, 1 }, zeros[4] = { 0 };
    net t;
    mien__node *node = NULL;
    net_open(&t);
    const uint32_t x = net_conv(&t, NET_INPUT(&t, -1, 3, SIDE, SIDE), 3, 4, 3, 1, 1, 1);
    const uint32_t in[5] = { x, net_const(&t, 1, DIMS(4), ones), net_const(&t, 1, DIMS(4), zeros),
                             net_const(&t, 1, DIMS(4), zeros), net_const(&t, 1, DIMS(4), ones) };
    const uint32_t out = net_value(&t, MIEN__F32, -1, NULL, NULL);
    assert_true(mien__graph_add_node(t.g, MIEN__OP_BatchNorm, "bn", in, 5, &out, 1, &node));
    net_output(&t, net_op1(&t, MIEN__OP_GlobalAvgPool, out));
    assert_true(mien__graph_set_io(t.g, t.inputs, t.n_in, t.outputs, t.n_out));
    return t.g;
}

typedef struct outcome {
    mien_status st;
    mien_error err;
    mien__loop_result result;
    char model[128]; /* file, when a model came out */
} outcome;

typedef struct wish {
    const char *dir;
    bool resume;
    uint64_t stop_at; /* progress asks to stop at this step; 0: never */
    int accumulate;
    const char *print;
    double ema;
    double scores[EPOCHS + 1]; /* as progress told them */
    uint64_t validations;
} wish;

static int progress(const mien_train_state *s, void *user)
{
    wish *w = user;
    if (s->validations != w->validations) {
        assert_string_equal(s->phase, "validating");
        assert_int_equal(s->validations, w->validations + 1);
        if (!w->resume)
            assert_int_equal(s->done, s->validations * PER_EPOCH);
        w->scores[w->validations++] = s->score;
    }
    return w->stop_at && !strcmp(s->phase, "training") && s->done == w->stop_at;
}

static outcome run_wish(counting *c, wish *to)
{
    const wish w = *to;
    outcome o = { .err = MIEN_ERROR_INIT };
    mien_model_info info = mien__model_info_empty();
    mien__graph *g = tiny();
    mien__net *n = NULL;
    mien_model *model = NULL;
    const mien__net_opts no = { .batch = BATCH, .threads = 1, .batch_stats = true, .bn_momentum = 0.1 };
    const mien__task task = { .ctx = c,
                              .batch = BATCH,
                              .steps_per_epoch = PER_EPOCH * (uint64_t)(w.accumulate ? w.accumulate : 1),
                              .fill = fill,
                              .loss = loss,
                              .validate = c->best_at ? validate : NULL,
                              .info = &info };
    const mien__loop_opts lo = {
        .optim = { .kind = MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .ema = w.ema },
        .lr = 0.01,
        .floor = 0.1,
        .epochs = EPOCHS,
        .warmup_steps = 2,
        .accumulate = w.accumulate,
        .validate_epochs = 1,
        .dir = w.dir,
        .resume = w.resume,
        .fingerprint = w.print ? w.print : "same",
        .progress = progress,
        .user = to,
    };
    assert_int_equal(mien__net_new(g, &no, &n, NULL), MIEN_OK);
    o.st = mien__train_loop(n, &task, &lo, &model, &o.result, &o.err);
    assert_true((o.st == MIEN_OK) == (model != NULL));
    (void)snprintf(o.model, sizeof o.model, "%s/out.mien", w.dir);
    if (model)
        assert_int_equal(mien_model_save(model, o.model, NULL), MIEN_OK);
    size_t n_buffers = 0;
    const mien__param *buffers = mien__net_buffers(n, &n_buffers);
    assert_int_equal(n_buffers, 2);
    for (size_t i = 0; i < n_buffers * 4; i++)
        assert_true(isfinite(buffers[i / 4].value[i % 4]));
    mien_model_free(model);
    mien__net_free(n);
    mien__graph_free(g);
    return o;
}

static outcome run_loop(counting *c, wish w)
{
    return run_wish(c, &w);
}

static void assert_same_file(const char *a, const char *b)
{
    mien__file_map x = { 0 }, y = { 0 };
    assert_int_equal(mien__file_read(&x, a, 1 << 24, NULL), MIEN_OK);
    assert_int_equal(mien__file_read(&y, b, 1 << 24, NULL), MIEN_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    mien__file_map_close(&x);
    mien__file_map_close(&y);
}

/* Steps done by the checkpoint in a folder: the first number of its second item. */
static uint64_t checkpoint_step(const char *dir)
{
    mien__file_map m = { 0 };
    uint64_t step = 0;
    assert_int_equal(mien__file_read(&m, in_dir(dir, "checkpoint.bin"), 1 << 24, NULL), MIEN_OK);
    size_t n = 0;
    memcpy(&n, m.data + 12, 4);
    memcpy(&step, m.data + MIEN__CKPT_HEADER + n * MIEN__CKPT_ROW + 65, sizeof step);
    mien__file_map_close(&m);
    return step;
}

static void progress_tells_the_score_of_each_validation_not_the_best(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    counting c = { .best_at = PER_EPOCH };
    wish w = { .dir = dir };
    const outcome o = run_wish(&c, &w);
    assert_int_equal(o.st, MIEN_OK);
    assert_int_equal(w.validations, EPOCHS);
    for (int i = 0; i < EPOCHS; i++)
        assert_true(w.scores[i] == -(double)(i * PER_EPOCH));
    assert_true(o.result.best_score == 0.0);
    dir_drop(dir);
}

static void loss_without_a_number_ends_the_run_and_keeps_the_checkpoint(void **state)
{
    (void)state;
    char dir[64], calm[64];
    dir_make(dir);
    dir_make(calm);
    counting sound = { .best_at = 8 }, faulty = { .best_at = 8, .nan_from = 5, .nan_to = UINT64_MAX };
    const outcome whole = run_loop(&sound, (wish){ .dir = calm });
    assert_int_equal(whole.st, MIEN_OK);
    const outcome o = run_loop(&faulty, (wish){ .dir = dir });
    assert_int_equal(o.st, MIEN_E_TRAIN);
    assert_non_null(strstr(o.err.message, "not a number in 10 steps in a row (step 15)"));
    assert_int_equal(checkpoint_step(dir), 4);
    /* with the cause mended the run goes on as if nothing had been */
    const outcome on = run_loop(&sound, (wish){ .dir = dir, .resume = true });
    assert_int_equal(on.st, MIEN_OK);
    assert_same_file(on.model, whole.model);
    dir_drop(dir);
    dir_drop(calm);
}

static void loss_without_a_number_at_the_end_is_no_success(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    counting c = { .best_at = 8, .nan_from = TOTAL - 1, .nan_to = TOTAL };
    const outcome o = run_loop(&c, (wish){ .dir = dir });
    assert_int_equal(o.st, MIEN_E_TRAIN);
    assert_int_equal(checkpoint_step(dir), TOTAL - PER_EPOCH);
    dir_drop(dir);
}

static void one_bad_batch_leaves_no_trace_in_running_averages(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    counting c = { .best_at = TOTAL, .nan_from = 5, .nan_to = 7, .nan_input = true };
    const outcome o = run_loop(&c, (wish){ .dir = dir, .ema = 0.9 }); /* looks at the averages itself */
    assert_int_equal(o.st, MIEN_OK);
    assert_int_equal(o.result.best_step, TOTAL);
    assert_true(isfinite(o.result.last_loss));
    dir_drop(dir);
}

static void stop_at_any_step_then_resume_gives_the_same_model(void **state)
{
    (void)state;
    char whole[64], parts[64];
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        dir_make(whole);
        counting c = { .best_at = 8 };
        const outcome all = run_loop(&c, (wish){ .dir = whole, .accumulate = accumulate, .ema = 0.9 });
        assert_int_equal(all.st, MIEN_OK);
        for (uint64_t at = 1; at <= TOTAL; at++) {
            dir_make(parts);
            const outcome first =
                run_loop(&c, (wish){ .dir = parts, .accumulate = accumulate, .ema = 0.9, .stop_at = at });
            assert_int_equal(first.st, MIEN_E_INTERRUPTED);
            assert_true(first.result.interrupted);
            assert_int_equal(checkpoint_step(parts), at);
            const outcome rest =
                run_loop(&c, (wish){ .dir = parts, .accumulate = accumulate, .ema = 0.9, .resume = true });
            assert_int_equal(rest.st, MIEN_OK);
            assert_int_equal(rest.result.best_step, all.result.best_step);
            assert_same_file(rest.model, all.model);
            assert_same_file(in_dir(parts, "best.mien"), in_dir(whole, "best.mien"));
            dir_drop(parts);
        }
        dir_drop(whole);
    }
}

static void resume_refuses_what_it_cannot_go_on_with(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    counting c = { 0 };
    outcome o = run_loop(&c, (wish){ .dir = dir, .resume = true });
    assert_int_equal(o.st, MIEN_E_NOT_FOUND);
    assert_non_null(strstr(o.err.message, "no checkpoint"));
    o = run_loop(&c, (wish){ .dir = dir, .stop_at = 3 });
    assert_int_equal(o.st, MIEN_E_INTERRUPTED);
    o = run_loop(&c, (wish){ .dir = dir, .resume = true, .print = "other" });
    assert_int_equal(o.st, MIEN_E_ARG);
    assert_non_null(strstr(o.err.message, "other settings"));
    /* other arrays as well: it is the settings that are named */
    o = run_loop(&c, (wish){ .dir = dir, .resume = true, .print = "other", .ema = 0.9 });
    assert_int_equal(o.st, MIEN_E_ARG);
    assert_int_equal(checkpoint_step(dir), 3);
    dir_drop(dir);
}

static void full_disk_keeps_the_last_checkpoint(void **state)
{
    (void)state;
    char dir[64];
    struct rlimit old;
    dir_make(dir);
    counting c = { .best_at = 8 };
    outcome o = run_loop(&c, (wish){ .dir = dir, .stop_at = 6 });
    assert_int_equal(o.st, MIEN_E_INTERRUPTED);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit tight = { 600, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    o = run_loop(&c, (wish){ .dir = dir, .resume = true });
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(o.st, MIEN_E_IO);
    assert_non_null(strstr(o.err.message, "cannot write"));
    assert_int_equal(checkpoint_step(dir), 6);
    o = run_loop(&c, (wish){ .dir = dir, .resume = true });
    assert_int_equal(o.st, MIEN_OK);
    dir_drop(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_tells_the_score_of_each_validation_not_the_best),
        cmocka_unit_test(loss_without_a_number_ends_the_run_and_keeps_the_checkpoint),
        cmocka_unit_test(loss_without_a_number_at_the_end_is_no_success),
        cmocka_unit_test(one_bad_batch_leaves_no_trace_in_running_averages),
        cmocka_unit_test(stop_at_any_step_then_resume_gives_the_same_model),
        cmocka_unit_test(resume_refuses_what_it_cannot_go_on_with),
        cmocka_unit_test(full_disk_keeps_the_last_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
