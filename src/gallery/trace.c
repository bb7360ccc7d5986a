/* What a person left in the file: the needles for the search after a removal.
 *
 * In an encrypted gallery every stored value is as good as random, and any run of it counts; the plain
 * templates are looked for as well. In an open one others may hold the same bytes for reasons of their own:
 * the same folder in a source, the same purpose in a consent, a group picture. There texts are looked for
 * together with the bytes that lie beside them in the row, which are this person's alone, and pictures that
 * another face keeps too are left out.
 */
#include "gallery/remove.h"
#include <sodium.h>
#include <string.h>

enum { BESIDE = 16, TEXT_PART = 256 };

static const uint8_t *blob(sqlite3_stmt *s, int column, size_t *ret_bytes)
{
    const uint8_t *const data = sqlite3_column_blob(s, column);
    *ret_bytes = data ? (size_t)sqlite3_column_bytes(s, column) : 0;
    return data;
}

/* A text with the BESIDE bytes before or after it. */
static mien_status beside(mien__scrub *s, const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes,
                          mien_error *err)
{
    mien__buf joined;
    mien__buf_init(&joined, 2 * TEXT_PART);
    mien_status st = mien__buf_append(&joined, a, a_bytes, err);
    if (!st)
        st = mien__buf_append(&joined, b, b_bytes, err);
    if (!st)
        st = mien__scrub_add_whole(s, joined.data, joined.size, err);
    mien__buf_wipe(&joined);
    return st;
}

static size_t part(size_t bytes)
{
    return bytes < TEXT_PART ? bytes : TEXT_PART;
}

static mien_status trace_row(mien_gallery *g, mien__scrub *s, sqlite3_stmt *row, mien_error *err)
{
    size_t n[5];
    const uint8_t *c[5];
    mien_status st = MIEN_OK;
    for (int i = 0; i < 5; i++)
        c[i] = blob(row, i, &n[i]);
    if (g->shared->encrypted) {
        for (int i = 0; i < 5 && !st; i++)
            st = mien__scrub_add(s, c[i], part(n[i]), err);
        return st;
    }
    /* lookup, name, note and consent lie one after the other */
    st = beside(s, c[1], n[1], c[2], part(n[2]), err);
    if (!st && n[3] > 0)
        st = beside(s, c[2] + (n[2] > BESIDE ? n[2] - BESIDE : 0), n[2] > BESIDE ? BESIDE : n[2], c[3],
                    part(n[3]), err);
    return st;
}

static mien_status trace_person(mien_gallery *g, mien__scrub *s, int64_t person, mien_error *err)
{
    sqlite3_stmt *row = NULL;
    bool there = false;
    mien_status st = mien__sql_open(g, MIEN__SQL_PERSON_RAW, &row, err, "i", person);
    if (!st)
        st = mien__sql_row(g, row, &there, err);
    if (!st && there)
        st = trace_row(g, s, row, err);
    mien__sql_end(g, row);
    return st;
}

static mien_status trace_template(mien_gallery *g, mien__scrub *s, const mien__record *r, mien_error *err)
{
    sqlite3_stmt *row = NULL;
    bool there = false;
    const int dim = g->shared->dim;
    uint16_t halves[MIEN__DIM_MAX];
    size_t n = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_TEMPLATE_RAW, &row, err, "i", r->person.id);
    if (!st)
        st = mien__sql_row(g, row, &there, err);
    if (!st && there) {
        const uint8_t *const stored = blob(row, 0, &n);
        st = mien__scrub_add(s, stored, n, err);
        if (!st && g->shared->encrypted &&
            mien__unseal_into(g, r->key, (mien__place){ MIEN__KIND_TEMPLATE, r->person.id, 0 }, stored, n,
                              halves, (size_t)dim * sizeof *halves, NULL) == MIEN_OK)
            st = mien__scrub_add(s, halves, (size_t)dim * sizeof *halves, err);
    }
    mien__sql_end(g, row);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    return st;
}

static mien_status trace_faces(mien_gallery *g, mien__scrub *s, int64_t person, int64_t face, mien_error *err)
{
    sqlite3_stmt *row = NULL;
    bool there = true;
    size_t source_bytes = 0, halves_bytes = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_FACE_RAW, &row, err, "ii", person, face);
    while (!st && !(st = mien__sql_row(g, row, &there, err)) && there) {
        const uint8_t *const source = blob(row, 0, &source_bytes), *const halves =
                                                                       blob(row, 1, &halves_bytes);
        if ((st = mien__scrub_add(s, halves, halves_bytes, err)))
            break;
        const size_t skip = source_bytes - part(source_bytes); /* its end lies beside the template */
        if (g->shared->encrypted)
            st = mien__scrub_add(s, source, part(source_bytes), err);
        else if (source_bytes > 0 && halves_bytes >= BESIDE)
            st = beside(s, source + skip, source_bytes - skip, halves, BESIDE, err);
    }
    mien__sql_end(g, row);
    return st;
}

static mien_status trace_images(mien_gallery *g, mien__scrub *s, int64_t person, int64_t face,
                                mien_error *err)
{
    sqlite3_stmt *row = NULL;
    bool there = true;
    size_t n = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_IMAGE_RAW, &row, err, "ii", person, face);
    while (!st && !(st = mien__sql_row(g, row, &there, err)) && there) {
        const uint8_t *const data = blob(row, 0, &n);
        const bool kept_by_others = sqlite3_column_int64(row, 1) != 0;
        if (g->shared->encrypted || !kept_by_others)
            st = mien__scrub_add_large(s, data, n, err);
    }
    mien__sql_end(g, row);
    return st;
}

mien_status mien__trace(mien_gallery *g, mien__scrub *s, const mien__record *r, int64_t face, mien_error *err)
{
    const int64_t person = r->person.id;
    mien_status st = MIEN_OK;
    if (face == 0 && ((st = trace_person(g, s, person, err)) || (st = trace_template(g, s, r, err)) ||
                      (st = mien__scrub_add_text(s, r->name, err))))
        return st;
    if ((st = trace_faces(g, s, person, face, err)))
        return st;
    return trace_images(g, s, person, face, err);
}
