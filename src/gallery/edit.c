/* Changing what is said of a person, and noting that one was seen. */
#include "gallery/journal.h"
#include <sodium.h>
#include <string.h>

enum { SEEN_STEP_MS = 60000 };

/* The old name goes into the journal, and the person's stamp says that it was renamed. */
static mien_status rename_person(mien_gallery *g, mien__record *r, const char *name, mien_error *err)
{
    mien__undo u = {
        .kind = MIEN__UNDO_RENAME, .person = r->person.id, .person_before = r->stamp, .name = r->name
    };
    mien_status st = mien__name_set(g, r->person.id, r->key, name, err);
    if (!st)
        st = mien__touch(g, r->person.id, &u.person_stamp, err);
    if (!st)
        st = mien__journal_add(g, r->key, &u, err);
    if (!st)
        r->stamp = u.person_stamp;
    return st;
}

static mien_status edit(mien_gallery *g, int64_t person, const char *name, const char *note,
                        const mien_consent *consent, mien_error *err)
{
    mien__record r;
    mien_status st = mien__record_load(g, person, &r, err);
    if (st)
        return st;
    const bool renamed = name && strcmp(name, r.name) != 0;
    if ((renamed && (st = rename_person(g, &r, name, err))) ||
        (note && (st = mien__note_set(g, person, r.key, note, err))) ||
        (consent && (st = mien__consent_set(g, person, r.key, consent, err))) ||
        (st = mien__touch(g, person, NULL, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_PERSON_CHANGED, err, "iii", person, mien__clock_ms(), r.stamp)))
        goto done;
    st = mien__audit_append(g, renamed ? "rename" : "edit", person,
                            consent && note ? "{\"note\":true,\"consent\":true}"
                            : consent       ? "{\"consent\":true}"
                            : note          ? "{\"note\":true}"
                                            : "{}",
                            err);
done:
    mien__record_free(&r);
    return st;
}

mien_status mien_gallery_edit(mien_gallery *gallery, int64_t person, const char *name, const char *note,
                              const mien_consent *consent, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (!gallery)
        return mien__fail(err, MIEN_E_ARG, "gallery is NULL");
    if ((name && (st = mien__name_check(name, err))) ||
        (note && (st = mien__text_check("note", note, MIEN__NOTE_MAX, err))) ||
        (st = mien__consent_check(consent, err)) || (st = mien__write_begin(gallery, err)))
        return st;
    return mien__write_end(gallery, edit(gallery, person, name, note, consent, err), err);
}

/* Once a minute is enough for policies in days: a face in front of a camera would write without end. */
mien_status mien_gallery_seen(mien_gallery *gallery, int64_t person, mien_error *err)
{
    mien__record r;
    if (!gallery)
        return mien__fail(err, MIEN_E_ARG, "gallery is NULL");
    if (!gallery->writable)
        return mien__fail(err, MIEN_E_ARG, "%.120s was opened for reading", gallery->shared->path);
    mien_status st = mien__record_load(gallery, person, &r, err);
    if (st)
        return st;
    const int64_t now = mien__clock_ms(), before = r.person.seen_ms;
    mien__record_free(&r);
    if (before <= now && now - before < SEEN_STEP_MS)
        return MIEN_OK;
    if ((st = mien__write_begin(gallery, err)))
        return st;
    return mien__write_end(gallery, mien__sql_run(gallery, MIEN__SQL_PERSON_SEEN, err, "ii", person, now),
                           err);
}
