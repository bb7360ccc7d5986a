/* Where the embedder begins to lose people as pictures get worse: one row per kind and level of damage. */
#include "shots.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const damage levels[] = {
    { "none", 0 },     { "blur", 1 },    { "blur", 1.5 },  { "blur", 2 },    { "blur", 2.5 },  { "blur", 3 },
    { "blur", 4 },     { "eyes", 40 },   { "eyes", 28 },   { "eyes", 24 },   { "eyes", 20 },   { "eyes", 16 },
    { "eyes", 12 },    { "eyes", 8 },    { "gain", 0.5 },  { "gain", 0.25 }, { "gain", 0.12 }, { "gain", 0.06 },
    { "gain", 0.03 },  { "gain", 1.5 },  { "gain", 2 },    { "gain", 3 },    { "gain", 4 },    { "gain", 6 },
    { "noise", 8 },    { "noise", 16 },  { "noise", 32 },
};

static void print_row(shots *s, const damage *what, size_t every)
{
    double *self = calloc(s->n, sizeof *self), *sharp = calloc(s->n, sizeof *sharp);
    double *bright = calloc(s->n, sizeof *bright), *over = calloc(s->n, sizeof *over), *score = calloc(s->n, sizeof *score);
    float *vec = calloc(s->dim, sizeof *vec);
    size_t n = 0, n_mated = 0, n_missed = 0, n_refused = 0;
    mien_error err = MIEN_ERROR_INIT;
    if (!self || !sharp || !bright || !over || !score || !vec)
        exit(5);
    for (size_t i = 0; i < s->n; i += every) {
        const shot *mate = shot_mate(s, i);
        mien_face face = s->items[i].face;
        mien_quality q;
        mien_image *picture = shot_picture(&s->items[i]);
        mien_image *worse = damage_apply(what, mien_image_view_of(picture), &face);
        const mien_image_view v = mien_image_view_of(worse);
        if (mien_embed_face(s->embedder, v, &face, vec, &err) || mien_quality_measure(v, &face, &q, &err))
            fail(&err);
        self[n] = mien_cosine(vec, s->items[i].vec, s->dim);
        sharp[n] = (double)q.sharpness;
        bright[n] = (double)q.brightness;
        over[n] = (double)q.overexposed;
        score[n++] = (double)q.score;
        n_refused += mien_quality_reason(&q, NULL) != MIEN_REASON_NONE;
        n_mated += mate != NULL;
        n_missed += mate && mien_cosine(vec, mate->vec, s->dim) < s->threshold;
        mien_image_free(worse);
        mien_image_free(picture);
    }
    printf("| %s %g | %.3f | %.1f | %.2f | %.2f | %.2f | %.2f | %.1f |\n", what->kind, what->level, median(self, n),
           100.0 * (double)n_missed / (double)(n_mated ? n_mated : 1), median(sharp, n), median(bright, n),
           median(over, n), median(score, n), 100.0 * (double)n_refused / (double)n);
    fflush(stdout);
    free(self), free(sharp), free(bright), free(over), free(score), free(vec);
}

int degrade_main(shots *s, int every)
{
    printf("every %dth of %zu pictures of %d people; threshold %.4f\n\n", every, s->n, s->people, s->threshold);
    puts("| damage | similarity to the whole picture | FNMR with a mate, % | sharpness | brightness | overexposed | score | "
         "refused, % |\n|---|---|---|---|---|---|---|---|");
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        print_row(s, &levels[i], (size_t)every);
    return 0;
}
