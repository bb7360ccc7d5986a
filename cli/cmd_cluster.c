/* mien cluster: groups the faces of an album into people.
 *
 * Pictures are read side by side and put into a mien_album one after the other; what an album file holds
 * already is not read again. Then the faces of no group are grouped, corrections are made, and what there is
 * is printed. Without
 * --state the album lives in memory.
 */
#include "cluster.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPT(field) .offset = offsetof(cluster_opts, field)

static const cli_option options[] = {
    { .name = "state",
      .letter = 's',
      .kind = CLI_TEXT,
      OPT(state),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "keep faces, groups and names in this file",
      .more =
          "Made when it is not there. The next run reads only new and changed pictures; their faces join the "
          "groups there are, whose numbers and names stay. The file holds face vectors, from which a face "
          "can be "
          "rebuilt: keep it as you keep the pictures. Only its owner may read it; it is not encrypted." },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      OPT(format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print" },
    { .name = "sheet",
      .kind = CLI_TEXT,
      OPT(sheet),
      .value = "OUT",
      .hint = CLI_FILES,
      .brief = "draw a contact sheet (.jpg or .png): a row per group",
      .more = "The face that stands for the group comes first; faces that are none too sure have a frame." },
    { .name = "name",
      .kind = CLI_TEXT,
      OPT(name),
      .value = "GROUP=NAME",
      .hint = CLI_NOTHING,
      .brief = "name a group; an empty name takes it away",
      .more =
          "A GROUP is its number or its name. With --state; this and the corrections below can be taken back "
          "with --undo." },
    { .name = "not",
      .kind = CLI_TEXT,
      OPT(not_this),
      .value = "FACE:GROUP",
      .hint = CLI_NOTHING,
      .brief = "this face is not that person, now and later" },
    { .name = "merge",
      .kind = CLI_TEXT,
      OPT(merge),
      .value = "A,B",
      .hint = CLI_NOTHING,
      .brief = "two groups are one person; A stays" },
    { .name = "split",
      .kind = CLI_TEXT,
      OPT(split),
      .value = "FACE,...",
      .hint = CLI_NOTHING,
      .brief = "these faces are a group of their own" },
    { .name = "undo", .kind = CLI_FLAG, OPT(undo), .brief = "take the last correction back" },
    { .name = "forget",
      .kind = CLI_TEXT,
      OPT(forget),
      .value = "PICTURE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "remove a picture and its faces from the file" },
    { .name = "anew",
      .kind = CLI_FLAG,
      OPT(anew),
      .rare = 1,
      .brief = "group from the start what nobody has named or corrected" },
    { .name = "fmr",
      .kind = CLI_REAL,
      OPT(fmr),
      .value = "RATE",
      .min = 1e-9,
      .max = 0.5,
      .brief = "false match rate at which a group of two stands",
      .more = "By default such that a stranger finds at most 0.2 false partners in the whole album, and "
              "never over "
              "1e-4. Lower: fewer wrong faces in a group, more people in two groups." },
    { .name = "link-fmr",
      .kind = CLI_REAL,
      OPT(link_fmr),
      .value = "RATE",
      .min = 1e-9,
      .max = 0.5,
      .rare = 1,
      .brief = "false match rate from which faces are neighbours (default: 2e-3)" },
    { .name = "min-faces",
      .kind = CLI_INT,
      OPT(min_faces),
      .value = "N",
      .def = "2",
      .min = 1,
      .max = 1000000,
      .rare = 1,
      .brief = "least faces of a group" },
    { .name = "poor",
      .kind = CLI_FLAG,
      OPT(poor),
      .rare = 1,
      .brief = "group faces that are too small, blurred, dark or turned, too",
      .more = "Such faces are like each other rather than like anybody, and glue people together; without "
              "this they are "
              "in no group, unless you put them into one." },
    { .name = "neighbours",
      .kind = CLI_INT,
      OPT(neighbours),
      .value = "N",
      .def = "64",
      .min = 1,
      .max = 512,
      .rare = 1,
      .brief = "nearest faces looked at for each face" },
    { .name = "judge",
      .kind = CLI_FLAG,
      OPT(judge),
      .rare = 1,
      .brief = "folders are people: say how well the groups match them",
      .more = "B-cubed and pairwise precision, recall and F1, of the largest face of each picture." },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      OPT(model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { 0 },
};

enum { TEXT, JSON, CSV };

static int check_usage(const cluster_opts *o, int n_operands)
{
    const bool corrects = o->name || o->not_this || o->merge || o->split || o->undo || o->forget;
    size_t n = 0;
    if (!o->state && (corrects || o->anew))
        return cli_usage(&cli_verb_cluster, "corrections and --anew go with --state FILE");
    if (!o->state && !n_operands)
        return cli_usage(&cli_verb_cluster, "give pictures, or --state FILE");
    if (o->name && !strchr(o->name, '='))
        return cli_usage(&cli_verb_cluster, "--name wants GROUP=NAME, not '%s'", o->name);
    if (o->not_this && (o->not_this[0] < '0' || o->not_this[0] > '9' ||
                        o->not_this[strspn(o->not_this, "0123456789")] != ':'))
        return cli_usage(&cli_verb_cluster, "--not wants FACE:GROUP, not '%s'", o->not_this);
    if (o->merge && !strchr(o->merge, ','))
        return cli_usage(&cli_verb_cluster, "--merge wants A,B, not '%s'", o->merge);
    int64_t *const faces = o->split ? cli_cluster_faces(o->split, &n) : NULL;
    free(faces);
    if (o->split && !faces)
        return cli_usage(&cli_verb_cluster, "--split wants numbers of faces parted by commas, not '%s'",
                         o->split);
    if (o->sheet && !cli_has_extension(o->sheet, ".jpg") && !cli_has_extension(o->sheet, ".jpeg") &&
        !cli_has_extension(o->sheet, ".png"))
        return cli_usage(&cli_verb_cluster, "--sheet wants a name that ends in .jpg or .png, not '%s'",
                         o->sheet);
    return CLI_YES;
}

/* ---- grouping ---- */

static int progress(uint64_t done_faces, uint64_t total, void *user)
{
    (void)total;
    (void)user;
    cli_progress_step(done_faces);
    return cli_stopped();
}

static int group(const cluster_run *run, const mien_model *model, const cluster_known *k, cli_clustered *c)
{
    const cluster_opts *const o = run->opts;
    mien_cluster_opts opts = MIEN_CLUSTER_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    size_t n = 0, n_free = 0;
    mien_status st = mien_album_count(run->album, &n, &n_free, &err);
    if (st == MIEN_OK)
        st = mien_cluster_thresholds(model, n + k->n, isnan(o->fmr) ? 0 : o->fmr,
                                     isnan(o->link_fmr) ? 0 : o->link_fmr, &opts.link, &opts.pair, &err);
    if (st == MIEN_OK) {
        c->link = opts.link;
        c->pair = opts.pair;
        opts.min_faces = o->min_faces;
        opts.neighbours = o->neighbours;
        opts.threads = (unsigned)o->base.common.threads;
        opts.progress = progress;
        cli_progress_begin("faces", n, o->base.common.quiet);
        st = mien_album_group(run->album, &opts, k->people, k->n, o->anew, NULL, &err);
        cli_progress_end();
    }
    return st == MIEN_OK || st == MIEN_E_INTERRUPTED ? CLI_YES : cli_fail(&err);
}

static int show(const cluster_opts *o, mien_album *album, cli_clustered *c)
{
    mien_album_list *list = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_album_list_new(album, &list, &err) != MIEN_OK)
        return cli_fail(&err);
    c->list = list;
    int rc = list->n_groups ? CLI_YES : CLI_NO;
    if (o->judge)
        rc = cli_worse(rc, cli_cluster_judge(list, &c->scores));
    cli_cluster_print(c, o->format);
    if (o->sheet)
        rc = cli_worse(rc, cli_cluster_sheet(&o->base.common, list, o->sheet));
    mien_album_list_free(list);
    return rc;
}

static int run_album(cluster_run *run, const cli_models *models, const cli_files *files)
{
    cli_clustered c = { NULL, NAN, NAN, { 0 } };
    cluster_known k;
    int rc = cli_cluster_known(run->opts, models->embed, run->dim, &k); /* a wrong key shows at once */
    if (rc == CLI_YES)
        rc = cli_cluster_read(run, models, files);
    if (rc == CLI_YES && !cli_stopped())
        rc = cli_cluster_correct(run->opts, run->album);
    if (rc == CLI_YES && !cli_stopped())
        rc = group(run, models->embed, &k, &c);
    cli_cluster_known_free(&k);
    if (rc == CLI_YES && !cli_stopped())
        rc = show(run->opts, run->album, &c);
    return cli_worse(rc, run->exit_code);
}

static int run(void *p, int argc, char **argv)
{
    const cluster_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_files files = { NULL, 0, 0, CLI_YES };
    cluster_run r = { .opts = opts };
    mien_error err = MIEN_ERROR_INIT;
    char fingerprint[65];
    int rc = check_usage(opts, argc);
    if (rc != CLI_YES)
        return rc;
    if (argc)
        cli_files_collect(&files, argc, argv);
    r.exit_code = files.exit_code;
    if (argc && !files.n)
        rc = files.exit_code;
    if (rc == CLI_YES)
        rc = cli_models_load(&models, argc > 0, opts->base.common.detector, true, opts->model);
    if (rc == CLI_YES) {
        r.dim = (size_t)mien_model_info_of(models.embed)->embedding_len;
        mien_status st = mien_model_fingerprint(models.embed, fingerprint, &err);
        if (st == MIEN_OK)
            st = mien_album_open(opts->state, fingerprint, r.dim, &r.album, &err);
        rc = st == MIEN_OK ? run_album(&r, &models, &files) : cli_fail(&err);
    }
    mien_album_free(r.album);
    free(r.files);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "see who is in an album", "mien cluster ~/Photos --sheet people.jpg" },
    { "keep what was found, and name somebody", "mien cluster ~/Photos --state album --name 3=Anna" },
    { "later: new pictures join the groups there are", "mien cluster ~/Photos --state album" },
    { "correct: face 17 is not Anna; groups 4 and 9 are one person",
      "mien cluster --state album --not 17:Anna --merge 4,9" },
    { "list Anna's pictures",
      "mien cluster --state album -f json | jq -r '.groups[]|select(.name==\"Anna\").faces[].path'" },
    { NULL, NULL },
};

const cli_verb cli_verb_cluster = {
    .name = "cluster",
    .operands = "[IMAGE|DIR...]",
    .brief = "group the faces of an album into people",
    .about =
        "Finds the faces of all pictures and groups them: each group is one person, whose name you may give. "
        "Two "
        "faces of one picture are never put into one group. A face that is like nobody else's, or not surely "
        "so, is in no group. Pictures that cannot be read are reported and passed over.\n\n"
        "With --gallery, groups that match an enrolled person take that name.\n\n"
        "Each face has a number, each group a number or a name. The confidence from 0 to 1 says how firmly a "
        "face belongs to its group: which share of what it is like lies there, and how near it is.",
    .exits = "0 a group was found, 1 none, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_gallery_options, cli_key_options, cli_detector_options, cli_detect_options,
                cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(cluster_opts),
    .run = run,
    .min_operands = 0,
};
