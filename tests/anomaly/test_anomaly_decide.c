/* Curves under memory shortage: fitted, written, read back, used. */
#include "anomaly.h"
#include <mien/decide.h>
#include <math.h>

enum { PEOPLE = 40, PICTURES = 2, DIM = 8, N = PEOPLE * PICTURES };

typedef struct pictures {
    float vecs[N * DIM];
    uint32_t people[N];
} pictures;

static mien_status fit_and_read_back(void *ctx, mien_error *err)
{
    const pictures *p = ctx;
    mien_curve *curve = NULL, *back = NULL;
    char *text = NULL;
    mien_search_decision d;
    const mien_search_size size = { 10, 2 };
    mien_status st = mien_curve_fit(p->vecs, p->people, N, DIM, NULL, &curve, err);
    if (!st)
        st = mien_curve_to_json(curve, &text, err);
    if (!st)
        st = mien_curve_of_json(text, strlen(text), &back, err);
    if (!st)
        st = mien_curve_decide(back, 0.5, &size, 0.1, &d, err);
    mien_curve_text_free(text);
    mien_curve_free(curve);
    mien_curve_free(back);
    return st;
}

static mien_status fit_scores(void *ctx, mien_error *err)
{
    const pictures *p = ctx;
    static mien_curve_trial trials[PEOPLE * PEOPLE];
    mien_curve *curve = NULL;
    size_t n = 0;
    for (uint32_t i = 0; i < PEOPLE; i++)
        for (uint32_t j = 0; j < i; j++)
            trials[n++] = (mien_curve_trial){ p->vecs[i * DIM] + p->vecs[j * DIM], i, j };
    const mien_status st = mien_curve_fit_scores(trials, n, NULL, &curve, err);
    mien_curve_free(curve);
    return st;
}

static void curves_survive_shortage(void **state)
{
    (void)state;
    static pictures p;
    mien__rng rng;
    mien__rng_seed(&rng, 7);
    for (size_t i = 0; i < N; i++) {
        double v[DIM], sum = 0;
        for (size_t k = 0; k < DIM; k++) {
            v[k] = 2 * mien__rng_unit(&rng) - 1;
            sum += v[k] * v[k];
        }
        for (size_t k = 0; k < DIM; k++)
            p.vecs[i * DIM + k] = (float)(v[k] / sqrt(sum));
        p.people[i] = (uint32_t)(i / PICTURES);
    }
    anomaly_run("curve of templates", fit_and_read_back, &p);
    anomaly_run("curve of scores", fit_scores, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(curves_survive_shortage) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
