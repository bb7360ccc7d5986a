/* Training: an embedder or a detector from nothing by distillation, or an embedder on people of one's own;
 * fine-tuning of a model that exists. Part of the second library, libmien_train.
 *
 * A run lives in a folder: checkpoint.bin, log.jsonl, faces.index, targets.bin, best.mien, report.html.
 * Everything random comes from one seed, and a run that was killed and resumed ends with the same weights as
 * one that was not.
 */
#ifndef MIEN_TRAIN_H
#define MIEN_TRAIN_H

#include <mien/eval.h>
#include <mien/face.h>

MIEN_BEGIN_DECLS

/** What a run is doing, for progress bars. */
typedef struct mien_train_state {
    const char *phase;    /**< "finding faces", "teacher", "training", "validating" */
    uint64_t done, total; /**< of the phase: pictures, or steps */
    int epoch, epochs;
    double loss;          /**< running average; NaN before the first step */
    double score;         /**< last validation's score; NaN before the first */
    uint64_t validations; /**< of this call so far */
    double lr;
    double images_per_s;
    double seconds_left; /**< NaN while unknown */
} mien_train_state;

/** Called often; return non-zero to stop: the run ends with E_INTERRUPTED after writing its checkpoint. */
typedef int (*mien_train_progress_fn)(const mien_train_state *state, void *user);

typedef enum mien_train_loss {
    MIEN_LOSS_DISTILL = 0, /**< follow teachers' embeddings (cosine, relations); needs no labels */
    MIEN_LOSS_SOFTMAX = 1,
    MIEN_LOSS_ARCFACE = 2, /**< Deng 2019 */
    MIEN_LOSS_COSFACE = 3, /**< Wang 2018 */
    MIEN_LOSS_TRIPLET = 4, /**< Schroff 2015 */
} mien_train_loss;

/** One run. Strings are lent for the call. */
typedef struct mien_train_opts {
    size_t struct_size;
    const char *data; /**< a folder per person, a .csv (path[,person[,split]]), a .txt list, or a folder */
    const char *val_data;       /**< the same for validation; NULL: people split off `data` */
    double val_fraction;        /**< share of people (pictures where unlabelled) split off; default 0.1 */
    int aligned;                /**< 1: pictures are aligned crops already */
    const mien_model *detector; /**< finds faces in `data`; may be NULL when aligned */
    const char *dir;            /**< run folder, made when missing */
    const char *arch;        /**< "mobilefacenet", "mobilefacenet:embed=256,width=1", "yunet"; or NULL and: */
    const mien_model *model; /**< start from this model */
    const char *tune;        /**< with `model`: "all", "last:N" or "head"; default "all" */
    mien_train_loss loss;
    const mien_model *const *teachers; /**< distillation: embedders (or one detector) to follow */
    size_t n_teachers;
    const char *const
        *hints; /**< "STUDENT_VALUE=TEACHER_VALUE": inner values to follow in the first teacher */
    size_t n_hints;
    double blockwise_epochs; /**< first epochs in which each stretch of the network between two hints learns
                                by itself, from the teacher's values: much faster than from end to end */
    double w_embed, w_relation, w_hint; /**< weights of the loss's parts */
    double w_truth, w_landmark; /**< detectors: weight of what the scenes say beside what the teacher says,
                                     and of landmarks beside scores and boxes; default 1 */
    const char *augment;        /**< specification, see `mien train --help`; NULL: default */
    const char *backgrounds;    /**< detectors: pictures without faces, a list or folder */
    int epochs, batch, accumulate;
    double lr, lr_floor, warmup_epochs, weight_decay, momentum, clip_norm, ema;
    int sgd;                       /**< 1: SGD with momentum; default AdamW */
    double scale, margin;          /**< of ArcFace, CosFace, triplet; 0: the paper's */
    int patience, validate_epochs; /**< stop after so many validations without gain (0: never); validate after
                                      so many epochs (0: at the end) */
    double checkpoint_s;           /**< seconds between checkpoints within an epoch; 0: after epochs only */
    uint64_t seed, max_steps;      /**< max_steps 0: epochs decide */
    size_t max_images;
    unsigned threads;   /**< 0: all processors */
    int resume;         /**< 1: go on from the run folder's checkpoint */
    int force;          /**< 1: take the tuned model although it was not shown to be better; with `resume`: go
                             on although settings differ from those the run began with */
    int error_pictures; /**< 1: the report shows crops of worst errors */
    mien_train_progress_fn progress;
    void *user;
} mien_train_opts;

/** Set the defaults of a run: 10 epochs of batches of 32, AdamW at 1e-3 after a warm-up, a weight average, a
 *  tenth of the people held out. What is left to fill in: data, dir, arch or model, and detector or aligned.
 *  @param opts  all of it is written
 *  @since 0.1 */
MIEN_API void mien_train_opts_init(mien_train_opts *opts);

/** A model measured on held-out people. Rates have 95 % intervals, bootstrap over people. */
typedef struct mien_train_figures {
    mien_eval_rate fnmr[2]; /**< false non-match rate at FAR 1e-2 and 1e-3 */
    int supported[2];       /**< 0: too few pairs of strangers for that FAR (rule of three), a tendency */
    double eer, auc;
    mien_eval_rate
        accuracy; /**< nearest of the held-out people; NaN where fewer than two have two pictures */
} mien_train_figures;

typedef struct mien_train_result {
    uint64_t steps;
    double seconds, loss, score;
    int stopped_early;
    int better; /**< fine-tuning: 1 shown better on held-out people, 0 not shown, -1 worse */
    size_t n_train, n_val, n_people, n_left_out, n_duplicates;
    int measured; /**< 1: `after` is filled; of a model that was tuned `before` and `change` too */
    mien_train_figures before, after; /**< of the model tuned from, and of the new one */
    mien_eval_rate change;            /**< of FNMR at FAR 1e-2, after less before, both resampled together */
    size_t n_val_people, n_val_mated; /**< people held out; those with two pictures or more */
    char summary[4096]; /**< plain text: before and after with intervals, and the verdict; empty when not
                           measured */
} mien_train_result;

/** Train or fine-tune.
 *  The loss is any of the softmax family over the people (ArcFace: Deng 2019, section 2; CosFace: Wang 2018,
 *  section 3.1), triplets with semi-hard mining (Schroff 2015, section 3.2), or the cosine distance to the
 *  teachers' embeddings, or a sum; optimised by AdamW (Loshchilov 2019) or SGD, with warm-up and a half
 *  cosine. A tuned model is compared with the one it came from on people that neither was trained on, by FNMR
 *  at FAR 1e-2 over resamples of the people; `better` is 1 when the interval of the difference lies below
 *  zero.
 *
 *  Pictures that cannot be read or show no face, and rows that make no sense, are left out, counted and
 *  logged (mien_set_log(), MIEN_LOG_WARN). The run folder gets a checkpoint after each epoch, every
 *  `checkpoint_s` seconds and when the run is stopped; with `resume` a run goes on from there and, with the
 *  same options and data, ends with the same bytes as one that was left alone, whatever ended it. Only its
 *  length may differ (epochs, max_steps: the rate then follows the longer schedule); other options are
 *  refused. Each file there is replaced whole or not at all.
 *  @param opts        from mien_train_opts_init(); models, strings and lists are lent for the call
 *  @param ret_model   the best model by validation, the last one where nothing could be validated
 *  @param ret_result  filled
 *  @param err         may be NULL
 *  @return MIEN_OK; E_ARG (an option out of range; a checkpoint of other options); E_NOT_FOUND (data; a
 *  checkpoint to resume from), E_EVAL_DATA (data unusable), E_MODEL_TASK, E_MODEL_SHAPE, E_MODEL_OP (an
 *  operator without a gradient: the message names its node), E_MODEL_CORRUPT and E_DIGEST (a damaged
 *  checkpoint), E_TRAIN (the loss is no number any more: the last good checkpoint stays), E_INTERRUPTED (by
 *  `progress`), E_IO, E_NOMEM - both outputs untouched on error
 *  @ownership the caller frees *ret_model with mien_model_free()
 *  @threads one run per call; calls in different folders may run side by side
 *  @cost minutes to days; memory for the network's values at one batch, and up to 1 GiB of decoded pictures
 *  @since 0.1 */
MIEN_API MIEN_MUST_USE mien_status mien_train(const mien_train_opts *opts, mien_model **ret_model,
                                              mien_train_result *ret_result, mien_error *err);

/** Draw what a run would be shown: augmented crops, or a detector's scenes. Nothing is trained, and nothing
 * is written, the run folder not even made.
 *  @param opts       as for mien_train()
 *  @param rows       pictures, 1 or more; fewer are drawn where there are fewer
 *  @param columns    crops of each, the first as it is
 *  @param ret_image  8-bit RGB, white gaps between the crops
 *  @param err        may be NULL
 *  @return MIEN_OK; as mien_train() for options and data - `ret_image` untouched on error
 *  @ownership the caller frees *ret_image with mien_image_free()
 *  @threads calls may run side by side
 *  @cost finds the faces of all pictures first
 *  @since 0.1 */
MIEN_API MIEN_MUST_USE mien_status mien_train_preview(const mien_train_opts *opts, int rows, int columns,
                                                      mien_image **ret_image, mien_error *err);

/** Where one training step spends its time: an operator, there and back. Strings are lent for the call. */
typedef struct mien_train_layer {
    const char *name, *op, *kernel;
    double forward_ms, backward_ms; /**< medians over the runs */
} mien_train_layer;

/** One run has ended after `ms`; return non-zero to stop: mien_train_bench() ends with E_INTERRUPTED. Time
 * spent in here is not counted. Runs below zero are warm-up. */
typedef int (*mien_train_run_fn)(int run, double ms, void *user);
/** Called for each operator in forward order, after the last run. */
typedef void (*mien_train_layer_fn)(const mien_train_layer *layer, void *user);

typedef struct mien_train_bench_opts {
    size_t struct_size;
    const char *arch;          /**< as in mien_train_opts */
    int batch;                 /**< pictures per step, 2 to 4096 */
    unsigned threads;          /**< 0: all processors */
    int side_px;               /**< of the square input where the network leaves it free; 0: 320 */
    int runs;                  /**< steps timed, 1 to 100000 */
    mien_train_run_fn run;     /**< may be NULL */
    mien_train_layer_fn layer; /**< NULL: operators are not timed one by one */
    void *user;
} mien_train_bench_opts;
#define MIEN_TRAIN_BENCH_OPTS_INIT                                                          \
    {                                                                                       \
        sizeof(mien_train_bench_opts), "mobilefacenet", 32, 0, 0, 30, (mien_train_run_fn)0, \
            (mien_train_layer_fn)0, (void *)0                                               \
    }

typedef struct mien_train_bench_result {
    double step_ms, min_ms;                                /**< a whole step: median and least */
    double forward_ms, loss_ms, backward_ms, optimiser_ms; /**< medians */
    double images_per_s;                                   /**< by the median */
    int runs, height_px, width_px;
    size_t n_weights; /**< numbers that are trained */
} mien_train_bench_result;

/** Time training steps on random pictures: forward pass with batch statistics, loss, backward pass, AdamW.
 *  The loss is the mean of 1 - cosine between each output and a random direction. Nothing is read, written or
 * kept; after three runs of warm-up nothing is allocated.
 *  @param opts        MIEN_TRAIN_BENCH_OPTS_INIT
 *  @param ret_result  untouched on error
 *  @return MIEN_OK; E_ARG; E_MODEL_SHAPE (a side the network cannot take), E_LIMIT; E_INTERRUPTED (by `run`);
 * E_NOMEM
 *  @threads calls may run side by side, and then disturb each other */
MIEN_API MIEN_MUST_USE mien_status mien_train_bench(const mien_train_bench_opts *opts,
                                                    mien_train_bench_result *ret_result, mien_error *err);

MIEN_END_DECLS

#endif
