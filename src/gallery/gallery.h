/* Inside a gallery: the handle, its keys, statements, transactions and sealed columns.
 *
 * A handle has one SQLite connection and belongs to one thread. What handles of one gallery in a process have
 * in common (keys, search index, options) is in mien__shared, counted. Files: store.c opens and closes,
 * create.c makes, schema.c has the tables and their migrations, db.c runs statements and transactions, keys.c
 * and seal.c do the cryptography, record.c reads and writes rows, find.c searches, audit.c keeps the chain;
 * the rest is one file per public verb.
 */
#ifndef MIEN_SRC_GALLERY_GALLERY_H
#define MIEN_SRC_GALLERY_GALLERY_H

#include "base/base.h"
#include "gallery/sql.h"
#include <mien/gallery.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum {
    MIEN__GALLERY_APP_ID = 0x4d49454e, /* "MIEN" */
    MIEN__GALLERY_PAGE_BYTES = 8192,
    MIEN__ID_BYTES = 16,
    MIEN__KEY_BYTES = 32,
    MIEN__DIGEST_BYTES = 32,
    MIEN__LOOKUP_BYTES = 16,
    MIEN__SEAL_BYTES = 40, /* nonce 24 + tag 16: what sealing adds */
    MIEN__WRAPPED_BYTES = MIEN__KEY_BYTES + MIEN__SEAL_BYTES,
    MIEN__NAME_MAX = 1000,
    MIEN__NOTE_MAX = 1 << 16,
    MIEN__SOURCE_MAX = 4096,
    MIEN__CONSENT_MAX = 4096,
    MIEN__TEXT_LIMIT = 4 << 20,
    MIEN__IMAGE_MAX = 32 << 20,
    MIEN__BLOB_MAX = MIEN__IMAGE_MAX + (1 << 16),
    MIEN__FACES_MAX = 4096, /* of one person */
    MIEN__DIM_MAX = 4096,
    MIEN__SHAPE_FLOATS = 5 + 2 * MIEN_LANDMARKS + 11,
};

/* What a sealed column is; written into its associated data, so numbers never change. */
typedef enum mien__kind {
    MIEN__KIND_GALLERY_KEY = 1,
    MIEN__KIND_PERSON_KEY = 2,
    MIEN__KIND_NAME = 3,
    MIEN__KIND_NOTE = 4,
    MIEN__KIND_CONSENT = 5,
    MIEN__KIND_TEMPLATE = 6, /* of a person */
    MIEN__KIND_FACE = 7,     /* template of a face */
    MIEN__KIND_SOURCE = 8,
    MIEN__KIND_IMAGE = 9,
    MIEN__KIND_TEXT = 10,
    MIEN__KIND_PURPOSE = 11,
    MIEN__KIND_AUDIT = 12,
    MIEN__KIND_JOURNAL = 13,
    MIEN__KIND_REFUSED = 14,
} mien__kind;

/* Lives in memory of sodium_malloc(). */
typedef struct mien__keys {
    uint8_t gallery[MIEN__KEY_BYTES];  /* the others are derived from it */
    uint8_t people[MIEN__KEY_BYTES];   /* wraps the people's keys */
    uint8_t meta[MIEN__KEY_BYTES];     /* seals what belongs to no person */
    uint8_t blind[MIEN__KEY_BYTES];    /* digests by which names and pictures are found */
    uint8_t rotation[MIEN__KEY_BYTES]; /* of coarse template forms */
    uint8_t audit[MIEN__KEY_BYTES];
    uint8_t index[MIEN__KEY_BYTES]; /* seals the search index */
} mien__keys;

typedef struct mien__finder mien__finder;

typedef struct mien__shared {
    atomic_int refs;
    char *path;
    mien__keys *keys;
    mien__finder *finder; /* NULL: administration only */
    uint8_t id[MIEN__ID_BYTES];
    bool encrypted, has_embedder;
    int dim;
    unsigned busy_ms, threads;
    double
        same_threshold; /* cosine from which two templates are one person's, by the model's own calibration */
    char model[65];     /* of the embedder given; else what the gallery said when opened */
} mien__shared;

/* The row `state` during a write: read when the transaction begins, written before it commits. */
typedef struct mien__state {
    int64_t sequence, changed_ms, n_people, n_faces, n_images, audit_entries;
    uint8_t audit_head[MIEN__DIGEST_BYTES];
} mien__state;

struct mien_gallery {
    sqlite3 *db;
    mien__shared *shared;
    char *actor;
    bool writable, immutable, in_write;
    bool wrote;  /* a change was committed */
    int readers; /* nested mien__read_begin() */
    mien__state state;
    sqlite3_stmt *stmts[MIEN__SQL_COUNT];
};

/* ---- db.c ---- */

/* Turn what SQLite says into a status and a message: "cannot <what> <path>: ...". */
mien_status mien__db_fail(const mien_gallery *g, int rc, const char *what, mien_error *err);
mien_status mien__db_exec(const mien_gallery *g, const char *sql, mien_error *err);
/* Take a statement, bound: types has a letter per parameter: i int64_t, r double, t const char *, n nothing
 * (NULL), b const void * and size_t (NULL pointer: SQL NULL). Blobs and texts are lent until the statement is
 * ended. */
mien_status mien__sql_open(mien_gallery *g, mien__sql id, sqlite3_stmt **ret, mien_error *err,
                           const char *types, ...);
/* Step: *ret_row says whether there is a row. */
mien_status mien__sql_row(mien_gallery *g, sqlite3_stmt *stmt, bool *ret_row, mien_error *err);
void mien__sql_end(mien_gallery *g, sqlite3_stmt *stmt); /* accepts NULL */
/* Rows come in ascending order of their numbers, or the file is damaged: a walk that goes on from the last
 * number seen would not end. */
mien_status mien__sql_ascending(const mien_gallery *g, int64_t before, int64_t number, mien_error *err);
/* Open, step to the end, end. */
mien_status mien__sql_run(mien_gallery *g, mien__sql id, mien_error *err, const char *types, ...);
/* The first column of the first row; `fallback` when there is no row or it is NULL. */
mien_status mien__sql_number(mien_gallery *g, mien__sql id, int64_t fallback, int64_t *ret, mien_error *err,
                             const char *types, ...);

/* One snapshot for several statements; may be nested, each OK with its end. */
mien_status mien__read_begin(mien_gallery *g, mien_error *err);
void mien__read_end(mien_gallery *g);
/* E_ARG for a gallery opened to read. */
mien_status mien__write_begin(mien_gallery *g, mien_error *err);
/* Commit when `st` is OK, else roll back; the final status. */
mien_status mien__write_end(mien_gallery *g, mien_status st, mien_error *err);
/* Within a write: note in the change feed that a person changed; *ret_stamp (may be NULL) its sequence. */
mien_status mien__touch(mien_gallery *g, int64_t person, int64_t *ret_stamp, mien_error *err);
/* Read the state row into g->state; E_GALLERY_CORRUPT when it is not as we left it. */
mien_status mien__state_read(mien_gallery *g, mien_error *err);
int64_t mien__clock_ms(void);

/* ---- store.c ---- */
/* From now on templates of this embedder can be added and searched for. */
void mien__embedder_note(mien__shared *s, const mien_model *embedder);

/* ---- schema.c ---- */
int mien__schema_version(void);
/* Bring the schema of the open transaction from `from` to the newest version. */
mien_status mien__schema_migrate(mien_gallery *g, int from, mien_error *err);
/* The schema is what the migrations make, byte for byte: a foreign file may hold triggers or views. */
mien_status mien__schema_check(mien_gallery *g, int version, mien_error *err);

/* ---- keys.c ---- */
typedef struct mien__kdf {
    int kind; /* 0 none: `secret` is the gallery key itself; 1 key file; 2 Argon2id */
    int64_t ops, memory_bytes;
    uint8_t salt[16];
    uint8_t secret[MIEN__WRAPPED_BYTES]; /* wrapped, or plain and shorter */
    size_t secret_bytes;
} mien__kdf;
mien_status mien__keys_new(mien__keys **ret, mien_error *err); /* a random gallery key, derived keys */
void mien__keys_free(mien__keys *keys);
/* Wrap the gallery key anew, with a fresh salt; neither passphrase nor key: kind 0. */
mien_status mien__keys_wrap(const mien__keys *keys, const uint8_t id[MIEN__ID_BYTES], const char *passphrase,
                            const void *key, size_t key_bytes, mien__kdf *ret, mien_error *err);
/* E_GALLERY_KEY when it is wrong, missing or needless. */
mien_status mien__keys_unwrap(const mien__kdf *kdf, const uint8_t id[MIEN__ID_BYTES], const char *passphrase,
                              const void *key, size_t key_bytes, mien__keys **ret, mien_error *err);

/* ---- seal.c ---- */

/* What a sealed value is bound to. */
typedef struct mien__place {
    mien__kind kind;
    int64_t person, row;
} mien__place;
/* Append to `ret` (initialised by the caller): sealed under `key`, or the bytes as they are in a gallery that
 * is not encrypted. */
mien_status mien__seal(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                       const void *data, size_t bytes, mien__buf *ret, mien_error *err);
/* Open into a new block, a NUL after it; E_GALLERY_CORRUPT.  @ownership mien_free_secret(*ret, *ret_bytes +
 * 1) */
mien_status mien__unseal(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                         const void *blob, size_t blob_bytes, char **ret, size_t *ret_bytes, mien_error *err);
/* Open exactly `bytes` bytes into `ret`. */
mien_status mien__unseal_into(const mien_gallery *g, const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                              const void *blob, size_t blob_bytes, void *ret, size_t bytes, mien_error *err);
/* The raw form over an explicit gallery id, for keys.c. `ret` has bytes + MIEN__SEAL_BYTES. */
void mien__aead_seal(const uint8_t id[MIEN__ID_BYTES], const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                     const void *data, size_t bytes, uint8_t *ret);
bool mien__aead_open(const uint8_t id[MIEN__ID_BYTES], const uint8_t key[MIEN__KEY_BYTES], mien__place place,
                     const uint8_t *blob, size_t blob_bytes, uint8_t *ret);
/* Keyed digest of a name, a picture: by which it is found without being read. */
void mien__lookup(const mien_gallery *g, mien__kind kind, const void *data, size_t bytes,
                  uint8_t ret[MIEN__LOOKUP_BYTES]);
/* A person in the audit chain. */
void mien__subject(const mien_gallery *g, int64_t person, uint8_t ret[MIEN__DIGEST_BYTES]);
void mien__buf_wipe(mien__buf *b); /* zero, then free */

/* ---- record.c ---- */

/* Everything of a person but its faces; texts are owned. */
typedef struct mien__record {
    mien_person person;
    uint8_t key[MIEN__KEY_BYTES]; /* zeros in a gallery that is not encrypted */
    int64_t stamp;                /* sequence of the last change that others could build on */
    char *name, *note, *consent;  /* consent: purpose, NUL, basis */
    size_t name_bytes, note_bytes, consent_bytes;
} mien__record;
/* Read from a row of one of the statements that select a person. */
mien_status mien__record_read(mien_gallery *g, sqlite3_stmt *row, int64_t now_ms, mien__record *ret,
                              mien_error *err);
mien_status mien__record_load(mien_gallery *g, int64_t person, mien__record *ret, mien_error *err);
void mien__record_free(mien__record *r);
/* The person's key alone. */
mien_status mien__person_key(mien_gallery *g, int64_t person, uint8_t ret[MIEN__KEY_BYTES], mien_error *err);
mien_status mien__unwrap_person(const mien_gallery *g, int64_t person, const void *blob, size_t bytes,
                                uint8_t ret[MIEN__KEY_BYTES], mien_error *err);
/* Make a person and its key. E_EXISTS. `id` 0: a new one. */
typedef struct mien__new_person {
    int64_t id;
    const char *name, *note;
    const mien_consent *consent; /* NULL: none */
    int64_t now_ms;
} mien__new_person;
mien_status mien__person_add(mien_gallery *g, const mien__new_person *p, int64_t *ret_id,
                             uint8_t ret_key[MIEN__KEY_BYTES], mien_error *err);
mien_status mien__name_set(mien_gallery *g, int64_t person, const uint8_t *key, const char *name,
                           mien_error *err);
mien_status mien__note_set(mien_gallery *g, int64_t person, const uint8_t *key, const char *note,
                           mien_error *err);
mien_status mien__consent_set(mien_gallery *g, int64_t person, const uint8_t *key,
                              const mien_consent *consent, mien_error *err);
/* 0 when nobody has the name. */
mien_status mien__name_find(mien_gallery *g, const char *name, int64_t *ret, mien_error *err);
mien_status mien__name_check(const char *name, mien_error *err);
mien_status mien__text_check(const char *what, const char *text, size_t limit, mien_error *err);
mien_status mien__consent_check(const mien_consent *consent, mien_error *err);

/* Templates as they are stored: halves, little-endian. */
void mien__halves_of(const float *vec, int dim, uint16_t *ret);
void mien__vec_of(const uint16_t *halves, int dim, float *ret); /* widened, unit L2 norm */
mien_status mien__vec_check(const float *vec, int dim, mien_error *err);
/* The person's template; E_NOT_FOUND when it has none. */
mien_status mien__template_load(mien_gallery *g, int64_t person, float *ret, mien_error *err);

/* ---- faces.c, fuse.c ---- */

/* All faces of a person, templates as unit vectors [n][dim]. */
typedef struct mien__face_set {
    size_t n;
    int64_t *ids;
    float *vecs, *weights; /* weight: quality score */
    double *fit;
    uint8_t *outlier;
} mien__face_set;
mien_status mien__face_set_load(mien_gallery *g, int64_t person, const uint8_t *key, mien__face_set *ret,
                                mien_error *err);
void mien__face_set_free(mien__face_set *set, int dim);
void mien__shape_pack(const mien_face *face, const mien_quality *quality, uint8_t *ret);
void mien__shape_unpack(const uint8_t *data, mien_face *ret_face, mien_quality *ret_quality);

/* Fuse vecs [n][dim] (units) with weights into a unit vector; says which were left out and how well each fits
 * the others. `scratch` [dim] doubles x 2. n >= 1. */
/* With another share of the median below which a face is left out, 0: none; for bench/fuse.c. */
void mien__fuse_at(double share, const float *vecs, const float *weights, size_t n, int dim, double *scratch,
                   float *ret_vec, uint8_t *ret_outlier, double *ret_fit);
void mien__fuse(const float *vecs, const float *weights, size_t n, int dim, double *scratch, float *ret_vec,
                uint8_t *ret_outlier, double *ret_fit);
/* Within a write: fuse a person's faces anew and write template, counts and the change. *ret_vec may be NULL.
 */
mien_status mien__fuse_person(mien_gallery *g, int64_t person, int64_t now_ms, float *ret_vec,
                              mien_error *err);

/* ---- find.c ---- */
mien_status mien__finder_new(mien_gallery *g, mien_error *err); /* into the shared part */
void mien__finder_free(mien__finder *f);
/* E_GALLERY_MODEL when another process has given the gallery to another embedder. */
mien_status mien__model_check(mien_gallery *g, mien_error *err);
/* Begin anew, after the gallery was moved to another model. */
mien_status mien__finder_reset(mien_gallery *g, mien_error *err);
/* Save it beside the gallery when this handle has written and enough has changed; never fails. */
void mien__finder_save(mien_gallery *g);
/* Overwrite people who are gone in the saved file; false when their bytes may be left there. */
bool mien__finder_erase(mien_gallery *g, const int64_t *people, size_t n);
/* Bring it up to what the file holds. */
mien_status mien__finder_refresh(mien_gallery *g, mien_error *err);
/* Does the search hold exactly the people and templates of the file? E_GALLERY_CORRUPT. */
mien_status mien__finder_verify(mien_gallery *g, mien_error *err);
mien_status mien__finder_search(mien_gallery *g, const float *probes, size_t n, size_t top_k,
                                mien_candidate *ret, size_t *ret_n, mien_error *err);

/* ---- enrol.c ---- */
/* Within a write: add one face to a person; nothing is judged. */
mien_status mien__face_add(mien_gallery *g, const uint8_t *key, int64_t person, const mien_enrolment *e,
                           int64_t now_ms, int64_t *ret, mien_error *err);

/* ---- enrol_new.c ---- */
/* Within a write: mark in `ret` [n] the faces that are unlike the others of their new person. */
mien_status mien__enrol_new(mien_gallery *g, const mien_enrolment *items, size_t n, mien_enrolled *ret,
                            mien_error *err);

/* ---- refused.c: the do-not-enrol list ---- */
/* Is somebody of that name (NULL: none), or with a template like this, on the list? */
mien_status mien__refused(mien_gallery *g, const char *name, const float *vec, bool *ret, mien_error *err);
/* Within a write: put a person on it. `vec` NULL: by name alone. */
mien_status mien__refuse_person(mien_gallery *g, const char *name, const float *vec, mien_error *err);

/* ---- backup.c ---- */
/* Give a finished file its name, unless there is one of that name: E_EXISTS. */
mien_status mien__publish(const char *from, const char *to, mien_error *err);

/* ---- audit.c ---- */
/* Within a write: append. person 0: none. `detail` is JSON without personal data. */
mien_status mien__audit_append(mien_gallery *g, const char *action, int64_t person, const char *detail,
                               mien_error *err);
void mien__audit_tag(const mien_gallery *g, const mien__state *state, uint8_t ret[MIEN__DIGEST_BYTES]);
mien_status mien__audit_verify(mien_gallery *g, mien_fault_fn fn, void *user, mien_error *err);

#endif
