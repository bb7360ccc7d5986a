/* The assignment problem: Kuhn 1955, in the form with potentials and shortest augmenting paths (Jonker,
 * Volgenant 1987), O(rows^2 columns). Gains are turned into costs by their negative; gain 0 costs nothing and
 * is undone at the end.
 */
#include "track/track.h"
#include <math.h>

typedef struct workspace {
    double u[MIEN__ASSIGN_MAX + 1], v[MIEN__ASSIGN_MAX + 1], least[MIEN__ASSIGN_MAX + 1];
    int owner[MIEN__ASSIGN_MAX + 1], way[MIEN__ASSIGN_MAX + 1];
    bool done[MIEN__ASSIGN_MAX + 1];
} workspace;

/* Cost of row i and column j, from 1; `turned`: gain is stored the other way round. */
static double cost(const double *gain, size_t n_cols, bool turned, size_t i, size_t j)
{
    return turned ? -gain[(j - 1) * n_cols + i - 1] : -gain[(i - 1) * n_cols + j - 1];
}

/* Find a column for row i along the cheapest path of exchanges. */
static void add_row(workspace *w, const double *gain, size_t n_cols, bool turned, size_t i, size_t cols)
{
    size_t j0 = 0;
    w->owner[0] = (int)i;
    for (size_t j = 0; j <= cols; j++)
        w->least[j] = INFINITY, w->done[j] = false;
    do {
        w->done[j0] = true;
        const size_t row = (size_t)w->owner[j0];
        size_t j1 = 0;
        double delta = INFINITY;
        for (size_t j = 1; j <= cols; j++) {
            if (w->done[j])
                continue;
            const double c = cost(gain, n_cols, turned, row, j) - w->u[row] - w->v[j];
            if (c < w->least[j])
                w->least[j] = c, w->way[j] = (int)j0;
            if (w->least[j] < delta)
                delta = w->least[j], j1 = j;
        }
        for (size_t j = 0; j <= cols; j++) {
            if (w->done[j])
                w->u[w->owner[j]] += delta, w->v[j] -= delta;
            else
                w->least[j] -= delta;
        }
        j0 = j1;
    } while (w->owner[j0] != 0);
    while (j0) {
        const size_t j1 = (size_t)w->way[j0];
        w->owner[j0] = w->owner[j1];
        j0 = j1;
    }
}

void mien__assign(const double *gain, size_t n_rows, size_t n_cols, int *ret)
{
    workspace w = { .owner = { 0 } };
    const bool turned = n_rows > n_cols;
    const size_t rows = turned ? n_cols : n_rows, cols = turned ? n_rows : n_cols;
    mien_assert(cols <= MIEN__ASSIGN_MAX);
    for (size_t i = 0; i < n_rows; i++)
        ret[i] = -1;
    for (size_t i = 1; i <= rows; i++)
        add_row(&w, gain, n_cols, turned, i, cols);
    for (size_t j = 1; j <= cols; j++) {
        if (w.owner[j] == 0)
            continue;
        const size_t r = turned ? j - 1 : (size_t)w.owner[j] - 1, c = turned ? (size_t)w.owner[j] - 1 : j - 1;
        if (gain[r * n_cols + c] > 0)
            ret[r] = (int)c;
    }
}
