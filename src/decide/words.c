/* Rates in words: "about 1 in 180,000", two figures, since no calibration knows more. */
#include "decide/curve.h"
#include <math.h>
#include <stdio.h>

/* 181818 -> "180,000": two significant figures, thousands parted. */
static void round_count(char *ret, size_t capacity, double n)
{
    double unit = 1;
    while (n / unit >= 99.5)
        unit *= 10;
    char digits[40];
    const int len = snprintf(digits, sizeof digits, "%.0f", round(n / unit) * unit);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < capacity; i++) {
        if (i && (len - i) % 3 == 0)
            ret[at++] = ',';
        ret[at++] = digits[i];
    }
    ret[at] = '\0';
}

void mien_rate_words(const mien_estimate *rate, char *ret, size_t capacity)
{
    char count[48];
    if (!rate || !ret || capacity == 0)
        return;
    if (!(rate->value > 1e-12)) {
        snprintf(ret, capacity, "fewer than 1 in 1,000,000,000");
        return;
    }
    if (rate->value > 2.0 / 3 && rate->bound >= 0) {
        snprintf(ret, capacity, "%s", rate->value > 0.95 ? "nearly all" : "most");
        return;
    }
    round_count(count, sizeof count, 1 / rate->value);
    snprintf(ret, capacity, "%s 1 in %s",
             rate->bound < 0   ? "fewer than"
             : rate->bound > 0 ? "more than"
                               : "about",
             count);
}

void mien_search_words(const mien_search_decision *decision, char *ret, size_t capacity)
{
    char rate[48], people[48];
    if (!decision || !ret || capacity == 0)
        return;
    if (!decision->size.n_people) {
        snprintf(ret, capacity, "nobody is enrolled");
        return;
    }
    mien_rate_words(&decision->score_fpir, rate, sizeof rate);
    snprintf(people, sizeof people, "%llu", (unsigned long long)decision->size.n_people);
    if (decision->size.n_people == 1)
        snprintf(ret, capacity, "%s strangers would be taken for this one person at this similarity", rate);
    else
        snprintf(ret, capacity, "%s strangers would be taken for one of these %s people at this similarity",
                 rate, people);
}
