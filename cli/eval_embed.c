/* Thresholds of models, crops of errors; see eval_embed.h. */
#include "eval_embed.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const cli_option eval_faces_options[] = {
    { .name = "labels",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_faces, labels),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "CSV of people: person and columns to group by",
      .more = "A mated pair belongs to its person's group, a non-mated one to the group that both are of." },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(eval_faces, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "flip",
      .kind = CLI_FLAG,
      .offset = offsetof(eval_faces, flip),
      .rare = 1,
      .brief = "average with the mirrored crop" },
    { .name = "fmr",
      .kind = CLI_REAL,
      .offset = offsetof(eval_faces, fmr),
      .value = "RATE",
      .min = 1e-9,
      .max = 0.5,
      .brief = "decide at the model's threshold for this false match rate",
      .more = "Without it and --threshold: at the model's default." },
    { .name = "pictures",
      .kind = CLI_FLAG,
      .offset = offsetof(eval_faces, pictures),
      .brief = "put the faces of the worst errors into the report",
      .more = "Faces are personal data: the page then is to be kept like the photographs." },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_faces, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { 0 },
};

int eval_model_threshold(const mien_model *model, double fmr, double *ret, char **ret_from)
{
    const mien_model_info *info = mien_model_info_of(model);
    mien_error err = MIEN_ERROR_INIT;
    const double rate = isnan(fmr) ? info->default_fmr : fmr;
    *ret = NAN;
    *ret_from = NULL;
    if (!(rate > 0))
        return CLI_YES;
    if (mien_model_threshold(model, rate, ret, &err) != MIEN_OK) {
        *ret = NAN;
        return isnan(fmr) ? CLI_YES : cli_fail(&err);
    }
    *ret_from = cli_format("the calibration of the model %s, at an FMR of %g", info->name, rate);
    return CLI_YES;
}

int eval_read_labels(const char *path, mien_eval_labels **ret)
{
    eval_bad_rows bad = { path, 0 };
    mien_eval_csv_opts opts = MIEN_EVAL_CSV_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    opts.bad_row = eval_bad_row;
    opts.user = &bad;
    const mien_status st = mien_eval_labels_read(path, &opts, ret, &err);
    eval_bad_rows_end(&bad);
    return st == MIEN_OK ? CLI_YES : cli_fail_path(path, &err);
}

/* ---- crops ---- */

static mien_status crop_of(cli_kit *kit, const mien_model *embedder, bool aligned, const char *path,
                           mien_eval_picture *ret, mien_error *err)
{
    mien_image *crop = NULL;
    cli_seen seen = { 0 };
    mien_status st = MIEN_OK;
    if (aligned) {
        st = cli_load(kit->common, path, 0, &crop, err);
    } else {
        st = cli_see(kit, path, &seen, err);
        if (st == MIEN_OK) {
            const mien_image_view view = mien_image_view_of(seen.image);
            const size_t k = mien_face_pick(seen.faces, seen.n, view.width, view.height, MIEN_PICK_CENTRAL);
            st = k < seen.n ? mien_align(embedder, view, &seen.faces[k], &crop, err) : MIEN_E_NO_FACE;
        }
        cli_seen_free(&seen);
    }
    uint8_t *data = NULL;
    size_t bytes = 0;
    if (st == MIEN_OK)
        st = mien_image_encode(mien_image_view_of(crop), "jpeg", 85, &data, &bytes, err);
    mien_image_free(crop);
    if (st == MIEN_OK)
        *ret = (mien_eval_picture){ data, bytes };
    return st;
}

mien_eval_picture *eval_crops(const mien_evaluation *e, cli_kit *kit, const mien_model *embedder,
                              bool aligned, eval_path_fn path_of, const void *ctx)
{
    const mien_eval_summary *s = mien_evaluation_summary(e);
    const size_t n = s->n_false_matches + s->n_false_nonmatches;
    mien_eval_picture *crops = cli_alloc(2 * n + 1, sizeof *crops);
    for (size_t i = 0; i < 2 * n && !cli_stopped(); i++) {
        const size_t k = i / 2;
        const size_t row =
            k < s->n_false_matches ? s->false_matches[k] : s->false_nonmatches[k - s->n_false_matches];
        mien_error err = MIEN_ERROR_INIT;
        const char *path = path_of(ctx, row, (int)(i % 2));
        if (crop_of(kit, embedder, aligned, path, &crops[i], &err) != MIEN_OK)
            cli_say_path(path, "no picture for the report");
    }
    return crops;
}

void eval_crops_free(mien_eval_picture *crops, const mien_evaluation *e)
{
    const mien_eval_summary *s = mien_evaluation_summary(e);
    for (size_t i = 0; crops && i < 2 * (s->n_false_matches + s->n_false_nonmatches); i++)
        mien_image_data_free((uint8_t *)crops[i].jpeg);
    free(crops);
}
