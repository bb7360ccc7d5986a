/* Removing: what must be gone is gone from every file, what others have is left alone, and a removed person
 * who asked for it stays out. */
#include "gallery_fixtures.h"
#include "gallery/scrub.h"

/* A JPEG in form, with a body that no other picture has. */
static size_t fake_jpeg(int seed, uint8_t *ret, size_t bytes)
{
    mien__rng rng;
    mien__rng_seed(&rng, (uint64_t)seed);
    static const uint8_t head[] = { 0xff, 0xd8, 0xff, 0xda, 0, 2 };
    memcpy(ret, head, sizeof head);
    for (size_t i = sizeof head; i < bytes - 2; i++)
        ret[i] = (uint8_t)(mien__rng_u64(&rng) % 255);
    ret[bytes - 2] = 0xff;
    ret[bytes - 1] = 0xd9;
    return bytes;
}

typedef struct made {
    int64_t person;
    char name[64], source[64], note[64];
    float vec[3][DIM];
    uint8_t image[20000];
} made;

static void make(mien_gallery *g, int number, bool image, made *ret)
{
    ret->person = 0;
    snprintf(ret->name, sizeof ret->name, "Somebody Number %d", number);
    snprintf(ret->source, sizeof ret->source, "folder/of/everybody/picture-%d.jpg", number);
    snprintf(ret->note, sizeof ret->note, "a note on %d", number);
    fake_jpeg(number, ret->image, sizeof ret->image);
    for (int i = 0; i < 3; i++) {
        const mien_consent consent = { "the same purpose for all", "consent", 1, 0 };
        mien_enrolment e = MIEN_ENROLMENT_INIT;
        mien_enrolled done;
        fixture_vec(number, i, 0.3, ret->vec[i]);
        e.name = ret->name;
        e.vec = ret->vec[i];
        e.source = ret->source;
        e.note = ret->note;
        e.consent = &consent;
        if (image && i == 0) {
            e.image = ret->image;
            e.image_bytes = sizeof ret->image;
        }
        OK(mien_gallery_enrol(g, &e, 1, &done, err));
        assert_int_equal(done.reason, MIEN_REASON_NONE);
        ret->person = done.person;
    }
}

static bool template_is_there(const fixture *f, const float *vec)
{
    uint16_t halves[DIM];
    for (int i = 0; i < DIM; i++)
        halves[i] = mien__float_to_half(vec[i]);
    for (int i = 0; i + 8 <= DIM; i += 4)
        if (fixture_holds(f, halves + i, 16))
            return true;
    return fixture_holds(f, vec, 16) || fixture_holds(f, vec + DIM / 2, 16);
}

static void nothing_is_left(void **state)
{
    const fixture *const f = *state;
    static made people[12];
    for (int key = 0; key < 2; key++) {
        mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        for (int i = 0; i < 12; i++)
            make(g, i, i % 2 == 0, &people[i]);
        if (!key) { /* the search below would find them */
            assert_true(fixture_holds(f, people[4].name, strlen(people[4].name)));
            assert_true(template_is_there(f, people[4].vec[1]));
            assert_true(fixture_holds(f, people[4].image + 5000, 64));
        }
        mien_receipt r;
        OK(mien_gallery_remove(g, people[4].person, 0, &r, err));
        assert_int_equal(r.verified, 1);
        assert_int_equal(r.n_faces, 3);
        assert_int_equal(r.n_templates, 4);
        assert_int_equal(r.n_images, 1);
        assert_int_equal(r.key_destroyed, key);
        assert_true(r.bytes_searched > 100000);
        assert_false(fixture_holds(f, people[4].name, strlen(people[4].name)));
        assert_false(fixture_holds(f, people[4].source + 11, strlen(people[4].source) - 11));
        assert_false(fixture_holds(f, people[4].note, strlen(people[4].note)));
        for (int i = 0; i < 3; i++)
            assert_false(template_is_there(f, people[4].vec[i]));
        for (size_t at = 0; at + 16 <= sizeof people[4].image; at += 500)
            assert_false(fixture_holds(f, people[4].image + 6 + at, 16));
        int64_t id = 0;
        FAILS(MIEN_E_NOT_FOUND, mien_gallery_find(g, people[4].name, &id, err));
        OK(mien_gallery_find(g, people[5].name, &id, err)); /* the others are as they were */
        mien_gallery_info info;
        OK(mien_gallery_info_of(g, &info, err));
        assert_int_equal(info.n_people, 11);
        assert_int_equal(info.n_faces, 33);
        assert_int_equal(info.n_images, 5);
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

/* What others hold for reasons of their own is not what was removed. */
static void shared_bytes_are_explained(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    static uint8_t image[20000];
    float vec[DIM];
    mien_enrolled done[2];
    fake_jpeg(1, image, sizeof image);
    fixture_vec(1, 0, 0, vec);
    for (int i = 0; i < 2; i++) { /* a group picture, one template twice, a name within a name */
        mien_enrolment e = MIEN_ENROLMENT_INIT;
        e.name = i ? "Annabel Lee of the Sea" : "Annabel Lee";
        e.vec = vec;
        e.source = "group.jpg";
        e.note = "a member of the club since 1999";
        e.image = image;
        e.image_bytes = sizeof image;
        OK(mien_gallery_enrol(g, &e, 1, &done[i], err));
    }
    mien_receipt r;
    OK(mien_gallery_remove(g, done[0].person, 0, &r, err));
    assert_int_equal(r.verified, 1);
    assert_true(fixture_holds(f, image + 7000, 64)); /* Annabel Lee of the Sea keeps hers */
    OK(mien_gallery_remove(g, done[1].person, 0, &r, err));
    assert_int_equal(r.verified, 1);
    assert_false(fixture_holds(f, image + 7000, 64));
    mien_gallery_free(g);
}

/* The search finds what it is to find: bytes smuggled into the file by hand. */
static void a_remnant_is_found(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    made *const m = calloc(1, sizeof *m);
    mien_receipt r;
    for (int offset = 0; offset < 8; offset++) {
        uint16_t halves[DIM];
        char smuggled[64] = "";
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;
        make(g, offset + 1, false, m);
        for (int i = 0; i < DIM; i++)
            halves[i] = mien__float_to_half(m->vec[2][i]);
        memcpy(smuggled + offset, (const char *)halves + 37, 15);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(
            sqlite3_prepare_v2(db, "insert or replace into text values ('x', ?1)", -1, &stmt, NULL),
            SQLITE_OK);
        sqlite3_bind_blob(stmt, 1, smuggled, sizeof smuggled, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
        OK(mien_gallery_remove(g, m->person, 0, &r, err));
        assert_int_equal(r.verified, 0);
    }
    free(m);
    mien_gallery_free(g);
}

static void do_not_enrol_keeps_out(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        made *const m = calloc(1, sizeof *m);
        mien_receipt r;
        make(g, 1, false, m);
        make(g, 2, false, m);
        OK(mien_gallery_remove(g, 1, 1, &r, err));
        assert_int_equal(r.do_not_enrol, 1);
        assert_int_equal(r.verified, 1);
        mien_enrolment e = MIEN_ENROLMENT_INIT;
        mien_enrolled done;
        float vec[DIM];
        e.vec = vec;
        e.force = 1;
        fixture_vec(3, 0, 0, vec); /* the name with another face */
        e.name = "Somebody Number 1";
        OK(mien_gallery_enrol(g, &e, 1, &done, err));
        assert_int_equal(done.reason, MIEN_REASON_DO_NOT_ENROL);
        fixture_vec(1, 7, 0.3, vec); /* the face under another name */
        e.name = "Nobody";
        OK(mien_gallery_enrol(g, &e, 1, &done, err));
        assert_int_equal(done.reason, MIEN_REASON_DO_NOT_ENROL);
        assert_int_equal(done.person, 0);
        fixture_vec(3, 0, 0, vec);
        OK(mien_gallery_enrol(g, &e, 1, &done, err));
        assert_int_equal(done.reason, MIEN_REASON_NONE);
        mien_gallery_info info;
        OK(mien_gallery_info_of(g, &info, err));
        assert_int_equal(info.n_do_not_enrol, 1);
        free(m);
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void one_face_goes(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const mien_enrolled a = fixture_enrol(g, "Ada", 1, 0), b = fixture_enrol(g, "Ada", 1, 1);
    mien_receipt r;
    float with_both[DIM], left[DIM];
    OK(mien_gallery_template(g, a.person, with_both, err));
    OK(mien_gallery_remove_face(g, a.face, &r, err));
    assert_int_equal(r.verified, 1);
    assert_int_equal(r.n_faces, 1);
    OK(mien_gallery_template(g, a.person, left, err));
    float own[DIM];
    OK(mien_gallery_face_template(g, b.face, own, err));
    assert_true(mien_cosine(left, own, DIM) > 0.9999);
    assert_true(mien_cosine(left, with_both, DIM) < 0.9999);
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_remove_face(g, a.face, &r, err));
    OK(mien_gallery_remove_face(g, b.face, &r, err)); /* the person stays, and is not found */
    mien_candidate c;
    size_t n = 1;
    OK(mien_gallery_search(g, own, 1, 1, &c, &n, err));
    assert_int_equal(n, 0);
    int64_t id = 0;
    OK(mien_gallery_find(g, "Ada", &id, err));
    mien_gallery_free(g);
}

static int count_receipts(void *user, const mien_receipt *r)
{
    int *const n = user;
    *n += r->verified;
    return 0;
}

static void the_expired_go(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    for (int i = 0; i < 70; i++) {
        char name[32];
        snprintf(name, sizeof name, "Visitor %d", i);
        const int64_t id = fixture_enrol(g, name, i, 0).person;
        const mien_consent c = { "visit", "consent", 1, i < 40 ? 1000 : i < 60 ? 4102444800000 : 0 };
        OK(mien_gallery_edit(g, id, NULL, NULL, &c, err));
    }
    mien_gallery_info info;
    OK(mien_gallery_info_of(g, &info, err));
    assert_int_equal(info.n_expired, 40);
    size_t n = 0;
    int verified = 0;
    OK(mien_gallery_expire(g, count_receipts, &verified, &n, err));
    assert_int_equal(n, 40);
    assert_int_equal(verified, 40);
    OK(mien_gallery_info_of(g, &info, err));
    assert_int_equal(info.n_people, 30);
    assert_int_equal(info.n_expired, 0);
    mien_gallery_free(g);
}

static void persons_ids_are_not_used_again(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    mien_receipt r;
    const int64_t a = fixture_enrol(g, "A", 1, 0).person;
    OK(mien_gallery_remove(g, a, 0, &r, err));
    assert_true(fixture_enrol(g, "B", 2, 0).person > a);
    mien_gallery_free(g);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_left),
        CASE(shared_bytes_are_explained),
        CASE(a_remnant_is_found),
        CASE(do_not_enrol_keeps_out),
        CASE(one_face_goes),
        CASE(the_expired_go),
        CASE(persons_ids_are_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
