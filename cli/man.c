/* Writes the manual page mien(1) in mdoc(7) from the verb tables and the shared sections. */
#include "cli.h"
#include <ctype.h>
#include <string.h>

/* Text with roff's special characters made plain. `at_start`: the line begins here. */
static void plain(FILE *f, const char *s, size_t len, bool at_start)
{
    for (size_t i = 0; i < len; i++) {
        if (at_start && (s[i] == '.' || s[i] == '\''))
            fputs("\\&", f);
        at_start = s[i] == '\n';
        if (s[i] == '\\')
            fputs("\\e", f);
        else if (s[i] == '-')
            fputs("\\-", f);
        else if (s[i] == '`')
            fputs("\\(ga", f);
        else
            fputc(s[i], f);
    }
    if (len && s[len - 1] != '\n')
        fputc('\n', f);
}

static void line(FILE *f, const char *s)
{
    plain(f, s, strlen(s), true);
}

/* One word of a macro line: quoted, so that punctuation in it stays text. */
static void word(FILE *f, const char *s)
{
    fputs(" \"", f);
    for (; *s; s++) {
        if (*s == '"')
            fputs("\\(dq", f);
        else if (*s == '\\')
            fputs("\\e", f);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static void paragraphs(FILE *f, const char *text)
{
    bool first = true;
    while (*text) {
        const char *end = strstr(text, "\n\n");
        const size_t len = end ? (size_t)(end - text) : strlen(text);
        const bool literal = *text == ' ';
        if (literal)
            fputs(".Bd -literal\n", f);
        else if (!first)
            fputs(".Pp\n", f);
        plain(f, text, len, true);
        if (literal)
            fputs(".Ed\n", f);
        text += len + (end ? 2 : 0);
        first = false;
    }
}

static void option(FILE *f, const cli_option *o)
{
    fputs(".It", f);
    if (o->letter)
        fprintf(f, " Fl %c ,", o->letter);
    fprintf(f, " Fl \\-%s", o->name);
    if (o->kind != CLI_FLAG) {
        fputs(" Ar", f);
        word(f, o->value);
    }
    fputc('\n', f);
    char text[1024];
    const bool def = o->def && *o->def;
    snprintf(text, sizeof text, "%s%s%s%s.", o->brief, def ? " (default " : "", def ? o->def : "",
             def ? ")" : "");
    text[0] = (char)toupper((unsigned char)text[0]);
    line(f, text);
    if (o->more)
        line(f, o->more);
}

static void verb_section(FILE *f, const cli_verb *v)
{
    const cli_option *o = NULL;
    fputs(".Ss", f);
    char title[128];
    snprintf(title, sizeof title, "mien %s", v->name);
    word(f, title);
    fputs("\n.Nm mien Cm", f);
    word(f, v->name);
    fputs("\n.Op Ar options\n", f);
    if (*v->operands) {
        fputs(".Ar", f);
        word(f, v->operands);
        fputc('\n', f);
    }
    fputs(".Pp\n", f);
    paragraphs(f, v->about);
    fputs(".Bl -tag -width Ds\n", f);
    for (size_t i = 0; (o = cli_option_at(v, i)) != NULL; i++)
        option(f, o);
    fputs(".It Fl h , Fl \\-help\nOne screen of help; all of it.\n.El\n", f);
    for (const cli_example *e = v->examples; e && e->what; e++) {
        fputs(".Pp\n", f);
        char text[256];
        snprintf(text, sizeof text, "To %s:", e->what);
        line(f, text);
        fputs(".Dl", f);
        word(f, e->command);
        fputc('\n', f);
    }
}

void cli_man(FILE *f)
{
    const cli_verb *v = NULL;
    const cli_section *s = NULL;
    fputs(".\\\" Made by `mien help --man` from the option tables; do not edit.\n"
          ".Dd $Mdocdate$\n.Dt MIEN 1\n.Os\n.Sh NAME\n.Nm mien\n"
          ".Nd finds faces in photographs and says who is the same person\n.Sh SYNOPSIS\n",
          f);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        fputs(".Nm mien Cm", f);
        word(f, v->name);
        fputs("\n.Op Ar options\n", f);
        if (*v->operands) {
            fputs(".Ar", f);
            word(f, v->operands);
            fputc('\n', f);
        }
    }
    fputs(".Sh DESCRIPTION\n", f);
    line(f, "mien is a library and a program for face recognition: it finds faces, aligns them, turns "
            "them into embeddings, compares these, and decides with a threshold whose false match rate "
            "is known. Everything is done on this machine.");
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        verb_section(f, v);
    for (size_t i = 0; (s = cli_section_at(i)) != NULL; i++) {
        fputs(".Sh ", f);
        for (const char *p = s->title; *p; p++)
            fputc(toupper((unsigned char)*p), f);
        fputc('\n', f);
        paragraphs(f, s->text);
    }
}
