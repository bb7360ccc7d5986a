/* Calibrations as JSON. */
#ifndef MIEN_SERVER_API_CALIBRATION_H
#define MIEN_SERVER_API_CALIBRATION_H

#include "server_parts.h"

/* What a curve stands on and its points; `own`: it was fitted, and is not the model's own. */
json_t *calibration_json(const mien_curve *curve, bool own);

#endif
