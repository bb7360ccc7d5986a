/* Prints -h (one screen) and --help (everything, with examples) from the verb tables. Text is wrapped at
 * 79 columns; an option's explanation stands in a column of its own.
 */
#include "cli.h"
#include <ctype.h>
#include <string.h>

enum { WIDTH = 79, COLUMN = 26 };

/* Wrap one paragraph: the cursor stands at column `at`; further lines begin at `indent`. */
static void wrap(FILE *f, const char *text, size_t at, size_t indent)
{
    bool first = true;
    while (*text) {
        text += strspn(text, " ");
        const size_t len = strcspn(text, " ");
        if (!len)
            break;
        if (!first && at + 1 + len > WIDTH) {
            fprintf(f, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', f);
            at++;
        }
        fwrite(text, 1, len, f);
        at += len;
        text += len;
        first = false;
    }
    fputc('\n', f);
}

/* Paragraphs parted by an empty line; one that begins with a blank is kept as it is. */
static void paragraphs(FILE *f, const char *text, size_t indent)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        const size_t len = end ? (size_t)(end - text) : strlen(text);
        char part[2048];
        snprintf(part, sizeof part, "%.*s", (int)len, text);
        if (part[0] == ' ') {
            for (char *line = strtok(part, "\n"); line; line = strtok(NULL, "\n"))
                fprintf(f, "%*s%s\n", (int)indent, "", line);
        } else {
            fprintf(f, "%*s", (int)indent, "");
            wrap(f, part, indent, indent);
        }
        text += len;
        if (end) {
            fputc('\n', f);
            text += 2;
        }
    }
}

static void option_line(FILE *f, const cli_option *o, bool full)
{
    char left[96], letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    const int len = snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name,
                             o->kind == CLI_FLAG ? "" : " ", o->kind == CLI_FLAG ? "" : o->value);
    fputs(left, f);
    if (len + 2 > COLUMN)
        fprintf(f, "\n%*s", COLUMN, "");
    else
        fprintf(f, "%*s", COLUMN - len, "");
    char text[2048];
    char def[64] = "";
    if (o->def && *o->def)
        snprintf(def, sizeof def, " (default %s)", o->def);
    snprintf(text, sizeof text, "%s%s%s%s", o->brief, def, full && o->more ? ". " : "",
             full && o->more ? o->more : "");
    wrap(f, text, COLUMN, COLUMN);
}

static void usage_line(FILE *f, const cli_verb *verb)
{
    const int at = fprintf(f, "usage: mien %s [options]%s", verb->name, *verb->operands ? " " : "\n");
    if (*verb->operands)
        wrap(f, verb->operands, (size_t)at, 12);
}

static size_t count_rare(const cli_verb *verb)
{
    const cli_option *o = NULL;
    size_t n = 0;
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++)
        n += o->rare != 0;
    return n;
}

void cli_help_short(const cli_verb *verb, FILE *f)
{
    const cli_option *o = NULL;
    usage_line(f, verb);
    fprintf(f, "%c%s.\n\n", toupper((unsigned char)verb->brief[0]), verb->brief + 1);
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++) {
        if (!o->rare)
            option_line(f, o, false);
    }
    fprintf(f, "  -h, --help%*sthis screen; all of it with examples\n\n", COLUMN - 12, "");
    if (verb->examples && verb->examples[0].what)
        fprintf(f, "Example: %s\n", verb->examples[0].command);
    if (verb->exits) {
        fputs("Exit: ", f);
        wrap(f, verb->exits, 6, 6);
    }
    const size_t rare = count_rare(verb);
    if (rare)
        fprintf(f, "%zu more option%s: mien %s --help\n", rare, rare == 1 ? "" : "s", verb->name);
}

void cli_help_full(const cli_verb *verb, FILE *f)
{
    const cli_option *o = NULL;
    fprintf(f, "mien %s: %s\n\n", verb->name, verb->brief);
    usage_line(f, verb);
    fputc('\n', f);
    paragraphs(f, verb->about, 0);
    fputs("\nOptions\n", f);
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++)
        option_line(f, o, true);
    fprintf(f, "  -h%*sone screen of help\n      --help%*sthis text\n", COLUMN - 4, "", COLUMN - 12, "");
    if (verb->examples && verb->examples[0].what) {
        fputs("\nExamples\n", f);
        for (const cli_example *e = verb->examples; e->what; e++)
            fprintf(f, "%s  # %s\n  $ %s\n", e == verb->examples ? "" : "\n", e->what, e->command);
    }
    if (verb->exits)
        fprintf(f, "\nExit status\n  %s\n", verb->exits);
}

static void verb_list(FILE *f, const char *group)
{
    const cli_verb *v = NULL;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        const size_t len = group ? strlen(group) : 0;
        if (!len || (!strncmp(v->name, group, len) && v->name[len] == ' '))
            fprintf(f, "  %-16s %s\n", v->name, v->brief);
    }
}

/* "gallery VERB    create, info, list, ...": a group on one line, as much of it as fits. */
static void group_line(FILE *f, size_t first, size_t len)
{
    const cli_verb *v = cli_verb_at(first);
    char left[32], text[WIDTH + 1] = "";
    snprintf(left, sizeof left, "%.*s VERB", (int)len, v->name);
    for (size_t i = first; v && !strncmp(v->name, cli_verb_at(first)->name, len + 1); v = cli_verb_at(++i)) {
        const char *word = v->name + len + 1;
        const size_t at = strlen(text);
        if (at + strlen(word) + 2 > WIDTH - 19 - 5) { /* leaves room for the dots */
            snprintf(text + at, sizeof text - at, ", ...");
            break;
        }
        snprintf(text + at, sizeof text - at, "%s%s", at ? ", " : "", word);
    }
    fprintf(f, "  %-16s %s\n", left, text);
}

/* Is a group's word a verb by itself, such as `serve` beside `serve key`? Its own help names the others. */
static bool is_verb(const char *word, size_t len)
{
    const cli_verb *v = NULL;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        if (strlen(v->name) == len && !strncmp(v->name, word, len))
            return true;
    }
    return false;
}

/* Every verb of one word, every group: fits a screen. */
static void verb_overview(FILE *f)
{
    const cli_verb *v = NULL, *before = NULL;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; before = v, i++) {
        const char *blank = strchr(v->name, ' ');
        const size_t len = blank ? (size_t)(blank - v->name) : 0;
        if (!blank)
            fprintf(f, "  %-16s %s\n", v->name, v->brief);
        else if ((!before || strncmp(before->name, v->name, len + 1) != 0) && !is_verb(v->name, len))
            group_line(f, i, len);
    }
}

void cli_help_group(const char *group, FILE *f)
{
    fprintf(f, "usage: mien %s VERB [options] ...\n\n", group);
    verb_list(f, group);
    fprintf(f, "\nmien %s VERB -h explains one of them.\n", group);
}

void cli_help_program(FILE *f, bool full)
{
    fputs("usage: mien VERB [options] ...\n"
          "Finds faces in photographs and says who is who, and who is unknown.\n\n",
          f);
    if (!full) {
        verb_overview(f);
        fputs("\n`mien VERB -h` is one screen on a verb; `mien --help`: all verbs, models, exit codes\n", f);
        return;
    }
    verb_list(f, NULL);
    fputs("\n  mien VERB -h     one screen on a verb; --help: all of it, with examples\n", f);
    const cli_section *s = NULL;
    for (size_t i = 0; (s = cli_section_at(i)) != NULL; i++) {
        fprintf(f, "\n%s\n", s->title);
        paragraphs(f, s->text, 2);
    }
}
