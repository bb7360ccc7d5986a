/* Moving pictures: frames of files, cameras and RTSP streams, one after the other; and writing MP4.
 *
 * Frames are upright 8-bit RGB like every picture here (the rotation a phone writes is applied). The work is
 * done by FFmpeg's libraries, which are opened at run time by the first call that needs them; without them
 * everything here answers E_VIDEO_CODEC. Their own messages are turned off, process-wide.
 *
 * A file is read frame by frame, as fast as it is asked for. From a live source a thread of its own decodes
 * all the time and keeps only the newest frame: who asks too slowly loses frames, which are counted, and
 * neither memory nor delay grows.
 */
#ifndef MIEN_VIDEO_H
#define MIEN_VIDEO_H

#include <mien/image.h>

MIEN_BEGIN_DECLS

/** A source of frames; used by one thread. */
typedef struct mien_video mien_video;

typedef enum mien_video_kind {
    MIEN_VIDEO_FILE = 0,   /**< path of a regular file; nothing else is ever opened on its behalf */
    MIEN_VIDEO_CAMERA = 1, /**< number n for /dev/video<n>, or a device's path (V4L2) */
    MIEN_VIDEO_RTSP = 2,   /**< rtsp:// or rtsps:// address; media over TCP */
} mien_video_kind;

/** What reading may cost, and how. */
typedef struct mien_video_opts {
    size_t struct_size;
    int max_side;            /**< px; larger frames are refused; default 8192 */
    uint64_t max_pixels;     /**< width * height; default 36,000,000 */
    int fit_side;            /**< px; frames are delivered shrunk so that no side is longer; 0: as they are */
    int timeout_ms;          /**< live sources: to connect, and for each frame; default 10,000 */
    int realtime;            /**< files: 1: as fast as played, dropping frames as a live source does */
    int width, height, fps;  /**< what to ask a camera for; 0: what it likes */
    unsigned threads;        /**< for decoding; default 1 */
    int (*stop)(void *user); /**< asked often, from any thread: non-zero ends all waiting with
                                  E_INTERRUPTED; NULL */
    void *user;
} mien_video_opts;

#define MIEN_VIDEO_OPTS_INIT                                                          \
    {                                                                                 \
        sizeof(mien_video_opts), 8192, 36000000u, 0, 10000, 0, 0, 0, 0, 1, NULL, NULL \
    }

/** Open a source.
 *  Containers: MP4/MOV, Matroska/WebM, AVI, MPEG (TS, PS), FLV, NUT, Ogg, raw H.264/HEVC/MJPEG streams.
 * Codecs: H.264, HEVC, AV1, VP8, VP9, MPEG-1/2/4, MJPEG, Theora, raw video. Sound and subtitles are discarded
 * unread. Playlists, image sequences and network addresses inside files are refused.
 *  @param source  see mien_video_kind
 *  @param opts    NULL for the defaults
 *  @return MIEN_OK; E_ARG, E_NOT_FOUND, E_IO, E_LIMIT, E_VIDEO_FORMAT, E_VIDEO_CORRUPT, E_VIDEO_CODEC,
 *          E_INTERRUPTED, E_NOMEM
 *  @ownership the caller frees *ret with mien_video_free().  @threads any, but see mien_video */
MIEN_API MIEN_MUST_USE mien_status mien_video_open(mien_video_kind kind, const char *source,
                                                   const mien_video_opts *opts, mien_video **ret,
                                                   mien_error *err);

/** Open a file's bytes; as mien_video_open(). `data` must stay valid and unchanged while the source lives. */
MIEN_API MIEN_MUST_USE mien_status mien_video_open_memory(const void *data, size_t size,
                                                          const mien_video_opts *opts, mien_video **ret,
                                                          mien_error *err);

/** Stop the source's thread, if any, and free it. Frames it has lent are gone. */
MIEN_API void mien_video_free(mien_video *video);

typedef struct mien_video_info {
    int width, height;   /**< px of a delivered frame, as far as the header tells */
    double fps;          /**< frames per second, 0 when unknown */
    int64_t duration_ms; /**< 0 when unknown, as for live sources */
    int live;            /**< 1: frames may be dropped */
    char format[32], codec[32];
} mien_video_info;

MIEN_API mien_video_info mien_video_info_of(const mien_video *video);

/** One frame, lent. */
typedef struct mien_video_frame {
    mien_image_view image; /**< data is NULL at the end of the video */
    int64_t media_ms;      /**< from the first frame; never falls */
    int64_t wall_ms;       /**< milliseconds since 1970 UTC at which it was decoded */
    uint64_t number;       /**< of the frame, dropped ones counted, from 0 */
    uint64_t dropped;      /**< frames lost so far, because they were not asked for in time */
} mien_video_frame;

/** Take the next frame (files) or the newest (live: waits for one that was not given yet).
 *  Damaged frames are skipped; E_VIDEO_CORRUPT when nothing usable comes for long.
 *  @param ret_frame  its pixels are valid until the next call for this source
 *  @return MIEN_OK, also at the end; E_IO (a live source fell silent), E_VIDEO_CORRUPT, E_LIMIT,
 * E_INTERRUPTED, E_NOMEM: the source is at its end then */
MIEN_API MIEN_MUST_USE mien_status mien_video_next(mien_video *video, mien_video_frame *ret_frame,
                                                   mien_error *err);

/** Say what reads and writes videos, such as "FFmpeg 5.1.9 (avformat 59.27, avcodec 59.37)", or why nothing
 *  does. Static string.
 *  @param ret_available  0 or 1; not NULL */
MIEN_API const char *mien_video_describe(int *ret_available);

/* ---- writing ---- */

/** An MP4 file in the making; used by one thread. */
typedef struct mien_video_writer mien_video_writer;

/** Begin an MP4. Nothing is seen at `path` before mien_video_writer_finish().
 *  @param codec  "h264" (where FFmpeg has an encoder), "mpeg4", "mjpeg"; NULL: h264, else mpeg4
 *  @param width, height  px; odd ones lose their last column or row
 *  @return MIEN_OK; E_ARG, E_IO, E_VIDEO_CODEC, E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_video_writer_new(const char *path, const char *codec, int width,
                                                         int height, double fps, mien_video_writer **ret,
                                                         mien_error *err);
/** Add a frame shown from `media_ms` on. A frame of another size is scaled; one that is not later than the
 * one before is left out. */
MIEN_API MIEN_MUST_USE mien_status mien_video_writer_add(mien_video_writer *writer, mien_image_view image,
                                                         int64_t media_ms, mien_error *err);
/** End the file and give it its name. The writer can then only be freed. */
MIEN_API MIEN_MUST_USE mien_status mien_video_writer_finish(mien_video_writer *writer, mien_error *err);
/** Free; an unfinished file is removed. */
MIEN_API void mien_video_writer_free(mien_video_writer *writer);

MIEN_END_DECLS

#endif
