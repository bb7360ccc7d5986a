/* One picture on its way into a gallery: read, find the face, judge it, embed it; then batches of them, each
 * one transaction, told to the user only when it is safe on the disk. See enroll.h.
 */
#include "enroll.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A batch is written after so many faces, pictures or bytes of kept pictures. */
enum { BATCH_FACES = 64, BATCH_PICTURES = 256, BATCH_BYTES = 64 << 20, KEPT_MAX_BYTES = 16 << 20 };

void enroll_result_free(enroll_result *r)
{
    free(r->vec);
    free(r->image);
    free(r->other);
    free(r);
}

static float shorter_side(const mien_face *f)
{
    const float w = f->x1 - f->x0, h = f->y1 - f->y0;
    return w < h ? w : h;
}

/* Which face is meant; seen->n when none. Without --pick a picture must show one person: another face half as
 * large as the largest makes it ambiguous, smaller ones are bystanders. */
static size_t pick_face(const enroll_run *run, const cli_seen *seen, mien_reason *reason)
{
    const mien_image_view v = mien_image_view_of(seen->image);
    const mien_pick how = run->opts->pick == ENROLL_PICK_CENTRAL ? MIEN_PICK_CENTRAL : MIEN_PICK_LARGEST;
    const size_t at = mien_face_pick(seen->faces, seen->n, v.width, v.height, how);
    if (at == seen->n)
        *reason = MIEN_REASON_NO_FACE;
    for (size_t i = 0; i < seen->n && run->opts->pick == ENROLL_PICK_ONE; i++) {
        if (i != at && shorter_side(&seen->faces[i]) >= 0.5f * shorter_side(&seen->faces[at]))
            *reason = MIEN_REASON_MANY_FACES;
    }
    return at;
}

/* The same pixels are the same picture, whatever its file says besides. */
static void digest_pixels(const mien_image *image, uint8_t ret[ENROLL_DIGEST_BYTES])
{
    crypto_generichash_state state;
    const mien_image_view v = mien_image_view_of(image);
    const int32_t size[2] = { v.width, v.height };
    crypto_generichash_init(&state, NULL, 0, ENROLL_DIGEST_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)size, sizeof size);
    for (int y = 0; y < v.height; y++)
        crypto_generichash_update(&state, v.data + (size_t)y * v.stride_bytes, (size_t)v.width * 3);
    crypto_generichash_final(&state, ret, ENROLL_DIGEST_BYTES);
}

/* The file as it is, if it is one that a gallery keeps; NULL otherwise. */
static uint8_t *read_file(const char *path, size_t *ret_bytes)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f ? cli_alloc(KEPT_MAX_BYTES + 1, 1) : NULL;
    *ret_bytes = f ? fread(data, 1, KEPT_MAX_BYTES + 1, f) : 0;
    const bool whole = f && !ferror(f) && *ret_bytes <= KEPT_MAX_BYTES && *ret_bytes > 8;
    if (f)
        fclose(f);
    if (!whole || (memcmp(data, "\xff\xd8\xff", 3) != 0 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0)) {
        free(data);
        return NULL;
    }
    return cli_grow(data, *ret_bytes, 1);
}

/* Where others are in the picture, who did not agree to be kept, only the person's surroundings are. */
static mien_status keep_part(const cli_seen *seen, size_t at, enroll_result *r)
{
    mien_face face = seen->faces[at];
    const float grow = 0.6f * (face.x1 - face.x0 > face.y1 - face.y0 ? face.x1 - face.x0 : face.y1 - face.y0);
    const float x0 = face.x0 - grow > 0 ? face.x0 - grow : 0, y0 = face.y0 - grow > 0 ? face.y0 - grow : 0;
    const int left = (int)x0, top = (int)y0;
    mien_image *part = NULL;
    uint8_t *data = NULL;
    mien_status st = mien_image_crop(mien_image_view_of(seen->image), left, top, (int)(face.x1 + grow) - left,
                                     (int)(face.y1 + grow) - top, &part, &r->err);
    if (st == MIEN_OK)
        st = mien_image_encode(mien_image_view_of(part), "jpeg", 95, &data, &r->image_bytes, &r->err);
    if (st == MIEN_OK) {
        r->image = cli_alloc(r->image_bytes, 1);
        memcpy(r->image, data, r->image_bytes);
        face.x0 -= (float)left, face.x1 -= (float)left, face.y0 -= (float)top, face.y1 -= (float)top;
        for (int i = 0; i < MIEN_LANDMARKS; i++)
            face.landmarks[i][0] -= (float)left, face.landmarks[i][1] -= (float)top;
        r->face = face;
    }
    mien_image_data_free(data);
    mien_image_free(part);
    return st;
}

static mien_status look(const enroll_run *run, cli_kit *kit, cli_seen *seen, enroll_result *r)
{
    const size_t at = pick_face(run, seen, &r->reason);
    r->n_faces = seen->n;
    if (at == seen->n)
        return MIEN_OK;
    const mien_image_view view = mien_image_view_of(seen->image);
    r->face = cli_seen_face(seen, at);
    digest_pixels(seen->image, r->digest);
    mien_status st = mien_quality_measure(view, &seen->faces[at], &r->quality, &r->err);
    if (st != MIEN_OK)
        return st;
    r->quality.eye_distance_px *= (float)seen->scale;
    if (r->reason == MIEN_REASON_NONE)
        r->reason = mien_quality_reason(&r->quality, NULL);
    if (r->reason != MIEN_REASON_NONE && !run->opts->force)
        return MIEN_OK;
    r->vec = cli_alloc(run->dim, sizeof *r->vec);
    st = mien_embed_face(kit->embedder, view, &seen->faces[at], r->vec, &r->err);
    if (st == MIEN_OK && run->opts->keep_images) {
        r->image = seen->n == 1 ? read_file(r->job->path, &r->image_bytes) : NULL;
        if (!r->image)
            st = keep_part(seen, at, r);
    }
    return st;
}

void *enroll_work(void *ctx, void *kit, size_t item)
{
    enroll_run *run = ctx;
    enroll_result *r = cli_alloc(1, sizeof *r);
    cli_seen seen = { 0 };
    r->job = &run->jobs[item];
    if (atomic_load(&run->failed)) {
        r->status = MIEN_E_INTERRUPTED;
        return r;
    }
    r->status = cli_see_largest(kit, r->job->path, &seen, &r->err);
    if (r->status == MIEN_OK)
        r->status = look(run, kit, &seen, r);
    cli_seen_free(&seen);
    return r;
}

/* ---- batches ---- */

static bool to_enrol(const enroll_run *run, const enroll_result *r)
{
    return r->status == MIEN_OK && r->vec && (r->reason == MIEN_REASON_NONE || run->opts->force);
}

/* Where another person begins to look the same rises with the people there are. */
static mien_status set_thresholds(enroll_run *run, mien_error *err)
{
    mien_gallery_info info;
    run->other_threshold = 2;
    run->unlike_threshold = -2;
    if (!run->curve)
        return MIEN_OK;
    mien_status st = mien_gallery_info_of(run->gallery, &info, err);
    if (st != MIEN_OK)
        return st;
    mien_search_size size = mien_search_size_of(&info);
    size.n_people += run->n_to_enrol; /* at most so many more */
    return mien_curve_enrolment(run->curve, &size, run->opts->fpir, &run->other_threshold,
                                &run->unlike_threshold, err);
}

static void fill(const enroll_run *run, const enroll_result *r, mien_enrolment *e)
{
    const char *slash = strrchr(r->job->path, '/');
    *e = (mien_enrolment)MIEN_ENROLMENT_INIT;
    e->name = r->job->name;
    e->vec = r->vec;
    e->face = r->face;
    e->quality = r->quality;
    e->source = slash ? slash + 1 : r->job->path;
    e->image = r->image;
    e->image_bytes = r->image ? r->image_bytes : 0;
    e->image_digest = r->digest;
    e->consent = run->has_consent ? &run->consent : NULL;
    e->note = run->opts->note;
    e->other_threshold = run->other_threshold;
    e->unlike_threshold = run->unlike_threshold;
    e->force = run->opts->force;
}

static mien_status enrol_batch(enroll_run *run, mien_error *err)
{
    size_t n = 0;
    mien_status st = set_thresholds(run, err);
    mien_enrolment *items = cli_alloc(run->n_to_enrol, sizeof *items);
    mien_enrolled *told = cli_alloc(run->n_to_enrol, sizeof *told);
    for (size_t i = 0; i < run->n_pending && st == MIEN_OK; i++) {
        if (to_enrol(run, run->pending[i]))
            fill(run, run->pending[i], &items[n++]);
    }
    if (st == MIEN_OK && n)
        st = mien_gallery_enrol(run->gallery, items, n, told, err);
    n = 0;
    for (size_t i = 0; i < run->n_pending && st == MIEN_OK; i++) {
        enroll_result *r = run->pending[i];
        if (!to_enrol(run, r))
            continue;
        r->enrolled = told[n++];
        r->reason = r->enrolled.reason;
        if (r->enrolled.other)
            r->other = cli_person_name(run->gallery, r->enrolled.other);
    }
    free(items);
    free(told);
    return st;
}

void enroll_flush(enroll_run *run)
{
    mien_error err = MIEN_ERROR_INIT;
    if (run->n_to_enrol && !atomic_load(&run->failed) && enrol_batch(run, &err) != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(run->path, &err));
        cli_say_path(run->path, "the last %zu faces were not enrolled, those before are safe",
                     run->n_to_enrol);
        atomic_store(&run->failed, true);
    }
    for (size_t i = 0; i < run->n_pending; i++) {
        if (!atomic_load(&run->failed))
            enroll_print_result(run, run->pending[i]);
        enroll_result_free(run->pending[i]);
    }
    run->n_pending = run->n_to_enrol = run->pending_bytes = 0;
}

void enroll_done(void *ctx, size_t item, void *result)
{
    enroll_run *run = ctx;
    enroll_result *r = result;
    (void)item;
    if (!run->pending)
        run->pending = cli_alloc(BATCH_PICTURES, sizeof *run->pending);
    run->pending[run->n_pending++] = r;
    run->n_to_enrol += to_enrol(run, r);
    run->pending_bytes += r->image_bytes;
    if (run->n_to_enrol >= BATCH_FACES || run->n_pending >= BATCH_PICTURES ||
        run->pending_bytes >= BATCH_BYTES)
        enroll_flush(run);
}
