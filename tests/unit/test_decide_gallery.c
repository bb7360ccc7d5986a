/* Curves kept with a gallery: taken where the model is the same, else the model's own. */
#include "gallery_fixtures.h"
#include <mien/decide.h>

enum { PEOPLE = 40, PICTURES = 2, N = PEOPLE * PICTURES };

/* A curve of forty people of the fixture's templates, under a model's name. */
static mien_curve *curve_of(const char *model)
{
    static float vecs[N * DIM];
    uint32_t people[N];
    mien_curve_fit_opts opts = MIEN_CURVE_FIT_OPTS_INIT;
    mien_curve *curve = NULL;
    for (int i = 0; i < N; i++) {
        fixture_vec(i / PICTURES, i % PICTURES, 0.3, vecs + (size_t)i * DIM);
        people[i] = (uint32_t)(i / PICTURES);
    }
    opts.model = model;
    opts.protocol = "forty people";
    OK(mien_curve_fit(vecs, people, N, DIM, &opts, &curve, err));
    return curve;
}

static void gallery_keeps_a_curve_of_its_model(void **state)
{
    const fixture *const f = *state;
    char fingerprint[65];
    mien_curve *back = NULL;
    OK(mien_model_fingerprint(f->model, fingerprint, err));
    mien_curve *const mine = curve_of(fingerprint), *const other = curve_of("another model's fingerprint");
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    FAILS(MIEN_E_NOT_FOUND, mien_curve_of_gallery(g, f->model, &back, err)); /* nor has the model one */
    FAILS(MIEN_E_GALLERY_MODEL, mien_curve_to_gallery(other, g, err));
    FAILS(MIEN_E_NOT_FOUND, mien_curve_of_gallery(g, f->model, &back, err));
    OK(mien_curve_to_gallery(mine, g, err));
    mien_gallery_free(g);
    g = fixture_gallery(f, MIEN_GALLERY_READ, true);
    OK(mien_curve_of_gallery(g, f->model, &back, err));
    assert_string_equal(mien_curve_info_of(back)->protocol, "forty people");
    assert_true(mien_curve_info_of(back)->points[0].threshold ==
                mien_curve_info_of(mine)->points[0].threshold);
    mien_curve_free(back);
    FAILS(MIEN_E_ARG, mien_curve_of_gallery(g, NULL, &back, err));
    FAILS(MIEN_E_ARG, mien_curve_to_gallery(NULL, g, err));
    mien_gallery_free(g);
    mien_curve_free(mine);
    mien_curve_free(other);
}

static void text_that_is_no_curve_is_refused_and_a_curve_of_another_model_passed_over(void **state)
{
    const fixture *const f = *state;
    mien_curve *back = NULL;
    char *text = NULL;
    mien_curve *const other = curve_of("another model's fingerprint");
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    OK(mien_gallery_set_text(g, "calibration", "{}", err));
    FAILS(MIEN_E_EVAL_DATA, mien_curve_of_gallery(g, f->model, &back, err));
    OK(mien_curve_to_json(other, &text, err));
    OK(mien_gallery_set_text(g, "calibration", text, err));
    FAILS(MIEN_E_NOT_FOUND, mien_curve_of_gallery(g, f->model, &back, err)); /* the model's own: none */
    mien_curve_text_free(text);
    mien_gallery_free(g);
    mien_curve_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gallery_keeps_a_curve_of_its_model, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(
            text_that_is_no_curve_is_refused_and_a_curve_of_another_model_passed_over, fixture_open,
            fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
