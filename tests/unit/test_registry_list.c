/* The list of known models is whole, and models are found in the documented order. */
#include "registry/registry.h"
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void entries_are_complete(void **state)
{
    (void)state;
    size_t n = 0;
    for (const mien_registry_entry *e; (e = mien_registry_at(n)) != NULL; n++) {
        assert_true(e->name[0] && e->file[0] && e->licence[0] && e->training_data[0]);
        assert_true(e->description[0] && e->use[0]);
        assert_int_equal(strspn(e->sha256, "0123456789abcdef"), 64);
        assert_int_equal(strlen(e->sha256), 64);
        assert_true(e->url[0] == '\0' || strncmp(e->url, "https://", 8) == 0);
        assert_non_null(e->aux_file);
        assert_int_equal(e->aux_file[0] == '\0', e->aux_url[0] == '\0');
        assert_int_equal(strlen(e->aux_sha256), e->aux_file[0] ? 64 : 0);
        assert_ptr_equal(mien_registry_find(e->name), e);
        assert_ptr_equal(mien_registry_find(e->file), e);
        mien_model_info info;
        assert_true(mien__registry_describe(e->sha256, &info));
        assert_string_equal(info.name, e->name);
        assert_int_equal(info.task, e->task);
        assert_true(info.input_multiple >= 1 && info.protocol && info.decoder && info.source);
        assert_true(info.task != MIEN_TASK_DETECT || info.decoder[0]);
        assert_true(info.task != MIEN_TASK_EMBED || info.embedding_len > 0);
        for (size_t i = 0; i < info.n_points; i++) {
            const mien_operating_point *const p = &info.points[i];
            assert_true(p->fmr > 0 && p->fmr < 1 && p->fmr_lo <= p->fmr && p->fmr <= p->fmr_hi);
            assert_true(i == 0 || (p->fmr > p[-1].fmr && p->threshold <= p[-1].threshold));
        }
    }
    assert_true(n >= 8);
    assert_null(mien_registry_find("no such model"));
    assert_null(mien_registry_find(NULL));
}

static void describe_unknown_digest_leaves_result(void **state)
{
    (void)state;
    mien_model_info info = { .name = "kept" };
    assert_false(mien__registry_describe("00", &info));
    assert_false(mien__registry_describe(NULL, &info));
    assert_string_equal(info.name, "kept");
}

static void preferred_names_exist_and_end(void **state)
{
    (void)state;
    for (int task = MIEN_TASK_DETECT; task <= MIEN_TASK_LANDMARK; task++) {
        size_t i = 0;
        for (const char *name; (name = mien__registry_preferred((mien_task)task, i)) != NULL; i++)
            assert_int_equal(mien_registry_find(name)->task, task);
        assert_true(i >= 1);
    }
    for (size_t i = 0; i < 10; i++) /* research-only weights are never chosen unasked */
        assert_true(!mien__registry_preferred(MIEN_TASK_DETECT, i) ||
                    strcmp(mien__registry_preferred(MIEN_TASK_DETECT, i), "scrfd_2.5g") != 0);
}

static void write_file(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *const f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
}

static void locate_follows_the_documented_order(void **state)
{
    (void)state;
    char a[] = "/tmp/mien-test-a-XXXXXX", b[] = "/tmp/mien-test-b-XXXXXX", list[128], path[512], want[256];
    assert_non_null(mkdtemp(a));
    assert_non_null(mkdtemp(b));
    (void)snprintf(list, sizeof list, "/nonexistent::%s:%s", a, b);
    setenv("MIEN_MODELS", list, 1);
    mien_error err = MIEN_ERROR_INIT;

    write_file(b, "mobilefacenet.mien");
    assert_int_equal(mien_registry_locate("mobilefacenet", path, sizeof path, &err), MIEN_OK);
    (void)snprintf(want, sizeof want, "%s/mobilefacenet.mien", b);
    assert_string_equal(path, want);

    write_file(a, "mobilefacenet_foamliu.onnx"); /* earlier folder wins */
    assert_int_equal(mien_registry_locate("mobilefacenet_foamliu.onnx", path, sizeof path, &err), MIEN_OK);
    (void)snprintf(want, sizeof want, "%s/mobilefacenet_foamliu.onnx", a);
    assert_string_equal(path, want);

    write_file(a, "face-reidentification-retail-0095.xml"); /* without weights it does not count */
    if (mien_registry_locate("face-reidentification-retail-0095", path, sizeof path, &err) == MIEN_OK)
        assert_null(strstr(path, a));
    write_file(a, "face-reidentification-retail-0095.bin");
    assert_int_equal(mien_registry_locate("face-reidentification-retail-0095", path, sizeof path, &err),
                     MIEN_OK);
    assert_non_null(strstr(path, a));

    assert_int_equal(mien_registry_locate("mobilefacenet", path, 8, &err), MIEN_E_LIMIT);
    (void)snprintf(path, sizeof path, "rm -r %s %s", a, b);
    assert_int_equal(system(path), 0);
    unsetenv("MIEN_MODELS");
}

static void locate_missing_says_how_to_get_it(void **state)
{
    (void)state;
    char path[512];
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_registry_locate("no-such-model", path, sizeof path, &err), MIEN_E_MODEL_MISSING);
    assert_non_null(strstr(err.message, "no-such-model"));
    assert_int_equal(mien_registry_locate("a/b", path, sizeof path, &err), MIEN_E_ARG);
    assert_int_equal(mien_registry_locate("", path, sizeof path, &err), MIEN_E_ARG);
    assert_int_equal(mien_registry_locate(NULL, path, sizeof path, NULL), MIEN_E_ARG);
}

int main(void)
{
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_complete),
        cmocka_unit_test(describe_unknown_digest_leaves_result),
        cmocka_unit_test(preferred_names_exist_and_end),
        cmocka_unit_test(locate_follows_the_documented_order),
        cmocka_unit_test(locate_missing_says_how_to_get_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
