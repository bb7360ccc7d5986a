/* People from a folder of pictures. A folder inside it is one person, named after it, with the largest face
 * of each of its pictures; a picture lying beside such folders is a person of its own. A person's template is
 * the mean of the pictures' templates, scaled to unit length. Pictures without a face are reported and left
 * out.
 */
#include "watch.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    const cli_files *files;
    const cli_common *common;
    watch_people *people;
    size_t n_pictures;
    int exit_code;
} loader;

typedef struct embedded {
    mien_status status;
    mien_error err;
    float *vec; /* NULL: no face */
} embedded;

static void *embed(void *ctx, void *worker, size_t item)
{
    const loader *l = ctx;
    cli_kit *kit = worker;
    embedded *r = cli_alloc(1, sizeof *r);
    cli_seen seen = { 0 };
    r->status = cli_see_largest(kit, l->files->items[item].path, &seen, &r->err);
    if (r->status == MIEN_OK && seen.n) {
        r->vec = cli_alloc((size_t)l->people->dim, sizeof *r->vec);
        r->status =
            mien_embed_face(kit->embedder, mien_image_view_of(seen.image), &seen.faces[0], r->vec, &r->err);
    }
    cli_seen_free(&seen);
    return r;
}

/* The person of a file: the first folder of its path below the one given, else its base name. */
static char *person_of(const cli_file *file)
{
    const char *const rel = file->path + file->rel, *const slash = strchr(rel, '/');
    return cli_format("%.*s", (int)((slash ? slash : cli_extension(rel)) - rel), rel);
}

/* Files come sorted, so that a person's pictures follow each other. */
static void take(void *ctx, size_t item, void *result)
{
    loader *l = ctx;
    embedded *r = result;
    watch_people *p = l->people;
    const cli_file *file = &l->files->items[item];
    if (r->status != MIEN_OK)
        l->exit_code = cli_worse(l->exit_code, cli_fail_path(file->path, &r->err));
    else if (!r->vec)
        cli_say_path(file->path, "no face found: left out");
    else {
        char *name = person_of(file);
        if (!p->n || strcmp(p->names[p->n - 1], name) != 0) {
            p->names = cli_grow(p->names, p->n + 1, sizeof *p->names);
            p->vecs = cli_grow(p->vecs, (p->n + 1) * (size_t)p->dim, sizeof *p->vecs);
            memset(p->vecs + p->n * (size_t)p->dim, 0, (size_t)p->dim * sizeof *p->vecs);
            p->names[p->n++] = cli_strdup(name);
        }
        free(name);
        for (int i = 0; i < p->dim; i++)
            p->vecs[(p->n - 1) * (size_t)p->dim + (size_t)i] += r->vec[i];
        l->n_pictures++;
        memset(r->vec, 0, (size_t)p->dim * sizeof *r->vec);
    }
    free(r->vec);
    free(r);
}

static void normalise(float *vec, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += (double)vec[i] * vec[i];
    for (int i = 0; sum > 0 && i < dim; i++)
        vec[i] = (float)(vec[i] / sqrt(sum));
}

int watch_people_load(watch_people *people, const char *dir, const cli_models *models,
                      const cli_common *common)
{
    cli_files files = { 0 };
    cli_kits kits = { NULL, NULL, 0 };
    *people = (watch_people){
        .dim = mien_model_info_of(models->embed)->embedding_len, .threshold = NAN, .fmr = NAN, .fpir = NAN
    };
    if (!dir)
        return CLI_YES;
    if (!cli_is_dir(dir)) {
        cli_say_path(dir, "not a folder of people");
        return CLI_INPUT;
    }
    char *operands[] = { cli_strdup(dir) };
    cli_files_collect(&files, 1, operands);
    int rc = files.exit_code;
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, models, common, files.n, false);
    if (rc == CLI_YES) {
        loader l = { &files, common, people, 0, CLI_YES };
        cli_run_ordered(files.n, kits.n, kits.workers, embed, take, &l, "pictures", common->quiet);
        for (size_t i = 0; i < people->n; i++)
            normalise(people->vecs + i * (size_t)people->dim, people->dim);
        people->pictures = people->n ? (double)l.n_pictures / (double)people->n : 0;
        rc = l.exit_code;
        if (rc == CLI_YES && !people->n && !cli_stopped()) {
            cli_say_path(dir, "no face in any picture: nobody would be known");
            rc = CLI_INPUT;
        }
    }
    cli_kits_free(&kits);
    cli_files_free(&files);
    free(operands[0]);
    return rc;
}

int watch_people_decide(watch_people *people, const mien_model *model, double threshold, double fpir)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_curve *curve = NULL;
    mien_search_decision d = { 0 };
    mien_estimate fmr = { 0 };
    const mien_search_size size = { people->n, people->pictures < 1 ? 1 : people->pictures };
    if (!people->n)
        return CLI_YES;
    mien_status st = mien_curve_of_model(model, &curve, &err);
    if (st == MIEN_E_NOT_FOUND && !isnan(threshold)) { /* not calibrated: the threshold alone */
        people->threshold = threshold;
        return CLI_YES;
    }
    if (st == MIEN_OK)
        st = isnan(threshold) ? mien_curve_decide(curve, -1, &size, fpir, &d, &err)
                              : mien_curve_decide_at(curve, -1, &size, threshold, &d, &err);
    if (st == MIEN_OK)
        st = mien_curve_fmr(curve, d.threshold, &fmr, &err);
    mien_curve_free(curve);
    if (st != MIEN_OK)
        return cli_fail(&err);
    if (!d.promised)
        cli_say(
            "the model's calibration does not reach a false positive rate of %g among %zu people: %.2g it is",
            fpir, people->n, d.fpir.value);
    people->threshold = d.threshold;
    people->fpir = d.fpir.value;
    people->fmr = fmr.value;
    return CLI_YES;
}

size_t watch_people_search(const watch_people *people, const float *vec, mien_track_candidate *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < people->n; i++) {
        const double s = mien_cosine(vec, people->vecs + i * (size_t)people->dim, (size_t)people->dim);
        size_t at = n < MIEN_TRACK_CANDIDATES ? n++ : MIEN_TRACK_CANDIDATES;
        for (; at > 0 && ret[at - 1].similarity < s; at--) {
            if (at < MIEN_TRACK_CANDIDATES)
                ret[at] = ret[at - 1];
        }
        if (at < MIEN_TRACK_CANDIDATES)
            ret[at] = (mien_track_candidate){ (int64_t)i + 1, s };
    }
    return n;
}

const char *watch_people_name(const watch_people *people, int64_t person)
{
    return person > 0 && (uint64_t)person <= people->n ? people->names[person - 1] : NULL;
}

void watch_people_free(watch_people *people)
{
    for (size_t i = 0; i < people->n; i++)
        free(people->names[i]);
    free(people->names);
    if (people->vecs)
        memset(people->vecs, 0, people->n * (size_t)people->dim * sizeof *people->vecs);
    free(people->vecs);
    *people = (watch_people){ 0 };
}
