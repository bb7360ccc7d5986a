/* Rates as people read them; see numbers.h. */
#include "report/numbers.h"
#include <math.h>

/* Decimals of a percentage: two, or as many as its first two digits need; 0 and 100 keep two. */
static int decimals(double percent)
{
    const double off = fabs(percent);
    if (!(off > 1e-9) || off >= 0.1)
        return 2;
    const int more = (int)ceil(-log10(off)) + 1;
    return more > 7 ? 7 : more;
}

static void fixed(mien__text *t, double percent, int digits)
{
    if (digits <= 2)
        mien__text_fmt(t, "%.2f", percent);
    else if (digits == 3)
        mien__text_fmt(t, "%.3f", percent);
    else if (digits == 4)
        mien__text_fmt(t, "%.4f", percent);
    else if (digits == 5)
        mien__text_fmt(t, "%.5f", percent);
    else
        mien__text_fmt(t, "%.7f", percent);
}

void mien__text_percent(mien__text *t, double rate)
{
    fixed(t, 100 * rate, decimals(100 * rate));
    mien__text_fmt(t, " %%");
}

void mien__text_interval(mien__text *t, double rate, double lo, double hi)
{
    mien__text_percent(t, rate);
    const int digits = decimals(100 * (rate > 0 ? rate : hi));
    mien__text_fmt(t, " [");
    fixed(t, 100 * lo, digits);
    mien__text_fmt(t, ", ");
    fixed(t, 100 * hi, digits);
    mien__text_fmt(t, "]");
}

void mien__text_count(mien__text *t, uint64_t n)
{
    if (n >= 1000)
        mien__text_count(t, n / 1000);
    if (n >= 1000)
        mien__text_fmt(t, ",%llu%llu%llu", (unsigned long long)(n % 1000 / 100),
                       (unsigned long long)(n % 100 / 10), (unsigned long long)(n % 10));
    else
        mien__text_fmt(t, "%llu", (unsigned long long)n);
}

void mien__text_one_in(mien__text *t, double rate, size_t n)
{
    if (!(rate > 0)) {
        mien__text_fmt(t, "none of ");
        mien__text_count(t, n);
        return;
    }
    const double in = 1 / rate;
    double step = 1;
    while (in / step >= 100)
        step *= 10;
    mien__text_fmt(t, "1 in ");
    if (in < 10)
        mien__text_fmt(t, "%.1f", in);
    else
        mien__text_count(t, (uint64_t)(round(in / step) * step));
}
