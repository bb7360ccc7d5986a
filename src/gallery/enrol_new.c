/* New people: faces that come in one call for a name that nobody has yet are held against each other, as
 * there is no template to hold them against. The face most like all the others stands for the person, so that
 * a majority outvotes a wrong picture, whichever came first. With unit vectors the sum of a face's cosines
 * with all of a name is its product with their sum, so this is linear in the faces.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef struct named {
    const mien_enrolment *item;
    size_t at;
} named;

static int by_name(const void *a, const void *b)
{
    const named *p = a, *q = b;
    const int order = strcmp(p->item->name, q->item->name);
    return order ? order : (p->at > q->at) - (p->at < q->at);
}

static const float *medoid(const named *faces, size_t n, int dim, double *sum)
{
    const float *best = NULL;
    double best_similarity = 0;
    memset(sum, 0, (size_t)dim * sizeof *sum);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < dim; k++)
            sum[k] += (double)faces[i].item->vec[k];
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (int k = 0; k < dim; k++)
            s += sum[k] * (double)faces[i].item->vec[k];
        if (!best || s > best_similarity + 1e-6) /* of equals the first, whatever rounding says */
            best = faces[i].item->vec, best_similarity = s;
    }
    return best;
}

static void judge(const named *faces, size_t n, int dim, double *sum, mien_enrolled *ret)
{
    const float *const middle = medoid(faces, n, dim, sum);
    for (size_t i = 0; i < n; i++) {
        const mien_enrolment *const e = faces[i].item;
        const double similarity = mien_cosine(e->vec, middle, (size_t)dim);
        if (e->vec != middle && similarity < e->unlike_threshold)
            ret[faces[i].at] =
                (mien_enrolled){ .reason = MIEN_REASON_UNLIKE_THE_PERSON, .similarity = similarity };
    }
}

mien_status mien__enrol_new(mien_gallery *g, const mien_enrolment *items, size_t n, mien_enrolled *ret,
                            mien_error *err)
{
    const int dim = g->shared->dim;
    mien_status st = MIEN_OK;
    size_t m = 0;
    named *const faces = mien_alloc_array(n, sizeof *faces);
    double *const sum = mien_alloc_array((size_t)dim, sizeof *sum);
    if (!faces || !sum) {
        st = mien__nomem(err, n * sizeof *faces);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        if (!items[i].person && !items[i].force && items[i].unlike_threshold > -1.0)
            faces[m++] = (named){ &items[i], i };
    qsort(faces, m, sizeof *faces, by_name);
    for (size_t i = 0, end = 0; i < m && !st; i = end) {
        int64_t person = 0;
        for (end = i + 1; end < m && !strcmp(faces[i].item->name, faces[end].item->name);)
            end++;
        if (end - i > 1 && !(st = mien__name_find(g, faces[i].item->name, &person, err)) && person == 0)
            judge(faces + i, end - i, dim, sum, ret);
    }
done:
    if (sum)
        sodium_memzero(sum, (size_t)dim * sizeof *sum);
    mien_free(sum);
    mien_free(faces);
    return st;
}
