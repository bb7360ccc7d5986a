/* Training crops: the geometry against points whose place is known, the pixels against what each part is
 * for, the text form of the ranges. */
#include "train_fixtures.h"
#include "train/augment.h"
#include "geom/geom.h"

enum { SIDE = 112, BYTES = SIDE * SIDE * 3 };

/* A sample whose landmarks are the template moved by a similarity: scale s, angle, shift. */
static mien__sample sample_at(double s, double angle, double dx, double dy)
{
    mien__sample r = { .label = 0 };
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        const double x = (double)mien__template_112[i][0], y = (double)mien__template_112[i][1];
        r.landmarks[i][0] = (float)(s * (cos(angle) * x - sin(angle) * y) + dx);
        r.landmarks[i][1] = (float)(s * (sin(angle) * x + cos(angle) * y) + dy);
    }
    return r;
}

static void crop(const mien__sample *s, const mien_image *image, const mien__augment *a, uint64_t seed,
                 uint8_t *rgb)
{
    mien__rng rng;
    mien_error err = MIEN_ERROR_INIT;
    mien__augment_stream(seed, 0, 0, &rng);
    if (mien__sample_crop(s, mien_image_view_of(image), mien__template_112, SIDE, a, &rng, rgb, &err))
        fail_msg("%s", err.message);
}

static double mean_diff(const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += abs(a[i] - b[i]);
    return sum / (double)n;
}

/* Centre of the red dot, from the excess of red. */
static void dot_at(const uint8_t *rgb, double *ret_x, double *ret_y)
{
    double sum = 0, sx = 0, sy = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const uint8_t *p = rgb + ((size_t)y * SIDE + (size_t)x) * 3;
            const double w = p[0] > p[1] ? p[0] - p[1] : 0;
            sum += w;
            sx += w * (x + 0.5);
            sy += w * (y + 0.5);
        }
    assert_true(sum > 100);
    *ret_x = sx / sum;
    *ret_y = sy / sum;
}

/* Grey, with a soft red dot at (cx, cy). */
static mien_image *dot_picture(int w, int h, double cx, double cy, double radius)
{
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(w, h, NULL, 0, &image, NULL), MIEN_OK);
    uint8_t *p = mien_image_pixels(image);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, p += 3) {
            const double d2 = (x + 0.5 - cx) * (x + 0.5 - cx) + (y + 0.5 - cy) * (y + 0.5 - cy);
            p[0] = (uint8_t)(100 + 150 * exp(-d2 / (2 * radius * radius)));
            p[1] = p[2] = 100;
        }
    return image;
}

static void crop_without_augmentation_puts_landmarks_on_the_template(void **state)
{
    (void)state;
    uint8_t *const rgb = malloc(BYTES);
    const mien__sample s = sample_at(1.7, 0.3, 60, 20);
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        mien_image *image = dot_picture(300, 300, (double)s.landmarks[i][0], (double)s.landmarks[i][1], 4);
        double x = 0, y = 0;
        crop(&s, image, NULL, 1, rgb);
        dot_at(rgb, &x, &y);
        assert_true(fabs(x - (double)mien__template_112[i][0]) < 0.15);
        assert_true(fabs(y - (double)mien__template_112[i][1]) < 0.15);
        mien_image_free(image);
    }
    free(rgb);
}

static void crop_without_augmentation_is_what_embedding_sees(void **state)
{
    (void)state;
    uint8_t *const got = malloc(BYTES), *const want = malloc(BYTES);
    mien_image *image = picture_make(500, 500, 3);
    const mien__sample s = sample_at(3.1, -0.2, 60, 90);
    mien_affine m;
    assert_int_equal(mien_fit_similarity(s.landmarks, mien__template_112, MIEN_LANDMARKS, &m, NULL), MIEN_OK);
    assert_int_equal(mien__warp_into(mien_image_view_of(image), &m, 3, SIDE, SIDE, want, SIDE * 3, NULL), 0);
    crop(&s, image, NULL, 1, got);
    assert_memory_equal(got, want, BYTES);
    /* ranges that are all 0 change nothing either */
    crop(&s, image, &mien__augment_none, 1, got);
    assert_memory_equal(got, want, BYTES);
    mien_image_free(image);
    free(got);
    free(want);
}

static void flip_mirrors_the_crop(void **state)
{
    (void)state;
    uint8_t *const plain = malloc(BYTES), *const flipped = malloc(BYTES);
    mien_image *image = picture_make(300, 280, 4);
    const mien__sample s = sample_at(1.2, 0.1, 70, 50);
    const mien__augment a = { .flip = 1 };
    crop(&s, image, NULL, 1, plain);
    crop(&s, image, &a, 1, flipped);
    int worst = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                const int d = abs(plain[((size_t)y * SIDE + (size_t)x) * 3 + (size_t)c] -
                                  flipped[((size_t)y * SIDE + (size_t)(SIDE - 1 - x)) * 3 + (size_t)c]);
                worst = d > worst ? d : worst;
            }
    assert_true(worst <= 1); /* rounding of the fixed-point walk */
    mien_image_free(image);
    free(plain);
    free(flipped);
}

/* Each part of the geometry alone moves the dot at the right eye by at most its range, and reaches most of
 * it. */
static void geometry_stays_in_its_ranges(void **state)
{
    (void)state;
    const mien__sample s = sample_at(1, 0, 60, 60);
    const double ex = (double)mien__template_112[0][0], ey = (double)mien__template_112[0][1];
    const double cx = ex - SIDE / 2.0, cy = ey - SIDE / 2.0, r = hypot(cx, cy);
    mien_image *image = dot_picture(240, 240, (double)s.landmarks[0][0], (double)s.landmarks[0][1], 3);
    const struct {
        mien__augment a;
        double limit;
    } cases[] = {
        { { .rotate_rad = 0.5f }, 0.5 * r },
        { { .scale = 0.3f }, 0.3 * r },
        { { .shift = 0.1f }, 0.1 * SIDE * sqrt(2) },
        { { .crop = 0.2f }, (r * 0.25 + SIDE * 0.1 * 1.25 * sqrt(2)) },
    };
    uint8_t *const rgb = malloc(BYTES);
    for (size_t k = 0; k < MIEN_COUNTOF(cases); k++) {
        double most = 0;
        for (uint64_t seed = 0; seed < 60; seed++) {
            double x = 0, y = 0;
            crop(&s, image, &cases[k].a, seed, rgb);
            dot_at(rgb, &x, &y);
            most = fmax(most, hypot(x - ex, y - ey));
            if (k == 0) /* turning keeps the distance from the centre */
                assert_true(fabs(hypot(x - SIDE / 2.0, y - SIDE / 2.0) - r) < 0.3);
        }
        if (most > cases[k].limit + 0.3 || most < 0.4 * cases[k].limit)
            fail_msg("case %zu: moved by %.2f px, limit %.2f", k, most, cases[k].limit);
    }
    mien_image_free(image);
    free(rgb);
}

/* Stripes of one pixel, shrunk by four: an aliasing warp makes bands of them, averaging makes grey. */
static void shrinking_does_not_alias(void **state)
{
    (void)state;
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(600, 600, NULL, 0, &image, NULL), MIEN_OK);
    for (int y = 0; y < 600; y++)
        for (int x = 0; x < 600; x++)
            memset(mien_image_pixels(image) + ((size_t)y * 600 + (size_t)x) * 3, x % 2 ? 255 : 0, 3);
    const mien__sample s = sample_at(4.13, 0.02, 60, 60);
    uint8_t *const rgb = malloc(BYTES);
    crop(&s, image, NULL, 1, rgb);
    double sum2 = 0;
    for (size_t i = 0; i < BYTES; i++)
        sum2 += (rgb[i] - 127.5) * (rgb[i] - 127.5);
    assert_true(sqrt(sum2 / BYTES) < 30); /* nearest sampling: 127; one bilinear tap: 70 */
    mien_image_free(image);
    free(rgb);
}

static void brightness_contrast_saturation_do_what_they_say(void **state)
{
    (void)state;
    uint8_t rgb[3 * 4] = { 100, 150, 50, 200, 100, 100, 60, 60, 60, 140, 120, 90 }, was[12];
    memcpy(was, rgb, 12);
    const mien__crop c = { rgb, 2 };
    mien__pixel_tone(&c, &(mien__tone){ 0.1, 1, 1, { 1, 1, 1 } });
    for (int i = 0; i < 12; i++)
        assert_in_range(rgb[i], was[i] + 25, was[i] + 26);
    memcpy(rgb, was, 12);
    mien__pixel_tone(&c, &(mien__tone){ 0, 1, 0, { 1, 1, 1 } });
    for (int i = 0; i < 12; i += 3) {
        const double grey = 0.299 * was[i] + 0.587 * was[i + 1] + 0.114 * was[i + 2];
        for (int k = 0; k < 3; k++)
            assert_true(fabs(rgb[i + k] - grey) < 1.01);
    }
    memcpy(rgb, was, 12);
    double mean = 0, mean_after = 0;
    mien__pixel_tone(&c, &(mien__tone){ 0, 0.5, 1, { 1, 1, 1 } });
    for (int i = 0; i < 12; i += 3) {
        mean += 0.299 * was[i] + 0.587 * was[i + 1] + 0.114 * was[i + 2];
        mean_after += 0.299 * rgb[i] + 0.587 * rgb[i + 1] + 0.114 * rgb[i + 2];
        assert_true(abs((rgb[i] - rgb[i + 1]) * 2 - (was[i] - was[i + 1])) <= 2);
    }
    assert_true(fabs(mean - mean_after) < 4);
    memcpy(rgb, was, 12);
    mien__pixel_tone(&c, &(mien__tone){ 0, 1, 1, { 1.2, 1, 0 } });
    assert_int_equal(rgb[0], 120);
    assert_int_equal(rgb[1], 150);
    assert_int_equal(rgb[2], 0);
    mien__pixel_tone(&c, &(mien__tone){ -1, 1, 1, { 1, 1, 1 } });
    for (int i = 0; i < 12; i++)
        assert_int_equal(rgb[i], 0);
}

static void blur_spreads_a_dot_as_a_gaussian(void **state)
{
    (void)state;
    enum { N = 41 };
    uint8_t *const rgb = calloc(1, (size_t)N * N * 3);
    const mien__crop c = { rgb, N };
    for (int y = 18; y < 23; y++)
        memset(rgb + ((size_t)y * N + 18) * 3, 250, 15);
    assert_int_equal(mien__pixel_blur(&c, 2, NULL), MIEN_OK);
    double sum = 0, var = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            sum += rgb[((size_t)y * N + (size_t)x) * 3];
            var += rgb[((size_t)y * N + (size_t)x) * 3] * (double)((x - 20) * (x - 20));
        }
    assert_true(fabs(sum - 250 * 25) < 250);
    assert_true(fabs(var / sum - (4 + 2)) < 0.5); /* sigma^2 and that of five pixels */
    memset(rgb, 77, (size_t)N * N * 3);
    assert_int_equal(mien__pixel_blur(&c, 19, NULL), MIEN_OK); /* wider than the crop */
    for (size_t i = 0; i < (size_t)N * N * 3; i++)
        assert_int_equal(rgb[i], 77);
    free(rgb);
}

static void noise_has_its_deviation(void **state)
{
    (void)state;
    uint8_t *const rgb = malloc(BYTES);
    memset(rgb, 128, BYTES);
    mien__rng rng;
    mien__rng_seed(&rng, 5);
    mien__pixel_noise(rgb, SIDE * SIDE, 0.05, &rng);
    double sum = 0, sum2 = 0;
    for (size_t i = 0; i < BYTES; i++) {
        sum += rgb[i] - 128.0;
        sum2 += (rgb[i] - 128.0) * (rgb[i] - 128.0);
    }
    assert_true(fabs(sum / BYTES) < 0.4);
    assert_true(fabs(sqrt(sum2 / BYTES) - 0.05 * 255) < 0.3);
    free(rgb);
}

static void lowres_leaves_no_detail_finer_than_it(void **state)
{
    (void)state;
    uint8_t *const rgb = malloc(BYTES), *const was = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        rgb[i] = was[i] = (uint8_t)(i / 3 % 2 ? 220 : 40); /* stripes of a pixel */
    mien__rng rng;
    mien__rng_seed(&rng, 5);
    const mien__crop c = { rgb, SIDE };
    assert_int_equal(mien__pixel_capture(&c, 28, 0, 0, &rng, NULL), MIEN_OK);
    for (size_t i = 0; i < BYTES; i++)
        assert_in_range(rgb[i], 128, 132);
    picture_fill(rgb, SIDE, SIDE, 8);
    memcpy(was, rgb, BYTES);
    assert_int_equal(mien__pixel_capture(&c, 28, 0, 0, &rng, NULL), MIEN_OK);
    assert_true(mean_diff(rgb, was, BYTES) < 4); /* coarse detail stays where it was */
    assert_int_equal(mien__pixel_capture(&c, SIDE, 0, 20, &rng, NULL), MIEN_OK);
    assert_true(mean_diff(rgb, was, BYTES) > 0.3 && mean_diff(rgb, was, BYTES) < 12);
    free(rgb);
    free(was);
}

static void occlusion_covers_its_rectangle_only(void **state)
{
    (void)state;
    uint8_t *const rgb = malloc(BYTES), *const was = malloc(BYTES);
    picture_fill(rgb, SIDE, SIDE, 9);
    memcpy(was, rgb, BYTES);
    mien__rng rng;
    mien__rng_seed(&rng, 6);
    mien__pixel_occlude(&(mien__crop){ rgb, SIDE }, 82, 100, 30, 12, false, &rng);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const size_t at = ((size_t)y * SIDE + (size_t)x) * 3;
            if (x >= 82 && y >= 100)
                assert_memory_equal(rgb + at, rgb + (SIDE * SIDE - 1) * 3, 3);
            else
                assert_memory_equal(rgb + at, was + at, 3);
        }
    free(rgb);
    free(was);
}

static void crop_same_stream_gives_same_bytes(void **state)
{
    (void)state;
    uint8_t *const a = malloc(BYTES), *const b = malloc(BYTES), *const plain = malloc(BYTES);
    mien_image *image = picture_make(300, 280, 4);
    const mien__sample s = sample_at(1.2, 0.1, 70, 50);
    int changed = 0;
    crop(&s, image, NULL, 0, plain);
    for (uint64_t seed = 0; seed < 40; seed++) {
        crop(&s, image, &mien__augment_default, seed, a);
        crop(&s, image, &mien__augment_default, seed, b);
        assert_memory_equal(a, b, BYTES);
        changed += mean_diff(a, plain, BYTES) > 1;
    }
    assert_true(changed >= 38);
    mien_image_free(image);
    free(a);
    free(b);
    free(plain);
}

static void crop_bad_input_is_refused(void **state)
{
    (void)state;
    uint8_t *const rgb = malloc(BYTES);
    mien_image *image = picture_make(50, 50, 1);
    const mien_image_view v = mien_image_view_of(image), none = { NULL, 5, 5, 15 };
    mien__sample s = sample_at(1, 0, 0, 0);
    mien__rng rng = { { 1, 2, 3, 4 } };
    assert_int_equal(mien__sample_crop(&s, none, mien__template_112, SIDE, NULL, NULL, rgb, NULL),
                     MIEN_E_ARG);
    assert_int_equal(mien__sample_crop(&s, v, mien__template_112, 0, NULL, NULL, rgb, NULL), MIEN_E_ARG);
    const mien__augment wild = { .jpeg_lo = 300, .jpeg_p = 1 };
    assert_int_equal(mien__sample_crop(&s, v, mien__template_112, SIDE, &wild, &rng, rgb, NULL), MIEN_E_ARG);
    memset(s.landmarks, 0, sizeof s.landmarks);
    assert_int_equal(mien__sample_crop(&s, v, mien__template_112, SIDE, NULL, NULL, rgb, NULL), MIEN_E_ARG);
    mien_image_free(image);
    free(rgb);
}

/* ---- the text form ---- */

static void spec_reads_every_key(void **state)
{
    (void)state;
    mien__augment a;
    assert_int_equal(
        mien__augment_parse("flip=0.5,rotate=10,jpeg=40:0.3,lowres=16-40:0.5,occlude=0.4", &a, NULL),
        MIEN_OK);
    assert_true(a.flip == 0.5f && fabs((double)a.rotate_rad - 0.17453293) < 1e-7);
    assert_true(a.jpeg_lo == 40 && a.jpeg_p == 0.3f);
    assert_true(a.lowres_lo == 16 && a.lowres_hi == 40 && a.lowres_p == 0.5f);
    assert_true(a.occlude == 0.4f && a.occlude_p == 1 && a.blur_px == 0 && a.scale == 0);
    assert_int_equal(mien__augment_parse("default,jpeg=0,flip=0", &a, NULL), MIEN_OK);
    assert_true(a.flip == 0 && a.jpeg_lo == 0 && a.jpeg_p == 0 &&
                a.rotate_rad == mien__augment_default.rotate_rad);
    assert_int_equal(mien__augment_parse("", &a, NULL), MIEN_OK);
    assert_memory_equal(&a, &mien__augment_none, sizeof a);
}

static void spec_faults_name_the_key(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *word;
    } bad[] = {
        { "flip=2", "flip" },
        { "jpeg=40:1.5", "jpeg" },
        { "jpeg=0.5", "jpeg" },
        { "lowres=40-16", "40-16" },
        { "lowres=2-40", "4..2048" },
        { "rotate=x", "degrees" },
        { "spin=3", "spin" },
        { "flip", "NAME=AMOUNT" },
        { "flip=0.5,", "comma" },
        { "flip=0.5:1", "flip" },
        { "flip=", "flip" },
        { "scale=nan", "scale" },
        { ",", "expected" },
        { "blur=1:", "blur" },
        { "noise=00000000000000000000000000000000000000000000000000000000000000000000001", "too long" },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++) {
        mien__augment a = mien__augment_default;
        mien_error err = MIEN_ERROR_INIT;
        if (mien__augment_parse(bad[i].spec, &a, &err) != MIEN_E_ARG || !strstr(err.message, bad[i].word))
            fail_msg("%s: \"%s\"", bad[i].spec, err.message);
        assert_memory_equal(&a, &mien__augment_default, sizeof a);
    }
}

static void spec_written_and_read_gives_the_same_bits(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 11);
    for (int i = 0; i < 500; i++) {
        mien__augment a = mien__augment_default, b;
        char text[MIEN__AUGMENT_SPEC_BYTES];
        if (i > 0) {
            a.flip = (float)mien__rng_unit(&rng);
            a.rotate_rad = (float)mien__rng_unit(&rng);
            a.hue = (float)(mien__rng_unit(&rng) * 1e-3);
            a.blur_px = (float)(mien__rng_unit(&rng) * 20);
            a.blur_p = (float)mien__rng_unit(&rng);
            a.jpeg_lo = 1 + (int)(mien__rng_unit(&rng) * 100);
            a.lowres_hi = 64 + i;
        }
        mien__augment_format(&a, text);
        assert_int_equal(mien__augment_check(&a, NULL), MIEN_OK);
        assert_int_equal(mien__augment_parse(text, &b, NULL), MIEN_OK);
        if (memcmp(&a, &b, sizeof a) != 0)
            fail_msg("%s", text);
    }
    char text[MIEN__AUGMENT_SPEC_BYTES];
    mien__augment_format(&mien__augment_none, text);
    assert_string_equal(text, "none");
    mien__augment_format(&mien__augment_default, text);
    assert_string_equal(text,
                        "flip=0.5,mirror=0.5,rotate=8,scale=0.06,shift=0.03,crop=0.06,brightness=0.15,contrast=0.25,"
                        "saturation=0.25,hue=0.05,grey=0.05,blur=1.5:0.15,noise=0.03:0.15,jpeg=40:0.25,"
                        "lowres=24-64:0.15,occlude=0.35:0.1");
}

/* ---- the sheet ---- */

static void sheet_shows_plain_crops_first(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    picture_save(in_dir(dir, "a.png"), 112, 112, 1);
    picture_save(in_dir(dir, "b.png"), 112, 112, 2);
    mien__dataset *d = aligned_set(dir, NULL);
    assert_int_equal(d->n, 2);
    unlink(in_dir(dir, "b.png"));
    const size_t idx[] = { 0, 1 };
    mien_image *sheet = NULL;
    assert_int_equal(mien__augment_sheet(d, idx, 2, &mien__augment_default, mien__template_112, SIDE, 5, 3, 1,
                                         &sheet, NULL),
                     MIEN_OK);
    const mien_image_view v = mien_image_view_of(sheet);
    assert_int_equal(v.width, 3 * 116 + 4);
    assert_int_equal(v.height, 2 * 116 + 4);
    uint8_t *const want = malloc(BYTES);
    picture_fill(want, SIDE, SIDE, 1);
    for (int y = 0; y < SIDE; y++)
        for (int i = 0; i < SIDE * 3; i++)
            assert_true(abs(v.data[(size_t)(4 + y) * v.stride_bytes + 12 + (size_t)i] -
                            want[(size_t)y * SIDE * 3 + (size_t)i]) <= 1);
    assert_int_equal(v.data[0], 255);
    assert_int_equal(v.data[(size_t)(116 + 20) * v.stride_bytes + 60], 200); /* what cannot be read is grey */
    mien_image *other = NULL;
    assert_int_equal(mien__augment_sheet(d, idx, 2, &mien__augment_default, mien__template_112, SIDE, 0, 3, 1,
                                         &other, NULL),
                     MIEN_E_ARG);
    assert_null(other);
    free(want);
    mien_image_free(sheet);
    mien__dataset_free(d);
    dir_drop(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crop_without_augmentation_puts_landmarks_on_the_template),
        cmocka_unit_test(crop_without_augmentation_is_what_embedding_sees),
        cmocka_unit_test(flip_mirrors_the_crop),
        cmocka_unit_test(geometry_stays_in_its_ranges),
        cmocka_unit_test(shrinking_does_not_alias),
        cmocka_unit_test(brightness_contrast_saturation_do_what_they_say),
        cmocka_unit_test(blur_spreads_a_dot_as_a_gaussian),
        cmocka_unit_test(noise_has_its_deviation),
        cmocka_unit_test(lowres_leaves_no_detail_finer_than_it),
        cmocka_unit_test(occlusion_covers_its_rectangle_only),
        cmocka_unit_test(crop_same_stream_gives_same_bytes),
        cmocka_unit_test(crop_bad_input_is_refused),
        cmocka_unit_test(spec_reads_every_key),
        cmocka_unit_test(spec_faults_name_the_key),
        cmocka_unit_test(spec_written_and_read_gives_the_same_bits),
        cmocka_unit_test(sheet_shows_plain_crops_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
