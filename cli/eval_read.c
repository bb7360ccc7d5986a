/* Reads the pairs of a JSON result back into a table; see src/eval/figures.c. The file is anybody's: sizes
 * are held against each other before anything is allocated by them. */
#include "eval_page.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 512 << 20 };

/* The next item of a text whose items have one blank between; false at the end. */
static bool next_item(const char **at, const char **item, size_t *len)
{
    if (!**at)
        return false;
    *item = *at;
    *len = strcspn(*at, " ");
    *at += *len + ((*at)[*len] == ' ');
    return true;
}

/* A plain number: digits, sign, point, exponent. */
static bool read_score(const char *item, size_t len, double *ret)
{
    char text[40], *end = NULL;
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, item, len);
    text[len] = '\0';
    if (strspn(text, "+-0123456789.e") != len)
        return false;
    *ret = strtod(text, &end);
    return !*end && isfinite(*ret);
}

static bool read_people(const char *item, size_t len, char names[2][16])
{
    char text[40];
    if (len >= sizeof text)
        return false;
    memcpy(text, item, len);
    text[len] = '\0';
    char *hyphen = strchr(text, '-');
    if (!hyphen || strspn(text, "0123456789-") != len)
        return false;
    *hyphen = '\0';
    const char *const part[2] = { text, hyphen + 1 };
    for (int i = 0; i < 2; i++) {
        if (!*part[i] || strlen(part[i]) > 10 || strchr(part[i], '-'))
            return false;
        snprintf(names[i], 16, "%s", part[i]);
    }
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool read_pairs(const json_t *scores, mien_eval_table *t, mien_error *err)
{
    const char *mated = text_of(scores, "mated"), *score = text_of(scores, "score");
    const char *people = text_of(scores, "people"), *names = text_of(scores, "names");
    const char *m = NULL, *s = NULL, *p = NULL;
    size_t m_len = 0, s_len = 0, p_len = 0;
    if (!mated || !score)
        return false;
    while (next_item(&mated, &m, &m_len)) {
        char persons[2][16];
        mien_eval_row row = { .fold = -1, .item_a = names, .item_b = names };
        if (m_len != 1 || (*m != '0' && *m != '1') || !next_item(&score, &s, &s_len) ||
            (people && (!next_item(&people, &p, &p_len) || !read_people(p, p_len, persons))))
            return false;
        row.mated = *m == '1';
        row.failed = s_len == 1 && *s == '-';
        if (!row.failed && !read_score(s, s_len, &row.score))
            return false;
        if (people) {
            row.person_a = persons[0];
            row.person_b = persons[1];
        }
        if (mien_eval_table_add(t, &row, err) != MIEN_OK)
            return false;
    }
    return !*score && (!people || !*people);
}

static int fault(const char *path, const char *what)
{
    cli_say_path(path, "%s", what);
    return CLI_INPUT;
}

static int table_of(const char *path, const json_t *page, mien_eval_table **ret)
{
    mien_eval_table_opts opts = MIEN_EVAL_TABLE_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    const json_t *scores = json_object_get(page, "scores");
    const char *format = text_of(page, "format");
    if (!format || strcmp(format, "mien-eval") != 0)
        return fault(path, "not a result of `mien eval ... --format json`");
    if (json_integer_value(json_object_get(page, "version")) != 1)
        return fault(path, "made by another version of this program");
    if (!scores)
        return fault(path, "it holds no scores of pairs: too many were measured");
    opts.lower = json_is_true(json_object_get(page, "lower_is_alike"));
    if (mien_eval_table_new(&opts, ret, &err) != MIEN_OK)
        return cli_fail(&err);
    if (read_pairs(scores, *ret, &err))
        return CLI_YES;
    if (err.status != MIEN_OK)
        return cli_fail_path(path, &err);
    return fault(path, "its scores are damaged");
}

static json_t *load(const char *path)
{
    json_error_t where;
    FILE *f = cli_is_dir(path) ? NULL : fopen(path, "rb");
    if (!f) {
        cli_say_path(path, "%s", cli_is_dir(path) ? "this is a folder" : strerror(errno));
        return NULL;
    }
    json_t *page = NULL;
    if (fseek(f, 0, SEEK_END) == 0 && ftell(f) > MAX_BYTES)
        cli_say_path(path, "larger than %d MB", (int)(MAX_BYTES >> 20));
    else if (fseek(f, 0, SEEK_SET) != 0 || !(page = json_loadf(f, JSON_REJECT_DUPLICATES, &where)))
        cli_say_path(path, "line %d: not JSON: %s", where.line, where.text);
    fclose(f);
    return page;
}

int eval_read_json(const char *path, mien_eval_table **ret, double *ret_threshold, char **ret_name)
{
    json_t *page = load(path);
    if (!page)
        return CLI_INPUT;
    const int rc = table_of(path, page, ret);
    const json_t *t = json_object_get(json_object_get(page, "at_threshold"), "threshold");
    const json_t *chosen = json_object_get(json_object_get(page, "at_threshold"), "chosen_on_these_pairs");
    *ret_threshold = json_is_number(t) && !json_is_true(chosen) ? json_number_value(t) : NAN;
    const char *model = text_of(page, "model");
    *ret_name = model ? cli_format("%s: %s", path, model) : cli_strdup(path);
    json_decref(page);
    return rc;
}
