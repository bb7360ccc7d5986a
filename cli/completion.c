/* Writes completions for bash, zsh and fish from the verb tables. Verbs of two words ("model list") are
 * completed word by word; option values by their kind: words of a choice, files, folders, model names.
 */
#include "cli.h"
#include <string.h>

static const char *hint_word(const cli_option *o)
{
    switch (o->hint) {
    case CLI_FILES:
        return "files";
    case CLI_DIRS:
        return "dirs";
    case CLI_MODELS:
        return "models";
    default:
        return "none";
    }
}

/* First words, each once: "detect ... model bench help". */
static void first_words(FILE *f)
{
    const cli_verb *v = NULL;
    char last[32] = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        const size_t len = strcspn(v->name, " ");
        if (strlen(last) == len && !memcmp(last, v->name, len))
            continue;
        fprintf(f, "%s%.*s", i ? " " : "", (int)len, v->name);
        snprintf(last, sizeof last, "%.*s", (int)len, v->name);
    }
}

static void second_words(FILE *f, const char *group)
{
    const cli_verb *v = NULL;
    const size_t len = strlen(group);
    const char *gap = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        if (!strncmp(v->name, group, len) && v->name[len] == ' ') {
            fprintf(f, "%s%s", gap, v->name + len + 1);
            gap = " ";
        }
    }
}

static void choice_words(FILE *f, const cli_option *o)
{
    for (const char *p = o->value; *p; p++)
        fputc(*p == '|' ? ' ' : *p, f);
}

static void option_words(FILE *f, const cli_verb *v)
{
    const cli_option *o = NULL;
    for (size_t i = 0; (o = cli_option_at(v, i)) != NULL; i++)
        fprintf(f, "--%s ", o->name);
    fputs("--help", f);
}

/* One arm of bash's case per option with a value: "verb:--option" -> words or a kind. */
static void bash_values(FILE *f, const cli_verb *v)
{
    const cli_option *o = NULL;
    for (size_t i = 0; (o = cli_option_at(v, i)) != NULL; i++) {
        if (o->kind == CLI_FLAG)
            continue;
        fprintf(f, "    '%s:--%s'", v->name, o->name);
        if (o->letter)
            fprintf(f, "|'%s:-%c'", v->name, o->letter);
        if (o->kind == CLI_CHOICE) {
            fputs(") COMPREPLY=($(compgen -W '", f);
            choice_words(f, o);
            fputs("' -- \"$cur\")); return ;;\n", f);
        } else {
            fprintf(f, ") _mien_%s; return ;;\n", hint_word(o));
        }
    }
}

static void bash(FILE *f)
{
    const cli_verb *v = NULL;
    fputs("# bash completion for mien; made by `mien completion bash`\n"
          "_mien_files() { COMPREPLY=($(compgen -f -- \"$cur\")); }\n"
          "_mien_dirs() { COMPREPLY=($(compgen -d -- \"$cur\")); }\n"
          "_mien_none() { COMPREPLY=(); }\n"
          "_mien_models() { COMPREPLY=($(compgen -W \"$(mien model list --format names 2>/dev/null)\""
          " -- \"$cur\") $(compgen -f -- \"$cur\")); }\n"
          "_mien() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}"
          " words=''\n"
          "  compopt -o filenames 2>/dev/null\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W '",
          f);
    first_words(f);
    fputs("' -- \"$cur\")); return; fi\n  case $verb in\n", f);
    char last[32] = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        char group[32];
        snprintf(group, sizeof group, "%.*s", (int)strcspn(v->name, " "), v->name);
        if (!strchr(v->name, ' ') || !strcmp(group, last))
            continue;
        snprintf(last, sizeof last, "%s", group);
        fprintf(f, "    %s) if [ \"$COMP_CWORD\" -eq 2 ]; then COMPREPLY=($(compgen -W '", group);
        second_words(f, group);
        fputs("' -- \"$cur\")); return; fi; verb=\"$verb ${COMP_WORDS[2]}\" ;;\n", f);
    }
    fputs("  esac\n  case \"$verb:$prev\" in\n", f);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        bash_values(f, v);
    fputs("  esac\n  case $verb in\n", f);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        fprintf(f, "    '%s') words='", v->name);
        option_words(f, v);
        const char *kind = v->hint == CLI_MODELS    ? "models"
                           : v->hint == CLI_DIRS    ? "dirs"
                           : v->hint == CLI_NOTHING ? "none"
                                                    : "files";
        fprintf(f, "'; case $cur in -*) ;; *) _mien_%s; return ;; esac ;;\n", kind);
    }
    fputs("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _mien mien\n", f);
}

/* Single quotes and colons out of the way of the shells' own syntax. */
static void shell_text(FILE *f, const char *s, bool zsh_spec)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", f);
        else if (zsh_spec && strchr("[]:", *s))
            fprintf(f, "\\%c", *s);
        else
            fputc(*s, f);
    }
}

static void zsh_value(FILE *f, const cli_option *o)
{
    if (o->kind == CLI_FLAG)
        return;
    fputs(":value:", f);
    if (o->kind == CLI_CHOICE) {
        fputc('(', f);
        choice_words(f, o);
        fputc(')', f);
    } else if (o->hint == CLI_FILES) {
        fputs("_files", f);
    } else if (o->hint == CLI_DIRS) {
        fputs("_files -/", f);
    } else if (o->hint == CLI_MODELS) {
        fputs("_mien_models", f);
    }
}

static void zsh(FILE *f)
{
    const cli_verb *v = NULL;
    const cli_option *o = NULL;
    fputs("#compdef mien\n# zsh completion for mien; made by `mien completion zsh`\n"
          "_mien_models() { compadd -- $(mien model list --format names 2>/dev/null); _files }\n"
          "_mien() {\n  local verb=$words[2]\n"
          "  if (( CURRENT == 2 )); then compadd -- ",
          f);
    first_words(f);
    fputs("; return; fi\n  case $verb in\n", f);
    char last[32] = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        char group[32];
        snprintf(group, sizeof group, "%.*s", (int)strcspn(v->name, " "), v->name);
        if (!strchr(v->name, ' ') || !strcmp(group, last))
            continue;
        snprintf(last, sizeof last, "%s", group);
        fprintf(f, "    %s) if (( CURRENT == 3 )); then compadd -- ", group);
        second_words(f, group);
        fputs("; return; fi; verb=\"$verb $words[3]\"; shift words; (( CURRENT-- )) ;;\n", f);
    }
    fputs("  esac\n  shift words; (( CURRENT-- ))\n  case $verb in\n", f);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        fprintf(f, "    '%s') _arguments -s", v->name);
        for (size_t k = 0; (o = cli_option_at(v, k)) != NULL; k++) {
            fprintf(f, " '--%s%s[", o->name, o->kind == CLI_FLAG ? "" : "=");
            shell_text(f, o->brief, true);
            fputc(']', f);
            zsh_value(f, o);
            fputc('\'', f);
        }
        fprintf(f, " '*:operand:%s' ;;\n",
                v->hint == CLI_MODELS    ? "_mien_models"
                : v->hint == CLI_DIRS    ? "_files -/"
                : v->hint == CLI_NOTHING ? " "
                                         : "_files");
    }
    fputs("  esac\n}\n_mien \"$@\"\n", f);
}

static void fish_condition(FILE *f, const cli_verb *v)
{
    const char *blank = strchr(v->name, ' ');
    if (blank)
        fprintf(f, " -n '__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s'",
                (int)(blank - v->name), v->name, blank + 1);
    else
        fprintf(f, " -n '__fish_seen_subcommand_from %s'", v->name);
}

static void fish_option(FILE *f, const cli_verb *v, const cli_option *o)
{
    fputs("complete -c mien", f);
    fish_condition(f, v);
    fprintf(f, " -l %s", o->name);
    if (o->letter)
        fprintf(f, " -s %c", o->letter);
    if (o->kind == CLI_CHOICE) {
        fputs(" -x -a '", f);
        choice_words(f, o);
        fputc('\'', f);
    } else if (o->kind != CLI_FLAG) {
        fputs(o->hint == CLI_FILES    ? " -r -F"
              : o->hint == CLI_DIRS   ? " -x -a '(__fish_complete_directories)'"
              : o->hint == CLI_MODELS ? " -r -F -a '(mien model list --format names 2>/dev/null)'"
                                      : " -x",
              f);
    }
    fputs(" -d '", f);
    shell_text(f, o->brief, false);
    fputs("'\n", f);
}

static void fish(FILE *f)
{
    const cli_verb *v = NULL;
    const cli_option *o = NULL;
    fputs("# fish completion for mien; made by `mien completion fish`\n"
          "complete -c mien -n __fish_use_subcommand -f -a '",
          f);
    first_words(f);
    fputs("'\n", f);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        const char *blank = strchr(v->name, ' ');
        if (blank) {
            fprintf(f, "complete -c mien -n '__fish_seen_subcommand_from %.*s' -f -a %s -d '",
                    (int)(blank - v->name), v->name, blank + 1);
            shell_text(f, v->brief, false);
            fputs("'\n", f);
        }
        if (v->hint == CLI_MODELS) {
            fputs("complete -c mien", f);
            fish_condition(f, v);
            fputs(" -a '(mien model list --format names 2>/dev/null)'\n", f);
        }
        for (size_t k = 0; (o = cli_option_at(v, k)) != NULL; k++)
            fish_option(f, v, o);
    }
}

bool cli_completion(const char *shell, FILE *f)
{
    if (!strcmp(shell, "bash"))
        bash(f);
    else if (!strcmp(shell, "zsh"))
        zsh(f);
    else if (!strcmp(shell, "fish"))
        fish(f);
    else
        return false;
    return true;
}
