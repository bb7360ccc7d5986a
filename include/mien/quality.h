/* Quality of one face as a picture to enrol or to search with, and the reasons why it is not good enough.
 *
 * Components after ISO/IEC 29794-5:2025 where it has them (each function says its clause); each is a number
 * in natural units and a score in [0, 1], so that a page can show what to do better. Needs no network.
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

/** What was measured on one face. Scores: 1 as good as can be, 0 useless. */
typedef struct mien_quality {
    float eye_distance_px;              /**< between the eyes, px of the picture */
    float yaw_deg, pitch_deg, roll_deg; /**< head pose from the five landmarks; yaw > 0: turned to the
                                             subject's left; estimates, some 10 degrees coarse */
    float sharpness;                    /**< [0, 1] */
    float brightness;                   /**< mean luma of the face, [0, 1] */
    float contrast;                     /**< standard deviation of luma, [0, 0.5] */
    float overexposed, underexposed;    /**< share of the face's px at the ends of the range, [0, 1] */
    float inside;                       /**< share of the box inside the picture, [0, 1] */
    float score;                        /**< of the whole: the product's geometric mean, [0, 1] */
} mien_quality;

/** Bounds of the gate. */
typedef struct mien_quality_gate {
    size_t struct_size;
    float min_eye_distance_px;        /**< default 24 */
    float max_yaw_deg, max_pitch_deg; /**< defaults 45, 35 */
    float min_sharpness;              /**< default: docs/quality.md has the measurement behind each */
    float min_brightness, max_brightness;
    float max_overexposed;
    float min_inside;
} mien_quality_gate;

/** Fill with the defaults. */
MIEN_API void mien_quality_gate_init(mien_quality_gate *gate);

/** Measure one face of a picture.
 *  @param face  in px of `image`, landmarks set
 *  @return MIEN_OK; E_ARG, E_NOMEM.  @threads any */
MIEN_API MIEN_MUST_USE mien_status mien_quality_measure(mien_image_view image, const mien_face *face,
                                                        mien_quality *ret, mien_error *err);

/** The first reason against a face in the order of the list, MIEN_REASON_NONE when it passes.
 *  @param gate  NULL for the defaults */
MIEN_API mien_reason mien_quality_reason(const mien_quality *quality, const mien_quality_gate *gate);

MIEN_END_DECLS

#endif
