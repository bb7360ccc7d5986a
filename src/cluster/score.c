/* How well groups match known people: B-cubed and pairwise precision and recall.
 *
 * B-cubed (Bagga, Baldwin 1998; why it is to be preferred: Amigo et al. 2009): for each face the share of its
 * group that is of its person, and the share of its person that is in its group, each averaged over faces.
 * Pairwise: over all pairs of faces of one group, or of one person. Large groups weigh by their square there.
 * Both follow from the sizes of groups, of people and of their intersections: for an intersection of c faces
 * of a group of g, c * c / g. F1 is the harmonic mean.
 */
#include "cluster/cluster.h"
#include <stdlib.h>

typedef struct cell {
    int64_t group;
    int32_t person;
} cell;

static int by_person(const void *a, const void *b)
{
    const cell *const x = a, *const y = b;
    if (x->person != y->person)
        return x->person < y->person ? -1 : 1;
    return x->group < y->group ? -1 : x->group > y->group;
}

static int by_group(const void *a, const void *b)
{
    const cell *const x = a, *const y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->person < y->person ? -1 : x->person > y->person;
}

static bool same(const cell *a, const cell *b, bool group)
{
    return group ? a->group == b->group : a->person == b->person;
}

typedef struct tally {
    double share; /* sum over intersections of c * c / size of the whole */
    double pairs; /* within wholes */
    double both;  /* pairs within intersections */
    size_t wholes;
} tally;

/* Cells sorted so that wholes, and within them intersections, lie together. */
static tally count(const cell *cells, size_t n, bool group)
{
    tally t = { 0, 0, 0, 0 };
    for (size_t a = 0, b = 0; a < n; a = b) {
        for (b = a + 1; b < n && same(&cells[a], &cells[b], group);)
            b++;
        const double size = (double)(b - a);
        t.wholes++;
        t.pairs += size * (size - 1) / 2;
        for (size_t c = a, d = a; c < b; c = d) {
            for (d = c + 1; d < b && same(&cells[c], &cells[d], !group);)
                d++;
            const double part = (double)(d - c);
            t.share += part * part / size;
            t.both += part * (part - 1) / 2;
        }
    }
    return t;
}

static double f1(double precision, double recall)
{
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

mien_status mien_cluster_score(const int32_t *groups, const int32_t *people, size_t n,
                               mien_cluster_scores *ret, mien_error *err)
{
    if (!groups || !people || !ret)
        return mien__fail(err, MIEN_E_ARG, "judging groups: a pointer is NULL");
    if (n == 0)
        return mien__fail(err, MIEN_E_EVAL_DATA, "judging groups: no faces");
    cell *const cells = mien_alloc_array(n, sizeof *cells);
    if (!cells)
        return mien__nomem(err, n * sizeof *cells);
    for (size_t i = 0; i < n; i++)
        cells[i] = (cell){ groups[i] == MIEN_CLUSTER_NONE ? -1 - (int64_t)i : groups[i], people[i] };
    qsort(cells, n, sizeof *cells, by_group);
    const tally of_groups = count(cells, n, true);
    qsort(cells, n, sizeof *cells, by_person);
    const tally of_people = count(cells, n, false);
    mien_free(cells);
    mien_cluster_scores s = { .n_faces = n, .n_people = of_people.wholes, .n_groups = of_groups.wholes };
    s.b_precision = of_groups.share / (double)n;
    s.b_recall = of_people.share / (double)n;
    s.b_f1 = f1(s.b_precision, s.b_recall);
    s.pair_precision = of_groups.pairs > 0 ? of_groups.both / of_groups.pairs : 1;
    s.pair_recall = of_people.pairs > 0 ? of_people.both / of_people.pairs : 1;
    s.pair_f1 = f1(s.pair_precision, s.pair_recall);
    *ret = s;
    return MIEN_OK;
}
