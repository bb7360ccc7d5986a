/* Figures as JSON: what its files share. Private; decide writes its curves through it too. */
#ifndef MIEN_SRC_EVAL_FIGURES_H
#define MIEN_SRC_EVAL_FIGURES_H

#include "base/base.h"
#include <jansson.h>
#include <mien/eval.h>

/* Writes a page; remembers whether memory was short anywhere, so that a page of calls needs one test. */
typedef struct mien__figures {
    bool failed;
} mien__figures;

/* Both take `value`, which may be NULL: memory was short. */
void mien__figures_set(mien__figures *f, json_t *object, const char *key, json_t *value);
void mien__figures_append(mien__figures *f, json_t *array, json_t *value);
/* A number rounded to `digits` after the point; null when it is not finite. */
json_t *mien__figures_round(double v, int digits);
json_t *mien__figures_count(uint64_t n);
/* A string; bytes that are not UTF-8 become U+FFFD. */
json_t *mien__figures_text(const char *s);

/* The page as text with an end, to be freed by mien_free(), real numbers to `digits` significant places
 * (0: as many as they need). Releases
 * `page`, NULL where memory was short. @return MIEN_OK; E_NOMEM; E_LIMIT above `max_bytes` */
mien_status mien__figures_dump(json_t *page, size_t indent, int digits, size_t max_bytes, char **ret,
                               mien_error *err);

#endif
