/* The list of verbs and their look-up. A verb's name has one word or two ("model list"). */
#include "cli.h"
#include <string.h>

/* One a line, so that branches that add verbs do not meet. */
/* clang-format off */
static const cli_verb *const verbs[] = {
    &cli_verb_detect,
    &cli_verb_align,
    &cli_verb_embed,
    &cli_verb_compare,
    &cli_verb_enroll,
    &cli_verb_identify,
    &cli_verb_watch,
    &cli_verb_cluster,
    &cli_verb_gallery_create,
    &cli_verb_gallery_info,
    &cli_verb_gallery_list,
    &cli_verb_gallery_show,
    &cli_verb_gallery_rename,
    &cli_verb_gallery_edit,
    &cli_verb_gallery_merge,
    &cli_verb_gallery_split,
    &cli_verb_gallery_undo,
    &cli_verb_gallery_remove,
    &cli_verb_gallery_expire,
    &cli_verb_gallery_export,
    &cli_verb_gallery_import,
    &cli_verb_gallery_migrate,
    &cli_verb_gallery_verify,
    &cli_verb_gallery_backup,
    &cli_verb_gallery_rekey,
    &cli_verb_gallery_audit,
    &cli_verb_gallery_calibrate,
    &cli_verb_calibrate,
    &cli_verb_eval_pairs,
    &cli_verb_eval_folder,
    &cli_verb_eval_scores,
    &cli_verb_eval_identify,
    &cli_verb_eval_compare,
    &cli_verb_serve,
    &cli_verb_serve_key,
    &cli_verb_model_list,
    &cli_verb_model_info,
    &cli_verb_model_import,
    &cli_verb_model_pull,
    &cli_verb_model_verify,
    &cli_verb_bench_model,
    &cli_verb_bench_pipeline,
    &cli_verb_bench_train,
    &cli_verb_train,
    &cli_verb_finetune,
    &cli_verb_doctor,
    &cli_verb_completion,
    &cli_verb_help,
};
/* clang-format on */

const cli_verb *cli_verb_at(size_t index)
{
    return index < CLI_COUNTOF(verbs) ? verbs[index] : NULL;
}

/* Other words that people try first; help and completion show the verbs' own names. */
static const struct {
    const char *group, *word, *name; /* group NULL: a verb of one word */
} aliases[] = {
    { NULL, "enrol", "enroll" },      { NULL, "recognize", "identify" }, { NULL, "recognise", "identify" },
    { "gallery", "ls", "list" },      { "gallery", "rm", "remove" },     { "gallery", "delete", "remove" },
    { "gallery", "mv", "rename" },    { "gallery", "new", "create" },    { "gallery", "init", "create" },
    { "gallery", "check", "verify" }, { "gallery", "log", "audit" },     { "gallery", "status", "info" },
    { "gallery", "consent", "edit" },
};

/* The verb's own name for a word, or the word. */
static const char *own_name(const char *group, const char *word)
{
    for (size_t i = 0; i < CLI_COUNTOF(aliases); i++) {
        const bool same_group =
            group ? aliases[i].group && !strcmp(group, aliases[i].group) : !aliases[i].group;
        if (same_group && !strcmp(word, aliases[i].word))
            return aliases[i].name;
    }
    return word;
}

const cli_verb *cli_verb_find(int argc, char **argv, int *ret_used)
{
    const char *first = argc > 0 ? own_name(NULL, argv[0]) : NULL;
    const char *second = argc > 1 ? own_name(argv[0], argv[1]) : NULL;
    const cli_verb *one = NULL; /* a verb of two words goes before: serve key, serve */
    for (size_t i = 0; argc > 0 && i < CLI_COUNTOF(verbs); i++) {
        const char *name = verbs[i]->name;
        const char *blank = strchr(name, ' ');
        if (!blank && !strcmp(name, first))
            one = verbs[i];
        const size_t len = blank ? (size_t)(blank - name) : 0;
        if (blank && second && strlen(first) == len && !memcmp(first, name, len) &&
            !strcmp(second, blank + 1)) {
            *ret_used = 2;
            return verbs[i];
        }
    }
    if (one)
        *ret_used = 1;
    return one;
}

bool cli_is_group(const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; len && i < CLI_COUNTOF(verbs); i++) {
        if (!strncmp(verbs[i]->name, word, len) && verbs[i]->name[len] == ' ')
            return true;
    }
    return false;
}
