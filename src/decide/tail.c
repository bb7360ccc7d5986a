/* The tail of a score distribution, and intervals of rates.
 *
 * Tail: the excesses of scores over a high threshold u are near a generalised Pareto distribution (Pickands
 * 1975; Balkema, de Haan 1974). Shape and scale by probability-weighted moments (Hosking, Wallis 1987, eq. 5
 * and section 2 with their k = -xi): with the mean a0 of the excesses y and a1 = E y (1 - G(y)), estimated
 * with plotting positions (i - 0.35)/m, k = a0/(a0 - 2 a1) - 2 and sigma = 2 a0 a1/(a0 - 2 a1). Moments
 * rather than maximum likelihood: they always exist here, and are as good for the sizes and shapes (-0.3 < xi
 * < 0.3) at hand.
 *
 * Intervals: a rate over comparisons that are worth `effective` independent ones gets Clopper and Pearson's
 * interval for effective * rate matches in `effective`; as that number is itself estimated from people, it is
 * first shrunk by (z / t)^2, t the quantile of Student's distribution with people - 1 degrees of freedom
 * (Korn, Graubard 1998).
 */
#include "decide/curve.h"
#include "eval/stats.h"
#include <math.h>

double mien__curve_rate_at(size_t index)
{
    static const double steps[6] = { 2, 1.5, 1, 0.7, 0.5, 0.3 };
    static const double scale[10] = { 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10 };
    return index < MIEN_MAX_CURVE_POINTS - 4 ? steps[index % 6] * scale[index / 6] : 0;
}

bool mien__tail_fit(const mien_curve_trial *descending, size_t m, size_t n, mien__tail *ret)
{
    if (m < 10 || m >= n)
        return false;
    const double u = ((double)descending[m - 1].score + (double)descending[m].score) / 2;
    double a0 = 0, a1 = 0;
    for (size_t i = 0; i < m; i++) { /* rank m - i of the ascending order */
        const double y = (double)descending[i].score - u;
        a0 += y;
        a1 += y * (1 - ((double)(m - i) - 0.35) / (double)m);
    }
    a0 /= (double)m;
    a1 /= (double)m;
    const double d = a0 - 2 * a1;
    if (!(a0 > 0) || !(a1 > 0) || !(d > 1e-6 * a0))
        return false;
    *ret = (mien__tail){ u, (double)m / (double)n, -(a0 / d - 2), 2 * a0 * a1 / d };
    return true;
}

double mien__tail_threshold(const mien__tail *tail, double rate)
{
    const double x = log(tail->p_u / rate); /* >= 0 in the tail */
    const double reach = fabs(tail->xi) < 1e-9 ? x : expm1(tail->xi * x) / tail->xi;
    return tail->u + tail->sigma * reach;
}

mien_estimate mien__rate_interval(double rate, double effective, size_t people)
{
    const double df = people > 2 ? (double)people - 1 : 1;
    const double x = mien__beta_quantile(df / 2, 0.5, 0.05), t2 = df * (1 - x) / x;
    const double n = effective * 1.959964 * 1.959964 / t2, k = rate * n;
    mien_estimate e = { rate, 0, 1, 0 };
    if (k > 0 && n > k)
        e.lo = mien__beta_quantile(k, n - k + 1, 0.025);
    if (n > k)
        e.hi = mien__beta_quantile(k + 1, n - k, 0.975);
    e.lo = e.lo < rate ? e.lo : rate;
    e.hi = e.hi > rate ? e.hi : rate;
    return e;
}
