/* People out of an export: JSON lines that anybody may have written.
 *
 * A line is bounded before it is parsed, every value is checked before it is used, and a person whose line
 * does not fit is told and skipped. The do-not-enrol list holds here too; a name that the gallery has already
 * is skipped, as it may be somebody else. All of it is one transaction.
 */
#include "gallery/gallery.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)256 << 20)

typedef struct importer {
    mien_gallery *g;
    mien_fault_fn fn;
    void *user;
    size_t line, people, faces;
    FILE *in;
    mien__buf buf;
} importer;

/* One face, decoded. */
typedef struct decoded {
    mien_enrolment e;
    int64_t created_ms;
    float vec[MIEN__DIM_MAX];
    uint8_t *image;
} decoded;

/* ---- lines ---- */

/* Read a line without its end; *ret_more false at the end of the file. A line over the limit is read to its
 * end and left empty, *ret_long true. */
static mien_status read_line(importer *m, bool *ret_more, bool *ret_long, mien_error *err)
{
    uint8_t part[4096];
    size_t n = 0;
    int c = 0;
    m->buf.size = 0;
    *ret_long = false;
    for (;;) {
        c = getc(m->in);
        const bool end = c == EOF || c == '\n';
        if (!end)
            part[n++] = (uint8_t)c;
        if (n == sizeof part || (end && n > 0)) {
            if (m->buf.size + n > LINE_MAX_BYTES)
                *ret_long = true;
            const mien_status st = *ret_long ? MIEN_OK : mien__buf_append(&m->buf, part, n, err);
            if (st)
                return st;
            n = 0;
        }
        if (end)
            break;
    }
    if (c == EOF && ferror(m->in))
        return mien__fail(err, MIEN_E_IO, "cannot read the export: %s", strerror(errno));
    *ret_more = c != EOF || m->buf.size > 0;
    m->line++;
    return MIEN_OK;
}

static void skip(importer *m, const char *why)
{
    mien_error text = MIEN_ERROR_INIT;
    (void)mien__fail(&text, MIEN_E_ARG, "line %zu: %.200s", m->line, why);
    if (m->fn)
        m->fn(m->user, text.message);
}

/* ---- values ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t time_of(const json_t *object, const char *key)
{
    const json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 ? (int64_t)v : 0;
}

static float number_of(const json_t *v)
{
    const double d = json_number_value(v);
    return isfinite(d) && fabs(d) < 1e9 ? (float)d : 0.0f;
}

static void floats_of(const json_t *object, const char *key, float *ret, size_t n)
{
    const json_t *const list = json_object_get(object, key);
    for (size_t i = 0; i < n; i++)
        ret[i] = number_of(json_array_get(list, i));
}

static void quality_of(const json_t *object, mien_quality *q)
{
    const json_t *const v = json_object_get(object, "quality");
    const struct {
        const char *name;
        float *at;
    } parts[] = { { "eye_distance_px", &q->eye_distance_px },
                  { "yaw_deg", &q->yaw_deg },
                  { "pitch_deg", &q->pitch_deg },
                  { "roll_deg", &q->roll_deg },
                  { "sharpness", &q->sharpness },
                  { "brightness", &q->brightness },
                  { "contrast", &q->contrast },
                  { "overexposed", &q->overexposed },
                  { "underexposed", &q->underexposed },
                  { "inside", &q->inside },
                  { "score", &q->score } };
    for (size_t i = 0; i < MIEN_COUNTOF(parts); i++)
        *parts[i].at = number_of(json_object_get(v, parts[i].name));
}

static bool template_of(const json_t *object, int dim, float *ret)
{
    const char *const text = text_of(object, "template");
    uint16_t halves[MIEN__DIM_MAX];
    size_t bytes = 0;
    const size_t want = (size_t)dim * sizeof *halves;
    if (sodium_base642bin((unsigned char *)halves, want, text, strlen(text), NULL, &bytes, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        bytes != want)
        return false;
    mien__vec_of(halves, dim, ret);
    sodium_memzero(halves, want);
    return mien__vec_check(ret, dim, NULL) == MIEN_OK;
}

/* NULL error: does not fit. */
static mien_status image_of(const json_t *object, decoded *d, mien_error *err)
{
    const char *const text = text_of(object, "image");
    const size_t len = strlen(text), capacity = len / 4 * 3 + 3;
    if (len == 0)
        return MIEN_OK;
    if (capacity > MIEN__IMAGE_MAX)
        return mien__fail(err, MIEN_E_LIMIT, "a picture of more than %d MB", MIEN__IMAGE_MAX >> 20);
    d->image = mien_alloc(capacity);
    if (!d->image)
        return mien__nomem(err, capacity);
    if (sodium_base642bin(d->image, capacity, text, len, NULL, &d->e.image_bytes, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return mien__fail(err, MIEN_E_ARG, "a picture that is not base64");
    d->e.image = d->image;
    return MIEN_OK;
}

static mien_status decode_face(importer *m, const json_t *face, decoded *ret, mien_error *err)
{
    static const mien_enrolment empty = MIEN_ENROLMENT_INIT;
    const char *const source = text_of(face, "source");
    float box[4];
    ret->e = empty;
    ret->image = NULL;
    if (!json_is_object(face) || !template_of(face, m->g->shared->dim, ret->vec))
        return mien__fail(err, MIEN_E_ARG, "a face without a template of this gallery's form");
    if (strlen(source) > MIEN__SOURCE_MAX)
        return mien__fail(err, MIEN_E_LIMIT, "a source of more than %d bytes", MIEN__SOURCE_MAX);
    floats_of(face, "box", box, 4);
    ret->e.face =
        (mien_face){ box[0], box[1], box[2], box[3], number_of(json_object_get(face, "score")), { { 0 } } };
    floats_of(face, "landmarks", &ret->e.face.landmarks[0][0], MIEN_LANDMARKS * 2);
    quality_of(face, &ret->e.quality);
    ret->e.source = source;
    ret->e.vec = ret->vec;
    ret->created_ms = time_of(face, "created_ms");
    return image_of(face, ret, err);
}

/* ---- people ---- */

static mien_status check_person(importer *m, const json_t *line, const mien_consent *consent, mien_error *err)
{
    const char *const name = text_of(line, "name"), *const note = text_of(line, "note");
    const json_t *const faces = json_object_get(line, "faces");
    int64_t there = 0;
    mien_status st = mien__name_check(name, err);
    if (st || (st = mien__text_check("note", note, MIEN__NOTE_MAX, err)) ||
        (st = mien__consent_check(consent, err)) || (st = mien__name_find(m->g, name, &there, err)))
        return st;
    if (there)
        return mien__fail(err, MIEN_E_EXISTS, "the gallery has somebody of that name (person %lld)",
                          (long long)there);
    if (!json_is_array(faces) || json_array_size(faces) > MIEN__FACES_MAX)
        return mien__fail(err, MIEN_E_ARG, "no faces, or more than %d", MIEN__FACES_MAX);
    return MIEN_OK;
}

static mien_status add_faces(importer *m, const json_t *faces, const char *name, int64_t person,
                             const uint8_t *key, size_t *ret_n, mien_error *err)
{
    mien_status st = MIEN_OK;
    decoded *const d = mien_alloc(sizeof *d);
    if (!d)
        return mien__nomem(err, sizeof *d);
    for (size_t i = 0; i < json_array_size(faces) && !st; i++) {
        bool refused = false;
        int64_t id = 0;
        d->image = NULL;
        st = decode_face(m, json_array_get(faces, i), d, err);
        if (!st)
            st = mien__refused(m->g, name, d->vec, &refused, err);
        if (!st && refused)
            st = mien__fail(err, MIEN_E_ARG, "the person is on the do-not-enrol list");
        if (!st)
            st = mien__face_add(m->g, key, person, &d->e, d->created_ms, &id, err);
        if (d->image)
            mien_free_secret(d->image, d->e.image_bytes);
        *ret_n += !st;
    }
    mien_free_secret(d, sizeof *d);
    return st;
}

static mien_status add_person(importer *m, const json_t *line, mien_error *err)
{
    mien_gallery *const g = m->g;
    uint8_t key[MIEN__KEY_BYTES];
    const json_t *const c = json_object_get(line, "consent");
    const mien_consent consent = { text_of(c, "purpose"), text_of(c, "basis"), time_of(c, "given_ms"),
                                   time_of(c, "expires_ms") };
    const int64_t now = mien__clock_ms(), created = time_of(line, "created_ms");
    const mien__new_person p = { 0, text_of(line, "name"), text_of(line, "note"), &consent,
                                 created ? created : now };
    int64_t person = 0;
    size_t n = 0;
    mien_status st = check_person(m, line, &consent, err);
    if (st || (st = mien__person_add(g, &p, &person, key, err)) ||
        (st = add_faces(m, json_object_get(line, "faces"), p.name, person, key, &n, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_PERSON_TIMES, err, "iii", person, p.now_ms,
                            time_of(line, "seen_ms"))) ||
        (st = mien__fuse_person(g, person, now, NULL, err)))
        goto done;
    m->people++;
    m->faces += n;
done:
    sodium_memzero(key, sizeof key);
    return st;
}

/* A person whole or not at all, within the transaction. What is wrong with the line skips it; what is wrong
 * with the gallery or the machine ends the import. */
static mien_status try_person(importer *m, const json_t *line, mien_error *err)
{
    mien_error e = MIEN_ERROR_INIT;
    const mien__state before = m->g->state;
    mien_status st = mien__db_exec(m->g, "savepoint person", err);
    if (st)
        return st;
    st = add_person(m, line, &e);
    if (!st)
        return mien__db_exec(m->g, "release person", err);
    const bool line_fault = st == MIEN_E_ARG || st == MIEN_E_LIMIT || st == MIEN_E_EXISTS ||
                            st == MIEN_E_IMAGE_FORMAT || st == MIEN_E_IMAGE_CORRUPT;
    if (!line_fault) {
        if (err)
            *err = e;
        return st;
    }
    skip(m, e.message);
    m->g->state = before;
    return mien__db_exec(m->g, "rollback to person; release person", err);
}

static mien_status check_head(importer *m, const json_t *head, mien_error *err)
{
    if (json_integer_value(json_object_get(head, "mien_export")) != 1)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "the first line is not that of an export");
    if (strcmp(text_of(head, "model"), m->g->shared->model) != 0)
        return mien__fail(err, MIEN_E_GALLERY_MODEL,
                          "the export was made with the model %.40s (%.8s), the gallery with %.8s",
                          text_of(head, "model_name"), text_of(head, "model"), m->g->shared->model);
    return MIEN_OK;
}

static json_t *parse(const importer *m, char *ret_why, size_t capacity)
{
    json_error_t why;
    json_t *const line = json_loadb((const char *)m->buf.data, m->buf.size, JSON_REJECT_DUPLICATES, &why);
    if (!line)
        snprintf(ret_why, capacity, "not JSON: %.120s", why.text);
    return line;
}

static mien_status import_lines(importer *m, mien_error *err)
{
    mien_status st = MIEN_OK;
    bool more = true, too_long = false;
    while (!st && !(st = read_line(m, &more, &too_long, err)) && more) {
        char why[160] = "more than 256 MB";
        json_t *const line = too_long ? NULL : parse(m, why, sizeof why);
        if (m->line == 1)
            st = line ? check_head(m, line, err)
                      : mien__fail(err, MIEN_E_GALLERY_FORMAT, "the first line is not that of an export");
        else if (line)
            st = try_person(m, line, err);
        else if (m->buf.size > 0 || too_long)
            skip(m, why);
        json_decref(line);
    }
    if (!st && m->line <= 1 && m->buf.size == 0 && !m->people && m->line == 1 && !more)
        st = mien__fail(err, MIEN_E_GALLERY_FORMAT, "the export is empty");
    return st;
}

mien_status mien_gallery_import(mien_gallery *gallery, const char *path, mien_fault_fn fn, void *user,
                                size_t *ret_people, size_t *ret_faces, mien_error *err)
{
    importer m = { .g = gallery, .fn = fn, .user = user };
    char detail[96];
    if (!gallery || !path || !ret_people || !ret_faces)
        return mien__fail(err, MIEN_E_ARG, "gallery, path or results are missing");
    mien__buf_init(&m.buf, LINE_MAX_BYTES);
    if (!(m.in = fopen(path, "rb")))
        return mien__fail(err, errno == ENOENT ? MIEN_E_NOT_FOUND : MIEN_E_IO, "cannot open %.160s: %s", path,
                          strerror(errno));
    mien_status st = mien__write_begin(gallery, err);
    if (!st) {
        if (!(st = mien__model_check(gallery, err)))
            st = import_lines(&m, err);
        snprintf(detail, sizeof detail, "{\"people\":%zu,\"faces\":%zu}", m.people, m.faces);
        if (!st)
            st = mien__audit_append(gallery, "import", 0, detail, err);
        st = mien__write_end(gallery, st, err);
    }
    fclose(m.in);
    mien__buf_wipe(&m.buf);
    if (!st) {
        *ret_people = m.people;
        *ret_faces = m.faces;
    }
    return st;
}
