/* Incomplete beta function and the exact interval of a proportion.
 *
 * ln Gamma: Stirling's series (Abramowitz, Stegun 1964, 6.1.41) after shifting the argument above 12.
 * I_x(a, b): continued fraction 26.5.8 there, evaluated by Lentz's method (Thompson, Barnett 1986), on the
 * side of the mean where it converges fast. Interval: Clopper, Pearson 1934, through quantiles of the beta
 * distribution, found by bisection (100 halvings, so exact to the last bits).
 */
#include "eval/stats.h"
#include <math.h>

double mien__ln_gamma(double x)
{
    mien_assert(x > 0);
    double product = 1;
    while (x < 12) {
        product *= x;
        x += 1;
    }
    const double z = 1 / (x * x);
    const double series =
        (1.0 / 12 +
         z * (-1.0 / 360 + z * (1.0 / 1260 + z * (-1.0 / 1680 + z * (1.0 / 1188 + z * (-691.0 / 360360)))))) /
        x;
    return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series - log(product);
}

static double fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int i = 1; i <= 20000; i++) {
        const double m = i;
        double t = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + t * d;
        c = 1 + t / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        t = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + t * d;
        c = 1 + t / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h;
}

double mien__beta_inc(double a, double b, double x)
{
    mien_assert(a > 0 && b > 0);
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    const double front =
        exp(mien__ln_gamma(a + b) - mien__ln_gamma(a) - mien__ln_gamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * fraction(a, b, x) / a;
    return 1 - front * fraction(b, a, 1 - x) / b;
}

double mien__beta_quantile(double a, double b, double p)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < 100; i++) {
        const double mid = (lo + hi) / 2;
        if (mien__beta_inc(a, b, mid) < p)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}

mien_eval_rate mien__rate_of(uint64_t k, uint64_t n)
{
    mien_assert(k <= n);
    if (n == 0)
        return (mien_eval_rate){ 0, 0, 1 };
    const double kd = (double)k, nd = (double)n;
    return (mien_eval_rate){
        kd / nd,
        k == 0 ? 0 : mien__beta_quantile(kd, nd - kd + 1, 0.025),
        k == n ? 1 : mien__beta_quantile(kd + 1, nd - kd, 0.975),
    };
}
