/* Groups from labels, how near their faces are to each other, and taking out those that are not.
 *
 * The mean cosine of face i to the other m - 1 of its group follows from the sum of their vectors, S: (v_i .
 * S - v_i . v_i) / (m - 1), in double. It must reach link + (pair - link) / (m - 1): the mean over many pairs
 * is a steadier witness than one pair, so the larger the group, the nearer the bar comes to the threshold of
 * a link. The farther half of those below the bar goes, then the means are taken again: who is left may be
 * nearer.
 */
#include "cluster/cluster.h"
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int32_t label;
    uint32_t face;
} entry;

static int by_label(const void *a, const void *b)
{
    const entry *const x = a, *const y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->face < y->face ? -1 : x->face > y->face;
}

mien_status mien__groups_of(const int32_t *labels, size_t n, mien__groups *ret, mien_error *err)
{
    mien__groups g = { mien_alloc_array(n, sizeof *g.items), 0, mien_alloc_array(n, sizeof *g.members) };
    entry *const entries = mien_alloc_array(n, sizeof *entries);
    if (!g.items || !g.members || !entries) {
        mien__groups_free(&g);
        mien_free(entries);
        return mien__nomem(err, n * sizeof *entries);
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] != MIEN_CLUSTER_NONE)
            entries[used++] = (entry){ labels[i], (uint32_t)i };
    }
    qsort(entries, used, sizeof *entries, by_label);
    for (size_t i = 0; i < used; i++) {
        if (!i || entries[i].label != entries[i - 1].label)
            g.items[g.n++] = (mien__group){ entries[i].label, i, 0 };
        g.items[g.n - 1].n++;
        g.members[i] = entries[i].face;
    }
    mien_free(entries);
    *ret = g;
    return MIEN_OK;
}

void mien__groups_free(mien__groups *g)
{
    mien_free(g->items);
    mien_free(g->members);
    *g = (mien__groups){ NULL, 0, NULL };
}

void mien__group_means(const mien__faces *f, const uint32_t *members, size_t n, double *sum,
                       double *ret_means)
{
    memset(sum, 0, f->dim * sizeof *sum);
    for (size_t m = 0; m < n; m++) {
        const float *const v = f->vecs + members[m] * f->dim;
        for (size_t i = 0; i < f->dim; i++)
            sum[i] += v[i];
    }
    for (size_t m = 0; m < n; m++) {
        const float *const v = f->vecs + members[m] * f->dim;
        double all = 0, self = 0;
        for (size_t i = 0; i < f->dim; i++) {
            all += v[i] * sum[i];
            self += (double)v[i] * v[i];
        }
        ret_means[m] = n > 1 ? (all - self) / (double)(n - 1) : 0;
    }
}

typedef struct member {
    double mean;
    uint32_t face;
} member;

static int farthest_first(const void *a, const void *b)
{
    const member *const x = a, *const y = b;
    if (x->mean < y->mean || x->mean > y->mean)
        return x->mean < y->mean ? -1 : 1;
    return x->face < y->face ? -1 : x->face > y->face;
}

typedef struct pruner {
    const mien__faces *f;
    const uint8_t *roles;
    double link, pair;
    double *sum, *means; /* [dim], [n] */
    member *below;       /* [n] */
} pruner;

/* One look at a group: marks who goes in `labels`, returns how many. */
static size_t look(const pruner *p, const uint32_t *members, size_t n, int32_t *labels)
{
    size_t n_below = 0;
    const double bar = p->link + (p->pair - p->link) / (double)(n > 2 ? n - 1 : 1);
    mien__group_means(p->f, members, n, p->sum, p->means);
    for (size_t m = 0; m < n; m++) {
        if (p->roles[members[m]] == MIEN__MOVES && !(p->means[m] >= bar))
            p->below[n_below++] = (member){ p->means[m], members[m] };
    }
    qsort(p->below, n_below, sizeof *p->below, farthest_first);
    n_below = n == 2 ? n_below : (n_below + 1) / 2;
    for (size_t m = 0; m < n_below; m++)
        labels[p->below[m].face] = MIEN_CLUSTER_NONE;
    return n_below;
}

mien_status mien__prune(const mien__faces *f, const uint8_t *roles, double link, double pair, int32_t *labels,
                        mien_error *err)
{
    mien__groups g = { NULL, 0, NULL };
    pruner p = { f,
                 roles,
                 link,
                 pair,
                 mien_alloc_array(f->dim, sizeof *p.sum),
                 mien_alloc_array(f->n, sizeof *p.means),
                 mien_alloc_array(f->n, sizeof *p.below) };
    mien_status st = p.sum && p.means && p.below ? mien__groups_of(labels, f->n, &g, err)
                                                 : mien__nomem(err, f->n * sizeof *p.below);
    for (size_t i = 0; i < g.n && !st; i++) {
        uint32_t *const members = g.members + g.items[i].first;
        size_t n = g.items[i].n;
        while (n > 1 && look(&p, members, n, labels)) {
            size_t left = 0;
            for (size_t m = 0; m < n; m++) {
                if (labels[members[m]] != MIEN_CLUSTER_NONE)
                    members[left++] = members[m];
            }
            n = left;
        }
    }
    mien__groups_free(&g);
    if (p.sum)
        mien_free_secret(p.sum, f->dim * sizeof *p.sum); /* what a template is made of */
    mien_free(p.means);
    mien_free(p.below);
    return st;
}
