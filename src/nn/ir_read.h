/* What the files of the OpenVINO IR importer share. Private to ir_*.c. */
#ifndef MIEN_SRC_NN_IR_READ_H
#define MIEN_SRC_NN_IR_READ_H

#include "nn/import_util.h"

typedef struct mien__ir_attr {
    struct mien__ir_attr *next;
    const char *key, *value;
} mien__ir_attr;

typedef struct mien__ir_port {
    struct mien__ir_port *next;
    int64_t id;
} mien__ir_port;

typedef struct mien__ir_edge {
    struct mien__ir_edge *next;
    int64_t from_layer, from_port, to_layer, to_port;
} mien__ir_edge;

/* One <layer>: what the XML says, then what the builder finds. */
typedef struct mien__ir_layer {
    struct mien__ir_layer *next;
    int64_t id;
    const char *name, *type, *version;
    mien__ir_attr *attrs;   /* of <data> */
    mien__ir_port *outputs; /* in file order */
    uint32_t n_out, n_in;
    mien__ir_edge *edges; /* that end here, ascending to_port */
    uint32_t *in, *out;   /* values */
    int state;            /* of the depth-first walk: 0 new, 1 open, 2 done */
} mien__ir_layer;

/* The file; everything in `arena`. */
typedef struct mien__ir_net {
    mien__arena *arena;
    int64_t version;
    mien__ir_layer *layers, **sorted; /* sorted: by id */
    mien__ir_edge *edges;
    uint32_t n_layers, n_edges;
} mien__ir_net;

/* Parse the XML (ir_xml.c). */
mien_status mien__ir_parse(const uint8_t *xml, size_t size, mien__ir_net *net, mien_error *err);

/* One layer being mapped. */
typedef struct mien__ir_node {
    mien__import *imp;
    const mien__ir_layer *layer;
} mien__ir_node;

const char *mien__ir_str(const mien__ir_node *n, const char *key, const char *fallback);
bool mien__ir_is(const mien__ir_node *n, const char *key, const char *fallback, const char *value);
bool mien__ir_true(const mien__ir_node *n, const char *key, bool fallback);
int64_t mien__ir_int(const mien__ir_node *n, const char *key, int64_t fallback);
double mien__ir_float(const mien__ir_node *n, const char *key, double fallback);
/* Read "1, 2, 3" into ret[max]; the count, 0 when absent; fails when it is no such list. */
size_t mien__ir_ints(const mien__ir_node *n, const char *key, int64_t *ret, size_t max);
/* F32, I64 or 0; *ret_bytes gets the size of an element in the .bin file. */
mien__dtype mien__ir_dtype(const char *name, size_t *ret_bytes);

uint32_t mien__ir_in(const mien__ir_node *n, uint32_t i);
uint32_t mien__ir_out(const mien__ir_node *n);
void mien__ir_emit(const mien__ir_node *n, const mien__draft *d);

typedef void (*mien__ir_map)(const mien__ir_node *n);
mien__ir_map mien__ir_map_of(const char *type); /* NULL when unknown */

/* ir_ops_dense.c */
void mien__ir_conv(const mien__ir_node *n);
void mien__ir_pool(const mien__ir_node *n);
void mien__ir_matmul(const mien__ir_node *n);
void mien__ir_batch_norm(const mien__ir_node *n);
void mien__ir_interpolate(const mien__ir_node *n);
void mien__ir_normalize(const mien__ir_node *n);

#endif
