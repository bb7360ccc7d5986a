/* Architectures that can be trained from nothing: graphs with random weights, and what a finished one needs
 * around it.
 */
#ifndef MIEN_SRC_TRAIN_ARCH_H
#define MIEN_SRC_TRAIN_ARCH_H

#include "nn/graph.h"

/* Build by description: "mobilefacenet", "mobilefacenet:embed=256,width=0.75", "yunet". Batch and, for
 * detectors, sides are free. Fills what the architecture fixes of the description (task, input, template,
 * embedding length). E_ARG names what is wrong with the text. */
mien_status mien__arch_build(const char *text, uint64_t seed, mien__graph **ret, mien_model_info *ret_info,
                             mien_error *err);

/* A YuNet graph as it is trained gives maps [n][c][h][w] before the sigmoid, named cls_8, cls_16, cls_32,
 * obj_.., bbox_.., kps_..; the decoder wants rows [n][h*w][c] with probabilities. Put that behind the maps,
 * in place. */
mien_status mien__arch_yunet_finish(mien__graph *g, mien_error *err);

/* A network of one linear layer over embeddings of `dim` numbers, input [n][dim][1][1], that starts as the
 * identity. */
mien_status mien__arch_layer(int dim, mien__graph **ret, mien_error *err);
/* Put such a layer behind the first output of g, which becomes the layer's. */
mien_status mien__arch_append_layer(mien__graph *g, const mien__graph *layer, mien_error *err);

#endif
