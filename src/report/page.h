/* What the pages of reports share: head and foot, lists of entries, examples of errors.
 *
 * A page makes no request (its content security policy forbids every one), needs no script, follows the
 * reader's light or dark setting, prints, and is well-formed XML as well. All text handed in is escaped.
 * Pictures of people are in it only when the caller hands them in.
 */
#ifndef MIEN_SRC_REPORT_PAGE_H
#define MIEN_SRC_REPORT_PAGE_H

#include "report/text.h"

enum { MIEN__PAGE_MAX_BYTES = 64 << 20, MIEN__PAGE_MAX_EXAMPLES = 200 };

typedef struct mien__report_entry {
    const char *key, *value;
} mien__report_entry;

/* One error: two pictures that were judged wrongly. */
typedef struct mien__report_example {
    bool mated; /* true: one person, not recognised; false: two people, confused */
    double score, threshold;
    const char *name_a, *name_b;    /* people or pictures; may be NULL */
    const uint8_t *jpeg_a, *jpeg_b; /* crops; NULL: no picture in the report */
    size_t bytes_a, bytes_b;
} mien__report_example;

extern const char mien__report_css[];

/* From the document type to the heading; `kind` is said under it: "Training report". */
void mien__page_begin(const char *title, const char *kind, mien__text *t);
void mien__page_end(mien__text *t);
/* A section with a table of keys and values; nothing when there are none. */
void mien__page_entries(const char *title, const mien__report_entry *e, size_t n, mien__text *t);
/* E_ARG when there are too many, or a picture is not a JPEG. */
mien_status mien__page_check_examples(const mien__report_example *e, size_t n, mien_error *err);
/* A section of examples; nothing when there are none. `note` is put as it is. */
void mien__page_examples(const char *title, const char *note, const mien__report_example *e, size_t n,
                         mien__text *t);

#endif
