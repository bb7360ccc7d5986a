/* Every public call on galleries with each of its allocations failing, ours and SQLite's, and with each of
 * its input/output calls failing, once and from then on: no crash, no leak, a clear error, and a gallery that
 * holds what it held or what the call was to make of it.
 */
#include "anomaly.h"
#include "gallery_fixtures.h"
#include "gallery_vfs.h"
#include <sys/stat.h>

static fixture f;
static char template_path[120], scratch_path[120];
static mien_model *other_model;
static bool with_key;

/* ---- SQLite's memory counts too ---- */

enum { HEADER = 64 };

static void *sq_malloc(int n)
{
    int *const p = anomaly_alloc((size_t)n + HEADER, 64, NULL);
    if (!p)
        return NULL;
    *p = n;
    return (char *)p + HEADER;
}

static void sq_free(void *p)
{
    if (p)
        anomaly_free((char *)p - HEADER, NULL);
}

static int sq_size(void *p)
{
    return p ? *(int *)(void *)((char *)p - HEADER) : 0;
}

static void *sq_realloc(void *p, int n)
{
    void *const q = sq_malloc(n);
    if (!q)
        return NULL;
    memcpy(q, p, (size_t)(sq_size(p) < n ? sq_size(p) : n));
    sq_free(p);
    return q;
}

static int sq_round(int n)
{
    return (n + 7) & ~7;
}

static int sq_init(void *p)
{
    (void)p;
    return SQLITE_OK;
}

static void sq_shutdown(void *p)
{
    (void)p;
}

/* ---- the calls ---- */

static void copy_file(const char *from, const char *to)
{
    size_t n = 0;
    uint8_t *const data = fixture_bytes(from, &n);
    FILE *const out = fopen(to, "wb");
    assert_int_equal(fwrite(data, 1, n, out), n);
    fclose(out);
    free(data);
}

static void prepare(void)
{
    char name[140];
    static const char *const suffixes[] = { "-wal", "-shm", "-index" };
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", f.path, suffixes[i]);
        unlink(name);
    }
    unlink(scratch_path);
    copy_file(template_path, f.path);
}

static mien_status open_it(mien_gallery_mode mode, mien_gallery **ret, mien_error *err)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.mode = mode;
    opts.embedder = f.model;
    opts.actor = "tester";
    opts.busy_ms = 50;
    opts.key = with_key ? fixture_key : NULL;
    opts.key_bytes = with_key ? 32 : 0;
    return mien_gallery_open(f.path, &opts, ret, err);
}

static mien_status do_open(mien_gallery *g, mien_error *err)
{
    (void)g;
    (void)err;
    return MIEN_OK;
}

static mien_status do_create(mien_gallery *g, mien_error *err)
{
    (void)g;
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *made = NULL;
    opts.mode = MIEN_GALLERY_CREATE;
    opts.embedder = f.model;
    opts.key = with_key ? fixture_key : NULL;
    opts.key_bytes = with_key ? 32 : 0;
    const mien_status st = mien_gallery_open(scratch_path, &opts, &made, err);
    mien_gallery_free(made);
    return st;
}

static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\1IDATzwwww\0\0\0\0IEND\xae\x42\x60\x82";

static mien_status do_enrol(mien_gallery *g, mien_error *err)
{
    float vec[2][DIM];
    mien_enrolled done[2];
    const mien_consent consent = { "p", "b", 1, 0 };
    mien_enrolment e[2] = { MIEN_ENROLMENT_INIT, MIEN_ENROLMENT_INIT };
    for (int i = 0; i < 2; i++) {
        fixture_vec(50 + i, 0, 0, vec[i]);
        e[i].name = i ? "New" : "Ada";
        e[i].vec = vec[i];
        e[i].consent = &consent;
        e[i].note = "note";
        e[i].source = "source";
        e[i].image = png;
        e[i].image_bytes = sizeof png - 1;
        e[i].other_threshold = 0.95;
        e[i].unlike_threshold = -0.99;
    }
    return mien_gallery_enrol(g, e, 2, done, err);
}

static mien_status do_search(mien_gallery *g, mien_error *err)
{
    float vec[DIM];
    mien_candidate c[3];
    size_t n = 0;
    fixture_vec(1, 0, 0, vec);
    return mien_gallery_search(g, vec, 1, 3, c, &n, err);
}

static int see_person(void *user, const mien_person *p)
{
    (void)user;
    return p->name == NULL;
}

static int see_face(void *user, const mien_gallery_face *face)
{
    (void)user;
    return face->source == NULL;
}

static int see_entry(void *user, const mien_audit_entry *e)
{
    (void)user;
    return e->action == NULL;
}

static mien_status do_read(mien_gallery *g, mien_error *err)
{
    mien_gallery_info info;
    float vec[DIM];
    char *text = NULL;
    uint8_t *image = NULL;
    size_t bytes = 0;
    mien_gallery *beside = NULL;
    mien_status st = mien_gallery_info_of(g, &info, err);
    if (!st)
        st = mien_gallery_people(g, "a", 0, 0, see_person, NULL, err);
    if (!st)
        st = mien_gallery_person(g, 1, see_person, NULL, err);
    if (!st)
        st = mien_gallery_faces(g, 1, see_face, NULL, err);
    if (!st)
        st = mien_gallery_template(g, 1, vec, err);
    if (!st)
        st = mien_gallery_face_template(g, 1, vec, err);
    if (!st)
        st = mien_gallery_audit(g, 0, 0, see_entry, NULL, err);
    if (!st)
        st = mien_gallery_text(g, "calibration", &text, err);
    mien_text_free(text);
    if (!st)
        st = mien_gallery_image(g, 5, &image, &bytes, err);
    if (!st)
        mien_image_data_free(image);
    if (!st)
        st = mien_gallery_open_beside(g, "other", &beside, err);
    mien_gallery_free(beside);
    return st;
}

static mien_status do_edit(mien_gallery *g, mien_error *err)
{
    const mien_consent consent = { "q", "c", 1, 0 };
    return mien_gallery_edit(g, 1, "Renamed", "a new note", &consent, err);
}

static mien_status do_merge(mien_gallery *g, mien_error *err)
{
    return mien_gallery_merge(g, 1, 2, err);
}

static mien_status do_split(mien_gallery *g, mien_error *err)
{
    int64_t made = 0;
    return mien_gallery_split(g, 1, (int64_t[]){ 1 }, 1, "Half", &made, err);
}

static mien_status do_undo(mien_gallery *g, mien_error *err)
{
    char what[100];
    return mien_gallery_undo(g, what, sizeof what, err);
}

static mien_status do_remove(mien_gallery *g, mien_error *err)
{
    mien_receipt r;
    return mien_gallery_remove(g, 3, 1, &r, err);
}

static mien_status do_remove_face(mien_gallery *g, mien_error *err)
{
    mien_receipt r;
    return mien_gallery_remove_face(g, 1, &r, err);
}

static mien_status do_expire(mien_gallery *g, mien_error *err)
{
    size_t n = 0;
    return mien_gallery_expire(g, NULL, NULL, &n, err);
}

static mien_status do_text(mien_gallery *g, mien_error *err)
{
    return mien_gallery_set_text(g, "calibration", "other", err);
}

static mien_status do_seen(mien_gallery *g, mien_error *err)
{
    mien_status st = mien_gallery_seen(g, 1, err);
    if (!st)
        st = mien_gallery_audit_add(g, "x", 1, "{}", err);
    return st ? st : mien_gallery_set_actor(g, "y", err);
}

static mien_status do_backup(mien_gallery *g, mien_error *err)
{
    return mien_gallery_backup(g, scratch_path, NULL, NULL, err);
}

static mien_status do_export(mien_gallery *g, mien_error *err)
{
    mien_export_opts opts = MIEN_EXPORT_OPTS_INIT;
    opts.templates = opts.images = 1;
    return mien_gallery_export(g, scratch_path, &opts, NULL, NULL, err);
}

static char import_path[120];

static mien_status do_import(mien_gallery *g, mien_error *err)
{
    size_t people = 0, faces = 0;
    return mien_gallery_import(g, import_path, NULL, NULL, &people, &faces, err);
}

static mien_status embed(void *user, const void *image, size_t bytes, const mien_face *face, float *ret,
                         mien_error *err)
{
    (void)user;
    (void)image;
    (void)bytes;
    (void)face;
    (void)err;
    memset(ret, 0, 32 * sizeof *ret);
    ret[0] = 1;
    return MIEN_OK;
}

static mien_status do_migrate(mien_gallery *g, mien_error *err)
{
    return mien_gallery_migrate(g, other_model, embed, NULL, 1, NULL, NULL, NULL, NULL, err);
}

static mien_status do_rekey(mien_gallery *g, mien_error *err)
{
    return with_key ? mien_gallery_rekey(g, NULL, fixture_key, 32, err) : MIEN_OK;
}

static mien_status do_verify(mien_gallery *g, mien_error *err)
{
    return mien_gallery_verify(g, NULL, NULL, NULL, NULL, err);
}

typedef mien_status (*call_fn)(mien_gallery *g, mien_error *err);

static const struct call {
    const char *name;
    call_fn fn;
} calls[] = {
    { "open", do_open },     { "create", do_create }, { "enrol", do_enrol },
    { "search", do_search }, { "read", do_read },     { "edit", do_edit },
    { "merge", do_merge },   { "split", do_split },   { "undo", do_undo },
    { "remove", do_remove }, { "expire", do_expire }, { "remove face", do_remove_face },
    { "text", do_text },     { "seen", do_seen },     { "backup", do_backup },
    { "export", do_export }, { "import", do_import }, { "migrate", do_migrate },
    { "rekey", do_rekey },   { "verify", do_verify },
};

/* What opening alone takes: faults there are tried once, as the call "open". */
static long open_allocations, open_io;

/* Open, call, close: one piece of work. */
static mien_status work(void *ctx, mien_error *err)
{
    const struct call *const c = ctx;
    mien_gallery *g = NULL;
    mien_status st = open_it(MIEN_GALLERY_WRITE, &g, err);
    open_allocations = atomic_load(&anomaly_heap.calls);
    open_io = vfs.calls;
    if (!st)
        st = c->fn(g, err);
    mien_gallery_free(g);
    return st;
}

/* Afterwards, without faults, the gallery is whole. */
static void check_whole(const char *name, long at)
{
    mien_gallery *g = NULL;
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    mien_error e = MIEN_ERROR_INIT;
    opts.mode = MIEN_GALLERY_WRITE;
    opts.key = with_key ? fixture_key : NULL;
    opts.key_bytes = with_key ? 32 : 0;
    if (mien_gallery_open(f.path, &opts, &g, &e) || mien_gallery_verify(g, NULL, NULL, NULL, NULL, &e))
        fail_msg("%s, fault %ld: afterwards: %s", name, at, e.message);
    mien_gallery_free(g);
}

static mien_error last_error;

static mien_status work_and_note(void *ctx, mien_error *err)
{
    const mien_status st = work(ctx, err);
    last_error = *err;
    return st;
}

static void each_allocation(const struct call *c, long tries)
{
    prepare();
    void *const ctx = (void *)(uintptr_t)c;
    const mien_status plain = anomaly_try(c->name, work_and_note, ctx, 0, false);
    const long total = atomic_load(&anomaly_heap.calls), from = c->fn == do_open ? 0 : open_allocations;
    const long every = tries ? (total - from) / tries + 1 : 1;
    if (plain)
        fail_msg("%s fails without any fault: %s", c->name, mien_status_name(plain));
    long done = 0, survived = 0;
    for (int keep = 0; keep <= 1; keep++)
        for (long n = from + 1 + keep * (every / 2); n <= total; n += every) {
            prepare();
            const mien_status st = anomaly_try(c->name, work_and_note, ctx, n, keep);
            anomaly_heap.fail_at = 0;
            if (st != MIEN_OK && st != MIEN_E_NOMEM)
                fail_msg("%s: allocation %ld of %ld failing%s gives %s: %s", c->name, n, total,
                         keep ? " from then on" : "", mien_status_name(st), last_error.message);
            check_whole(c->name, n);
            survived += st == MIEN_OK;
            done++;
        }
    printf("%s: %ld allocations, %ld faults injected, %ld survived without notice\n", c->name, total - from,
           done, survived);
}

static void each_io(const struct call *c, long tries)
{
    prepare();
    vfs_reset();
    mien_error e = MIEN_ERROR_INIT;
    const mien_status plain = work((void *)(uintptr_t)c, &e);
    const long total = vfs.calls, from = c->fn == do_open ? 0 : open_io;
    const long every = tries ? (total - from) / tries + 1 : 1;
    if (plain)
        fail_msg("%s fails without any fault: %s", c->name, e.message);
    long done = 0, survived = 0;
    for (int keep = 0; keep <= 1; keep++)
        for (long n = from + 1 + keep * (every / 2); n <= total; n += every) {
            prepare();
            vfs_reset();
            vfs.fail_at = n;
            vfs.keep = keep;
            e = (mien_error)MIEN_ERROR_INIT;
            const mien_status st = work((void *)(uintptr_t)c, &e);
            if (st && (e.status != st || !e.message[0]))
                fail_msg("%s: call %ld failing: %s, but the error says '%s'", c->name, n,
                         mien_status_name(st), e.message);
            if (st && st != MIEN_E_IO && st != MIEN_E_GALLERY_BUSY && st != MIEN_E_GALLERY_CORRUPT &&
                st != MIEN_E_GALLERY_FORMAT)
                fail_msg("%s: call %ld of %ld failing%s gives %s", c->name, n, total,
                         keep ? " from then on" : "", mien_status_name(st));
            vfs_reset();
            check_whole(c->name, n);
            survived += st == MIEN_OK;
            done++;
        }
    printf("%s: %ld input/output calls, %ld faults injected, %ld survived without notice\n", c->name, total,
           done, survived);
}

/* MIEN_GALLERY_FAULTS=1 tries every fault, which takes long; the quick run some of them, spread over each
 * call. */
static long tries_of(long quick)
{
    return getenv("MIEN_GALLERY_FAULTS") ? 0 : quick;
}

static void make_template(void)
{
    mien_gallery *g = NULL;
    mien_export_opts opts = MIEN_EXPORT_OPTS_INIT;
    mien_error e = MIEN_ERROR_INIT;
    mien_enrolment item = MIEN_ENROLMENT_INIT;
    mien_enrolled done;
    float vec[DIM];
    const mien_consent past = { "p", "b", 1, 1000 };
    snprintf(f.path, sizeof f.path, "%s/g", f.dir);
    unlink(f.path);
    if (open_it(MIEN_GALLERY_CREATE, &g, &e))
        fail_msg("%s", e.message);
    static const char *const names[] = { "Ada", "Bea", "Cleo" };
    for (int i = 0; i < 3; i++)
        fixture_enrol(g, names[i], i + 1, 0);
    fixture_enrol(g, "Ada", 1, 1);
    fixture_vec(9, 0, 0, vec);
    item.name = "Dora";
    item.vec = vec;
    item.image = png;
    item.image_bytes = sizeof png - 1;
    OK(mien_gallery_enrol(g, &item, 1, &done, err));
    fixture_enrol(g, "Gone", 8, 0);
    OK(mien_gallery_edit(g, 5, NULL, NULL, &past, err));
    OK(mien_gallery_edit(g, 2, "Beatrice", NULL, NULL, err)); /* to be undone */
    OK(mien_gallery_set_text(g, "calibration", "{}", err));
    opts.templates = 1;
    opts.person = 3;
    unlink(import_path);
    OK(mien_gallery_export(g, import_path, &opts, NULL, NULL, err));
    mien_gallery_free(g);
    /* Cleo comes back under another name */
    size_t n = 0;
    uint8_t *const text = fixture_bytes(import_path, &n);
    uint8_t *const at = memmem(text, n, "Cleo", 4);
    assert_non_null(at);
    memcpy(at, "Cora", 4);
    FILE *const out = fopen(import_path, "wb");
    fwrite(text, 1, n, out);
    fclose(out);
    free(text);
    copy_file(f.path, template_path);
}

static void run_all(bool key)
{
    with_key = key;
    make_template();
    vfs_install(); /* for the allocations too: it does not wait for the disk */
    for (size_t i = 0; i < MIEN_COUNTOF(calls); i++)
        if (!getenv("MIEN_GALLERY_CALL") || strcmp(getenv("MIEN_GALLERY_CALL"), calls[i].name) == 0) {
            each_allocation(&calls[i], tries_of(12 + (long)i % 5));
            each_io(&calls[i], tries_of(12 + (long)i % 5));
        }
    vfs_remove();
}

static void open_gallery(void **state)
{
    (void)state;
    run_all(false);
}

static void encrypted_gallery(void **state)
{
    (void)state;
    run_all(true);
}

int main(void)
{
    static const sqlite3_mem_methods memory = { sq_malloc, sq_free, sq_realloc,  sq_size,
                                                sq_round,  sq_init, sq_shutdown, NULL };
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
        return 1;
    strcpy(f.dir, "/tmp/mien-gallery-XXXXXX");
    if (!mkdtemp(f.dir))
        return 1;
    snprintf(template_path, sizeof template_path, "%s/template", f.dir);
    snprintf(scratch_path, sizeof scratch_path, "%s/scratch", f.dir);
    snprintf(import_path, sizeof import_path, "%s/import", f.dir);
    f.model = fixture_model(1, DIM);
    other_model = fixture_model(2, 32);
    const struct CMUnitTest tests[] = { cmocka_unit_test(open_gallery), cmocka_unit_test(encrypted_gallery) };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_clear(&f);
    rmdir(f.dir);
    mien_model_free(f.model);
    mien_model_free(other_model);
    return failed;
}
