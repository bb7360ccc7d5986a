/* Decoders, suppression and the plan of passes, without a network. */
#include "detect/detect.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

/* Outputs of a 64 x 32 px input: 8x4, 4x2 and 2x1 cells. */
typedef struct outputs {
    float score[3][64], obj[3][64], box[3][256], kps[3][640];
    mien_tensor_view t[12];
    size_t n;
    char names[12][16];
} outputs;

static void add(outputs *o, const char *kind, int level, int rows, int columns, const float *data)
{
    snprintf(o->names[o->n], sizeof o->names[o->n], "%s_%d", kind, 8 << level);
    o->t[o->n] = (mien_tensor_view){ o->names[o->n], data, 3, { 1, rows, columns } };
    o->n++;
}

static void make(outputs *o, int anchors, bool with_obj)
{
    memset(o, 0, sizeof *o);
    for (int i = 0; i < 3; i++)
        add(o, "cls", i, 32 / (1 << (2 * i)) * anchors, 1, o->score[i]);
    for (int i = 0; i < 3 && with_obj; i++)
        add(o, "obj", i, 32 / (1 << (2 * i)) * anchors, 1, o->obj[i]);
    for (int i = 0; i < 3; i++)
        add(o, "bbox", i, 32 / (1 << (2 * i)) * anchors, 4, o->box[i]);
    for (int i = 0; i < 3; i++)
        add(o, "kps", i, 32 / (1 << (2 * i)) * anchors, 10, o->kps[i]);
}

static const mien__det_frame whole = {
    1, 1, 0, 0, -HUGE_VAL, -HUGE_VAL, HUGE_VAL, HUGE_VAL, 0.5f, 0,
};

static void yunet_row_decodes_to_box_and_landmarks(void **state)
{
    (void)state;
    outputs o;
    make(&o, 1, true);
    const int cell = 4 + 3; /* stride 16: column 3, row 1 */
    o.score[1][cell] = 0.81f;
    o.obj[1][cell] = 1.7f; /* clamped to 1 */
    const float box[4] = { 0.5f, -0.25f, logf(2), 0 };
    memcpy(&o.box[1][cell * 4], box, sizeof box);
    for (int k = 0; k < 10; k++)
        o.kps[1][cell * 10 + k] = (float)k / 4;
    const mien__decoder *d = mien__decoder_find("yunet");
    mien__det_level l[3];
    mien__face_list out = { 0 };
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 32, l, NULL), MIEN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mien__decode_level(d, &l[i], &whole, &out, NULL), MIEN_OK);
    assert_int_equal(out.n, 1);
    const mien_face *f = out.v;
    close_to(f->score, 0.9, 1e-6);
    close_to(f->x0, (3 + 0.5) * 16 - 16, 1e-4);
    close_to(f->x1, (3 + 0.5) * 16 + 16, 1e-4);
    close_to(f->y0, (1 - 0.25) * 16 - 8, 1e-4);
    close_to(f->y1, (1 - 0.25) * 16 + 8, 1e-4);
    for (int k = 0; k < 5; k++) {
        close_to(f->landmarks[k][0], (3 + 2 * k / 4.0) * 16, 1e-4);
        close_to(f->landmarks[k][1], (1 + (2 * k + 1) / 4.0) * 16, 1e-4);
    }
    mien_free(out.v);
}

static void scrfd_second_anchor_decodes_to_distances(void **state)
{
    (void)state;
    outputs o;
    make(&o, 2, false);
    for (size_t i = 0; i < o.n; i++) { /* SCRFD's outputs carry numbers for names, and no batch axis */
        snprintf(o.names[i], sizeof o.names[i], "%zu", 440 + i);
        o.t[i].rank = 2;
        o.t[i].dims[0] = o.t[i].dims[1];
        o.t[i].dims[1] = o.t[i].dims[2];
    }
    const int row = (8 + 5) * 2 + 1; /* stride 8: column 5, row 1, anchor 1 */
    o.score[0][row] = 0.75f;
    const float box[4] = { 1, 0.5f, 2, 3 };
    memcpy(&o.box[0][row * 4], box, sizeof box);
    o.kps[0][row * 10 + 9] = -1;
    const mien__decoder *d = mien__decoder_find("scrfd");
    mien__det_level l[3];
    mien__face_list out = { 0 };
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 32, l, NULL), MIEN_OK);
    assert_int_equal(mien__decode_level(d, &l[0], &whole, &out, NULL), MIEN_OK);
    assert_int_equal(out.n, 1);
    close_to(out.v[0].x0, 40 - 8, 1e-4);
    close_to(out.v[0].y0, 8 - 4, 1e-4);
    close_to(out.v[0].x1, 40 + 16, 1e-4);
    close_to(out.v[0].y1, 8 + 24, 1e-4);
    close_to(out.v[0].landmarks[4][1], 0, 1e-4);
    mien_free(out.v);
}

static void bind_missing_or_misshapen_output_is_refused(void **state)
{
    (void)state;
    outputs o;
    make(&o, 1, true);
    const mien__decoder *d = mien__decoder_find("yunet");
    mien__det_level l[3];
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__decoder_bind(d, o.t, o.n - 1, 64, 32, l, &err), MIEN_E_MODEL_SHAPE);
    assert_non_null(strstr(err.message, "landmark"));
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 64, l, &err), MIEN_E_MODEL_SHAPE);
    o.t[0].dims[1] = 31;
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 32, l, &err), MIEN_E_MODEL_SHAPE);
    assert_null(mien__decoder_find("haar"));
}

static void decode_hostile_numbers_give_no_face(void **state)
{
    (void)state;
    outputs o;
    make(&o, 1, true);
    const mien__decoder *d = mien__decoder_find("yunet");
    for (int i = 0; i < 32; i++)
        o.score[0][i] = o.obj[0][i] = 1;
    o.score[0][0] = NAN;
    for (int i = 1; i < 32; i++) {
        o.box[0][i * 4 + 2] = i % 4 == 0 ? 1000.0f : i % 4 == 1 ? NAN : i % 4 == 2 ? -1000.0f : 0;
        o.kps[0][i * 10 + 3] = i % 4 == 3 ? INFINITY : 0;
    }
    mien__det_level l[3];
    mien__face_list out = { 0 };
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 32, l, NULL), MIEN_OK);
    assert_int_equal(mien__decode_level(d, &l[0], &whole, &out, NULL), MIEN_OK);
    assert_int_equal(out.n, 0);
    mien_free(out.v);
}

static void decode_frame_maps_and_keeps_its_own(void **state)
{
    (void)state;
    outputs o;
    make(&o, 1, true);
    o.score[0][0] = o.obj[0][0] = o.score[0][7] = o.obj[0][7] = 1; /* centres (0, 0) and (56, 0), sides 8 */
    const mien__decoder *d = mien__decoder_find("yunet");
    mien__det_level l[3];
    mien__face_list out = { 0 };
    assert_int_equal(mien__decoder_bind(d, o.t, o.n, 64, 32, l, NULL), MIEN_OK);
    mien__det_frame f = whole;
    f.sx = 2;
    f.sy = 3;
    f.ox = 100;
    f.oy = 200;
    f.keep_x0 = 101;
    assert_int_equal(mien__decode_level(d, &l[0], &f, &out, NULL), MIEN_OK);
    assert_int_equal(out.n, 1);
    close_to(out.v[0].x0, 100 + 2 * 52, 1e-4);
    close_to(out.v[0].y1, 200 + 3 * 4, 1e-4);
    f.min_side_px = 17; /* 16 px wide */
    out.n = 0;
    assert_int_equal(mien__decode_level(d, &l[0], &f, &out, NULL), MIEN_OK);
    assert_int_equal(out.n, 0);
    mien_free(out.v);
}

static void suppress_keeps_best_whatever_the_order(void **state)
{
    (void)state;
    static const mien_face faces[] = {
        { 0, 0, 10, 10, 0.9f, { { 0 } } },   { 1, 0, 11, 10, 0.95f, { { 0 } } },
        { 0, 1, 10, 11, 0.8f, { { 0 } } },   { 30, 0, 40, 10, 0.7f, { { 0 } } },
        { 30, 0, 40, 10, 0.7f, { { 0 } } },  { 20, 0, 30, 10, 0.7f, { { 0 } } },
        { 50, 50, 52, 52, 0.1f, { { 0 } } },
    };
    mien_face first[8];
    for (int rot = 0; rot < 7; rot++) {
        mien__face_list l = { 0 };
        for (int i = 0; i < 7; i++)
            assert_int_equal(mien__face_list_push(&l, &faces[(i + rot) % 7], NULL), MIEN_OK);
        mien__face_list_suppress(&l, 0.45f, 0);
        assert_int_equal(l.n, 4);
        close_to(l.v[0].score, 0.95, 1e-6);
        close_to(l.v[1].x0, 20, 0);
        close_to(l.v[2].x0, 30, 0);
        if (rot == 0)
            memcpy(first, l.v, l.n * sizeof *l.v);
        assert_memory_equal(first, l.v, l.n * sizeof *l.v);
        mien_free(l.v);
    }
    close_to(mien__iou(&faces[0], &faces[1]), 90.0 / 110, 1e-6);
    close_to(mien__iou(&faces[3], &faces[5]), 0, 0);
}

static void drop_parts_of_large_faces(void **state)
{
    (void)state;
    static const mien_face faces[] = {
        { 40, 40, 60, 60, 0.8f, { { 0 } } },   /* an eye taken for a face */
        { 10, 10, 30, 30, 0.97f, { { 0 } } },  /* better than the large face: stays */
        { 190, 40, 210, 60, 0.8f, { { 0 } } }, /* beside it */
        { 0, 0, 80, 80, 0.5f, { { 0 } } },     /* of its size: left to suppression */
        { 0, 0, 100, 100, 0.9f, { { 0 } } },   /* the large face */
    };
    mien__face_list l = { 0 };
    for (size_t i = 0; i < MIEN_COUNTOF(faces); i++)
        assert_int_equal(mien__face_list_push(&l, &faces[i], NULL), MIEN_OK);
    mien__face_list_drop_parts(&l, 4);
    assert_int_equal(l.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(&l.v[i], &faces[i + 1], sizeof faces[0]);
    mien_free(l.v);
}

static void pick_largest_and_central(void **state)
{
    (void)state;
    static const mien_face faces[] = {
        { 0, 0, 90, 90, 0.9f, { { 0 } } },     /* large, in the corner */
        { 90, 90, 170, 170, 0.8f, { { 0 } } }, /* in the middle of 250 x 250 */
        { 90, 90, 170, 170, 0.7f, { { 0 } } },
    };
    assert_int_equal(mien_face_pick(faces, 3, 250, 250, MIEN_PICK_LARGEST), 0);
    assert_int_equal(mien_face_pick(faces, 3, 250, 250, MIEN_PICK_CENTRAL), 1);
    assert_int_equal(mien_face_pick(faces, 0, 250, 250, MIEN_PICK_CENTRAL), 0);
}

static const mien__det_limits free_limits = { 0, 0, 12, 480 };

static void plan_vga_is_one_pass(void **state)
{
    (void)state;
    const mien_detect_opts o = MIEN_DETECT_OPTS_INIT;
    mien__det_pass p, c;
    mien__plan_main(&free_limits, &o, 640, 480, &p);
    assert_true(p.full_w == 640 && p.full_h == 480 && p.net_w == 640 && p.net_h == 480 && p.nx == 1 &&
                p.ny == 1);
    assert_false(mien__plan_coarse(&free_limits, &o, &p, 640, 480, &c));
    mien__plan_main(&free_limits, &o, 250, 250, &p);
    assert_true(p.full_w == 250 && p.net_w == 256 && p.net_h == 256);
    mien__plan_main(&free_limits, &o, 1, 1, &p);
    assert_true(p.full_w == 1 && p.net_w == 32 && p.net_h == 32);
}

static void plan_large_pictures_keep_small_and_large_faces(void **state)
{
    (void)state;
    const mien_detect_opts o = MIEN_DETECT_OPTS_INIT;
    static const int sizes[][2] = {
        { 4000, 3000 }, { 1600, 1200 }, { 12000, 9000 }, { 30000, 40 }, { 3000, 4000 }
    };
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        const int w = sizes[i][0], h = sizes[i][1];
        mien__det_pass p, c;
        mien__plan_main(&free_limits, &o, w, h, &p);
        assert_true(20.0 * p.full_w / w >= 11.9); /* the smallest face asked for stays reliable */
        assert_true(p.net_w <= 1600 && p.net_h <= 1600 && p.net_w % 32 == 0 && p.net_h % 32 == 0);
        for (int t = 0; t < p.nx; t++) { /* tiles cover the picture and overlap */
            const int x = mien__tile_start(p.full_w, p.net_w, p.nx, t);
            assert_true(x >= 0 && (p.nx == 1 || x + p.net_w <= p.full_w));
            if (t > 0)
                assert_true(mien__tile_start(p.full_w, p.net_w, p.nx, t - 1) + p.net_w - x >= 255);
        }
        if (p.nx > 1)
            assert_int_equal(mien__tile_start(p.full_w, p.net_w, p.nx, p.nx - 1) + p.net_w, p.full_w);
        const int shorter = w < h ? p.full_w : p.full_h;
        if (shorter > 480) {
            assert_true(mien__plan_coarse(&free_limits, &o, &p, w, h, &c));
            assert_in_range(c.full_w < c.full_h ? c.full_w : c.full_h, 100, 160);
            assert_true(c.net_w <= 2048 && c.net_h <= 2048);
        }
    }
}

static void plan_fixed_input_is_used_as_it_is(void **state)
{
    (void)state;
    const mien__det_limits l = { 640, 640, 12, 480 };
    mien_detect_opts o = MIEN_DETECT_OPTS_INIT;
    o.min_size_px = 0;
    mien__det_pass p, c;
    mien__plan_main(&l, &o, 1280, 960, &p);
    assert_true(p.full_w == 640 && p.full_h == 480 && p.net_w == 640 && p.net_h == 640 && p.nx == 1);
    o.min_size_px = 12;
    mien__plan_main(&l, &o, 1280, 960, &p);
    assert_true(p.full_w == 1280 && p.nx == 3 && p.ny == 2 && p.net_w == 640);
    assert_true(mien__plan_coarse(&l, &o, &p, 1280, 960, &c));
    assert_true(c.net_w == 640 && c.net_h == 640);
    o.two_scale = 0;
    assert_false(mien__plan_coarse(&l, &o, &p, 1280, 960, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yunet_row_decodes_to_box_and_landmarks),
        cmocka_unit_test(scrfd_second_anchor_decodes_to_distances),
        cmocka_unit_test(bind_missing_or_misshapen_output_is_refused),
        cmocka_unit_test(decode_hostile_numbers_give_no_face),
        cmocka_unit_test(decode_frame_maps_and_keeps_its_own),
        cmocka_unit_test(suppress_keeps_best_whatever_the_order),
        cmocka_unit_test(drop_parts_of_large_faces),
        cmocka_unit_test(pick_largest_and_central),
        cmocka_unit_test(plan_vga_is_one_pass),
        cmocka_unit_test(plan_large_pictures_keep_small_and_large_faces),
        cmocka_unit_test(plan_fixed_input_is_used_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
