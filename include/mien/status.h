/* Status codes and the caller-owned error that carries the detail.
 *
 * Every fallible function returns a mien_status and takes an optional mien_error as its last
 * parameter. The function that finds the fault writes the message; callers pass it on untouched.
 */
#ifndef MIEN_STATUS_H
#define MIEN_STATUS_H

#include <mien/attr.h>

MIEN_BEGIN_DECLS

/** The one list of status codes: name, value, text. Values are stable, grouped by module. */
/* clang-format off */
#define MIEN_STATUS_LIST(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(E_ARG, -1, "invalid argument")                                                               \
    X(E_NOMEM, -2, "out of memory")                                                                \
    X(E_IO, -3, "input/output error")                                                              \
    X(E_NOT_FOUND, -4, "not found")                                                                \
    X(E_LIMIT, -5, "limit exceeded")                                                               \
    X(E_UNSUPPORTED, -6, "not supported")                                                          \
    X(E_INTERNAL, -7, "internal error")                                                            \
    X(E_INTERRUPTED, -8, "interrupted")                                                            \
    X(E_IMAGE_FORMAT, -20, "not a picture in a known format")                                      \
    X(E_IMAGE_CORRUPT, -21, "damaged picture")                                                     \
    X(E_IMAGE_CODEC, -22, "the library for this picture format is not available")                  \
    X(E_VIDEO_FORMAT, -30, "not a video in a known format")                                        \
    X(E_VIDEO_CORRUPT, -31, "damaged video")                                                       \
    X(E_VIDEO_CODEC, -32, "the library or decoder for this video is not available")                \
    X(E_MODEL_FORMAT, -40, "not a model in a known format")                                        \
    X(E_MODEL_CORRUPT, -41, "damaged model")                                                       \
    X(E_MODEL_OP, -42, "operator not supported")                                                   \
    X(E_MODEL_SHAPE, -43, "shapes do not fit")                                                     \
    X(E_MODEL_TASK, -44, "model made for another task")                                            \
    X(E_MODEL_MISSING, -45, "model not found")                                                     \
    X(E_NO_FACE, -60, "no face found")                                                             \
    X(E_EVAL_DATA, -80, "evaluation data unusable")                                                \
    X(E_TRAIN, -90, "training failed")                                                             \
    X(E_NET, -100, "download failed")                                                              \
    X(E_DIGEST, -101, "checksum does not match")                                                   \
    X(E_EXISTS, -110, "exists already")                                                            \
    X(E_GALLERY_FORMAT, -111, "not a gallery of this program, or of a newer one")                  \
    X(E_GALLERY_CORRUPT, -112, "damaged gallery")                                                  \
    X(E_GALLERY_KEY, -113, "wrong or missing key")                                                 \
    X(E_GALLERY_MODEL, -114, "gallery made for another model")                                     \
    X(E_GALLERY_BUSY, -115, "gallery is in use")                                                   \
    X(E_INDEX_FORMAT, -120, "not a search index of this program, or of a newer one")               \
    X(E_INDEX_CORRUPT, -121, "damaged search index")                                               \
    X(E_INDEX_FOREIGN, -122, "search index of another gallery, model or key")                      \
    X(E_INDEX_UNSURE, -123, "the search cannot vouch for its answers")
/* clang-format on */

typedef enum mien_status {
#define MIEN_STATUS_ENUM(name, value, text) MIEN_##name = (value),
    MIEN_STATUS_LIST(MIEN_STATUS_ENUM)
#undef MIEN_STATUS_ENUM
} mien_status;

enum { MIEN_ERROR_MESSAGE_BYTES = 256 };

/** Detail of one failure, owned by the caller; valid after a call that returned another status than
 *  MIEN_OK, left untouched by a call that succeeded. */
typedef struct mien_error {
    mien_status status;
    int line;                               /**< source line that found the fault */
    const char *file;                       /**< source file, static string */
    char message[MIEN_ERROR_MESSAGE_BYTES]; /**< one sentence: what, value, limit, file */
} mien_error;

#define MIEN_ERROR_INIT \
    {                   \
        MIEN_OK, 0, "", \
        {               \
            0           \
        }               \
    }

/** Name a status, for instance "E_NOMEM"; unknown values give "E_UNKNOWN". Static string. */
MIEN_API const char *mien_status_name(mien_status status);

/** Describe a status in a few words. Static string. */
MIEN_API const char *mien_status_text(mien_status status);

MIEN_END_DECLS

#endif
