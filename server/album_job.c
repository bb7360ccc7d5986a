/* POST /v1/cluster: the faces of a set that are in no group are grouped (docs/cluster.md has the method). With a collection,
 * groups take the names of the people who are enrolled there. Folders that name people can judge the result: of each picture
 * the most central face is held against its folder.
 */
#include "album.h"
#include "jobs.h"
#include "see.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stranger's two faces must not stand for a group at a rate that links faces already. */
static const double LEAST_FMR = 1e-9, MOST_FMR = 2e-3;

/* ---- people of a collection ---- */

typedef struct known {
    mien_album_person *people; /* names owned */
    int64_t *ids;
    float *vecs; /* [n][dim]; wiped */
    size_t n, capacity, dim;
    bool short_of_memory;
} known;

static int note_person(void *user, const mien_person *p)
{
    known *k = user;
    if (p->expired || !p->n_faces)
        return 0;
    if (k->n == k->capacity) {
        const size_t more = k->capacity ? 2 * k->capacity : 64;
        mien_album_person *people = realloc(k->people, more * sizeof *people);
        if (people)
            k->people = people;
        int64_t *ids = people ? realloc(k->ids, more * sizeof *ids) : NULL;
        if (!ids)
            return k->short_of_memory = true;
        k->ids = ids;
        k->capacity = more;
    }
    char *name = strdup(p->name);
    if (!name)
        return k->short_of_memory = true;
    k->ids[k->n] = p->id;
    k->people[k->n++] = (mien_album_person){ name, NULL };
    return 0;
}

static void known_free(known *k)
{
    if (k->vecs)
        sodium_memzero(k->vecs, k->n * k->dim * sizeof *k->vecs);
    free(k->vecs);
    for (size_t i = 0; i < k->n; i++)
        free((char *)(uintptr_t)k->people[i].name);
    free(k->people);
    free(k->ids);
}

static mien_status known_read(job *j, const char *collection, known *k, mien_error *err)
{
    char actor[64];
    mien_gallery *g = NULL;
    snprintf(actor, sizeof actor, "key %lld job", (long long)job_key(j)->id);
    mien_status st = collection_open(job_server(j), collection, actor, &g, err);
    if (!st)
        st = mien_gallery_people(g, NULL, 0, 0, note_person, k, err);
    if (!st && (k->short_of_memory || !(k->vecs = calloc(k->n + 1, k->dim * sizeof *k->vecs)))) {
        *err = (mien_error){ .status = st = MIEN_E_NOMEM, .message = "out of memory" };
    }
    for (size_t i = 0; i < k->n && !st; i++) {
        k->people[i].vec = k->vecs + i * k->dim;
        st = mien_gallery_template(g, k->ids[i], k->vecs + i * k->dim, err);
    }
    mien_gallery_free(g);
    return st;
}

/* ---- judging ---- */

typedef struct truth {
    int64_t face;
    int32_t person;
} truth;

static int by_face(const void *a, const void *b)
{
    const truth *p = a, *q = b;
    return (p->face > q->face) - (p->face < q->face);
}

static json_t *scores_json(const mien_cluster_scores *s)
{
    return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "n_faces", (json_int_t)s->n_faces, "n_people",
                     (json_int_t)s->n_people, "n_groups", (json_int_t)s->n_groups, "b_precision",
                     rounded(s->b_precision, 4), "b_recall", rounded(s->b_recall, 4), "b_f1", rounded(s->b_f1, 4),
                     "pair_precision", rounded(s->pair_precision, 4), "pair_recall", rounded(s->pair_recall, 4),
                     "pair_f1", rounded(s->pair_f1, 4));
}

/* Hold the groups of the chosen faces against their folders; null where no picture lies in one. */
static mien_status judge(mien_album *album, const mien_album_list *list, size_t dim, json_t **ret, mien_error *err)
{
    set_people people;
    mien_cluster_scores scores;
    size_t n = 0, m = 0;
    mien_status st = set_people_new(album, dim, &people, err);
    if (st)
        return st;
    truth *all = calloc(people.n + 1, sizeof *all);
    int32_t *who = calloc(people.n + 1, sizeof *who), *found = calloc(people.n + 1, sizeof *found);
    if (!all || !who || !found)
        *err = (mien_error){ .status = st = MIEN_E_NOMEM, .message = "out of memory" };
    for (size_t i = 0; !st && i < people.n; i++)
        if (people.pictures[i].face && people.pictures[i].person >= 0)
            all[n++] = (truth){ people.pictures[i].face, people.pictures[i].person };
    if (!st)
        qsort(all, n, sizeof *all, by_face);
    size_t grouped = 0;
    for (size_t g = 0; g < list->n_groups; g++)
        grouped += list->groups[g].n;
    for (size_t i = 0, g = 0; !st && i < list->n_faces; i++) {
        const truth key = { list->faces[i].id, 0 };
        while (g < list->n_groups && i >= list->groups[g].first + list->groups[g].n)
            g++;
        const truth *t = bsearch(&key, all, n, sizeof *all, by_face);
        if (t) {
            who[m] = t->person;
            found[m++] = i < grouped ? (int32_t)g : MIEN_CLUSTER_NONE;
        }
    }
    *ret = NULL;
    if (!st && m)
        st = mien_cluster_score(found, who, m, &scores, err);
    if (!st)
        *ret = m ? scores_json(&scores) : json_null();
    free(all);
    free(who);
    free(found);
    set_people_free(&people);
    return st;
}

/* ---- the job ---- */

static int progress(uint64_t done, uint64_t total, void *user)
{
    job_say(user, "grouping", done, total, NULL);
    return job_stopped(user);
}

static json_t *result_json(const mien_album_list *list, const mien_cluster_opts *o, const mien_album_grouped *g)
{
    size_t named = 0, grouped = 0, groups = 0;
    for (size_t i = 0; i < list->n_groups; i++) {
        groups += list->groups[i].n > 0;
        named += list->groups[i].n > 0 && list->groups[i].name[0];
        grouped += list->groups[i].n;
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "groups", (json_int_t)groups, "named", (json_int_t)named,
                     "faces", (json_int_t)list->n_faces, "ungrouped", (json_int_t)(list->n_faces - grouped), "joined",
                     (json_int_t)g->n_joined, "new_groups", (json_int_t)g->n_new, "link", rounded(o->link, 6), "pair",
                     rounded(o->pair, 6));
}

static mien_status group(job *j, mien_album *album, const known *k, json_t **ret, mien_error *err)
{
    const json_t *args = job_args(j);
    const mien_model *model = job_server(j)->embed;
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    mien_album_grouped grouped = { 0, 0 };
    mien_album_list *list = NULL;
    json_t *scores = NULL;
    size_t n = 0, loose = 0;
    o.progress = progress;
    o.user = j;
    mien_status st = mien_album_count(album, &n, &loose, err);
    if (!st)
        st = mien_cluster_thresholds(model, n + k->n, json_number_value(json_object_get(args, "pair_fmr")), 0, &o.link,
                                     &o.pair, err);
    job_say(j, "grouping", 0, n, NULL);
    if (!st)
        st = mien_album_group(album, &o, k->people, k->n, json_is_true(json_object_get(args, "anew")), &grouped, err);
    if (!st)
        st = mien_album_list_new(album, &list, err);
    if (!st && json_is_true(json_object_get(args, "judge"))) {
        job_say(j, "judging", 0, 0, NULL);
        st = judge(album, list, k->dim, &scores, err);
    }
    if (!st) {
        *ret = result_json(list, &o, &grouped);
        if (scores)
            json_object_set_new(*ret, "scores", scores);
    }
    mien_album_list_free(list);
    return st;
}

static mien_status run(job *j, json_t **ret_result, mien_error *err)
{
    const json_t *args = job_args(j);
    const char *collection = json_string_value(json_object_get(args, "collection"));
    known k = { .dim = (size_t)mien_model_info_of(job_server(j)->embed)->embedding_len };
    mien_album *album = NULL;
    job_say(j, "opening", 0, 0, NULL);
    mien_status st = set_open(job_server(j), job_key(j), json_string_value(json_object_get(args, "set")), &album, NULL, err);
    if (!st && collection)
        st = known_read(j, collection, &k, err);
    if (!st)
        st = group(j, album, &k, ret_result, err);
    known_free(&k);
    mien_album_free(album);
    return st;
}

/* ---- taking it in ---- */

typedef struct wanted {
    const char *name;
    bool found;
} wanted;

static void compare(void *ctx, const char *name)
{
    wanted *w = ctx;
    w->found |= !strcmp(name, w->name);
}

/* The collection whose people lend their names, and whether the key may read it; NULL is fine. false: answered. */
static bool collection_ok(api_call *c, const char *name)
{
    wanted w = { name, false };
    if (!name)
        return true;
    if (!key_allows(&c->key, KEY_READ, name)) {
        api_fail(c, 403, "NOT_ALLOWED", "names of people take the scope 'read' on their collection");
        return false;
    }
    collections_each(c->server, compare, &w);
    if (!w.found)
        api_fail(c, 404, "NO_COLLECTION", "there is no collection of this name");
    return w.found;
}

static bool flag(api_call *c, const char *name, bool *ret)
{
    const json_t *v = json_object_get(c->json, name);
    *ret = json_is_true(v);
    if (!v || json_is_boolean(v))
        return true;
    api_fail(c, 400, "BAD_ARGUMENT", "%s is true or false", name);
    return false;
}

void album_run_cluster(api_call *c)
{
    double fmr = 0;
    bool anew = false, judged = false;
    set_info info;
    const char *set = json_string_value(json_object_get(c->json, "set"));
    const char *collection = json_string_value(json_object_get(c->json, "collection"));
    if (!api_arg_real(c, "pair_fmr", LEAST_FMR, MOST_FMR, 0, &fmr) || !flag(c, "anew", &anew) ||
        !flag(c, "judge", &judged))
        return;
    if (!set)
        api_fail(c, 400, "BAD_ARGUMENT", "say which set to group: {\"set\":\"its id\"}");
    else if (!set_find(c->server, &c->key, set, &info))
        api_fail(c, 404, "NOT_FOUND", "there is no such set, or its time was over");
    else if (collection_ok(c, collection))
        job_take(c, "cluster", run,
                 json_pack("{s:s,s:f,s:b,s:b,s:s?}", "set", info.id, "pair_fmr", fmr, "anew", anew, "judge", judged,
                           "collection", collection));
}
