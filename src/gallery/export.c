/* People as JSON lines: the first tells of the gallery, each other of one person with its faces.
 *
 * docs/gallery.md has the fields. Templates are the stored half floats, little-endian, as base64; pictures
 * are the kept files. Everything is of one snapshot, written to a file for its owner alone that gets its name
 * when it is whole.
 */
#include "gallery/gallery.h"
#include "report/text.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct exporter {
    mien_gallery *g;
    const mien_export_opts *opts;
    FILE *out;
    mien__text text;
    const mien__record *person;
    size_t people, faces, in_person;
    mien_status st;
    mien_error *err;
} exporter;

static void flush(exporter *x)
{
    mien__buf b = { 0 };
    if (x->st)
        return;
    if ((x->st = mien__text_take(&x->text, &b)))
        return;
    if (b.size > 0 && fwrite(b.data, 1, b.size, x->out) != b.size)
        x->st = mien__fail(x->err, MIEN_E_IO, "cannot write the export: %s", strerror(errno));
    mien__buf_wipe(&b);
    mien__text_init(&x->text, (size_t)1 << 30, x->err);
}

static void put_floats(mien__text *t, const char *name, const float *v, size_t n)
{
    mien__text_fmt(t, ",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        mien__text_raw(t, ",", i > 0);
        mien__text_json_f64(t, (double)v[i], 9);
    }
    mien__text_raw(t, "]", 1);
}

static void put_halves(mien__text *t, const float *vec, int dim)
{
    uint16_t halves[MIEN__DIM_MAX];
    mien__halves_of(vec, dim, halves);
    mien__text_fmt(t, ",\"template\":\"");
    mien__text_base64(t, (const uint8_t *)halves, (size_t)dim * sizeof *halves);
    mien__text_raw(t, "\"", 1);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
}

static void put_i64(mien__text *t, const char *name, int64_t v)
{
    mien__text_fmt(t, ",\"%s\":%llu", name, (unsigned long long)v);
}

static void put_quality(mien__text *t, const mien_quality *q)
{
    const struct {
        const char *name;
        float v;
    } parts[] = { { "eye_distance_px", q->eye_distance_px },
                  { "yaw_deg", q->yaw_deg },
                  { "pitch_deg", q->pitch_deg },
                  { "roll_deg", q->roll_deg },
                  { "sharpness", q->sharpness },
                  { "brightness", q->brightness },
                  { "contrast", q->contrast },
                  { "overexposed", q->overexposed },
                  { "underexposed", q->underexposed },
                  { "inside", q->inside },
                  { "score", q->score } };
    mien__text_fmt(t, ",\"quality\":{");
    for (size_t i = 0; i < MIEN_COUNTOF(parts); i++) {
        mien__text_fmt(t, "%s\"%s\":", i ? "," : "", parts[i].name);
        mien__text_json_f64(t, (double)parts[i].v, 9);
    }
    mien__text_raw(t, "}", 1);
}

static void put_image(exporter *x, int64_t face)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    if ((x->st = mien_gallery_image(x->g, face, &data, &bytes, x->err)))
        return;
    mien__text_fmt(&x->text, ",\"image\":\"");
    mien__text_base64(&x->text, data, bytes);
    mien__text_raw(&x->text, "\"", 1);
    mien_free_secret(data, bytes + 1);
}

static int put_face(void *user, const mien_gallery_face *f)
{
    exporter *const x = user;
    mien__text *const t = &x->text;
    float vec[MIEN__DIM_MAX];
    const float box[] = { f->face.x0, f->face.y0, f->face.x1, f->face.y1 };
    mien__text_fmt(t, "%s{\"created_ms\":%llu", x->in_person++ ? "," : "", (unsigned long long)f->created_ms);
    put_floats(t, "box", box, 4);
    put_floats(t, "landmarks", &f->face.landmarks[0][0], MIEN_LANDMARKS * 2);
    mien__text_fmt(t, ",\"score\":");
    mien__text_json_f64(t, (double)f->face.score, 9);
    put_quality(t, &f->quality);
    mien__text_fmt(t, ",\"source\":");
    mien__text_json(t, f->source);
    mien__text_fmt(t, ",\"outlier\":%s,\"fit\":", f->outlier ? "true" : "false");
    mien__text_json_f64(t, f->fit, 9);
    if (x->opts->templates && !(x->st = mien_gallery_face_template(x->g, f->id, vec, x->err)))
        put_halves(t, vec, x->g->shared->dim);
    if (!x->st && x->opts->images && f->has_image)
        put_image(x, f->id);
    mien__text_raw(t, "}", 1);
    flush(x);
    x->faces++;
    sodium_memzero(vec, sizeof vec);
    return x->st != MIEN_OK;
}

static void put_person(exporter *x, const mien__record *r)
{
    mien__text *const t = &x->text;
    const mien_person *const p = &r->person;
    mien__text_fmt(t, "{\"name\":");
    mien__text_json(t, p->name);
    mien__text_fmt(t, ",\"note\":");
    mien__text_json(t, p->note);
    put_i64(t, "created_ms", p->created_ms);
    put_i64(t, "seen_ms", p->seen_ms);
    mien__text_fmt(t, ",\"consent\":{\"purpose\":");
    mien__text_json(t, p->consent.purpose);
    mien__text_fmt(t, ",\"basis\":");
    mien__text_json(t, p->consent.basis);
    put_i64(t, "given_ms", p->consent.given_ms);
    put_i64(t, "expires_ms", p->consent.expires_ms);
    mien__text_fmt(t, "},\"faces\":[");
    x->in_person = 0;
    const mien_status st = mien_gallery_faces(x->g, p->id, put_face, x, x->err);
    if (!x->st)
        x->st = st;
    mien__text_fmt(t, "]}\n");
    flush(x);
    x->people++;
}

static void put_head(exporter *x)
{
    mien_gallery_info info;
    mien__text *const t = &x->text;
    if ((x->st = mien_gallery_info_of(x->g, &info, x->err)))
        return;
    mien__text_fmt(t, "{\"mien_export\":1,\"gallery\":\"%s\",\"model\":\"%s\",\"model_name\":", info.id,
                   info.model);
    mien__text_json(t, info.model_name);
    mien__text_fmt(t, ",\"dim\":%d,\"purpose\":", info.dim);
    mien__text_json(t, info.purpose);
    put_i64(t, "exported_ms", mien__clock_ms());
    mien__text_fmt(t, "}\n");
    flush(x);
}

static void put_all(exporter *x, mien_gallery_progress progress, void *user)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t total = 1, before = 0;
    const int64_t one = x->opts->person;
    x->st = one ? mien__sql_open(x->g, MIEN__SQL_PERSON_GET, &s, x->err, "i", one)
                : mien__sql_open(x->g, MIEN__SQL_PERSON_AFTER, &s, x->err, "i", (int64_t)0);
    if (!x->st && !one)
        x->st = mien__sql_number(x->g, MIEN__SQL_COUNT_PEOPLE, 0, &total, x->err, "");
    while (!x->st && !(x->st = mien__sql_row(x->g, s, &row, x->err)) && row) {
        mien__record r;
        const int64_t id = sqlite3_column_int64(s, 0);
        if ((x->st = mien__sql_ascending(x->g, before, id, x->err)) ||
            (x->st = mien__record_read(x->g, s, mien__clock_ms(), &r, x->err)))
            break;
        before = id;
        put_person(x, &r);
        mien__record_free(&r);
        if (!x->st && progress && progress(user, x->people, (uint64_t)total) != 0)
            x->st = mien__fail(x->err, MIEN_E_INTERRUPTED, "the export was stopped");
    }
    mien__sql_end(x->g, s);
    if (!x->st && one && x->people == 0)
        x->st = mien__fail(x->err, MIEN_E_NOT_FOUND, "%.120s has no person %lld", x->g->shared->path,
                           (long long)one);
}

/* Close what was written, through to the disk. */
static void finish(exporter *x, const char *path)
{
    if (!x->st && (fflush(x->out) != 0 || fsync(fileno(x->out)) != 0))
        x->st = mien__fail(x->err, MIEN_E_IO, "cannot write %.160s: %s", path, strerror(errno));
    if (fclose(x->out) != 0 && !x->st)
        x->st = mien__fail(x->err, MIEN_E_IO, "cannot write %.160s: %s", path, strerror(errno));
}

static mien_status audit(exporter *x)
{
    char detail[128];
    if (!x->g->writable)
        return MIEN_OK;
    snprintf(detail, sizeof detail, "{\"people\":%zu,\"faces\":%zu,\"templates\":%s,\"images\":%s}",
             x->people, x->faces, x->opts->templates ? "true" : "false", x->opts->images ? "true" : "false");
    const mien_status st = mien__write_begin(x->g, x->err);
    return st ? st
              : mien__write_end(x->g, mien__audit_append(x->g, "export", x->opts->person, detail, x->err),
                                x->err);
}

mien_status mien_gallery_export(mien_gallery *gallery, const char *path, const mien_export_opts *opts,
                                mien_gallery_progress progress, void *user, mien_error *err)
{
    static const mien_export_opts defaults = MIEN_EXPORT_OPTS_INIT;
    exporter x = { .g = gallery, .opts = opts ? opts : &defaults, .err = err };
    if (!gallery || !path || !path[0] || x.opts->struct_size != sizeof *opts || x.opts->person < 0)
        return mien__fail(err, MIEN_E_ARG,
                          "gallery or path is missing, or options without MIEN_EXPORT_OPTS_INIT");
    if (access(path, F_OK) == 0)
        return mien__fail(err, MIEN_E_EXISTS, "%.160s exists already", path);
    char *const temporary = sqlite3_mprintf("%s.new.XXXXXX", path);
    if (!temporary)
        return mien__nomem(err, strlen(path));
    const int fd = mkstemp(temporary);
    if (fd < 0 || !(x.out = fdopen(fd, "wb"))) {
        x.st = mien__fail(err, MIEN_E_IO, "cannot make %.160s: %s", path, strerror(errno));
        goto done;
    }
    mien__text_init(&x.text, (size_t)1 << 30, err);
    if (!(x.st = mien__read_begin(gallery, err))) {
        put_head(&x);
        if (!x.st)
            put_all(&x, progress, user);
        mien__read_end(gallery);
    }
    mien__text_free(&x.text);
    finish(&x, path);
    /* told before it is there: an export without its entry must not be */
    if (!x.st)
        x.st = audit(&x);
    if (!x.st)
        x.st = mien__publish(temporary, path, err);
done:
    if (x.st && fd >= 0)
        (void)unlink(temporary);
    sqlite3_free(temporary);
    return x.st;
}
