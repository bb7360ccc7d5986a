/* Rates as people read them. */
#ifndef MIEN_SRC_REPORT_NUMBERS_H
#define MIEN_SRC_REPORT_NUMBERS_H

#include "report/text.h"

/* "2.31 %", "0.0042 %": two decimals, more where they would show nothing. */
void mien__text_percent(mien__text *t, double rate);
/* "2.31 % [1.90, 2.80]". */
void mien__text_interval(mien__text *t, double rate, double lo, double hi);
/* "1 in 950", rounded to two digits; "none of 3,000" where the rate is 0. */
void mien__text_one_in(mien__text *t, double rate, size_t n);
/* "1,234,567". */
void mien__text_count(mien__text *t, uint64_t n);

#endif
