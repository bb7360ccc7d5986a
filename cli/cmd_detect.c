/* mien detect: faces in pictures, as text, JSON or CSV, and drawn. */
#include "json.h"
#include "kit.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT, JSON, CSV };

typedef struct detect_opts {
    cli_common common; /* first */
    int format;
    const char *draw, *model;
} detect_opts;

static const cli_option options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(detect_opts, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print",
      .more = "json: one object with `images`, each with path, width, height and faces (box, landmarks, "
              "score); csv: one row per face with a header." },
    { .name = "draw",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(detect_opts, draw),
      .value = "OUT",
      .hint = CLI_FILES,
      .brief = "write the picture with boxes and landmarks",
      .more = "For one picture a file (.jpg or .png), for several a folder; names are kept." },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(detect_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that finds the faces: name or path" },
    { 0 },
};

typedef struct detect_run {
    const detect_opts *opts;
    const cli_files *files;
    bool draw_into_dir, first;
    size_t n_faces;
    int exit_code;
} detect_run;

typedef struct detect_result {
    cli_seen seen;
    mien_status status;
    mien_error err, draw_err;
} detect_result;

static void draw(const detect_run *run, const cli_file *file, detect_result *r)
{
    for (size_t i = 0; i < r->seen.n; i++) {
        char text[32];
        snprintf(text, sizeof text, "%zu: %.2f", i + 1, (double)r->seen.faces[i].score);
        cli_draw_face(r->seen.image, &r->seen.faces[i], 0x40ff60, text);
    }
    char *path = run->draw_into_dir ? cli_draw_path(run->opts->draw, file) : cli_strdup(run->opts->draw);
    char *slash = strrchr(path, '/');
    if (run->draw_into_dir && slash) {
        *slash = '\0';
        if (cli_make_dirs(path) != CLI_YES)
            r->draw_err.status = MIEN_E_IO;
        *slash = '/';
    }
    if (r->draw_err.status == MIEN_OK &&
        mien_image_save(mien_image_view_of(r->seen.image), path, 0, &r->draw_err) != MIEN_OK)
        cli_fail_path(path, &r->draw_err);
    free(path);
}

static void *work(void *ctx, void *worker, size_t item)
{
    detect_run *run = ctx;
    const cli_file *file = &run->files->items[item];
    detect_result *r = cli_alloc(1, sizeof *r);
    r->status = cli_see(worker, file->path, &r->seen, &r->err);
    if (r->status == MIEN_OK && run->opts->draw)
        draw(run, file, r);
    mien_image_free(r->seen.image); /* the results wait in line without their pixels */
    r->seen.image = NULL;
    return r;
}

static void print_text(const char *path, const cli_seen *seen)
{
    cli_plain_text(stdout, path);
    if (!seen->n) {
        printf(": no face (%dx%d)\n", seen->width, seen->height);
        return;
    }
    printf(": %zu face%s (%dx%d)\n", seen->n, seen->n == 1 ? "" : "s", seen->width, seen->height);
    for (size_t i = 0; i < seen->n; i++) {
        const mien_face f = cli_seen_face(seen, i);
        printf("  %zu: %.0fx%.0f px at %.0f,%.0f  score %.2f\n", i + 1, (double)(f.x1 - f.x0),
               (double)(f.y1 - f.y0), (double)f.x0, (double)f.y0, (double)f.score);
    }
}

static void print_csv(const char *path, const cli_seen *seen)
{
    for (size_t i = 0; i < seen->n; i++) {
        const mien_face f = cli_seen_face(seen, i);
        cli_csv_text(stdout, path);
        printf(",%zu,%.2f,%.2f,%.2f,%.2f,%.4f", i + 1, (double)f.x0, (double)f.y0, (double)f.x1, (double)f.y1,
               (double)f.score);
        for (int k = 0; k < MIEN_LANDMARKS; k++)
            printf(",%.2f,%.2f", (double)f.landmarks[k][0], (double)f.landmarks[k][1]);
        fputs("\n", stdout);
    }
}

static void print_json(detect_run *run, const char *path, const detect_result *r)
{
    json_t *item = json_object();
    cli_json_set(item, "path", cli_json_text(path));
    if (r->status != MIEN_OK) {
        cli_json_set(item, "error", cli_json_text(cli_error_text(path, &r->err)));
    } else {
        json_t *faces = json_array();
        for (size_t i = 0; i < r->seen.n; i++) {
            const mien_face f = cli_seen_face(&r->seen, i);
            json_t *face = json_object();
            cli_json_face(face, &f);
            cli_json_append(faces, face);
        }
        cli_json_set(item, "width", json_integer(r->seen.width));
        cli_json_set(item, "height", json_integer(r->seen.height));
        cli_json_set(item, "faces", faces);
    }
    if (!run->first)
        fputs(",", stdout);
    cli_json_line(stdout, item);
    run->first = false;
}

static void done(void *ctx, size_t item, void *result)
{
    detect_run *run = ctx;
    detect_result *r = result;
    const char *path = run->files->items[item].path;
    if (r->status != MIEN_OK)
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(path, &r->err));
    if (r->draw_err.status != MIEN_OK)
        run->exit_code = cli_worse(run->exit_code, CLI_INTERNAL);
    run->n_faces += r->seen.n;
    cli_line_lock();
    if (run->opts->format == JSON)
        print_json(run, path, r);
    else if (r->status == MIEN_OK && run->opts->format == CSV)
        print_csv(path, &r->seen);
    else if (r->status == MIEN_OK)
        print_text(path, &r->seen);
    cli_line_unlock();
    cli_seen_free(&r->seen);
    free(r);
}

static int detect_all(detect_run *run, cli_kits *kits)
{
    if (run->opts->format == CSV)
        puts("path,face,x0,y0,x1,y1,score,right_eye_x,right_eye_y,left_eye_x,left_eye_y,nose_x,nose_y,"
             "right_mouth_x,right_mouth_y,left_mouth_x,left_mouth_y");
    else if (run->opts->format == JSON)
        puts("{\"images\": [");
    cli_run_ordered(run->files->n, kits->n, kits->workers, work, done, run, "images",
                    run->opts->common.quiet);
    if (run->opts->format == JSON)
        puts("]}");
    return cli_worse(run->exit_code, run->n_faces ? CLI_YES : CLI_NO);
}

static int run(void *p, int argc, char **argv)
{
    const detect_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    cli_files files;
    cli_files_collect(&files, argc, argv);
    int rc = files.exit_code;
    if (files.n) {
        rc = cli_models_load(&models, true, opts->model, false, NULL);
        if (rc == CLI_YES)
            rc = cli_kits_new(&kits, &models, &opts->common, files.n, false);
        detect_run r = { opts, &files, false, true, 0, files.exit_code };
        r.draw_into_dir = opts->draw && (argc > 1 || cli_is_dir(argv[0]) || cli_is_dir(opts->draw));
        if (rc == CLI_YES)
            rc = detect_all(&r, &kits);
    }
    cli_kits_free(&kits);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "see where the faces are", "mien detect party.jpg --draw party-faces.jpg" },
    { "list the faces of a folder as a table", "mien detect ~/Pictures --format csv > faces.csv" },
    { "count the faces of each picture",
      "mien detect *.jpg -f json | jq '.images[] | [.path, (.faces|length)]'" },
    { "find large faces only, quickly", "mien detect group.jpg --min-size 80" },
    { NULL, NULL },
};

const cli_verb cli_verb_detect = {
    .name = "detect",
    .operands = "IMAGE|DIR...",
    .brief = "find faces: boxes, five landmarks, scores",
    .about =
        "Finds the faces of each picture. Folders are walked. Boxes are in px of the upright picture and "
        "may reach over its border; the score is the detector's confidence from 0 to 1. Faces from "
        "about 12 px up to ones that fill the picture are found; the best score comes first.",
    .exits = "0 a face was found, 1 none, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(detect_opts),
    .min_operands = 1,
    .run = run,
};
