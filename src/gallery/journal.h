/* What undoing needs to know. */
#ifndef MIEN_SRC_GALLERY_JOURNAL_H
#define MIEN_SRC_GALLERY_JOURNAL_H

#include "gallery/gallery.h"
#include "gallery/scrub.h"

/* Written to files. */
typedef enum mien__undo_kind {
    MIEN__UNDO_RENAME = 1,
    MIEN__UNDO_MERGE = 2,
    MIEN__UNDO_SPLIT = 3
} mien__undo_kind;

/* One change that can be taken back. `person` is who is left and whose key seals the entry. */
typedef struct mien__undo {
    int64_t id;
    mien__undo_kind kind;
    int64_t person, other;               /* rename: other 0; merge: who is gone; split: who got the faces */
    int64_t person_stamp, other_stamp;   /* as the change left them; they must still stand so */
    int64_t person_before, other_before; /* stamps before the change */
    int made;                            /* split: `other` was made by it */
    char *name, *note, *purpose, *basis; /* rename: the old name; merge: all of who is gone */
    int64_t given_ms, expires_ms, created_ms, seen_ms;
    int64_t *faces;
    size_t n_faces;
} mien__undo;

void mien__undo_free(mien__undo *u); /* what it owns */
/* Within a write: note it; sealed under the key of u->person. Keeps the newest hundred. */
mien_status mien__journal_add(mien_gallery *g, const uint8_t *key, const mien__undo *u, mien_error *err);
/* The newest that still can be taken back; E_NOT_FOUND. */
mien_status mien__journal_last(mien_gallery *g, mien__undo *ret, mien_error *err);
/* The names and sealed bytes of every entry about a person, for the search after its removal. */
mien_status mien__journal_trace(mien_gallery *g, mien__scrub *s, int64_t person, mien_error *err);

/* ---- merge.c ---- */
/* Give a face to another person: everything of it is sealed anew. */
mien_status mien__face_move(mien_gallery *g, int64_t face, int64_t from, const uint8_t *from_key, int64_t to,
                            const uint8_t *to_key, mien_error *err);

#endif
