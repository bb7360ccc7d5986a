/* The built-in list of known models, as the rest of the library sees it. Private; the public part is in
 * <mien/model.h>. The list itself is data: models/registry.inc and models/calibration.inc.
 */
#ifndef MIEN_SRC_REGISTRY_H
#define MIEN_SRC_REGISTRY_H

#include "base/base.h"
#include <mien/model.h>

/* One known model: where it comes from and what its pictures must look like. */
typedef struct mien__known_model {
    mien_registry_entry entry;
    mien_model_info info; /* strings that repeat the entry's are filled in by mien__registry_describe() */
    int preference; /* among models of its task where none is built in: 1 first choice, 2 second ...; 0 never
                     */
} mien__known_model;

/* What a model's scores mean: rows of models/calibration.inc, joined to the list by name. */
typedef struct mien__calibration {
    const char *name; /* registry name */
    double default_fmr;
    uint64_t n_mated, n_nonmated;
    const char *protocol;
    mien_operating_point points[MIEN_MAX_OPERATING_POINTS]; /* ascending fmr; ends at the first fmr of 0 */
} mien__calibration;

/* A model compiled into the library: the bytes of a .mien file, aligned to 64. The table is written by
 * cmake/builtin.cmake and ends with a NULL name. */
typedef struct mien__builtin {
    const char *name;
    const uint8_t *data, *end;
} mien__builtin;
extern const mien__builtin mien__builtins[];

/* Lend a built-in model by name; NULL when there is none. */
const mien__builtin *mien__builtin_find(const char *name);

/* Describe the source file with that digest (64 hex digits). Strings and points are static.
 * False, *ret_info untouched, when the file is not in the list. */
bool mien__registry_describe(const char *sha256_hex, mien_model_info *ret_info);

/* Lend the name of the task's 1st, 2nd ... choice (index 0, 1 ...); NULL past the end. */
const char *mien__registry_preferred(mien_task task, size_t index);

/* Lend an entry's whole row; NULL past the end. */
const mien__known_model *mien__registry_row(size_t index);

/* Write the user's model folder: $XDG_DATA_HOME/mien/models or ~/.local/share/mien/models.
 * E_NOT_FOUND when neither variable is set, E_LIMIT when it does not fit. */
mien_status mien__registry_user_dir(char *ret_dir, size_t capacity, mien_error *err);

#endif
