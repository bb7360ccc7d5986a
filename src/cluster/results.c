/* What comes out of grouping: numbers of groups, how firmly each face belongs to its own, who represents it.
 *
 * The similarity of a face is its mean cosine to the others of its group. Its confidence is the share of its
 * links, each by its excess over the threshold, that lead into the group, times how far the similarity has
 * come from `link` to `pair`: low for a face between two groups, and for one at the edge of a loose group.
 */
#include "cluster/cluster.h"
#include <stdlib.h>

typedef struct rank {
    int32_t group;
    size_t n, first; /* faces, and the caller's lowest number among them */
} rank;

static int largest_first(const void *a, const void *b)
{
    const rank *const x = a, *const y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

mien_status mien__cluster_renumber(mien__cluster_job *j, mien_error *err)
{
    const size_t n_new = (size_t)(j->n_groups - j->f.n_fixed);
    rank *const ranks = mien_alloc_array(n_new, sizeof *ranks);
    int32_t *const number = mien_alloc_array(n_new, sizeof *number);
    if (ranks && number) {
        for (size_t q = 0; q < n_new; q++)
            ranks[q] = (rank){ (int32_t)q, 0, SIZE_MAX };
        for (size_t i = 0; i < j->f.n; i++) {
            if (j->groups[i] < j->f.n_fixed)
                continue;
            rank *const r = &ranks[j->groups[i] - j->f.n_fixed];
            r->n++;
            r->first = j->index[i] < r->first ? j->index[i] : r->first;
        }
        qsort(ranks, n_new, sizeof *ranks, largest_first);
        for (size_t q = 0; q < n_new; q++)
            number[ranks[q].group] = j->f.n_fixed + (int32_t)q;
        for (size_t i = 0; i < j->f.n; i++) {
            if (j->groups[i] >= j->f.n_fixed)
                j->groups[i] = number[j->groups[i] - j->f.n_fixed];
        }
    }
    const bool ok = ranks && number;
    mien_free(ranks);
    mien_free(number);
    return ok ? MIEN_OK : mien__nomem(err, n_new * sizeof(rank));
}

/* The share of a face's links, by excess, that lead into its group, times how far its mean cosine has come
 * from `link` to `pair`. */
static float confidence_of(const mien__cluster_job *j, const mien__links *links, const mien_cluster_opts *o,
                           size_t i, double mean)
{
    double own = 0, all = 0;
    for (size_t q = links->start[i]; q < links->start[i + 1]; q++) {
        const double excess = links->similarity[q] - o->link;
        if (!(excess > 0))
            continue;
        all += excess;
        if (j->groups[links->to[q]] == j->groups[i])
            own += excess;
    }
    const double share = all > 0 ? own / all : 1;
    const double depth = o->pair > o->link ? (mean - o->link) / (o->pair - o->link) : mean >= o->link;
    return (float)(share * (depth < 0 ? 0 : depth > 1 ? 1 : depth));
}

typedef struct candidate {
    double mean, quality;
    size_t index;
} candidate;

static int nearest_first(const void *a, const void *b)
{
    const candidate *const x = a, *const y = b;
    if (x->mean > y->mean || x->mean < y->mean)
        return x->mean > y->mean ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The best picture among the half that is nearest to the rest; without qualities the nearest face. */
static size_t representative(candidate *c, size_t n, bool by_quality)
{
    qsort(c, n, sizeof *c, nearest_first);
    size_t best = 0;
    for (size_t i = 1; by_quality && i < (n + 1) / 2; i++) {
        if (c[i].quality > c[best].quality)
            best = i;
    }
    return c[best].index;
}

mien_status mien__cluster_results(const mien__cluster_job *j, const mien__links *links,
                                  const mien_cluster_input *in, const mien_cluster_opts *o,
                                  mien_cluster_face *ret, mien_error *err)
{
    mien__groups g = { NULL, 0, NULL };
    double *const sum = mien_alloc_array(j->f.dim, sizeof *sum), *const means =
                                                                     mien_alloc_array(j->f.n, sizeof *means);
    candidate *const candidates = mien_alloc_array(j->f.n, sizeof *candidates);
    mien_status st = sum && means && candidates ? mien__groups_of(j->groups, j->f.n, &g, err)
                                                : mien__nomem(err, j->f.n * sizeof *candidates);
    for (size_t i = 0; i < j->f.n && !st; i++)
        ret[i] = (mien_cluster_face){ MIEN_CLUSTER_NONE, 0, 0, 0 };
    for (size_t q = 0; q < g.n && !st; q++) {
        const uint32_t *const members = g.members + g.items[q].first;
        const size_t n = g.items[q].n;
        size_t n_candidates = 0;
        mien__group_means(&j->f, members, n, sum, means);
        for (size_t m = 0; m < n; m++) {
            const size_t index = j->index[members[m]];
            ret[index].group = g.items[q].label;
            ret[index].similarity = (float)means[m];
            ret[index].confidence = n > 1 ? confidence_of(j, links, o, members[m], means[m]) : 0;
        }
        for (int pass = 0; pass < 2 && !n_candidates; pass++) { /* those of no picture if there is no other */
            for (size_t m = 0; m < n; m++) {
                const size_t index = j->index[members[m]];
                if (pass || j->pictures[members[m]])
                    candidates[n_candidates++] =
                        (candidate){ means[m], in->quality ? (double)in->quality[index] : 0, index };
            }
        }
        ret[representative(candidates, n_candidates, in->quality != NULL)].representative = 1;
    }
    mien__groups_free(&g);
    if (sum)
        mien_free_secret(sum, j->f.dim * sizeof *sum);
    mien_free(means);
    mien_free(candidates);
    return st;
}
