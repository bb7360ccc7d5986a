/* Alignment as a picture: the crop that an embedder would be given. */
#include "embed/embed.h"

mien_status mien_align(const mien_model *model, mien_image_view image, const mien_face *face,
                       mien_image **ret, mien_error *err)
{
    if (!model || !face || !ret)
        return mien__fail(err, MIEN_E_ARG, "alignment: a pointer is NULL");
    const mien_model_info *info = mien_model_info_of(model);
    mien__resampler r = { 0 };
    mien_image *out = NULL;
    int w = 0, h = 0;
    mien_status st = mien__crop_size(info, &w, &h, err);
    if (!st)
        st = mien_image_new(w, h, NULL, 0, &out, err);
    if (st)
        goto done;
    /* a fresh picture of ours has no gaps between rows */
    mien_assert(mien_image_view_of(out).stride_bytes == (size_t)w * 3);
    st = mien__crop_face(info, image, face, &r, mien_image_pixels(out), w, h, err);
    if (st)
        goto done;
    *ret = out;
    out = NULL;
done:
    mien_image_free(out);
    mien__resampler_free(&r);
    return st;
}
