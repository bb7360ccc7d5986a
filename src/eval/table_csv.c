/* Reads tables from CSV: finds out what the columns are, then row after row.
 *
 * Names of columns are compared without capitals, blanks and punctuation. Everything that is wrong with a
 * row is the row's own affair: it is reported with its line and skipped. The file is mapped, so memory grows
 * with the table, not with the text.
 */
#include "base/csv.h"
#include "eval/table.h"
#include <string.h>

enum { MAX_KEY = 48 };

typedef enum role {
    LABELS,
    SCORE,
    DISTANCE,
    MATED,
    PERSON_A,
    PERSON_B,
    ITEM_A,
    ITEM_B,
    FOLD,
    FAILED,
    N_ROLES,
} role;

static const struct {
    role role;
    const char *names; /* each between blanks */
} known[] = {
    { SCORE, " score scores similarity sim cosine cosinesimilarity cos prediction pred confidence " },
    { DISTANCE, " distance dist euclidean euclideandistance cosinedistance dissimilarity " },
    { MATED, " mated label labels same issame samepersons sameperson genuine isgenuine match ismatch target "
             "istarget y ytrue truth groundtruth gt class " },
    { PERSON_A,
      " persona person1 personid1 subjecta subject1 subjectid1 identitya identity1 ida id1 namea name1 "
      "probeperson probesubject probeid person " },
    { PERSON_B,
      " personb person2 personid2 subjectb subject2 subjectid2 identityb identity2 idb id2 nameb name2 "
      "referenceperson gallerysubject galleryperson galleryid referenceid " },
    { ITEM_A, " a imagea image1 img1 imga patha path1 filea file1 picturea picture1 probe probeimage left " },
    { ITEM_B,
      " b imageb image2 img2 imgb pathb path2 fileb file2 pictureb picture2 reference gallery galleryimage "
      "referenceimage right " },
    { FOLD, " fold folds " },
    { FAILED, " failed failure fta failedtoacquire " },
};

typedef struct layout {
    int at[N_ROLES];                   /* field of each role; -1: none */
    int labels[MIEN_EVAL_MAX_COLUMNS]; /* fields of labels */
    const char *columns[MIEN_EVAL_MAX_COLUMNS];
    size_t n_labels, n_fields;
    bool lower, headless, pairs_only, untold; /* untold: nothing need tell mated from non-mated */
} layout;

/* Lower case letters and digits alone; false when nothing is left or it is too long to be known. */
static bool key_of(const char *s, char *ret)
{
    size_t n = 0;
    for (; *s; s++) {
        const char c = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
            continue;
        if (n == MAX_KEY)
            return false;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return n > 0;
}

static bool listed(const char *list, const char *key)
{
    const size_t len = strlen(key);
    for (const char *p = list; (p = strstr(p, key)) != NULL; p++)
        if (p[-1] == ' ' && p[len] == ' ')
            return true;
    return false;
}

static role role_of(const char *name)
{
    char key[MAX_KEY + 1];
    if (key_of(name, key))
        for (size_t i = 0; i < MIEN_COUNTOF(known); i++)
            if (listed(known[i].names, key))
                return known[i].role;
    return LABELS;
}

/* 1, 0, or -1 when it says neither. */
static int truth_of(const char *s)
{
    char key[MAX_KEY + 1];
    if (!key_of(s, key) || *s == '-')
        return strcmp(s, "-1") == 0 ? 0 : -1; /* -1 and 1, as learners of two classes write it */
    if (listed(" 1 10 true t yes y same mated mate genuine match matched positive pos target ", key))
        return strcmp(key, "10") != 0 || strcmp(s, "1.0") == 0 ? 1 : -1;
    if (listed(" 0 00 false f no n different diff nonmated nonmate impostor imposter nonmatch nonmatched "
               "mismatch mismatched negative neg nontarget notsame ",
               key))
        return 0;
    return -1;
}

static char *trimmed(const char *s) /* fields lie in the row's own text: it may be cut */
{
    char *p = (char *)s;
    p += strspn(p, " \t");
    size_t n = strlen(p);
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        p[--n] = '\0';
    return p;
}

/* Two fields, a number and a label, where names would stand: there is no row of names. */
static bool looks_headless(const mien__csv_row *row)
{
    double v;
    return row->n == 2 && mien__parse_f64(trimmed(row->fields[0]), &v) &&
           truth_of(trimmed(row->fields[1])) >= 0;
}

static mien_status find_columns(const mien__csv_row *row, const mien_eval_csv_opts *o, layout *l,
                                mien_error *err)
{
    *l = (layout){ .n_fields = row->n };
    for (int i = 0; i < N_ROLES; i++)
        l->at[i] = -1;
    const int direction = o->direction;
    l->pairs_only = o->pairs_only != 0;
    l->untold = o->pairs_only == 2;
    l->headless = !l->pairs_only && looks_headless(row);
    if (l->headless) {
        l->at[SCORE] = 0;
        l->at[MATED] = 1;
        l->lower = direction < 0;
        return MIEN_OK;
    }
    for (size_t i = 0; i < row->n; i++) {
        const role r = role_of(row->fields[i]);
        if (r != LABELS && l->at[r] < 0) {
            l->at[r] = (int)i;
        } else if (l->n_labels < MIEN_EVAL_MAX_COLUMNS && *row->fields[i]) {
            l->columns[l->n_labels] = row->fields[i];
            l->labels[l->n_labels++] = (int)i;
        }
    }
    l->lower = l->at[SCORE] < 0 && l->at[DISTANCE] >= 0;
    if (l->lower)
        l->at[SCORE] = l->at[DISTANCE];
    if (direction)
        l->lower = direction < 0;
    if (l->pairs_only && (l->at[ITEM_A] < 0 || l->at[ITEM_B] < 0))
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "the first row names no two columns of pictures (a, b, ...)");
    if (l->at[SCORE] < 0 && !l->pairs_only)
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "the first row names no column of scores (score, similarity, distance, ...)");
    if (!l->untold && l->at[MATED] < 0 && (l->at[PERSON_A] < 0 || l->at[PERSON_B] < 0))
        return mien__fail(
            err, MIEN_E_EVAL_DATA,
            "the first row names no column that tells mated from non-mated (mated, label, same, "
            "...), nor two of people (person_a, person_b)");
    return MIEN_OK;
}

static const char *field(const mien__csv_row *row, const layout *l, role r)
{
    return l->at[r] < 0 ? NULL : trimmed(row->fields[l->at[r]]);
}

/* NULL when the row can be used. */
static const char *read_row(const mien__csv_row *row, const layout *l, mien_eval_row *ret)
{
    if (row->n != l->n_fields)
        return row->n < l->n_fields ? "it has fewer fields than the first row"
                                    : "it has more fields than the first row";
    *ret = (mien_eval_row){ .fold = -1,
                            .person_a = field(row, l, PERSON_A),
                            .person_b = field(row, l, PERSON_B),
                            .item_a = field(row, l, ITEM_A),
                            .item_b = field(row, l, ITEM_B) };
    const char *const score = l->pairs_only ? "" : field(row, l, SCORE);
    const char *const failed = field(row, l, FAILED);
    ret->failed = l->pairs_only || !*score || (failed && truth_of(failed) == 1);
    if (!ret->failed && !mien__parse_f64(score, &ret->score))
        return "the score is not a number";
    if (l->pairs_only && (!*ret->item_a || !*ret->item_b))
        return "a picture is missing";
    if (l->at[MATED] >= 0) {
        ret->mated = truth_of(field(row, l, MATED));
        if (ret->mated < 0)
            return "the label says neither mated nor non-mated";
    } else if (!ret->person_a || !*ret->person_a || !ret->person_b || !*ret->person_b) {
        if (!l->untold)
            return "a person is missing";
        ret->mated = 0;
    } else {
        ret->mated = strcmp(ret->person_a, ret->person_b) == 0;
    }
    const char *const fold = field(row, l, FOLD);
    int64_t n = -1;
    if (fold && *fold && (!mien__parse_i64(fold, &n) || n < 0 || n > 999))
        return "the fold is not a number from 0 to 999";
    ret->fold = (int)n;
    return NULL;
}

typedef struct reader {
    mien__csv csv;
    mien__csv_row *row;
    const mien_eval_csv_opts *opts;
    layout l;
    size_t n_bad;
} reader;

static void bad(reader *r, const char *why)
{
    r->n_bad++;
    if (r->opts->bad_row)
        r->opts->bad_row(r->row->line, why, r->opts->user);
}

static mien_status read_rows(reader *r, mien_eval_table *t, mien_error *err)
{
    const char *labels[MIEN_EVAL_MAX_COLUMNS];
    for (mien__csv_got got; (got = mien__csv_next(&r->csv, r->row)) != MIEN__CSV_END;) {
        mien_eval_row row;
        const char *const why = got == MIEN__CSV_BAD ? r->row->fault : read_row(r->row, &r->l, &row);
        if (why) {
            bad(r, why);
            continue;
        }
        for (size_t i = 0; i < r->l.n_labels; i++)
            labels[i] = trimmed(r->row->fields[r->l.labels[i]]);
        row.labels = labels;
        mien_error fault = MIEN_ERROR_INIT;
        const mien_status st = mien_eval_table_add(t, &row, &fault);
        if (st == MIEN_E_EVAL_DATA) {
            bad(r, fault.message);
        } else if (st) {
            if (err)
                *err = fault;
            return st;
        }
    }
    return t->n ? MIEN_OK : mien__fail(err, MIEN_E_EVAL_DATA, "no usable row; %zu were skipped", r->n_bad);
}

/* Row by row until one can be the first. */
static mien_status read_first(reader *r, mien_error *err)
{
    for (mien__csv_got got; (got = mien__csv_next(&r->csv, r->row)) != MIEN__CSV_END;) {
        if (got == MIEN__CSV_ROW)
            return find_columns(r->row, r->opts, &r->l, err);
        bad(r, r->row->fault);
    }
    return mien__fail(err, MIEN_E_EVAL_DATA, "there is no row");
}

mien_status mien_eval_table_parse(const char *data, size_t size, const mien_eval_csv_opts *opts,
                                  mien_eval_table **ret, size_t *ret_bad, mien_error *err)
{
    mien_eval_csv_opts given = MIEN_EVAL_CSV_OPTS_INIT;
    if ((!data && size) || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    MIEN__EVAL_TAKE(given, opts);
    reader r = { .csv = { data, size, 0, 1 }, .opts = &given };
    mien_eval_table *t = NULL;
    mien_status st = MIEN_OK;
    r.row = mien_alloc(sizeof *r.row);
    if (!r.row)
        return mien__nomem(err, sizeof *r.row);
    st = read_first(&r, err);
    if (st)
        goto done;
    const mien_eval_table_opts o = { sizeof o, r.l.lower, r.l.columns, r.l.n_labels };
    st = mien_eval_table_new(&o, &t, err); /* copies the names before the row's text goes */
    if (st)
        goto done;
    if (r.l.headless)
        r.csv = (mien__csv){ data, size, 0, 1 };
    st = read_rows(&r, t, err);
    if (st)
        goto done;
    *ret = t;
    t = NULL;
    if (ret_bad)
        *ret_bad = r.n_bad;
done:
    mien_eval_table_free(t);
    mien_free(r.row);
    return st;
}

mien_status mien_eval_table_read(const char *path, const mien_eval_csv_opts *opts, mien_eval_table **ret,
                                 size_t *ret_bad, mien_error *err)
{
    mien_eval_csv_opts given = MIEN_EVAL_CSV_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_csv_opts *const o = &given;
    if (!path || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    mien__file_map map = { 0 };
    const size_t max = o->max_bytes > SIZE_MAX ? SIZE_MAX : (size_t)o->max_bytes;
    mien_status st = mien__file_map_open(&map, path, max, err);
    if (st)
        return st;
    mien_error fault = MIEN_ERROR_INIT;
    st = mien_eval_table_parse((const char *)map.data, map.size, o, ret, ret_bad, &fault);
    mien__file_map_close(&map);
    if (st)
        return mien__fail(err, st, "%s: %s", path, fault.message);
    return st;
}
