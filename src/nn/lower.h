/* Nodes of a graph in the terms of the kernel table, for the planners of inference and of training. */
#ifndef MIEN_SRC_NN_LOWER_H
#define MIEN_SRC_NN_LOWER_H

#include "nn/graph.h"
#include "nn/kernels/kernels.h"
#include "nn/ops.h"

/* The activation that a node of one parameterless operator is; false for every other, PRelu too. */
bool mien__act_of(const mien__node *node, mien__act *ret_act, float *ret_alpha, float *ret_beta);
/* A convolution's sizes, strides and padding; x, w, y are its input, weights and output. */
void mien__conv_of(const mien__node *node, const mien__tensor *x, const mien__tensor *w,
                   const mien__tensor *y, mien__conv *ret);

#endif
