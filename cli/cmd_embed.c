/* mien embed: the numbers that stand for a face, as JSON lines, CSV or NumPy.
 *
 * A .npy file holds only numbers, so a second file (--index) says which row is which face. Rows are written
 * as they come; the .npy header is written again at the end with their count.
 */
#include "json.h"
#include "kit.h"
#include <stdlib.h>
#include <string.h>

typedef struct embed_opts {
    cli_common common; /* first */
    int aligned, flip, all;
    const char *model, *out, *index;
} embed_opts;

static const cli_option options[] = {
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(embed_opts, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "all",
      .kind = CLI_FLAG,
      .offset = offsetof(embed_opts, all),
      .brief = "every face of a picture, not only the largest" },
    { .name = "flip",
      .kind = CLI_FLAG,
      .offset = offsetof(embed_opts, flip),
      .brief = "average with the mirrored crop: a little better, twice the time" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(embed_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(embed_opts, out),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write .npy, .csv or .jsonl instead of JSON lines",
      .more = "Without it JSON lines go to standard output." },
    { .name = "index",
      .kind = CLI_TEXT,
      .offset = offsetof(embed_opts, index),
      .value = "FILE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "with .npy: CSV of which row is which face",
      .more = "By default the name of the .npy file with .index.csv in place of .npy." },
    { 0 },
};

enum { JSONL, CSV, NPY };

typedef struct embed_run {
    const embed_opts *opts;
    const cli_files *files;
    size_t dim, n_rows, n_faceless;
    int format, exit_code;
    cli_out out;
    FILE *index;
} embed_run;

typedef struct embed_result {
    mien_status status;
    mien_error err;
    size_t n;         /* embedded faces */
    mien_face *faces; /* px of the file; NULL when aligned */
    float *vecs;      /* [n][dim] */
} embed_result;

static mien_status embed_crop(embed_run *run, cli_kit *kit, const char *path, embed_result *r)
{
    mien_image *image = NULL;
    mien_status st = cli_load(&run->opts->common, path, 0, &image, &r->err);
    if (st != MIEN_OK)
        return st;
    const mien_image_view view = mien_image_view_of(image);
    r->vecs = cli_alloc(run->dim, sizeof(float));
    st = mien_embed_crops(kit->embedder, &view, 1, r->vecs, &r->err);
    r->n = st == MIEN_OK;
    mien_image_free(image);
    return st;
}

static mien_status embed_faces(embed_run *run, cli_kit *kit, const char *path, embed_result *r)
{
    cli_seen seen = { 0 };
    mien_status st =
        run->opts->all ? cli_see(kit, path, &seen, &r->err) : cli_see_largest(kit, path, &seen, &r->err);
    if (st != MIEN_OK)
        return st;
    cli_sort_by_size(seen.faces, seen.n);
    const size_t n = run->opts->all || !seen.n ? seen.n : 1;
    r->faces = cli_alloc(n, sizeof *r->faces);
    r->vecs = cli_alloc(n * run->dim, sizeof(float));
    for (size_t i = 0; i < n && st == MIEN_OK; i++) {
        st = mien_embed_face(kit->embedder, mien_image_view_of(seen.image), &seen.faces[i],
                             r->vecs + i * run->dim, &r->err);
        r->faces[i] = cli_seen_face(&seen, i);
        r->n = i + 1;
    }
    cli_seen_free(&seen);
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    embed_run *run = ctx;
    embed_result *r = cli_alloc(1, sizeof *r);
    const char *path = run->files->items[item].path;
    r->status = run->opts->aligned ? embed_crop(run, worker, path, r) : embed_faces(run, worker, path, r);
    return r;
}

static void write_jsonl(embed_run *run, const char *path, const embed_result *r, size_t i)
{
    json_t *row = json_object(), *vec = json_array();
    cli_json_set(row, "path", cli_json_text(path));
    if (r->faces)
        cli_json_face(row, &r->faces[i]);
    for (size_t k = 0; k < run->dim; k++)
        cli_json_append(vec, json_real((double)r->vecs[i * run->dim + k]));
    cli_json_set(row, "embedding", vec);
    cli_json_line(run->out.f, row);
}

static void write_row(embed_run *run, const char *path, const embed_result *r, size_t i)
{
    const float *vec = r->vecs + i * run->dim;
    if (run->format == JSONL) {
        write_jsonl(run, path, r, i);
    } else if (run->format == CSV) {
        cli_csv_text(run->out.f, path);
        fprintf(run->out.f, ",%zu", i + 1);
        for (size_t k = 0; k < run->dim; k++)
            fprintf(run->out.f, ",%.9g", (double)vec[k]);
        fputc('\n', run->out.f);
    } else {
        fwrite(vec, sizeof(float), run->dim, run->out.f);
        fprintf(run->index, "%zu,", run->n_rows);
        cli_csv_text(run->index, path);
        fprintf(run->index, ",%zu\n", i + 1);
    }
    run->n_rows++;
}

static void done(void *ctx, size_t item, void *result)
{
    embed_run *run = ctx;
    embed_result *r = result;
    const char *path = run->files->items[item].path;
    if (r->status != MIEN_OK)
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(path, &r->err));
    else if (!r->n)
        cli_say_path(path, "no face found");
    run->n_faceless += r->status == MIEN_OK && !r->n;
    cli_line_lock();
    for (size_t i = 0; r->status == MIEN_OK && i < r->n; i++)
        write_row(run, path, r, i);
    cli_line_unlock();
    free(r->faces);
    free(r->vecs);
    free(r);
}

/* The index is small: kept in memory until the rows are safe. */
static int write_index(const embed_opts *opts, const char *text)
{
    cli_out out;
    const int stem = (int)(cli_extension(opts->out) - opts->out);
    char *path = opts->index ? cli_strdup(opts->index) : cli_format("%.*s.index.csv", stem, opts->out);
    int rc = cli_out_open(&out, path);
    if (rc == CLI_YES) {
        fputs(text, out.f);
        rc = cli_out_commit(&out);
    }
    free(path);
    return rc;
}

static int embed_all(embed_run *run, cli_kits *kits)
{
    char *index_text = NULL;
    size_t index_bytes = 0;
    int rc = cli_out_open(&run->out, run->opts->out);
    if (rc != CLI_YES)
        return rc;
    if (run->format == CSV) {
        fputs("path,face", run->out.f);
        for (size_t k = 0; k < run->dim; k++)
            fprintf(run->out.f, ",e%zu", k);
        fputc('\n', run->out.f);
    } else if (run->format == NPY) {
        run->index = open_memstream(&index_text, &index_bytes);
        if (!run->index) {
            cli_out_discard(&run->out);
            cli_say("out of memory");
            return CLI_INTERNAL;
        }
        fputs("row,path,face\n", run->index);
        cli_npy_header(run->out.f, 0, run->dim);
    }
    cli_run_ordered(run->files->n, kits->n, kits->workers, work, done, run, "images",
                    run->opts->common.quiet);
    if (run->format == NPY) {
        fclose(run->index);
        rewind(run->out.f);
        cli_npy_header(run->out.f, run->n_rows, run->dim);
    }
    if (cli_stopped())
        cli_out_discard(&run->out);
    else
        rc = cli_out_commit(&run->out);
    if (rc == CLI_YES && run->format == NPY && !cli_stopped())
        rc = write_index(run->opts, index_text);
    free(index_text);
    return cli_worse(rc, cli_worse(run->exit_code, run->n_rows ? CLI_YES : CLI_NO));
}

static int format_of(const embed_opts *opts)
{
    if (!opts->out || cli_has_extension(opts->out, ".jsonl"))
        return JSONL;
    if (cli_has_extension(opts->out, ".csv"))
        return CSV;
    return cli_has_extension(opts->out, ".npy") ? NPY : -1;
}

static int run(void *p, int argc, char **argv)
{
    const embed_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    cli_files files;
    const int format = format_of(opts);
    if (format < 0)
        return cli_usage(&cli_verb_embed, "--out wants a name that ends in .npy, .csv or .jsonl, not '%s'",
                         opts->out);
    if (opts->index && format != NPY)
        return cli_usage(&cli_verb_embed, "--index goes with --out FILE.npy");
    cli_files_collect(&files, argc, argv);
    int rc = files.exit_code;
    if (files.n) {
        rc = cli_models_load(&models, !opts->aligned, opts->common.detector, true, opts->model);
        if (rc == CLI_YES)
            rc = cli_kits_new(&kits, &models, &opts->common, files.n, opts->flip);
        if (rc == CLI_YES) {
            embed_run r = { .opts = opts, .files = &files, .format = format, .exit_code = files.exit_code };
            r.dim = (size_t)mien_model_info_of(models.embed)->embedding_len;
            rc = embed_all(&r, &kits);
        }
    }
    cli_kits_free(&kits);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "embed a folder for NumPy", "mien embed ~/Pictures --out faces.npy   # and faces.index.csv" },
    { "embed crops that `mien align` made", "mien embed crops --aligned --out faces.csv" },
    { "take the vector of one face", "mien embed me.jpg | jq -c .embedding" },
    { NULL, NULL },
};

const cli_verb cli_verb_embed = {
    .name = "embed",
    .operands = "IMAGE|DIR...",
    .brief = "turn faces into vectors (embeddings) for your own search",
    .about = "Prints one row per face: where it is and its embedding, a unit vector. The cosine of two "
             "embeddings of one model is their similarity; those of different models must not be mixed.\n\n"
             "Treat embeddings like photographs: a face can be rebuilt from them. This is the only verb "
             "that prints them.",
    .exits = "0 a face was embedded, 1 none found, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(embed_opts),
    .min_operands = 1,
    .run = run,
};
