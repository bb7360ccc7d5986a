/* mien_cluster(): checks, an order that does not depend on the caller's, rounds, results.
 *
 * The faces are sorted by a digest of their vectors first; all steps run in that order. So the groups do not
 * depend on the order of the files, and only faces with the very same vector could be told apart by it.
 *
 * Round 1: all free faces whisper, the fixed ones pull. What does not stand (prune, groups too small)
 * whispers again among itself, over stronger links alone, so that people whom weak links had glued are both
 * found; until a round finds nothing.
 */
#include "cluster/cluster.h"
#include <math.h>
#include <mien/model.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 12, MAX_DIM = 8192, MAX_FIXED = 16000000, MAX_NEIGHBOURS = 512 };
/* Chosen on people of a tuning set, docs/cluster.md. */
static const double TIGHTEN = 0.5, LINK_FMR = 2e-3, PAIR_FMR = 1e-4, FALSE_PARTNERS = 0.2;
static const double NORM_TOLERANCE = 1e-3;

/* ---- checks ---- */

static mien_status check_opts(const mien_cluster_opts *o, mien_error *err)
{
    if (o->struct_size != sizeof *o)
        return mien__fail(err, MIEN_E_ARG, "grouping: options of another version of the library");
    if (!(o->link > -1 && o->link <= o->pair && o->pair <= 1))
        return mien__fail(err, MIEN_E_ARG,
                          "grouping: thresholds %g (link) and %g (pair) are not -1 < link <= pair <= 1",
                          o->link, o->pair);
    if (o->first_group < 0 || o->first_group > MAX_FIXED)
        return mien__fail(err, MIEN_E_ARG, "grouping: first new group %ld", (long)o->first_group);
    if (o->min_faces < 1)
        return mien__fail(err, MIEN_E_ARG, "grouping: groups of at least %d faces", o->min_faces);
    if (o->neighbours < 1 || o->neighbours > MAX_NEIGHBOURS)
        return mien__fail(err, MIEN_E_ARG, "grouping: %d neighbours a face, must be 1..%d", o->neighbours,
                          MAX_NEIGHBOURS);
    return MIEN_OK;
}

static mien_status check_vectors(const mien_cluster_input *in, mien_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        double sum = 0;
        for (size_t k = 0; k < in->dim; k++)
            sum += (double)in->vecs[i * in->dim + k] * in->vecs[i * in->dim + k];
        if (!(fabs(sqrt(sum) - 1) <= NORM_TOLERANCE))
            return mien__fail(err, MIEN_E_ARG, "grouping: vector %zu is not finite and of unit length", i);
    }
    return MIEN_OK;
}

static mien_status check(const mien_cluster_input *in, const mien_cluster_opts *o, const void *ret,
                         mien_error *err)
{
    if (!in || !o)
        return mien__fail(err, MIEN_E_ARG, "grouping: a pointer is NULL");
    const mien_status st = check_opts(o, err);
    if (st)
        return st;
    if (in->n && (!in->vecs || !ret || !in->dim || in->dim > MAX_DIM))
        return mien__fail(err, MIEN_E_ARG, "grouping: vectors or result are NULL, or not of 1..%d numbers",
                          MAX_DIM);
    if (in->n > MIEN_CLUSTER_MAX_FACES)
        return mien__fail(err, MIEN_E_LIMIT, "grouping: %zu faces, at most %d at once", in->n,
                          MIEN_CLUSTER_MAX_FACES);
    for (size_t i = 0; in->fixed && i < in->n; i++) {
        if (in->fixed[i] < MIEN_CLUSTER_NONE || in->fixed[i] >= MAX_FIXED)
            return mien__fail(err, MIEN_E_ARG, "grouping: face %zu is fixed to group %ld", i,
                              (long)in->fixed[i]);
    }
    if (in->n_nots && !in->nots)
        return mien__fail(err, MIEN_E_ARG, "grouping: the exclusions are NULL");
    for (size_t i = 0; i < in->n_nots; i++) {
        if (in->nots[i].face >= in->n || in->nots[i].group < 0)
            return mien__fail(err, MIEN_E_ARG, "grouping: exclusion %zu names face %zu and group %ld", i,
                              in->nots[i].face, (long)in->nots[i].group);
    }
    return check_vectors(in, err);
}

/* ---- the order ---- */

typedef struct key {
    uint64_t digest, picture;
    size_t index;
    const float *vec;
    size_t bytes;
} key;

static uint64_t digest_of(const float *vec, size_t dim)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &vec[i], sizeof bits);
        h = (h ^ bits) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

static int by_key(const void *a, const void *b)
{
    const key *const x = a, *const y = b;
    if (x->digest != y->digest)
        return x->digest < y->digest ? -1 : 1;
    const int order = memcmp(x->vec, y->vec, x->bytes);
    if (order)
        return order;
    if (x->picture != y->picture)
        return x->picture < y->picture ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static mien_status sort_faces(mien__cluster_job *j, const mien_cluster_input *in, mien_error *err)
{
    key *const keys = mien_alloc_array(in->n, sizeof *keys);
    if (!keys)
        return mien__nomem(err, in->n * sizeof *keys);
    for (size_t i = 0; i < in->n; i++) {
        const float *const v = in->vecs + i * in->dim;
        keys[i] =
            (key){ digest_of(v, in->dim), in->pictures ? in->pictures[i] : 0, i, v, in->dim * sizeof *v };
    }
    qsort(keys, in->n, sizeof *keys, by_key);
    for (size_t i = 0; i < in->n; i++) {
        j->index[i] = keys[i].index;
        j->pictures[i] = keys[i].picture;
        j->fixed[i] = in->fixed ? in->fixed[keys[i].index] : MIEN_CLUSTER_NONE;
        memcpy(j->vecs + i * in->dim, keys[i].vec, keys[i].bytes);
    }
    mien_free(keys);
    return MIEN_OK;
}

/* ---- constraints by face ---- */

typedef struct pair_of {
    uint64_t picture;
    uint32_t face;
} pair_of;

static int by_picture(const void *a, const void *b)
{
    const pair_of *const x = a, *const y = b;
    if (x->picture != y->picture)
        return x->picture < y->picture ? -1 : 1;
    return x->face < y->face ? -1 : x->face > y->face;
}

/* The faces sorted by picture; each face knows the stretch of its own. */
static mien_status list_mates(mien__cluster_job *j, mien_error *err)
{
    const size_t n = j->f.n;
    pair_of *const pairs = mien_alloc_array(n, sizeof *pairs);
    if (!pairs)
        return mien__nomem(err, n * sizeof *pairs);
    for (size_t i = 0; i < n; i++)
        pairs[i] = (pair_of){ j->pictures[i], (uint32_t)i };
    qsort(pairs, n, sizeof *pairs, by_picture);
    for (size_t a = 0, b = 0; a < n; a = b) {
        for (b = a; b < n && pairs[b].picture == pairs[a].picture; b++)
            j->mates[b] = pairs[b].face;
        for (size_t i = a; i < b; i++) {
            j->mate_start[pairs[i].face] = a;
            j->mate_end[pairs[i].face] = pairs[i].picture ? b : a;
        }
    }
    mien_free(pairs);
    return MIEN_OK;
}

static mien_status list_nots(mien__cluster_job *j, const mien_cluster_input *in, mien_error *err)
{
    const size_t n = j->f.n;
    size_t *const place = mien_alloc_array(n, sizeof *place); /* of the caller's faces */
    j->nots = mien_alloc_array(in->n_nots, sizeof *j->nots);
    if (!place || !j->nots) {
        mien_free(place);
        return mien__nomem(err, n * sizeof *place);
    }
    for (size_t i = 0; i < n; i++)
        place[j->index[i]] = i;
    for (size_t q = 0; q < in->n_nots; q++)
        j->not_start[place[in->nots[q].face] + 1]++;
    for (size_t i = 0; i < n; i++)
        j->not_start[i + 1] += j->not_start[i];
    for (size_t q = 0; q < in->n_nots; q++) /* fills each list from its end, moving the start down ... */
        j->nots[--j->not_start[place[in->nots[q].face] + 1]] = in->nots[q].group;
    for (size_t i = 0; i < n; i++) /* ... so that each list now begins where the next entry says */
        j->not_start[i] = j->not_start[i + 1];
    j->not_start[n] = in->n_nots;
    mien_free(place);
    return MIEN_OK;
}

static mien_status job_open(mien__cluster_job *j, const mien_cluster_input *in, int32_t first_group,
                            mien_error *err)
{
    const size_t n = in->n;
    size_t floats = 0;
    *j = (mien__cluster_job){ .f = { .n = n, .dim = in->dim }, .n_groups = first_group };
    if (!mien_mul_ok(n, in->dim, &floats))
        return mien__nomem(err, n);
    j->index = mien_alloc_array(n, sizeof *j->index);
    j->vecs = mien_alloc_array(floats, sizeof *j->vecs);
    j->pictures = mien_alloc_array(n, sizeof *j->pictures);
    j->fixed = mien_alloc_array(n, sizeof *j->fixed);
    j->labels = mien_alloc_array(n, sizeof *j->labels);
    j->groups = mien_alloc_array(n, sizeof *j->groups);
    j->roles = mien_alloc_array(n, sizeof *j->roles);
    j->mates = mien_alloc_array(n, sizeof *j->mates);
    j->mate_start = mien_alloc_array(n, sizeof *j->mate_start);
    j->mate_end = mien_alloc_array(n, sizeof *j->mate_end);
    j->not_start = mien_alloc_array_zero(n + 1, sizeof *j->not_start);
    if (!j->index || !j->vecs || !j->pictures || !j->fixed || !j->labels || !j->groups || !j->roles ||
        !j->mates || !j->mate_start || !j->mate_end || !j->not_start)
        return mien__nomem(err, floats * sizeof *j->vecs);
    mien_status st = sort_faces(j, in, err);
    if (!st)
        st = list_mates(j, err);
    if (!st)
        st = list_nots(j, in, err);
    for (size_t i = 0; i < n && !st; i++) {
        j->groups[i] = j->fixed[i];
        if (j->fixed[i] >= j->n_groups)
            j->n_groups = j->fixed[i] + 1;
    }
    j->f = (mien__faces){ n,           in->dim, j->vecs,      j->pictures, j->fixed, j->mates, j->mate_start,
                          j->mate_end, j->nots, j->not_start, j->n_groups };
    return st;
}

static void job_close(mien__cluster_job *j)
{
    if (j->vecs)
        mien_free_secret(j->vecs, j->f.n * j->f.dim * sizeof *j->vecs);
    mien_free(j->index);
    mien_free(j->pictures);
    mien_free(j->fixed);
    mien_free(j->labels);
    mien_free(j->groups);
    mien_free(j->roles);
    mien_free(j->mates);
    mien_free(j->mate_start);
    mien_free(j->mate_end);
    mien_free(j->nots);
    mien_free(j->not_start);
}

/* ---- rounds ---- */

/* Keep what a round found; *ret_found new groups. */
static mien_status settle(mien__cluster_job *j, int min_faces, size_t *ret_found, mien_error *err)
{
    mien__groups g;
    const mien_status st = mien__groups_of(j->labels, j->f.n, &g, err);
    if (st)
        return st;
    *ret_found = 0;
    for (size_t q = 0; q < g.n; q++) {
        const bool is_new = g.items[q].label >= j->f.n_fixed;
        if (is_new && g.items[q].n < (size_t)min_faces)
            continue;
        const int32_t group = is_new ? j->n_groups++ : g.items[q].label;
        for (size_t m = 0; m < g.items[q].n; m++)
            j->groups[g.members[g.items[q].first + m]] = group;
        *ret_found += is_new;
    }
    mien__groups_free(&g);
    return MIEN_OK;
}

static mien_status run_rounds(mien__cluster_job *j, const mien__links *links, const mien_cluster_opts *o,
                              mien_error *err)
{
    mien_status st = MIEN_OK;
    size_t found = 1;
    for (uint64_t round = 0; round < MAX_ROUNDS && found && !st; round++) {
        for (size_t i = 0; i < j->f.n; i++) {
            const bool is_free = j->groups[i] == MIEN_CLUSTER_NONE;
            j->roles[i] = is_free ? MIEN__MOVES : round == 0 ? MIEN__HELD : MIEN__OUT;
            j->labels[i] = is_free || round ? MIEN_CLUSTER_NONE : j->groups[i];
        }
        const double tighter = fmin(1, (double)round * TIGHTEN);
        st = mien__whisper(&j->f, links, j->roles, o->link + (o->pair - o->link) * tighter, o->pair,
                           o->seed + round, j->labels, err);
        if (!st)
            st = mien__prune(&j->f, j->roles, o->link, o->pair, j->labels, err);
        if (!st)
            st = settle(j, o->min_faces, &found, err);
    }
    return st;
}

mien_status mien_cluster(const mien_cluster_input *in, const mien_cluster_opts *o,
                         mien_cluster_face *ret_faces, int32_t *ret_n_groups, mien_error *err)
{
    mien_status st = check(in, o, ret_faces, err);
    if (st)
        return st;
    if (in->n == 0) {
        if (ret_n_groups)
            *ret_n_groups = o->first_group;
        return MIEN_OK;
    }
    mien__cluster_job j;
    mien__links links = { NULL, NULL, NULL };
    mien__pool *pool = NULL;
    st = job_open(&j, in, o->first_group, err);
    if (!st)
        st = mien__pool_new(&pool, o->threads, err);
    if (!st)
        st = mien__links_find(&j.f, o->neighbours, (float)o->link, pool, o->progress, o->user, &links, err);
    if (!st)
        st = run_rounds(&j, &links, o, err);
    if (!st)
        st = mien__cluster_renumber(&j, err);
    if (!st)
        st = mien__cluster_results(&j, &links, in, o, ret_faces, err);
    if (!st && ret_n_groups)
        *ret_n_groups = j.n_groups;
    mien__links_free(&links);
    mien__pool_free(pool);
    job_close(&j);
    return st;
}

mien_status mien_cluster_thresholds(const struct mien_model *model, size_t n, double pair_fmr,
                                    double link_fmr, double *ret_link, double *ret_pair, mien_error *err)
{
    if (!model || !ret_link || !ret_pair)
        return mien__fail(err, MIEN_E_ARG, "grouping: a pointer is NULL");
    const mien_model_info *const info = mien_model_info_of(model);
    if (info->n_points == 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "model '%.80s' has not been calibrated: give thresholds",
                          info->name);
    const double least = info->points[0].fmr, most = info->points[info->n_points - 1].fmr;
    double wanted = fmin(PAIR_FMR, FALSE_PARTNERS / (double)(n ? n : 1)), pair = 0, link = 0;
    wanted = pair_fmr > 0 ? pair_fmr : fmin(most, fmax(least, wanted));
    mien_status st = mien_model_threshold(model, wanted, &pair, err);
    if (!st)
        st = mien_model_threshold(model, link_fmr > 0 ? link_fmr : fmin(most, fmax(least, LINK_FMR)), &link,
                                  err);
    if (st)
        return st;
    *ret_link = fmin(link, pair);
    *ret_pair = pair;
    return MIEN_OK;
}
