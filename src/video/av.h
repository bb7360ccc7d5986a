/* FFmpeg's libraries, opened at run time: the functions used, found by name. Only for src/video, and only
 * where MIEN_HAVE_FFMPEG.
 */
#ifndef MIEN_SRC_VIDEO_AV_H
#define MIEN_SRC_VIDEO_AV_H

#include "base/base.h"
#include <mien/video.h>

#if MIEN_HAVE_FFMPEG

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

/* All but the last group come with libavformat, which needs libavcodec and libavutil itself. */
#define MIEN__AV_FUNCTIONS(X)          \
    X(avformat_version)                \
    X(avformat_alloc_context)          \
    X(avformat_open_input)             \
    X(avformat_find_stream_info)       \
    X(avformat_close_input)            \
    X(avformat_free_context)           \
    X(avformat_alloc_output_context2)  \
    X(avformat_new_stream)             \
    X(avformat_write_header)           \
    X(avio_alloc_context)              \
    X(avio_context_free)               \
    X(av_find_best_stream)             \
    X(av_find_input_format)            \
    X(av_guess_frame_rate)             \
    X(av_interleaved_write_frame)      \
    X(av_read_frame)                   \
    X(av_write_trailer)                \
    X(avcodec_version)                 \
    X(avcodec_alloc_context3)          \
    X(avcodec_find_decoder)            \
    X(avcodec_find_encoder_by_name)    \
    X(avcodec_free_context)            \
    X(avcodec_get_name)                \
    X(avcodec_open2)                   \
    X(avcodec_parameters_from_context) \
    X(avcodec_parameters_to_context)   \
    X(avcodec_receive_frame)           \
    X(avcodec_receive_packet)          \
    X(avcodec_send_frame)              \
    X(avcodec_send_packet)             \
    X(av_packet_alloc)                 \
    X(av_packet_free)                  \
    X(av_packet_rescale_ts)            \
    X(av_packet_unref)                 \
    X(av_dict_free)                    \
    X(av_dict_set)                     \
    X(av_frame_alloc)                  \
    X(av_frame_free)                   \
    X(av_frame_get_buffer)             \
    X(av_frame_make_writable)          \
    X(av_frame_move_ref)               \
    X(av_frame_unref)                  \
    X(av_free)                         \
    X(av_log_set_level)                \
    X(av_malloc)                       \
    X(av_rescale_q)                    \
    X(av_strerror)                     \
    X(av_version_info)

#define MIEN__SWS_FUNCTIONS(X) \
    X(sws_freeContext)         \
    X(sws_getCachedContext)    \
    X(sws_getCoefficients)     \
    X(sws_scale)               \
    X(sws_setColorspaceDetails)

typedef struct mien__av {
#define MIEN__AV_MEMBER(name) __typeof__(&(name)) name;
    MIEN__AV_FUNCTIONS(MIEN__AV_MEMBER)
    MIEN__SWS_FUNCTIONS(MIEN__AV_MEMBER)
#undef MIEN__AV_MEMBER
    /* The display matrix of a stream moved with libavformat 61; one of the two is there. */
    uint8_t *(*side_data)(const AVStream *, enum AVPacketSideDataType, size_t *);
} mien__av;

/* Lend the functions; NULL where the libraries are not on this machine. The first call opens them. */
const mien__av *mien__av_get(void);
/* Have the camera's demuxer registered; false where libavdevice is not on this machine. */
bool mien__av_cameras(void);

/* The status that an AVERROR stands for, `other` for those that say nothing. */
mien_status mien__av_status(int code, mien_status other);
/* Its text; static inside the buffer given. */
const char *mien__av_text(int code, char *buffer, size_t capacity);

#endif
#endif
