/* Opening FFmpeg's libraries. They bring some two hundred others (linked into the program they would cost
 * every verb 70 ms at start), so they are opened by the first video; libavdevice, the worst of them, by the
 * first camera.
 *
 * Structures are used as the headers of the build describe them, so only the major versions of those headers
 * are taken: the name of a shared library carries its major version, within which the layout only grows.
 * Nothing is ever closed: the libraries keep state of their own.
 */
#include "video/av.h"
#include <stdio.h>
#include <string.h>

#if MIEN_HAVE_FFMPEG

#include <dlfcn.h>
#include <pthread.h>
#if MIEN_HAVE_AVDEVICE
#include <libavdevice/avdevice.h>
#endif

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static pthread_once_t once = PTHREAD_ONCE_INIT, camera_once = PTHREAD_ONCE_INIT;
static mien__av table;
static bool loaded, cameras;
static char described[128];

static bool find(void *library, const char *name, void *ret_function)
{
    void *const symbol = dlsym(library, name);
    memcpy(ret_function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void load(void)
{
    void *const format = dlopen("libavformat.so." TEXT(LIBAVFORMAT_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    void *const scale = dlopen("libswscale.so." TEXT(LIBSWSCALE_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    bool ok = format && scale;
#define FIND_AV(name) ok = ok && find(format, #name, &table.name);
#define FIND_SWS(name) ok = ok && find(scale, #name, &table.name);
    MIEN__AV_FUNCTIONS(FIND_AV)
    MIEN__SWS_FUNCTIONS(FIND_SWS)
#undef FIND_AV
#undef FIND_SWS
    if (!ok || table.avcodec_version() >> 16 != LIBAVCODEC_VERSION_MAJOR) {
        snprintf(described, sizeof described, "FFmpeg's libraries (package libavformat%d) are not here",
                 LIBAVFORMAT_VERSION_MAJOR);
        return;
    }
#if LIBAVFORMAT_VERSION_MAJOR < 61
    (void)find(format, "av_stream_get_side_data", &table.side_data);
#endif
    table.av_log_set_level(AV_LOG_QUIET);
    const unsigned f = table.avformat_version(), c = table.avcodec_version();
    snprintf(described, sizeof described, "FFmpeg %.40s (avformat %u.%u, avcodec %u.%u)",
             table.av_version_info(), f >> 16, f >> 8 & 255, c >> 16, c >> 8 & 255);
    loaded = true;
}

const mien__av *mien__av_get(void)
{
    pthread_once(&once, load);
    return loaded ? &table : NULL;
}

static void load_cameras(void)
{
#if MIEN_HAVE_AVDEVICE
    void *const device = dlopen("libavdevice.so." TEXT(LIBAVDEVICE_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    __typeof__(&avdevice_register_all) register_all = NULL;
    if (!device || !find(device, "avdevice_register_all", &register_all))
        return;
    register_all();
    cameras = true;
#endif
}

bool mien__av_cameras(void)
{
    pthread_once(&camera_once, load_cameras);
    return cameras;
}

mien_status mien__av_status(int code, mien_status other)
{
    if (code == AVERROR(ENOMEM))
        return MIEN_E_NOMEM;
    if (code == AVERROR(ENOENT))
        return MIEN_E_NOT_FOUND;
    if (code == AVERROR_EXIT)
        return MIEN_E_INTERRUPTED;
    if (code == AVERROR_DECODER_NOT_FOUND || code == AVERROR_ENCODER_NOT_FOUND)
        return MIEN_E_VIDEO_CODEC;
    return other;
}

const char *mien__av_text(int code, char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    (void)table.av_strerror(code, buffer, capacity);
    return buffer;
}

const char *mien_video_describe(int *ret_available)
{
    *ret_available = mien__av_get() != NULL;
    return described;
}

#else

const char *mien_video_describe(int *ret_available)
{
    *ret_available = 0;
    return "built without FFmpeg's libraries";
}

#endif
