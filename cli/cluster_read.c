/* `mien cluster`: pictures are read side by side and added to the album one after the other, each a
 * transaction of its own, so that a run that is stopped goes on where it was.
 */
#include "cluster.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct seen_picture {
    mien_status status;
    mien_error err;
    mien_album_picture picture;
    mien_album_new_face *faces;
    float *vecs;
    size_t n;
} seen_picture;

/* Its size and time, so that a change is noticed; zeros when it cannot be looked at, which reading will say.
 */
static mien_album_picture picture_at(const char *path)
{
    struct stat st;
    mien_album_picture p = { path, 0, 0, 0, 0 };
    if (stat(path, &st) == 0) {
        p.bytes = (int64_t)st.st_size;
        p.time_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    return p;
}

static mien_status embed(const cluster_run *run, cli_kit *kit, const cli_seen *seen, size_t i,
                         seen_picture *r)
{
    const mien_image_view view = mien_image_view_of(seen->image);
    mien_quality quality;
    float *const vec = r->vecs + r->n * run->dim;
    mien_status st = mien_embed_face(kit->embedder, view, &seen->faces[i], vec, &r->err);
    if (st == MIEN_OK)
        st = mien_quality_measure(view, &seen->faces[i], &quality, &r->err);
    if (st == MIEN_OK)
        r->faces[r->n++] =
            (mien_album_new_face){ cli_seen_face(seen, i),
                                   run->opts->poor || mien_quality_reason(&quality, NULL) == MIEN_REASON_NONE
                                       ? fmaxf(quality.score, 1e-3f)
                                       : 0,
                                   vec };
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    const cluster_run *run = ctx;
    cli_seen seen = { 0 };
    seen_picture *r = cli_alloc(1, sizeof *r);
    r->picture = picture_at(run->files[item].path);
    r->status = cli_see(worker, run->files[item].path, &seen, &r->err);
    if (r->status != MIEN_OK)
        return r;
    r->picture.width = seen.width;
    r->picture.height = seen.height;
    r->faces = cli_alloc(seen.n, sizeof *r->faces);
    r->vecs = cli_alloc(seen.n * run->dim, sizeof *r->vecs);
    for (size_t i = 0; i < seen.n && r->status == MIEN_OK; i++)
        r->status = embed(run, worker, &seen, i, r);
    cli_seen_free(&seen);
    return r;
}

static void done(void *ctx, size_t item, void *result)
{
    cluster_run *run = ctx;
    seen_picture *r = result;
    mien_error err = MIEN_ERROR_INIT;
    if (r->status != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(run->files[item].path, &r->err));
    } else if (!run->failed && mien_album_add(run->album, &r->picture, r->faces, r->n, &err) != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail(&err));
        run->failed = true; /* one message is enough: the disk is full, or the file is held */
    }
    free(r->faces);
    free(r->vecs);
    free(r);
}

/* Leaves out what the album holds. */
static mien_status pick_new(cluster_run *run, const cli_files *files, mien_error *err)
{
    mien_status st = MIEN_OK;
    run->files = cli_alloc(files->n, sizeof *run->files);
    for (size_t i = 0; i < files->n && st == MIEN_OK; i++) {
        const mien_album_picture picture = picture_at(files->items[i].path);
        int has = 0;
        st = mien_album_has(run->album, &picture, &has, err);
        if (st == MIEN_OK && !has)
            run->files[run->n_files++] = files->items[i];
    }
    return st;
}

int cli_cluster_read(cluster_run *run, const cli_models *models, const cli_files *files)
{
    cli_kits kits = { NULL, NULL, 0 };
    mien_error err = MIEN_ERROR_INIT;
    if (pick_new(run, files, &err) != MIEN_OK)
        return cli_fail(&err);
    if (!run->n_files)
        return CLI_YES;
    const int rc = cli_kits_new(&kits, models, &run->opts->base.common, run->n_files, false);
    if (rc == CLI_YES)
        cli_run_ordered(run->n_files, kits.n, kits.workers, work, done, run, "images",
                        run->opts->base.common.quiet);
    cli_kits_free(&kits);
    return run->failed ? run->exit_code : rc;
}
