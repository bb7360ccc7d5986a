/* The public calls of training: what they refuse before they read or write anything, and that outputs stay as
 * they were.
 */
#include "train_fixtures.h"
#include <mien/train.h>

static mien_model *const no_model = (mien_model *)(uintptr_t)16; /* never looked at */

static mien_train_opts options(const char *data, const char *dir)
{
    mien_train_opts o;
    mien_train_opts_init(&o);
    o.data = data;
    o.dir = dir;
    o.arch = "mobilefacenet:embed=16,width=0.1";
    o.aligned = 1;
    o.loss = MIEN_LOSS_SOFTMAX;
    o.batch = 2;
    o.max_steps = 1;
    o.threads = 1;
    return o;
}

/* Refused with this status and a message; both outputs untouched. */
static void refused(const mien_train_opts *o, mien_status wanted)
{
    mien_model *model = no_model;
    mien_train_result r, before;
    mien_error err = MIEN_ERROR_INIT;
    memset(&r, 0x5a, sizeof r);
    memcpy(&before, &r, sizeof r);
    const mien_status st = mien_train(o, &model, &r, &err);
    if (st != wanted)
        fail_msg("%s instead of %s: %s", mien_status_name(st), mien_status_name(wanted), err.message);
    assert_true(err.message[0]);
    assert_ptr_equal(model, no_model);
    assert_memory_equal(&r, &before, sizeof r);
    assert_int_equal(mien_train(o, &model, &r, NULL), wanted);
}

static void train_out_of_range_options_are_refused(void **state)
{
    (void)state;
    const mien_train_opts good = options("/nowhere", "/nowhere/run");
    mien_train_opts o;
#define BAD(field, ...)          \
    do {                         \
        o = good;                \
        o.field = __VA_ARGS__;   \
        refused(&o, MIEN_E_ARG); \
    } while (0)
    BAD(struct_size, 8);
    BAD(data, NULL);
    BAD(dir, NULL);
    BAD(arch, NULL);
    BAD(aligned, 0);
    BAD(loss, (mien_train_loss)9);
    BAD(batch, 1);
    BAD(epochs, 0);
    BAD(accumulate, 0);
    BAD(lr, NAN);
    BAD(lr, 0);
    BAD(lr_floor, 2);
    BAD(warmup_epochs, -1);
    BAD(warmup_epochs, INFINITY);
    BAD(ema, 1);
    BAD(momentum, NAN);
    BAD(clip_norm, -1);
    BAD(weight_decay, INFINITY);
    BAD(w_embed, NAN);
    BAD(val_fraction, 1);
    BAD(augment, "flipp=1");
#undef BAD
    refused(NULL, MIEN_E_ARG);
    mien_model *model = no_model;
    mien_train_result r;
    assert_int_equal(mien_train(&good, NULL, &r, NULL), MIEN_E_ARG);
    assert_int_equal(mien_train(&good, &model, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(access("/nowhere", F_OK), -1);
}

static int stop_at_once(const mien_train_state *s, void *user)
{
    (void)s;
    return ++*(int *)user > 0;
}

static void train_faults_leave_outputs_untouched(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    mien_train_opts o = options(in_dir(dir, "people"), in_dir(dir, "run"));
    refused(&o, MIEN_E_NOT_FOUND);
    sub_dir(dir, "people");
    o = options(in_dir(dir, "people"), in_dir(dir, "run"));
    refused(&o, MIEN_E_EVAL_DATA);
    for (unsigned person = 0; person < 3; person++) {
        char name[32];
        (void)snprintf(name, sizeof name, "people/%u", person);
        sub_dir(dir, name);
        for (unsigned i = 0; i < 2; i++) {
            (void)snprintf(name, sizeof name, "people/%u/%u.png", person, i);
            picture_save(in_dir(dir, name), 112, 112, 10 * person + i);
        }
    }
    char data[128], run[128];
    (void)snprintf(data, sizeof data, "%s/people", dir);
    (void)snprintf(run, sizeof run, "%s/run", dir);
    o = options(data, run);
    o.resume = 1;
    refused(&o, MIEN_E_NOT_FOUND);
    int calls = 0;
    o = options(data, run);
    o.progress = stop_at_once;
    o.user = &calls;
    refused(&o, MIEN_E_INTERRUPTED);
    assert_true(calls >= 1);
    /* and with nothing in the way a model comes out */
    mien_model *model = NULL;
    mien_train_result r;
    o = options(data, run);
    assert_int_equal(mien_train(&o, &model, &r, NULL), MIEN_OK);
    assert_int_equal(r.steps, 1);
    assert_int_equal(mien_model_info_of(model)->embedding_len, 16);
    mien_model_free(model);
    dir_drop(dir);
}

static void preview_writes_nothing(void **state)
{
    (void)state;
    char dir[64], data[128], run[128];
    dir_make(dir);
    (void)snprintf(data, sizeof data, "%s", dir);
    (void)snprintf(run, sizeof run, "%s/run", dir);
    picture_save(in_dir(dir, "a.png"), 112, 112, 1);
    picture_save(in_dir(dir, "b.png"), 112, 112, 2);
    const mien_train_opts o = options(data, run);
    mien_image *sheet = NULL;
    assert_int_equal(mien_train_preview(&o, 2, 3, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(mien_train_preview(&o, 2, 3, &sheet, NULL), MIEN_OK);
    assert_true(mien_image_view_of(sheet).width >= 3 * 112);
    mien_image_free(sheet);
    assert_int_equal(access(run, F_OK), -1);
    dir_drop(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_out_of_range_options_are_refused),
        cmocka_unit_test(train_faults_leave_outputs_untouched),
        cmocka_unit_test(preview_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
