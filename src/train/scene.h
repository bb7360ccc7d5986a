/* Training scenes for a face detector: pictures composed of faces whose boxes and landmarks are known.
 *
 * A scene is a backdrop without faces, decoys that must not be taken for faces, and faces at many sizes,
 * angles and crowdings, then changes of light, blur, noise and compression over the whole. Scene `index` of a
 * seed is the same bytes whenever and by whichever maker it is made, so a run can be resumed and threads do
 * not matter.
 */
#ifndef MIEN_SRC_TRAIN_SCENE_H
#define MIEN_SRC_TRAIN_SCENE_H

#include "train/truth.h"

enum { MIEN__SCENE_MAX_TRUTHS = 128 }; /* faces of one scene, ignored ones included */

/* ---- sources ---- */
typedef struct mien__scene_source {
    const char *path;       /* picture file; only a name when `pixels` is set */
    mien_image_view pixels; /* data set: the picture itself, lent; it must outlive the set */
    const mien_face *faces; /* every face in it, px of the full picture */
    size_t n_faces;         /* 0: a picture without faces */
} mien__scene_source;

/* A list of sources, read-only once filled: makers of several threads share it. */
typedef struct mien__scene_set mien__scene_set;
mien_status mien__scene_set_new(mien__scene_set **ret, mien_error *err);
void mien__scene_set_free(mien__scene_set *set);
/* Add one source; path and faces are copied. E_ARG for a box without area or numbers that are not finite. */
mien_status mien__scene_set_add(mien__scene_set *set, const mien__scene_source *source, mien_error *err);
/* Add every picture of a table as `mien detect --format csv` prints it: one row per face, the rows of a
 * picture together. Pictures with a face below `min_score` are left out: what is there is not certain, and
 * often a face stands beside it that was not found. *ret_left_out (may be NULL) counts them. E_EVAL_DATA
 * names the line that cannot be read; the pictures before it were added. */
mien_status mien__scene_set_read_csv(mien__scene_set *set, const char *path, float min_score,
                                     size_t *ret_left_out, mien_error *err);
size_t mien__scene_set_faces(const mien__scene_set *set);       /* sources with a face */
size_t mien__scene_set_backgrounds(const mien__scene_set *set); /* sources without */

/* ---- maker ---- */
typedef struct mien__scene_opts {
    int width, height;   /* px, 32..4096 */
    uint64_t seed;       /* of all scenes */
    int max_faces;       /* placed in one scene, 1..64 */
    float min_face_px;   /* narrowest face asked for; widths are log-uniform up to */
    float max_face_frac; /* this share of the shorter side */
    float max_enlarge;   /* sources are enlarged at most this many times */
    float p_empty;       /* scenes without a face */
    float decoys;        /* mean number of decoys of a scene with faces; three times as many without */
    float tilt;          /* 0..1: how much faces are turned; 1: 20 % up to 45 deg, 4 % by 90 or 180 deg */
    float light;         /* 0..1: strength of light, colour, blur, noise and compression */
    float keep_visible;  /* a face seen less than this is ignored, seen less than 5 % dropped; one
                            without contrast is ignored */
    size_t cache_bytes;  /* decoded sources kept */
} mien__scene_opts;

#define MIEN__SCENE_OPTS_INIT                                                                              \
    {                                                                                                      \
        .width = 320, .height = 320, .seed = 1, .max_faces = 24, .min_face_px = 10, .max_face_frac = 0.9f, \
        .max_enlarge = 4, .p_empty = 0.12f, .decoys = 1.2f, .tilt = 1, .light = 1, .keep_visible = 0.5f,   \
        .cache_bytes = (size_t)256 << 20                                                                   \
    }

/* Belongs to one thread; `set` is shared and must outlive it. */
typedef struct mien__scene_maker mien__scene_maker;
/* E_ARG when an option is out of range or the set has no face. */
mien_status mien__scene_maker_new(const mien__scene_set *set, const mien__scene_opts *opts,
                                  mien__scene_maker **ret, mien_error *err);
void mien__scene_maker_free(mien__scene_maker *maker);

/* Compose scene `index`.
 * ret_rgb [height][width][3]; ret_truths [MIEN__SCENE_MAX_TRUTHS], largest faces last in drawing order.
 * A source that cannot be read is replaced by the next one, logged and counted; E_IO when 16 in a row cannot.
 * On error the contents of ret_rgb are unspecified, *ret_n is untouched. */
mien_status mien__scene_make(mien__scene_maker *maker, uint64_t index, uint8_t *ret_rgb,
                             mien__truth *ret_truths, size_t *ret_n, mien_error *err);
size_t mien__scene_unreadable(const mien__scene_maker *maker); /* replacements so far */

/* Draw scenes first..first + columns * rows - 1 as a sheet with their truths: green faces, yellow ignored. */
mien_status mien__scene_sheet(mien__scene_maker *maker, uint64_t first, int columns, int rows,
                              mien_image **ret, mien_error *err);

#endif
