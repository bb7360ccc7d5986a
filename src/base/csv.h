/* CSV records (RFC 4180) of a text in memory. */
#ifndef MIEN_SRC_BASE_CSV_H
#define MIEN_SRC_BASE_CSV_H

#include "base/base.h"

enum { MIEN__CSV_MAX_FIELDS = 32, MIEN__CSV_MAX_ROW_BYTES = 1 << 15 };

typedef struct mien__csv_row {
    size_t n;
    const char *fields[MIEN__CSV_MAX_FIELDS]; /* unquoted, in `text` */
    size_t line;                              /* where the row begins, from 1 */
    const char *fault;                        /* why a row is bad; a static string */
    char text[MIEN__CSV_MAX_ROW_BYTES];
} mien__csv_row;

typedef enum mien__csv_got { MIEN__CSV_END, MIEN__CSV_ROW, MIEN__CSV_BAD } mien__csv_got;

/* Where reading stands; starts as { data, size, 0, 1 }. */
typedef struct mien__csv {
    const char *data;
    size_t size, at, line;
} mien__csv;

/* Read the next row that is not blank. After a bad one reading goes on at the line after its first. */
mien__csv_got mien__csv_next(mien__csv *csv, mien__csv_row *ret);

#endif
