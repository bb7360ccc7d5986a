/* Chinese whispers (Biemann 2006, "Chinese whispers: an efficient graph clustering algorithm") with
 * constraints.
 *
 * Every face begins with a label of its own. In each pass the faces are visited in a random order (of a
 * seed), and each takes the label that the links to its neighbours pull to hardest. Labels spread through
 * dense regions and stop where links are few. A link pulls with the excess of its cosine over the threshold,
 * s - t: with s itself, as is usual, a face in a crowd of weak links is carried off by their number, and the
 * threshold has to be so high that people fall apart (docs/cluster.md has the figures).
 *
 * Fixed groups begin: over firm links their labels spread before the free faces have labels to spread, for
 * else a small fixed group, such as the one picture of a known person, loses every face to the crowd of its
 * equals.
 *
 * The threshold is lowered in stages, labels kept: groups have a firm core before weak links count.
 *
 * Constraints hold at every moment: a label is held by at most one face of a picture. A face that is pulled
 * to a label which another face of its picture holds takes it only if it is pulled harder than that one,
 * which then starts anew with a label of its own. Labels that a face must not have are never taken.
 */
#include "cluster/cluster.h"
#include <string.h>

enum { STAGES = 3, MAX_PASSES = 30 };

typedef struct whisper {
    const mien__faces *f;
    const mien__links *links;
    const uint8_t *roles;
    double link;
    int32_t *labels, *touched; /* labels that the visited face's links lead to */
    uint32_t *order, *held_by; /* [n_labels] how many faces have a label */
    double *pull;              /* [n_labels], zero between visits */
    size_t n_labels, n_touched;
    bool fixed_only; /* only labels of fixed groups pull */
} whisper;

static bool pulls(const whisper *w, uint32_t face)
{
    return w->roles[face] != MIEN__OUT && (!w->fixed_only || w->labels[face] < w->f->n_fixed);
}

/* How hard a label pulls at a face. */
static double pull_of(const whisper *w, uint32_t face, int32_t label)
{
    double sum = 0;
    for (size_t q = w->links->start[face]; q < w->links->start[face + 1]; q++) {
        const uint32_t to = w->links->to[q];
        const double excess = w->links->similarity[q] - w->link;
        if (pulls(w, to) && w->labels[to] == label && excess > 0)
            sum += excess;
    }
    return sum;
}

static bool forbidden(const whisper *w, uint32_t face, int32_t label)
{
    for (size_t q = w->f->not_start[face]; q < w->f->not_start[face + 1]; q++) {
        if (w->f->nots[q] == label)
            return true;
    }
    return false;
}

/* Whether `face` may take `label`. *ret_rival: the face of its picture that must let go of it, or itself. */
static bool may_take(const whisper *w, uint32_t face, int32_t label, double pull, uint32_t *ret_rival)
{
    *ret_rival = face;
    if (forbidden(w, face, label))
        return false;
    for (size_t q = w->f->mate_start[face]; q < w->f->mate_end[face]; q++) {
        const uint32_t mate = w->f->mates[q];
        if (mate == face || w->labels[mate] != label)
            continue;
        if (w->roles[mate] != MIEN__MOVES || !(pull > pull_of(w, mate, label)))
            return false;
        *ret_rival = mate;
    }
    return true;
}

static void set_label(whisper *w, uint32_t face, int32_t label)
{
    w->held_by[w->labels[face]]--;
    w->labels[face] = label;
    w->held_by[label]++;
}

/* A label that nobody holds: there are twice as many as faces. */
static int32_t free_label(const whisper *w, uint32_t face)
{
    const size_t n = w->f->n, first = (size_t)w->f->n_fixed;
    size_t at = face;
    while (w->held_by[first + at])
        at = (at + 1) % (2 * n);
    return (int32_t)(first + at);
}

/* The strongest label that the face may take; its present one among equals, then the lowest. */
static int32_t best_label(const whisper *w, uint32_t face, uint32_t *ret_rival)
{
    const int32_t now = w->labels[face];
    int32_t best = now;
    double best_pull = w->pull[now];
    *ret_rival = face;
    for (size_t q = 0; q < w->n_touched; q++) {
        const int32_t label = w->touched[q];
        const double pull = w->pull[label];
        uint32_t rival = face;
        const bool stronger = pull > best_pull || (best != now && pull >= best_pull && label < best);
        if (!stronger || label == now || !may_take(w, face, label, pull, &rival))
            continue;
        best = label;
        best_pull = pull;
        *ret_rival = rival;
    }
    return best;
}

/* Returns whether anything changed. */
static bool visit(whisper *w, uint32_t face)
{
    w->n_touched = 0;
    for (size_t q = w->links->start[face]; q < w->links->start[face + 1]; q++) {
        const uint32_t to = w->links->to[q];
        const double excess = w->links->similarity[q] - w->link;
        if (!pulls(w, to) || !(excess > 0))
            continue;
        const int32_t label = w->labels[to];
        if (!(w->pull[label] > 0))
            w->touched[w->n_touched++] = label;
        w->pull[label] += excess;
    }
    uint32_t rival = face;
    const int32_t best = best_label(w, face, &rival);
    for (size_t q = 0; q < w->n_touched; q++)
        w->pull[w->touched[q]] = 0;
    if (best == w->labels[face])
        return false;
    if (rival != face)
        set_label(w, rival, free_label(w, rival));
    set_label(w, face, best);
    return true;
}

static void shuffle(uint32_t *order, size_t n, mien__rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)(mien__rng_unit(rng) * (double)i);
        const uint32_t x = order[i - 1];
        order[i - 1] = order[j];
        order[j] = x;
    }
}

static void pass_until_quiet(whisper *w, size_t n_order, mien__rng *rng)
{
    bool changed = true;
    for (int pass = 0; pass < MAX_PASSES && changed; pass++) {
        shuffle(w->order, n_order, rng);
        changed = false;
        for (size_t i = 0; i < n_order; i++)
            changed |= visit(w, w->order[i]);
    }
}

static mien_status whisper_open(whisper *w, mien_error *err)
{
    const size_t n = w->f->n;
    w->n_labels = (size_t)w->f->n_fixed + 2 * n;
    w->order = mien_alloc_array(n, sizeof *w->order);
    w->touched = mien_alloc_array(n, sizeof *w->touched);
    w->held_by = mien_alloc_array_zero(w->n_labels, sizeof *w->held_by);
    w->pull = mien_alloc_array_zero(w->n_labels, sizeof *w->pull);
    if (!w->order || !w->touched || !w->held_by || !w->pull)
        return mien__nomem(err, w->n_labels * sizeof *w->pull);
    for (size_t i = 0; i < n; i++) {
        if (w->roles[i] == MIEN__MOVES)
            w->labels[i] = w->f->n_fixed + (int32_t)i;
        if (w->roles[i] != MIEN__OUT)
            w->held_by[w->labels[i]]++;
    }
    return MIEN_OK;
}

mien_status mien__whisper(const mien__faces *f, const mien__links *links, const uint8_t *roles, double link,
                          double pair, uint64_t seed, int32_t *labels, mien_error *err)
{
    whisper w = { .f = f, .links = links, .roles = roles, .labels = labels };
    const mien_status st = whisper_open(&w, err);
    size_t n_order = 0;
    for (size_t i = 0; i < f->n && !st; i++) {
        if (roles[i] == MIEN__MOVES && links->start[i + 1] > links->start[i])
            w.order[n_order++] = (uint32_t)i;
    }
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    w.fixed_only = true;
    w.link = pair;
    if (!st)
        pass_until_quiet(&w, n_order, &rng);
    w.fixed_only = false;
    for (int stage = STAGES - 1; stage >= 0 && !st; stage--) {
        w.link = link + (pair - link) * stage / (STAGES - 1);
        pass_until_quiet(&w, n_order, &rng);
    }
    mien_free(w.order);
    mien_free(w.touched);
    mien_free(w.held_by);
    mien_free(w.pull);
    return st;
}
