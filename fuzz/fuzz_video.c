/* Fuzz target: a video in memory, read to its end under tiny limits. The libraries that do the work are the
 * system's and not instrumented: what is tested is what stands around them, and that no input gets past the
 * limits.
 */
#include "base/base.h"
#include <mien/video.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX_SIDE = 256, MAX_FRAMES = 40 };
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    mien_video *video = NULL;
    mien_error err = MIEN_ERROR_INIT;
    opts.max_side = MAX_SIDE;
    opts.max_pixels = MAX_SIDE * MAX_SIDE;
    opts.fit_side = size > 0 && data[size - 1] & 1 ? 64 : 0;
    if (size == 0)
        return 0;
    if (mien_video_open_memory(data, size, &opts, &video, &err) != MIEN_OK) {
        if (!err.message[0])
            __builtin_trap(); /* every refusal says why */
        return 0;
    }
    mien_video_frame frame;
    int64_t last_ms = 0;
    for (int i = 0; i < MAX_FRAMES; i++) {
        if (mien_video_next(video, &frame, &err) != MIEN_OK || !frame.image.data)
            break;
        const mien_image_view v = frame.image;
        if (v.width < 1 || v.height < 1 || v.width > MAX_SIDE || v.height > MAX_SIDE ||
            frame.media_ms < last_ms)
            __builtin_trap();
        last_ms = frame.media_ms;
        volatile uint8_t end = v.data[(size_t)(v.height - 1) * v.stride_bytes + 3 * (size_t)v.width - 1];
        (void)end;
    }
    mien_video_free(video);
    return 0;
}
