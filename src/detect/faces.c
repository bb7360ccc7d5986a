/* Lists of faces and suppression of doubles.
 *
 * Greedy suppression: the best face stays, those that overlap it by more than the bound go, and so on. The
 * sort is total over what a face is, so the result does not depend on the order of candidates.
 */
#include "detect/detect.h"
#include <stdlib.h>

enum { MAX_FACES = 1 << 20 };

mien_status mien__face_list_push(mien__face_list *l, const mien_face *f, mien_error *err)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 64;
        if (cap > MAX_FACES)
            return mien__fail(err, MIEN_E_LIMIT, "more than %d face candidates", MAX_FACES);
        mien_face *grown = mien_grow_array(l->v, l->n, cap, sizeof *grown);
        if (!grown)
            return mien__nomem(err, cap * sizeof *grown);
        l->v = grown;
        l->cap = cap;
    }
    l->v[l->n++] = *f;
    return MIEN_OK;
}

static float area(const mien_face *f)
{
    return (f->x1 - f->x0) * (f->y1 - f->y0);
}

static int sign(float a, float b)
{
    return (a > b) - (a < b);
}

static int best_first(const void *pa, const void *pb)
{
    const mien_face *a = pa, *b = pb;
    int s = sign(b->score, a->score);
    s = s ? s : sign(area(b), area(a));
    s = s ? s : sign(a->y0, b->y0);
    s = s ? s : sign(a->x0, b->x0);
    s = s ? s : sign(a->y1, b->y1);
    s = s ? s : sign(a->x1, b->x1);
    for (int i = 0; i < MIEN_LANDMARKS && !s; i++) {
        s = sign(a->landmarks[i][0], b->landmarks[i][0]);
        s = s ? s : sign(a->landmarks[i][1], b->landmarks[i][1]);
    }
    return s;
}

void mien__face_list_sort(mien__face_list *l)
{
    if (l->n > 1)
        qsort(l->v, l->n, sizeof *l->v, best_first);
}

float mien__iou(const mien_face *a, const mien_face *b)
{
    const float x0 = a->x0 > b->x0 ? a->x0 : b->x0, x1 = a->x1 < b->x1 ? a->x1 : b->x1;
    const float y0 = a->y0 > b->y0 ? a->y0 : b->y0, y1 = a->y1 < b->y1 ? a->y1 : b->y1;
    if (!(x1 > x0) || !(y1 > y0))
        return 0;
    const float both = (x1 - x0) * (y1 - y0);
    return both / (area(a) + area(b) - both);
}

void mien__face_list_suppress(mien__face_list *l, float max_iou, size_t max_n)
{
    mien__face_list_sort(l);
    const size_t n = max_n && l->n > max_n ? max_n : l->n;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < kept && mien__iou(&l->v[i], &l->v[j]) <= max_iou)
            j++;
        if (j == kept)
            l->v[kept++] = l->v[i];
    }
    l->n = kept;
}

void mien__face_list_drop_parts(mien__face_list *l, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const mien_face *f = &l->v[i];
        const float cx = (f->x0 + f->x1) / 2, cy = (f->y0 + f->y1) / 2;
        bool part = false;
        for (size_t j = n; j < l->n && !part; j++) {
            const mien_face *g = &l->v[j];
            part = cx > g->x0 && cx < g->x1 && cy > g->y0 && cy < g->y1 && g->score > f->score &&
                   area(g) >= 4 * area(f);
        }
        if (!part)
            l->v[kept++] = *f;
    }
    for (size_t j = n; j < l->n; j++)
        l->v[kept++] = l->v[j];
    l->n = kept;
}
