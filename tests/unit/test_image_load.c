/* Reading and writing files: what is refused and in which words, what is written, options. */
#include "image_fixtures.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const void *data, size_t n)
{
    const char *const path = in_folder(name);
    FILE *const f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    return path;
}

static void expect_refused(const char *path, mien_status want, const char *words)
{
    mien_image *image = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status got = mien_image_load(path, NULL, &image, &err);
    if (got != want || !strstr(err.message, words))
        fail_msg("%s: %s \"%s\", want %s \"%s\"", path, mien_status_name(got), err.message,
                 mien_status_name(want), words);
    assert_null(image);
    assert_non_null(strstr(err.message, strrchr(path, '/') + 1)); /* the file is named */
    assert_null(strchr(err.message, '\n'));
}

static void load_what_is_no_picture_is_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data;
        size_t n;
        const char *words;
    } files[] = {
        { "empty.jpg", "", 0, "empty" },
        { "text.jpg", "Dear diary,\nno picture here.\n", 29, "text" },
        { "a.gif", "GIF89a\1\0\1\0\0\0\0", 13, "GIF" },
        { "a.bmp", "BM\x46\0\0\0\0\0\0\0", 10, "BMP" },
        { "a.tif", "II*\0\x08\0\0\0", 8, "TIFF" },
        { "b.tif", "MM\0*\0\0\0\x08", 8, "TIFF" },
        { "a.psd", "8BPS\0\1", 6, "Photoshop" },
        { "a.pdf", "%PDF-1.4\n", 9, "PDF" },
        { "a.avif",
          "\0\0\0\x20"
          "ftypavif\0\0\0\0",
          16, "AVIF" },
        { "a.mp4",
          "\0\0\0\x20"
          "ftypisom\0\0\0\0",
          16, "MP4" },
        { "a.jxl", "\xff\x0a\xfa\x1f", 4, "JPEG XL" },
        { "a.zip", "PK\3\4\x14\0\0\0", 8, "ZIP" },
        { "a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>", 41, "text" },
        { "noise.png", "\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9, "not a picture" },
        { "one.png", "\x89", 1, "not a picture" },
    };
    for (size_t k = 0; k < MIEN_COUNTOF(files); k++) {
        const char *const path = write_file(files[k].name, files[k].data, files[k].n);
        expect_refused(path, MIEN_E_IMAGE_FORMAT, files[k].words);
        unlink(path);
    }
}

static void load_missing_directory_fifo_unreadable_are_refused(void **state)
{
    (void)state;
    expect_refused(in_folder("missing.jpg"), MIEN_E_NOT_FOUND, "missing.jpg");
    expect_refused(folder, MIEN_E_IO, "directory");
    const char *path = in_folder("pipe.jpg");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, MIEN_E_IO, "regular file");
    unlink(path);
    path = write_file("secret.jpg", "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0)
        expect_refused(path, MIEN_E_IO, "secret.jpg");
    unlink(path);
}

static void load_by_content_not_by_name(void **state)
{
    (void)state;
    blob b = png_scene(12, 9);
    const char *const path = write_file("really-png.jpg", b.data, b.size);
    mien_image *image = NULL;
    assert_int_equal(mien_image_load(path, NULL, &image, NULL), MIEN_OK);
    expect_scene(image, 12, 9, 0);
    mien_image_free(image);
    unlink(path);
    blob_free(&b);
}

static void load_damage_and_limits_name_the_file(void **state)
{
    (void)state;
    blob b = jpeg_scene(64, 48, false);
    const char *path = write_file("half.jpg", b.data, b.size / 2);
    expect_refused(path, MIEN_E_IMAGE_CORRUPT, "half.jpg");
    unlink(path);
    jpeg_claim(&b, 0xc0, 40000, 40000);
    path = write_file("vast.jpg", b.data, b.size);
    expect_refused(path, MIEN_E_LIMIT, "vast.jpg: the picture has 40000 x 40000 px, the limit is 30000");
    mien_image *image = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_bytes = 100;
    assert_int_equal(mien_image_load(path, &opts, &image, &err), MIEN_E_LIMIT);
    assert_non_null(strstr(err.message, "100"));
    assert_int_equal(mien_image_decode(b.data, b.size, &opts, &image, &err), MIEN_E_LIMIT);
    unlink(path);
    blob_free(&b);
}

static void load_long_name_keeps_its_end(void **state)
{
    (void)state;
    char name[320];
    snprintf(name, sizeof name, "%s/%0200d-last.jpg", folder, 0);
    FILE *const f = fopen(name, "wb");
    assert_non_null(f);
    fclose(f);
    mien_image *image = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_image_load(name, NULL, &image, &err), MIEN_E_IMAGE_FORMAT);
    assert_non_null(strstr(err.message, "-last.jpg: empty"));
    unlink(name);
}

static void options_out_of_range_return_arg(void **state)
{
    (void)state;
    blob b = png_scene(4, 4);
    mien_image *image = NULL;
    for (int k = 0; k < 6; k++) {
        mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
        o.struct_size = k == 0 ? 0 : (k == 1 ? sizeof o + 8 : sizeof o);
        o.max_side = k == 2 ? 0 : o.max_side;
        o.max_pixels = k == 3 ? 0 : o.max_pixels;
        o.max_jpeg_scans = k == 4 ? -1 : o.max_jpeg_scans;
        o.min_short_side = k == 5 ? -1 : 0;
        assert_int_equal(mien_image_decode(b.data, b.size, &o, &image, NULL), MIEN_E_ARG);
    }
    assert_int_equal(mien_image_decode(NULL, 5, NULL, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_decode(b.data, b.size, NULL, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_load(NULL, NULL, &image, NULL), MIEN_E_ARG);
    assert_null(image);
    blob_free(&b);
}

static void save_round_trips_and_picks_the_format_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int bound;
    } files[] = { { "a.png", 0 }, { "b.PNG", 0 }, { "c.jpg", 12 }, { "d.JPEG", 12 } };
    uint8_t *const px = scene(60, 41);
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(60, 41, px, 180, &image, NULL), MIEN_OK);
    for (size_t k = 0; k < MIEN_COUNTOF(files); k++) {
        const char *const path = in_folder(files[k].name);
        mien_image *back = NULL;
        assert_int_equal(mien_image_save(mien_image_view_of(image), path, 0, NULL), MIEN_OK);
        assert_int_equal(mien_image_load(path, NULL, &back, NULL), MIEN_OK);
        expect_scene(back, 60, 41, files[k].bound);
        mien_image_free(back);
        unlink(path);
    }
    mien_image_free(image);
    free(px);
}

static void save_bad_names_and_places_are_refused(void **state)
{
    (void)state;
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(8, 8, NULL, 0, &image, NULL), MIEN_OK);
    const mien_image_view v = mien_image_view_of(image);
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(mien_image_save(v, in_folder("a.gif"), 0, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_save(v, in_folder("png"), 0, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_save(v, "/nowhere.png/x", 0, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_save(v, in_folder("none/a.png"), 0, NULL), MIEN_E_IO);
    assert_int_equal(mien_image_save(v, in_folder("a.jpg"), 101, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_save((mien_image_view){ 0 }, in_folder("a.jpg"), 0, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_encode(v, "gif", 0, &data, &size, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_encode(v, "png", 0, NULL, &size, NULL), MIEN_E_ARG);
    assert_null(data);
    assert_int_equal(rmdir(folder), 0); /* nothing was left behind */
    assert_int_equal(mkdir(folder, 0700), 0);
    mien_image_free(image);
}

static void encode_quality_changes_the_size(void **state)
{
    (void)state;
    uint8_t *const px = scene(200, 150);
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(200, 150, px, 600, &image, NULL), MIEN_OK);
    size_t last = 0;
    for (int quality = 5; quality <= 100; quality += 30) {
        uint8_t *data = NULL;
        size_t size = 0;
        assert_int_equal(mien_image_encode(mien_image_view_of(image), "jpeg", quality, &data, &size, NULL),
                         MIEN_OK);
        assert_true(size > last);
        last = size;
        mien_image_data_free(data);
    }
    mien_image_free(image);
    free(px);
}

static void formats_are_described(void **state)
{
    (void)state;
    size_t n = 0;
    for (const char *text; (text = mien_image_format_at(n, NULL)) != NULL; n++) {
        int available = -1;
        assert_ptr_equal(mien_image_format_at(n, &available), text);
        assert_in_range(available, 0, 1);
        if (n < 2)
            assert_int_equal(available, 1); /* JPEG and PNG are always there */
    }
    assert_int_equal(n, 4);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/mien-load-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_what_is_no_picture_is_refused_in_words),
        cmocka_unit_test(load_missing_directory_fifo_unreadable_are_refused),
        cmocka_unit_test(load_by_content_not_by_name),
        cmocka_unit_test(load_damage_and_limits_name_the_file),
        cmocka_unit_test(load_long_name_keeps_its_end),
        cmocka_unit_test(options_out_of_range_return_arg),
        cmocka_unit_test(save_round_trips_and_picks_the_format_by_name),
        cmocka_unit_test(save_bad_names_and_places_are_refused),
        cmocka_unit_test(encode_quality_changes_the_size),
        cmocka_unit_test(formats_are_described),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
