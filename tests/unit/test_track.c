/* Tracks of synthetic faces: who a face is hides in its score; templates are noisy axes of a space. */
#include "track/track.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = 32, FRAME_MS = 40 };

typedef struct world {
    mien__rng rng;
    double noise; /* of a look */
    int n_people; /* who are known: people 1..n */
    int liar;     /* person whom the next looks show in place of the real one; 0 */
    int lies;     /* how many */
    int looks, fail_at;
    double quality;
} world;

static world new_world(void)
{
    world w = { .noise = 0.5, .n_people = 8, .quality = 1 };
    mien__rng_seed(&w.rng, 11);
    return w;
}

static int who(const mien_face *f)
{
    return (int)(f->score * 100 + 0.5f);
}

static mien_face face_at(double cx, double cy, double size, int person)
{
    mien_face f = { (float)(cx - size / 2), (float)(cy - size / 2), (float)(cx + size / 2),
                    (float)(cy + size / 2), (float)person / 100,    { { 0 } } };
    static const double at[MIEN_LANDMARKS][2] = {
        { -.2, -.15 }, { .2, -.15 }, { 0, .05 }, { -.15, .25 }, { .15, .25 }
    };
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        f.landmarks[i][0] = (float)(cx + at[i][0] * size);
        f.landmarks[i][1] = (float)(cy + at[i][1] * size);
    }
    return f;
}

static mien_status look(void *user, const mien_face *face, float *ret_vec, double *ret_quality,
                        mien_error *err)
{
    world *const w = user;
    int person = who(face);
    if (++w->looks == w->fail_at)
        return mien__fail(err, MIEN_E_IO, "look %d fails", w->looks);
    *ret_quality = w->quality;
    if (!(w->quality > 0))
        return MIEN_OK;
    if (w->lies > 0)
        w->lies--, person = w->liar;
    double norm = 0;
    for (int i = 0; i < DIM; i++) {
        ret_vec[i] = (float)(w->noise * (2 * mien__rng_unit(&w->rng) - 1) / sqrt(DIM / 3.0));
        ret_vec[i] += i == person;
        norm += (double)ret_vec[i] * ret_vec[i];
    }
    for (int i = 0; i < DIM; i++)
        ret_vec[i] = (float)(ret_vec[i] / sqrt(norm));
    return MIEN_OK;
}

static mien_status identify(void *user, const float *vec, mien_track_candidate *ret, size_t *ret_n,
                            double *ret_threshold, mien_error *err)
{
    const world *const w = user;
    (void)err;
    *ret_threshold = 0.5;
    *ret_n = 0;
    for (int p = 1; p <= w->n_people; p++) { /* insertion into the best few */
        size_t at = *ret_n < MIEN_TRACK_CANDIDATES ? (*ret_n)++ : MIEN_TRACK_CANDIDATES;
        for (; at > 0 && ret[at - 1].similarity < (double)vec[p]; at--) {
            if (at < MIEN_TRACK_CANDIDATES)
                ret[at] = ret[at - 1];
        }
        if (at < MIEN_TRACK_CANDIDATES)
            ret[at] = (mien_track_candidate){ p, vec[p] };
    }
    return MIEN_OK;
}

static mien_tracker *new_tracker(world *w, void (*change)(mien_track_opts *))
{
    mien_tracker *t = NULL;
    mien_track_opts o;
    mien_track_opts_init(&o);
    o.dim = DIM;
    o.look = look;
    o.identify = identify;
    o.user = w;
    if (change)
        change(&o);
    assert_int_equal(mien_tracker_new(&o, &t, NULL), MIEN_OK);
    return t;
}

/* Everything said so far, one letter and the track, the person where there is one: "S1 R1=3 L1". */
static char story[4096];

static void listen_to(const mien_tracker *t)
{
    size_t n = 0;
    const mien_track_event *const e = mien_tracker_events(t, &n);
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(story);
        snprintf(story + len, sizeof story - len, "%s%c%d", len ? " " : "", "SRXL"[e[i].kind],
                 (int)e[i].track.id);
        if (e[i].kind == MIEN_TRACK_RECOGNISED)
            snprintf(story + strlen(story), sizeof story - strlen(story), "=%d", (int)e[i].track.person);
    }
}

static void step(mien_tracker *t, int frame, const mien_face *faces, size_t n)
{
    assert_int_equal(mien_tracker_step(t, (int64_t)frame * FRAME_MS, faces, n, NULL), MIEN_OK);
    listen_to(t);
}

static void finish(mien_tracker *t)
{
    mien_tracker_finish(t);
    listen_to(t);
    mien_tracker_free(t);
}

static const mien_face nobody[1];

/* ---- the parts ---- */

static double best_by_trying(const double *gain, int rows, int cols, int row, unsigned used)
{
    if (row == rows)
        return 0;
    double best = best_by_trying(gain, rows, cols, row + 1, used);
    for (int c = 0; c < cols; c++) {
        if (!(used >> c & 1)) {
            const double s = gain[row * cols + c] + best_by_trying(gain, rows, cols, row + 1, used | 1u << c);
            best = s > best ? s : best;
        }
    }
    return best;
}

static void assign_random_gains_gives_the_greatest_sum(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 3);
    for (int round = 0; round < 300; round++) {
        const int rows = 1 + (int)(mien__rng_u64(&rng) % 6), cols = 1 + (int)(mien__rng_u64(&rng) % 6);
        double gain[36], sum = 0;
        int pairs[6];
        unsigned used = 0;
        for (int i = 0; i < rows * cols; i++)
            gain[i] = mien__rng_unit(&rng) < 0.4 ? 0 : mien__rng_unit(&rng);
        mien__assign(gain, (size_t)rows, (size_t)cols, pairs);
        for (int r = 0; r < rows; r++) {
            if (pairs[r] < 0)
                continue;
            assert_true(pairs[r] < cols && !(used >> pairs[r] & 1));
            used |= 1u << pairs[r];
            assert_true(gain[r * cols + pairs[r]] > 0);
            sum += gain[r * cols + pairs[r]];
        }
        const double best = best_by_trying(gain, rows, cols, 0, 0);
        if (fabs(sum - best) > 1e-12)
            fail_msg("round %d: %g in place of %g", round, sum, best);
    }
}

static void motion_predict_of_a_steady_face_meets_it(void **state)
{
    (void)state;
    mien__motion m;
    mien_face f = face_at(100, 100, 50, 1);
    mien__motion_begin(&m, &f);
    for (int i = 1; i <= 25; i++) { /* 150 px/s to the right, 75 down */
        mien__motion_predict(&m, 0.04);
        f = face_at(100 + 6 * i, 100 + 3 * i, 50, 1);
        mien__motion_update(&m, &f);
    }
    mien__motion_predict(&m, 0.4);
    assert_true(fabs(m.x[0] - 310) < 4 && fabs(m.x[1] - 205) < 3);
    assert_true(fabs(m.v[0] - 150) < 5 && fabs(m.v[1] - 75) < 4);
    /* one prediction over 0.4 s is ten over 0.04 s */
    mien__motion a = m, b = m;
    mien__motion_predict(&a, 0.4);
    for (int i = 0; i < 10; i++)
        mien__motion_predict(&b, 0.04);
    assert_true(fabs(a.x[0] - b.x[0]) < 1e-9 && fabs(a.pxx[0] - b.pxx[0]) < 1e-6 * a.pxx[0]);
}

static void history_add_of_an_outlier_leaves_it_out(void **state)
{
    (void)state;
    float kept[MIEN__KEPT_LOOKS * 4] = { 0 }, fused[4], strange[4];
    mien__history h = { .kept = kept, .fused = fused, .strange = strange };
    static const float good[4] = { 1, 0, 0, 0 }, bad[4] = { 0, 1, 0, 0 };
    mien__history_add(&h, good, 0.5, 4, 0.2);
    mien__history_add(&h, bad, 0.5, 4, 0.2);
    assert_true(fabsf(fused[0] - fused[1]) < 1e-6f); /* of two nobody can tell */
    mien__history_add(&h, good, 0.4, 4, 0.2);
    assert_true(fabsf(fused[0] - 1) < 1e-6f && fabsf(fused[1]) < 1e-6f);
    for (int i = 0; i < 3 * MIEN__KEPT_LOOKS; i++)
        mien__history_add(&h, good, 0.9, 4, 0.2);
    assert_int_equal(h.n_kept, MIEN__KEPT_LOOKS);
    for (int i = 0; i < MIEN__KEPT_LOOKS; i++)
        assert_true(h.weights[i] > 0.8); /* the better ones took the places */
}

/* ---- stories ---- */

static void step_with_known_and_unknown_faces_names_and_says_so(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 50; i++) {
        const mien_face f[2] = { face_at(100 + 2 * i, 100, 60, 3), face_at(400, 200 + i, 50, 20) };
        step(t, i, f, 2);
        size_t n = 0;
        const mien_track *const k = mien_tracker_tracks(t, &n);
        assert_int_equal(n, i < 1 ? 0 : 2);
        if (i == 2) /* one look names nobody */
            assert_int_equal(k[0].state, MIEN_TRACK_NEW);
        if (i == 49) {
            assert_int_equal(k[0].state, MIEN_TRACK_KNOWN);
            assert_int_equal(k[0].person, 3);
            assert_true(k[0].similarity > 0.8 && k[0].best >= k[0].similarity && k[0].threshold > 0.49);
            assert_int_equal(k[1].state, MIEN_TRACK_UNKNOWN);
            assert_true(k[1].similarity < 0.5 && k[1].seen == 1 && k[1].first_ms == 0 &&
                        k[1].last_ms == 49 * FRAME_MS);
        }
    }
    assert_in_range(w.looks, 8, 16); /* of 100 faces shown */
    finish(t);
    assert_string_equal(story, "S1 S2 R1=3 X2 L1 L2");
}

static void step_with_crossing_boxes_keeps_the_names(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 80;
         i++) { /* two people walk through one another; in the middle only one is detected */
        const mien_face f[2] = { face_at(100 + 5 * i, 100, 60, 1), face_at(500 - 5 * i, 104, 60, 2) };
        const bool hidden = i > 35 && i < 45;
        step(t, i, f, hidden ? 1 : 2);
    }
    size_t n = 0;
    const mien_track *const k = mien_tracker_tracks(t, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(k[i].person, who(&k[i].face));
    finish(t);
    assert_string_equal(story, "S1 S2 R1=1 R2=2 L1 L2");
}

static void step_with_faces_that_change_places_exchanges_the_histories(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 150;
         i++) { /* from frame 60 on each box holds the other's face: as wrong as links can be */
        const mien_face f[2] = { face_at(100, 100, 60, i < 60 ? 1 : 2),
                                 face_at(300, 100, 60, i < 60 ? 2 : 1) };
        step(t, i, f, 2);
    }
    size_t n = 0;
    const mien_track *const k = mien_tracker_tracks(t, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(k[i].id, who(&k[i].face));
        assert_int_equal(k[i].person, who(&k[i].face));
    }
    finish(t);
    assert_string_equal(story, "S1 S2 R1=1 R2=2 L1 L2");
}

static void step_with_a_new_face_in_an_old_box_begins_a_new_track(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 150; i++) {
        const mien_face f = face_at(100, 100, 60, i < 60 ? 1 : 4);
        step(t, i, &f, 1);
    }
    finish(t);
    assert_string_equal(story, "S1 R1=1 S2 R2=4 L1 L2");
}

static void step_after_an_occlusion_goes_on_with_the_track(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 120; i++) { /* gone for 2 s, and back somewhere else */
        const mien_face f = face_at(i < 30 ? 100 : 500, 100, 60, 5);
        const bool hidden = i >= 30 && i < 80;
        step(t, i, hidden ? nobody : &f, hidden ? 0 : 1);
        size_t n = 0;
        (void)mien_tracker_tracks(t, &n);
        if (i == 60)
            assert_int_equal(n, 0);
        if (i == 32)
            assert_int_equal(n, 1); /* followed by its motion */
    }
    finish(t);
    assert_string_equal(story, "S1 R1=5 L1");
}

static void step_long_after_a_face_left_says_so_and_begins_anew(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 250; i++) {
        const mien_face f = face_at(100, 100, 60, 5);
        const bool hidden = i >= 30 && i < 200;
        step(t, i, hidden ? nobody : &f, hidden ? 0 : 1);
    }
    finish(t);
    assert_string_equal(story, "S1 R1=5 L1 S2 R2=5 L2");
}

static void step_with_one_wrong_look_keeps_the_name(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 200; i++) {
        const mien_face f = face_at(100, 100, 60 + 0.2 * i, 6);
        if (i == 60 || i == 120)
            w.liar = 7, w.lies = 1;
        step(t, i, &f, 1);
    }
    finish(t);
    assert_string_equal(story, "S1 R1=6 L1");
}

static void step_with_one_person_in_two_boxes_names_one(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 60; i++) { /* person 2 and a picture of them on the wall */
        const mien_face f[2] = { face_at(100, 100, 80, 2), face_at(400, 100, 40, 2) };
        step(t, i, f, 2);
        size_t n = 0;
        int named = 0;
        const mien_track *const k = mien_tracker_tracks(t, &n);
        for (size_t j = 0; j < n; j++)
            named += k[j].person == 2;
        assert_true(named <= 1);
    }
    size_t n = 0;
    const mien_track *const k = mien_tracker_tracks(t, &n);
    assert_int_equal((k[0].person == 2) + (k[1].person == 2), 1);
    finish(t);
}

static void small_gap(mien_track_opts *o)
{
    o->look_gap_ms = 0;
    o->refresh_ms = 0;
}

static void step_at_the_edge_of_the_threshold_does_not_flip(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, small_gap);
    int changes = 0;
    w.noise = 1.35; /* looks score about 0.6, and often under 0.5 */
    for (int i = 0; i < 400; i++) {
        const mien_face f = face_at(100, 100, 60, 3);
        size_t n = 0;
        assert_int_equal(mien_tracker_step(t, (int64_t)i * FRAME_MS, &f, 1, NULL), MIEN_OK);
        const mien_track_event *const e = mien_tracker_events(t, &n);
        for (size_t k = 0; k < n; k++) {
            changes += e[k].kind == MIEN_TRACK_RECOGNISED || e[k].kind == MIEN_TRACK_STRANGER;
            assert_true(e[k].kind != MIEN_TRACK_RECOGNISED || e[k].track.person == 3);
        }
    }
    assert_in_range(w.looks, 390, 400);
    assert_in_range(changes, 1, 2); /* named; perhaps after it was said that nobody is known */
    mien_tracker_free(t);
}

static void step_without_search_moves_tracks_on(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 100; i++) { /* every fifth frame is searched */
        const mien_face f = face_at(100 + 4 * i, 100, 60, 1);
        step(t, i, i % 5 ? NULL : &f, i % 5 ? 0 : 1);
        size_t n = 0;
        const mien_track *const k = mien_tracker_tracks(t, &n);
        if (i < 30)
            continue;
        assert_int_equal(n, 1);
        assert_true(fabs(0.5 * ((double)k[0].face.x0 + (double)k[0].face.x1) - (100 + 4 * i)) < 4);
        assert_int_equal(k[0].seen, i % 5 == 0);
    }
    finish(t);
    assert_string_equal(story, "S1 R1=1 L1");
}

static void step_without_looks_follows_alone(void **state)
{
    (void)state;
    mien_tracker *t = NULL;
    story[0] = '\0';
    assert_int_equal(mien_tracker_new(NULL, &t, NULL), MIEN_OK);
    for (int i = 0; i < 20; i++) {
        const mien_face f[2] = { face_at(100 + 3 * i, 100, 60, 1), face_at(300, 100, 8, 2) };
        step(t, i, f, 2);
    }
    finish(t);
    assert_string_equal(story, "S1 S2 L1 L2");
    /* a face that cannot be looked at, too small or too blurred, is announced too */
    world w = new_world();
    w.quality = 0;
    t = new_tracker(&w, NULL);
    story[0] = '\0';
    for (int i = 0; i < 20; i++) {
        const mien_face f[2] = { face_at(100 + 3 * i, 100, 60, 1), face_at(300, 100, 8, 2) };
        step(t, i, f, 2);
    }
    finish(t);
    assert_string_equal(story, "S1 S2 L1 L2");
}

static void few(mien_track_opts *o)
{
    o->max_tracks = 5;
    o->rejoin_ms = 60000;
}

static void step_with_more_faces_than_tracks_follows_some(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, few);
    mien__rng rng;
    mien__rng_seed(&rng, 5);
    size_t n = 0, seen = 0, left = 0;
    for (int i = 0; i < 600; i++) {
        mien_face f[300];
        const size_t faces = mien__rng_u64(&rng) % (i % 50 == 0 ? 300 : 9);
        for (size_t j = 0; j < faces; j++)
            f[j] = face_at(mien__rng_unit(&rng) * 900, mien__rng_unit(&rng) * 600,
                           30 + mien__rng_unit(&rng) * 90, 1 + (int)(mien__rng_u64(&rng) % 20));
        const uint64_t before = mien__alloc_count();
        assert_int_equal(mien_tracker_step(t, (int64_t)i * FRAME_MS, faces ? f : nobody, faces, NULL),
                         MIEN_OK);
        assert_true(mien__alloc_count() == before);
        (void)mien_tracker_tracks(t, &n);
        assert_true(n <= 5);
        const mien_track_event *const e = mien_tracker_events(t, &n);
        for (size_t k = 0; k < n; k++)
            seen += e[k].kind == MIEN_TRACK_SEEN, left += e[k].kind == MIEN_TRACK_LEFT;
    }
    mien_tracker_finish(t);
    const mien_track_event *const e = mien_tracker_events(t, &n);
    for (size_t k = 0; k < n; k++)
        left += e[k].kind == MIEN_TRACK_LEFT;
    assert_true(seen > 20);
    assert_int_equal(seen, left); /* who came, left */
    mien_tracker_free(t);
}

static void step_whose_look_fails_returns_it_and_goes_on(void **state)
{
    (void)state;
    world w = new_world();
    mien_tracker *const t = new_tracker(&w, NULL);
    int failures = 0;
    w.fail_at = 2;
    story[0] = '\0';
    for (int i = 0; i < 50; i++) {
        const mien_face f = face_at(100, 100, 60, 1);
        mien_error err = MIEN_ERROR_INIT;
        const mien_status st = mien_tracker_step(t, (int64_t)i * FRAME_MS, &f, 1, &err);
        failures += st == MIEN_E_IO && !strcmp(err.message, "look 2 fails");
        listen_to(t);
    }
    assert_int_equal(failures, 1);
    finish(t);
    assert_string_equal(story, "S1 R1=1 L1");
}

static void step_twice_gives_the_same_story(void **state)
{
    (void)state;
    char first[sizeof story];
    for (int round = 0; round < 2; round++) {
        world w = new_world();
        mien__rng rng;
        mien_tracker *const t = new_tracker(&w, NULL);
        mien__rng_seed(&rng, 9);
        story[0] = '\0';
        for (int i = 0; i < 300; i++) {
            mien_face f[4];
            for (int j = 0; j < 4; j++)
                f[j] = face_at(100 + 150 * j + 90 * sin(i * 0.05 + j) + 3 * mien__rng_unit(&rng), 100, 60,
                               1 + j);
            step(t, i, f, 1 + mien__rng_u64(&rng) % 4);
        }
        finish(t);
        if (round == 0)
            memcpy(first, story, sizeof first);
    }
    assert_string_equal(first, story);
    assert_true(strlen(story) > 40);
}

static void tracker_with_bad_arguments_returns_arg(void **state)
{
    (void)state;
    mien_tracker *t = NULL;
    mien_track_opts o;
    mien_track_opts_init(&o);
    o.dim = 8; /* without look() */
    assert_int_equal(mien_tracker_new(&o, &t, NULL), MIEN_E_ARG);
    assert_null(t);
    assert_int_equal(mien_tracker_new(NULL, &t, NULL), MIEN_OK);
    mien_face f = face_at(10, 10, 5, 1);
    assert_int_equal(mien_tracker_step(t, 100, &f, 1, NULL), MIEN_OK);
    assert_int_equal(mien_tracker_step(t, 99, &f, 1, NULL), MIEN_E_ARG);
    f.x0 = NAN;
    assert_int_equal(mien_tracker_step(t, 101, &f, 1, NULL), MIEN_E_ARG);
    assert_int_equal(mien_tracker_step(t, 101, NULL, 1, NULL), MIEN_E_ARG);
    mien_tracker_free(t);
    mien_tracker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assign_random_gains_gives_the_greatest_sum),
        cmocka_unit_test(motion_predict_of_a_steady_face_meets_it),
        cmocka_unit_test(history_add_of_an_outlier_leaves_it_out),
        cmocka_unit_test(step_with_known_and_unknown_faces_names_and_says_so),
        cmocka_unit_test(step_with_crossing_boxes_keeps_the_names),
        cmocka_unit_test(step_with_faces_that_change_places_exchanges_the_histories),
        cmocka_unit_test(step_with_a_new_face_in_an_old_box_begins_a_new_track),
        cmocka_unit_test(step_after_an_occlusion_goes_on_with_the_track),
        cmocka_unit_test(step_long_after_a_face_left_says_so_and_begins_anew),
        cmocka_unit_test(step_with_one_wrong_look_keeps_the_name),
        cmocka_unit_test(step_with_one_person_in_two_boxes_names_one),
        cmocka_unit_test(step_at_the_edge_of_the_threshold_does_not_flip),
        cmocka_unit_test(step_without_search_moves_tracks_on),
        cmocka_unit_test(step_without_looks_follows_alone),
        cmocka_unit_test(step_with_more_faces_than_tracks_follows_some),
        cmocka_unit_test(step_whose_look_fails_returns_it_and_goes_on),
        cmocka_unit_test(step_twice_gives_the_same_story),
        cmocka_unit_test(tracker_with_bad_arguments_returns_arg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
