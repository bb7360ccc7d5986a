/* Pictures and folders made in a temporary directory, for the tests of training data. */
#ifndef MIEN_TESTS_TRAIN_FIXTURES_H
#define MIEN_TESTS_TRAIN_FIXTURES_H

#include "train/data.h"
#include <mien/image.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Make the folder of a test; the path has no trailing slash. */
static inline void dir_make(char path[64])
{
    (void)snprintf(path, 64, "/tmp/mien-train-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static inline void dir_drop(const char *path)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline const char *in_dir(const char *dir, const char *name)
{
    static char paths[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(paths[turn], sizeof paths[turn], "%s/%s", dir, name);
    return paths[turn];
}

static inline void sub_dir(const char *dir, const char *name)
{
    assert_int_equal(mkdir(in_dir(dir, name), 0777), 0);
}

static inline void write_text(const char *path, const char *text)
{
    assert_int_equal(mien__file_write_atomic(path, text, strlen(text), NULL), MIEN_OK);
}

/* A smooth picture that `seed` makes unlike others. */
static inline void picture_fill(uint8_t *rgb, int w, int h, unsigned seed)
{
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    double f[3][6];
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 6; k++)
            f[c][k] = mien__rng_unit(&rng) * (k < 2 ? 10 : k < 4 ? 6 : 30);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) {
                const double u = (double)x / w, v = (double)y / h;
                rgb[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c] =
                    (uint8_t)(128 + 45 * sin(f[c][0] * u + f[c][2]) + 45 * cos(f[c][1] * v + f[c][3]) +
                              35 * sin(f[c][4] * u) * sin(f[c][5] * v));
            }
}

static inline mien_image *picture_make(int w, int h, unsigned seed)
{
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(w, h, NULL, 0, &image, NULL), MIEN_OK);
    picture_fill(mien_image_pixels(image), w, h, seed);
    return image;
}

static inline void picture_save(const char *path, int w, int h, unsigned seed)
{
    mien_image *const image = picture_make(w, h, seed);
    assert_int_equal(mien_image_save(mien_image_view_of(image), path, 95, NULL), MIEN_OK);
    mien_image_free(image);
}

/* A set of aligned pictures from a path. */
static inline mien__dataset *aligned_set(const char *path, const char *index)
{
    const mien__data_opts o = { .aligned = true, .index_path = index, .threads = 2 };
    mien__dataset *d = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien__dataset_read(path, &o, &d, &err))
        fail_msg("%s", err.message);
    return d;
}

#endif
