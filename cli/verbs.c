/* The list of verbs and their look-up. A verb's name has one word or two ("model list"). */
#include "cli.h"
#include <string.h>

/* clang-format off: one a line, so that branches that add verbs do not meet */
static const cli_verb *const verbs[] = {
    &cli_verb_detect,
    &cli_verb_align,
    &cli_verb_embed,
    &cli_verb_compare,
    &cli_verb_enroll,
    &cli_verb_identify,
    &cli_verb_watch,
    &cli_verb_cluster,
    &cli_verb_calibrate,
    &cli_verb_eval_pairs,
    &cli_verb_eval_identify,
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

const cli_verb *cli_verb_find(int argc, char **argv, int *ret_used)
{
    for (size_t i = 0; argc > 0 && i < CLI_COUNTOF(verbs); i++) {
        const char *name = verbs[i]->name;
        const char *blank = strchr(name, ' ');
        if (!blank && !strcmp(name, argv[0])) {
            *ret_used = 1;
            return verbs[i];
        }
        const size_t len = blank ? (size_t)(blank - name) : 0;
        if (blank && argc > 1 && strlen(argv[0]) == len && !memcmp(argv[0], name, len) &&
            !strcmp(argv[1], blank + 1)) {
            *ret_used = 2;
            return verbs[i];
        }
    }
    return NULL;
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
