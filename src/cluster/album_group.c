/* Grouping an album: its faces and its people to mien_cluster(), what comes out back into the file.
 *
 * Faces that are in a group are fixed there: a group's number and name stay with the people they were given
 * to, whatever comes in later. A person known by name is a face of no picture that is fixed to the group of
 * that name; first, a group without a name that is near such a person takes the name.
 */
#include "cluster/album.h"
#include "cluster/cluster.h"
#include <string.h>

/* Faces that are too poor to be grouped stay where people have put them. */
#define TAKES_PART "(f.quality > 0 OR f.person NOT NULL)"

typedef struct work {
    mien_album *a;
    size_t n, n_people,
        n_groups;       /* faces; people given; groups, those still to be made for people among them */
    size_t n_known;     /* groups that are in the file */
    int64_t *groups;    /* [n_groups] ids, ascending for the known ones; 0: to be made */
    int64_t *faces;     /* [n] ids */
    const char **names; /* [n_groups] of those to be made */
    float *vecs;        /* [n + n_people][dim] */
    uint64_t *pictures;
    float *quality;
    int32_t *fixed;
    mien_cluster_not *nots;
    size_t n_nots;
    mien_cluster_face *results;
} work;

static void work_close(work *w)
{
    if (w->vecs)
        mien_free_secret(w->vecs, (w->n + w->n_people) * w->a->dim * sizeof *w->vecs);
    mien_free(w->groups);
    mien_free(w->faces);
    mien_free(w->names);
    mien_free(w->pictures);
    mien_free(w->quality);
    mien_free(w->fixed);
    mien_free(w->nots);
    mien_free(w->results);
}

static mien_status work_open(work *w, mien_album *a, size_t n_people, mien_error *err)
{
    int64_t n = 0, n_groups = 0, n_nots = 0;
    *w = (work){ .a = a, .n_people = n_people };
    mien_status st = mien__album_int(a, err, &n, "SELECT count(*) FROM face f WHERE " TAKES_PART, "");
    if (!st)
        st = mien__album_int(a, err, &n_groups, "SELECT count(*) FROM people", "");
    if (!st)
        st = mien__album_int(a, err, &n_nots, "SELECT count(*) FROM refusal", "");
    if (st)
        return st;
    if (n_people > MIEN_CLUSTER_MAX_FACES || n > MIEN_CLUSTER_MAX_FACES)
        return mien__fail(err, MIEN_E_LIMIT, "%s: %lld faces and %zu people, at most %d each", a->path,
                          (long long)n, n_people, MIEN_CLUSTER_MAX_FACES);
    const size_t total = (size_t)n + n_people;
    w->n = (size_t)n;
    w->groups = mien_alloc_array((size_t)n_groups + n_people, sizeof *w->groups);
    w->names = mien_alloc_array_zero((size_t)n_groups + n_people, sizeof *w->names);
    w->faces = mien_alloc_array(w->n, sizeof *w->faces);
    w->vecs = mien_alloc_array(total, a->dim * sizeof *w->vecs);
    w->pictures = mien_alloc_array_zero(total, sizeof *w->pictures);
    w->quality = mien_alloc_array_zero(total, sizeof *w->quality);
    w->fixed = mien_alloc_array(total, sizeof *w->fixed);
    w->nots = mien_alloc_array((size_t)n_nots, sizeof *w->nots);
    w->results = mien_alloc_array(total, sizeof *w->results);
    if (!w->groups || !w->names || !w->faces || !w->vecs || !w->pictures || !w->quality || !w->fixed ||
        !w->nots || !w->results)
        return mien__nomem(err, total * a->dim * sizeof *w->vecs);
    return MIEN_OK;
}

/* The place of an id in an ascending list; n when it is not there. */
static size_t place_of(const int64_t *ids, size_t n, int64_t id)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (ids[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && ids[lo] == id ? lo : n;
}

static mien_status read_groups(work *w, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(w->a, err, &s, "SELECT id FROM people ORDER BY id", "");
    for (bool row = false; !st;) {
        st = mien__album_next(w->a, s, &row, err);
        if (st || !row)
            break;
        w->groups[w->n_groups++] = sqlite3_column_int64(s, 0);
    }
    w->n_known = w->n_groups;
    sqlite3_finalize(s);
    return st;
}

static mien_status read_faces(work *w, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st =
        mien__album_query(w->a, err, &s,
                          "SELECT f.id, f.picture, coalesce(f.person, 0), f.quality, t.vec FROM face f LEFT "
                          "JOIN template t ON t.face = f.id WHERE " TAKES_PART " ORDER BY f.id",
                          "");
    size_t i = 0;
    for (bool row = false; !st; i++) {
        st = mien__album_next(w->a, s, &row, err);
        if (st || !row)
            break;
        const int64_t group = sqlite3_column_int64(s, 2);
        const size_t bytes = w->a->dim * sizeof(float);
        const void *const vec = sqlite3_column_blob(s, 4);
        const size_t at = group ? place_of(w->groups, w->n_known, group) : w->n_known;
        if (i == w->n || !vec || (size_t)sqlite3_column_bytes(s, 4) != bytes || (group && at == w->n_known)) {
            st = mien__album_fail(w->a, SQLITE_CORRUPT, err);
            break;
        }
        w->faces[i] = sqlite3_column_int64(s, 0);
        w->pictures[i] = (uint64_t)sqlite3_column_int64(s, 1);
        w->fixed[i] = group ? (int32_t)at : MIEN_CLUSTER_NONE;
        w->quality[i] = (float)sqlite3_column_double(s, 3);
        memcpy(w->vecs + i * w->a->dim, vec, bytes);
    }
    sqlite3_finalize(s);
    if (!st && i != w->n)
        st = mien__album_fail(w->a, SQLITE_CORRUPT, err);
    return st;
}

static mien_status read_nots(work *w, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(
        w->a, err, &s,
        "SELECT r.face, r.person FROM refusal r JOIN face f ON f.id = r.face WHERE " TAKES_PART, "");
    for (bool row = false; !st;) {
        st = mien__album_next(w->a, s, &row, err);
        if (st || !row)
            break;
        const size_t face = place_of(w->faces, w->n, sqlite3_column_int64(s, 0));
        const size_t group = place_of(w->groups, w->n_known, sqlite3_column_int64(s, 1));
        if (face == w->n || group == w->n_known) {
            st = mien__album_fail(w->a, SQLITE_CORRUPT, err);
            break;
        }
        w->nots[w->n_nots++] = (mien_cluster_not){ face, (int32_t)group };
    }
    sqlite3_finalize(s);
    return st;
}

/* ---- people known by name ---- */

/* The group without a name that is nearest to a person, near enough to be that person; n_known when there is
 * none. */
static size_t nearest_nameless(const work *w, const bool *nameless, const float *vec,
                               const mien_cluster_opts *o, double *sums, size_t *counts)
{
    memset(sums, 0, w->n_known * sizeof *sums);
    memset(counts, 0, w->n_known * sizeof *counts);
    for (size_t i = 0; i < w->n; i++) {
        const int32_t g = w->fixed[i];
        if (g == MIEN_CLUSTER_NONE || !nameless[g])
            continue;
        double dot = 0;
        for (size_t k = 0; k < w->a->dim; k++)
            dot += (double)vec[k] * w->vecs[i * w->a->dim + k];
        sums[g] += dot;
        counts[g]++;
    }
    size_t best = w->n_known;
    double best_mean = -2;
    for (size_t g = 0; g < w->n_known; g++) {
        const double n = (double)counts[g], mean = n > 0 ? sums[g] / n : -2;
        if (n > 0 && mean >= o->link + (o->pair - o->link) / n && mean > best_mean) {
            best = g;
            best_mean = mean;
        }
    }
    return best;
}

/* Which group is the person's: the one of that name, else a nameless one that is near, which takes the name,
 * else one to be made. */
static mien_status place_person(work *w, const mien_album_person *person, bool *nameless,
                                const mien_cluster_opts *o, double *sums, size_t *counts, int32_t *ret,
                                mien_error *err)
{
    int64_t id = 0;
    mien_status st =
        mien__album_int(w->a, err, &id, "SELECT id FROM people WHERE name = ?", "t", person->name);
    if (st)
        return st;
    size_t at = id ? place_of(w->groups, w->n_known, id) : w->n_known;
    for (size_t g = w->n_known; at == w->n_known && g < w->n_groups; g++) {
        if (!strcmp(w->names[g], person->name))
            at = g;
    }
    if (at == w->n_known && !id) {
        at = nearest_nameless(w, nameless, person->vec, o, sums, counts);
        if (at < w->n_known) {
            nameless[at] = false;
            st = mien__album_run(w->a, err, "UPDATE people SET name = ? WHERE id = ?", "ti", person->name,
                                 w->groups[at]);
        } else if (!strcmp(person->name, "")) {
            return mien__fail(err, MIEN_E_ARG, "album: a person without a name");
        } else {
            at = w->n_groups++;
            w->groups[at] = 0;
            w->names[at] = person->name;
        }
    }
    *ret = (int32_t)at;
    return st;
}

static mien_status place_people(work *w, const mien_album_person *people, const mien_cluster_opts *o,
                                mien_error *err)
{
    if (!w->n_people)
        return MIEN_OK;
    bool *const nameless = mien_alloc_array_zero(w->n_known, sizeof *nameless);
    double *const sums = mien_alloc_array(w->n_known, sizeof *sums);
    size_t *const counts = mien_alloc_array(w->n_known, sizeof *counts);
    mien_status st = nameless && sums && counts ? MIEN_OK : mien__nomem(err, w->n_known);
    for (size_t g = 0; g < w->n_known && !st; g++) {
        int64_t is = 0;
        st = mien__album_int(w->a, err, &is, "SELECT name = '' FROM people WHERE id = ?", "i", w->groups[g]);
        nameless[g] = is != 0;
    }
    for (size_t i = 0; i < w->n_people && !st; i++) {
        const mien_album_person *const p = &people[i];
        if (!p->name || !p->vec || strlen(p->name) > MIEN_ALBUM_NAME_BYTES) {
            st =
                mien__fail(err, MIEN_E_ARG, "album: person %zu has no name, too long a one, or no vector", i);
            break;
        }
        memcpy(w->vecs + (w->n + i) * w->a->dim, p->vec, w->a->dim * sizeof *p->vec);
        st = place_person(w, p, nameless, o, sums, counts, &w->fixed[w->n + i], err);
    }
    mien_free(nameless);
    mien_free(sums);
    mien_free(counts);
    return st;
}

/* ---- back into the file ---- */

static mien_status save_face(work *w, size_t i, sqlite3_stmt *update, mien_error *err)
{
    const mien_cluster_face *const r = &w->results[i];
    bool row = false;
    sqlite3_reset(update);
    int rc = r->group == MIEN_CLUSTER_NONE ? sqlite3_bind_null(update, 1)
                                           : sqlite3_bind_int64(update, 1, w->groups[r->group]);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_double(update, 2, (double)r->similarity);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_double(update, 3, (double)r->confidence);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(update, 4, r->representative);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(update, 5, w->faces[i]);
    return rc == SQLITE_OK ? mien__album_next(w->a, update, &row, err) : mien__album_fail(w->a, rc, err);
}

/* A group's number in the file, made when it is not there yet. */
static mien_status make_group(work *w, int32_t group, size_t *ret_new, mien_error *err)
{
    if (w->groups[group])
        return MIEN_OK;
    const char *const name = w->names[group];
    const mien_status st =
        mien__album_run(w->a, err, "INSERT INTO people VALUES(NULL, ?, 0)", "t", name ? name : "");
    w->groups[group] = sqlite3_last_insert_rowid(w->a->db);
    *ret_new += !name;
    return st;
}

/* People come last in `results`; a group that only its person is in is not made, and the picture of a person
 * is no face to show. */
static mien_status save(work *w, int32_t n_groups, mien_album_grouped *ret, mien_error *err)
{
    sqlite3_stmt *update = NULL;
    int64_t *const groups = mien_grow_array(w->groups, w->n_groups, (size_t)n_groups, sizeof *groups);
    if (!groups)
        return mien__nomem(err, (size_t)n_groups * sizeof *groups);
    w->groups = groups;
    const char **const names = mien_grow_array(w->names, w->n_groups, (size_t)n_groups, sizeof *names);
    if (!names)
        return mien__nomem(err, (size_t)n_groups * sizeof *names);
    w->names = names;
    for (size_t g = w->n_groups; g < (size_t)n_groups; g++) {
        w->groups[g] = 0;
        w->names[g] = NULL;
    }
    mien_status st = mien__album_query(
        w->a, err, &update,
        "UPDATE face SET person = ?, similarity = ?, confidence = ?, shown = ? WHERE id = ?", "");
    for (int32_t g = (int32_t)w->n_groups; g < n_groups && !st; g++) /* numbers by size */
        st = make_group(w, g, &ret->n_new, err);
    for (size_t i = 0; i < w->n && !st; i++) {
        const int32_t group = w->results[i].group;
        if (group != MIEN_CLUSTER_NONE)
            st = make_group(w, group, &ret->n_new, err);
        ret->n_joined +=
            w->fixed[i] == MIEN_CLUSTER_NONE && group != MIEN_CLUSTER_NONE && group < (int32_t)w->n_groups;
        if (!st)
            st = save_face(w, i, update, err);
    }
    sqlite3_finalize(update);
    return st;
}

static mien_status dissolve(mien_album *a, mien_error *err)
{
    mien_status st = mien__album_run(a, err, "DELETE FROM people WHERE name = '' AND kept = 0", "");
    if (!st)
        st = mien__album_run(a, err, "DELETE FROM undo", "");
    return st;
}

static mien_status group(work *w, const mien_cluster_opts *opts, const mien_album_person *people,
                         mien_album_grouped *ret, mien_error *err)
{
    int32_t n_groups = 0;
    mien_status st = read_groups(w, err);
    if (!st)
        st = read_faces(w, err);
    if (!st)
        st = read_nots(w, err);
    if (!st)
        st = place_people(w, people, opts, err);
    const mien_cluster_input input = { w->vecs,    w->n + w->n_people, w->a->dim, w->pictures,
                                       w->quality, w->fixed,           w->nots,   w->n_nots };
    mien_cluster_opts o = *opts;
    o.first_group = (int32_t)w->n_groups;
    if (!st)
        st = mien_cluster(&input, &o, w->results, &n_groups, err);
    return st ? st : save(w, n_groups, ret, err);
}

mien_status mien_album_group(mien_album *album, const mien_cluster_opts *opts,
                             const mien_album_person *people, size_t n, int anew, mien_album_grouped *ret,
                             mien_error *err)
{
    work w = { 0 };
    mien_album_grouped grouped = { 0, 0 };
    if (!album || !opts || (n && !people))
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    mien_status st = mien__album_begin(album, err);
    if (st)
        return st;
    if (anew)
        st = dissolve(album, err);
    if (!st)
        st = work_open(&w, album, n, err);
    if (!st)
        st = group(&w, opts, people, &grouped, err);
    if (w.a)
        work_close(&w);
    st = mien__album_end(album, st, err);
    if (!st && ret)
        *ret = grouped;
    return st;
}
