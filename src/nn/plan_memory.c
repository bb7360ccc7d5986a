/* Where each slot lies in the arena.
 *
 * Slots that are never in use at the same time may share memory. Greedy by size (Pisarchyk and Lee 2020,
 * "Efficient Memory Management for Deep Neural Net Inference", greedy by size): the largest slots first, each
 * into the smallest gap it fits among the placed ones whose times overlap with its own, else behind them.
 */
#include "nn/plan.h"
#include <stdlib.h>

#define PLAN_MEMORY_MAX ((size_t)4 << 30)
/* Beyond this many slots the quadratic search is not worth it: no sharing. */
enum { PLAN_SHARE_MAX_SLOTS = 8192, SLOT_ALIGN = 64 };

typedef struct placed {
    size_t offset, bytes;
    uint32_t first, last;
} placed;

typedef struct by_size {
    size_t bytes;
    uint32_t slot;
} by_size;

static int larger_first(const void *a, const void *b)
{
    const by_size *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->slot < y->slot ? -1 : 1;
}

/* Find from when to when each root is in use. */
static void find_lifetimes(mien__plan *p)
{
    for (uint32_t i = 0; i < p->n_slots; i++) {
        p->slots[i].first = UINT32_MAX;
        p->slots[i].last = 0;
    }
    for (uint32_t s = 0; s < p->n_steps; s++) {
        const mien__step *step = &p->steps[s];
        for (uint32_t i = 0; i < step->n_in + step->n_out; i++) {
            const uint32_t slot = i < step->n_in ? step->in[i] : step->out[i - step->n_in];
            if (slot == MIEN__NO_SLOT)
                continue;
            mien__slot *root = &p->slots[p->slots[slot].root];
            root->first = root->first < s ? root->first : s;
            root->last = s;
        }
    }
}

/* Keep a slot for the whole run. */
static void keep(mien__plan *p, uint32_t slot)
{
    mien__slot *root = &p->slots[p->slots[slot].root];
    root->first = 0;
    root->last = UINT32_MAX;
}

/* Place one slot; `list` holds the placed ones by ascending offset. */
static size_t place_one(placed *list, uint32_t *n, placed item)
{
    size_t end = 0, best = 0, best_gap = SIZE_MAX;
    for (uint32_t i = 0; i < *n; i++) {
        const placed *q = &list[i];
        if (q->first > item.last || q->last < item.first)
            continue;
        if (q->offset > end && q->offset - end >= item.bytes && q->offset - end < best_gap) {
            best_gap = q->offset - end;
            best = end;
        }
        end = q->offset + q->bytes > end ? q->offset + q->bytes : end;
    }
    item.offset = best_gap == SIZE_MAX ? end : best;
    uint32_t at = (*n)++;
    for (; at > 0 && list[at - 1].offset > item.offset; at--)
        list[at] = list[at - 1];
    list[at] = item;
    return item.offset;
}

static mien_status place_all(mien__plan *p, const by_size *order, uint32_t n, placed *list, mien_error *err)
{
    uint32_t n_placed = 0;
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        mien__slot *s = &p->slots[order[i].slot];
        const size_t bytes = order[i].bytes;
        if (n > PLAN_SHARE_MAX_SLOTS)
            s->offset = total;
        else
            s->offset = place_one(list, &n_placed, (placed){ 0, bytes, s->first, s->last });
        if (s->offset > PLAN_MEMORY_MAX || bytes > PLAN_MEMORY_MAX - s->offset)
            return mien__fail(err, MIEN_E_LIMIT, "the network needs more than %zu GiB for this input",
                              PLAN_MEMORY_MAX >> 30);
        total = s->offset + bytes > total ? s->offset + bytes : total;
    }
    p->memory_bytes = total;
    return MIEN_OK;
}

mien_status mien__plan_place(mien__plan *p, mien_error *err)
{
    mien_status st = MIEN_OK;
    uint32_t n = 0;
    by_size *order = mien_alloc_array(p->n_slots + (size_t)1, sizeof *order);
    placed *list = mien_alloc_array(p->n_slots + (size_t)1, sizeof *list);
    if (!order || !list) {
        st = mien__nomem(err, p->n_slots * sizeof *list);
        goto done;
    }
    find_lifetimes(p);
    for (uint32_t i = 0; p->input_slots[i] != MIEN__NO_SLOT; i++)
        keep(p, p->input_slots[i]);
    for (uint32_t i = 0; p->output_slots[i] != MIEN__NO_SLOT; i++)
        keep(p, p->output_slots[i]);
    for (uint32_t i = 0; i < p->n_slots; i++) {
        const mien__slot *s = &p->slots[i];
        if (s->root == i && !s->fixed && s->first != UINT32_MAX)
            order[n++] = (by_size){ (s->bytes + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN + SLOT_ALIGN, i };
    }
    qsort(order, n, sizeof *order, larger_first);
    st = place_all(p, order, n, list, err);
done:
    mien_free(list);
    mien_free(order);
    return st;
}
