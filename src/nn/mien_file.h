/* The `.mien` file: writing a graph with its description, reading one back from untrusted bytes.
 *
 * All numbers little-endian. Layout:
 *
 *   header   128 bytes: magic "MIENNET\n", u32 version 1, u32 0, u64 file bytes, then offset and bytes
 *            (u64 each) of the sections meta, graph, table and data; the rest 0
 *   meta     records: u16 key, u16 kind (1 text, 2 f64 array), u32 bytes, payload padded to 8;
 *            unknown keys are skipped
 *   graph    u32 counts (values, nodes, inputs, outputs); values; nodes; input and output indices
 *   table    per tensor: u64 offset in data, u64 bytes, u32 type (mien__dtype), u32 0
 *   data     tensors, each 64-byte aligned in the file
 *   trailer  SHA-256 of everything before it
 *
 * float32 tensors whose every value fits a half float are stored as F16 and widened when read; a writer
 * asked for MIEN_STORE_F16 rounds the weights to half floats first.
 */
#ifndef MIEN_SRC_NN_MIEN_FILE_H
#define MIEN_SRC_NN_MIEN_FILE_H

#include "nn/graph.h"

enum {
    MIEN__FILE_VERSION = 1,
    MIEN__FILE_HEADER = 128,
    MIEN__FILE_TRAILER = 32,
    MIEN__FILE_ALIGN = 64,
    MIEN__FILE_TABLE_ROW = 24,
    MIEN__TEXT_MAX = 1 << 16,
};
#define MIEN__FILE_MAX ((size_t)8 << 30)
#define MIEN__FILE_MAGIC "MIENNET\n"
enum { MIEN__META_TEXT = 1, MIEN__META_F64 = 2, MIEN__META_POINTS = 64 };

/* One field of mien_model_info as a record. Numbers are stored as f64 (exact below 2^53). */
typedef enum mien__field_type {
    MIEN__FIELD_TEXT,
    MIEN__FIELD_INT,
    MIEN__FIELD_U64,
    MIEN__FIELD_F32,
    MIEN__FIELD_F64
} mien__field_type;
typedef struct mien__field {
    uint16_t key; /* written to files, never changes */
    mien__field_type type;
    size_t offset; /* in mien_model_info */
    uint32_t n;
    double lo, hi; /* accepted range of numbers */
} mien__field;
const mien__field *mien__model_field(size_t index); /* NULL past the end */

/* Description with every string empty and neutral numbers. */
mien_model_info mien__model_info_empty(void);
/* Copy `src` with its strings and points into `arena`; NULL strings become "". E_ARG when a number is out of
 * its range or the points are not ascending. */
mien_status mien__model_info_copy(mien__arena *arena, const mien_model_info *src, mien_model_info *ret,
                                  mien_error *err);

/* Write the whole file into `ret` (initialised by the caller). */
mien_status mien__file_write(const mien__graph *g, const mien_model_info *info, mien_store store,
                             mien__buf *ret, mien_error *err);
/* Read; constants point into `data` where they can. `ret_info`'s strings lie in the graph's arena. The
 * trailer is not checked: that is mien__file_verify(). */
mien_status mien__file_parse(const uint8_t *data, size_t size, mien__graph **ret, mien_model_info *ret_info,
                             mien_error *err);
/* Read the description alone; its strings and points lie in `arena`. */
mien_status mien__file_describe(const uint8_t *data, size_t size, mien__arena *arena,
                                mien_model_info *ret_info, mien_error *err);
mien_status mien__file_verify(const uint8_t *data, size_t size, mien_error *err);

#endif
