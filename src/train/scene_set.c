/* The list of sources: pictures with every face in them known, and pictures without faces; and its reader of
 * the table that `mien detect --format csv` prints.
 */
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

enum { MAX_SOURCES = 4000000, MAX_SOURCE_FACES = 64, CSV_FIELDS = 17 };
static const size_t max_text_bytes = (size_t)1 << 30;

mien_status mien__scene_set_new(mien__scene_set **ret, mien_error *err)
{
    mien__scene_set *const set = mien_alloc_zero(sizeof *set);
    if (set)
        set->arena = mien__arena_new((size_t)1 << 31);
    if (!set || !set->arena) {
        mien__scene_set_free(set);
        return mien__nomem(err, sizeof *set);
    }
    *ret = set;
    return MIEN_OK;
}

void mien__scene_set_free(mien__scene_set *set)
{
    if (!set)
        return;
    mien__arena_free(set->arena);
    mien_free(set->v);
    mien_free(set->faces);
    mien_free(set->backgrounds);
    mien_free(set);
}

static bool face_ok(const mien_face *f)
{
    float sum = f->x0 + f->y0 + f->x1 + f->y1;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        sum += f->landmarks[i][0] + f->landmarks[i][1];
    return isfinite(sum) && fabsf(sum) < 1e6f && f->x1 - f->x0 >= 1 && f->y1 - f->y0 >= 1;
}

static mien_status grow(mien__scene_set *set, mien_error *err)
{
    if (set->n < set->cap)
        return MIEN_OK;
    if (set->n >= MAX_SOURCES)
        return mien__fail(err, MIEN_E_LIMIT, "more than %d pictures for scenes", MAX_SOURCES);
    const size_t cap = set->cap ? set->cap * 2 : 256;
    mien__scene_source *const v = mien_grow_array(set->v, set->n, cap, sizeof *v);
    if (v)
        set->v = v;
    size_t *const f = mien_grow_array(set->faces, set->n_faces, cap, sizeof *f);
    if (f)
        set->faces = f;
    size_t *const b = mien_grow_array(set->backgrounds, set->n_backgrounds, cap, sizeof *b);
    if (b)
        set->backgrounds = b;
    if (!v || !f || !b)
        return mien__nomem(err, cap * sizeof *v);
    set->cap = cap;
    return MIEN_OK;
}

mien_status mien__scene_set_add(mien__scene_set *set, const mien__scene_source *source, mien_error *err)
{
    if (!source->path || source->n_faces > MAX_SOURCE_FACES ||
        (source->pixels.data && !mien__view_ok(source->pixels)))
        return mien__fail(err, MIEN_E_ARG, "scenes: no path, more than %d faces or not a picture",
                          MAX_SOURCE_FACES);
    for (size_t i = 0; i < source->n_faces; i++)
        if (!face_ok(&source->faces[i]))
            return mien__fail(err, MIEN_E_ARG, "scenes: %s: face %zu has no area or is not finite",
                              source->path, i + 1);
    mien_status st = grow(set, err);
    if (st)
        return st;
    mien__scene_source copy = *source;
    const size_t length = strlen(source->path);
    copy.path = mien__arena_strndup(set->arena, source->path, length);
    mien_face *const faces = mien__arena_alloc_array(set->arena, source->n_faces + 1, sizeof *faces);
    if (!copy.path || !faces)
        return mien__nomem(err, length + source->n_faces * sizeof *faces);
    if (source->n_faces)
        memcpy(faces, source->faces, source->n_faces * sizeof *faces);
    copy.faces = faces;
    set->v[set->n] = copy;
    if (copy.n_faces)
        set->faces[set->n_faces++] = set->n;
    else
        set->backgrounds[set->n_backgrounds++] = set->n;
    set->n++;
    return MIEN_OK;
}

size_t mien__scene_set_faces(const mien__scene_set *set)
{
    return set->n_faces;
}

size_t mien__scene_set_backgrounds(const mien__scene_set *set)
{
    return set->n_backgrounds;
}

/* ---- the table ---- */

/* A row's path, unquoted (RFC 4180), and where its numbers begin; false when a quote is not closed. */
static bool take_path(char **line, char **ret_path)
{
    char *p = *line;
    if (*p != '"') {
        char *const comma = strchr(p, ',');
        if (!comma)
            return false;
        *comma = '\0';
        *ret_path = p;
        *line = comma + 1;
        return true;
    }
    char *w = p;
    *ret_path = w;
    for (p++; *p; p++) {
        if (*p == '"' && *++p != '"')
            break;
        if (!*p)
            return false;
        *w++ = *p;
    }
    if (*p != ',')
        return false;
    *w = '\0';
    *line = p + 1;
    return true;
}

/* Numbers after the path: the face's rank, box, score, landmarks. */
static bool take_face(char *text, mien_face *f)
{
    double v[CSV_FIELDS - 1];
    for (int i = 0; i < CSV_FIELDS - 1; i++) {
        char *const comma = strchr(text, ',');
        if (!comma != (i == CSV_FIELDS - 2))
            return false;
        if (comma)
            *comma = '\0';
        if (!mien__parse_f64(text, &v[i]) || !(fabs(v[i]) < 1e6))
            return false;
        if (comma)
            text = comma + 1;
    }
    *f = (mien_face){ (float)v[1], (float)v[2], (float)v[3], (float)v[4], (float)v[5], { { 0 } } };
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        f->landmarks[i][0] = (float)v[6 + 2 * i];
        f->landmarks[i][1] = (float)v[7 + 2 * i];
    }
    return face_ok(f);
}

/* Cut off the next line, without its end; NULL after the last. */
static char *next_line(char **text)
{
    char *const line = *text;
    if (!*line)
        return NULL;
    char *const end = line + strcspn(line, "\n");
    *text = *end ? end + 1 : end;
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    return line;
}

typedef struct table {
    const char *name;
    float min_score;
    size_t left_out;
    mien__scene_source picture; /* being gathered */
    mien_face faces[MAX_SOURCE_FACES];
} table;

static mien_status finish_picture(mien__scene_set *set, table *t, mien_error *err)
{
    mien_status st = MIEN_OK;
    bool certain = true;
    for (size_t i = 0; i < t->picture.n_faces; i++)
        certain = certain && t->faces[i].score >= t->min_score;
    t->picture.faces = t->faces;
    if (t->picture.path && certain)
        st = mien__scene_set_add(set, &t->picture, err);
    t->left_out += !certain;
    t->picture.n_faces = 0;
    return st;
}

static mien_status read_rows(mien__scene_set *set, table *t, char *text, mien_error *err)
{
    mien_status st = MIEN_OK;
    int row = 0;
    for (char *line; !st && (line = next_line(&text)) != NULL;) {
        row++;
        if (!*line || (row == 1 && strncmp(line, "path,face,", 10) == 0))
            continue;
        char *path = NULL;
        mien_face f;
        if (!take_path(&line, &path) || !take_face(line, &f))
            return mien__fail(err, MIEN_E_EVAL_DATA, "%s:%d: not a row of `mien detect --format csv`",
                              t->name, row);
        if (t->picture.path && strcmp(t->picture.path, path) != 0)
            st = finish_picture(set, t, err);
        t->picture.path = path;
        if (t->picture.n_faces < MAX_SOURCE_FACES)
            t->faces[t->picture.n_faces++] = f;
    }
    return st ? st : finish_picture(set, t, err);
}

mien_status mien__scene_set_read_text(mien__scene_set *set, char *text, const char *name, float min_score,
                                      size_t *ret_left_out, mien_error *err)
{
    table t = { .name = name, .min_score = min_score };
    const mien_status st = read_rows(set, &t, text, err);
    if (!st && ret_left_out)
        *ret_left_out = t.left_out;
    return st;
}

mien_status mien__scene_set_read_csv(mien__scene_set *set, const char *path, float min_score,
                                     size_t *ret_left_out, mien_error *err)
{
    mien__file_map file = { 0 };
    mien_status st = mien__file_read(&file, path, max_text_bytes, err);
    if (st)
        return st;
    char *const text = mien_strndup((const char *)(file.data ? file.data : (const uint8_t *)""), file.size);
    st = text ? mien__scene_set_read_text(set, text, path, min_score, ret_left_out, err)
              : mien__nomem(err, file.size);
    mien_free(text);
    mien__file_map_close(&file);
    return st;
}
