/* Enrolling under the gate's reasons, fusing, merging, splitting, taking back. */
#include "gallery_fixtures.h"
#include "gallery/gallery.h"

static char last_name[1200];
static mien_person last;

static int remember(void *user, const mien_person *p)
{
    (void)user;
    last = *p;
    snprintf(last_name, sizeof last_name, "%s", p->name);
    return 0;
}

static size_t faces_of(mien_gallery *g, int64_t person)
{
    OK(mien_gallery_person(g, person, remember, NULL, err));
    return last.n_faces;
}

static const char *name_of(mien_gallery *g, int64_t person)
{
    OK(mien_gallery_person(g, person, remember, NULL, err));
    return last_name;
}

static int collect(void *user, const mien_gallery_face *f)
{
    int64_t **const at = user;
    *(*at)++ = f->id;
    return 0;
}

static void clean(mien_gallery *g)
{
    OK(mien_gallery_verify(g, NULL, NULL, NULL, NULL, err));
}

/* ---- reasons ---- */

static mien_enrolled enrol_with(mien_gallery *g, mien_enrolment e)
{
    mien_enrolled ret;
    OK(mien_gallery_enrol(g, &e, 1, &ret, err));
    return ret;
}

static void reasons_hold_and_force_overrides(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t ada = fixture_enrol(g, "Ada", 1, 0).person;
    float vec[DIM];
    uint8_t digest[32] = { 7 };
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    e.vec = vec;
    e.name = "Bea";
    e.other_threshold = 0.8;
    fixture_vec(1, 5, 0.3, vec); /* Ada's face under another name */
    mien_enrolled r = enrol_with(g, e);
    assert_int_equal(r.reason, MIEN_REASON_LOOKS_LIKE_ANOTHER_PERSON);
    assert_int_equal(r.other, ada);
    assert_true(r.similarity > 0.8);
    int64_t id = 0;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_find(g, "Bea", &id, err)); /* nothing was changed */
    e.force = 1;
    r = enrol_with(g, e);
    assert_int_equal(r.reason, MIEN_REASON_NONE);
    assert_int_equal(r.new_person, 1);
    e.force = 0;
    e.name = "Ada";
    e.image_digest = digest;
    e.other_threshold = 2;
    assert_int_equal(enrol_with(g, e).reason, MIEN_REASON_NONE);
    assert_int_equal(enrol_with(g, e).reason, MIEN_REASON_DUPLICATE_IMAGE);
    e.image_digest = NULL;
    e.unlike_threshold = 0.5;
    fixture_vec(2, 0, 0, vec);
    r = enrol_with(g, e);
    assert_int_equal(r.reason, MIEN_REASON_UNLIKE_THE_PERSON);
    assert_true(r.similarity < 0.5);
    e.name = NULL;
    e.person = 999;
    mien_enrolled none;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_enrol(g, &e, 1, &none, err));
    clean(g);
    mien_gallery_free(g);
}

/* Of faces that come together for a new person, the one unlike the others is refused, also when it comes
 * first. */
static void a_new_person_is_one_person(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    float vec[4][DIM];
    mien_enrolment e[4] = { MIEN_ENROLMENT_INIT, MIEN_ENROLMENT_INIT, MIEN_ENROLMENT_INIT,
                            MIEN_ENROLMENT_INIT };
    mien_enrolled r[4];
    static const char *const names[] = { "Ada", "Ada", "Bea", "Ada" };
    fixture_vec(9, 0, 0, vec[0]); /* somebody else */
    fixture_vec(1, 1, 0.3, vec[1]);
    fixture_vec(9, 1, 0.3, vec[2]); /* alone of its name: nothing to be unlike of */
    fixture_vec(1, 2, 0.3, vec[3]);
    for (int i = 0; i < 4; i++) {
        e[i].name = names[i];
        e[i].vec = vec[i];
        e[i].unlike_threshold = 0.5;
    }
    OK(mien_gallery_enrol(g, e, 4, r, err));
    assert_int_equal(r[0].reason, MIEN_REASON_UNLIKE_THE_PERSON);
    assert_true(r[0].similarity < 0.5);
    assert_int_equal(r[1].reason, MIEN_REASON_NONE);
    assert_int_equal(r[2].reason, MIEN_REASON_NONE);
    assert_int_equal(r[3].reason, MIEN_REASON_NONE);
    assert_int_equal(r[3].person, r[1].person);
    e[0].force = 1;
    OK(mien_gallery_enrol(g, e, 1, r, err));
    assert_int_equal(r[0].reason, MIEN_REASON_NONE);
    clean(g);
    mien_gallery_free(g);
}

/* Two new people in one call are compared with each other too; one bad item undoes the call. */
static void a_call_is_one_transaction(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    float vec[3][DIM];
    mien_enrolment e[3] = { MIEN_ENROLMENT_INIT, MIEN_ENROLMENT_INIT, MIEN_ENROLMENT_INIT };
    mien_enrolled r[3];
    static const char *const names[] = { "A", "B", "C" };
    for (int i = 0; i < 3; i++) {
        fixture_vec(i == 1 ? 0 : i, i, 0.2, vec[i]);
        e[i].name = names[i];
        e[i].vec = vec[i];
        e[i].other_threshold = 0.7;
    }
    OK(mien_gallery_enrol(g, e, 3, r, err));
    assert_int_equal(r[0].reason, MIEN_REASON_NONE);
    assert_int_equal(r[1].reason, MIEN_REASON_LOOKS_LIKE_ANOTHER_PERSON);
    assert_int_equal(r[1].other, r[0].person);
    assert_int_equal(r[2].reason, MIEN_REASON_NONE);
    mien_gallery_info before, after;
    OK(mien_gallery_info_of(g, &before, err));
    e[0].name = "D";
    e[0].force = 1;
    e[1].name = NULL;
    e[1].person = 12345; /* is not there */
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_enrol(g, e, 3, r, err));
    e[1].person = 0;
    FAILS(MIEN_E_ARG, mien_gallery_enrol(g, e, 3, r, err)); /* no name */
    OK(mien_gallery_info_of(g, &after, err));
    assert_memory_equal(&before, &after, sizeof before);
    clean(g);
    mien_gallery_free(g);
}

/* ---- fusing ---- */

static void fuse_leaves_out_a_stranger(void **state)
{
    (void)state;
    double scratch[2 * DIM], fit[9];
    float vecs[9][DIM], weights[9], vec[DIM], right[DIM];
    uint8_t out[9];
    for (int person = 0; person < 50; person++)
        for (size_t n = 3; n <= 6; n++) {
            fixture_vec(person, 0, 0, right);
            for (size_t i = 0; i < n; i++) {
                weights[i] = i == 1 ? 1.0f : 0.6f; /* the stranger's picture is the best one */
                fixture_vec(i == 1 ? person + 1000 : person, (int)i, 0.7, vecs[i]);
            }
            mien__fuse(&vecs[0][0], weights, n, DIM, scratch, vec, out, fit);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(out[i], i == 1);
            assert_true(mien_cosine(vec, right, DIM) > 0.8);
            assert_true(fit[1] < 0.45);
        }
}

static void fuse_keeps_what_belongs(void **state)
{
    (void)state;
    double scratch[2 * DIM], fit[9];
    float vecs[9][DIM], weights[9], vec[DIM];
    uint8_t out[9];
    int left_out = 0;
    for (int person = 0; person < 100; person++) {
        for (size_t i = 0; i < 6; i++) {
            weights[i] = 0.7f;
            fixture_vec(person, (int)i, 0.8, vecs[i]);
        }
        mien__fuse(&vecs[0][0], weights, 6, DIM, scratch, vec, out, fit);
        double norm = 0;
        for (int d = 0; d < DIM; d++)
            norm += (double)vec[d] * (double)vec[d];
        assert_true(fabs(norm - 1) < 1e-5);
        for (size_t i = 0; i < 6; i++)
            left_out += out[i];
    }
    assert_true(left_out <= 3);
    /* two that disagree: both stay, and fit says so */
    fixture_vec(1, 0, 0, vecs[0]);
    fixture_vec(2, 0, 0, vecs[1]);
    mien__fuse(&vecs[0][0], weights, 2, DIM, scratch, vec, out, fit);
    assert_int_equal(out[0] + out[1], 0);
    assert_true(fabs(fit[0] - mien_cosine(vecs[0], vecs[1], DIM)) < 1e-6);
    mien__fuse(&vecs[0][0], weights, 1, DIM, scratch, vec, out, fit);
    assert_true(fit[0] >= 1.0);
    for (int d = 0; d < DIM; d++) /* opposite ones have no direction in common: still a unit vector */
        vecs[1][d] = -vecs[0][d];
    mien__fuse(&vecs[0][0], weights, 2, DIM, scratch, vec, out, fit);
    assert_true(fabs(mien_cosine(vec, vecs[0], DIM)) > 0.99);
}

/* ---- merging and back ---- */

static void merge_is_taken_back(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        const int64_t a = fixture_enrol(g, "Ada", 1, 0).person, b = fixture_enrol(g, "Augusta", 1, 1).person;
        const mien_consent consent = { "door", "contract", 7, 4102444800000 };
        fixture_enrol(g, "Augusta", 1, 2);
        OK(mien_gallery_edit(g, b, NULL, "her note", &consent, err));
        float before_a[DIM], before_b[DIM], now[DIM];
        OK(mien_gallery_template(g, a, before_a, err));
        OK(mien_gallery_template(g, b, before_b, err));
        FAILS(MIEN_E_ARG, mien_gallery_merge(g, a, a, err));
        FAILS(MIEN_E_NOT_FOUND, mien_gallery_merge(g, a, 99, err));
        OK(mien_gallery_merge(g, a, b, err));
        assert_int_equal(faces_of(g, a), 3);
        FAILS(MIEN_E_NOT_FOUND, mien_gallery_person(g, b, remember, NULL, err));
        clean(g);
        char what[200];
        OK(mien_gallery_undo(g, what, sizeof what, err));
        assert_string_equal(what, "parted \"Augusta\" from \"Ada\" again");
        assert_int_equal(faces_of(g, a), 1);
        assert_int_equal(faces_of(g, b), 2);
        assert_string_equal(name_of(g, b), "Augusta");
        assert_int_equal(last.consent.expires_ms, 4102444800000);
        OK(mien_gallery_template(g, a, now, err));
        assert_memory_equal(now, before_a, sizeof now);
        OK(mien_gallery_template(g, b, now, err));
        assert_memory_equal(now, before_b, sizeof now);
        clean(g);
        FAILS(MIEN_E_NOT_FOUND, mien_gallery_undo(g, what, sizeof what, err));
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void renames_are_taken_back_in_order(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t a = fixture_enrol(g, "One", 1, 0).person, b = fixture_enrol(g, "Other", 2, 0).person;
    char what[200], small[8];
    OK(mien_gallery_edit(g, a, "Two", NULL, NULL, err));
    OK(mien_gallery_edit(g, a, NULL, "a note is not in the way", NULL, err));
    OK(mien_gallery_edit(g, a, "Three\nlines", NULL, NULL, err));
    OK(mien_gallery_undo(g, what, sizeof what, err));
    assert_string_equal(what, "named \"Three lines\" \"Two\" again");
    OK(mien_gallery_undo(g, small, sizeof small, err));
    assert_string_equal(small, "named \"");
    assert_string_equal(name_of(g, a), "One");
    /* a face more, and the rename before it is not undone under it */
    OK(mien_gallery_edit(g, a, "Four", NULL, NULL, err));
    fixture_enrol(g, "Four", 1, 1);
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_undo(g, what, sizeof what, err));
    /* the old name has been given away */
    OK(mien_gallery_edit(g, a, "Five", NULL, NULL, err));
    OK(mien_gallery_edit(g, b, "Four", NULL, NULL, err));
    OK(mien_gallery_undo(g, what, sizeof what, err));
    OK(mien_gallery_undo(g, what, sizeof what, err));
    assert_string_equal(name_of(g, a), "Four");
    assert_string_equal(name_of(g, b), "Other");
    clean(g);
    mien_gallery_free(g);
}

static void split_is_taken_back(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t a = fixture_enrol(g, "Twins", 1, 0).person;
    fixture_enrol(g, "Twins", 1, 1);
    fixture_enrol(g, "Twins", 2, 0);
    fixture_enrol(g, "Twins", 2, 1);
    int64_t ids[8], *at = ids, made = 0;
    OK(mien_gallery_faces(g, a, collect, &at, err));
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_split(g, a, (int64_t[]){ ids[2], 777 }, 2, "Bea", &made, err));
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_split(g, a, (int64_t[]){ ids[2], ids[2] }, 2, "Bea", &made, err));
    FAILS(MIEN_E_ARG, mien_gallery_split(g, a, ids + 2, 2, "Twins", &made, err));
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_find(g, "Bea", &made, err));
    OK(mien_gallery_split(g, a, ids + 2, 2, "Bea", &made, err));
    assert_int_equal(faces_of(g, a), 2);
    assert_int_equal(faces_of(g, made), 2);
    float probe[DIM];
    mien_candidate c;
    size_t n = 0;
    fixture_vec(2, 0, 0, probe);
    OK(mien_gallery_search(g, probe, 1, 1, &c, &n, err));
    assert_int_equal(c.person, made);
    clean(g);
    char what[200];
    OK(mien_gallery_undo(g, what, sizeof what, err));
    assert_string_equal(what, "gave 2 faces of \"Bea\" back to \"Twins\"");
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_person(g, made, remember, NULL, err));
    assert_int_equal(faces_of(g, a), 4);
    clean(g);
    mien_gallery_free(g);
}

/* The journal holds names of those who were merged away: they go with whom they became. */
static void a_removal_takes_the_journal_along(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        const int64_t a = fixture_enrol(g, "Countess of Lovelace", 1, 0).person;
        const int64_t b = fixture_enrol(g, "Augusta Ada King", 1, 1).person;
        OK(mien_gallery_edit(g, a, "Ada Lovelace, the first", NULL, NULL, err));
        OK(mien_gallery_merge(g, a, b, err));
        if (!key)
            assert_true(fixture_holds(f, "Augusta Ada King", 16));
        mien_receipt r;
        OK(mien_gallery_remove(g, a, 0, &r, err));
        assert_int_equal(r.verified, 1);
        static const char *const names[] = { "Augusta Ada King", "Countess of Lovelace",
                                             "Ada Lovelace, the first" };
        for (int i = 0; i < 3; i++)
            assert_false(fixture_holds(f, names[i], strlen(names[i])));
        char what[200];
        FAILS(MIEN_E_NOT_FOUND, mien_gallery_undo(g, what, sizeof what, err));
        clean(g);
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reasons_hold_and_force_overrides),  CASE(a_new_person_is_one_person),
        CASE(a_call_is_one_transaction),         CASE(fuse_leaves_out_a_stranger),
        CASE(fuse_keeps_what_belongs),           CASE(merge_is_taken_back),
        CASE(renames_are_taken_back_in_order),   CASE(split_is_taken_back),
        CASE(a_removal_takes_the_journal_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
