/* What the two sides of the confined worker agree on: messages over a socket, bytes and pixels in shared
 * memory. */
#ifndef MIEN_SRC_IMAGE_SANDBOX_H
#define MIEN_SRC_IMAGE_SANDBOX_H

#include "image/codec.h"

/* The worker is a fork of this process, so that a pointer to a static codec means the same on both sides. */
typedef struct mien__sandbox_request {
    const mien__codec *codec;
    size_t size;      /* of the file, at the start of the shared memory */
    size_t pixels_at; /* where the pixels go */
    mien_image_opts opts;
} mien__sandbox_request;

/* Nothing in it is trusted by the receiver. */
typedef struct mien__sandbox_reply {
    int32_t status;
    int32_t width, height, scale, orientation;
    char message[MIEN_ERROR_MESSAGE_BYTES];
} mien__sandbox_reply;

/* The worker's life: confine itself, load what `codec` needs (may be NULL), say so, serve until the socket
 * closes. Called in the forked child; never returns. */
_Noreturn void mien__sandbox_worker(int socket_fd, uint8_t *shared, size_t shared_bytes, size_t memory_bytes,
                                    const mien__codec *codec);

#endif
