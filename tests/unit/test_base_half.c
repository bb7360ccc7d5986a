/* Half floats: every value survives the round trip, and rounding is to nearest even. */
#include "base/base.h"
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

static void half_all_values_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = mien__half_to_float((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(mien__half_to_float(mien__float_to_half(f))));
        else
            assert_int_equal(mien__float_to_half(f), h);
    }
}

static void half_rounding_goes_to_even(void **state)
{
    (void)state;
    assert_int_equal(mien__float_to_half(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(mien__float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(mien__float_to_half(65519.996f), 0x7bff);
    assert_int_equal(mien__float_to_half(65520.0f), 0x7c00);
    assert_int_equal(mien__float_to_half(0x1p-25f), 0x0000);
    assert_int_equal(mien__float_to_half(0x1.004p-25f), 0x0001);
    assert_int_equal(mien__float_to_half(-0x1p-24f), 0x8001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_all_values_round_trip),
        cmocka_unit_test(half_rounding_goes_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
