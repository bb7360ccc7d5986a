/* Running a network on tensors. A session belongs to one thread; its model may be shared.
 *
 * A session plans its memory once for an input shape (one arena) and allocates nothing on later runs of
 * the same shape. The same input gives the same bytes for any number of threads and any batch size.
 */
#ifndef MIEN_SESSION_H
#define MIEN_SESSION_H

#include <mien/model.h>

MIEN_BEGIN_DECLS

typedef struct mien_session mien_session;

typedef struct mien_session_opts {
    size_t struct_size;
    unsigned threads; /**< 1: the caller's thread only (default); 0: all processors */
} mien_session_opts;

#define MIEN_SESSION_OPTS_INIT       \
    {                                \
        sizeof(mien_session_opts), 1 \
    }

enum { MIEN_MAX_RANK = 8 };

/** A lent float32 tensor, row-major (NCHW for pictures), no padding between rows. */
typedef struct mien_tensor_view {
    const char *name;
    const float *data;
    int rank;
    int64_t dims[MIEN_MAX_RANK];
} mien_tensor_view;

/** Make a session; `model` must outlive it. */
MIEN_API MIEN_MUST_USE mien_status mien_session_new(const mien_model *model, const mien_session_opts *opts,
                                                    mien_session **ret_session, mien_error *err);
MIEN_API void mien_session_free(mien_session *session);

/** Lend the session's model. */
MIEN_API const mien_model *mien_session_model(const mien_session *session);

/** Plan for input shapes (one per network input, in order) and lend the buffers to fill.
 *  Called again with the same shapes it does nothing but return the same buffers.
 *  @param ret_inputs  [n] row-major buffers; valid until the next prepare with other shapes
 *  @return MIEN_OK; E_MODEL_SHAPE, E_LIMIT, E_NOMEM: the earlier plan stays */
MIEN_API MIEN_MUST_USE mien_status mien_session_prepare(mien_session *session, size_t n,
                                                        const mien_tensor_view *shapes, float **ret_inputs,
                                                        mien_error *err);

/** Run the planned network on what the input buffers hold. */
MIEN_API MIEN_MUST_USE mien_status mien_session_run(mien_session *session, mien_error *err);

/** Count the network's inputs / outputs. */
MIEN_API size_t mien_session_n_inputs(const mien_session *session);
MIEN_API size_t mien_session_n_outputs(const mien_session *session);

/** Describe an input: its name, rank and dims as in the model, -1 where free. */
MIEN_API MIEN_MUST_USE mien_status mien_session_input(const mien_session *session, size_t index,
                                                      mien_tensor_view *ret, mien_error *err);

/** Lend an output of the last run; valid until the next run or prepare. */
MIEN_API MIEN_MUST_USE mien_status mien_session_output(const mien_session *session, size_t index,
                                                       mien_tensor_view *ret, mien_error *err);

/** One step of the plan, for `--layers`. */
typedef struct mien_layer_info {
    const char *name;   /**< node name */
    const char *op;     /**< operator with what was fused, "Conv+PRelu+Add" */
    const char *kernel; /**< chosen kernel, "winograd4x4/avx512" */
    double ms;          /**< median over timed runs; 0 before mien_session_profile() */
    double mmac;        /**< millions of multiply-adds */
} mien_layer_info;

/** Run `n` times with a clock around each step. */
MIEN_API MIEN_MUST_USE mien_status mien_session_profile(mien_session *session, int n, mien_error *err);

/** Describe step 0, 1, ...; E_NOT_FOUND past the end. Strings live as long as the plan. */
MIEN_API MIEN_MUST_USE mien_status mien_session_layer(const mien_session *session, size_t index,
                                                      mien_layer_info *ret, mien_error *err);

/** Bytes of the plan's arena and of the packed weights. */
MIEN_API size_t mien_session_arena_bytes(const mien_session *session);
MIEN_API size_t mien_session_weight_bytes(const mien_session *session);

MIEN_END_DECLS

#endif
