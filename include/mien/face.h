/* Faces: find them, align them, embed them, compare them.
 *
 * A detector and an embedder each wrap one session and belong to one thread. Landmark order: the
 * subject's right eye, left eye, nose tip, right mouth corner, left mouth corner (that is, left to
 * right as the viewer sees an upright face).
 */
#ifndef MIEN_FACE_H
#define MIEN_FACE_H

#include <mien/decide.h> /* mien_cosine(), mien_decide(): compare what was embedded */
#include <mien/image.h>
#include <mien/session.h>

MIEN_BEGIN_DECLS

/** One detected face, in px of the picture given. */
typedef struct mien_face {
    float x0, y0, x1, y1; /**< box; may reach over the picture's border */
    float score;          /**< detector's confidence in [0, 1] */
    float landmarks[MIEN_LANDMARKS][2];
} mien_face;

/* ---- detect ---- */

typedef struct mien_detector mien_detector;

typedef struct mien_detect_opts {
    size_t struct_size;
    float min_score;  /**< in [0, 1]; below 0 (default -1): what suits the detector's scores: YuNet
                           0.65, SCRFD 0.5 */
    float nms_iou;    /**< boxes overlapping more are one face; default 0.45 */
    int min_size_px;  /**< smaller faces (shorter box side) are dropped; default 20 px of the picture */
    int max_faces;    /**< the best are kept; 0 = all; default 0 */
    int max_side;     /**< px of the network's larger input side; default 1600: a picture is shrunk to it
                           unless min_size_px then falls under the detector's smallest reliable face, in
                           which case it is searched in overlapping tiles */
    int two_scale;    /**< 1 (default): search a smaller copy as well when the picture is larger than what the
                           detector's largest reliable face allows, so that a face filling it is found */
    unsigned threads; /**< default 1 */
} mien_detect_opts;

#define MIEN_DETECT_OPTS_INIT                                  \
    {                                                          \
        sizeof(mien_detect_opts), -1, 0.45f, 20, 0, 1600, 1, 1 \
    }

/** Make a detector over a model of task MIEN_TASK_DETECT; the model must outlive it. */
MIEN_API MIEN_MUST_USE mien_status mien_detector_new(const mien_model *model, const mien_detect_opts *opts,
                                                     mien_detector **ret, mien_error *err);
MIEN_API void mien_detector_free(mien_detector *detector);

/** Find faces, best score first. No face is MIEN_OK with *ret_n = 0.
 *  @param ret_faces  lent: valid until the detector's next call or its end */
MIEN_API MIEN_MUST_USE mien_status mien_detect(mien_detector *detector, mien_image_view image,
                                               const mien_face **ret_faces, size_t *ret_n, mien_error *err);

/** Smallest and largest face (shorter box side, px) this detector finds reliably in a picture of that
 *  size under its options. */
MIEN_API void mien_detect_range(const mien_detector *detector, int width, int height, float *ret_min_px,
                                float *ret_max_px);

/** Which face of a picture is meant when it should show one person. */
typedef enum mien_pick {
    MIEN_PICK_LARGEST = 0, /**< the greatest box */
    MIEN_PICK_CENTRAL = 1, /**< the greatest box after shrinking each by its distance from the picture's
                                centre: area / (1 + (distance / half the shorter side)^2 * 8); for pictures
                                framed around one face, such as LFW's */
} mien_pick;

/** Choose one of `n` faces of a width x height px picture.
 *  @return its index; `n` when there is none. The first of equals. */
MIEN_API size_t mien_face_pick(const mien_face *faces, size_t n, int width, int height, mien_pick how);

/* ---- align ---- */

/** 2x3 matrix mapping picture px to crop px: x' = m[0] x + m[1] y + m[2]; y' = m[3] x + m[4] y + m[5]. */
typedef struct mien_affine {
    double m[6];
} mien_affine;

/** Fit the similarity (rotation, uniform scale, shift; no mirror) that maps `src` to `dst` with least
 *  squares: Umeyama 1991, eq. 39-43. E_ARG when n < 2 or the points of `src` coincide. */
MIEN_API MIEN_MUST_USE mien_status mien_fit_similarity(const float (*src)[2], const float (*dst)[2], size_t n,
                                                       mien_affine *ret, mien_error *err);

/** Warp `src` by `to_crop` into a width x height picture: bilinear, black outside. */
MIEN_API MIEN_MUST_USE mien_status mien_warp(mien_image_view src, const mien_affine *to_crop, int width,
                                             int height, mien_image **ret, mien_error *err);

/** Cut the crop that `model` (an embedder) wants for `face`. */
MIEN_API MIEN_MUST_USE mien_status mien_align(const mien_model *model, mien_image_view image,
                                              const mien_face *face, mien_image **ret, mien_error *err);

/* ---- embed ---- */

typedef struct mien_embedder mien_embedder;

typedef struct mien_embed_opts {
    size_t struct_size;
    int flip;         /**< 1: average with the mirrored crop; default 0 */
    unsigned threads; /**< default 1 */
} mien_embed_opts;

#define MIEN_EMBED_OPTS_INIT          \
    {                                 \
        sizeof(mien_embed_opts), 0, 1 \
    }

/** Make an embedder over a model of task MIEN_TASK_EMBED; the model must outlive it. */
MIEN_API MIEN_MUST_USE mien_status mien_embedder_new(const mien_model *model, const mien_embed_opts *opts,
                                                     mien_embedder **ret, mien_error *err);
MIEN_API void mien_embedder_free(mien_embedder *embedder);
MIEN_API const mien_model *mien_embedder_model(const mien_embedder *embedder);

/** Embed one face of a picture: align, run, L2-normalise.
 *  @param ret_vec  [embedding_len] floats, unit L2 norm */
MIEN_API MIEN_MUST_USE mien_status mien_embed_face(mien_embedder *embedder, mien_image_view image,
                                                   const mien_face *face, float *ret_vec, mien_error *err);

/** Embed crops that are aligned already; crops of another size are resized to the model's input.
 *  @param ret_vecs  [n][embedding_len]; on error its contents are unspecified */
MIEN_API MIEN_MUST_USE mien_status mien_embed_crops(mien_embedder *embedder, const mien_image_view *crops,
                                                    size_t n, float *ret_vecs, mien_error *err);

MIEN_END_DECLS

#endif
