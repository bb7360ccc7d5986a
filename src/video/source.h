/* One source of coded frames and its decoder; see source.c. Only where MIEN_HAVE_FFMPEG. */
#ifndef MIEN_SRC_VIDEO_SOURCE_H
#define MIEN_SRC_VIDEO_SOURCE_H

#include "video/av.h"

#if MIEN_HAVE_FFMPEG

/* Bytes of a file or of memory, behind libavformat's reading. */
typedef struct mien__video_bytes {
    int fd;              /* -1: memory */
    const uint8_t *data; /* memory */
    int64_t size, at;    /* memory */
} mien__video_bytes;

typedef struct mien__source {
    const mien__av *av;
    mien_video_opts opts;
    char *name; /* for messages; addresses without user and password */
    bool live;
    mien__video_bytes bytes;
    AVIOContext *io; /* files and memory */
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    int stream;
    int orientation;    /* EXIF 1..8 that turns frames upright */
    double deadline_ms; /* live: of the call in progress; 0: none */
    bool timed_out, draining;
    int barren;        /* packets since the last frame */
    int64_t first_ms;  /* time stamp of the first frame */
    int64_t last_ms;   /* media time of the last frame; -1 before it */
    uint64_t n_frames; /* decoded */
} mien__source;

/* Open by kind, or from memory when `data` is given. On failure nothing is left to close. */
mien_status mien__source_open(mien__source *s, mien_video_kind kind, const char *where, const void *data,
                              size_t size, const mien_video_opts *opts, mien_error *err);
/* Decode the next frame; *ret_end at the end. Media time as mien_video_frame's. */
mien_status mien__source_next(mien__source *s, AVFrame *frame, int64_t *ret_media_ms, bool *ret_end,
                              mien_error *err);
void mien__source_close(mien__source *s);
/* E_LIMIT when frames of that size pass the limits. */
mien_status mien__source_check_size(const mien__source *s, int width, int height, mien_error *err);

/* ---- frames to pictures ---- */

typedef struct mien__converter {
    struct SwsContext *sws;
    uint8_t *pixels, *turned; /* R G B */
    size_t bytes;             /* of each */
} mien__converter;

/* Size of a delivered frame: square pixels, upright, within fit_side. */
void mien__converted_size(const mien__source *s, int width, int height, AVRational aspect, int *ret_width,
                          int *ret_height);
/* Lend the frame as an upright RGB picture, until the next call. */
mien_status mien__convert(mien__converter *c, const mien__source *s, const AVFrame *frame,
                          mien_image_view *ret, mien_error *err);
void mien__converter_free(mien__converter *c, const mien__av *av);

#endif
#endif
