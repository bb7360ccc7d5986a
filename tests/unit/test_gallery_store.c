/* Galleries: making, opening, people, faces, searching. */
#include "gallery_fixtures.h"
#include <sys/stat.h>

typedef struct seen {
    int n;
    int64_t id;
    char name[1200], note[300], purpose[64], basis[64];
    mien_person person;
} seen;

static int see(void *user, const mien_person *p)
{
    seen *const s = user;
    s->n++;
    s->id = p->id;
    s->person = *p;
    snprintf(s->name, sizeof s->name, "%s", p->name);
    snprintf(s->note, sizeof s->note, "%s", p->note);
    snprintf(s->purpose, sizeof s->purpose, "%s", p->consent.purpose);
    snprintf(s->basis, sizeof s->basis, "%s", p->consent.basis);
    return 0;
}

static void open_modes(void **state)
{
    const fixture *const f = *state;
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    opts.embedder = f->model;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_open(f->path, &opts, &g, err));
    opts.mode = MIEN_GALLERY_WRITE;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_open(f->path, &opts, &g, err));
    opts.mode = MIEN_GALLERY_CREATE;
    opts.purpose = "the door of the laboratory";
    OK(mien_gallery_open(f->path, &opts, &g, err));
    mien_gallery_free(g);
    g = NULL;
    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    FAILS(MIEN_E_EXISTS, mien_gallery_open(f->path, &opts, &g, err));
    opts.mode = MIEN_GALLERY_OPEN_OR_CREATE;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    mien_gallery_info gi;
    OK(mien_gallery_info_of(g, &gi, err));
    assert_string_equal(gi.purpose, "the door of the laboratory");
    assert_string_equal(gi.model_name, "fixture");
    assert_int_equal(gi.dim, DIM);
    assert_int_equal(gi.encrypted, 0);
    assert_int_equal(gi.audit_entries, 1);
    assert_int_equal(gi.n_people, 0);
    mien_gallery_free(g);
    opts.mode = MIEN_GALLERY_READ;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    mien_enrolled done;
    float vec[DIM];
    fixture_vec(1, 0, 0, vec);
    e.name = "Ada";
    e.vec = vec;
    FAILS(MIEN_E_ARG, mien_gallery_enrol(g, &e, 1, &done, err)); /* read only */
    mien_gallery_free(g);
}

static void another_model_is_refused(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    mien_gallery_free(g);
    mien_model *const other = fixture_model(2, DIM);
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.embedder = other;
    FAILS(MIEN_E_GALLERY_MODEL, mien_gallery_open(f->path, &opts, &g, err));
    opts.embedder = NULL;
    OK(mien_gallery_open(f->path, &opts, &g, err)); /* administration */
    float vec[DIM];
    mien_candidate c;
    size_t n = 0;
    fixture_vec(1, 0, 0, vec);
    FAILS(MIEN_E_GALLERY_MODEL, mien_gallery_search(g, vec, 1, 1, &c, &n, err));
    mien_gallery_free(g);
    mien_model_free(other);
}

static void keys(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    fixture_enrol(g, "Ada", 1, 0);
    mien_gallery_free(g);
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
    opts.key = "another key, as long as it must b";
    opts.key_bytes = 32;
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
    opts.key_bytes = 5;
    FAILS(MIEN_E_ARG, mien_gallery_open(f->path, &opts, &g, err));
    opts.key = NULL;
    opts.key_bytes = 0;
    opts.passphrase = "a passphrase";
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
    g = fixture_gallery(f, MIEN_GALLERY_READ, true);
    seen s = { 0 };
    OK(mien_gallery_people(g, NULL, 0, 0, see, &s, err));
    assert_string_equal(s.name, "Ada");
    mien_gallery_free(g);
}

static void a_passphrase_opens(void **state)
{
    const fixture *const f = *state;
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    opts.embedder = f->model;
    opts.mode = MIEN_GALLERY_CREATE;
    opts.passphrase = "correct horse";
    OK(mien_gallery_open(f->path, &opts, &g, err));
    mien_gallery_free(g);
    opts.mode = MIEN_GALLERY_READ;
    opts.passphrase = "correct horsf";
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
    opts.passphrase = "correct horse";
    OK(mien_gallery_open(f->path, &opts, &g, err));
    mien_gallery_free(g);
    opts.passphrase = NULL;
    opts.key = fixture_key;
    opts.key_bytes = 32;
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
}

/* A copied file without the key yields nothing: no name, no source, no template, no structure of bytes. */
static void an_encrypted_file_shows_nothing(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    float vec[DIM];
    uint16_t halves[DIM];
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    mien_enrolled done;
    const mien_consent consent = { "research on doors", "written consent", 5, 0 };
    fixture_vec(1, 0, 0.3, vec);
    e.name = "Ada Lovelace";
    e.note = "met in London";
    e.source = "holiday/ada.jpg";
    e.vec = vec;
    e.consent = &consent;
    OK(mien_gallery_enrol(g, &e, 1, &done, err));
    OK(mien_gallery_set_text(g, "calibration", "{\"secret\":\"text value\"}", err));
    for (int i = 0; i < DIM; i++)
        halves[i] = mien__float_to_half(vec[i]);
    static const char *const texts[] = { "Ada Lovelace", "Lovelace", "London",     "holiday", "ada.jpg",
                                         "research",     "written",  "text value", "tester" };
    for (size_t i = 0; i < MIEN_COUNTOF(texts); i++)
        assert_false(fixture_holds(f, texts[i], strlen(texts[i])));
    for (int i = 0; i + 8 <= DIM; i++)
        assert_false(fixture_holds(f, halves + i, 16));
    assert_false(fixture_holds(f, vec, 16));
    mien_gallery_free(g);
    mien_gallery *const plain = fixture_gallery(f, MIEN_GALLERY_READ, true); /* and with the key everything */
    float back[DIM];
    OK(mien_gallery_template(plain, done.person, back, err));
    assert_true(mien_cosine(vec, back, DIM) > 0.99999);
    mien_gallery_free(plain);
}

static const char *const odd_names[] = {
    "Robert'); DROP TABLE person;--",
    "\xe5\xb1\xb1\xe7\x94\xb0 \xe5\xa4\xaa\xe9\x83\x8e",
    "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac",
    "\xd9\x85\xd8\xad\xd9\x85\xd8\xaf \xe2\x80\xae rtl",
    "line\nbreak\ttab\x01\x1f\x7f",
    "%s%n%d \\ \" ' ` ${HOME}",
    " ",
    "e\xcc\x81",
    "\xc3\xa9",
    "x",
};

static void names_of_any_kind(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        int64_t ids[MIEN_COUNTOF(odd_names)];
        for (size_t i = 0; i < MIEN_COUNTOF(odd_names); i++)
            ids[i] = fixture_enrol(g, odd_names[i], (int)i, 0).person;
        for (size_t i = 0; i < MIEN_COUNTOF(odd_names); i++) {
            int64_t id = 0;
            seen s = { 0 };
            OK(mien_gallery_find(g, odd_names[i], &id, err));
            assert_int_equal(id, ids[i]);
            OK(mien_gallery_person(g, id, see, &s, err));
            assert_string_equal(s.name, odd_names[i]);
        }
        char long_name[10001];
        memset(long_name, 'a', 10000);
        long_name[10000] = '\0';
        FAILS(MIEN_E_LIMIT, mien_gallery_edit(g, ids[0], long_name, NULL, NULL, err));
        long_name[1000] = '\0';
        OK(mien_gallery_edit(g, ids[0], long_name, NULL, NULL, err));
        FAILS(MIEN_E_ARG, mien_gallery_edit(g, ids[0], "bad \xff utf8", NULL, NULL, err));
        FAILS(MIEN_E_ARG, mien_gallery_edit(g, ids[0], "\xed\xa0\x80", NULL, NULL, err)); /* a surrogate */
        FAILS(MIEN_E_ARG, mien_gallery_edit(g, ids[0], "", NULL, NULL, err));
        FAILS(MIEN_E_EXISTS, mien_gallery_edit(g, ids[0], odd_names[1], NULL, NULL, err));
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void people_are_walked(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    for (int i = 0; i < 150; i++) {
        char name[32];
        snprintf(name, sizeof name, "Person %03d", i);
        fixture_enrol(g, name, i, 0);
    }
    seen s = { 0 };
    OK(mien_gallery_people(g, NULL, 0, 0, see, &s, err));
    assert_int_equal(s.n, 150);
    s = (seen){ 0 };
    OK(mien_gallery_people(g, NULL, 0, 100, see, &s, err));
    assert_int_equal(s.n, 100);
    const int64_t last = s.id;
    OK(mien_gallery_people(g, NULL, last, 0, see, &s, err));
    assert_int_equal(s.n, 150);
    s = (seen){ 0 };
    OK(mien_gallery_people(g, "pErSoN 07", 0, 0, see, &s, err));
    assert_int_equal(s.n, 10);
    mien_gallery_free(g);
}

static void consent_and_notes(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t id = fixture_enrol(g, "Ada", 1, 0).person;
    seen s = { 0 };
    OK(mien_gallery_person(g, id, see, &s, err));
    assert_string_equal(s.purpose, "");
    assert_string_equal(s.basis, "");
    const mien_consent consent = { "door", "consent", 1000, 0 };
    OK(mien_gallery_edit(g, id, "Ada L.", "{\"room\":7}", &consent, err));
    OK(mien_gallery_person(g, id, see, &s, err));
    assert_string_equal(s.name, "Ada L.");
    assert_string_equal(s.note, "{\"room\":7}");
    assert_string_equal(s.purpose, "door");
    assert_string_equal(s.basis, "consent");
    assert_int_equal(s.person.consent.given_ms, 1000);
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_edit(g, id + 1, "X", NULL, NULL, err));
    int64_t found = 0;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_find(g, "Ada", &found, err));
    mien_gallery_free(g);
}

static void search_is_exact(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    enum { PEOPLE = 40, TOP = 5 };
    int64_t ids[PEOPLE];
    float stored[PEOPLE][DIM];
    for (int i = 0; i < PEOPLE; i++) {
        char name[32];
        snprintf(name, sizeof name, "P%d", i);
        ids[i] = fixture_enrol(g, name, i, 0).person;
        OK(mien_gallery_template(g, ids[i], stored[i], err));
    }
    for (int p = 0; p < 20; p++) {
        float probe[DIM];
        mien_candidate found[TOP];
        size_t n = 0;
        fixture_vec(p, 99, 0.5, probe);
        OK(mien_gallery_search(g, probe, 1, TOP, found, &n, err));
        assert_int_equal(n, TOP);
        for (size_t k = 0; k < n; k++) {
            int above = 0;
            double mine = 0;
            for (int i = 0; i < PEOPLE; i++)
                if (ids[i] == found[k].person)
                    mine = mien_cosine(probe, stored[i], DIM);
            assert_true(fabs(mine - found[k].similarity) < 1e-6);
            for (int i = 0; i < PEOPLE; i++)
                above += mien_cosine(probe, stored[i], DIM) > mine;
            assert_int_equal(above, k);
        }
        assert_int_equal(found[0].person, ids[p]);
    }
    float bad[DIM] = { 0 };
    mien_candidate c;
    size_t n = 0;
    FAILS(MIEN_E_ARG, mien_gallery_search(g, bad, 1, 1, &c, &n, err));
    bad[0] = NAN;
    FAILS(MIEN_E_ARG, mien_gallery_search(g, bad, 1, 1, &c, &n, err));
    mien_gallery_free(g);
}

/* A second handle, as another process would have, sees changes at its next search. */
static void search_follows_other_handles(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    mien_gallery *const reader = fixture_gallery(f, MIEN_GALLERY_READ, false);
    float probe[DIM];
    mien_candidate c;
    size_t n = 9;
    fixture_vec(1, 0, 0, probe);
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    assert_int_equal(n, 0);
    const int64_t ada = fixture_enrol(g, "Ada", 1, 0).person;
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    assert_int_equal(n, 1);
    assert_int_equal(c.person, ada);
    const mien_consent past = { "p", "b", 0, 1000 };
    OK(mien_gallery_edit(g, ada, NULL, NULL, &past, err));
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    assert_int_equal(n, 0); /* expired */
    const mien_consent none = { "p", "b", 0, 0 };
    OK(mien_gallery_edit(g, ada, NULL, NULL, &none, err));
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    assert_int_equal(n, 1);
    mien_receipt r;
    OK(mien_gallery_remove(g, ada, 0, &r, err));
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    assert_int_equal(n, 0);
    mien_gallery_free(reader);
    mien_gallery_free(g);
}

static void texts(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    char *text = NULL;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_text(g, "calibration", &text, err));
    OK(mien_gallery_set_text(g, "calibration", "first", err));
    OK(mien_gallery_set_text(g, "calibration", "", err));
    OK(mien_gallery_text(g, "calibration", &text, err));
    assert_string_equal(text, "");
    mien_text_free(text);
    OK(mien_gallery_set_text(g, "calibration", "{\"fmr\":1e-4}", err));
    OK(mien_gallery_text(g, "calibration", &text, err));
    assert_string_equal(text, "{\"fmr\":1e-4}");
    mien_text_free(text);
    OK(mien_gallery_set_text(g, "calibration", NULL, err));
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_text(g, "calibration", &text, err));
    mien_gallery_free(g);
}

static void a_new_gallery_is_whole_or_not_there(void **state)
{
    const fixture *const f = *state;
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    opts.embedder = f->model;
    opts.mode = MIEN_GALLERY_CREATE;
    opts.key = "short";
    opts.key_bytes = 5;
    FAILS(MIEN_E_ARG, mien_gallery_open(f->path, &opts, &g, err));
    FAILS(MIEN_E_IO,
          mien_gallery_open("/proc/nowhere/g",
                            &(mien_gallery_opts){ sizeof opts, MIEN_GALLERY_CREATE, f->model }, &g, err));
    DIR *const d = opendir(f->dir);
    const struct dirent *e = NULL;
    while ((e = readdir(d)) != NULL)
        assert_true(e->d_name[0] == '.');
    closedir(d);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(open_modes),
        CASE(another_model_is_refused),
        CASE(keys),
        CASE(a_passphrase_opens),
        CASE(an_encrypted_file_shows_nothing),
        CASE(names_of_any_kind),
        CASE(people_are_walked),
        CASE(consent_and_notes),
        CASE(search_is_exact),
        CASE(search_follows_other_handles),
        CASE(texts),
        CASE(a_new_gallery_is_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
