/* The list of known models: lookup by name, by source file, by digest and by task; and the
 * table of those compiled in.
 *
 * The rows are data in models/; this file joins a row with its calibration and fills what the description
 * repeats of the entry.
 */
#include "registry/registry.h"
#include <string.h>

static const mien__known_model known_models[] = {
#include "../../models/registry.inc"
};

static const mien__calibration calibrations[] = {
#include "../../models/calibration.inc"
};

const mien__known_model *mien__registry_row(size_t index)
{
    return index < MIEN_COUNTOF(known_models) ? &known_models[index] : NULL;
}

const mien_registry_entry *mien_registry_at(size_t index)
{
    return index < MIEN_COUNTOF(known_models) ? &known_models[index].entry : NULL;
}

const mien_registry_entry *mien_registry_find(const char *name)
{
    if (!name)
        return NULL;
    for (size_t i = 0; i < MIEN_COUNTOF(known_models); i++) {
        const mien_registry_entry *const e = &known_models[i].entry;
        if (strcmp(e->name, name) == 0 || strcmp(e->file, name) == 0)
            return e;
    }
    return NULL;
}

const char *mien__registry_preferred(mien_task task, size_t index)
{
    size_t seen = 0;
    for (int rank = 1; rank <= (int)MIEN_COUNTOF(known_models); rank++)
        for (size_t i = 0; i < MIEN_COUNTOF(known_models); i++)
            if (known_models[i].entry.task == task && known_models[i].preference == rank && seen++ == index)
                return known_models[i].entry.name;
    return NULL;
}

const mien__builtin *mien__builtin_find(const char *name)
{
    for (const mien__builtin *b = mien__builtins; b->name; b++)
        if (strcmp(b->name, name) == 0)
            return b;
    return NULL;
}

const char *mien_builtin_at(size_t index)
{
    for (const mien__builtin *b = mien__builtins; b->name; b++)
        if (index-- == 0)
            return b->name;
    return NULL;
}

/* Join the calibration row of that name, if there is one. */
static void add_calibration(const char *name, mien_model_info *info)
{
    for (size_t i = 0; i < MIEN_COUNTOF(calibrations); i++) {
        const mien__calibration *const c = &calibrations[i];
        if (!c->name || strcmp(c->name, name) != 0)
            continue;
        size_t n = 0;
        while (n < MIEN_MAX_OPERATING_POINTS && c->points[n].fmr > 0.0)
            n++;
        info->default_fmr = c->default_fmr;
        info->points = c->points;
        info->n_points = n;
        info->n_mated = c->n_mated;
        info->n_nonmated = c->n_nonmated;
        info->protocol = c->protocol;
    }
}

bool mien__registry_describe(const char *sha256_hex, mien_model_info *ret_info)
{
    for (size_t i = 0; sha256_hex && i < MIEN_COUNTOF(known_models); i++) {
        const mien__known_model *const k = &known_models[i];
        if (strcmp(k->entry.sha256, sha256_hex) != 0)
            continue;
        mien_model_info info = k->info;
        info.name = k->entry.name;
        info.description = k->entry.description;
        info.licence = k->entry.licence;
        info.training_data = k->entry.training_data;
        info.source = k->entry.url[0] ? k->entry.url : k->entry.file;
        info.sha256 = k->entry.sha256;
        info.decoder = info.decoder ? info.decoder : "";
        info.protocol = "";
        add_calibration(k->entry.name, &info);
        *ret_info = info;
        return true;
    }
    return false;
}
