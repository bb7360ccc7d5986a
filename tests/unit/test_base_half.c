/* Half floats: every value survives the round trip, rounding is to nearest even, rows widen as single values
 * do. */
#include "base/base.h"
#include <math.h>
#include <string.h>
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

static void halves_to_floats_all_values_as_one_by_one(void **state)
{
    static uint16_t halves[0x10000];
    static float row[0x10000];
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++)
        halves[h] = (uint16_t)h;
    mien__halves_to_floats(halves, 0x10000, row);
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float one = mien__half_to_float((uint16_t)h);
        assert_memory_equal(&row[h], &one, sizeof one); /* the bits: signed zeros and NaN too */
    }
}

static void halves_to_floats_any_length_and_address_stays_inside(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 65; n++)
        for (size_t shift = 0; shift < 2; shift++) {
            uint8_t bytes[2 * 65 + 1];
            float row[66];
            for (size_t i = 0; i < n; i++) {
                const uint16_t h = (uint16_t)(977 * i + 31 * n);
                memcpy(bytes + shift + 2 * i, &h, sizeof h);
            }
            row[n] = -3.5f;
            mien__halves_to_floats(bytes + shift, n, row);
            for (size_t i = 0; i < n; i++) {
                const float one = mien__half_to_float((uint16_t)(977 * i + 31 * n));
                assert_memory_equal(&row[i], &one, sizeof one);
            }
            assert_true(row[n] == -3.5f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_to_floats_all_values_as_one_by_one),
        cmocka_unit_test(halves_to_floats_any_length_and_address_stays_inside),
        cmocka_unit_test(half_all_values_round_trip),
        cmocka_unit_test(half_rounding_goes_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
