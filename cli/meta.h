/* A model's description as JSON: what `model info --format json` prints and `model import --meta` reads. */
#ifndef MIEN_CLI_META_H
#define MIEN_CLI_META_H

#include "json.h"

const char *cli_task_name(mien_task task);

json_t *cli_meta_json(const mien_model_info *info);

/* What a JSON object sets in a description. The strings and points live in it: keep it while `info` is used.
 */
typedef struct cli_meta {
    json_t *page;
    mien_operating_point points[MIEN_MAX_OPERATING_POINTS];
    mien_curve *curve;
} cli_meta;
/* Read FILE over `info`; unknown keys and wrong types are reported. Returns the exit code. */
int cli_meta_read(cli_meta *meta, const char *path, mien_model_info *info);
/* Set thresholds and what they stand on from FILE, a calibration that `mien calibrate --out` wrote. Reports;
 * returns the exit code. */
int cli_meta_calibration(cli_meta *meta, const char *path, mien_model_info *info);
void cli_meta_free(cli_meta *meta);

/* Read a calibration from FILE. Reports; returns the exit code. */
int cli_curve_read(const char *path, mien_curve **ret);

#endif
