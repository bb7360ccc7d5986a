/* The detector's loss: gradients against central differences, assignment on cases that can be told by hand.
 */
#include "train/detect_loss.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

enum { SIDE = 64, BATCH = 2, POINTS = 64 + 16 + 4 };

/* Twelve maps with memory of their own. */
typedef struct maps {
    float *v[MIEN__DET_MAPS];
    size_t count[MIEN__DET_MAPS];
} maps;

static maps maps_new(int n, int side)
{
    maps m;
    for (int i = 0; i < MIEN__DET_MAPS; i++) {
        const int cells = (side >> (3 + i % 3)) * (side >> (3 + i % 3));
        m.count[i] = (size_t)(n * mien__det_map_channels((mien__det_kind)(i / 3)) * cells);
        m.v[i] = calloc(m.count[i], sizeof(float));
        assert_non_null(m.v[i]);
    }
    return m;
}

static void maps_free(maps *m)
{
    for (int i = 0; i < MIEN__DET_MAPS; i++)
        free(m->v[i]);
}

static mien__det_maps view(const maps *m, int n, int side)
{
    mien__det_maps v = { n, side, side, { NULL } };
    for (int i = 0; i < MIEN__DET_MAPS; i++)
        v.map[i] = m->v[i];
    return v;
}

static void fill(maps *m, uint64_t seed, bool probabilities)
{
    mien__rng r;
    mien__rng_seed(&r, seed);
    for (int i = 0; i < MIEN__DET_MAPS; i++)
        for (size_t k = 0; k < m->count[i]; k++) {
            const double u = mien__rng_unit(&r);
            m->v[i][k] = (float)(i >= 6 ? 3 * u - 1 : probabilities ? u : 6 * u - 3);
        }
}

static mien__truth truth(float x, float y, float w, float h)
{
    mien__truth t = { { x, y, x + w, y + h, 1, { { 0 } } }, 1, false };
    static const float at[MIEN_LANDMARKS][2] = {
        { 0.3f, 0.4f }, { 0.7f, 0.4f }, { 0.5f, 0.6f }, { 0.35f, 0.8f }, { 0.65f, 0.8f }
    };
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        t.face.landmarks[i][0] = x + w * at[i][0];
        t.face.landmarks[i][1] = y + h * at[i][1];
    }
    return t;
}

static const mien__truth none[1];

/* The terms that a kind of map has a gradient of: targets made from the student's boxes count as constants.
 */
static double part(const mien__det_loss_parts *p, int kind)
{
    switch (kind) {
    case MIEN__DET_CLS:
        return p->truth_cls + p->teach_cls;
    case MIEN__DET_OBJ:
        return p->truth_obj + p->teach_obj;
    case MIEN__DET_BOX:
        return p->truth_box + p->teach_box;
    default:
        return p->truth_kps + p->teach_kps;
    }
}

static mien__det_loss_parts run(const mien__det_loss_opts *o, const maps *s, const maps *t, bool with_truth,
                                maps *d)
{
    static const float places[2][4] = { { 8, 6, 30, 38 }, { 30, 20, 12, 14 } };
    mien__truth first[3];
    for (int i = 0; i < 2; i++)
        first[i] = truth(places[i][0], places[i][1], places[i][2], places[i][3]);
    first[2] = truth(44, 44, 20, 20);
    first[2].ignore = true;
    const mien__truth second[1] = { truth(-10, 25, 34, 30) };
    const mien__truth *const lists[BATCH] = { first, second };
    const size_t n[BATCH] = { 3, 1 };
    const mien__det_maps student = view(s, BATCH, SIDE);
    mien__det_maps teacher = { 0 };
    if (t)
        teacher = view(t, BATCH, SIDE);
    void *const scratch = malloc(mien__det_loss_scratch(BATCH, SIDE, SIDE));
    mien__det_loss_parts parts;
    mien__det_loss(o, &student, t ? &teacher : NULL, with_truth ? lists : NULL, with_truth ? n : NULL, d->v,
                   &parts, scratch);
    free(scratch);
    return parts;
}

static void check_gradient(const mien__det_loss_opts *o, bool teach, bool with_truth)
{
    maps s = maps_new(BATCH, SIDE), t = maps_new(BATCH, SIDE), d = maps_new(BATCH, SIDE),
         unused = maps_new(BATCH, SIDE);
    fill(&s, 11, false);
    fill(&t, 12, true);
    const mien__det_loss_parts p = run(o, &s, teach ? &t : NULL, with_truth, &d);
    assert_true(p.total > 0 && isfinite(p.total));
    assert_true(!with_truth || p.positives >= 3);
    mien__rng r;
    mien__rng_seed(&r, 13);
    int checked = 0;
    for (int i = 0; i < MIEN__DET_MAPS; i++)
        for (size_t k = 0; k < s.count[i]; k++) {
            const float was = s.v[i][k], g = d.v[i][k];
            if (fabsf(g) < 1e-7f && mien__rng_unit(&r) > 0.1) /* most are background's geometry */
                continue;
            const float up = was + 0x1p-13f, down = was - 0x1p-13f;
            s.v[i][k] = up;
            const mien__det_loss_parts above = run(o, &s, teach ? &t : NULL, with_truth, &unused);
            s.v[i][k] = down;
            const mien__det_loss_parts below = run(o, &s, teach ? &t : NULL, with_truth, &unused);
            s.v[i][k] = was;
            const double want = (part(&above, i / 3) - part(&below, i / 3)) / ((double)up - (double)down);
            /* kinks of smooth L1 and of boxes' ends, where a step straddles one: its size times the slope's
             * jump */
            const double bound = 1e-3 * fabs(want) + 1e-6;
            if (fabs((double)g - want) > bound)
                fail_msg("map %d value %zu: gradient %g, difference %g", i, k, (double)g, want);
            checked += fabsf(g) > 1e-6f;
        }
    assert_true(checked > 100);
    maps_free(&s);
    maps_free(&t);
    maps_free(&d);
    maps_free(&unused);
}

static void loss_of_truth_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    mien__det_loss_opts o = MIEN__DET_LOSS_OPTS_INIT;
    check_gradient(&o, false, true);
    o.focal = 0;
    check_gradient(&o, false, true);
}

static void loss_of_teacher_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    mien__det_loss_opts o = MIEN__DET_LOSS_OPTS_INIT;
    o.teach_box = o.teach_kps = 30; /* thin against the sum of scores */
    check_gradient(&o, true, false);
}

static void loss_of_both_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    const mien__det_loss_opts o = MIEN__DET_LOSS_OPTS_INIT;
    check_gradient(&o, true, true);
}

static void eiou_gradient_is_that_of_differences(void **state)
{
    (void)state;
    static const mien__det_box boxes[][2] = {
        { { 10, 10, 8, 6 }, { 12, 9, 7, 9 } },      /* overlapping */
        { { 10, 10, 4, 4 }, { 30, 22, 6, 5 } },     /* apart */
        { { 10, 10, 4, 4 }, { 11, 10.5, 20, 18 } }, /* within */
        { { 10, 10, 40, 30 }, { 12, 9, 7, 9 } },    /* around */
    };
    for (size_t i = 0; i < MIEN_COUNTOF(boxes); i++) {
        double d[4], unused[4];
        mien__det_eiou(&boxes[i][0], &boxes[i][1], d);
        for (int k = 0; k < 4; k++) {
            mien__det_box up = boxes[i][0], down = up;
            double *const u[4] = { &up.cx, &up.cy, &up.w, &up.h }, *const w[4] = { &down.cx, &down.cy,
                                                                                   &down.w, &down.h };
            *u[k] += 1e-5;
            *w[k] -= 1e-5;
            const double want =
                (mien__det_eiou(&up, &boxes[i][1], unused) - mien__det_eiou(&down, &boxes[i][1], unused)) /
                2e-5;
            assert_true(fabs(d[k] - want) < 1e-8 + 1e-7 * fabs(want));
        }
    }
    double d[4];
    assert_true(fabs(mien__det_eiou(&boxes[0][0], &boxes[0][0], d)) < 1e-15);
}

/* Make every anchor point of a picture predict the face exactly. */
static void predict(maps *m, int image, int side, const mien_face *f)
{
    for (int level = 0; level < 3; level++) {
        const int s = 8 << level, cols = side / s, cells = cols * cols;
        float *const box = m->v[6 + level] + image * 4 * cells, *const kps =
                                                                    m->v[9 + level] + image * 10 * cells;
        for (int c = 0; c < cells; c++) {
            const float origin[2] = { (float)(c % cols), (float)(c / cols) };
            box[c] = (f->x0 + f->x1) / 2 / (float)s - origin[0];
            box[cells + c] = (f->y0 + f->y1) / 2 / (float)s - origin[1];
            box[2 * cells + c] = logf((f->x1 - f->x0) / (float)s);
            box[3 * cells + c] = logf((f->y1 - f->y0) / (float)s);
            for (int k = 0; k < 10; k++)
                kps[k * cells + c] = f->landmarks[k / 2][k % 2] / (float)s - origin[k % 2];
        }
    }
}

static void loss_of_a_perfect_prediction_is_nothing(void **state)
{
    (void)state;
    const mien__truth t = truth(12, 10, 30, 40);
    maps s = maps_new(1, SIDE), d = maps_new(1, SIDE);
    predict(&s, 0, SIDE, &t.face);
    for (int i = 0; i < 6; i++)
        for (size_t k = 0; k < s.count[i]; k++)
            s.v[i][k] = i < 3 ? 20.0f : -20.0f;
    const mien__det_maps student = view(&s, 1, SIDE);
    int16_t target[POINTS];
    float cost[POINTS];
    assert_int_equal(mien__det_assign(&student, 0, &t, 1, target, cost), 10);
    for (int level = 0, p = 0; level < 3; level++)
        for (size_t k = 0; k < s.count[3 + level]; k++, p++)
            if (target[p] >= 0)
                s.v[3 + level][k] = 20;
    const mien__truth *const lists[1] = { &t };
    const size_t n = 1;
    const mien__det_loss_opts o = MIEN__DET_LOSS_OPTS_INIT;
    mien__det_loss_parts parts;
    void *const scratch = malloc(mien__det_loss_scratch(1, SIDE, SIDE));
    mien__det_loss(&o, &student, NULL, lists, &n, d.v, &parts, scratch);
    assert_int_equal(parts.positives, 10);
    assert_true(parts.truth_box < 1e-5 && parts.truth_kps < 1e-5);
    assert_true(parts.truth_obj < 1e-5 && parts.truth_cls < 1e-5);
    /* a teacher of the same mind adds nothing; of the student's own outputs */
    maps same = maps_new(1, SIDE);
    for (int i = 0; i < MIEN__DET_MAPS; i++)
        for (size_t k = 0; k < s.count[i]; k++)
            same.v[i][k] = i < 6 ? (s.v[i][k] > 0 ? 1.0f : 0.0f) : s.v[i][k];
    const mien__det_maps teacher = view(&same, 1, SIDE);
    mien__det_loss(&o, &student, &teacher, lists, &n, d.v, &parts, scratch);
    assert_true(parts.mass >= 10 && parts.total < 1e-4);
    free(scratch);
    maps_free(&s);
    maps_free(&d);
    maps_free(&same);
}

static void assign_of_hopeless_boxes_takes_one_point_near_the_centre(void **state)
{
    (void)state;
    maps s = maps_new(1, SIDE); /* all boxes are one stride wide: overlaps are small */
    const mien__det_maps student = view(&s, 1, SIDE);
    const mien__truth t = truth(0, 0, 60, 60);
    int16_t target[POINTS];
    float cost[POINTS];
    assert_int_equal(mien__det_assign(&student, 0, &t, 1, target, cost), 1);
    for (int p = 0; p < POINTS; p++)
        assert_true(target[p] == 0 ? p >= 80
                                   : target[p] == MIEN__ANCHOR_NEAR || target[p] == MIEN__ANCHOR_NONE);
    maps_free(&s);
}

static void assign_gives_no_point_to_two_faces_and_none_to_an_ignored_one(void **state)
{
    (void)state;
    maps s = maps_new(1, SIDE);
    mien__truth t[3] = { truth(4, 4, 40, 40), truth(8, 8, 40, 40), truth(2, 40, 20, 20) };
    t[2].ignore = true;
    predict(&s, 0, SIDE, &t[1].face);
    const mien__det_maps student = view(&s, 1, SIDE);
    int16_t target[POINTS];
    float cost[POINTS];
    const int n = mien__det_assign(&student, 0, t, 3, target, cost);
    int of[3] = { 0 }, ignored = 0;
    for (int p = 0; p < POINTS; p++) {
        if (target[p] >= 0)
            of[target[p]]++;
        ignored += target[p] == MIEN__ANCHOR_IGNORED;
    }
    assert_int_equal(of[0] + of[1], n);
    assert_int_equal(of[2], 0);
    assert_true(of[1] == 10); /* its own exact boxes are cheaper for it than for the other */
    /* of the ignored face's points, those of stride 8 between 2..22 x 40..60 at least */
    assert_true(ignored >= 4);
    assert_int_equal(target[6 * 8 + 1], MIEN__ANCHOR_IGNORED);
    assert_int_equal(target[0 * 8 + 7], MIEN__ANCHOR_NONE);
    maps_free(&s);
}

static void assign_of_a_tiny_face_finds_a_point_on_the_finest_stride(void **state)
{
    (void)state;
    maps s = maps_new(1, SIDE);
    const mien__truth t = truth(41, 25, 6, 6);
    predict(&s, 0, SIDE, &t.face);
    for (size_t k = 0; k < s.count[7]; k++) /* coarser strides predict badly */
        s.v[7][k] += 3;
    for (size_t k = 0; k < s.count[8]; k++)
        s.v[8][k] += 3;
    const mien__det_maps student = view(&s, 1, SIDE);
    int16_t target[POINTS];
    float cost[POINTS];
    assert_true(mien__det_assign(&student, 0, &t, 1, target, cost) >= 1);
    assert_int_equal(target[3 * 8 + 5], 0); /* the cell that holds (44, 28) */
    for (int p = 64; p < POINTS; p++)
        assert_true(target[p] < 0);
    maps_free(&s);
}

static void loss_believes_the_truth_where_the_teacher_disagrees(void **state)
{
    (void)state;
    maps s = maps_new(1, SIDE), t = maps_new(1, SIDE), d = maps_new(1, SIDE);
    for (size_t k = 0; k < t.count[3]; k++) /* the teacher sees faces everywhere, the truth none */
        t.v[0][k] = t.v[3][k] = 0.9f;
    const mien__det_maps student = view(&s, 1, SIDE), teacher = view(&t, 1, SIDE);
    const mien__truth *const lists[1] = { none };
    const size_t n = 0;
    mien__det_loss_opts o = MIEN__DET_LOSS_OPTS_INIT;
    mien__det_loss_parts parts;
    void *const scratch = malloc(mien__det_loss_scratch(1, SIDE, SIDE));
    mien__det_loss(&o, &student, &teacher, lists, &n, d.v, &parts, scratch);
    assert_true(parts.teach_box + parts.teach_cls < 1e-12);
    assert_true(d.v[3][10] > 0); /* down with it */
    o.disagree = 1;
    mien__det_loss(&o, &student, &teacher, lists, &n, d.v, &parts, scratch);
    assert_true(parts.teach_cls > 0.1);
    free(scratch);
    maps_free(&s);
    maps_free(&t);
    maps_free(&d);
}

static void maps_fill_turns_rows_into_planes(void **state)
{
    (void)state;
    float rows[4][16 * 10];
    mien__det_level levels[MIEN__DET_LEVELS];
    for (int kind = 0; kind < 4; kind++)
        for (int i = 0; i < 160; i++)
            rows[kind][i] = (float)(1000 * kind + i);
    for (int i = 0; i < 3; i++)
        levels[i] = (mien__det_level){ 8 << i, 4 >> i, 4 >> i, rows[0], rows[1], rows[2], rows[3] };
    maps m = maps_new(2, 32);
    mien__det_maps_fill(levels, 1, m.v);
    assert_true(m.v[0][15] <= 0 && m.v[0][16 + 5] >= 5 && m.v[0][16 + 5] <= 5);
    const float box = m.v[6][4 * 16 + 2 * 16 + 7],
                kps = m.v[11][10 + 9]; /* channel 2 cell 7; channel 9 cell 0 */
    assert_int_equal((int)box, 2000 + 7 * 4 + 2);
    assert_int_equal((int)kps, 3000 + 9);
    maps_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_of_truth_has_the_gradient_of_its_differences),
        cmocka_unit_test(loss_of_teacher_has_the_gradient_of_its_differences),
        cmocka_unit_test(loss_of_both_has_the_gradient_of_its_differences),
        cmocka_unit_test(eiou_gradient_is_that_of_differences),
        cmocka_unit_test(loss_of_a_perfect_prediction_is_nothing),
        cmocka_unit_test(assign_of_hopeless_boxes_takes_one_point_near_the_centre),
        cmocka_unit_test(assign_gives_no_point_to_two_faces_and_none_to_an_ignored_one),
        cmocka_unit_test(assign_of_a_tiny_face_finds_a_point_on_the_finest_stride),
        cmocka_unit_test(loss_believes_the_truth_where_the_teacher_disagrees),
        cmocka_unit_test(maps_fill_turns_rows_into_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
