/* Whom `mien watch` knows: the people of a gallery, or of a folder of pictures.
 *
 * A gallery is searched as it is at that moment: who is enrolled or removed meanwhile, by whatever process,
 * is known or unknown from the next look on. Of a folder, a folder inside it is one person, named after it,
 * with the largest face of each of its pictures; a picture lying beside such folders is a person of its own.
 * A person's template is the mean of the pictures' templates, scaled to unit length. Pictures without a face
 * are reported and left out.
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
            p->n_names = p->n;
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

static int load_folder(watch_people *people, const char *dir, const cli_models *models,
                       const cli_common *common)
{
    cli_files files = { 0 };
    cli_kits kits = { NULL, NULL, 0 };
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
        people->pictures = people->n ? (double)l.n_pictures / (double)people->n : 1;
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

/* ---- the threshold ---- */

static mien_status settle(watch_people *p, bool *ret_promised, mien_error *err)
{
    mien_search_decision d = { .promised = 1, .threshold = p->wanted, .fpir = { .value = NAN } };
    mien_estimate fmr = { .value = NAN };
    const mien_search_size size = { p->n, p->pictures };
    mien_status st = MIEN_OK;
    if (p->curve && p->n) {
        st = isnan(p->wanted) ? mien_curve_decide(p->curve, -1, &size, p->fpir_wanted, &d, err)
                              : mien_curve_decide_at(p->curve, -1, &size, p->wanted, &d, err);
        if (st == MIEN_OK)
            st = mien_curve_fmr(p->curve, d.threshold, &fmr, err);
    }
    if (st != MIEN_OK)
        return st;
    p->threshold = d.threshold;
    p->fpir = d.fpir.value;
    p->fmr = fmr.value;
    *ret_promised = d.promised;
    return MIEN_OK;
}

static void forget_names(watch_people *p)
{
    for (size_t i = 0; i < p->n_names; i++)
        free(p->names[i]);
    p->n_names = 0;
}

/* Take notice of what has changed in the gallery. */
static mien_status refresh(watch_people *p, mien_error *err)
{
    mien_gallery_info info;
    bool promised = true;
    const mien_status st = mien_gallery_info_of(p->gallery, &info, err);
    if (st != MIEN_OK || info.sequence == p->sequence)
        return st;
    const mien_search_size size = mien_search_size_of(&info);
    p->n = info.n_people;
    p->pictures = size.pictures;
    p->sequence = info.sequence;
    forget_names(p);
    return settle(p, &promised, err);
}

static int open_gallery(watch_people *p, const cli_gallery_common *base, const cli_models *models)
{
    const cli_gallery_how how = { .mode = MIEN_GALLERY_READ, .embedder = models->embed };
    mien_error err = MIEN_ERROR_INIT;
    const int rc = cli_gallery_open(base, base->gallery, &how, &p->gallery);
    if (rc != CLI_YES)
        return rc;
    p->sequence = UINT64_MAX;
    p->ids = cli_alloc(1, sizeof *p->ids);
    if (refresh(p, &err) != MIEN_OK)
        return cli_fail_path(base->gallery, &err);
    if (!p->n)
        cli_say_path(base->gallery, "this gallery has no people");
    return CLI_YES;
}

static int curve_of_model(const mien_model *model, mien_curve **ret)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_status st = mien_curve_of_model(model, ret, &err);
    return st == MIEN_OK || st == MIEN_E_NOT_FOUND ? CLI_YES : cli_fail(&err);
}

int watch_people_open(watch_people *p, const cli_gallery_common *base, const char *dir,
                      const cli_models *models, double threshold, double fpir)
{
    mien_error err = MIEN_ERROR_INIT;
    bool promised = true;
    *p = (watch_people){ .dim = mien_model_info_of(models->embed)->embedding_len,
                         .threshold = NAN,
                         .fmr = NAN,
                         .fpir = NAN,
                         .wanted = threshold,
                         .fpir_wanted = fpir,
                         .pictures = 1 };
    if (!base->gallery && !dir)
        return CLI_YES;
    int rc = base->gallery ? open_gallery(p, base, models) : load_folder(p, dir, models, &base->common);
    if (rc == CLI_YES)
        rc = p->gallery ? cli_curve_of(p->gallery, models->embed, &p->curve)
                        : curve_of_model(models->embed, &p->curve);
    if (rc == CLI_YES && !p->curve && isnan(threshold)) {
        cli_say("this model is not calibrated: give --threshold, or calibrate it on labelled people");
        return CLI_MODEL;
    }
    if (rc != CLI_YES)
        return rc;
    if (settle(p, &promised, &err) != MIEN_OK)
        return cli_fail(&err);
    if (!promised)
        cli_say("the calibration does not reach a false positive rate of %g among %zu people: %.2g it is",
                fpir, p->n, p->fpir);
    return CLI_YES;
}

/* ---- asking ---- */

static size_t search_folder(const watch_people *people, const float *vec, mien_track_candidate *ret)
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

mien_status watch_people_search(watch_people *p, const float *vec, mien_track_candidate *ret, size_t *ret_n,
                                mien_error *err)
{
    mien_candidate found[MIEN_TRACK_CANDIDATES];
    size_t n = 0;
    if (!p->gallery) {
        *ret_n = search_folder(p, vec, ret);
        return MIEN_OK;
    }
    mien_status st = mien_gallery_search(p->gallery, vec, 1, MIEN_TRACK_CANDIDATES, found, &n, err);
    if (st == MIEN_OK)
        st = refresh(p, err);
    for (size_t i = 0; st == MIEN_OK && i < n; i++)
        ret[i] = (mien_track_candidate){ found[i].person, found[i].similarity };
    *ret_n = st == MIEN_OK ? n : 0;
    return st;
}

const char *watch_people_name(watch_people *p, int64_t person)
{
    if (person <= 0)
        return NULL;
    if (!p->gallery)
        return (uint64_t)person <= p->n ? p->names[person - 1] : NULL;
    for (size_t i = 0; i < p->n_names; i++) {
        if (p->ids[i] == person)
            return p->names[i];
    }
    p->ids = cli_grow(p->ids, p->n_names + 1, sizeof *p->ids);
    p->names = cli_grow(p->names, p->n_names + 1, sizeof *p->names);
    p->ids[p->n_names] = person;
    p->names[p->n_names] = cli_person_name(p->gallery, person);
    return p->names[p->n_names++];
}

void watch_people_free(watch_people *p)
{
    forget_names(p);
    free(p->names);
    free(p->ids);
    if (p->vecs)
        memset(p->vecs, 0, p->n * (size_t)p->dim * sizeof *p->vecs);
    free(p->vecs);
    mien_curve_free(p->curve);
    mien_gallery_free(p->gallery);
    *p = (watch_people){ 0 };
}
