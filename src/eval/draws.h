/* Resamples of a list of figures: drawn side by side, each figure's draws together. Private; see draws.c. */
#ifndef MIEN_SRC_EVAL_DRAWS_H
#define MIEN_SRC_EVAL_DRAWS_H

#include "eval/weighted.h"

enum { MIEN__DRAWS_SETS = 2 };

typedef struct mien__draws mien__draws;
/* Figures of one draw: `w` are the weights of each set of pairs. */
typedef void (*mien__draw_fn)(void *ctx, mien__weighing *const *w, double *ret);

struct mien__draws {
    const mien__epairs *sets[MIEN__DRAWS_SETS]; /* the second may be NULL */
    bool together;                              /* both sets have the same units: a draw weighs both alike */
    uint64_t seed;
    size_t n, n_figures; /* resamples; figures of each */
    mien__draw_fn fn;
    void *ctx;
    /* filled by mien__draws_run() */
    double *estimate;  /* [n_figures] of weights 1 */
    double *v;         /* [n_figures][n] */
    double *scratch;   /* [threads][n_figures] */
    mien__weighing *w; /* [threads][MIEN__DRAWS_SETS] */
    unsigned threads;
};

/* Fill `estimate` and `v`; the same for any number of threads. */
mien_status mien__draws_run(mien__draws *d, unsigned threads, mien_error *err);
void mien__draws_clear(mien__draws *d);
/* Percentile interval around estimate i, of the draws in which it is defined; [0, 1] where it is not itself.
 * Sorts the figure's draws: ask once. */
mien_eval_rate mien__draws_interval(mien__draws *d, size_t i);
/* Resamples to take of `asked` where each visits so many pairs. */
size_t mien__draws_count(double visits, int asked);

#endif
