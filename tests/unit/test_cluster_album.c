/* Albums: new pictures join, names and numbers stay, corrections hold and can be taken back, files are
 * checked. */
#include "base/base.h"
#include <mien/album.h>
#include <sqlite3.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { DIM = 32 };
static char dir[] = "/tmp/mien-test-album-XXXXXX";
static char path[64];

#define OK(call)                                                                     \
    do {                                                                             \
        mien_error err = MIEN_ERROR_INIT;                                            \
        if ((call) != MIEN_OK)                                                       \
            fail_msg("%s: %s %s", #call, mien_status_name(err.status), err.message); \
    } while (0)
#define FAILS(status_wanted, call)                   \
    do {                                             \
        mien_error err = MIEN_ERROR_INIT;            \
        assert_int_equal(call, status_wanted);       \
        assert_int_equal(err.status, status_wanted); \
        assert_true(err.message[0]);                 \
    } while (0)

/* A face of person 0..7, a little different each time. */
static void face_vec(int person, int version, float *ret)
{
    mien__rng rng;
    mien__rng_seed(&rng, (uint64_t)(person * 1000 + version + 1));
    double sum = 0;
    for (int i = 0; i < DIM; i++) {
        ret[i] = (float)(i / 4 == person ? 1 : 0) + 0.2f * (float)(mien__rng_unit(&rng) - 0.5);
        sum += (double)ret[i] * ret[i];
    }
    for (int i = 0; i < DIM; i++)
        ret[i] = (float)(ret[i] / sqrt(sum));
}

static void add(mien_album *a, const char *name, int n, const int *people, int version)
{
    float vecs[8][DIM];
    mien_album_new_face faces[8];
    const mien_album_picture p = { name, 1, version, 640, 480 };
    for (int i = 0; i < n; i++) {
        face_vec(people[i], version * 10 + i, vecs[i]);
        faces[i] = (mien_album_new_face){ { (float)i * 50, 10, (float)i * 50 + 40, 60, 0.9f, { { 0 } } },
                                          0.5f,
                                          vecs[i] };
    }
    OK(mien_album_add(a, &p, faces, (size_t)n, &err));
}

static mien_album *open_album(const char *at)
{
    mien_album *a = NULL;
    OK(mien_album_open(at, "test model", DIM, &a, &err));
    return a;
}

static mien_album_grouped group(mien_album *a, int anew)
{
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    mien_album_grouped g = { 0, 0 };
    o.link = 0.5;
    o.pair = 0.6;
    OK(mien_album_group(a, &o, NULL, 0, anew, &g, &err));
    return g;
}

static mien_album_list *list_of(mien_album *a)
{
    mien_album_list *l = NULL;
    OK(mien_album_list_new(a, &l, &err));
    return l;
}

static int64_t group_of_face(mien_album *a, int64_t face)
{
    mien_album_list *l = list_of(a);
    int64_t group = -1;
    for (size_t i = 0; i < l->n_faces; i++) {
        if (l->faces[i].id == face)
            group = l->faces[i].group;
    }
    mien_album_list_free(l);
    return group;
}

/* Faces 1 2 of picture a: people 0 1; 3 4 of b: 0 1; 5 of c: 2. */
static void fill(mien_album *a)
{
    add(a, "a.jpg", 2, (const int[]){ 0, 1 }, 1);
    add(a, "b.jpg", 2, (const int[]){ 0, 1 }, 2);
    add(a, "c.jpg", 1, (const int[]){ 2 }, 3);
}

static void group_new_pictures_join_names_stay(void **state)
{
    (void)state;
    mien_album *a = open_album(path);
    fill(a);
    mien_album_grouped g = group(a, 0);
    assert_int_equal(g.n_new, 2);
    const int64_t first = group_of_face(a, 1), second = group_of_face(a, 2);
    assert_true(first > 0 && second > 0 && first != second);
    assert_int_equal(group_of_face(a, 3), first);
    assert_int_equal(group_of_face(a, 5), 0);
    OK(mien_album_name(a, second, "Ann \"'; DROP TABLE face; --", &err));
    mien_album_free(a);

    a = open_album(path); /* another day */
    int has = 0;
    OK(mien_album_has(a, &(mien_album_picture){ "b.jpg", 1, 2, 0, 0 }, &has, &err));
    assert_int_equal(has, 1);
    OK(mien_album_has(a, &(mien_album_picture){ "b.jpg", 1, 3, 0, 0 }, &has, &err));
    assert_int_equal(has, 0);
    add(a, "d.jpg", 3, (const int[]){ 2, 1, 0 }, 4); /* faces 6 7 8 */
    g = group(a, 0);
    assert_int_equal(g.n_joined, 2);
    assert_int_equal(g.n_new, 1);
    assert_int_equal(group_of_face(a, 7), second);
    assert_int_equal(group_of_face(a, 8), first);
    assert_int_equal(group_of_face(a, 5), group_of_face(a, 6));
    int64_t found = 0;
    OK(mien_album_find(a, "Ann \"'; DROP TABLE face; --", &found, &err));
    assert_int_equal(found, second);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    mien_album_free(a);
    unlink(path);
}

static void not_is_remembered(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    fill(a);
    group(a, 0);
    const int64_t g = group_of_face(a, 1);
    OK(mien_album_not(a, 3, g, &err));
    assert_int_equal(group_of_face(a, 3), 0);
    group(a, 0);
    assert_int_not_equal(group_of_face(a, 3), g);
    group(a, 1); /* it was corrected: it stays even then */
    assert_int_not_equal(group_of_face(a, 3), g);
    assert_int_equal(group_of_face(a, 1), g);
    FAILS(MIEN_E_NOT_FOUND, mien_album_not(a, 99, g, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_not(a, 1, 99, &err));
    mien_album_free(a);
}

static void merge_and_undo(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    char what[64];
    fill(a);
    group(a, 0);
    const int64_t g = group_of_face(a, 1), h = group_of_face(a, 2);
    OK(mien_album_name(a, h, "Bo", &err));
    FAILS(MIEN_E_EXISTS, mien_album_name(a, g, "Bo", &err));
    OK(mien_album_not(a, 5, h, &err));
    OK(mien_album_merge(a, g, h, &err));
    int64_t found = 0;
    OK(mien_album_find(a, "Bo", &found, &err));
    assert_int_equal(found, g); /* the name came along */
    assert_int_equal(group_of_face(a, 2), g);
    FAILS(MIEN_E_ARG, mien_album_merge(a, g, g, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_merge(a, g, h, &err));
    OK(mien_album_undo(a, what, sizeof what, &err));
    assert_non_null(strstr(what, "merge"));
    assert_int_equal(group_of_face(a, 1), g);
    assert_int_equal(group_of_face(a, 2), h);
    assert_int_equal(group_of_face(a, 4), h);
    OK(mien_album_find(a, "Bo", &found, &err));
    assert_int_equal(found, h);
    OK(mien_album_undo(a, NULL, 0, &err)); /* the "not" */
    OK(mien_album_undo(a, NULL, 0, &err)); /* the name */
    FAILS(MIEN_E_NOT_FOUND, mien_album_find(a, "Bo", &found, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_undo(a, NULL, 0, &err));
    mien_album_free(a);
}

static void given_faces_join_and_stay(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    char what[64];
    fill(a);
    group(a, 0);
    const int64_t g = group_of_face(a, 1), h = group_of_face(a, 2);
    FAILS(MIEN_E_NOT_FOUND, mien_album_undo_next(a, what, sizeof what, &err));
    OK(mien_album_not(a, 5, h, &err)); /* what is given joins though it was refused */
    OK(mien_album_give(a, h, (const int64_t[]){ 5, 3, 3 }, 3, &err));
    assert_int_equal(group_of_face(a, 5), h);
    assert_int_equal(group_of_face(a, 3), h);
    OK(mien_album_undo_next(a, what, sizeof what, &err));
    assert_non_null(strstr(what, "given"));
    group(a, 0); /* neither comes back to where it was */
    assert_int_equal(group_of_face(a, 3), h);
    OK(mien_album_not(a, 3, h, &err));
    group(a, 0);
    assert_int_not_equal(group_of_face(a, 3), g);
    OK(mien_album_undo(a, NULL, 0, &err));
    OK(mien_album_undo(a, what, sizeof what, &err));
    assert_non_null(strstr(what, "given"));
    assert_int_equal(group_of_face(a, 3), g);
    assert_int_equal(group_of_face(a, 5), 0);
    FAILS(MIEN_E_NOT_FOUND, mien_album_give(a, 99, (const int64_t[]){ 3 }, 1, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_give(a, h, (const int64_t[]){ 3, 77 }, 2, &err));
    assert_int_equal(group_of_face(a, 3), g); /* nothing of it was done */
    FAILS(MIEN_E_ARG, mien_album_give(a, h, NULL, 0, &err));
    OK(mien_album_undo(a, NULL, 0, &err)); /* the first "not" */
    FAILS(MIEN_E_NOT_FOUND, mien_album_undo_next(a, what, sizeof what, &err));
    assert_string_equal(what, "");
    mien_album_free(a);
}

static void split_and_undo(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    fill(a);
    group(a, 0);
    const int64_t g = group_of_face(a, 1);
    int64_t made = 0;
    OK(mien_album_split(a, (const int64_t[]){ 3, 5, 3 }, 3, &made, &err));
    assert_int_equal(group_of_face(a, 3), made);
    assert_int_equal(group_of_face(a, 5), made);
    group(a, 0);
    assert_int_equal(group_of_face(a, 3), made);
    OK(mien_album_undo(a, NULL, 0, &err));
    assert_int_equal(group_of_face(a, 3), g);
    assert_int_equal(group_of_face(a, 5), 0);
    FAILS(MIEN_E_NOT_FOUND, mien_album_split(a, (const int64_t[]){ 1, 77 }, 2, NULL, &err));
    assert_int_equal(group_of_face(a, 1), g); /* nothing of it was done */
    FAILS(MIEN_E_NOT_FOUND, mien_album_undo(a, NULL, 0, &err));
    mien_album_free(a);
}

static void people_give_their_names(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    float vec[3][DIM];
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    mien_album_grouped g;
    o.link = 0.5;
    o.pair = 0.6;
    for (int i = 0; i < 3; i++)
        face_vec(i == 2 ? 5 : i + 1, 900, vec[i]);
    const mien_album_person people[] = { { "One", vec[0] }, { "Two", vec[1] }, { "Nobody here", vec[2] } };
    fill(a);
    group(a, 0);
    OK(mien_album_group(a, &o, people, 3, 0, &g, &err));
    int64_t one = 0, two = 0;
    OK(mien_album_find(a, "One", &one, &err)); /* a group there was takes the name */
    assert_int_equal(one, group_of_face(a, 2));
    OK(mien_album_find(a, "Two", &two, &err)); /* a single face is enough to be known */
    assert_int_equal(two, group_of_face(a, 5));
    FAILS(MIEN_E_NOT_FOUND, mien_album_find(a, "Nobody here", &one, &err));
    mien_album_list *l = list_of(a);
    for (size_t i = 0; i < l->n_groups; i++)
        assert_true(l->groups[i].n > 0 && l->faces[l->groups[i].first].representative);
    mien_album_list_free(l);
    mien_album_free(a);
}

static bool file_holds(const char *name, const void *what, size_t bytes)
{
    mien__file_map m = { 0 };
    if (mien__file_read(&m, name, SIZE_MAX, NULL) != MIEN_OK)
        return false;
    const bool found = memmem(m.data, m.size, what, bytes) != NULL;
    mien__file_map_close(&m);
    return found;
}

static void remove_leaves_no_vector(void **state)
{
    (void)state;
    char wal[80];
    float vec[DIM];
    mien_album *a = open_album(path);
    fill(a);
    group(a, 0);
    face_vec(0, 10, vec); /* face 1 */
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_true(file_holds(path, vec, sizeof vec) || file_holds(wal, vec, sizeof vec));
    OK(mien_album_remove(a, "a.jpg", &err));
    assert_false(file_holds(path, vec, sizeof vec));
    assert_false(file_holds(wal, vec, sizeof vec));
    FAILS(MIEN_E_NOT_FOUND, mien_album_remove(a, "a.jpg", &err));
    size_t n = 0, loose = 0;
    OK(mien_album_count(a, &n, &loose, &err));
    assert_int_equal(n, 3);
    mien_album_free(a);
    unlink(path);
}

static void open_what_is_no_album(void **state)
{
    (void)state;
    mien_album *a = NULL;
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 4000; i++)
        fputs("not an album at all\n", f);
    fclose(f);
    FAILS(MIEN_E_GALLERY_FORMAT, mien_album_open(path, "test model", DIM, &a, &err));
    unlink(path);
    sqlite3 *db = NULL; /* a database of somebody else */
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE face(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    FAILS(MIEN_E_GALLERY_FORMAT, mien_album_open(path, "test model", DIM, &a, &err));
    unlink(path);
    mien_album_free(open_album(path));
    FAILS(MIEN_E_GALLERY_MODEL, mien_album_open(path, "another model", DIM, &a, &err));
    FAILS(MIEN_E_GALLERY_MODEL, mien_album_open(path, "test model", DIM + 1, &a, &err));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 3", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    FAILS(MIEN_E_GALLERY_FORMAT, mien_album_open(path, "test model", DIM, &a, &err));
    unlink(path);
    FAILS(MIEN_E_IO, mien_album_open("/nonexistent/album", "test model", DIM, &a, &err));
    assert_null(a);
}

static void open_with_a_trigger_returns_format(void **state)
{
    (void)state;
    mien_album *a = NULL;
    sqlite3 *db = NULL;
    mien_album_free(open_album(path));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TRIGGER t AFTER INSERT ON face BEGIN DELETE FROM people; END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    FAILS(MIEN_E_GALLERY_FORMAT, mien_album_open(path, "test model", DIM, &a, &err));
    unlink(path);
}

static void add_bad_face_returns_arg(void **state)
{
    (void)state;
    float vec[DIM];
    mien_album *a = open_album(NULL);
    face_vec(0, 1, vec);
    const mien_album_picture p = { "x.jpg", 1, 1, 0, 0 };
    mien_album_new_face f = { { 0, 0, 10, 10, 0.5f, { { 0 } } }, 0.5f, vec };
    vec[2] = NAN;
    FAILS(MIEN_E_ARG, mien_album_add(a, &p, &f, 1, &err));
    face_vec(0, 1, vec);
    f.face.x1 = INFINITY;
    FAILS(MIEN_E_ARG, mien_album_add(a, &p, &f, 1, &err));
    f.face.x1 = 10;
    f.vec = NULL;
    FAILS(MIEN_E_ARG, mien_album_add(a, &p, &f, 1, &err));
    int has = 1;
    OK(mien_album_has(a, &p, &has, &err));
    assert_int_equal(has, 0);
    char name[MIEN_ALBUM_NAME_BYTES + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    FAILS(MIEN_E_LIMIT, mien_album_name(a, 1, name, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_name(a, 1, "x", &err));
    mien_album_free(a);
}

static int count_pictures(void *user, const mien_album_picture *p, size_t n_faces)
{
    size_t *n = user;
    assert_int_equal(p->width, 640);
    n[0]++;
    n[1] += n_faces;
    return n[0] == n[2];
}

static void pictures_vectors_and_crops_come_back(void **state)
{
    (void)state;
    static const uint8_t jpeg[] = "not looked at by the album";
    float vec[DIM], back[DIM];
    uint8_t *data = NULL;
    size_t n = 0;
    mien_album *a = open_album(path);
    face_vec(3, 1, vec);
    const mien_album_picture p = { "a/1.jpg", 1, 1, 640, 480 }, none = { "a/2.jpg", 1, 1, 640, 480 };
    const mien_quality q = { .eye_distance_px = 41, .sharpness = 0.5f, .score = 0.75f };
    mien_quality seen;
    mien_album_new_face f = { { 0, 0, 10, 10, 0.5f, { { 0 } } }, 0.5f, vec, jpeg, sizeof jpeg, &q };
    OK(mien_album_add(a, &p, &f, 1, &err));
    OK(mien_album_add(a, &none, NULL, 0, &err));
    OK(mien_album_vector(a, 1, back, &err));
    assert_memory_equal(vec, back, sizeof vec);
    OK(mien_album_crop(a, 1, &data, &n, &err));
    assert_int_equal(n, sizeof jpeg);
    assert_memory_equal(data, jpeg, n);
    mien_free(data);
    OK(mien_album_quality(a, 1, &seen, &err));
    assert_memory_equal(&seen, &q, sizeof q);
    size_t counts[3] = { 0, 0, 99 }, one[3] = { 0, 0, 1 };
    OK(mien_album_pictures(a, count_pictures, counts, &err));
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    OK(mien_album_pictures(a, count_pictures, one, &err));
    assert_int_equal(one[0], 1);
    FAILS(MIEN_E_NOT_FOUND, mien_album_vector(a, 2, back, &err));
    f.crop = NULL;
    f.crop_bytes = 0;
    f.measured = NULL;
    OK(mien_album_add(a, &none, &f, 1, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_crop(a, 2, &data, &n, &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_quality(a, 2, &seen, &err));
    f.crop = jpeg;
    FAILS(MIEN_E_LIMIT, mien_album_add(a, &none, &f, 1, &err));
    f.crop_bytes = (1 << 20) + 1;
    FAILS(MIEN_E_LIMIT, mien_album_add(a, &none, &f, 1, &err));
    OK(mien_album_remove(a, "a/1.jpg", &err));
    FAILS(MIEN_E_NOT_FOUND, mien_album_crop(a, 1, &data, &n, &err));
    mien_album_free(a);
    unlink(path);
}

static void open_and_read_while_another_writes(void **state)
{
    (void)state;
    sqlite3 *db = NULL;
    mien_album *a = open_album(path);
    fill(a);
    mien_album_free(a);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE; DELETE FROM face", NULL, NULL, NULL), SQLITE_OK);
    a = open_album(path); /* what was there before */
    mien_album_list *l = list_of(a);
    assert_int_equal(l->n_faces, 5);
    mien_album_list_free(l);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    mien_album_free(a);
    unlink(path);
}

static void open_an_album_of_version_1(void **state)
{
    (void)state;
    sqlite3 *db = NULL;
    mien_album *a = open_album(path);
    add(a, "a.jpg", 1, (const int[]){ 2 }, 1);
    mien_album_free(a);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "DROP TABLE crop; DROP TABLE measured; PRAGMA user_version = 1", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    a = open_album(path);
    add(a, "b.jpg", 1, (const int[]){ 2 }, 2);
    size_t counts[3] = { 0, 0, 99 };
    OK(mien_album_pictures(a, count_pictures, counts, &err));
    assert_int_equal(counts[1], 2);
    mien_album_free(a);
    unlink(path);
}

static void undo_history_is_bounded(void **state)
{
    (void)state;
    mien_album *a = open_album(NULL);
    mien_error err = MIEN_ERROR_INIT;
    fill(a);
    group(a, 0);
    for (int i = 0; i < MIEN_ALBUM_UNDO_STEPS + 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(mien_album_name(a, 1, name, &err), MIEN_OK);
    }
    int n = 0;
    while (mien_album_undo(a, NULL, 0, &err) == MIEN_OK)
        n++;
    assert_int_equal(n, MIEN_ALBUM_UNDO_STEPS);
    mien_album_free(a);
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/album", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_new_pictures_join_names_stay),
        cmocka_unit_test(not_is_remembered),
        cmocka_unit_test(merge_and_undo),
        cmocka_unit_test(given_faces_join_and_stay),
        cmocka_unit_test(split_and_undo),
        cmocka_unit_test(people_give_their_names),
        cmocka_unit_test(remove_leaves_no_vector),
        cmocka_unit_test(open_what_is_no_album),
        cmocka_unit_test(open_with_a_trigger_returns_format),
        cmocka_unit_test(add_bad_face_returns_arg),
        cmocka_unit_test(pictures_vectors_and_crops_come_back),
        cmocka_unit_test(open_and_read_while_another_writes),
        cmocka_unit_test(open_an_album_of_version_1),
        cmocka_unit_test(undo_history_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
