/* The pictures in samples/ do what the demo and other tests rely on: detectors find each person, embedders
 * tell them apart. Holds for every detector and embedder that is built in or at hand; skipped where there is
 * none. */
#include "base/base.h"
#include <mien/mien.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEOPLE = 12, SHOTS = 4, PICTURES = PEOPLE * SHOTS, IN_GROUP = 5 };

static mien_image *pictures[PICTURES];

static mien_image *load(const char *name)
{
    char path[1024];
    mien_image *img = NULL;
    mien_error err = MIEN_ERROR_INIT;
    (void)snprintf(path, sizeof path, MIEN_SAMPLES "/%s", name);
    if (mien_image_load(path, NULL, &img, &err))
        fail_msg("%s", err.message);
    return img;
}

static int load_all(void **state)
{
    (void)state;
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "person-%02d/%d.jpg", i / SHOTS + 1, i % SHOTS + 1);
        pictures[i] = load(name);
    }
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (int i = 0; i < PICTURES; i++)
        mien_image_free(pictures[i]);
    return 0;
}

/* The next model for a task, from *at on, of those built in and then those of the registry; NULL past the
 * last that is found. */
static mien_model *next_model(mien_task task, size_t *at)
{
    size_t n_builtin = 0;
    while (mien_builtin_at(n_builtin))
        n_builtin++;
    for (;;) {
        const size_t i = (*at)++;
        const mien_registry_entry *e = i < n_builtin ? NULL : mien_registry_at(i - n_builtin);
        mien_model *model = NULL;
        if (i >= n_builtin && !e)
            return NULL;
        if (mien_model_load(e ? e->name : mien_builtin_at(i), &model, NULL) != MIEN_OK)
            continue;
        if (mien_model_info_of(model)->task == task)
            return model;
        mien_model_free(model);
    }
}

static size_t count(mien_detector *d, const mien_image *img, mien_face *ret_first)
{
    const mien_face *f = NULL;
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_detect(d, mien_image_view_of(img), &f, &n, &err))
        fail_msg("%s", err.message);
    if (n > 0 && ret_first)
        *ret_first = f[0];
    return n;
}

static void expect_faces(mien_detector *d, const char *model, const char *name, size_t wanted)
{
    mien_image *img = load(name);
    const size_t n = count(d, img, NULL);
    if (n != wanted)
        fail_msg("%s finds %zu faces in %s, expected %zu", model, n, name, wanted);
    mien_image_free(img);
}

static void detect_samples_have_the_faces_they_show(void **state)
{
    (void)state;
    size_t at = 0, n_models = 0;
    for (mien_model *m = NULL; (m = next_model(MIEN_TASK_DETECT, &at)) != NULL; n_models++) {
        const char *name = mien_model_info_of(m)->name;
        mien_detector *d = NULL;
        assert_int_equal(mien_detector_new(m, NULL, &d, NULL), MIEN_OK);
        for (int i = 0; i < PICTURES; i++) {
            const size_t n = count(d, pictures[i], NULL);
            if (n != 1)
                fail_msg("%s finds %zu faces in person-%02d/%d.jpg", name, n, i / SHOTS + 1, i % SHOTS + 1);
        }
        expect_faces(d, name, "group.jpg", IN_GROUP);
        expect_faces(d, name, "no-face/1.jpg", 0);
        expect_faces(d, name, "no-face/2.jpg", 0);
        mien_detector_free(d);
        mien_model_free(m);
    }
    if (n_models == 0)
        skip();
}

/* Each picture's face, by the default detector; 0 when there is none. */
static int find_all(mien_face *ret)
{
    mien_model *m = NULL;
    mien_detector *d = NULL;
    if (mien_model_load_default(MIEN_TASK_DETECT, &m, NULL))
        return 0;
    assert_int_equal(mien_detector_new(m, NULL, &d, NULL), MIEN_OK);
    for (int i = 0; i < PICTURES; i++)
        assert_int_equal(count(d, pictures[i], &ret[i]), 1);
    mien_detector_free(d);
    mien_model_free(m);
    return 1;
}

/* Mated pairs lie above the threshold for a false match rate of 1e-3; of the others so many may that this
 * rate lets expect. */
static void expect_people(const mien_model *m, const mien_face *faces)
{
    const double fmr = 1e-3;
    const int most = (int)(fmr * (PICTURES * (PICTURES - SHOTS) / 2));
    int matches = 0;
    const size_t len = (size_t)mien_model_info_of(m)->embedding_len;
    const char *name = mien_model_info_of(m)->name;
    mien_embedder *e = NULL;
    float *v = calloc(PICTURES, len * sizeof *v);
    assert_non_null(v);
    assert_int_equal(mien_embedder_new(m, NULL, &e, NULL), MIEN_OK);
    for (int i = 0; i < PICTURES; i++)
        assert_int_equal(
            mien_embed_face(e, mien_image_view_of(pictures[i]), &faces[i], v + (size_t)i * len, NULL),
            MIEN_OK);
    for (int i = 0; i < PICTURES; i++)
        for (int j = 0; j < i; j++) {
            mien_decision r;
            const double s = mien_cosine(v + (size_t)i * len, v + (size_t)j * len, len);
            const bool mated = i / SHOTS == j / SHOTS;
            assert_int_equal(mien_decide(m, s, fmr, &r, NULL), MIEN_OK);
            matches += r.same && !mated;
            if (mated ? !r.same : matches > most)
                fail_msg("%s: person-%02d/%d.jpg and person-%02d/%d.jpg score %.4f, threshold %.4f", name,
                         i / SHOTS + 1, i % SHOTS + 1, j / SHOTS + 1, j % SHOTS + 1, s, r.threshold);
        }
    mien_embedder_free(e);
    free(v);
}

static void embed_samples_behave_like_people(void **state)
{
    (void)state;
    mien_face faces[PICTURES];
    size_t at = 0, n_models = 0;
    if (!find_all(faces))
        skip();
    for (mien_model *m = NULL; (m = next_model(MIEN_TASK_EMBED, &at)) != NULL; n_models++) {
        expect_people(m, faces);
        mien_model_free(m);
    }
    if (n_models == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detect_samples_have_the_faces_they_show),
        cmocka_unit_test(embed_samples_behave_like_people),
    };
    return cmocka_run_group_tests(tests, load_all, free_all);
}
