/* Tables of compared pairs. Private; see <mien/eval.h>. */
#ifndef MIEN_SRC_EVAL_TABLE_H
#define MIEN_SRC_EVAL_TABLE_H

#include "base/base.h"
#include <mien/eval.h>
#include <string.h>

/* Options of a caller built with an older header leave what they do not know at its default. */
#define MIEN__EVAL_TAKE(to, opts)                                                                       \
    do {                                                                                                \
        if (opts)                                                                                       \
            memcpy(&(to), (opts), (opts)->struct_size < sizeof(to) ? (opts)->struct_size : sizeof(to)); \
    } while (0)

/* Differences of scores must not overflow. */
#define MIEN__EVAL_MAX_SCORE 1e300

/* Texts, each once, numbered from 1; 0 stands for none. */
typedef struct mien__names {
    mien__arena *arena;
    const char **v; /* [n]: text of number i + 1 */
    uint32_t *slots;
    size_t n, capacity, n_slots;
} mien__names;
/* Find or add; NULL and "" are 0. E_NOMEM, E_LIMIT. */
mien_status mien__names_add(mien__names *names, const char *text, uint32_t *ret, mien_error *err);
/* 0 when it is not there. */
uint32_t mien__names_find(const mien__names *names, const char *text);
const char *mien__names_at(const mien__names *names, uint32_t number); /* NULL for 0 */
void mien__names_clear(mien__names *names);

typedef struct mien__eval_row {
    double score; /* higher is more alike: turned where the table's are not */
    uint32_t person[2], item[2];
    int16_t fold;
    uint8_t mated, failed;
} mien__eval_row;

typedef struct mien__eval_column {
    char *name;
    mien__names values;
    bool dropped;
} mien__eval_column;

struct mien_eval_table {
    mien__eval_row *rows;
    uint8_t *labels; /* [n][n_columns] numbers of values */
    size_t n, capacity;
    mien__names people, items;
    mien__eval_column columns[MIEN_EVAL_MAX_COLUMNS];
    size_t n_columns;
    bool lower;
};

/* A score of the table's rows in the caller's scale, and back. */
static inline double mien__eval_shown(const mien_eval_table *t, double score)
{
    return t->lower ? -score : score;
}

#endif
