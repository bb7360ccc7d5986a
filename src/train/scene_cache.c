/* Decoded sources, the least recently used given up first.
 *
 * A picture is kept with its halved copies (a pyramid after Williams 1983), so that a face pasted at a tenth
 * of its size costs a tenth of the reading and is free of aliasing. A JPEG far larger than faces are pasted
 * is decoded at 1/2, 1/4 or 1/8. Pictures are kept in a list ordered by use; the one just asked for always
 * stays, however small the bound.
 */
#include "train/scene_parts.h"
#include <string.h>

enum { MIN_SHORT_SIDE = 480, NONE = -1 };

typedef struct entry {
    mien_image *image; /* NULL when level 0 is lent by the source */
    uint8_t *halves;   /* the levels above 0 */
    mien__pyramid pyramid;
    size_t bytes, index;
    int newer, older;
} entry;

struct mien__scene_cache {
    const mien__scene_set *set;
    size_t max_bytes, bytes;
    int32_t *slot_of; /* by source; NONE when not here */
    entry *v;
    int n, cap, newest, oldest, spare; /* spare: chain of free slots through `older` */
};

mien_status mien__scene_cache_new(const mien__scene_set *set, size_t max_bytes, mien__scene_cache **ret,
                                  mien_error *err)
{
    mien__scene_cache *const c = mien_alloc_zero(sizeof *c);
    int32_t *const slots = mien_alloc_array(set->n + 1, sizeof *slots);
    if (!c || !slots) {
        mien_free(c);
        mien_free(slots);
        return mien__nomem(err, set->n * sizeof *slots);
    }
    memset(slots, 0xff, (set->n + 1) * sizeof *slots);
    *c = (mien__scene_cache){
        .set = set, .max_bytes = max_bytes, .slot_of = slots, .newest = NONE, .oldest = NONE, .spare = NONE
    };
    *ret = c;
    return MIEN_OK;
}

static void entry_clear(entry *e)
{
    mien_image_free(e->image);
    mien_free(e->halves);
    *e = (entry){ .newer = NONE, .older = NONE };
}

void mien__scene_cache_free(mien__scene_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++)
        entry_clear(&c->v[i]);
    mien_free(c->v);
    mien_free(c->slot_of);
    mien_free(c);
}

static void unlink_slot(mien__scene_cache *c, int s)
{
    entry *const e = &c->v[s];
    *(e->newer == NONE ? &c->newest : &c->v[e->newer].older) = e->older;
    *(e->older == NONE ? &c->oldest : &c->v[e->older].newer) = e->newer;
}

static void link_newest(mien__scene_cache *c, int s)
{
    c->v[s].newer = NONE;
    c->v[s].older = c->newest;
    *(c->newest == NONE ? &c->oldest : &c->v[c->newest].newer) = s;
    c->newest = s;
}

static void give_up_oldest(mien__scene_cache *c)
{
    const int s = c->oldest;
    unlink_slot(c, s);
    c->slot_of[c->v[s].index] = NONE;
    c->bytes -= c->v[s].bytes;
    entry_clear(&c->v[s]);
    c->v[s].older = c->spare;
    c->spare = s;
}

static void halve(const mien_image_view *src, uint8_t *dst, int w, int h)
{
    for (int y = 0; y < h; y++) {
        const uint8_t *a = src->data + 2 * (size_t)y * src->stride_bytes, *b = a + src->stride_bytes;
        for (int x = 0; x < w; x++, a += 6, b += 6, dst += 3)
            for (int i = 0; i < 3; i++)
                dst[i] = (uint8_t)((a[i] + a[i + 3] + b[i] + b[i + 3] + 2) >> 2);
    }
}

static mien_status build_levels(entry *e, mien_error *err)
{
    mien__pyramid *const p = &e->pyramid;
    size_t total = 0;
    int n = 1;
    for (int w = p->level[0].width / 2, h = p->level[0].height / 2;
         n < MIEN__PYRAMID_LEVELS && w >= 8 && h >= 8; n++, w /= 2, h /= 2)
        total += 3 * (size_t)w * (size_t)h;
    e->halves = mien_alloc(total);
    if (!e->halves)
        return mien__nomem(err, total);
    uint8_t *at = e->halves;
    for (int k = 1; k < n; k++) {
        const mien_image_view *const from = &p->level[k - 1];
        const int w = from->width / 2, h = from->height / 2;
        halve(from, at, w, h);
        p->level[k] = (mien_image_view){ at, w, h, 3 * (size_t)w };
        at += 3 * (size_t)w * (size_t)h;
    }
    p->n = n;
    e->bytes = total;
    return MIEN_OK;
}

static mien_status load(const mien__scene_source *s, entry *e, mien_error *err)
{
    mien_status st = MIEN_OK;
    e->pyramid.level[0] = s->pixels;
    e->pyramid.scale = 1;
    if (!s->pixels.data) {
        mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
        o.min_short_side = MIN_SHORT_SIDE;
        st = mien_image_load(s->path, &o, &e->image, err);
        if (st)
            return st;
        e->pyramid.level[0] = mien_image_view_of(e->image);
        e->pyramid.scale = 1.0 / mien_image_scale(e->image);
    }
    st = build_levels(e, err);
    if (!st && e->image)
        e->bytes += e->pyramid.level[0].stride_bytes * (size_t)e->pyramid.level[0].height;
    return st;
}

static mien_status find_slot(mien__scene_cache *c, int *ret, mien_error *err)
{
    if (c->spare != NONE) {
        *ret = c->spare;
        c->spare = c->v[c->spare].older;
        return MIEN_OK;
    }
    if (c->n == c->cap) {
        const int cap = c->cap ? c->cap * 2 : 64;
        entry *const v = mien_grow_array(c->v, (size_t)c->n, (size_t)cap, sizeof *v);
        if (!v)
            return mien__nomem(err, (size_t)cap * sizeof *v);
        c->v = v;
        c->cap = cap;
    }
    *ret = c->n++;
    return MIEN_OK;
}

mien_status mien__scene_cache_get(mien__scene_cache *c, size_t index, const mien__pyramid **ret,
                                  mien_error *err)
{
    mien_assert(index < c->set->n);
    int s = c->slot_of[index];
    if (s != NONE) {
        unlink_slot(c, s);
        link_newest(c, s);
        *ret = &c->v[s].pyramid;
        return MIEN_OK;
    }
    entry e = { .index = index };
    mien_status st = load(&c->set->v[index], &e, err);
    if (!st)
        st = find_slot(c, &s, err);
    if (st) {
        entry_clear(&e);
        return st;
    }
    c->v[s] = e;
    while (c->oldest != NONE && c->bytes + e.bytes > c->max_bytes)
        give_up_oldest(c);
    c->bytes += e.bytes;
    c->slot_of[index] = s;
    link_newest(c, s);
    *ret = &c->v[s].pyramid;
    return MIEN_OK;
}
