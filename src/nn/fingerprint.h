/* What a network computes, as one digest. */
#ifndef MIEN_SRC_NN_FINGERPRINT_H
#define MIEN_SRC_NN_FINGERPRINT_H

#include "nn/graph.h"
#include <mien/model.h>

enum { MIEN__FINGERPRINT_HEX = 65 };

void mien__fingerprint(const mien__graph *g, const mien_model_info *info,
                       char ret_hex[MIEN__FINGERPRINT_HEX]);

#endif
