/* Models: what a network is for, how pictures are prepared for it, what its scores mean, and the network
 * itself. Read from `.mien` files, or from ONNX / OpenVINO IR, which are imported in memory.
 *
 * A model is read-only after loading and may be shared between threads.
 */
#ifndef MIEN_MODEL_H
#define MIEN_MODEL_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

typedef struct mien_model mien_model;

typedef enum mien_task {
    MIEN_TASK_OTHER = 0, /**< run through mien_session only */
    MIEN_TASK_DETECT = 1,
    MIEN_TASK_EMBED = 2,
    MIEN_TASK_LANDMARK = 3,
} mien_task;

typedef enum mien_color_order { MIEN_RGB = 0, MIEN_BGR = 1 } mien_color_order;

/** How a face becomes the network's input. */
typedef enum mien_crop {
    MIEN_CROP_NONE = 0,
    MIEN_CROP_SIMILARITY = 1, /**< similarity fit of 5 landmarks to the template (Umeyama 1991) */
    MIEN_CROP_MARGIN = 2,     /**< box grown by a margin, then resized (FaceNet) */
} mien_crop;

typedef enum mien_normalize {
    MIEN_NORM_MEAN_SCALE = 0,  /**< (x - mean[c]) * scale[c], x in 0..255 */
    MIEN_NORM_STANDARDIZE = 1, /**< per picture: (x - mean(x)) / max(std(x), 1/sqrt(n)) (FaceNet) */
} mien_normalize;

/** One point of the calibration table: scores at or above `threshold` are reached by a fraction `fmr` of
 *  non-mated pairs. */
typedef struct mien_operating_point {
    double fmr;            /**< false match rate in (0, 1) */
    double threshold;      /**< cosine similarity */
    double fmr_lo, fmr_hi; /**< 95 % interval of the rate at this threshold */
} mien_operating_point;

enum { MIEN_MAX_OPERATING_POINTS = 64, MIEN_LANDMARKS = 5 };

/** Everything a model file says of itself. Strings are never NULL, empty when unknown. */
typedef struct mien_model_info {
    const char *name; /**< short, for instance "mobilefacenet" */
    const char *description;
    const char *licence;       /**< of the weights, SPDX where it has a name */
    const char *training_data; /**< what it was trained on, and on what terms */
    const char *source;        /**< where it came from, with revision */
    const char *decoder;       /**< detectors: "yunet" or "scrfd"; else "" */
    const char *sha256;        /**< hex of the file it was imported from */
    mien_task task;
    int input_width, input_height; /**< px; 0 where the network takes any size */
    int input_multiple;            /**< sizes must be multiples of this; 1 when free */
    mien_color_order color_order;
    mien_normalize normalize;
    float mean[3], scale[3]; /**< in the order of color_order */
    mien_crop crop;
    float crop_margin; /**< MIEN_CROP_MARGIN: fraction of the box's longer side, added in total */
    float landmarks[MIEN_LANDMARKS][2]; /**< template in input px: subject's right eye, left eye, nose tip,
                                             right and left mouth corner (viewer's left to right) */
    int embedding_len;                  /**< floats; 0 for other tasks */
    double default_fmr;                 /**< operating point used by default; 0 when not calibrated */
    const mien_operating_point *points; /**< ascending fmr */
    size_t n_points;
    uint64_t n_mated, n_nonmated; /**< sample sizes of the calibration */
    const char *protocol;         /**< how and on what it was calibrated */
    uint64_t n_people;            /**< of the calibration; 0 when not known */
    double spread;                /**< for searches among many people, as mien_curve_info's; 0: not known */
    double fusion_mated, fusion_other;
    float min_face_px, max_face_frac; /**< detectors: smallest reliable face (px at network scale), largest as
                                           a fraction of a 640x480 input's shorter side (beyond
                                           that input the same px count) */
    uint64_t n_params;                /**< weights in the network */
    uint64_t file_bytes;
} mien_model_info;

/** Load a model by path (.mien, .onnx, .xml) or by name.
 *  The name of a built-in model (mien_builtin_at()) always means that one; its weights are used where
 *  they lie in the library. Another name is looked up as NAME.mien, then as a registry source file, in:
 *  each folder of MIEN_MODELS (colon separated), the user's model folder (XDG_DATA_HOME/mien/models),
 *  models/ beside the program, the installed share/mien/models, and ../shared/models. Known source
 *  files get the registry's metadata.
 *  @return MIEN_OK; E_MODEL_MISSING (message says how to get it), E_MODEL_FORMAT, E_MODEL_CORRUPT,
 *          E_MODEL_OP, E_MODEL_SHAPE, E_LIMIT, E_IO, E_NOMEM
 *  @ownership the caller frees *ret_model after its last session is freed.  @threads any */
MIEN_API MIEN_MUST_USE mien_status mien_model_load(const char *path_or_name, mien_model **ret_model,
                                                   mien_error *err);

/** Load the default model for a task: the built-in one, whatever lies around, so that the same program
 *  gives the same results everywhere. Other models are used by name.
 *  In a library built without a built-in model for the task: the first that is found of the registry's
 *  preference list; E_MODEL_MISSING (message says how to get it) when there is none. */
MIEN_API MIEN_MUST_USE mien_status mien_model_load_default(mien_task task, mien_model **ret_model,
                                                           mien_error *err);

/** Read a .mien model from memory; the bytes must stay valid and unchanged while the model lives. */
MIEN_API MIEN_MUST_USE mien_status mien_model_load_memory(const void *data, size_t size,
                                                          mien_model **ret_model, mien_error *err);

MIEN_API void mien_model_free(mien_model *model);

/** Lend the description; lifetime of the model. */
MIEN_API const mien_model_info *mien_model_info_of(const mien_model *model);

/** Name what a template depends on: hex of a BLAKE2b-256 over the graph, the weights and the preprocessing
 *  (input size, colour order, normalisation, crop, landmark template), not over descriptions or
 *  calibration, nor over how the file stores the weights. Models of one fingerprint give the same
 *  templates. Computed at the first call, then kept.
 *  @param ret_hex  [65]
 *  @return MIEN_OK; E_ARG.  @threads any */
MIEN_API MIEN_MUST_USE mien_status mien_model_fingerprint(const mien_model *model, char *ret_hex,
                                                          mien_error *err);

/** Replace the description's data (strings and points are copied) before saving; not while shared. */
MIEN_API MIEN_MUST_USE mien_status mien_model_set_info(mien_model *model, const mien_model_info *info,
                                                       mien_error *err);

/** Import ONNX (.onnx) or OpenVINO IR v10/v11 (.xml with its .bin beside it): read, check, simplify
 *  (constants folded, batch normalisation folded); `info` overrides the registry, NULL to take what the
 *  registry knows of the file's SHA-256. */
MIEN_API MIEN_MUST_USE mien_status mien_model_import(const char *path, const mien_model_info *info,
                                                     mien_model **ret_model, mien_error *err);

/** Write a .mien file, whole or not at all, every value as it is. */
MIEN_API MIEN_MUST_USE mien_status mien_model_save(const mien_model *model, const char *path,
                                                   mien_error *err);

/** How a .mien file holds float tensors. Reading widens what is narrower, exactly. */
typedef enum mien_store {
    MIEN_STORE_EXACT = 0, /**< every value as it is; in half the space where each is a half float already */
    MIEN_STORE_F16 = 1,   /**< weights rounded to half floats (IEEE 754 binary16) */
} mien_store;

/** Write a .mien file, whole or not at all.
 *  With MIEN_STORE_F16 matrices and filters are rounded to the nearest half float, ties to even: half
 *  the size, each weight within 2^-11 of its value. Biases, slopes and other vectors stay float32, and
 *  so does a tensor that half floats cannot hold: one with a value that is not finite or rounds past
 *  65504, or one so small that rounding would take more than 2^-10 of its norm. */
MIEN_API MIEN_MUST_USE mien_status mien_model_save_as(const mien_model *model, const char *path,
                                                      mien_store store, mien_error *err);

/** Check structure and SHA-256 trailer of a .mien file or, given a name, of the model that
 *  mien_model_load() takes for it, built-in ones among them. E_DIGEST when a byte has changed. */
MIEN_API MIEN_MUST_USE mien_status mien_model_verify(const char *path_or_name, mien_error *err);

/** Look up the threshold for a target false match rate, interpolated in log(fmr) between points.
 *  @return MIEN_OK; E_NOT_FOUND when the model has no calibration or the rate lies outside its table */
MIEN_API MIEN_MUST_USE mien_status mien_model_threshold(const mien_model *model, double fmr,
                                                        double *ret_threshold, mien_error *err);

/** Estimate the false match rate at a threshold; the reverse of mien_model_threshold(). Outside the table
 *  the nearest end is returned, and *ret_bound is -1 (true rate is lower) or +1 (higher), else 0. */
MIEN_API MIEN_MUST_USE mien_status mien_model_fmr(const mien_model *model, double threshold, double *ret_fmr,
                                                  int *ret_bound, mien_error *err);

/* ---- models compiled into the library: the files of models/builtin/ ---- */

/** Lend the name of built-in model 0, 1, ...; NULL past the end. mien_model_load() takes it; what the
 *  model is for and where it comes from, its own description says (mien_model_info_of()). */
MIEN_API const char *mien_builtin_at(size_t index);

/* ---- registry: models known by name, to be had elsewhere ---- */

/** One entry of the built-in list of known models. Static strings. */
typedef struct mien_registry_entry {
    const char *name;                            /**< "mobilefacenet" */
    const char *file;                            /**< source file name, "mobilefacenet_foamliu.onnx" */
    const char *url;                             /**< https, with the revision pinned */
    const char *sha256;                          /**< of the source file, hex */
    const char *aux_file, *aux_url, *aux_sha256; /**< weights beside an .xml; "" when none */
    const char *licence, *training_data, *description;
    const char *use; /**< "alternative" to a built-in model, "reference": for comparison only */
    mien_task task;
} mien_registry_entry;

/** Lend entry 0, 1, ...; NULL past the end. */
MIEN_API const mien_registry_entry *mien_registry_at(size_t index);

/** Lend an entry by name or source file name; NULL when unknown. */
MIEN_API const mien_registry_entry *mien_registry_find(const char *name);

/** Find an entry's model on this machine: the path that mien_model_load() would read.
 *  @param ret_path  [capacity] bytes; E_MODEL_MISSING when it is nowhere, E_LIMIT when it does not fit,
 *                   E_NOT_FOUND for a built-in model, which has no file */
MIEN_API MIEN_MUST_USE mien_status mien_registry_locate(const char *name, char *ret_path, size_t capacity,
                                                        mien_error *err);

/** Progress of a download in bytes; return non-zero to stop (E_INTERRUPTED). `total` 0 when unknown. */
typedef int (*mien_progress_fn)(uint64_t done, uint64_t total, void *user);

/** Download an entry into the user's model folder (or `dir`), check SHA-256, import, save NAME.mien.
 *  Resumes a part download; honours MIEN_MIRROR (a base address, also file:) and the proxy variables.
 *  Needs libcurl at run time, else E_UNSUPPORTED. Nothing is left in place on failure but the part file. */
MIEN_API MIEN_MUST_USE mien_status mien_registry_pull(const char *name, const char *dir,
                                                      mien_progress_fn progress, void *user, char *ret_path,
                                                      size_t capacity, mien_error *err);

MIEN_END_DECLS

#endif
