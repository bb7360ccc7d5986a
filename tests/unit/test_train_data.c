/* Reading data sets: folders, CSV and lists with everything that can be wrong with them, the index of found
 * faces, splits by person, near duplicates; with a detector where photographs are at hand. */
#include "train_fixtures.h"
#include "train/data_read.h"
#include <mien/model.h>

static char dir[64];
static size_t n_logged;

static int make_dir(void **state)
{
    (void)state;
    dir_make(dir);
    return 0;
}

static int drop_dir(void **state)
{
    (void)state;
    dir_drop(dir);
    return 0;
}

static void count_log(mien_log_level level, const char *message, void *user)
{
    (void)message;
    (void)user;
    n_logged += level <= MIEN_LOG_WARN;
}

static mien_status read_set(const char *path, mien__dataset **ret, mien_error *err)
{
    const mien__data_opts o = { .aligned = true, .threads = 2 };
    return mien__dataset_read(path, &o, ret, err);
}

/* ---- folders ---- */

static void folder_per_person_is_labelled_by_name(void **state)
{
    (void)state;
    sub_dir(dir, "Zoë Ångström");
    sub_dir(dir, "李小龙");
    sub_dir(dir, "bob");
    sub_dir(dir, "bob/holiday");
    sub_dir(dir, "nobody");
    sub_dir(dir, ".hidden");
    picture_save(in_dir(dir, "Zoë Ångström/1.JPG"), 112, 112, 1);
    picture_save(in_dir(dir, "李小龙/a.png"), 224, 224, 2);
    picture_save(in_dir(dir, "bob/2.jpg"), 112, 112, 3);
    picture_save(in_dir(dir, "bob/1.jpg"), 112, 112, 4);
    picture_save(in_dir(dir, "bob/holiday/x.png"), 112, 112, 5);
    picture_save(in_dir(dir, ".hidden/1.jpg"), 112, 112, 6);
    picture_save(in_dir(dir, "stray.jpg"), 112, 112, 7);
    write_text(in_dir(dir, "bob/broken.jpg"), "this is no picture");
    write_text(in_dir(dir, "bob/notes.doc"), "nor is this");
    assert_int_equal(symlink("..", in_dir(dir, "bob/loop")), 0);
    assert_int_equal(symlink("/nonexistent", in_dir(dir, "bob/gone.jpg")), 0);
    mien__dataset *d = aligned_set(dir, NULL);
    static const struct {
        const char *name, *person;
    } want[] = { { "Zoë Ångström/1.JPG", "Zoë Ångström" },
                 { "bob/1.jpg", "bob" },
                 { "bob/2.jpg", "bob" },
                 { "bob/holiday/x.png", "bob" },
                 { "李小龙/a.png", "李小龙" } };
    assert_int_equal(d->n, MIEN_COUNTOF(want));
    assert_int_equal(d->n_people, 3);
    assert_int_equal(d->n_unreadable, 2);
    assert_int_equal(d->n_bad_rows, 1); /* the stray */
    for (size_t i = 0; i < d->n; i++) {
        assert_string_equal(d->samples[i].name, want[i].name);
        assert_string_equal(d->people[d->samples[i].label], want[i].person);
        assert_int_equal(access(d->samples[i].path, R_OK), 0);
    }
    /* landmarks grow with an aligned picture's size */
    assert_int_equal(d->samples[4].width, 224);
    assert_true(fabsf(d->samples[4].landmarks[2][0] - 2 * mien__template_112[2][0]) < 1e-4f);
    mien__dataset_free(d);
}

static void folder_flat_is_unlabelled_and_limited(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 9; i++) {
        (void)snprintf(name, sizeof name, "%d.png", i);
        picture_save(in_dir(dir, name), 40, 40, (unsigned)i);
    }
    const mien__data_opts o = { .aligned = true, .threads = 1, .max_images = 4 };
    mien__dataset *d = NULL;
    assert_int_equal(mien__dataset_read(dir, &o, &d, NULL), MIEN_OK);
    assert_int_equal(d->n, 4);
    assert_int_equal(d->n_people, 0);
    for (size_t i = 0; i < d->n; i++) {
        (void)snprintf(name, sizeof name, "%zu.png", i);
        assert_string_equal(d->samples[i].name, name);
        assert_int_equal(d->samples[i].label, -1);
    }
    mien__dataset_free(d);
}

static void folder_without_pictures_is_an_error(void **state)
{
    (void)state;
    mien__dataset *d = NULL;
    mien_error err = MIEN_ERROR_INIT;
    sub_dir(dir, "empty");
    assert_int_equal(read_set(dir, &d, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "no picture"));
    write_text(in_dir(dir, "empty/a.jpg"), "x");
    assert_int_equal(read_set(dir, &d, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "1 unreadable"));
    assert_int_equal(read_set(in_dir(dir, "missing"), &d, &err), MIEN_E_NOT_FOUND);
    assert_int_equal(read_set(in_dir(dir, "empty/a.jpg"), &d, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(read_set("", &d, &err), MIEN_E_NOT_FOUND);
    const mien__data_opts blind = { .threads = 1 };
    assert_int_equal(mien__dataset_read(dir, &blind, &d, &err), MIEN_E_ARG);
    assert_null(d);
}

/* ---- CSV and lists ---- */

static void csv_fields_follow_rfc_4180(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "a,b,c\r\n"
                               "\r\n"
                               "\"x, y\",\"say \"\"hi\"\"\",\"two\nlines\"\n"
                               ",,\n"
                               "bad \"quote,1\n"
                               "\"after\"x,1\n"
                               "last,\"\"";
    mien__csv csv = { text, sizeof text - 1, 0, 1 };
    mien__csv_row *row = malloc(sizeof *row);
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_ROW);
    assert_int_equal(row->n, 3);
    assert_string_equal(row->fields[0], "a");
    assert_string_equal(row->fields[2], "c");
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_ROW);
    assert_int_equal(row->line, 3);
    assert_string_equal(row->fields[0], "x, y");
    assert_string_equal(row->fields[1], "say \"hi\"");
    assert_string_equal(row->fields[2], "two\nlines");
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_ROW);
    assert_int_equal(row->n, 3);
    assert_int_equal(row->line, 5);
    assert_string_equal(row->fields[2], "");
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_BAD);
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_BAD);
    assert_int_equal(row->line, 7);
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_ROW);
    assert_int_equal(row->n, 2);
    assert_string_equal(row->fields[1], "");
    assert_int_equal(mien__csv_next(&csv, row), MIEN__CSV_END);
    free(row);
}

static void csv_bad_rows_are_left_out(void **state)
{
    (void)state;
    sub_dir(dir, "p");
    for (unsigned i = 0; i < 6; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "p/%u, ü.png", i);
        picture_save(in_dir(dir, name), 50, 50, i);
    }
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "label,note,path,split\n"
                   "anna,x,\"p/0, ü.png\",train\n"
                   "anna,x,\"p/1, ü.png\",VAL\n"
                   "bert,\"line one\nline two\",\"%s/p/2, ü.png\",test\n"
                   "bert,x,\"p/3, ü.png\"\n"
                   ",x,\"p/4, ü.png\",\n"
                   "bert,x,\"p/5, ü.png\",sometimes\n"
                   "bert,x,,train\n"
                   "bert\n"
                   "carl,x,p/missing.png,train\n"
                   "anna,x,\"p/0, ü.png\",train\n"
                   "\"open,x,p/1.png\n",
                   dir);
    write_text(in_dir(dir, "list.csv"), text);
    n_logged = 0;
    mien_set_log(count_log, NULL);
    mien__dataset *d = aligned_set(in_dir(dir, "list.csv"), NULL);
    mien_set_log(NULL, NULL);
    assert_int_equal(d->n, 5);
    assert_int_equal(d->n_people, 2);
    assert_string_equal(d->people[0], "anna");
    assert_string_equal(d->people[1], "bert");
    assert_int_equal(d->n_bad_rows, 5); /* sometimes, no path twice, a picture twice, the open quote */
    assert_int_equal(d->n_unreadable, 1);
    assert_int_equal(n_logged, 6);
    /* by name: the absolute one first */
    static const int parts[] = { MIEN__PART_TEST, MIEN__PART_TRAIN, MIEN__PART_VAL, MIEN__PART_NONE,
                                 MIEN__PART_NONE };
    static const int labels[] = { 1, 0, 0, 1, -1 };
    for (size_t i = 0; i < d->n; i++) {
        assert_int_equal(d->samples[i].part, parts[i]);
        assert_int_equal(d->samples[i].label, labels[i]);
    }
    assert_string_equal(d->samples[1].name, "p/0, ü.png");
    mien__dataset_free(d);
}

static void csv_without_header_goes_by_position(void **state)
{
    (void)state;
    picture_save(in_dir(dir, "a.png"), 50, 50, 1);
    picture_save(in_dir(dir, "b.png"), 50, 50, 2);
    write_text(in_dir(dir, "l.csv"), "b.png,anna,val\na.png");
    mien__dataset *d = aligned_set(in_dir(dir, "l.csv"), NULL);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->samples[0].label, -1);
    assert_int_equal(d->samples[1].label, 0);
    assert_int_equal(d->samples[1].part, MIEN__PART_VAL);
    mien__dataset_free(d);
    write_text(in_dir(dir, "l.txt"), "a.png\r\n\r\nb.png\n");
    d = aligned_set(in_dir(dir, "l.txt"), NULL);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->n_people, 0);
    assert_string_equal(d->samples[1].name, "b.png");
    mien__dataset_free(d);
}

/* ---- the index ---- */

static void index_written_and_read_is_the_same(void **state)
{
    (void)state;
    mien__found v[3] = { { "a", 5, -7, 100, 200, false, { { 0 } } },
                         { "b/ü", 1 << 30, 1700000000123456789, 131072, 1, true, { { 1.5f, -2 } } },
                         { "c", 0, 0, 1, 1, true, { { 0 } } } };
    const uint8_t key[32] = { 9 }, other[32] = { 8 };
    mien__buf buf = { 0 };
    mien__index x = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__index_format(v, 3, key, &buf, NULL), MIEN_OK);
    assert_int_equal(mien__index_parse(buf.data, buf.size, key, &x, NULL), MIEN_OK);
    assert_int_equal(x.n, 3);
    for (int i = 0; i < 3; i++) {
        const mien__found *f = mien__index_find(&x, v[i].name);
        assert_non_null(f);
        assert_true(f->size_bytes == v[i].size_bytes && f->mtime_ns == v[i].mtime_ns);
        assert_true(f->width == v[i].width && f->height == v[i].height && f->face == v[i].face);
        assert_memory_equal(f->landmarks, v[i].landmarks, sizeof f->landmarks);
    }
    assert_null(mien__index_find(&x, "b"));
    assert_null(mien__index_find(&x, "d"));
    mien__index_free(&x);
    /* any byte changed or missing is seen */
    for (size_t i = 0; i < buf.size; i++) {
        buf.data[i] ^= 0x40;
        assert_int_not_equal(mien__index_parse(buf.data, buf.size, key, &x, &err), MIEN_OK);
        buf.data[i] ^= 0x40;
        assert_int_not_equal(mien__index_parse(buf.data, i, key, &x, &err), MIEN_OK);
    }
    assert_int_equal(mien__index_parse(buf.data, buf.size, other, &x, &err), MIEN_E_EVAL_DATA);
    mien__buf_free(&buf);
    /* what a right checksum covers is still looked at */
    v[1].name = "a";
    assert_int_equal(mien__index_format(v, 2, key, &buf, NULL), MIEN_OK);
    assert_int_equal(mien__index_parse(buf.data, buf.size, key, &x, &err), MIEN_E_EVAL_DATA);
    mien__buf_free(&buf);
    v[0].width = 0;
    assert_int_equal(mien__index_format(v, 1, key, &buf, NULL), MIEN_OK);
    assert_int_equal(mien__index_parse(buf.data, buf.size, key, &x, &err), MIEN_E_EVAL_DATA);
    mien__buf_free(&buf);
    assert_null(x.v);
}

static size_t first_done, calls, stop_at;

static int on_progress(size_t done, size_t total, void *user)
{
    assert_true(done <= total && !user);
    first_done = calls++ ? first_done : done;
    return stop_at && done >= stop_at;
}

/* Read and tell how many pictures had not to be opened. */
static size_t known_on_reading(const char *path, const char *index, size_t want_n)
{
    const mien__data_opts o = { .aligned = true, .index_path = index, .threads = 1, .progress = on_progress };
    mien__dataset *d = NULL;
    calls = first_done = 0;
    assert_int_equal(mien__dataset_read(path, &o, &d, NULL), MIEN_OK);
    assert_int_equal(d->n, want_n);
    mien__dataset_free(d);
    return calls ? first_done : want_n;
}

static void index_saves_opening_what_has_not_changed(void **state)
{
    (void)state;
    char index[128], pics[128], name[32];
    (void)snprintf(index, sizeof index, "%s/faces.idx", dir);
    (void)snprintf(pics, sizeof pics, "%s/pics", dir);
    sub_dir(dir, "pics");
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, "pics/%u.png", i);
        picture_save(in_dir(dir, name), 40, 40, i);
    }
    stop_at = 0;
    assert_int_equal(known_on_reading(pics, index, 5), 0);
    assert_int_equal(known_on_reading(pics, index, 5), 5);
    picture_save(in_dir(dir, "pics/2.png"), 60, 40, 2); /* another size and time */
    picture_save(in_dir(dir, "pics/9.png"), 40, 40, 9);
    assert_int_equal(known_on_reading(pics, index, 6), 4);
    assert_int_equal(known_on_reading(pics, index, 6), 6);
    write_text(index, "mienidx");
    assert_int_equal(known_on_reading(pics, index, 6), 0);
    write_text(index, "");
    assert_int_equal(known_on_reading(pics, index, 6), 0);
    assert_int_equal(known_on_reading(pics, index, 6), 6);
    /* an index that cannot be written is no reason to fail */
    assert_int_equal(known_on_reading(pics, in_dir(dir, "nowhere/faces.idx"), 6), 0);
}

static void reading_stopped_keeps_what_was_found(void **state)
{
    (void)state;
    char index[128], pics[128], name[32];
    (void)snprintf(index, sizeof index, "%s/faces.idx", dir);
    (void)snprintf(pics, sizeof pics, "%s/pics", dir);
    sub_dir(dir, "pics");
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "pics/%02u.png", i);
        picture_save(in_dir(dir, name), 20, 20, i);
    }
    const mien__data_opts o = { .aligned = true, .index_path = index, .threads = 1, .progress = on_progress };
    mien__dataset *d = NULL;
    stop_at = 1;
    assert_int_equal(mien__dataset_read(pics, &o, &d, NULL), MIEN_E_INTERRUPTED);
    assert_null(d);
    stop_at = 0;
    assert_int_equal(known_on_reading(pics, index, 100), 64);
}

/* ---- splits ---- */

/* A set of people p0.. with `each` pictures, without files. */
static mien__dataset *people_make(size_t n_people, size_t each)
{
    mien__dataset *d = calloc(1, sizeof *d);
    d->n = n_people * each;
    d->n_people = n_people;
    d->samples = calloc(d->n + 1, sizeof *d->samples);
    d->people = calloc(n_people + 1, sizeof *d->people);
    for (size_t i = 0; i < d->n; i++) {
        char *const name = malloc(32);
        (void)snprintf(name, 32, "p%zu/%zu.jpg", i / each, i % each);
        d->samples[i] = (mien__sample){ .path = name, .name = name, .label = (int32_t)(i / each) };
    }
    for (size_t i = 0; i < n_people; i++) {
        char *const name = malloc(32);
        (void)snprintf(name, 32, "p%zu", i);
        d->people[i] = name;
    }
    return d;
}

static void people_free(mien__dataset *d)
{
    for (size_t i = 0; i < d->n; i++)
        free((void *)(uintptr_t)d->samples[i].path);
    for (size_t i = 0; i < d->n_people; i++)
        free((void *)(uintptr_t)d->people[i]);
    free(d->samples);
    free(d->people);
    free(d);
}

static void split(const mien__dataset *d, double fraction, uint64_t seed, uint8_t *side, size_t *ret_train,
                  size_t *ret_val)
{
    size_t *const train = malloc((d->n + 1) * sizeof *train), *const val = malloc((d->n + 1) * sizeof *val);
    assert_int_equal(mien__dataset_split(d, fraction, seed, train, ret_train, val, ret_val, NULL), MIEN_OK);
    memset(side, 0, d->n);
    for (size_t i = 0; i < *ret_train; i++)
        side[train[i]] += 1;
    for (size_t i = 0; i < *ret_val; i++)
        side[val[i]] += 2;
    free(train);
    free(val);
}

static void split_is_by_person_and_steady(void **state)
{
    (void)state;
    mien__dataset *small = people_make(400, 3), *large = people_make(1000, 3);
    uint8_t a[1200], b[3000], c[3000];
    size_t n_train = 0, n_val = 0;
    split(small, 0.2, 7, a, &n_train, &n_val);
    assert_int_equal(n_train + n_val, small->n);
    assert_in_range(n_val, 3 * 50, 3 * 110); /* 80 people, deviation 8 */
    split(large, 0.2, 7, b, &n_train, &n_val);
    split(large, 0.2, 8, c, &n_train, &n_val);
    assert_memory_equal(a, b, sizeof a); /* those who join move nobody */
    assert_memory_not_equal(b, c, sizeof b);
    for (size_t i = 0; i < large->n; i++) {
        assert_true(b[i] == 1 || b[i] == 2);
        assert_int_equal(b[i], b[i / 3 * 3]);
    }
    people_free(small);
    people_free(large);
}

static void split_small_sets_have_both_sides(void **state)
{
    (void)state;
    uint8_t side[8];
    size_t n_train = 0, n_val = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        mien__dataset *d = people_make(2, 4);
        split(d, 0.1, seed, side, &n_train, &n_val);
        assert_true(n_train == 4 && n_val == 4);
        split(d, 0.99, seed, side, &n_train, &n_val);
        assert_true(n_train == 4 && n_val == 4);
        split(d, 0, seed, side, &n_train, &n_val);
        assert_true(n_train == 8 && n_val == 0);
        people_free(d);
        d = people_make(1, 4); /* one person: nobody to hold out */
        split(d, 0.3, seed, side, &n_train, &n_val);
        assert_int_equal(n_train + n_val, 4);
        people_free(d);
    }
    mien__dataset *d = people_make(2, 1);
    assert_int_equal(mien__dataset_split(d, 1, 0, NULL, NULL, NULL, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(mien__dataset_split(d, NAN, 0, NULL, NULL, NULL, NULL, NULL), MIEN_E_ARG);
    people_free(d);
}

static void split_follows_the_csv_and_leaves_the_test_part_out(void **state)
{
    (void)state;
    mien__dataset *d = people_make(50, 2);
    uint8_t side[100];
    size_t n_train = 0, n_val = 0;
    for (size_t i = 0; i < 6; i++)
        d->samples[i].part = i < 2 ? MIEN__PART_TEST : MIEN__PART_VAL;
    split(d, 0.2, 3, side, &n_train, &n_val);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(side[i], i < 2 ? 0 : i < 6 ? 2 : 1);
    people_free(d);
    d = people_make(60, 1); /* unlabelled: by picture */
    for (size_t i = 0; i < d->n; i++)
        d->samples[i].label = -1;
    split(d, 0.5, 3, side, &n_train, &n_val);
    assert_in_range(n_val, 12, 48);
    people_free(d);
}

/* ---- near duplicates ---- */

typedef struct pairs {
    size_t n, a[16], b[16];
} pairs;

static void on_pair(size_t a, size_t b, int bits, void *user)
{
    pairs *const p = user;
    assert_true(bits <= MIEN__DUP_BITS && p->n < 16);
    p->a[p->n] = a;
    p->b[p->n++] = b;
}

static void duplicates_are_found_whatever_the_file(void **state)
{
    (void)state;
    char name[32];
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof name, "%u.png", i);
        picture_save(in_dir(dir, name), 112, 112, 100 + i);
    }
    mien_image *image = picture_make(224, 224, 105); /* picture 5, larger and as JPEG */
    assert_int_equal(mien_image_save(mien_image_view_of(image), in_dir(dir, "x.jpg"), 60, NULL), MIEN_OK);
    mien_image_free(image);
    write_text(in_dir(dir, "z.png"), "");
    mien__dataset *d = aligned_set(dir, NULL);
    assert_int_equal(d->n, 9);
    const size_t train[] = { 0, 1, 2, 3, 4, 5 }, val[] = { 6, 7, 8, 5 };
    pairs p = { 0 };
    unlink(in_dir(dir, "1.png")); /* gone since: passed over */
    assert_int_equal(mien__dataset_duplicates(d, train, 6, val, 4, MIEN__DUP_BITS, 2, on_pair, &p, NULL),
                     MIEN_OK);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.a[0], 5);
    assert_int_equal(p.b[0], 8);
    mien__dataset_free(d);
}

/* ---- memory ---- */

static size_t fail_at, n_allocs;

static void *failing_alloc(size_t bytes, size_t align, void *user)
{
    (void)user;
    void *p = NULL;
    if (__atomic_add_fetch(&n_allocs, 1, __ATOMIC_RELAXED) == fail_at)
        return NULL;
    return posix_memalign(&p, align, bytes) ? NULL : p;
}

static void plain_free(void *p, void *user)
{
    (void)user;
    free(p);
}

static void reading_short_of_memory_fails_cleanly(void **state)
{
    (void)state;
    picture_save(in_dir(dir, "a.png"), 40, 40, 1);
    picture_save(in_dir(dir, "b.jpg"), 40, 40, 2);
    write_text(in_dir(dir, "l.csv"), "a.png,anna\nb.jpg,bert\n");
    const mien_allocator a = { failing_alloc, plain_free, NULL };
    char csv[128], index[128];
    (void)snprintf(csv, sizeof csv, "%s/l.csv", dir);
    (void)snprintf(index, sizeof index, "%s/i.idx", dir);
    const mien__data_opts o = { .aligned = true, .index_path = index, .threads = 1 };
    mien_set_allocator(&a);
    mien_status st = MIEN_E_NOMEM;
    for (size_t i = 1; i < 500; i++) {
        mien__dataset *d = NULL;
        (void)unlink(index);
        fail_at = i;
        n_allocs = 0;
        st = mien__dataset_read(csv, &o, &d, NULL);
        if (st == MIEN_OK && n_allocs < i) {
            assert_int_equal(d->n, 2);
            mien__dataset_free(d);
            break;
        }
        /* a cache that cannot be kept, or a picture that cannot be read, is no failure of the whole */
        assert_true(st == MIEN_OK ? d != NULL : d == NULL);
        mien__dataset_free(d);
    }
    fail_at = 0;
    mien_set_allocator(NULL);
    assert_int_equal(st, MIEN_OK);
}

/* ---- with a detector ---- */

static void photographs_have_their_faces_found_once(void **state)
{
    (void)state;
    mien_model *model = NULL;
    if (access(MIEN_SHARED "/photos/people", R_OK) != 0 ||
        mien_model_load(MIEN_SHARED "/models/yunet_n_dynamic.onnx", &model, NULL) != MIEN_OK)
        skip();
    char index[128];
    (void)snprintf(index, sizeof index, "%s/faces.idx", dir);
    mien__dataset *d[3] = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        const mien__data_opts o = { .detector = model,
                                    .index_path = i == 1 ? NULL : index,
                                    .threads = i == 1 ? 3 : 1,
                                    .max_images = 12 };
        assert_int_equal(mien__dataset_read(MIEN_SHARED "/photos/people", &o, &d[i], NULL), MIEN_OK);
        assert_int_equal(d[i]->n, 12);
        for (size_t k = 0; k < 12; k++) /* the same by one thread, by three, and from the index */
            assert_memory_equal(d[i]->samples[k].landmarks, d[0]->samples[k].landmarks,
                                sizeof d[0]->samples[k].landmarks);
    }
    uint8_t *const rgb = malloc((size_t)112 * 112 * 3);
    for (size_t k = 0; k < 12; k++) {
        const mien__sample *s = &d[0]->samples[k];
        mien_image *image = NULL;
        mien__sample seen;
        assert_true(s->landmarks[0][0] < s->landmarks[1][0] && s->landmarks[0][1] < s->landmarks[3][1]);
        assert_int_equal(mien__sample_load(s, mien__template_112, &image, &seen, NULL), MIEN_OK);
        assert_int_equal(mien__sample_crop(&seen, mien_image_view_of(image), mien__template_112, 112, NULL,
                                           NULL, rgb, NULL),
                         MIEN_OK);
        mien_image_free(image);
    }
    free(rgb);
    for (int i = 0; i < 3; i++)
        mien__dataset_free(d[i]);
    if (access(MIEN_SHARED "/photos/no-face", R_OK) == 0) {
        const mien__data_opts o = { .detector = model, .threads = 2, .max_images = 4 };
        mien__dataset *none = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_int_equal(mien__dataset_read(MIEN_SHARED "/photos/no-face", &o, &none, &err),
                         MIEN_E_EVAL_DATA);
        assert_non_null(strstr(err.message, "4 without a face"));
    }
    mien_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folder_per_person_is_labelled_by_name, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folder_flat_is_unlabelled_and_limited, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folder_without_pictures_is_an_error, make_dir, drop_dir),
        cmocka_unit_test(csv_fields_follow_rfc_4180),
        cmocka_unit_test_setup_teardown(csv_bad_rows_are_left_out, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(csv_without_header_goes_by_position, make_dir, drop_dir),
        cmocka_unit_test(index_written_and_read_is_the_same),
        cmocka_unit_test_setup_teardown(index_saves_opening_what_has_not_changed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(reading_stopped_keeps_what_was_found, make_dir, drop_dir),
        cmocka_unit_test(split_is_by_person_and_steady),
        cmocka_unit_test(split_small_sets_have_both_sides),
        cmocka_unit_test(split_follows_the_csv_and_leaves_the_test_part_out),
        cmocka_unit_test_setup_teardown(duplicates_are_found_whatever_the_file, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(reading_short_of_memory_fails_cleanly, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(photographs_have_their_faces_found_once, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
