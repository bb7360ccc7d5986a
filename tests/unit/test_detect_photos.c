/* The detector on photographs of ../shared: faces at every scale are found, pictures without faces are empty,
 * the steady state allocates nothing. Skipped where the photographs or models are not at hand. */
#include "base/base.h"
#include "geom/geom.h"
#include <dirent.h>
#include <mien/mien.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PHOTOS MIEN_SHARED "/photos/"

static mien_detector *detector;

static mien_image *load(const char *path)
{
    mien_image *img = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_image_load(path, NULL, &img, &err))
        fail_msg("%s", err.message);
    return img;
}

static size_t find(mien_image_view v, const mien_face **ret)
{
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_detect(detector, v, ret, &n, &err))
        fail_msg("%s", err.message);
    return n;
}

/* Count the faces of each picture of a folder; fails where one has fewer or more than asked. */
static void expect_in_folder(const char *dir, size_t least, size_t most)
{
    struct dirent **list = NULL;
    const int n = scandir(dir, &list, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        if (strstr(list[i]->d_name, ".jpg")) {
            mien_image *img = load(path);
            const mien_face *f = NULL;
            const size_t k = find(mien_image_view_of(img), &f);
            if (k < least || k > most)
                fail_msg("%s: %zu faces", list[i]->d_name, k);
            mien_image_free(img);
        }
        free(list[i]);
    }
    free(list);
}

static void detect_portraits_have_one_face(void **state)
{
    (void)state;
    expect_in_folder(PHOTOS "portraits", 1, 1);
}

static void detect_pictures_without_faces_are_empty(void **state)
{
    (void)state;
    expect_in_folder(PHOTOS "no-face", 0, 0);
}

static void detect_groups_are_complete(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t n;
    } groups[] = {
        { "2007_007763.jpg", 7 }, { "2008_001009.jpg", 2 }, { "2008_001322.jpg", 3 },
        { "2008_002079.jpg", 6 }, { "2008_002470.jpg", 6 }, { "2008_002506.jpg", 3 },
        { "2008_004176.jpg", 7 }, { "2008_007676.jpg", 7 }, { "2009_004587.jpg", 2 },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(groups); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, PHOTOS "group/%s", groups[i].file);
        mien_image *img = load(path);
        const mien_face *f = NULL;
        const size_t n = find(mien_image_view_of(img), &f);
        if (n != groups[i].n)
            fail_msg("%s: %zu faces, %zu are labelled", groups[i].file, n, groups[i].n);
        mien_image_free(img);
    }
}

/* A portrait's face, resized so that its box is w px wide, pasted into `canvas` with its centre at (cx, cy).
 */
static void paste(mien_image *canvas, const char *portrait, double w, double cx, double cy)
{
    mien_image *img = load(portrait);
    const mien_face *f = NULL;
    assert_int_equal(find(mien_image_view_of(img), &f), 1);
    const double s = w / (f->x1 - f->x0);
    const int half = (int)(w * 0.9);
    const mien_affine m = { { s, 0, half - s * (f->x0 + f->x1) / 2, 0, s, half - s * (f->y0 + f->y1) / 2 } };
    const mien_image_view c = mien_image_view_of(canvas);
    mien_image *part = NULL;
    assert_int_equal(mien_image_new(2 * half, 2 * half, NULL, 0, &part, NULL), MIEN_OK);
    assert_int_equal(mien__warp_into(mien_image_view_of(img), &m, s < 0.5 ? 6 : 1, 2 * half, 2 * half,
                                     mien_image_pixels(part), (size_t)(2 * half) * 3, NULL),
                     MIEN_OK);
    for (int y = 0; y < 2 * half; y++)
        for (int x = 0; x < 2 * half; x++) {
            const int px = (int)cx - half + x, py = (int)cy - half + y;
            if (px >= 0 && py >= 0 && px < c.width && py < c.height)
                memcpy(mien_image_pixels(canvas) + (size_t)py * c.stride_bytes + (size_t)px * 3,
                       mien_image_pixels(part) + ((size_t)y * (size_t)(2 * half) + (size_t)x) * 3, 3);
        }
    mien_image_free(part);
    mien_image_free(img);
}

static mien_image *grey(int w, int h)
{
    mien_image *img = NULL;
    assert_int_equal(mien_image_new(w, h, NULL, 0, &img, NULL), MIEN_OK);
    memset(mien_image_pixels(img), 110, (size_t)w * (size_t)h * 3);
    return img;
}

/* 24 px: 157 of 160 pastes of the 80 portraits into two landscapes are found; these two are among them. */
static void detect_24_px_and_frame_filling_faces_in_12_megapixels(void **state)
{
    (void)state;
    static const char *const who[] = { PHOTOS "portraits/C001035.jpg", PHOTOS "portraits/A000376.jpg" };
    static const double at[][2] = { { 137, 201 }, { 3800, 2900 }, { 2016, 1530 }, { 1333, 1001 } };
    mien_image *img = grey(4000, 3000);
    const mien_face *f = NULL;
    for (int i = 0; i < 4; i++)
        paste(img, who[i % 2], 24, at[i][0], at[i][1]);
    const size_t n = find(mien_image_view_of(img), &f);
    if (n != 4)
        for (size_t k = 0; k < n; k++)
            print_error("face at (%.0f, %.0f), %.1f px, score %.2f\n", f[k].x0, f[k].y0, f[k].x1 - f[k].x0,
                        f[k].score);
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++) {
        int hits = 0;
        for (size_t k = 0; k < n; k++)
            hits +=
                fabs((f[k].x0 + f[k].x1) / 2 - at[i][0]) < 6 && fabs((f[k].y0 + f[k].y1) / 2 - at[i][1]) < 6;
        assert_int_equal(hits, 1);
    }
    float lo = 0, hi = 0;
    mien_detect_range(detector, 4000, 3000, &lo, &hi);
    assert_true(lo <= 24 && hi >= 2900);
    mien_image_free(img);
    for (int i = 0; i < 2; i++) {
        img = grey(3000, 4000);
        paste(img, who[i], 2700, 1500, 2000);
        assert_in_range(find(mien_image_view_of(img), &f), 1, 2);
        assert_true(f[0].x1 - f[0].x0 > 1800);
        mien_image_free(img);
    }
}

static void detect_second_run_allocates_nothing(void **state)
{
    (void)state;
    mien_image *img = grey(1280, 960); /* needs both scales */
    const mien_face *f = NULL;
    paste(img, PHOTOS "portraits/C001035.jpg", 300, 640, 480);
    uint64_t before = 0;
    mien_face first = { 0 };
    for (int round = 0; round < 3; round++) {
        before = mien__alloc_count();
        assert_int_equal(find(mien_image_view_of(img), &f), 1);
        if (round == 0)
            first = f[0];
        assert_memory_equal(&first, &f[0], sizeof first);
    }
    assert_int_equal(mien__alloc_count(), before);
    mien_image_free(img);
}

static void detect_tiny_pictures_are_no_trouble(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 1 }, { 1, 500 }, { 500, 1 }, { 33, 31 } };
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        mien_image *img = grey(sizes[i][0], sizes[i][1]);
        const mien_face *f = NULL;
        assert_int_equal(find(mien_image_view_of(img), &f), 0);
        mien_image_free(img);
    }
}

int main(void)
{
    mien_model *model = NULL;
    if (access(PHOTOS "portraits", R_OK) != 0 ||
        mien_model_load(MIEN_SHARED "/models/yunet_n_dynamic.onnx", &model, NULL) != MIEN_OK)
        return 77;
    if (mien_detector_new(model, NULL, &detector, NULL) != MIEN_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detect_portraits_have_one_face),
        cmocka_unit_test(detect_pictures_without_faces_are_empty),
        cmocka_unit_test(detect_groups_are_complete),
        cmocka_unit_test(detect_24_px_and_frame_filling_faces_in_12_megapixels),
        cmocka_unit_test(detect_second_run_allocates_nothing),
        cmocka_unit_test(detect_tiny_pictures_are_no_trouble),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mien_detector_free(detector);
    mien_model_free(model);
    return failed;
}
