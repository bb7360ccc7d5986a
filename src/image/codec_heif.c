/* HEIC (ISO/IEC 23008-12) through libheif, in the confined worker only.
 *
 * libheif and the HEVC decoder behind it have a long record of holes, so that they are never mapped into the
 * main process: the worker opens the library at run time before it closes the door, and only the worker that
 * serves HEIC does. Orientation and mirroring are applied by libheif; EXIF is not consulted (the standard
 * says so).
 */
#include "image/codec.h"
#include <string.h>

static bool is_mine(const uint8_t *data, size_t size)
{
    static const char *const brands[] = { "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1" };
    if (size < 12 || memcmp(data + 4, "ftyp", 4) != 0)
        return false;
    for (size_t i = 0; i < MIEN_COUNTOF(brands); i++) {
        if (memcmp(data + 8, brands[i], 4) == 0)
            return true;
    }
    return false;
}

#if defined(MIEN_HAVE_HEIF)
#include <dlfcn.h>
#include <libheif/heif.h>

/* The functions used, found by name. */
#define FUNCTIONS(X)                              \
    X(heif_context_alloc)                         \
    X(heif_context_free)                          \
    X(heif_context_read_from_memory_without_copy) \
    X(heif_context_get_primary_image_handle)      \
    X(heif_image_handle_get_width)                \
    X(heif_image_handle_get_height)               \
    X(heif_image_handle_has_alpha_channel)        \
    X(heif_image_handle_release)                  \
    X(heif_decoding_options_alloc)                \
    X(heif_decoding_options_free)                 \
    X(heif_decode_image)                          \
    X(heif_image_get_width)                       \
    X(heif_image_get_height)                      \
    X(heif_image_get_plane_readonly)              \
    X(heif_image_release)

static struct {
#define MEMBER(name) __typeof__(&(name)) name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} lib;

static bool load(void)
{
    void *const so = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return false;
#define FIND(name)                        \
    {                                     \
        void *const f = dlsym(so, #name); \
        if (!f)                           \
            return false;                 \
        memcpy(&lib.name, &f, sizeof f);  \
    }
    FUNCTIONS(FIND)
#undef FIND
    /* Present in newer releases: load the decoder plugins now, since later no file can be opened. */
    struct heif_error (*init)(void *) = NULL;
    void *const f = dlsym(so, "heif_init");
    memcpy(&init, &f, sizeof f);
    return !init || init(NULL).code == heif_error_Ok;
}

static mien_status fail(struct heif_error e, mien_error *err)
{
    const mien_status status =
        e.code == heif_error_Memory_allocation_error ? MIEN_E_NOMEM
        : e.code == heif_error_Unsupported_filetype || e.code == heif_error_Unsupported_feature
            ? MIEN_E_IMAGE_FORMAT
            : MIEN_E_IMAGE_CORRUPT;
    return mien__fail(err, status, "%s HEIC: %s", status == MIEN_E_IMAGE_CORRUPT ? "damaged" : "unreadable",
                      e.message ? e.message : "unknown error");
}

static mien_status copy_pixels(const struct heif_image *image, bool alpha, mien__canvas *canvas,
                               mien_error *err)
{
    int stride = 0;
    const uint8_t *const src = lib.heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    const size_t n = (size_t)canvas->width, row = (alpha ? 4 : 3) * n;
    if (!src || stride < 0 || (size_t)stride < row ||
        lib.heif_image_get_width(image, heif_channel_interleaved) < canvas->width ||
        lib.heif_image_get_height(image, heif_channel_interleaved) < canvas->height)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "damaged HEIC: the pixels do not fit the header");
    for (size_t y = 0; y < (size_t)canvas->height; y++) {
        uint8_t *const dst = canvas->pixels + y * 3 * n;
        if (alpha)
            mien__flatten_row(src + y * (size_t)stride, n, dst);
        else
            memcpy(dst, src + y * (size_t)stride, row);
    }
    return MIEN_OK;
}

static mien_status decode_handle(struct heif_image_handle *handle, const mien_image_opts *opts,
                                 mien__canvas *canvas, mien_error *err)
{
    const int width = lib.heif_image_handle_get_width(handle),
              height = lib.heif_image_handle_get_height(handle);
    const bool alpha = lib.heif_image_handle_has_alpha_channel(handle) != 0;
    mien_status status =
        mien__check_size(opts, width > 0 ? (uint64_t)width : 0, height > 0 ? (uint64_t)height : 0, err);
    if (status != MIEN_OK)
        return status;
    struct heif_decoding_options *const options = lib.heif_decoding_options_alloc();
    if (!options)
        return mien__fail(err, MIEN_E_NOMEM, "out of memory in a HEIC");
    options->convert_hdr_to_8bit = 1;
    struct heif_image *image = NULL;
    const struct heif_error e =
        lib.heif_decode_image(handle, &image, heif_colorspace_RGB,
                              alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options);
    lib.heif_decoding_options_free(options);
    if (e.code != heif_error_Ok)
        return fail(e, err);
    status = mien__canvas_open(canvas, width, height, err);
    if (status == MIEN_OK)
        status = copy_pixels(image, alpha, canvas, err);
    lib.heif_image_release(image);
    return status;
}

static mien_status decode(const uint8_t *data, size_t size, const mien_image_opts *opts, mien__canvas *canvas,
                          mien_error *err)
{
    struct heif_context *const context = lib.heif_context_alloc();
    if (!context)
        return mien__fail(err, MIEN_E_NOMEM, "out of memory opening a HEIC");
    struct heif_image_handle *handle = NULL;
    mien_status status = MIEN_OK;
    struct heif_error e = lib.heif_context_read_from_memory_without_copy(context, data, size, NULL);
    if (e.code == heif_error_Ok)
        e = lib.heif_context_get_primary_image_handle(context, &handle);
    if (e.code != heif_error_Ok)
        status = fail(e, err);
    else
        status = decode_handle(handle, opts, canvas, err);
    if (handle)
        lib.heif_image_handle_release(handle);
    lib.heif_context_free(context);
    return status;
}

static const char *describe(void)
{
    return "heic (libheif " MIEN_HEIF_VERSION ", in the confined worker)";
}

const mien__codec mien__codec_heif = { "heic", true, is_mine, decode, load, describe };

#else

static const char *describe(void)
{
    return "heic (built without libheif)";
}

const mien__codec mien__codec_heif = { "heic", true, is_mine, NULL, NULL, describe };

#endif
