/* Merging two people, splitting one, and taking such changes back.
 *
 * A face that changes hands is sealed anew under the key of its new owner, and both templates are fused
 * again. Who was merged away keeps its number, name, note and consent in the journal until the merge is no
 * longer undoable.
 */
#include "gallery/journal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- moving faces ---- */

/* Open what is at `column` of `row` and append it to `ret` sealed for its new place. */
static mien_status reseal(mien_gallery *g, sqlite3_stmt *row, int column, mien__place from,
                          const uint8_t *from_key, mien__place to, const uint8_t *to_key, mien__buf *ret,
                          mien_error *err)
{
    char *plain = NULL;
    size_t bytes = 0;
    mien_status st = mien__unseal(g, from_key, from, sqlite3_column_blob(row, column),
                                  (size_t)sqlite3_column_bytes(row, column), &plain, &bytes, err);
    if (!st)
        st = mien__seal(g, to_key, to, plain, bytes, ret, err);
    mien_free_secret(plain, bytes + 1);
    return st;
}

static mien_status move_image(mien_gallery *g, int64_t face, int64_t from, const uint8_t *from_key,
                              int64_t to, const uint8_t *to_key, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien__buf b;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st = mien__sql_open(g, MIEN__SQL_IMAGE_GET, &s, err, "i", face);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && row)
        st = reseal(g, s, 1, (mien__place){ MIEN__KIND_IMAGE, from, face }, from_key,
                    (mien__place){ MIEN__KIND_IMAGE, to, face }, to_key, &b, err);
    mien__sql_end(g, s);
    if (!st && row)
        st = mien__sql_run(g, MIEN__SQL_IMAGE_SET, err, "ib", face, b.data, b.size);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien__face_move(mien_gallery *g, int64_t face, int64_t from, const uint8_t *from_key, int64_t to,
                            const uint8_t *to_key, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien__buf source, halves;
    mien__buf_init(&source, MIEN__BLOB_MAX);
    mien__buf_init(&halves, MIEN__BLOB_MAX);
    mien_status st = mien__sql_open(g, MIEN__SQL_FACE_SEALED, &s, err, "i", face);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && (!row || sqlite3_column_int64(s, 0) != from))
        st = mien__fail(err, MIEN_E_NOT_FOUND, "person %lld has no face %lld", (long long)from,
                        (long long)face);
    if (!st)
        st = reseal(g, s, 1, (mien__place){ MIEN__KIND_SOURCE, from, face }, from_key,
                    (mien__place){ MIEN__KIND_SOURCE, to, face }, to_key, &source, err);
    if (!st)
        st = reseal(g, s, 2, (mien__place){ MIEN__KIND_FACE, from, face }, from_key,
                    (mien__place){ MIEN__KIND_FACE, to, face }, to_key, &halves, err);
    mien__sql_end(g, s);
    if (!st && g->shared->encrypted) /* in an open one the picture stays as it is */
        st = move_image(g, face, from, from_key, to, to_key, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_FACE_MOVE, err, "iibb", face, to,
                           source.data ? (const void *)source.data : "", source.size, halves.data,
                           halves.size);
    mien__buf_wipe(&source);
    mien__buf_wipe(&halves);
    return st;
}

static mien_status face_ids(mien_gallery *g, int64_t person, int64_t **ret, size_t *ret_n, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t count = 0;
    size_t n = 0;
    mien_status st = mien__sql_number(g, MIEN__SQL_FACE_COUNT, 0, &count, err, "i", person);
    if (!st && count > MIEN__FACES_MAX)
        st = mien__fail(err, MIEN_E_LIMIT, "person %lld has more than %d faces", (long long)person,
                        MIEN__FACES_MAX);
    if (st)
        return st;
    int64_t *const ids = mien_alloc_array((size_t)count, sizeof *ids);
    if (!ids)
        return mien__nomem(err, (size_t)count * sizeof *ids);
    st = mien__sql_open(g, MIEN__SQL_FACE_SET, &s, err, "i", person);
    while (!st && n < (size_t)count && !(st = mien__sql_row(g, s, &row, err)) && row)
        ids[n++] = sqlite3_column_int64(s, 0);
    mien__sql_end(g, s);
    if (st) {
        mien_free(ids);
        return st;
    }
    *ret = ids;
    *ret_n = n;
    return MIEN_OK;
}

static mien_status move_all(mien_gallery *g, const int64_t *faces, size_t n, int64_t from,
                            const uint8_t *from_key, int64_t to, const uint8_t *to_key, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = mien__face_move(g, faces[i], from, from_key, to, to_key, err);
    return st;
}

static mien_status delete_person(mien_gallery *g, int64_t person, mien_error *err)
{
    mien_status st = mien__sql_run(g, MIEN__SQL_TEMPLATE_DELETE, err, "i", person);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_PERSON_DELETE, err, "i", person);
    if (!st)
        st = mien__touch(g, person, NULL, err);
    if (!st)
        g->state.n_people--;
    return st;
}

/* Audit entry with the digest of the other person. */
static mien_status audit_pair(mien_gallery *g, const char *action, int64_t person, int64_t other,
                              size_t n_faces, mien_error *err)
{
    uint8_t subject[MIEN__DIGEST_BYTES];
    char hex[2 * MIEN__DIGEST_BYTES + 1], detail[160];
    mien__subject(g, other, subject);
    sodium_bin2hex(hex, sizeof hex, subject, sizeof subject);
    snprintf(detail, sizeof detail, "{\"other\":\"%s\",\"faces\":%zu}", hex, n_faces);
    return mien__audit_append(g, action, person, detail, err);
}

/* ---- merge ---- */

static mien_status merge(mien_gallery *g, const mien__record *into, const mien__record *from, mien_error *err)
{
    const mien_person *const p = &from->person;
    mien__undo u = { .kind = MIEN__UNDO_MERGE,
                     .person = into->person.id,
                     .other = p->id,
                     .person_before = into->stamp,
                     .other_before = from->stamp,
                     .name = from->name,
                     .note = from->note,
                     .purpose = (char *)(uintptr_t)p->consent.purpose,
                     .basis = (char *)(uintptr_t)p->consent.basis,
                     .given_ms = p->consent.given_ms,
                     .expires_ms = p->consent.expires_ms,
                     .created_ms = p->created_ms,
                     .seen_ms = p->seen_ms };
    mien_status st = face_ids(g, p->id, &u.faces, &u.n_faces, err);
    if (st)
        return st;
    if (into->person.n_faces + u.n_faces > MIEN__FACES_MAX)
        st = mien__fail(err, MIEN_E_LIMIT, "together they would have more than %d faces", MIEN__FACES_MAX);
    if (st || (st = move_all(g, u.faces, u.n_faces, p->id, from->key, into->person.id, into->key, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_JOURNAL_PURGE, err, "i", p->id)) ||
        (st = delete_person(g, p->id, err)) ||
        (st = mien__fuse_person(g, into->person.id, mien__clock_ms(), NULL, err)) ||
        (st = mien__sql_number(g, MIEN__SQL_STAMP_GET, 0, &u.person_stamp, err, "i", into->person.id)) ||
        (st = mien__journal_add(g, into->key, &u, err)))
        goto done;
    st = audit_pair(g, "merge", into->person.id, p->id, u.n_faces, err);
done:
    mien_free(u.faces);
    return st;
}

mien_status mien_gallery_merge(mien_gallery *gallery, int64_t into, int64_t from, mien_error *err)
{
    mien__record a = { 0 }, b = { 0 };
    if (!gallery || into == from)
        return mien__fail(err, MIEN_E_ARG, "gallery is NULL, or a person is to be merged with itself");
    mien_status st = mien__write_begin(gallery, err);
    if (st)
        return st;
    if (!(st = mien__record_load(gallery, into, &a, err)) &&
        !(st = mien__record_load(gallery, from, &b, err)))
        st = merge(gallery, &a, &b, err);
    st = mien__write_end(gallery, st, err);
    if (!st) /* whoever removes `into` later removes these faces: the saved index must not have them as `from`
              */
        (void)mien__finder_erase(gallery, &from, 1);
    mien__record_free(&a);
    mien__record_free(&b);
    return st;
}

/* ---- split ---- */

static mien_status target_of(mien_gallery *g, const char *name, mien__record *ret, bool *ret_made,
                             mien_error *err)
{
    int64_t id = 0;
    uint8_t key[MIEN__KEY_BYTES];
    mien_status st = mien__name_find(g, name, &id, err);
    *ret_made = !st && id == 0;
    if (*ret_made) {
        const mien__new_person p = { .name = name, .now_ms = mien__clock_ms() };
        st = mien__person_add(g, &p, &id, key, err);
        sodium_memzero(key, sizeof key);
    }
    return st ? st : mien__record_load(g, id, ret, err);
}

static mien_status split(mien_gallery *g, const mien__record *r, const int64_t *faces, size_t n,
                         const char *name, int64_t *ret_person, mien_error *err)
{
    mien__record to = { 0 };
    bool made = false;
    mien__undo u = { .kind = MIEN__UNDO_SPLIT,
                     .person = r->person.id,
                     .person_before = r->stamp,
                     .faces = (int64_t *)(uintptr_t)faces,
                     .n_faces = n };
    mien_status st = target_of(g, name, &to, &made, err);
    if (st)
        return st;
    u.other = to.person.id;
    u.other_before = to.stamp;
    u.made = made;
    const int64_t now = mien__clock_ms();
    if (u.other == u.person)
        st = mien__fail(err, MIEN_E_ARG, "a person's faces cannot be split off to that person");
    else if (to.person.n_faces + n > MIEN__FACES_MAX)
        st = mien__fail(err, MIEN_E_LIMIT, "a person has at most %d faces", MIEN__FACES_MAX);
    if (st || (st = move_all(g, faces, n, u.person, r->key, u.other, to.key, err)) ||
        (st = mien__fuse_person(g, u.person, now, NULL, err)) ||
        (st = mien__fuse_person(g, u.other, now, NULL, err)) ||
        (st = mien__sql_number(g, MIEN__SQL_STAMP_GET, 0, &u.person_stamp, err, "i", u.person)) ||
        (st = mien__sql_number(g, MIEN__SQL_STAMP_GET, 0, &u.other_stamp, err, "i", u.other)) ||
        (st = mien__journal_add(g, r->key, &u, err)) ||
        (st = audit_pair(g, "split", u.person, u.other, n, err)))
        goto done;
    *ret_person = u.other;
done:
    mien__record_free(&to);
    return st;
}

mien_status mien_gallery_split(mien_gallery *gallery, int64_t person, const int64_t *faces, size_t n,
                               const char *name, int64_t *ret_person, mien_error *err)
{
    mien__record r = { 0 };
    int64_t to = 0;
    if (!gallery || !faces || n == 0 || n > MIEN__FACES_MAX || !ret_person)
        return mien__fail(err, MIEN_E_ARG, "gallery, faces or result are missing");
    mien_status st = mien__name_check(name, err);
    if (st || (st = mien__write_begin(gallery, err)))
        return st;
    if (!(st = mien__record_load(gallery, person, &r, err)))
        st = split(gallery, &r, faces, n, name, &to, err);
    st = mien__write_end(gallery, st, err);
    if (!st)
        *ret_person = to;
    mien__record_free(&r);
    return st;
}

/* ---- undo ---- */

static mien_status undo_rename(mien_gallery *g, const mien__undo *u, mien__record *r, char *ret_what,
                               size_t capacity, mien_error *err)
{
    mien_status st = mien__name_set(g, u->person, r->key, u->name, err);
    if (!st)
        st = mien__touch(g, u->person, NULL, err);
    snprintf(ret_what, capacity, "named \"%s\" \"%s\" again", r->name, u->name);
    return st;
}

static mien_status undo_merge(mien_gallery *g, const mien__undo *u, mien__record *r, char *ret_what,
                              size_t capacity, mien_error *err)
{
    uint8_t key[MIEN__KEY_BYTES];
    int64_t id = 0;
    const int64_t now = mien__clock_ms();
    const mien_consent consent = { u->purpose, u->basis, u->given_ms, u->expires_ms };
    const mien__new_person p = { u->other, u->name, u->note, &consent, now };
    mien_status st = mien__person_add(g, &p, &id, key, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_PERSON_TIMES, err, "iii", id, u->created_ms, u->seen_ms);
    if (!st)
        st = move_all(g, u->faces, u->n_faces, u->person, r->key, id, key, err);
    sodium_memzero(key, sizeof key);
    if (st || (st = mien__fuse_person(g, u->person, now, NULL, err)) ||
        (st = mien__fuse_person(g, id, now, NULL, err)))
        return st;
    snprintf(ret_what, capacity, "parted \"%s\" from \"%s\" again", u->name, r->name);
    return mien__sql_run(g, MIEN__SQL_PERSON_STAMP, err, "ii", id, u->other_before);
}

static mien_status undo_split(mien_gallery *g, const mien__undo *u, mien__record *r, char *ret_what,
                              size_t capacity, mien_error *err)
{
    mien__record to;
    const int64_t now = mien__clock_ms();
    mien_status st = mien__record_load(g, u->other, &to, err);
    if (st)
        return st;
    if ((st = move_all(g, u->faces, u->n_faces, u->other, to.key, u->person, r->key, err)) ||
        (st = mien__fuse_person(g, u->person, now, NULL, err)))
        goto done;
    if (u->made) {
        if (!(st = mien__sql_run(g, MIEN__SQL_JOURNAL_PURGE, err, "i", u->other)))
            st = delete_person(g, u->other, err);
    } else if (!(st = mien__fuse_person(g, u->other, now, NULL, err))) {
        st = mien__sql_run(g, MIEN__SQL_PERSON_STAMP, err, "ii", u->other, u->other_before);
    }
    snprintf(ret_what, capacity, "gave %zu face%s of \"%s\" back to \"%s\"", u->n_faces,
             u->n_faces == 1 ? "" : "s", to.name, r->name);
done:
    mien__record_free(&to);
    return st;
}

/* Names may hold line ends and be cut within a character. */
static void one_line(char *text)
{
    for (char *s = text; *s;) {
        const size_t n = mien__utf8_length(s);
        if (n == 0) {
            *s = '\0';
            return;
        }
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = ' ';
        s += n;
    }
}

static mien_status undo(mien_gallery *g, char *ret_what, size_t capacity, int64_t *ret_gone, mien_error *err)
{
    static const char *const details[] = { "{}", "{\"of\":\"rename\"}", "{\"of\":\"merge\"}",
                                           "{\"of\":\"split\"}" };
    mien__undo u = { 0 };
    mien__record r = { 0 };
    mien_status st = mien__journal_last(g, &u, err);
    if (st)
        return st;
    if ((st = mien__record_load(g, u.person, &r, err)))
        goto done;
    st = u.kind == MIEN__UNDO_RENAME  ? undo_rename(g, &u, &r, ret_what, capacity, err)
         : u.kind == MIEN__UNDO_MERGE ? undo_merge(g, &u, &r, ret_what, capacity, err)
         : u.kind == MIEN__UNDO_SPLIT ? undo_split(g, &u, &r, ret_what, capacity, err)
                                      : mien__fail(err, MIEN_E_GALLERY_CORRUPT,
                                                   "entry %lld of the journal is damaged", (long long)u.id);
    /* with the stamp of before, the change before this one can be taken back next */
    if (st || (st = mien__sql_run(g, MIEN__SQL_PERSON_STAMP, err, "ii", u.person, u.person_before)) ||
        (st = mien__sql_run(g, MIEN__SQL_JOURNAL_DELETE, err, "i", u.id)))
        goto done;
    *ret_gone = u.kind == MIEN__UNDO_SPLIT && u.made ? u.other : 0;
    st = mien__audit_append(g, "undo", u.person, details[u.kind], err);
done:
    mien__record_free(&r);
    mien__undo_free(&u);
    return st;
}

mien_status mien_gallery_undo(mien_gallery *gallery, char *ret_what, size_t capacity, mien_error *err)
{
    char what[2200] = "";
    if (!gallery || (!ret_what && capacity > 0))
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    int64_t gone = 0;
    mien_status st = mien__write_begin(gallery, err);
    if (!st)
        st = mien__write_end(gallery, undo(gallery, what, sizeof what, &gone, err), err);
    if (!st && gone)
        (void)mien__finder_erase(gallery, &gone, 1);
    if (!st && capacity > 0) {
        snprintf(ret_what, capacity, "%s", what);
        one_line(ret_what);
    }
    sodium_memzero(what, sizeof what);
    return st;
}
