/* Keeping a gallery: verify, the audit chain, backup, export and import, moving to another model, another
 * key. */
#include "gallery_fixtures.h"
#include "gallery/gallery.h"
#include <sodium.h>
#include <sys/stat.h>

static void clean(mien_gallery *g)
{
    OK(mien_gallery_verify(g, NULL, NULL, NULL, NULL, err));
}

static void fill(mien_gallery *g, int people)
{
    for (int i = 0; i < people; i++) {
        char name[40];
        snprintf(name, sizeof name, "Person number %d", i);
        for (int v = 0; v < 3; v++)
            fixture_enrol(g, name, i, v);
    }
}

/* ---- verify and the audit chain: every kind of tampering shows ---- */

static int faults;
static char fault_text[2048];

static void on_fault(void *user, const char *text)
{
    (void)user;
    faults++;
    snprintf(fault_text + strlen(fault_text), sizeof fault_text - strlen(fault_text), "%s\n", text);
}

static const struct {
    const char *sql, *shows;
    bool also_plain; /* not only in an encrypted gallery */
} tampering[] = {
    { "update audit set time_ms = time_ms + 1 where number = 3", "audit chain", true },
    { "update audit set action = 'enrol2' where number = 3", "audit chain", true },
    { "update audit set subject = zeroblob(32) where number = 3", "audit chain", true },
    { "update audit set body = zeroblob(length(body)) where number = 3", "audit", true },
    { "delete from audit where number = 3", "audit chain", true },
    { "delete from audit where number = (select max(number) from audit)", "newest entries are missing",
      true },
    { "update audit set number = number + 1000 where number in (3, 4); "
      "update audit set number = 4 where number = 1003; update audit set number = 3 where number = 1004",
      "audit", true },
    { "update state set audit_entries = audit_entries - 1", "state row", true },
    { "update state set n_people = n_people + 1", "state row", true },
    { "delete from face where id = 2", "face", true },
    { "update person set lookup = zeroblob(16) where id = 1", "not found by its name", true },
    { "update template set halves = (select halves from template where person = 2) where person = 1",
      "template", true },
    { "update face set halves = zeroblob(length(halves)) where id = 1", "template", true },
    { "update face set halves = (select halves from face where id = 4) where id = 1", "template", false },
    { "update person set name = (select name from person where id = 2) where id = 1", "", true },
    { "update person set key = (select key from person where id = 2) where id = 1", "key", false },
    { "update person set note = x'41' where id = 1", "note", false },
    { "update face set source = x'4142' where id = 1", "source", false },
    { "update face set shape = x'00' where id = 1", "damaged", true },
    { "insert into template values (99, zeroblob(128))", "refers to none", true },
    { "update text set value = x'00' where key = 'calibration'", "text", false },
};

static void tampering_shows(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++)
        for (size_t i = 0; i < MIEN_COUNTOF(tampering); i++) {
            if (!key && !tampering[i].also_plain)
                continue;
            mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
            fill(g, 4);
            OK(mien_gallery_set_text(g, "calibration", "{}", err));
            clean(g);
            mien_gallery_free(g);
            sqlite3 *db = NULL;
            char *why = NULL;
            assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
            if (sqlite3_exec(db, tampering[i].sql, NULL, NULL, &why) != SQLITE_OK)
                fail_msg("%s: %s", tampering[i].sql, why);
            sqlite3_close(db);
            g = fixture_gallery(f, MIEN_GALLERY_READ, key);
            faults = 0;
            fault_text[0] = '\0';
            mien_error e = MIEN_ERROR_INIT;
            const mien_status st = mien_gallery_verify(g, on_fault, NULL, NULL, NULL, &e);
            if (st != MIEN_E_GALLERY_CORRUPT || faults == 0 || !strstr(fault_text, tampering[i].shows))
                fail_msg("%s (key %d): %s, %d faults: %s", tampering[i].sql, key, mien_status_name(st),
                         faults, fault_text);
            mien_gallery_free(g);
            assert_int_equal(unlink(f->path), 0);
        }
}

typedef struct chain {
    int n;
    char actions[400], last_hash[65], subject[65];
} chain;

static int link_of(void *user, const mien_audit_entry *e)
{
    chain *const c = user;
    c->n++;
    assert_int_equal(e->number, c->n);
    snprintf(c->actions + strlen(c->actions), sizeof c->actions - strlen(c->actions), "%s ", e->action);
    snprintf(c->last_hash, sizeof c->last_hash, "%s", e->hash);
    if (e->subject[0])
        snprintf(c->subject, sizeof c->subject, "%s", e->subject);
    assert_string_equal(e->actor, c->n == 5 ? "somebody else" : "tester");
    return 0;
}

static void every_change_is_in_the_chain(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t a = fixture_enrol(g, "Ada", 1, 0).person, b = fixture_enrol(g, "Bea", 2, 0).person;
    OK(mien_gallery_edit(g, a, "Ada L", NULL, NULL, err));
    OK(mien_gallery_set_actor(g, "somebody else", err));
    OK(mien_gallery_merge(g, a, b, err));
    OK(mien_gallery_set_actor(g, "tester", err));
    char what[100];
    mien_receipt r;
    OK(mien_gallery_undo(g, what, sizeof what, err));
    OK(mien_gallery_audit_add(g, "serve.login", 0, "{\"from\":\"here\"}", err));
    OK(mien_gallery_remove(g, b, 0, &r, err));
    chain c = { 0 };
    OK(mien_gallery_audit(g, 0, 0, link_of, &c, err));
    assert_string_equal(c.actions, "create enrol enrol rename merge undo serve.login remove ");
    mien_gallery_info info;
    OK(mien_gallery_info_of(g, &info, err));
    assert_string_equal(info.audit_head, c.last_hash);
    assert_int_equal(info.audit_entries, c.n);
    assert_string_equal(r.audit_hash, c.last_hash);
    assert_string_equal(r.person, c.subject);
    char json[1024];
    OK(mien_receipt_json(&r, json, sizeof json, err));
    assert_non_null(strstr(json, c.last_hash));
    FAILS(MIEN_E_LIMIT, mien_receipt_json(&r, json, 100, err));
    mien_gallery_free(g);
}

/* ---- backup ---- */

static int stop_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done <= total;
}

static void a_backup_is_a_gallery(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    fixture copy = *f;
    fill(g, 200);
    snprintf(copy.path, sizeof copy.path, "%s/copy", f->dir);
    FAILS(MIEN_E_INTERRUPTED, mien_gallery_backup(g, copy.path, stop_at_once, NULL, err));
    assert_int_not_equal(access(copy.path, F_OK), 0);
    OK(mien_gallery_backup(g, copy.path, NULL, NULL, err));
    FAILS(MIEN_E_EXISTS, mien_gallery_backup(g, copy.path, NULL, NULL, err));
    FAILS(MIEN_E_IO, mien_gallery_backup(g, "/proc/nowhere/copy", NULL, NULL, err));
    struct stat info;
    assert_int_equal(stat(copy.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    mien_gallery *const c = fixture_gallery(&copy, MIEN_GALLERY_WRITE, true);
    clean(c);
    mien_gallery_info gi;
    OK(mien_gallery_info_of(c, &gi, err));
    assert_int_equal(gi.n_people, 200);
    mien_receipt r;
    OK(mien_gallery_remove(c, 1, 0, &r, err));
    assert_int_equal(r.verified, 1);
    mien_gallery_free(c);
    clean(g);
    mien_gallery_free(g);
}

/* ---- export, import ---- */

static const uint8_t png[] =
    "\x89PNG\r\n\x1a\n\0\0\0\0IHDRxxxx\0\0\0\4tEXtGPS!yyyy\0\0\0\1IDATzwwww\0\0\0\0IEND\xae\x42\x60\x82";

static int64_t enrol_all(mien_gallery *g)
{
    const mien_consent consent = { "door \"A\"", "consent\n", 5, 4102444800000 };
    float vec[DIM];
    mien_enrolled done;
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    fixture_vec(1, 0, 0.3, vec);
    e.name = "Ada \"\\\n\xf0\x9f\x98\x80";
    e.note = "{\"a\":1}";
    e.vec = vec;
    e.consent = &consent;
    e.source = "dir/\xff.jpg";
    e.face = (mien_face){ 1, 2.5f, 3, 4, 0.75f, { { 5, 6 }, { 7, 8 }, { 9, 10 }, { 11, 12 }, { 13, 14 } } };
    e.quality.score = 0.9f;
    e.quality.yaw_deg = -3.25f;
    e.image = png;
    e.image_bytes = sizeof png - 1;
    OK(mien_gallery_enrol(g, &e, 1, &done, err));
    fixture_enrol(g, "Bea", 2, 0);
    return done.person;
}

static mien_gallery_face seen_face;
static char seen_source[64];

static int see_face(void *user, const mien_gallery_face *f)
{
    (void)user;
    seen_face = *f;
    snprintf(seen_source, sizeof seen_source, "%s", f->source);
    return 0;
}

static mien_person seen_person;
static char seen_texts[4][100];

static int see_person(void *user, const mien_person *p)
{
    (void)user;
    seen_person = *p;
    snprintf(seen_texts[0], 100, "%s", p->name);
    snprintf(seen_texts[1], 100, "%s", p->note);
    snprintf(seen_texts[2], 100, "%s", p->consent.purpose);
    snprintf(seen_texts[3], 100, "%s", p->consent.basis);
    return 0;
}

static void an_export_comes_back(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    const int64_t ada = enrol_all(g);
    char path[120];
    snprintf(path, sizeof path, "%s/export", f->dir);
    mien_export_opts opts = MIEN_EXPORT_OPTS_INIT;
    opts.templates = opts.images = 1;
    OK(mien_gallery_export(g, path, &opts, NULL, NULL, err));
    FAILS(MIEN_E_EXISTS, mien_gallery_export(g, path, &opts, NULL, NULL, err));
    fixture to = *f;
    snprintf(to.path, sizeof to.path, "%s/to", f->dir);
    mien_gallery *const t = fixture_gallery(&to, MIEN_GALLERY_CREATE, false);
    size_t people = 0, n_faces = 0;
    OK(mien_gallery_import(t, path, on_fault, NULL, &people, &n_faces, err));
    assert_int_equal(people, 2);
    assert_int_equal(n_faces, 2);
    int64_t id = 0;
    OK(mien_gallery_find(t, "Ada \"\\\n\xf0\x9f\x98\x80", &id, err));
    OK(mien_gallery_person(t, id, see_person, NULL, err));
    assert_string_equal(seen_texts[1], "{\"a\":1}");
    assert_string_equal(seen_texts[2], "door \"A\"");
    assert_string_equal(seen_texts[3], "consent\n");
    assert_int_equal(seen_person.consent.expires_ms, 4102444800000);
    OK(mien_gallery_faces(t, id, see_face, NULL, err));
    assert_string_equal(seen_source, "dir/?.jpg");
    assert_true(fabsf(seen_face.face.y0 - 2.5f) < 1e-6f &&
                fabsf(seen_face.face.landmarks[4][1] - 14) < 1e-6f);
    assert_true(fabsf(seen_face.quality.yaw_deg + 3.25f) < 1e-6f);
    float a[DIM], b[DIM];
    OK(mien_gallery_template(g, ada, a, err));
    OK(mien_gallery_template(t, id, b, err));
    assert_memory_equal(a, b, sizeof a);
    uint8_t *image = NULL;
    size_t bytes = 0;
    OK(mien_gallery_image(t, seen_face.id, &image, &bytes, err));
    assert_null(memmem(image, bytes, "GPS!", 4)); /* metadata was left out when it was enrolled */
    assert_int_equal(bytes, sizeof png - 1 - 16);
    mien_image_data_free(image);
    clean(t);
    people = 9;
    faults = 0;
    OK(mien_gallery_import(t, path, on_fault, NULL, &people, &n_faces, err)); /* all names are taken */
    assert_int_equal(people, 0);
    assert_int_equal(faults, 2);
    mien_gallery_free(t);
    mien_gallery_free(g);
    unlink(path);
}

static void bad_exports_are_survived(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    enrol_all(g);
    mien_gallery_info info;
    OK(mien_gallery_info_of(g, &info, err));
    char path[120];
    size_t people = 0, n = 0;
    snprintf(path, sizeof path, "%s/export", f->dir);
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_import(g, path, on_fault, NULL, &people, &n, err));
    FILE *out = fopen(path, "wb");
    fclose(out);
    FAILS(MIEN_E_GALLERY_FORMAT, mien_gallery_import(g, path, on_fault, NULL, &people, &n, err));
    out = fopen(path, "wb");
    fprintf(out, "{\"mien_export\":1,\"model\":\"%064d\"}\n", 0);
    fclose(out);
    FAILS(MIEN_E_GALLERY_MODEL, mien_gallery_import(g, path, on_fault, NULL, &people, &n, err));
    out = fopen(path, "wb");
    fprintf(out, "{\"mien_export\":1,\"model\":\"%s\"}\n", info.model);
    static const char *const lines[] = { "not json",
                                         "[]",
                                         "7",
                                         "null",
                                         "{\"name\":7}",
                                         "{\"name\":\"\",\"faces\":[]}",
                                         "{\"name\":\"X\"}",
                                         "{\"name\":\"X\",\"faces\":[{}]}",
                                         "{\"name\":\"X\",\"faces\":[{\"template\":\"AAAA\"}]}",
                                         "{\"name\":\"X\",\"name\":\"Y\",\"faces\":[]}",
                                         "{\"name\":\"Bea\",\"faces\":[]}" };
    for (size_t i = 0; i < MIEN_COUNTOF(lines); i++)
        fprintf(out, "%s\n", lines[i]);
    fprintf(out, "{\"name\":\"Without faces\",\"faces\":[]}");
    fclose(out);
    faults = 0;
    OK(mien_gallery_import(g, path, on_fault, NULL, &people, &n, err));
    assert_int_equal(people, 1);
    assert_int_equal(faults, MIEN_COUNTOF(lines));
    clean(g);
    mien_gallery_free(g);
    unlink(path);
}

/* ---- another model ---- */

static int embedded;

static mien_status embed(void *user, const void *image, size_t bytes, const mien_face *face, float *ret,
                         mien_error *err)
{
    (void)user;
    (void)err;
    assert_memory_equal(image, "\x89PNG", 4);
    assert_true(bytes > 20);
    assert_true(fabsf(face->y0 - 2.5f) < 1e-6f);
    embedded++;
    memset(ret, 0, 32 * sizeof *ret);
    ret[3] = 1;
    return MIEN_OK;
}

static void migrate_moves_who_has_a_picture(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    mien_gallery *const reader = fixture_gallery(f, MIEN_GALLERY_READ, true);
    mien_model *const other = fixture_model(9, 32);
    const int64_t ada = enrol_all(g);
    float probe[DIM];
    mien_candidate c;
    size_t n = 0;
    fixture_vec(1, 0, 0, probe);
    OK(mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    faults = 0;
    FAILS(MIEN_E_NOT_FOUND, mien_gallery_migrate(g, other, embed, NULL, 0, on_fault, NULL, NULL, NULL, err));
    assert_int_equal(faults, 1);
    assert_int_equal(embedded, 0);
    OK(mien_gallery_search(g, probe, 1, 1, &c, &n, err));
    assert_int_equal(c.person, ada);
    OK(mien_gallery_migrate(g, other, embed, NULL, 1, on_fault, NULL, NULL, NULL, err));
    assert_int_equal(embedded, 1);
    mien_gallery_info info;
    OK(mien_gallery_info_of(g, &info, err));
    assert_int_equal(info.n_people, 1);
    assert_int_equal(info.dim, 32);
    clean(g);
    float moved[32] = { 0, 0, 0, 1 };
    OK(mien_gallery_search(g, moved, 1, 1, &c, &n, err));
    assert_int_equal(n, 1);
    assert_true(c.similarity > 0.9999);
    FAILS(MIEN_E_GALLERY_MODEL, mien_gallery_search(reader, probe, 1, 1, &c, &n, err));
    mien_gallery_free(reader);
    mien_gallery_free(g);
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.embedder = f->model;
    opts.key = fixture_key;
    opts.key_bytes = 32;
    FAILS(MIEN_E_GALLERY_MODEL, mien_gallery_open(f->path, &opts, &g, err));
    mien_model_free(other);
}

/* ---- another key ---- */

static void rekey_changes_the_key(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    static const char other[] = "another key of thirty-two bytes!";
    fill(g, 3);
    FAILS(MIEN_E_ARG, mien_gallery_rekey(g, NULL, NULL, 0, err));
    FAILS(MIEN_E_ARG, mien_gallery_rekey(g, NULL, other, 8, err));
    OK(mien_gallery_rekey(g, NULL, other, 32, err));
    fixture_enrol(g, "After", 77, 0); /* the handle goes on */
    mien_gallery_free(g);
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.key = fixture_key;
    opts.key_bytes = 32;
    FAILS(MIEN_E_GALLERY_KEY, mien_gallery_open(f->path, &opts, &g, err));
    opts.key = other;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    clean(g);
    mien_gallery_free(g);
    unlink(f->path);
    g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    FAILS(MIEN_E_ARG, mien_gallery_rekey(g, NULL, other, 32, err));
    mien_gallery_free(g);
}

/* ---- the saved index ---- */

static void the_saved_index_is_only_a_cache(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        char index[120];
        float probe[DIM];
        mien_candidate c;
        size_t n = 0;
        struct stat st;
        snprintf(index, sizeof index, "%s-index", f->path);
        fill(g, 100);
        mien_gallery_free(g); /* enough has changed: saved */
        assert_int_equal(stat(index, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
        fixture_vec(42, 9, 0.3, probe);
        for (int damage = 0; damage < 4; damage++) {
            if (damage > 0) {
                FILE *const out = fopen(index, damage == 1 ? "r+b" : "wb");
                if (damage == 1)
                    for (long at = 0; at < st.st_size; at += 97) {
                        fseek(out, at, SEEK_SET);
                        fputc('x', out);
                    }
                if (damage == 2)
                    fputs("not an index", out);
                fclose(out);
            }
            g = fixture_gallery(f, MIEN_GALLERY_READ, key);
            OK(mien_gallery_search(g, probe, 1, 1, &c, &n, err));
            assert_int_equal(n, 1);
            assert_int_equal(c.person, 43);
            clean(g);
            mien_gallery_free(g);
        }
        g = fixture_gallery(f, MIEN_GALLERY_WRITE, key);
        mien_receipt r;
        OK(mien_gallery_remove(g, 43, 0, &r, err));
        assert_int_equal(r.verified, 1);
        OK(mien_gallery_search(g, probe, 1, 1, &c, &n, err));
        assert_int_not_equal(c.person, 43);
        mien_gallery_free(g);
        unlink(index);
        assert_int_equal(unlink(f->path), 0);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tampering_shows),          CASE(every_change_is_in_the_chain),
        CASE(a_backup_is_a_gallery),    CASE(an_export_comes_back),
        CASE(bad_exports_are_survived), CASE(migrate_moves_who_has_a_picture),
        CASE(rekey_changes_the_key),    CASE(the_saved_index_is_only_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
