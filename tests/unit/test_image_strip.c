/* Stripping metadata: places, comments and thumbnails go, pixels and orientation stay. */
#include "image/strip.h"
#include <mien/image.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A picture with a gradient, encoded. */
static uint8_t *encode(const char *format, size_t *ret_size)
{
    static uint8_t px[48][64][3];
    uint8_t *data = NULL;
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 64; x++) {
            px[y][x][0] = (uint8_t)(x * 4);
            px[y][x][1] = (uint8_t)(y * 5);
            px[y][x][2] = (uint8_t)(x ^ y);
        }
    const mien_image_view view = { &px[0][0][0], 64, 48, sizeof px[0] };
    assert_int_equal(mien_image_encode(view, format, 90, &data, ret_size, NULL), MIEN_OK);
    return data;
}

static uint8_t *insert(const uint8_t *data, size_t size, size_t at, const void *what, size_t bytes,
                       size_t *ret)
{
    uint8_t *const all = malloc(size + bytes);
    memcpy(all, data, at);
    memcpy(all + at, what, bytes);
    memcpy(all + at + bytes, data + at, size - at);
    *ret = size + bytes;
    return all;
}

static void same_pixels(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes)
{
    mien_image *x = NULL, *y = NULL;
    assert_int_equal(mien_image_decode(a, a_bytes, NULL, &x, NULL), MIEN_OK);
    assert_int_equal(mien_image_decode(b, b_bytes, NULL, &y, NULL), MIEN_OK);
    const mien_image_view u = mien_image_view_of(x), v = mien_image_view_of(y);
    assert_int_equal(u.width, v.width);
    assert_int_equal(u.height, v.height);
    for (int row = 0; row < u.height; row++)
        assert_memory_equal(u.data + (size_t)row * u.stride_bytes, v.data + (size_t)row * v.stride_bytes,
                            (size_t)u.width * 3);
    mien_image_free(x);
    mien_image_free(y);
}

/* Orientation 6 and, as a camera would have it, a place. */
static const uint8_t app1[] = { 0xff, 0xe1, 0,   54,  'E', 'x', 'i',  'f', 0,   0,   'I', 'I', 42,  0,
                                8,    0,    0,   0,   1,   0,   0x12, 1,   3,   0,   1,   0,   0,   0,
                                6,    0,    0,   0,   0,   0,   0,    0,   'G', 'P', 'S', ' ', '5', '1',
                                '.',  '5',  'N', ' ', '0', '.', '1',  'W', '.', '.', '.', '.', '.', '.' };
static const uint8_t comment[] = { 0xff, 0xfe, 0, 9, 's', 'e', 'c', 'r', 'e', 't', '!' };

static void jpeg_loses_metadata_and_keeps_orientation(void **state)
{
    size_t size = 0, n = 0, m = 0;
    (void)state;
    uint8_t *const plain = encode("jpeg", &size);
    uint8_t *const with_exif = insert(plain, size, 2, app1, sizeof app1, &n);
    uint8_t *const full = insert(with_exif, n, 2 + sizeof app1, comment, sizeof comment, &m);
    uint8_t *const trailed = insert(full, m, m, "TRAILER: a film of the moment", 29, &n);
    mien__buf b;
    mien__buf_init(&b, 1 << 20);
    assert_int_equal(mien__image_strip(trailed, n, &b, NULL), MIEN_OK);
    assert_null(memmem(b.data, b.size, "GPS", 3));
    assert_null(memmem(b.data, b.size, "secret", 6));
    assert_null(memmem(b.data, b.size, "TRAILER", 7));
    same_pixels(trailed, n, b.data, b.size); /* turned the same way */
    mien__buf_free(&b);
    for (size_t cut = 0; cut < n; cut += 7) { /* every truncation is refused or followed */
        mien__buf_init(&b, 1 << 20);
        (void)!mien__image_strip(trailed, cut, &b, NULL);
        mien__buf_free(&b);
    }
    free(with_exif);
    free(full);
    free(trailed);
    mien_image_data_free(plain);
}

static void png_loses_metadata(void **state)
{
    size_t size = 0, n = 0;
    (void)state;
    static const uint8_t text[] = { 0,   0,   0,   11,  't', 'E', 'X', 't', 'G', 'P', 'S', 0,
                                    'L', 'o', 'n', 'd', 'o', 'n', '.', 1,   2,   3,   4 };
    uint8_t *const plain = encode("png", &size);
    uint8_t *const full = insert(plain, size, 33, text, sizeof text, &n);
    mien__buf b;
    mien__buf_init(&b, 1 << 20);
    assert_int_equal(mien__image_strip(full, n, &b, NULL), MIEN_OK);
    assert_null(memmem(b.data, b.size, "London", 6));
    same_pixels(plain, size, b.data, b.size);
    mien__buf_free(&b);
    mien__buf_init(&b, 1 << 20);
    assert_int_equal(mien__image_strip(full, n - 5, &b, NULL), MIEN_E_IMAGE_CORRUPT);
    assert_int_equal(mien__image_strip("GIF89a..........", 16, &b, NULL), MIEN_E_IMAGE_FORMAT);
    mien__buf_free(&b);
    free(full);
    mien_image_data_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_loses_metadata_and_keeps_orientation),
        cmocka_unit_test(png_loses_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
