/* Fuzz target: CSV records. */
#include "base/csv.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mien__csv_row row;
    mien__csv csv = { (const char *)data, size, 0, 1 };
    size_t before = 0, line = 0;
    for (mien__csv_got got; (got = mien__csv_next(&csv, &row)) != MIEN__CSV_END;) {
        /* each row leads on, and says where it stood */
        if (csv.at <= before || csv.at > size || row.line <= line ||
            (got == MIEN__CSV_BAD) != (row.fault != NULL))
            abort();
        before = csv.at;
        line = row.line;
        if (got == MIEN__CSV_BAD)
            continue;
        if (row.n < 1 || row.n > MIEN__CSV_MAX_FIELDS)
            abort();
        size_t bytes = 0;
        for (size_t i = 0; i < row.n; i++)
            bytes += strlen(row.fields[i]) + 1;
        if (bytes > sizeof row.text)
            abort();
    }
    return 0;
}
