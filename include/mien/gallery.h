/* Galleries: people, their faces and templates, and what may be done with them, in one SQLite file.
 *
 * A gallery is made for one embedder and refuses templates of another (mien_model_fingerprint()). A person
 * has one template to search with, fused from those of its faces with outliers rejected, and a key of its own
 * when the gallery is encrypted. Every change is one transaction, written through to the disk before the call
 * returns, and an entry of the audit chain. Beside the file `G` live SQLite's `G-wal` and `G-shm` and the
 * search index `G-index`, which can always be rebuilt.
 *
 * Threads: a mien_gallery belongs to one thread; open one per thread (mien_gallery_open_beside() shares the
 * index). Any number of threads and processes may read and write the same file. Text is UTF-8; times are
 * milliseconds since 1970 UTC, 0 when there is none.
 */
#ifndef MIEN_GALLERY_H
#define MIEN_GALLERY_H

#include <mien/quality.h>

MIEN_BEGIN_DECLS

typedef struct mien_gallery mien_gallery;

typedef enum mien_gallery_mode {
    MIEN_GALLERY_READ = 0,   /**< what exists; changes are refused */
    MIEN_GALLERY_WRITE = 1,  /**< what exists */
    MIEN_GALLERY_CREATE = 2, /**< must not exist yet */
    MIEN_GALLERY_OPEN_OR_CREATE = 3,
} mien_gallery_mode;

typedef struct mien_gallery_opts {
    size_t struct_size;
    mien_gallery_mode mode;
    const mien_model *embedder; /**< required to create; when opening, checked against the gallery; NULL: not
                                     checked, and no template can be added or searched for */
    const char
        *passphrase; /**< encrypted galleries: one of passphrase and key; when creating: makes it encrypted */
    const void *key; /**< at least 32 bytes, as of a key file */
    size_t key_bytes;
    const char *actor;   /**< who, for the audit chain; default "" */
    const char *purpose; /**< of a new gallery: what people are told; default "" */
    unsigned busy_ms;    /**< how long to wait for another writer; default 30,000 */
    unsigned threads;    /**< for searching; default 1 */
    int no_index;        /**< 1: do not open the search index (administration only) */
} mien_gallery_opts;

#define MIEN_GALLERY_OPTS_INIT                                                                     \
    {                                                                                              \
        sizeof(mien_gallery_opts), MIEN_GALLERY_READ, NULL, NULL, NULL, 0, NULL, NULL, 30000, 1, 0 \
    }

/** Open or make a gallery.
 *  @return MIEN_OK; E_NOT_FOUND, E_EXISTS, E_GALLERY_FORMAT (not a gallery, or of a newer version),
 * E_GALLERY_CORRUPT, E_GALLERY_KEY (wrong, missing or needless key), E_GALLERY_MODEL (made for another
 * embedder), E_GALLERY_BUSY, E_IO (full or read-only disk), E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_open(const char *path, const mien_gallery_opts *opts,
                                                     mien_gallery **ret, mien_error *err);
/** Another handle on the same gallery, for another thread: same mode, key and options, one index. `other`
 * must outlive no one: handles may be freed in any order. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_open_beside(const mien_gallery *other, const char *actor,
                                                            mien_gallery **ret, mien_error *err);
MIEN_API void mien_gallery_free(mien_gallery *gallery);

/** Say who acts from now on (copied), for the audit chain. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_set_actor(mien_gallery *gallery, const char *actor,
                                                          mien_error *err);

typedef struct mien_gallery_info {
    char id[33]; /**< hex, random, made with the gallery */
    int version; /**< of the schema */
    int encrypted;
    uint64_t sequence; /**< of the last change */
    size_t n_people, n_faces, n_images, n_expired, n_do_not_enrol;
    char model[65]; /**< fingerprint of the embedder, hex */
    char model_name[64];
    int dim;
    int64_t created_ms, changed_ms;
    uint64_t file_bytes;
    char purpose[512];
    uint64_t
        audit_entries; /**< of the audit chain, and the hash of its newest, hex: noted elsewhere they show */
    char audit_head[65]; /**< a file that was put back as it was earlier */
} mien_gallery_info;

MIEN_API MIEN_MUST_USE mien_status mien_gallery_info_of(mien_gallery *gallery, mien_gallery_info *ret,
                                                        mien_error *err);

/* ---- people ---- */

/** Consent or another legal basis. Strings are lent in callbacks, copied when given. */
typedef struct mien_consent {
    const char *purpose; /**< "" when none is recorded */
    const char *basis;   /**< "consent", "contract", "legal obligation", ...: as the operator says */
    int64_t given_ms;
    int64_t expires_ms; /**< from then on never matched; removed by mien_gallery_expire(); 0: never */
} mien_consent;

typedef struct mien_person {
    int64_t id;       /**< positive, never used again */
    const char *name; /**< unique in the gallery; never NULL */
    const char *note; /**< free text, may be JSON; "" when none */
    size_t n_faces, n_images;
    int64_t created_ms, changed_ms,
        seen_ms; /**< seen: last enrolled or recognised, see mien_gallery_seen() */
    mien_consent consent;
    int expired;
} mien_person;

typedef struct mien_gallery_face {
    int64_t id, person;
    mien_face face; /**< box and landmarks in px of the picture it came from */
    mien_quality quality;
    const char *source; /**< file name or what the caller said; "" */
    int64_t created_ms;
    int has_image; /**< 1: its picture is kept */
    int outlier;   /**< 1: left out of the person's template: unlike the others */
    double fit;    /**< cosine with the template fused from the person's other faces; 1 for an only one */
} mien_gallery_face;

/** Return 0 to go on, anything else to stop. Everything pointed to is lent for the call. */
typedef int (*mien_person_fn)(void *user, const mien_person *person);
typedef int (*mien_face_fn)(void *user, const mien_gallery_face *face);

/** Walk the people in the order of their ids, `after` excluded (0: from the start), at most `limit` (0: all).
 *  @param match  text that the name must contain, letter case ignored for ASCII; NULL for all */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_people(mien_gallery *gallery, const char *match,
                                                       int64_t after, size_t limit, mien_person_fn fn,
                                                       void *user, mien_error *err);
/** Call `fn` for one person. E_NOT_FOUND. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_person(mien_gallery *gallery, int64_t person,
                                                       mien_person_fn fn, void *user, mien_error *err);
/** Find by exact name. E_NOT_FOUND. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_find(mien_gallery *gallery, const char *name,
                                                     int64_t *ret_person, mien_error *err);
MIEN_API MIEN_MUST_USE mien_status mien_gallery_faces(mien_gallery *gallery, int64_t person, mien_face_fn fn,
                                                      void *user, mien_error *err);
/** The kept picture of a face, as its file was (location data stripped). E_NOT_FOUND when none is kept.
 *  @ownership free with mien_image_data_free() */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_image(mien_gallery *gallery, int64_t face, uint8_t **ret_data,
                                                      size_t *ret_size, mien_error *err);
/** The person's template: [dim] floats, unit L2 norm. Sensitive: treat it like a photograph. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_template(mien_gallery *gallery, int64_t person,
                                                         float *ret_vec, mien_error *err);
/** The template of one face. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_face_template(mien_gallery *gallery, int64_t face,
                                                              float *ret_vec, mien_error *err);

/* ---- changes; each is one transaction and one entry of the audit chain ---- */

typedef struct mien_enrolment {
    size_t struct_size;
    const char *name; /**< a person of that name is made when there is none; or */
    int64_t person;   /**< an existing one; 0 to go by name */
    const float *vec; /**< [dim], unit L2 norm, of the gallery's embedder */
    mien_face face;
    mien_quality quality;
    const char *source;
    const void *image; /**< file to keep, JPEG or PNG; NULL: keep none */
    size_t image_bytes;
    const uint8_t
        *image_digest; /**< [32] BLAKE2b of the picture's pixels or file: to notice it again; NULL */
    const mien_consent *consent; /**< of a new person, or replacing the old; NULL */
    const char *note;            /**< of a new person; NULL */
    double other_threshold;      /**< cosine at which another person is "the same": refuse with
                                      LOOKS_LIKE_ANOTHER_PERSON; 2 to skip */
    int force;                   /**< 1: enrol against every reason but DO_NOT_ENROL */
    double unlike_threshold;     /**< cosine with the template that the person has, below which the face is
                                      refused with UNLIKE_THE_PERSON; of a new person: with the face most like
                                      the others of the call; -2 to skip */
} mien_enrolment;

#define MIEN_ENROLMENT_INIT                                                                              \
    {                                                                                                    \
        sizeof(mien_enrolment), NULL, 0, NULL, { 0 }, { 0 }, NULL, NULL, 0, NULL, NULL, NULL, 2.0, 0, -2 \
    }

typedef struct mien_enrolled {
    int64_t person, face;
    mien_reason reason; /**< not NONE: nothing was changed */
    int64_t other;      /**< person it looks like, for that reason; 0 */
    double similarity;  /**< with that person */
    int new_person;
} mien_enrolled;

/** Add faces, all or none with MIEN_E_*; a face refused for a reason is no error and does not stop the
 * others.
 *  @param ret  [n] */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_enrol(mien_gallery *gallery, const mien_enrolment *items,
                                                      size_t n, mien_enrolled *ret, mien_error *err);

/** Change name, note or consent; NULL leaves each as it is. E_EXISTS when the name is another person's. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_edit(mien_gallery *gallery, int64_t person, const char *name,
                                                     const char *note, const mien_consent *consent,
                                                     mien_error *err);
/** Give all faces of `from` to `into`; `from` is gone. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_merge(mien_gallery *gallery, int64_t into, int64_t from,
                                                      mien_error *err);
/** Move faces of one person to another, who is made when there is none of that name. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_split(mien_gallery *gallery, int64_t person,
                                                      const int64_t *faces, size_t n, const char *name,
                                                      int64_t *ret_person, mien_error *err);
/** Take back the last rename, merge or split that has not been taken back and whose people still stand as it
 * left them.
 *  @param ret_what  one line for people, [capacity] */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_undo(mien_gallery *gallery, char *ret_what, size_t capacity,
                                                     mien_error *err);

/** What a removal did: for the person who asked for it, and for the file. Holds no name and no template. */
typedef struct mien_receipt {
    char gallery[33]; /**< id */
    char person[65];  /**< keyed digest of the person, as in the audit chain */
    int64_t time_ms;
    size_t n_faces, n_templates, n_images;
    int key_destroyed; /**< 1: the person's own key was destroyed (encrypted galleries) */
    int verified;      /**< 1: every file of the gallery was searched and holds none of its bytes */
    uint64_t bytes_searched;
    int do_not_enrol;
    uint64_t audit_entry;
    char audit_hash[65];
} mien_receipt;

/** Remove a person: templates, pictures, name, key, and what could be undone about it; then empty the WAL,
 * clear the index, and search every file of the gallery for bytes of it. Once the removal is committed the
 * call succeeds; what could not be shown (another program kept the WAL from being emptied for busy_ms, a file
 * could not be read) is receipt->verified = 0 and a line in the log.
 *  @param do_not_enrol  1: keep a keyed digest of the name and of the template's coarse form, so that the
 *                       person is refused next time (docs/privacy.md: what that can and cannot do)
 *  @cost  a pass over the file, about a second per gigabyte */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_remove(mien_gallery *gallery, int64_t person,
                                                       int do_not_enrol, mien_receipt *ret, mien_error *err);
/** Remove one face of a person; the person stays. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_remove_face(mien_gallery *gallery, int64_t face,
                                                            mien_receipt *ret, mien_error *err);
/** Remove every person whose consent has run out; *ret_n people. fn NULL or called per receipt. */
typedef int (*mien_receipt_fn)(void *user, const mien_receipt *receipt);
MIEN_API MIEN_MUST_USE mien_status mien_gallery_expire(mien_gallery *gallery, mien_receipt_fn fn, void *user,
                                                       size_t *ret_n, mien_error *err);
/** Write the receipt as JSON text. E_LIMIT when it does not fit. */
MIEN_API MIEN_MUST_USE mien_status mien_receipt_json(const mien_receipt *receipt, char *ret, size_t capacity,
                                                     mien_error *err);
/** Note that a person was recognised now, for policies that expire who was not seen. Written at most once a
 *  minute and person, and not an entry of the audit chain: a camera would fill it. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_seen(mien_gallery *gallery, int64_t person, mien_error *err);

/* ---- search ---- */

typedef struct mien_candidate {
    int64_t person;
    double similarity; /**< cosine of probe and the person's template, exact (float64 sums) */
} mien_candidate;

/** Find the people most like each probe, most alike first; equals by lower id. Expired people are never
 * found. What other processes have changed is seen: no answer shows a person whose removal was finished
 * before the call began.
 *  @param probes  [n][dim] unit vectors
 *  @param ret     [n][top_k], ret_n [n]
 *  @return MIEN_OK; E_ARG; E_GALLERY_MODEL when opened without the embedder; E_INDEX_UNSURE when the
 *          self-test of the search failed */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_search(mien_gallery *gallery, const float *probes, size_t n,
                                                       size_t top_k, mien_candidate *ret, size_t *ret_n,
                                                       mien_error *err);

/* ---- keeping ---- */

/** Small named texts that belong to the gallery: "calibration" (see <mien/decide.h>), settings of programs.
 *  Encrypted with the gallery. NULL removes. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_set_text(mien_gallery *gallery, const char *key,
                                                         const char *text, mien_error *err);
/** @ownership *ret_text is freed with mien_text_free().  @return E_NOT_FOUND */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_text(mien_gallery *gallery, const char *key, char **ret_text,
                                                     mien_error *err);
MIEN_API void mien_text_free(char *text);

/** One entry of the audit chain: no names, no templates; people as keyed digests. */
typedef struct mien_audit_entry {
    uint64_t number;
    int64_t time_ms;
    const char *actor, *action; /**< "enrol", "rename", "merge", "remove", "expire", "export", ... */
    const char *subject;        /**< keyed digest, hex; "" */
    const char *detail;         /**< JSON without personal data */
    const char *hash; /**< BLAKE2b, keyed when encrypted, of the entry and the hash before it, hex */
} mien_audit_entry;
typedef int (*mien_audit_fn)(void *user, const mien_audit_entry *entry);
MIEN_API MIEN_MUST_USE mien_status mien_gallery_audit(mien_gallery *gallery, uint64_t after, size_t limit,
                                                      mien_audit_fn fn, void *user, mien_error *err);
/** Add an entry of the program's own, such as "calibrate" or "serve.login". */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_audit_add(mien_gallery *gallery, const char *action,
                                                          int64_t person, const char *detail,
                                                          mien_error *err);

/** Progress of long work; non-zero stops it (E_INTERRUPTED), leaving the gallery as it was. */
typedef int (*mien_gallery_progress)(void *user, uint64_t done, uint64_t total);

/** Check everything: SQLite's integrity, foreign keys, audit chain, every template opens and is a unit
 * vector, fused templates and index agree with the faces. The message of the first fault in err; fn is called
 * with each.
 *  @return MIEN_OK; E_GALLERY_CORRUPT */
typedef void (*mien_fault_fn)(void *user, const char *fault);
MIEN_API MIEN_MUST_USE mien_status mien_gallery_verify(mien_gallery *gallery, mien_fault_fn fn, void *user,
                                                       mien_gallery_progress progress, void *progress_user,
                                                       mien_error *err);
/** A consistent copy while others read and write: whole or not at all. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_backup(mien_gallery *gallery, const char *path,
                                                       mien_gallery_progress progress, void *user,
                                                       mien_error *err);
/** Write people as JSON lines (docs/gallery.md): a first line about the gallery, then one person a line with
 *  faces, consent, and, where asked, templates and pictures as base64. One person (subject access) or all
 * (0). E_EXISTS when there is a file of that name. An entry of the audit chain, unless opened to read. */
typedef struct mien_export_opts {
    size_t struct_size;
    int64_t person;
    int templates, images;
} mien_export_opts;
#define MIEN_EXPORT_OPTS_INIT             \
    {                                     \
        sizeof(mien_export_opts), 0, 0, 0 \
    }
MIEN_API MIEN_MUST_USE mien_status mien_gallery_export(mien_gallery *gallery, const char *path,
                                                       const mien_export_opts *opts,
                                                       mien_gallery_progress progress, void *user,
                                                       mien_error *err);
/** Add the people of an export with templates of the same model, in one transaction. Lines that do not fit,
 *  names that the gallery has already and people on the do-not-enrol list are told through fn and skipped.
 *  @param ret_people, ret_faces  what was added
 *  @return MIEN_OK; E_NOT_FOUND, E_IO, E_GALLERY_FORMAT (not an export), E_GALLERY_MODEL, and as for changes
 */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_import(mien_gallery *gallery, const char *path,
                                                       mien_fault_fn fn, void *user, size_t *ret_people,
                                                       size_t *ret_faces, mien_error *err);
/** Give the gallery to another embedder: every face with a kept picture is embedded anew by `embed`, in one
 *  transaction; faces without one are left behind. People of whom no picture is kept are listed through fn
 *  and, with drop = 1, removed; without, E_NOT_FOUND and nothing is changed. The handle goes on with the new
 *  embedder; those of other processes get E_GALLERY_MODEL from now on.
 *  @pre  no other handle of mien_gallery_open_beside() is left: E_ARG */
typedef mien_status (*mien_reembed_fn)(void *user, const void *image, size_t image_bytes,
                                       const mien_face *face, float *ret_vec, mien_error *err);
MIEN_API MIEN_MUST_USE mien_status mien_gallery_migrate(mien_gallery *gallery, const mien_model *embedder,
                                                        mien_reembed_fn embed, void *embed_user, int drop,
                                                        mien_fault_fn fn, void *user,
                                                        mien_gallery_progress progress, void *progress_user,
                                                        mien_error *err);
/** Change the key of an encrypted gallery: only the wrapping of the gallery's key is written anew. E_ARG for
 *  one that is not encrypted: export it and import it into a new one made with a key. */
MIEN_API MIEN_MUST_USE mien_status mien_gallery_rekey(mien_gallery *gallery, const char *passphrase,
                                                      const void *key, size_t key_bytes, mien_error *err);

MIEN_END_DECLS

#endif
