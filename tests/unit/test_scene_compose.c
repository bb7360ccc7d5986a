/* Composed scenes: what they say of their faces is what the pixels show, and the same bytes every time. */
#include "image_fixtures.h"
#include "train/scene_parts.h"
#include <math.h>
#include <unistd.h>

/* A face whose landmarks are dots of colours that nothing else has. */
enum { PICTURE = 160, SCENE = 192 };
static const uint8_t dots[MIEN_LANDMARKS][3] = {
    { 255, 0, 0 }, { 0, 0, 255 }, { 0, 255, 0 }, { 255, 255, 0 }, { 0, 255, 255 }
};
static const mien_face drawn = { 40,  30, 120,
                                 130, 1,  { { 62, 68 }, { 98, 68 }, { 80, 88 }, { 66, 110 }, { 94, 110 } } };
static uint8_t face_px[PICTURE * PICTURE * 3], plain_px[PICTURE * PICTURE * 3];
static const mien_image_view face_view = { face_px, PICTURE, PICTURE, 3 * PICTURE };
static const mien_image_view plain_view = { plain_px, PICTURE, PICTURE, 3 * PICTURE };

static void paint(void)
{
    for (int y = 0; y < PICTURE; y++)
        for (int x = 0; x < PICTURE; x++) {
            uint8_t *const p = face_px + 3 * (y * PICTURE + x), *const q = plain_px + 3 * (y * PICTURE + x);
            memset(p, 150 + (x / 8 + y / 8) % 2 * 40, 3);
            memset(q, 90 + (x / 16) % 2 * 20, 3);
            for (int i = 0; i < MIEN_LANDMARKS; i++)
                if (hypot(x + 0.5 - (double)drawn.landmarks[i][0], y + 0.5 - (double)drawn.landmarks[i][1]) <
                    8)
                    memcpy(p, dots[i], 3);
        }
}

static mien__scene_set *new_set(size_t n_faces, size_t n_plain)
{
    mien__scene_set *set = NULL;
    paint();
    assert_int_equal(mien__scene_set_new(&set, NULL), MIEN_OK);
    for (size_t i = 0; i < n_faces + n_plain; i++) {
        const bool face = i < n_faces;
        const mien__scene_source s = { "drawn", face ? face_view : plain_view, face ? &drawn : NULL, face };
        assert_int_equal(mien__scene_set_add(set, &s, NULL), MIEN_OK);
    }
    return set;
}

static mien__scene_opts calm(void)
{
    mien__scene_opts o = MIEN__SCENE_OPTS_INIT;
    o.width = o.height = SCENE;
    o.light = 0;
    o.p_empty = 0;
    return o;
}

static mien__scene_maker *new_maker(const mien__scene_set *set, const mien__scene_opts *o)
{
    mien__scene_maker *m = NULL;
    assert_int_equal(mien__scene_maker_new(set, o, &m, NULL), MIEN_OK);
    return m;
}

static uint8_t rgb[SCENE * SCENE * 3], again[SCENE * SCENE * 3];
static mien__truth truths[MIEN__SCENE_MAX_TRUTHS];

/* The colour of the dot seen at a place; MIEN_LANDMARKS when none is. */
static int dot_at(float x, float y)
{
    if (x < 0 || y < 0 || x >= SCENE || y >= SCENE)
        return MIEN_LANDMARKS;
    const uint8_t *const p = rgb + 3 * ((int)y * SCENE + (int)x);
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        if (abs(p[0] - dots[i][0]) < 60 && abs(p[1] - dots[i][1]) < 60 && abs(p[2] - dots[i][2]) < 60)
            return i;
    return MIEN_LANDMARKS;
}

static void make_truths_lie_where_the_pixels_show_them(void **state)
{
    (void)state;
    static const int mirrored[MIEN_LANDMARKS] = { 1, 0, 2, 4, 3 };
    mien__scene_set *const set = new_set(1, 1);
    const mien__scene_opts o = calm();
    mien__scene_maker *const m = new_maker(set, &o);
    int faces = 0, turned = 0, mirrors = 0;
    for (uint64_t k = 0; k < 400; k++) {
        size_t n = 0;
        assert_int_equal(mien__scene_make(m, k, rgb, truths, &n, NULL), MIEN_OK);
        for (size_t i = 0; i < n; i++) {
            const mien_face *const f = &truths[i].face;
            if (truths[i].visible < 0.999f || f->x1 - f->x0 < 24)
                continue;
            const bool mirror = dot_at(f->landmarks[0][0], f->landmarks[0][1]) == 1;
            for (int p = 0; p < MIEN_LANDMARKS; p++) {
                const int want = mirror ? mirrored[p] : p;
                if (dot_at(f->landmarks[p][0], f->landmarks[p][1]) != want)
                    fail_msg("scene %d face %d landmark %d", (int)k, (int)i, p);
                assert_true(f->landmarks[p][0] > f->x0 && f->landmarks[p][0] < f->x1);
                assert_true(f->landmarks[p][1] > f->y0 && f->landmarks[p][1] < f->y1);
            }
            /* right eye to left eye, turned a quarter clockwise, points to the mouth: never a mirror image */
            const float ex = f->landmarks[1][0] - f->landmarks[0][0],
                        ey = f->landmarks[1][1] - f->landmarks[0][1];
            const float mx = f->landmarks[3][0] - f->landmarks[0][0],
                        my = f->landmarks[3][1] - f->landmarks[0][1];
            assert_true(ex * my - ey * mx > 0);
            faces++;
            mirrors += mirror;
            turned += fabsf(ey) > 0.4f * fabsf(ex);
        }
    }
    assert_true(faces > 200 && mirrors > faces / 4 && mirrors < 3 * faces / 4);
    assert_true(turned > faces / 50);
    mien__scene_maker_free(m);
    mien__scene_set_free(set);
}

static void make_is_the_same_for_seed_and_index(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(5, 3);
    mien__scene_opts o = calm();
    o.light = 1;
    mien__scene_maker *const a = new_maker(set, &o);
    o.cache_bytes = 0; /* nothing kept */
    mien__scene_maker *const b = new_maker(set, &o);
    o.seed = 2;
    mien__scene_maker *const c = new_maker(set, &o);
    int differ = 0;
    for (uint64_t k = 0; k < 40; k++) {
        static mien__truth other[MIEN__SCENE_MAX_TRUTHS];
        size_t n = 0, n_again = 0;
        assert_int_equal(mien__scene_make(a, k, rgb, truths, &n, NULL), MIEN_OK);
        assert_int_equal(mien__scene_make(b, 39 - k, again, other, &n_again, NULL),
                         MIEN_OK); /* another past */
        assert_int_equal(mien__scene_make(b, k, again, other, &n_again, NULL), MIEN_OK);
        assert_int_equal(n, n_again);
        assert_memory_equal(rgb, again, sizeof rgb);
        for (size_t i = 0; i < n; i++)
            assert_memory_equal(&truths[i].face, &other[i].face, sizeof other[i].face);
        assert_int_equal(mien__scene_make(c, k, again, other, &n_again, NULL), MIEN_OK);
        differ += memcmp(rgb, again, sizeof rgb) != 0;
    }
    assert_int_equal(differ, 40);
    mien__scene_maker_free(a);
    mien__scene_maker_free(b);
    mien__scene_maker_free(c);
    mien__scene_set_free(set);
}

static void make_keeps_to_its_limits(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(1, 1);
    mien__scene_opts o = calm();
    o.light = 1;
    o.max_faces = 6;
    mien__scene_maker *const m = new_maker(set, &o);
    int by_size[3] = { 0 }, ignored = 0, hidden = 0;
    for (uint64_t k = 0; k < 300; k++) {
        size_t n = 0;
        assert_int_equal(mien__scene_make(m, k, rgb, truths, &n, NULL), MIEN_OK);
        assert_true(n <= 6);
        for (size_t i = 0; i < n; i++) {
            const mien__truth *const t = &truths[i];
            const float w = t->face.x1 - t->face.x0;
            assert_true(t->visible >= 0.05f && t->visible <= 1);
            if (t->ignore) {
                ignored++;
                continue;
            }
            assert_true(t->visible >= o.keep_visible);
            assert_true(w >= 0.8f * o.min_face_px && w <= 1.3f * o.max_face_frac * SCENE);
            by_size[w < 20 ? 0 : w < 60 ? 1 : 2]++;
            hidden += t->visible < 0.9f;
        }
    }
    assert_true(by_size[0] > 100 && by_size[1] > 100 && by_size[2] > 100);
    assert_true(ignored > 10 && hidden > 10);
    mien__scene_maker_free(m);
    o.p_empty = 1;
    mien__scene_maker *const none = new_maker(set, &o);
    for (uint64_t k = 0; k < 20; k++) {
        size_t n = 1;
        assert_int_equal(mien__scene_make(none, k, rgb, truths, &n, NULL), MIEN_OK);
        assert_int_equal(n, 0);
    }
    mien__scene_maker_free(none);
    mien__scene_set_free(set);
}

static void lay_counts_what_a_nearer_layer_hides(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(1, 1);
    const mien__scene_opts o = calm();
    mien__scene_maker *const m = new_maker(set, &o);
    m->canvas.rgb = rgb;
    mien__rng_seed(&m->rng, 1);
    assert_int_equal(mien__scene_backdrop(m, NULL), MIEN_OK);
    const mien__placing p = { .x = 96, .y = 96, .width = 60, .cut = MIEN__CUT_WHOLE };
    assert_int_equal(mien__scene_add_face(m, &p, NULL), MIEN_OK);
    assert_int_equal(m->n_faces, 1);
    /* a rectangle over the right half of the frame */
    const mien_affine here = { { 1, 0, 0, 0, 1, 0 } };
    const mien__scene_shape half = { 144, 96, 48, 96, 0, false };
    mien__canvas_area a;
    assert_true(mien__shape_area(&half, &here, &m->canvas, &a));
    assert_int_equal(a.x0, 96);
    assert_int_equal(mien__canvas_lay(&m->canvas, &a, &here, &half, 0, 0), 2);
    int left = 0, right = 0;
    for (int y = 90; y < 102; y++) {
        left += m->canvas.owner[y * SCENE + 80] == 1;
        right += m->canvas.owner[y * SCENE + 110] == 2;
    }
    assert_int_equal(left, 12);
    assert_int_equal(right, 12);
    mien__scene_maker_free(m);
    mien__scene_set_free(set);
}

static void make_replaces_pictures_that_cannot_be_read(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(1, 0);
    const mien__scene_source gone = { "nowhere/gone.jpg", { 0 }, &drawn, 1 };
    assert_int_equal(mien__scene_set_add(set, &gone, NULL), MIEN_OK);
    const mien__scene_opts o = calm();
    mien__scene_maker *m = new_maker(set, &o);
    size_t n = 0;
    for (uint64_t k = 0; k < 20; k++)
        assert_int_equal(mien__scene_make(m, k, rgb, truths, &n, NULL), MIEN_OK);
    assert_true(mien__scene_unreadable(m) > 0);
    mien__scene_maker_free(m);
    mien__scene_set_free(set);

    mien__scene_set *lost = NULL;
    mien_error err = { 0 };
    assert_int_equal(mien__scene_set_new(&lost, NULL), MIEN_OK);
    assert_int_equal(mien__scene_set_add(lost, &gone, NULL), MIEN_OK);
    m = new_maker(lost, &o);
    n = 77;
    assert_int_equal(mien__scene_make(m, 1, rgb, truths, &n, &err), MIEN_E_IO);
    assert_non_null(strstr(err.message, "gone.jpg"));
    assert_int_equal(n, 77);
    mien__scene_maker_free(m);
    mien__scene_set_free(lost);
}

static size_t left_out;

static mien_status read_table(const char *text, mien__scene_set **ret, mien_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/mien-scene-%d.csv", (int)getpid());
    assert_int_equal(mien__file_write_atomic(path, text, strlen(text), NULL), MIEN_OK);
    assert_int_equal(mien__scene_set_new(ret, NULL), MIEN_OK);
    const mien_status st = mien__scene_set_read_csv(*ret, path, 0.5f, &left_out, err);
    unlink(path);
    return st;
}

#define NUMBERS "10.5,20,110,140,0.9,40,60,80,60,60,80,45,110,75,110"

static void read_csv_takes_the_rows_of_detect(void **state)
{
    (void)state;
    mien__scene_set *set = NULL;
    assert_int_equal(read_table("path,face,x0\nplain.jpg,1," NUMBERS "\r\nplain.jpg,2," NUMBERS
                                "\ndim.jpg,1," NUMBERS
                                "\ndim.jpg,2,10,20,110,140,0.49,40,60,80,60,60,80,45,110,75,110"
                                "\n\"a \"\"b\"\", c.jpg\",1," NUMBERS,
                                &set, NULL),
                     MIEN_OK);
    assert_int_equal(mien__scene_set_faces(set), 2);
    assert_int_equal(left_out, 1);
    assert_int_equal(set->v[0].n_faces, 2);
    assert_string_equal(set->v[0].path, "plain.jpg");
    assert_string_equal(set->v[1].path, "a \"b\", c.jpg");
    assert_int_equal((int)(set->v[1].faces[0].x0 * 2), 21);
    assert_int_equal((int)set->v[1].faces[0].landmarks[4][1], 110);
    mien__scene_set_free(set);
}

static void read_csv_names_the_line_it_cannot_read(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a.jpg,1," NUMBERS "\nb.jpg,1,3,4\n",
        "a.jpg,1," NUMBERS "\n\"open,1," NUMBERS,
        "a.jpg,1," NUMBERS "\nb.jpg,1," NUMBERS ",5",
        "a.jpg,1," NUMBERS "\nb.jpg,1,9,9,9,9,1,0,0,0,0,0,0,0,0,0,0",
        "a.jpg,1," NUMBERS "\nb.jpg,1,nan,20,110,140,0.9,40,60,80,60,60,80,45,110,75,110",
        "a.jpg,1," NUMBERS "\nno commas",
    };
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++) {
        mien__scene_set *set = NULL;
        mien_error err = { 0 };
        assert_int_equal(read_table(bad[i], &set, &err), MIEN_E_EVAL_DATA);
        assert_non_null(strstr(err.message, ":2:"));
        mien__scene_set_free(set);
    }
}

static void maker_refuses_options_out_of_range(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(1, 0), *const faceless = new_set(0, 1);
    mien__scene_maker *m = NULL;
    mien__scene_opts o = calm();
    assert_int_equal(mien__scene_maker_new(faceless, &o, &m, NULL), MIEN_E_ARG);
    mien__scene_opts bad[6];
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++)
        bad[i] = calm();
    bad[0].width = 16;
    bad[1].max_faces = 65;
    bad[2].min_face_px = 400;
    bad[3].p_empty = NAN;
    bad[4].light = 1.5f;
    bad[5].decoys = -1;
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++)
        assert_int_equal(mien__scene_maker_new(set, &bad[i], &m, NULL), MIEN_E_ARG);
    assert_null(m);
    mien__scene_source s = { "x", { 0 }, &(mien_face){ 5, 5, 5, 9, 1, { { 0 } } }, 1 };
    assert_int_equal(mien__scene_set_add(set, &s, NULL), MIEN_E_ARG);
    mien__scene_set_free(set);
    mien__scene_set_free(faceless);
}

static void sheet_holds_scenes_with_their_boxes(void **state)
{
    (void)state;
    mien__scene_set *const set = new_set(1, 1);
    const mien__scene_opts o = calm();
    mien__scene_maker *const m = new_maker(set, &o);
    mien_image *sheet = NULL;
    assert_int_equal(mien__scene_sheet(m, 3, 0, 2, &sheet, NULL), MIEN_E_ARG);
    assert_int_equal(mien__scene_sheet(m, 3, 2, 3, &sheet, NULL), MIEN_OK);
    const mien_image_view v = mien_image_view_of(sheet);
    assert_int_equal(v.width, 2 * SCENE + 4);
    assert_int_equal(v.height, 3 * SCENE + 8);
    int green = 0;
    for (int i = 0; i < v.width * v.height; i++)
        green += v.data[3 * i] < 80 && v.data[3 * i + 1] > 200 && v.data[3 * i + 2] < 80;
    assert_true(green > 100);
    mien_image_free(sheet);
    mien__scene_maker_free(m);
    mien__scene_set_free(set);
}

static mien_status make_one(const mien__scene_opts *o, uint64_t index)
{
    mien__scene_set *set = NULL;
    mien__scene_maker *m = NULL;
    size_t n = 0;
    mien_status st = mien__scene_set_new(&set, NULL);
    const mien__scene_source face = { "drawn", face_view, &drawn, 1 },
                             plain = { "plain", plain_view, NULL, 0 };
    if (!st)
        st = mien__scene_set_add(set, &face, NULL);
    if (!st)
        st = mien__scene_set_add(set, &plain, NULL);
    if (!st)
        st = mien__scene_maker_new(set, o, &m, NULL);
    if (!st)
        st = mien__scene_make(m, index, rgb, truths, &n, NULL);
    mien__scene_maker_free(m);
    mien__scene_set_free(set);
    return st;
}

static void make_short_of_memory_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    mien__scene_opts o = calm();
    o.light = 1;
    o.decoys = 4;
    paint();
    size_t failures = 0;
    for (uint64_t index = 0; index < 6; index++) {
        mien_status st = MIEN_E_NOMEM;
        for (size_t n = 1; st; n++) {
            meter m;
            meter_start(&m, n);
            st = make_one(&o, index);
            meter_stop();
            assert_int_equal(m.live, 0);
            assert_true(st == MIEN_OK || st == MIEN_E_NOMEM);
            failures += st != MIEN_OK;
        }
    }
    assert_true(failures > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make_truths_lie_where_the_pixels_show_them),
        cmocka_unit_test(make_is_the_same_for_seed_and_index),
        cmocka_unit_test(make_keeps_to_its_limits),
        cmocka_unit_test(lay_counts_what_a_nearer_layer_hides),
        cmocka_unit_test(make_replaces_pictures_that_cannot_be_read),
        cmocka_unit_test(read_csv_takes_the_rows_of_detect),
        cmocka_unit_test(read_csv_names_the_line_it_cannot_read),
        cmocka_unit_test(maker_refuses_options_out_of_range),
        cmocka_unit_test(sheet_holds_scenes_with_their_boxes),
        cmocka_unit_test(make_short_of_memory_says_so_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
