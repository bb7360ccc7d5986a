/* Models compiled into the library: whole, found by name and by task, used where they lie, and the default
 * whatever the folders of models hold. Skipped in a build without. */
#include "nn/graph.h"
#include "registry/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void builtin_table_and_names_agree(void **state)
{
    size_t n = 0;
    (void)state;
    for (; mien__builtins[n].name; n++) {
        const mien__builtin *b = &mien__builtins[n];
        assert_ptr_equal(mien_builtin_at(n), b->name);
        assert_ptr_equal(mien__builtin_find(b->name), b);
        assert_int_equal((uintptr_t)b->data % 64, 0);
        assert_true(b->end > b->data);
    }
    assert_null(mien_builtin_at(n));
    assert_null(mien_builtin_at(SIZE_MAX));
    assert_null(mien__builtin_find("no such model"));
}

static void builtin_verify_by_name_is_whole(void **state)
{
    mien_error err = MIEN_ERROR_INIT;
    (void)state;
    for (size_t i = 0; mien_builtin_at(i); i++)
        if (mien_model_verify(mien_builtin_at(i), &err) != MIEN_OK)
            fail_msg("%s: %s", mien_builtin_at(i), err.message);
}

/* Of every tensor stored as float32 (vectors are), the model must read the library's own bytes. */
static void builtin_load_takes_tensors_where_they_lie(void **state)
{
    (void)state;
    for (const mien__builtin *b = mien__builtins; b->name; b++) {
        mien_model *m = NULL;
        size_t lent = 0, constants = 0;
        assert_int_equal(mien_model_load(b->name, &m, NULL), MIEN_OK);
        const mien__graph *g = mien__model_graph(m);
        for (uint32_t i = 0; i < g->n_values; i++) {
            const uint8_t *data = g->values[i].data;
            constants += data != NULL;
            lent += data && data >= b->data && data < b->end;
        }
        assert_true(constants > 0 && lent > 0);
        const mien_model_info *info = mien_model_info_of(m);
        assert_string_equal(info->name, b->name);
        assert_true(info->file_bytes == (uint64_t)(b->end - b->data));
        mien_model_free(m);
    }
}

static void builtin_is_the_default_whatever_lies_around(void **state)
{
    char dir[] = "/tmp/mien-test-builtin-XXXXXX", file[96];
    bool seen[MIEN_TASK_LANDMARK + 1] = { false };
    (void)state;
    assert_non_null(mkdtemp(dir));
    setenv("MIEN_MODELS", dir, 1);
    for (size_t i = 0; mien_builtin_at(i); i++) {
        mien_model *m = NULL, *by_task = NULL;
        char path[512];
        mien_error err = MIEN_ERROR_INIT;
        (void)snprintf(file, sizeof file, "%s/%s.mien", dir, mien_builtin_at(i));
        FILE *const f = fopen(file, "wb"); /* an empty file of that name must not be taken */
        assert_non_null(f);
        fclose(f);
        assert_int_equal(mien_model_load(mien_builtin_at(i), &m, NULL), MIEN_OK);
        const mien_task task = mien_model_info_of(m)->task;
        assert_int_equal(mien_model_load_default(task, &by_task, NULL), MIEN_OK);
        if (!seen[task]) /* the first of a task */
            assert_string_equal(mien_model_info_of(by_task)->name, mien_builtin_at(i));
        seen[task] = true;
        assert_int_equal(mien_registry_locate(mien_builtin_at(i), path, sizeof path, &err), MIEN_E_NOT_FOUND);
        assert_int_equal(mien_registry_pull(mien_builtin_at(i), dir, NULL, NULL, path, sizeof path, &err),
                         MIEN_E_NOT_FOUND);
        assert_non_null(strstr(err.message, "built in"));
        mien_model_free(by_task);
        mien_model_free(m);
        unlink(file);
    }
    unsetenv("MIEN_MODELS");
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_table_and_names_agree),
        cmocka_unit_test(builtin_verify_by_name_is_whole),
        cmocka_unit_test(builtin_load_takes_tensors_where_they_lie),
        cmocka_unit_test(builtin_is_the_default_whatever_lies_around),
    };
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    if (!mien_builtin_at(0)) {
        puts("SKIP: no model is built in");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
