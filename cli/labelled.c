/* Labelled pictures to templates; see labelled.h. Templates are wiped when they are freed. */
#include "labelled.h"
#include <stdlib.h>
#include <string.h>

typedef struct embed_job {
    labelled_set *set;
    bool aligned;
} embed_job;

typedef struct embed_result {
    mien_status status;
    mien_error err;
} embed_result;

/* Pictures are sorted by path, so those of one person follow each other. */
static void label(labelled_set *set, bool labelled)
{
    size_t kept = 0;
    set->names = cli_alloc(set->files.n, sizeof *set->names);
    for (size_t i = 0; i < set->files.n; i++) {
        cli_file *f = &set->files.items[i];
        const char *rel = f->path + f->rel, *slash = strchr(rel, '/');
        if (!slash && labelled) {
            cli_say_path(f->path, "not in a person's folder: passed over");
            free(f->path);
            continue;
        }
        const size_t len = slash ? (size_t)(slash - rel) : strlen(rel);
        const char *last = set->n_people ? set->names[set->n_people - 1] : NULL;
        if (!last || strlen(last) != len || strncmp(last, rel, len) != 0)
            set->names[set->n_people++] = cli_format("%.*s", (int)len, rel);
        set->person[kept] = (uint32_t)(set->n_people - 1);
        set->files.items[kept++] = *f;
    }
    set->files.n = kept;
}

int labelled_read(labelled_set *set, const char *dir, bool labelled)
{
    char *operand = cli_strdup(dir);
    *set = (labelled_set){ 0 };
    if (!cli_is_dir(dir)) {
        cli_say_path(dir, "not a folder");
        free(operand);
        return CLI_INPUT;
    }
    cli_files_collect(&set->files, 1, &operand);
    free(operand);
    set->person = cli_alloc(set->files.n, sizeof *set->person);
    set->states = cli_alloc(set->files.n, sizeof *set->states);
    label(set, labelled);
    const int rc = set->files.exit_code;
    if (rc == CLI_YES && set->files.n)
        return CLI_YES;
    if (rc == CLI_YES)
        cli_say_path(dir, labelled ? "no pictures in folders, one per person" : "no pictures");
    labelled_free(set);
    return CLI_INPUT;
}

static mien_status embed_crop(cli_kit *kit, const char *path, float *vec, mien_error *err)
{
    mien_image *image = NULL;
    mien_status st = cli_load(kit->common, path, 0, &image, err);
    if (st)
        return st;
    const mien_image_view view = mien_image_view_of(image);
    st = mien_embed_crops(kit->embedder, &view, 1, vec, err);
    mien_image_free(image);
    return st;
}

static mien_status embed_central(cli_kit *kit, const char *path, float *vec, mien_error *err)
{
    cli_seen seen = { 0 };
    mien_status st = cli_see(kit, path, &seen, err);
    if (st)
        return st;
    const mien_image_view view = mien_image_view_of(seen.image);
    const size_t k = mien_face_pick(seen.faces, seen.n, view.width, view.height, MIEN_PICK_CENTRAL);
    st = seen.n ? mien_embed_face(kit->embedder, view, &seen.faces[k], vec, err) : MIEN_E_NO_FACE;
    cli_seen_free(&seen);
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    const embed_job *job = ctx;
    embed_result *r = cli_alloc(1, sizeof *r);
    const char *path = job->set->files.items[item].path;
    float *vec = job->set->vecs + item * job->set->dim;
    r->status =
        job->aligned ? embed_crop(worker, path, vec, &r->err) : embed_central(worker, path, vec, &r->err);
    return r;
}

static void done(void *ctx, size_t item, void *result)
{
    const embed_job *job = ctx;
    labelled_set *set = job->set;
    embed_result *r = result;
    const char *path = set->files.items[item].path;
    if (r->status == MIEN_OK) {
        set->n_embedded++;
    } else if (r->status == MIEN_E_NO_FACE) {
        set->states[item] = LABELLED_NO_FACE;
        set->n_no_face++;
        cli_say_path(path, "no face found");
    } else {
        set->states[item] = LABELLED_BAD;
        set->n_bad++;
        (void)cli_fail_path(path, &r->err);
    }
    free(r);
}

void labelled_embed(labelled_set *set, cli_kits *kits, size_t dim, bool aligned, bool quiet)
{
    embed_job job = { set, aligned };
    set->dim = dim;
    set->vecs = cli_alloc(set->files.n * dim, sizeof *set->vecs);
    cli_run_ordered(set->files.n, kits->n, kits->workers, work, done, &job, "images", quiet);
}

void labelled_pack(const labelled_set *set, float **ret_vecs, uint32_t **ret_people)
{
    const size_t n = set->n_embedded;
    float *vecs = cli_alloc(n * set->dim, sizeof *vecs);
    uint32_t *people = cli_alloc(n, sizeof *people);
    size_t at = 0;
    for (size_t i = 0; i < set->files.n; i++) {
        if (set->states[i] != LABELLED_EMBEDDED)
            continue;
        memcpy(vecs + at * set->dim, set->vecs + i * set->dim, set->dim * sizeof *vecs);
        people[at++] = set->person[i];
    }
    *ret_vecs = vecs;
    *ret_people = people;
}

void labelled_free(labelled_set *set)
{
    for (size_t i = 0; set->names && i < set->n_people; i++)
        free(set->names[i]);
    if (set->vecs)
        explicit_bzero(set->vecs, set->files.n * set->dim * sizeof *set->vecs);
    free(set->names);
    free(set->vecs);
    free(set->person);
    free(set->states);
    cli_files_free(&set->files);
    *set = (labelled_set){ 0 };
}
