/* Similarity fit, affine maps. */
#include "geom/geom.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

static void fit_exact_map_is_recovered(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 11);
    for (int round = 0; round < 200; round++) {
        const double angle = mien__rng_unit(&rng) * 6.2831853, scale = 0.05 + 4 * mien__rng_unit(&rng);
        const double tx = 100 * mien__rng_unit(&rng), ty = -50 * mien__rng_unit(&rng);
        const double c = scale * cos(angle), s = scale * sin(angle);
        float src[5][2], dst[5][2];
        for (int i = 0; i < 5; i++) {
            src[i][0] = (float)(200 * mien__rng_unit(&rng));
            src[i][1] = (float)(200 * mien__rng_unit(&rng));
            dst[i][0] = (float)(c * src[i][0] - s * src[i][1] + tx);
            dst[i][1] = (float)(s * src[i][0] + c * src[i][1] + ty);
        }
        mien_affine m;
        assert_int_equal(mien_fit_similarity(src, dst, 5, &m, NULL), MIEN_OK);
        const double want[6] = { c, -s, tx, s, c, ty };
        for (int k = 0; k < 6; k++)
            close_to(m.m[k], want[k], k % 3 == 2 ? 1e-2 : 1e-4);
        close_to(mien__affine_scale(&m), scale, 1e-4);
    }
}

/* Against numbers of an independent implementation (singular value decomposition, double). */
static void fit_arcface_template_matches_umeyama(void **state)
{
    (void)state;
    static const float src[5][2] = {
        { 105.3f, 120.1f }, { 160.7f, 112.4f }, { 137.2f, 150.9f }, { 112.8f, 178.5f }, { 163.1f, 171.2f }
    };
    static const float dst[5][2] = { { 38.2946f, 51.6963f },
                                     { 73.5318f, 51.5014f },
                                     { 56.0252f, 71.7366f },
                                     { 41.5493f, 92.3655f },
                                     { 70.7299f, 92.2041f } };
    static const double want[6] = { 0.646050725501,  -0.0663387846145, -21.9938581795,
                                    0.0663387846145, 0.646050725501,   -31.8333087474 };
    mien_affine m;
    assert_int_equal(mien_fit_similarity(src, dst, 5, &m, NULL), MIEN_OK);
    for (int k = 0; k < 6; k++)
        close_to(m.m[k], want[k], 1e-5);
}

/* Mirrored points must not be matched by a mirror: the map keeps its handedness. */
static void fit_mirrored_points_stay_a_rotation(void **state)
{
    (void)state;
    static const float src[4][2] = { { 0, 0 }, { 4, 0 }, { 4, 2 }, { 0, 2 } };
    static const float dst[4][2] = { { 4, 0 }, { 0, 0 }, { 0, 2 }, { 4, 2 } };
    mien_affine m;
    assert_int_equal(mien_fit_similarity(src, dst, 4, &m, NULL), MIEN_OK);
    assert_true(m.m[0] * m.m[4] - m.m[1] * m.m[3] >= 0);
}

static void fit_bad_points_are_refused(void **state)
{
    (void)state;
    static const float same[3][2] = { { 7, 9 }, { 7, 9 }, { 7, 9 } };
    static const float ok[3][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 } };
    const float nan_points[3][2] = { { 0, 0 }, { NAN, 0 }, { 0, 1 } };
    mien_affine m = { { 1, 2, 3, 4, 5, 6 } };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_fit_similarity(same, ok, 3, &m, &err), MIEN_E_ARG);
    assert_non_null(strstr(err.message, "coincide"));
    assert_int_equal(mien_fit_similarity(ok, ok, 1, &m, &err), MIEN_E_ARG);
    assert_int_equal(mien_fit_similarity(nan_points, ok, 3, &m, &err), MIEN_E_ARG);
    assert_int_equal(mien_fit_similarity(ok, nan_points, 3, &m, &err), MIEN_E_ARG);
    assert_int_equal(mien_fit_similarity(NULL, ok, 3, &m, &err), MIEN_E_ARG);
    assert_true(m.m[5] == 6);
}

static void invert_times_map_is_identity(void **state)
{
    (void)state;
    const mien_affine a = { { 0.3, -1.2, 17, 0.8, 0.5, -9 } };
    mien_affine inv;
    assert_true(mien__affine_invert(&a, &inv));
    double x, y;
    mien__affine_apply(&a, 12.5, -3.25, &x, &y);
    mien__affine_apply(&inv, x, y, &x, &y);
    close_to(x, 12.5, 1e-12);
    close_to(y, -3.25, 1e-12);
    const mien_affine flat = { { 1, 2, 0, 2, 4, 0 } };
    assert_false(mien__affine_invert(&flat, &inv));
    const mien_affine zero = { { 0 } };
    assert_false(mien__affine_invert(&zero, &inv));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_exact_map_is_recovered),
        cmocka_unit_test(fit_arcface_template_matches_umeyama),
        cmocka_unit_test(fit_mirrored_points_stay_a_rotation),
        cmocka_unit_test(fit_bad_points_are_refused),
        cmocka_unit_test(invert_times_map_is_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
