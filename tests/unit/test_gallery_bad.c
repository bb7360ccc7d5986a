/* Files that are damaged, cut short, foreign, older or newer than this program, on disks that are full or
 * cannot be written: a clear error, no crash, and what was there stays.
 */
#include "gallery_fixtures.h"
#include "gallery/gallery.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

static mien_status try_open(const fixture *f, mien_gallery_mode mode, mien_gallery **ret)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_error e = MIEN_ERROR_INIT;
    opts.mode = mode;
    opts.embedder = f->model;
    const mien_status st = mien_gallery_open(f->path, &opts, ret, &e);
    assert_true(st == MIEN_OK || (e.status == st && e.message[0]));
    return st;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *const out = fopen(path, "wb");
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    fclose(out);
}

static void foreign_files_are_refused(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = NULL;
    write_file(f->path, "", 0);
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_FORMAT);
    write_file(f->path, "x", 1);
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_FORMAT);
    char text[5000];
    memset(text, 'a', sizeof text);
    write_file(f->path, text, sizeof text);
    assert_int_equal(try_open(f, MIEN_GALLERY_READ, &g), MIEN_E_GALLERY_FORMAT);
    assert_int_equal(try_open(f, MIEN_GALLERY_OPEN_OR_CREATE, &g), MIEN_E_GALLERY_FORMAT);
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g),
                     MIEN_E_GALLERY_FORMAT); /* and does not wait for a writer */
    unlink(f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_FORMAT);
    rmdir(f->path);
    sqlite3 *db = NULL; /* somebody else's database, which stays as it is */
    sqlite3_open(f->path, &db);
    sqlite3_exec(db, "create table gallery (x); insert into gallery values (1)", NULL, NULL, NULL);
    sqlite3_close(db);
    size_t before = 0, after = 0;
    uint8_t *const a = fixture_bytes(f->path, &before);
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_FORMAT);
    uint8_t *const b = fixture_bytes(f->path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(a, b, before);
    free(a);
    free(b);
}

static void change(const fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static void other_versions(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    mien_gallery_free(g);
    change(f, "pragma user_version = 99");
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_FORMAT);
    change(f, "pragma user_version = 0");
    assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_CORRUPT);
}

/* Version 1 had no journal. */
static void version_1_becomes_the_newest(void **state)
{
    const fixture *const f = *state;
    for (int key = 0; key < 2; key++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        const int64_t a = fixture_enrol(g, "Ada", 1, 0).person;
        mien_gallery_free(g);
        change(f, "drop table journal; pragma user_version = 1");
        g = NULL;
        if (!key)
            assert_int_equal(try_open(f, MIEN_GALLERY_READ, &g), MIEN_E_GALLERY_FORMAT); /* a reader cannot */
        g = fixture_gallery(f, MIEN_GALLERY_WRITE, key);
        OK(mien_gallery_verify(g, NULL, NULL, NULL, NULL, err));
        OK(mien_gallery_edit(g, a, "Ada L", NULL, NULL, err));
        char what[100];
        OK(mien_gallery_undo(g, what, sizeof what, err));
        mien_gallery_info info;
        OK(mien_gallery_info_of(g, &info, err));
        assert_int_equal(info.version, 2);
        mien_gallery_free(g);
        assert_int_equal(unlink(f->path), 0);
    }
}

/* Triggers and views in a file from elsewhere would change what our statements do. */
static void schemas_from_elsewhere_are_refused(void **state)
{
    const fixture *const f = *state;
    static const char *const additions[] = {
        "create trigger t after insert on face begin delete from audit; end",
        "create view v as select 1",
        "create table extra (x)",
        "create index i on person (seen_ms)",
        "drop index face_picture",
        "alter table person add column y INTEGER",
        "drop table text; create view text as select 'calibration' as key, x'41' as value",
    };
    for (size_t i = 0; i < MIEN_COUNTOF(additions); i++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
        mien_gallery_free(g);
        change(f, additions[i]);
        assert_int_equal(try_open(f, MIEN_GALLERY_WRITE, &g), MIEN_E_GALLERY_CORRUPT);
        assert_int_equal(unlink(f->path), 0);
    }
}

static int ignore_person(void *user, const mien_person *p)
{
    (void)user;
    return p->name == NULL;
}

/* Everything that reads, on a file that may be damaged anywhere. */
static void exercise(const fixture *f)
{
    mien_gallery *g = NULL;
    float probe[DIM];
    mien_candidate c[2];
    size_t n = 0;
    mien_gallery_info info;
    if (try_open(f, MIEN_GALLERY_WRITE, &g) != MIEN_OK)
        return;
    fixture_vec(3, 0, 0, probe);
    (void)!mien_gallery_info_of(g, &info, NULL);
    (void)!mien_gallery_people(g, NULL, 0, 0, ignore_person, NULL, NULL);
    (void)!mien_gallery_search(g, probe, 1, 2, c, &n, NULL);
    (void)!mien_gallery_verify(g, NULL, NULL, NULL, NULL, NULL);
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    mien_enrolled done;
    mien_receipt r;
    e.name = "New";
    e.vec = probe;
    (void)!mien_gallery_enrol(g, &e, 1, &done, NULL);
    (void)!mien_gallery_remove(g, 2, 1, &r, NULL);
    mien_gallery_free(g);
}

static void damaged_and_cut_files_do_no_harm(void **state)
{
    const fixture *const f = *state;
    mien_gallery *const g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "Person %d", i);
        fixture_enrol(g, name, i, 0);
        fixture_enrol(g, name, i, 1);
    }
    mien_gallery_free(g);
    size_t bytes = 0;
    uint8_t *const whole = fixture_bytes(f->path, &bytes), *const bad = malloc(bytes);
    mien__rng rng;
    mien__rng_seed(&rng, 20240731);
    for (size_t cut = 0; cut < bytes; cut += 4096 + cut / 8) {
        write_file(f->path, whole, cut);
        exercise(f);
    }
    for (int round = 0; round < 150; round++) {
        memcpy(bad, whole, bytes);
        for (int k = 0; k <= round % 20; k++)
            bad[mien__rng_u64(&rng) % (round % 3 ? bytes : 8192)] = (uint8_t)mien__rng_u64(&rng);
        char wal[110];
        snprintf(wal, sizeof wal, "%s-wal", f->path);
        unlink(wal);
        snprintf(wal, sizeof wal, "%s-shm", f->path);
        unlink(wal);
        write_file(f->path, bad, bytes);
        exercise(f);
    }
    free(whole);
    free(bad);
}

/* RLIMIT_FSIZE stands in for a full disk: writing past it fails. */
static void a_full_disk_leaves_the_old_state(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, true);
    struct rlimit old, limit;
    struct stat st;
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "Person %d", i);
        fixture_enrol(g, name, i, 0);
    }
    mien_gallery_info before, after;
    OK(mien_gallery_info_of(g, &before, err));
    getrlimit(RLIMIT_FSIZE, &old);
    char wal[110];
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &st), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)st.st_size + 9000;
    setrlimit(RLIMIT_FSIZE, &limit);
    mien_status failed = MIEN_OK;
    int done = 0;
    for (int i = 0; i < 50 && !failed; i++) {
        mien_enrolment e = MIEN_ENROLMENT_INIT;
        mien_enrolled r;
        mien_error e2 = MIEN_ERROR_INIT;
        float vec[DIM];
        char name[32];
        snprintf(name, sizeof name, "More %d", i);
        fixture_vec(100 + i, 0, 0, vec);
        e.name = name;
        e.vec = vec;
        failed = mien_gallery_enrol(g, &e, 1, &r, &e2);
        done += !failed;
    }
    assert_int_equal(failed, MIEN_E_IO);
    OK(mien_gallery_info_of(g, &after, err));
    assert_int_equal(after.n_people, before.n_people + (size_t)done);
    setrlimit(RLIMIT_FSIZE, &old);
    OK(mien_gallery_verify(g, NULL, NULL, NULL, NULL, err));
    fixture_enrol(g, "And on it goes", 500, 0);
    mien_gallery_free(g);
    signal(SIGXFSZ, SIG_DFL);
}

static void a_disk_that_cannot_be_written(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    const int64_t ada = fixture_enrol(g, "Ada", 1, 0).person;
    mien_gallery_free(g);
    const bool root = geteuid() == 0; /* who writes anywhere */
    if (root) {
        assert_int_equal(chown(f->path, 65534, 65534) | chown(f->dir, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(chmod(f->path, 0400), 0);
    assert_int_equal(chmod(f->dir, 0500), 0);
    g = NULL;
    const mien_status st = try_open(f, MIEN_GALLERY_WRITE, &g);
    mien_gallery_free(g);
    g = NULL;
    const mien_status read = try_open(f, MIEN_GALLERY_READ, &g);
    float probe[DIM];
    mien_candidate c = { 0 };
    size_t n = 0;
    fixture_vec(1, 0, 0, probe);
    const mien_status search = g ? mien_gallery_search(g, probe, 1, 1, &c, &n, NULL) : MIEN_E_IO;
    mien_gallery_free(g);
    chmod(f->dir, 0700);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(st, MIEN_E_IO);
    assert_int_equal(read, MIEN_OK);
    assert_int_equal(search, MIEN_OK);
    assert_int_equal(c.person, ada);
}

/* A writer that waits too long says so, and a reader is not kept waiting. */
static void waiting_is_bounded(void **state)
{
    const fixture *const f = *state;
    mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
    fixture_enrol(g, "Ada", 1, 0);
    mien_gallery_free(g);
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.mode = MIEN_GALLERY_WRITE;
    opts.embedder = f->model;
    opts.busy_ms = 100;
    OK(mien_gallery_open(f->path, &opts, &g, err));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
    const double start = mien__now_ms();
    FAILS(MIEN_E_GALLERY_BUSY, mien_gallery_edit(g, 1, "Bea", NULL, NULL, err));
    assert_true(mien__now_ms() - start < 5000);
    float probe[DIM];
    mien_candidate c;
    size_t n = 0;
    fixture_vec(1, 0, 0, probe);
    OK(mien_gallery_search(g, probe, 1, 1, &c, &n, err));
    sqlite3_exec(db, "rollback", NULL, NULL, NULL);
    /* a reader with an old snapshot: the removal is done, but says that the WAL could not be emptied */
    assert_int_equal(sqlite3_exec(db, "begin; select count(*) from person", NULL, NULL, NULL), SQLITE_OK);
    mien_receipt r;
    OK(mien_gallery_remove(g, 1, 0, &r, err));
    assert_int_equal(r.verified, 0);
    sqlite3_close(db);
    mien_gallery_free(g);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(foreign_files_are_refused),        CASE(other_versions),
        CASE(version_1_becomes_the_newest),     CASE(schemas_from_elsewhere_are_refused),
        CASE(damaged_and_cut_files_do_no_harm), CASE(a_full_disk_leaves_the_old_state),
        CASE(a_disk_that_cannot_be_written),    CASE(waiting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
