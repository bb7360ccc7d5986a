/* Models, per-thread tools, reading and finding; see kit.h. */
#include "kit.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const cli_option cli_input_options[] = {
    { .name = "threads",
      .letter = 't',
      .kind = CLI_INT,
      .offset = offsetof(cli_common, threads),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 256,
      .rare = 1,
      .brief = "threads; 0: all processors",
      .more = "Several pictures are worked on side by side, a single one uses them inside the network. "
              "Results do not depend on their number." },
    { .name = "sandbox",
      .kind = CLI_FLAG,
      .offset = offsetof(cli_common, sandbox),
      .rare = 1,
      .brief = "decode pictures in a confined process",
      .more = "For pictures from strangers: a fault in a picture library cannot reach your files." },
    { .name = "max-bytes",
      .kind = CLI_BYTES,
      .offset = offsetof(cli_common, max_bytes),
      .value = "N",
      .def = "100M",
      .rare = 1,
      .brief = "refuse larger files" },
    { .name = "max-pixels",
      .kind = CLI_BYTES,
      .offset = offsetof(cli_common, max_pixels),
      .value = "N",
      .def = "120000000",
      .rare = 1,
      .brief = "refuse pictures with more pixels" },
    { .name = "max-side",
      .kind = CLI_INT,
      .offset = offsetof(cli_common, max_side),
      .value = "PX",
      .def = "30000",
      .min = 1,
      .max = 65535,
      .rare = 1,
      .brief = "refuse wider or higher pictures" },
    { .name = "max-scans",
      .kind = CLI_INT,
      .offset = offsetof(cli_common, max_scans),
      .value = "N",
      .def = "64",
      .min = 1,
      .max = 100000,
      .rare = 1,
      .brief = "refuse JPEG files with more scans" },
    { .name = "quiet",
      .letter = 'q',
      .kind = CLI_FLAG,
      .offset = offsetof(cli_common, quiet),
      .rare = 1,
      .brief = "no progress bar" },
    { 0 },
};

const cli_option cli_detector_options[] = {
    { .name = "detector",
      .kind = CLI_TEXT,
      .offset = offsetof(cli_common, detector),
      .value = "M",
      .hint = CLI_MODELS,
      .rare = 1,
      .brief = "model that finds the faces",
      .more = "A name or a path; see `mien model list`." },
    { 0 },
};

const cli_option cli_detect_options[] = {
    { .name = "min-size",
      .kind = CLI_INT,
      .offset = offsetof(cli_common, min_size),
      .value = "PX",
      .def = "20",
      .min = 1,
      .max = 30000,
      .brief = "smallest face: shorter side of its box",
      .more = "Large pictures are searched faster when small faces need not be found." },
    { .name = "min-score",
      .kind = CLI_REAL,
      .offset = offsetof(cli_common, min_score),
      .value = "S",
      .min = 0,
      .max = 1,
      .rare = 1,
      .brief = "least confidence of a detection (default: what suits the detector)" },
    { 0 },
};

static int load_one(mien_model **ret, mien_task task, const char *name)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = name ? mien_model_load(name, ret, &err) : mien_model_load_default(task, ret, &err);
    if (st != MIEN_OK) {
        /* whatever is wrong with a model's file is a matter of models, not of the pictures given */
        const int rc = name ? cli_fail_path(name, &err) : cli_fail(&err);
        return rc == CLI_INPUT || rc == CLI_INTERNAL ? (st == MIEN_E_NOMEM ? CLI_INTERNAL : CLI_MODEL) : rc;
    }
    if (mien_model_info_of(*ret)->task == task)
        return CLI_YES;
    cli_say_path(name ? name : "default model", "not a model to %s faces",
                 task == MIEN_TASK_DETECT ? "find" : "compare");
    mien_model_free(*ret);
    *ret = NULL;
    return CLI_MODEL;
}

int cli_models_load(cli_models *models, bool detect, const char *detector, bool embed, const char *embedder)
{
    *models = (cli_models){ NULL, NULL };
    int rc = detect ? load_one(&models->detect, MIEN_TASK_DETECT, detector) : CLI_YES;
    if (rc == CLI_YES && embed)
        rc = load_one(&models->embed, MIEN_TASK_EMBED, embedder);
    if (rc != CLI_YES)
        cli_models_free(models);
    return rc;
}

void cli_models_free(cli_models *models)
{
    mien_model_free(models->detect);
    mien_model_free(models->embed);
    *models = (cli_models){ NULL, NULL };
}

static mien_status kit_new(cli_kit *kit, const cli_models *models, const cli_common *common,
                           unsigned net_threads, bool flip, mien_error *err)
{
    kit->common = common;
    mien_status st = MIEN_OK;
    if (models->detect) {
        mien_detect_opts opts = MIEN_DETECT_OPTS_INIT;
        if (!isnan(common->min_score))
            opts.min_score = (float)common->min_score;
        opts.min_size_px = common->min_size;
        opts.threads = net_threads;
        st = mien_detector_new(models->detect, &opts, &kit->detector, err);
    }
    if (st == MIEN_OK && models->embed) {
        mien_embed_opts opts = MIEN_EMBED_OPTS_INIT;
        opts.flip = flip;
        opts.threads = net_threads;
        st = mien_embedder_new(models->embed, &opts, &kit->embedder, err);
    }
    return st;
}

int cli_kits_new(cli_kits *kits, const cli_models *models, const cli_common *common, size_t n_items,
                 bool flip)
{
    unsigned threads = common->threads ? (unsigned)common->threads : mien_cpu_count();
    const unsigned side_by_side = n_items < threads ? (unsigned)(n_items ? n_items : 1) : threads;
    *kits = (cli_kits){ cli_alloc(side_by_side, sizeof(cli_kit)), cli_alloc(side_by_side, sizeof(void *)),
                        side_by_side };
    for (unsigned i = 0; i < side_by_side; i++) {
        mien_error err = MIEN_ERROR_INIT;
        kits->workers[i] = &kits->items[i];
        if (kit_new(&kits->items[i], models, common, threads / side_by_side, flip, &err) != MIEN_OK) {
            cli_kits_free(kits);
            return cli_fail(&err);
        }
    }
    return CLI_YES;
}

void cli_kits_free(cli_kits *kits)
{
    for (unsigned i = 0; i < kits->n; i++) {
        mien_detector_free(kits->items[i].detector);
        mien_embedder_free(kits->items[i].embedder);
    }
    free(kits->items);
    free(kits->workers);
    *kits = (cli_kits){ NULL, NULL, 0 };
}

mien_status cli_load(const cli_common *common, const char *path, int min_short_side, mien_image **ret,
                     mien_error *err)
{
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_bytes = (size_t)common->max_bytes;
    opts.max_pixels = common->max_pixels;
    opts.max_side = common->max_side;
    opts.max_jpeg_scans = common->max_scans;
    opts.sandbox = common->sandbox;
    opts.min_short_side = min_short_side;
    return mien_image_load(path, &opts, ret, err);
}

void cli_seen_free(cli_seen *seen)
{
    mien_image_free(seen->image);
    free(seen->faces);
    *seen = (cli_seen){ 0 };
}

mien_face cli_seen_face(const cli_seen *seen, size_t index)
{
    mien_face face = seen->faces[index];
    const float s = (float)seen->scale;
    face.x0 *= s, face.y0 *= s, face.x1 *= s, face.y1 *= s;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        face.landmarks[i][0] *= s, face.landmarks[i][1] *= s;
    return face;
}

static mien_status see_at(cli_kit *kit, const char *path, int min_short_side, cli_seen *ret, mien_error *err)
{
    const mien_face *faces = NULL;
    cli_seen seen = { 0 };
    mien_status st = cli_load(kit->common, path, min_short_side, &seen.image, err);
    if (st == MIEN_OK)
        st = mien_detect(kit->detector, mien_image_view_of(seen.image), &faces, &seen.n, err);
    if (st != MIEN_OK) {
        mien_image_free(seen.image);
        return st;
    }
    const mien_image_view view = mien_image_view_of(seen.image);
    seen.scale = mien_image_scale(seen.image);
    seen.width = view.width * seen.scale;
    seen.height = view.height * seen.scale;
    seen.faces = cli_alloc(seen.n, sizeof *seen.faces);
    if (seen.n)
        memcpy(seen.faces, faces, seen.n * sizeof *faces);
    *ret = seen;
    return MIEN_OK;
}

mien_status cli_see(cli_kit *kit, const char *path, cli_seen *ret, mien_error *err)
{
    return see_at(kit, path, 0, ret, err);
}

static float area(const mien_face *f)
{
    return (f->x1 - f->x0) * (f->y1 - f->y0);
}

static int larger_first(const void *a, const void *b)
{
    const float x = area(a), y = area(b);
    return x > y ? -1 : x < y;
}

void cli_sort_by_size(mien_face *faces, size_t n)
{
    qsort(faces, n, sizeof *faces, larger_first);
}

mien_status cli_see_largest(cli_kit *kit, const char *path, cli_seen *ret, mien_error *err)
{
    enum { SHORT_SIDE_PX = 960, ENOUGH_PX = 160 };
    mien_status st = see_at(kit, path, SHORT_SIDE_PX, ret, err);
    if (st != MIEN_OK)
        return st;
    cli_sort_by_size(ret->faces, ret->n);
    if (ret->scale == 1 || (ret->n && ret->faces[0].x1 - ret->faces[0].x0 >= ENOUGH_PX))
        return MIEN_OK;
    cli_seen_free(ret); /* the face is too small in the reduced picture: take the whole one */
    st = see_at(kit, path, 0, ret, err);
    if (st == MIEN_OK)
        cli_sort_by_size(ret->faces, ret->n);
    return st;
}

/* ---- drawing ---- */

static float line_px(const mien_image *image)
{
    const mien_image_view v = mien_image_view_of(image);
    const float px = (float)(v.width < v.height ? v.width : v.height) / 300.0f;
    return px < 1.5f ? 1.5f : px > 12.0f ? 12.0f : px;
}

static float text_px(const mien_image *image)
{
    const mien_image_view v = mien_image_view_of(image);
    const float px = (float)(v.width < v.height ? v.width : v.height) / 40.0f;
    return px < 11.0f ? 11.0f : px > 96.0f ? 96.0f : px;
}

void cli_draw_face(mien_image *image, const mien_face *face, mien_color color, const char *text)
{
    const float line = line_px(image);
    const float side = face->x1 - face->x0;
    float dot = side / 40.0f;
    dot = dot < 1.0f ? 1.0f : dot > 2.0f * line ? 2.0f * line : dot;
    mien_image_draw_box(image, face->x0, face->y0, face->x1, face->y1, line, color);
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        mien_image_draw_dot(image, face->landmarks[i][0], face->landmarks[i][1], dot, color);
    float height = text_px(image);
    if (height > side / 4.0f)
        height = side / 4.0f < 9.0f ? 9.0f : side / 4.0f; /* small faces of a crowd stay readable */
    /* without FreeType the picture has no text; everything else is there */
    if (text && mien_image_draw_text(image, face->x0, face->y0 - line, height, color, text, NULL) != MIEN_OK)
        return;
}
