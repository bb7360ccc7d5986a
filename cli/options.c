/* Reads a command line by a verb's option table: defaults first (the same text the help shows), then
 * --name value, --name=value, -n value, -nvalue; "--" ends the options; operands may stand anywhere.
 */
#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const cli_option *cli_option_at(const cli_verb *verb, size_t index)
{
    for (size_t t = 0; t < CLI_MAX_TABLES && verb->tables[t]; t++) {
        for (const cli_option *o = verb->tables[t]; o->name; o++) {
            if (index-- == 0)
                return o;
        }
    }
    return NULL;
}

bool cli_choice_at(const char *choices, int index, char *ret, size_t capacity)
{
    const char *p = choices;
    for (; index > 0 && p; index--) {
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    if (!p)
        return false;
    size_t len = strcspn(p, "|");
    if (len >= capacity)
        len = capacity - 1;
    memcpy(ret, p, len);
    ret[len] = '\0';
    return true;
}

static const cli_option *find_option(const cli_verb *verb, const char *name, size_t len, char letter)
{
    const cli_option *o = NULL;
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++) {
        if (letter ? o->letter == letter : strlen(o->name) == len && !memcmp(o->name, name, len))
            return o;
    }
    return NULL;
}

int cli_usage(const cli_verb *verb, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (strcmp(cli_program, "mien") != 0)
        cli_say("%s (see '%s --help')", text, cli_program);
    else if (verb)
        cli_say("%s: %s (see 'mien %s -h')", verb->name, text, verb->name);
    else
        cli_say("%s (see 'mien -h')", text);
    return CLI_USAGE;
}

static bool parse_real(const char *s, double *ret)
{
    if (!*s || strspn(s, "+-0123456789.eE") != strlen(s))
        return false;
    char *end = NULL;
    const double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

static bool parse_bytes(const char *s, uint64_t *ret)
{
    if (*s < '0' || *s > '9')
        return false;
    char *end = NULL;
    errno = 0;
    const unsigned long long v = strtoull(s, &end, 10);
    unsigned shift = 0;
    if (*end == 'K' || *end == 'k')
        shift = 10, end++;
    else if (*end == 'M' || *end == 'm')
        shift = 20, end++;
    else if (*end == 'G' || *end == 'g')
        shift = 30, end++;
    if (errno || *end || v > UINT64_MAX >> shift)
        return false;
    *ret = (uint64_t)v << shift;
    return true;
}

static bool parse_size(const char *s, cli_size *ret)
{
    char *end = NULL;
    if (*s < '0' || *s > '9')
        return false;
    const long w = strtol(s, &end, 10);
    if ((*end != 'x' && *end != 'X') || end[1] < '0' || end[1] > '9')
        return false;
    const long h = strtol(end + 1, &end, 10);
    if (*end || w < 1 || h < 1 || w > 30000 || h > 30000)
        return false;
    *ret = (cli_size){ (int)w, (int)h };
    return true;
}

static bool parse_choice(const char *choices, const char *s, int *ret)
{
    char word[64];
    for (int i = 0; cli_choice_at(choices, i, word, sizeof word); i++) {
        if (!strcmp(word, s)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* Store `text` as the option's value; false when it is not one. `why` then says what would be. */
static bool store(const cli_option *o, const char *text, void *opts, char *why, size_t capacity)
{
    char *at = (char *)opts + o->offset;
    double v = 0;
    switch (o->kind) {
    case CLI_FLAG:
        *(int *)(void *)at = 1;
        return true;
    case CLI_INT:
        snprintf(why, capacity, "a whole number from %.0f to %.0f", o->min, o->max);
        if (!parse_real(text, &v) || v < o->min || v > o->max || v > floor(v))
            return false;
        *(int *)(void *)at = (int)v;
        return true;
    case CLI_REAL:
        snprintf(why, capacity, "a number from %g to %g", o->min, o->max);
        if (!parse_real(text, &v) || v < o->min || v > o->max)
            return false;
        *(double *)(void *)at = v;
        return true;
    case CLI_BYTES:
        snprintf(why, capacity, "a number such as 500000, 64K, 100M or 2G");
        return parse_bytes(text, (uint64_t *)(void *)at);
    case CLI_TEXT:
        snprintf(why, capacity, "a text that is not empty");
        *(const char **)(void *)at = text;
        return *text != '\0';
    case CLI_CHOICE:
        snprintf(why, capacity, "one of %s", o->value);
        return parse_choice(o->value, text, (int *)(void *)at);
    case CLI_SIZE:
        snprintf(why, capacity, "WIDTHxHEIGHT such as 640x480");
        return parse_size(text, (cli_size *)(void *)at);
    }
    return false;
}

static int store_or_complain(const cli_verb *verb, const cli_option *o, const char *text, void *opts)
{
    char why[160] = "";
    if (store(o, text, opts, why, sizeof why))
        return -1;
    return cli_usage(verb, "--%s wants %s, not '%s'", o->name, why, text);
}

static int unknown_option(const cli_verb *verb, const char *arg)
{
    const char *near = cli_nearest(verb, arg + strspn(arg, "-"));
    const int len = (int)strcspn(arg, "=");
    if (near)
        return cli_usage(verb, "unknown option %.*s, did you mean --%s?", len, arg, near);
    return cli_usage(verb, "unknown option %.*s", len, arg);
}

/* Take one argument that starts with '-'; *i moves on where the value is the next argument. */
static int take_option(const cli_verb *verb, int argc, char **argv, int *i, void *opts)
{
    const char *arg = argv[*i];
    if (!strcmp(arg, "-h")) {
        cli_help_short(verb, stdout);
        return CLI_YES;
    }
    if (!strcmp(arg, "--help")) {
        cli_help_full(verb, stdout);
        return CLI_YES;
    }
    const bool is_long = arg[1] == '-';
    const char *name = arg + 2;
    const size_t len = is_long ? strcspn(name, "=") : 0;
    const cli_option *o = find_option(verb, name, len, is_long ? 0 : arg[1]);
    if (!o)
        return unknown_option(verb, arg);
    const char *value = NULL;
    if (is_long && name[len] == '=')
        value = name + len + 1;
    else if (!is_long && arg[2])
        value = arg + 2;
    if (o->kind == CLI_FLAG) {
        if (value)
            return cli_usage(verb, "--%s takes no value", o->name);
        return store_or_complain(verb, o, "", opts);
    }
    if (!value) {
        if (*i + 1 >= argc)
            return cli_usage(verb, "--%s wants a value (%s)", o->name, o->value);
        value = argv[++*i];
    }
    return store_or_complain(verb, o, value, opts);
}

int cli_parse(const cli_verb *verb, int argc, char **argv, void *opts, int *ret_operands)
{
    const cli_option *o = NULL;
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++) {
        if (!o->def && o->kind == CLI_REAL)
            *(double *)(void *)((char *)opts + o->offset) = NAN;
        if (!o->def)
            continue;
        const int rc = store_or_complain(verb, o, o->def, opts);
        if (rc >= 0)
            return CLI_INTERNAL;
    }
    int n = 0;
    bool plain = false;
    for (int i = 0; i < argc; i++) {
        if (!plain && !strcmp(argv[i], "--")) {
            plain = true;
        } else if (!plain && argv[i][0] == '-' && argv[i][1]) {
            const int rc = take_option(verb, argc, argv, &i, opts);
            if (rc >= 0)
                return rc;
        } else {
            argv[n++] = argv[i];
        }
    }
    if (n < verb->min_operands)
        return cli_usage(verb, "%s: %s", n ? "too few arguments, wanted" : "wanted", verb->operands);
    if (verb->max_operands && n > verb->max_operands)
        return cli_usage(verb, "one argument too many: '%s'", argv[verb->max_operands]);
    if (!verb->max_operands && !verb->min_operands && n && !*verb->operands)
        return cli_usage(verb, "takes no arguments, not '%s'", argv[0]);
    *ret_operands = n;
    return -1;
}

int cli_run_verb(const cli_verb *verb, int argc, char **argv)
{
    void *opts = cli_alloc(1, verb->opts_bytes ? verb->opts_bytes : 1);
    int n = 0;
    int rc = cli_parse(verb, argc, argv, opts, &n);
    if (rc < 0)
        rc = verb->run(opts, n, argv);
    free(opts);
    return rc;
}

/* Damerau's distance without transpositions (Levenshtein 1966), words up to 31 bytes. */
static unsigned edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strcspn(b, "=");
    unsigned row[32];
    if (n > 31 || m > 31)
        return 99;
    for (unsigned j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *cli_nearest(const cli_verb *verb, const char *word)
{
    const char *best = NULL;
    unsigned best_distance = 3; /* further away is another word, not a slip */
    if (strlen(word) < 3)
        best_distance = 2;
    for (size_t i = 0;; i++) {
        const cli_option *o = verb ? cli_option_at(verb, i) : NULL;
        const cli_verb *v = verb ? NULL : cli_verb_at(i);
        if (!o && !v)
            return best;
        const char *name = o ? o->name : v->name;
        const unsigned d = edit_distance(name, word);
        if (d < best_distance) {
            best_distance = d;
            best = name;
        }
    }
}
