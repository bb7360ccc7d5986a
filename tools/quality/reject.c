/* Error versus reject (Grother, Tabassi 2007): the false non-match rate of the pairs that stay when the worst pictures
 * are left out, for each component by itself and for the score of the whole.
 *
 * Every third picture, by its place in the list, stays as it is; the others are damaged with a kind and a level drawn at
 * random, so that all components have something to find. The first table is of the pictures as they are. A pair is as
 * good as the worse of its two pictures. */
#include "shots.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEASURES = 6, STEPS = 6 };
static const char *const measures[MEASURES] = { "score", "sharpness", "eye distance", "pose", "brightness", "overexposed" };
static const double shares[STEPS] = { 0, 0.01, 0.02, 0.05, 0.1, 0.2 };

typedef struct pair {
    double similarity, worst[MEASURES];
} pair;

static void values(const mien_quality *q, double *ret)
{
    const double middle = 0.5;
    ret[0] = (double)q->score;
    ret[1] = (double)q->sharpness;
    ret[2] = (double)q->eye_distance_px;
    ret[3] = -fmax(fabs((double)q->yaw_deg), fabs((double)q->pitch_deg));
    ret[4] = -fabs((double)q->brightness - middle);
    ret[5] = -(double)q->overexposed;
}

static size_t column; /* of the comparison below */

static int by_column(const void *a, const void *b)
{
    const double x = ((const pair *)a)->worst[column], y = ((const pair *)b)->worst[column];
    return x < y ? -1 : x > y;
}

static size_t collect(const shots *s, pair *pairs)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = i + 1; j < s->n && s->items[j].person == s->items[i].person; j++) {
            double a[MEASURES], b[MEASURES];
            values(&s->items[i].quality, a);
            values(&s->items[j].quality, b);
            if (pairs) {
                pairs[n].similarity = mien_cosine(s->items[i].vec, s->items[j].vec, s->dim);
                for (int k = 0; k < MEASURES; k++)
                    pairs[n].worst[k] = fmin(a[k], b[k]);
            }
            n++;
        }
    }
    return n;
}

static void print_table(const shots *s, const char *title)
{
    const size_t n = collect(s, NULL);
    pair *pairs = calloc(n ? n : 1, sizeof *pairs);
    if (!pairs)
        exit(5);
    collect(s, pairs);
    printf("\n%s: %zu pictures, %zu mated pairs; FNMR in %% when the worst share of the pairs is left out\n\n| by |", title, s->n, n);
    for (int k = 0; k < STEPS; k++)
        printf(" %g %% |", 100 * shares[k]);
    puts("\n|---|---|---|---|---|---|---|");
    for (column = 0; column < MEASURES; column++) {
        qsort(pairs, n, sizeof *pairs, by_column);
        printf("| %s |", measures[column]);
        for (int k = 0; k < STEPS; k++) {
            const size_t from = (size_t)(shares[k] * (double)n);
            size_t missed = 0;
            for (size_t i = from; i < n; i++)
                missed += pairs[i].similarity < s->threshold;
            printf(" %.2f |", 100.0 * (double)missed / (double)(n - from));
        }
        puts("");
    }
    size_t passed = 0, missed = 0; /* by the gate */
    mien_quality_gate gate;
    mien_quality_gate_init(&gate);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = i + 1; j < s->n && s->items[j].person == s->items[i].person; j++) {
            if (mien_quality_reason(&s->items[i].quality, &gate) || mien_quality_reason(&s->items[j].quality, &gate))
                continue;
            passed++;
            missed += mien_cosine(s->items[i].vec, s->items[j].vec, s->dim) < s->threshold;
        }
    }
    printf("\nthe gate lets %.1f %% of the pairs pass; FNMR among them %.2f %%\n", 100.0 * (double)passed / (double)(n ? n : 1),
           100.0 * (double)missed / (double)(passed ? passed : 1));
    free(pairs);
}

static void damage_all(shots *s)
{
    static const damage ranges[] = { { "blur", 3.5 }, { "eyes", 10 }, { "gain", 0.04 }, { "gain", 4 } };
    mien_error err = MIEN_ERROR_INIT;
    uint64_t seed = 1;
    for (size_t i = 0; i < s->n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (i % 3 == 0)
            continue;
        shot *item = &s->items[i];
        damage what = ranges[(seed >> 33) % 4];
        const double t = (double)(seed >> 43) / (double)(1 << 21); /* from none to the whole range */
        what.level = !strcmp(what.kind, "blur")   ? t * what.level
                     : !strcmp(what.kind, "eyes") ? 40 * pow(what.level / 40, t)
                                                  : pow(what.level, t);
        mien_image *picture = shot_picture(item);
        mien_image *worse = damage_apply(&what, mien_image_view_of(picture), &item->face);
        const mien_image_view v = mien_image_view_of(worse);
        if (mien_embed_face(s->embedder, v, &item->face, item->vec, &err) ||
            mien_quality_measure(v, &item->face, &item->quality, &err))
            fail(&err);
        mien_image_free(worse);
        mien_image_free(picture);
    }
}

int reject_main(shots *s)
{
    print_table(s, "as they are");
    damage_all(s);
    print_table(s, "two in three damaged");
    return 0;
}
