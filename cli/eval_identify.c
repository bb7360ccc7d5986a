/* Galleries to be judged; see eval_identify.h. A folder's people get the mean of their pictures' templates,
 * made unit again, and are searched by comparing with each; a store is searched as `mien identify` does.
 */
#include "eval_identify.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES = 20 };

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- a folder ---- */

static int open_folder(eval_gallery *g, const char *path, cli_kits *kits, bool aligned, bool quiet)
{
    const int rc = labelled_read(&g->people, path, true);
    if (rc != CLI_YES)
        return rc;
    labelled_embed(&g->people, kits, g->dim, aligned, quiet);
    const labelled_set *s = &g->people;
    g->templates = cli_alloc(s->n_people * g->dim, sizeof *g->templates);
    g->names = cli_alloc(s->n_people, sizeof *g->names);
    size_t i = 0;
    for (uint32_t p = 0; p < s->n_people; p++) {
        float *t = g->templates + g->n_people * g->dim;
        double length = 0;
        size_t n = 0;
        for (; i < s->files.n && s->person[i] == p; i++) {
            for (size_t k = 0; k < g->dim; k++)
                t[k] += s->vecs[i * g->dim + k];
            n += s->states[i] == LABELLED_EMBEDDED;
        }
        for (size_t k = 0; k < g->dim; k++)
            length += (double)t[k] * (double)t[k];
        for (size_t k = 0; k < g->dim && length > 0; k++)
            t[k] = (float)((double)t[k] / sqrt(length));
        if (n && length > 0)
            g->names[g->n_people++] = s->names[p];
        g->n_pictures += n;
    }
    return CLI_YES;
}

/* ---- a store ---- */

typedef struct walk {
    eval_gallery *g;
    size_t capacity;
} walk;

static int add_person(void *user, const mien_person *person)
{
    walk *w = user;
    eval_gallery *g = w->g;
    if (person->expired)
        return 0;
    if (g->n_people == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 256;
        g->names = cli_grow(g->names, w->capacity, sizeof *g->names);
        g->ids = cli_grow(g->ids, w->capacity, sizeof *g->ids);
    }
    g->names[g->n_people] = cli_strdup(person->name);
    g->ids[g->n_people++] = person->id;
    g->n_pictures += person->n_faces;
    return 0;
}

static int open_store(eval_gallery *g, const cli_gallery_common *base, const mien_model *embedder)
{
    mien_error err = MIEN_ERROR_INIT;
    walk w = { g, 0 };
    const cli_gallery_how how = { .mode = MIEN_GALLERY_READ, .embedder = embedder };
    const int rc = cli_gallery_open(base, base->gallery, &how, &g->store);
    if (rc != CLI_YES)
        return rc;
    return mien_gallery_people(g->store, NULL, 0, 0, add_person, &w, &err)
               ? cli_fail_path(base->gallery, &err)
               : CLI_YES;
}

int eval_gallery_open(eval_gallery *ret, const cli_gallery_common *base, const mien_model *embedder,
                      cli_kits *kits, bool aligned)
{
    *ret = (eval_gallery){ 0 };
    ret->dim = (size_t)mien_model_info_of(embedder)->embedding_len;
    int rc = cli_is_dir(base->gallery) ? open_folder(ret, base->gallery, kits, aligned, base->common.quiet)
                                       : open_store(ret, base, embedder);
    if (rc == CLI_YES && ret->n_people == 0) {
        cli_say_path(base->gallery, "nobody is in this gallery");
        rc = CLI_INPUT;
    }
    return rc;
}

void eval_gallery_free(eval_gallery *g)
{
    for (size_t i = 0; g->store && i < g->n_people; i++)
        free(g->names[i]);
    if (g->templates)
        explicit_bzero(g->templates, g->people.n_people * g->dim * sizeof *g->templates);
    free(g->templates);
    free(g->names);
    free(g->ids);
    mien_gallery_free(g->store);
    labelled_free(&g->people);
    *g = (eval_gallery){ 0 };
}

size_t eval_gallery_find(const eval_gallery *g, const char *name)
{
    if (!g->store) { /* folders come in the order of names */
        char *const *at = bsearch(&name, g->names, g->n_people, sizeof *g->names, by_name);
        return at ? (size_t)(at - g->names) : g->n_people;
    }
    for (size_t i = 0; i < g->n_people; i++)
        if (!strcmp(g->names[i], name))
            return i;
    return g->n_people;
}

static mien_status search_store(const eval_gallery *g, const float *probe, size_t right, eval_hit *ret,
                                mien_error *err)
{
    mien_candidate c[CANDIDATES];
    size_t n = 0;
    const mien_status st = mien_gallery_search(g->store, probe, 1, CANDIDATES, c, &n, err);
    if (st)
        return st;
    *ret = (eval_hit){ n ? c[0].similarity : -INFINITY, g->n_people, 0 };
    for (size_t i = 0; n && i < g->n_people; i++)
        if (g->ids[i] == c[0].person)
            ret->who = i;
    for (size_t i = 0; right < g->n_people && i < n && !ret->rank; i++)
        if (c[i].person == g->ids[right])
            ret->rank = (uint32_t)i + 1;
    return MIEN_OK;
}

mien_status eval_gallery_search(const eval_gallery *g, const float *probe, size_t right, eval_hit *ret,
                                mien_error *err)
{
    if (g->store)
        return search_store(g, probe, right, ret, err);
    const double own = right < g->n_people ? mien_cosine(probe, g->templates + right * g->dim, g->dim) : 0;
    *ret = (eval_hit){ -INFINITY, g->n_people, right < g->n_people };
    for (size_t i = 0; i < g->n_people; i++) {
        const double s = mien_cosine(probe, g->templates + i * g->dim, g->dim);
        if (s > ret->top) {
            ret->top = s;
            ret->who = i;
        }
        ret->rank += right < g->n_people && i != right && s > own;
    }
    return MIEN_OK;
}
