/* The journal of changes that can be taken back: renames, merges, splits.
 *
 * An entry's data: numbers as 8 bytes little-endian, texts with their length before them, sealed under the
 * key of the person who is left, so that destroying that key destroys what the entry tells of anybody.
 * Entries about a removed person are deleted with it. An entry counts only while the people in it stand as it
 * left them, which a stamp tells: the sequence of their last change.
 */
#include "gallery/journal.h"
#include <sodium.h>
#include <string.h>

enum { KEPT = 100, TEXTS = 4 };

/* ---- writing ---- */

typedef struct writer {
    mien__buf buf;
    mien_status st;
    mien_error *err;
} writer;

static void put(writer *w, const void *data, size_t bytes)
{
    if (!w->st)
        w->st = mien__buf_append(&w->buf, data, bytes, w->err);
}

static void put_i64(writer *w, int64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)((uint64_t)v >> (8 * i));
    put(w, b, sizeof b);
}

static void put_text(writer *w, const char *text)
{
    const size_t n = text ? strlen(text) : 0;
    put_i64(w, (int64_t)n);
    put(w, text ? text : "", n);
}

mien_status mien__journal_add(mien_gallery *g, const uint8_t *key, const mien__undo *u, mien_error *err)
{
    writer w = { .err = err };
    mien__buf sealed;
    int64_t id = 0;
    mien__buf_init(&w.buf, MIEN__BLOB_MAX);
    mien__buf_init(&sealed, MIEN__BLOB_MAX);
    const int64_t numbers[] = { u->person_before, u->other_before, u->made,    u->given_ms,
                                u->expires_ms,    u->created_ms,   u->seen_ms, (int64_t)u->n_faces };
    for (size_t i = 0; i < MIEN_COUNTOF(numbers); i++)
        put_i64(&w, numbers[i]);
    for (size_t i = 0; i < u->n_faces; i++)
        put_i64(&w, u->faces[i]);
    const char *const texts[TEXTS] = { u->name, u->note, u->purpose, u->basis };
    for (size_t i = 0; i < TEXTS; i++)
        put_text(&w, texts[i]);
    mien_status st = w.st ? w.st : mien__sql_number(g, MIEN__SQL_JOURNAL_NEXT, 1, &id, err, "");
    if (!st)
        st = mien__seal(g, key, (mien__place){ MIEN__KIND_JOURNAL, u->person, id }, w.buf.data, w.buf.size,
                        &sealed, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_JOURNAL_ADD, err, "iiiiiiib", id, (int64_t)u->kind, u->person,
                           u->other, u->person_stamp, u->other_stamp, mien__clock_ms(), sealed.data,
                           sealed.size);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_JOURNAL_PRUNE, err, "i", id - (int64_t)KEPT);
    mien__buf_wipe(&w.buf);
    mien__buf_wipe(&sealed);
    return st;
}

/* ---- reading ---- */

typedef struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
} reader;

static int64_t get_i64(reader *r)
{
    uint64_t v = 0;
    if (r->left < 8) {
        r->bad = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += 8;
    r->left -= 8;
    return (int64_t)v;
}

/* NULL when bad or memory is short. */
static char *get_text(reader *r)
{
    const int64_t n = get_i64(r);
    if (r->bad || n < 0 || (uint64_t)n > r->left) {
        r->bad = true;
        return NULL;
    }
    char *const text = mien_strndup((const char *)r->at, (size_t)n);
    r->at += n;
    r->left -= (size_t)n;
    return text;
}

void mien__undo_free(mien__undo *u)
{
    char **const texts[TEXTS] = { &u->name, &u->note, &u->purpose, &u->basis };
    for (size_t i = 0; i < TEXTS; i++) {
        if (*texts[i])
            mien_free_secret(*texts[i], strlen(*texts[i]));
        *texts[i] = NULL;
    }
    mien_free(u->faces);
    u->faces = NULL;
}

static mien_status parse(reader *r, mien__undo *u, mien_error *err)
{
    int64_t made = 0, faces = 0;
    int64_t *const numbers[] = { &u->person_before, &u->other_before, &made,       &u->given_ms,
                                 &u->expires_ms,    &u->created_ms,   &u->seen_ms, &faces };
    for (size_t i = 0; i < MIEN_COUNTOF(numbers); i++)
        *numbers[i] = get_i64(r);
    u->made = made != 0;
    if (r->bad || faces < 0 || faces > MIEN__FACES_MAX || (uint64_t)faces > r->left / 8)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "entry %lld of the journal is damaged",
                          (long long)u->id);
    u->n_faces = (size_t)faces;
    u->faces = mien_alloc_array(u->n_faces, sizeof *u->faces);
    if (!u->faces)
        return mien__nomem(err, u->n_faces * sizeof *u->faces);
    for (size_t i = 0; i < u->n_faces; i++)
        u->faces[i] = get_i64(r);
    char **const texts[TEXTS] = { &u->name, &u->note, &u->purpose, &u->basis };
    for (size_t i = 0; i < TEXTS; i++)
        if (!(*texts[i] = get_text(r)))
            return r->bad ? mien__fail(err, MIEN_E_GALLERY_CORRUPT, "entry %lld of the journal is damaged",
                                       (long long)u->id)
                          : mien__nomem(err, r->left);
    return MIEN_OK;
}

static mien_status read_entry(mien_gallery *g, sqlite3_stmt *row, mien__undo *ret, mien_error *err)
{
    uint8_t key[MIEN__KEY_BYTES];
    char *data = NULL;
    size_t bytes = 0;
    mien__undo u = { .id = sqlite3_column_int64(row, 0),
                     .kind = (mien__undo_kind)sqlite3_column_int64(row, 1),
                     .person = sqlite3_column_int64(row, 2),
                     .other = sqlite3_column_int64(row, 3),
                     .person_stamp = sqlite3_column_int64(row, 4),
                     .other_stamp = sqlite3_column_int64(row, 5) };
    mien_status st = mien__person_key(g, u.person, key, err);
    if (!st)
        st = mien__unseal(g, key, (mien__place){ MIEN__KIND_JOURNAL, u.person, u.id },
                          sqlite3_column_blob(row, 6), (size_t)sqlite3_column_bytes(row, 6), &data, &bytes,
                          err);
    if (!st) {
        reader r = { (const uint8_t *)data, bytes, false };
        st = parse(&r, &u, err);
    }
    sodium_memzero(key, sizeof key);
    mien_free_secret(data, bytes + 1);
    if (st)
        mien__undo_free(&u);
    else
        *ret = u;
    return st;
}

/* Does a person stand as the entry left it? 0: nobody is meant. */
static mien_status stands(mien_gallery *g, int64_t person, int64_t stamp, bool *ret, mien_error *err)
{
    int64_t now = -1;
    const mien_status st =
        person ? mien__sql_number(g, MIEN__SQL_STAMP_GET, -1, &now, err, "i", person) : MIEN_OK;
    *ret = !st && (person == 0 || now == stamp);
    return st;
}

mien_status mien__journal_last(mien_gallery *g, mien__undo *ret, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true, found = false;
    mien_status st = mien__sql_open(g, MIEN__SQL_JOURNAL_DOWN, &s, err, "");
    while (!st && !found && !(st = mien__sql_row(g, s, &row, err)) && row) {
        const bool merge = sqlite3_column_int64(s, 1) == MIEN__UNDO_MERGE;
        bool person = false, other = false;
        if ((st = stands(g, sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 4), &person, err)) ||
            (st = stands(g, merge ? 0 : sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 5), &other, err)))
            break;
        if (!person || !other)
            continue;
        st = read_entry(g, s, ret, err);
        found = !st;
    }
    mien__sql_end(g, s);
    if (!st && !found)
        st = mien__fail(err, MIEN_E_NOT_FOUND,
                        "%.120s has no rename, merge or split that could be taken back", g->shared->path);
    return st;
}

mien_status mien__journal_trace(mien_gallery *g, mien__scrub *s, int64_t person, mien_error *err)
{
    sqlite3_stmt *row = NULL;
    bool there = true;
    mien_status st = mien__sql_open(g, MIEN__SQL_JOURNAL_OF, &row, err, "i", person);
    while (!st && !(st = mien__sql_row(g, row, &there, err)) && there) {
        mien__undo u;
        if (g->shared->encrypted &&
            (st = mien__scrub_add(s, sqlite3_column_blob(row, 6), (size_t)sqlite3_column_bytes(row, 6), err)))
            break;
        if ((st = read_entry(g, row, &u, err)))
            break;
        if (u.name[0])
            st = mien__scrub_add_text(s, u.name, err);
        mien__undo_free(&u);
    }
    mien__sql_end(g, row);
    return st;
}
