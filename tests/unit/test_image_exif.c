/* The EXIF orientation reader: both byte orders, every value, every way to be damaged. */
#include "image_fixtures.h"
#include "image/codec.h"

/* Read from a block of exactly that size, so that the sanitizer sees a step outside. */
static int read_exact(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    const int o = mien__exif_orientation(copy, size);
    free(copy);
    return o;
}

static void exif_values_1_to_8_are_read(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        for (unsigned o = 0; o < 300; o++) {
            blob b = exif_make(big, o);
            assert_int_equal(read_exact(b.data, b.size), o >= 1 && o <= 8 ? (int)o : 1);
            blob_free(&b);
        }
    }
}

static void exif_long_value_is_read(void **state)
{
    (void)state;
    blob b = exif_make(false, 0);
    const size_t entry = 8 + 2 + 12;
    b.data[entry + 2] = 4; /* LONG */
    b.data[entry + 8] = 8;
    assert_int_equal(read_exact(b.data, b.size), 8);
    b.data[entry + 11] = 1; /* 0x01000008 */
    assert_int_equal(read_exact(b.data, b.size), 1);
    blob_free(&b);
}

static void exif_cut_anywhere_reads_inside(void **state)
{
    (void)state;
    blob b = exif_make(true, 6);
    for (size_t n = 0; n <= b.size; n++)
        assert_int_equal(read_exact(b.data, n), n >= 8 + 2 + 24 ? 6 : 1);
    blob_free(&b);
}

static void exif_wrong_offsets_and_types_give_1(void **state)
{
    (void)state;
    static const uint32_t offsets[] = { 0, 7, 1000, 0x7fffffff, 0xfffffffe, 0xffffffff };
    for (size_t k = 0; k < MIEN_COUNTOF(offsets); k++) {
        blob b = exif_make(false, 6), v = { 0 };
        blob_put_le(&v, offsets[k], 4);
        memcpy(b.data + 4, v.data, 4);
        assert_int_equal(read_exact(b.data, b.size), 1);
        blob_free(&v);
        blob_free(&b);
    }
    static const struct {
        size_t at;
        uint8_t value;
    } edits[] = { { 0, 'M' }, { 1, 'X' }, { 2, 43 }, { 22 + 2, 2 }, { 22 + 4, 2 }, { 8, 1 } };
    for (size_t k = 0; k < MIEN_COUNTOF(edits); k++) {
        blob b = exif_make(false, 6);
        b.data[edits[k].at] = edits[k].value;
        assert_int_equal(read_exact(b.data, b.size), 1);
        blob_free(&b);
    }
}

static void exif_count_of_65535_ends_at_the_block(void **state)
{
    (void)state;
    blob b = exif_make(false, 6);
    b.data[8] = b.data[9] = 0xff;
    b.data[22] = 0x13; /* no orientation any more */
    assert_int_equal(read_exact(b.data, b.size), 1);
    blob_free(&b);
}

static void exif_random_bytes_never_read_outside(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 11);
    for (int k = 0; k < 20000; k++) {
        blob b = exif_make(k & 1, 1 + (unsigned)(k % 8));
        for (int i = 0; i < 3; i++)
            b.data[mien__rng_u64(&rng) % b.size] = (uint8_t)mien__rng_u64(&rng);
        assert_in_range(read_exact(b.data, mien__rng_u64(&rng) % (b.size + 1)), 1, 8);
        blob_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exif_values_1_to_8_are_read),
        cmocka_unit_test(exif_long_value_is_read),
        cmocka_unit_test(exif_cut_anywhere_reads_inside),
        cmocka_unit_test(exif_wrong_offsets_and_types_give_1),
        cmocka_unit_test(exif_count_of_65535_ends_at_the_block),
        cmocka_unit_test(exif_random_bytes_never_read_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
