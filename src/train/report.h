/* The report of a training run: one HTML page that needs nothing else.
 *
 * See report/page.h for what holds of every page.
 */
#ifndef MIEN_SRC_TRAIN_REPORT_H
#define MIEN_SRC_TRAIN_REPORT_H

#include "report/page.h"
#include "train/runlog.h"

/* What was trained and measured on. */
typedef struct mien__report_data {
    size_t train_people, train_pictures, val_people, val_pictures;
    size_t n_unreadable, n_no_face; /* pictures left out */
    size_t n_duplicates;            /* near duplicates found across the split */
} mien__report_data;

typedef struct mien__report {
    const char *title;                      /* "Fine-tuning of mfn_small" */
    const char *outcome;                    /* what was done in consequence, one sentence; may be NULL */
    const mien__validation *before, *after; /* either may be NULL */
    const mien__comparison *comparison;     /* may be NULL: a model trained from nothing */
    const mien__runlog_data *log;           /* may be NULL */
    const mien__report_data *data;          /* may be NULL */
    const char *const *people;              /* names by label; NULL: numbers are shown */
    size_t n_people;
    const mien__report_example *examples;
    size_t n_examples;
    const mien__report_entry *config, *environment;
    size_t n_config, n_environment;
} mien__report;

/** Write the page into a buffer. @return E_ARG (a picture that is not a JPEG, too many examples); E_LIMIT
 * when the page would pass MIEN__PAGE_MAX_BYTES; E_NOMEM */
mien_status mien__report_html(const mien__report *r, mien__buf *ret, mien_error *err);
/* Write the page to a file, whole or not at all. */
mien_status mien__report_write(const mien__report *r, const char *path, mien_error *err);

#endif
