/* Quality of one face as a picture to enrol or to search with, and the reasons why it is not good enough.
 *
 * Measured from the pixels and the five landmarks alone; needs no network, takes about a millisecond.
 * Components are named and, where it has a closed form, computed as in ISO/IEC 29794-5:2025 and its reference
 * implementation OFIQ; docs/quality.md has each one's formula, the measurements behind the bounds, and what
 * they cost.
 */
#ifndef MIEN_QUALITY_H
#define MIEN_QUALITY_H

#include <mien/face.h>

MIEN_BEGIN_DECLS

/** Why a picture was not enrolled: code, text for people. Codes are stable; the list grows at its end. */
/* clang-format off */
#define MIEN_REASON_LIST(X)                                                                        \
    X(NONE, "good enough")                                                                         \
    X(NO_FACE, "no face found")                                                                    \
    X(MANY_FACES, "more than one face")                                                            \
    X(TOO_SMALL, "the face is too small")                                                          \
    X(TOO_BLURRED, "the face is blurred")                                                          \
    X(TOO_TURNED, "the face is turned away")                                                       \
    X(TOO_DARK, "the face is too dark")                                                            \
    X(TOO_BRIGHT, "the face is overexposed")                                                       \
    X(CUT_OFF, "the face reaches over the border of the picture")                                  \
    X(DUPLICATE_IMAGE, "this picture is enrolled already")                                         \
    X(LOOKS_LIKE_ANOTHER_PERSON, "looks like another person of the gallery")                       \
    X(UNLIKE_THE_PERSON, "does not look like the pictures that this person has")                   \
    X(DO_NOT_ENROL, "this person is on the do-not-enrol list")                                     \
    X(UNREADABLE, "not a readable picture")
/* clang-format on */

typedef enum mien_reason {
#define MIEN_REASON_ENUM(name, text) MIEN_REASON_##name,
    MIEN_REASON_LIST(MIEN_REASON_ENUM)
#undef MIEN_REASON_ENUM
        MIEN_REASON_COUNT
} mien_reason;

/** Name a reason, for instance "TOO_SMALL"; describe it. Static strings. */
MIEN_API const char *mien_reason_name(mien_reason reason);
MIEN_API const char *mien_reason_text(mien_reason reason);

/** What was measured on one face. "The face" is an ellipse over brows, cheeks and chin of the crop that is
 *  aligned to 112x112 px: the scale at which embedders see it, the eyes 35 px apart. */
typedef struct mien_quality {
    float
        eye_distance_px; /**< between the eyes, px of the picture, divided by cos(yaw) (inter-eye distance) */
    float yaw_deg;     /**< head pose, estimates, some 10 degrees coarse; > 0: turned to the subject's left */
    float pitch_deg;   /**< > 0: looking down */
    float roll_deg;    /**< > 0: tilted clockwise as the viewer sees it; never a reason */
    float sharpness;   /**< share of the face's gradient energy that a further blur takes away, [0, 1): sharp
                            faces about 0.5, useless ones 0.2; depends on neither contrast nor noise */
    float brightness;  /**< mean luma of the face, [0, 1] */
    float contrast;    /**< standard deviation of its luma, [0, 0.5] */
    float overexposed; /**< share of its px at 247..255 of 255, [0, 1] */
    float underexposed; /**< share of its px at 0..25, [0, 1] */
    float inside;       /**< share of the box inside the picture, [0, 1] */
    float score; /**< of the whole: geometric mean of the components' scores, [0, 1]; 1 as good as can be.
                      Ranks pictures of one person; not a probability */
} mien_quality;

/** Bounds of the gate. A bound is kept by a value equal to it. */
typedef struct mien_quality_gate {
    size_t struct_size;
    float min_eye_distance_px; /**< default 16 */
    float max_yaw_deg;         /**< default 45 */
    float max_pitch_deg;       /**< default 40 */
    float min_sharpness;       /**< default 0.22 */
    float min_brightness;      /**< default 0.08 */
    float max_brightness;      /**< default 0.92 */
    float max_overexposed;     /**< default 0.60 */
    float min_inside;          /**< default 0.70 */
} mien_quality_gate;

/** Fill with the defaults: where the built-in embedder begins to lose people (docs/quality.md). */
MIEN_API void mien_quality_gate_init(mien_quality_gate *gate);

/** Measure one face of a picture.
 *  @param image  as it was read; a copy shrunk to the detector's size would hide blur and size
 *  @param face   in px of `image`, landmarks set
 *  @param ret    untouched on error
 *  @return MIEN_OK; E_ARG (not a picture; a box or landmarks that are not finite, landmarks on one line);
 * E_NOMEM
 *  @threads any.  @cost about 1 ms, 200 KB for the time of the call
 *  @since 0.2 */
MIEN_API MIEN_MUST_USE mien_status mien_quality_measure(mien_image_view image, const mien_face *face,
                                                        mien_quality *ret, mien_error *err);

/** Say what is against a face: TOO_TURNED, TOO_SMALL, TOO_DARK, TOO_BRIGHT, TOO_BLURRED or CUT_OFF, the first
 * that holds in that order (a profile has no distance of the eyes, and blur cannot be told in the dark);
 *  MIEN_REASON_NONE when it passes.
 *  @param gate  NULL for the defaults */
MIEN_API mien_reason mien_quality_reason(const mien_quality *quality, const mien_quality_gate *gate);

MIEN_END_DECLS

#endif
