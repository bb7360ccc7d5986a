/* Training pictures: the list of faces, splits by person, augmentation, and loader threads that hand out
 * batches.
 *
 * A data set is a list of faces: picture, five landmarks, label. It comes from a folder per person, a CSV
 * (path[,label[,split]]) or a plain list or folder of unlabelled pictures; faces are found once with a
 * detector and kept in an index file beside the run, so that a second start is quick. A batch is cut straight
 * from the pictures: one warp holds alignment and the geometric part of the augmentation.
 */
#ifndef MIEN_SRC_TRAIN_DATA_H
#define MIEN_SRC_TRAIN_DATA_H

#include "base/base.h"
#include <mien/face.h>

/* The part of a split that a CSV gives a picture to; NONE: chosen by hash. */
typedef enum mien__part { MIEN__PART_NONE, MIEN__PART_TRAIN, MIEN__PART_VAL, MIEN__PART_TEST } mien__part;

typedef struct mien__sample {
    const char *path;                   /* lent by the set */
    const char *name;                   /* path as seen from the set's folder: what splits go by */
    int32_t label;                      /* person, 0..n_people-1; -1 unlabelled */
    int32_t width, height;              /* px of the picture */
    float landmarks[MIEN_LANDMARKS][2]; /* px of the picture */
    mien__part part;
    bool aligned; /* the picture is a crop on the 112x112 template already: landmarks are the template's */
} mien__sample;

/* The ArcFace template in px of a 112x112 crop: what aligned pictures stand on. */
extern const float mien__template_112[MIEN_LANDMARKS][2];

typedef struct mien__dataset {
    mien__sample *samples;
    size_t n;
    const char **people; /* names by label */
    size_t n_people;
    size_t n_unreadable, n_no_face; /* pictures left out */
    size_t n_bad_rows;              /* lines of a CSV or list left out */
    mien__arena *arena;             /* owns the strings */
} mien__dataset;

/* Progress: done of total pictures; return non-zero to stop (E_INTERRUPTED). */
typedef int (*mien__data_progress)(size_t done, size_t total, void *user);

typedef struct mien__data_opts {
    bool aligned;               /* pictures are aligned crops already; no detector */
    const mien_model *detector; /* NULL when aligned */
    const char *index_path;     /* cache of found faces; NULL: none. Keyed by name, size and mtime */
    unsigned threads;
    size_t max_images; /* 0: all */
    mien__data_progress progress;
    void *user;
} mien__data_opts;

/* Read a folder per person (labelled), a .csv, or a .txt list / flat folder of pictures (unlabelled). The
 * most central face of each picture is taken. Unreadable pictures and pictures without a face are counted and
 * logged, never fatal; E_EVAL_DATA when nothing is left. Order: by path, whatever the file system says.
 *
 * A CSV is RFC 4180 with path[,label[,split]], or with a first row that names these columns (file and person
 * count as path and label; others are passed over); split is train, val or test. Rows that make no sense are
 * counted and logged. Relative paths start at the CSV's or list's own folder. */
mien_status mien__dataset_read(const char *path, const mien__data_opts *o, mien__dataset **ret,
                               mien_error *err);
void mien__dataset_free(mien__dataset *d);

/* Split by person (labelled) or by picture (unlabelled): a fraction to validation, chosen by a keyed hash of
 * the person's name, so that adding people moves nobody. What a CSV says stands above that; its test part is
 * in neither. When the hash would leave one side empty, the person nearest to the border goes there. Fills
 * train and val (each at most d->n indices). */
mien_status mien__dataset_split(const mien__dataset *d, double val_fraction, uint64_t seed, size_t *train,
                                size_t *ret_n_train, size_t *val, size_t *ret_n_val, mien_error *err);

/* Near duplicates across two sets of samples: pairs whose difference hashes (64 bits, of the aligned face)
 * lie at most max_bits apart and whose inner faces correlate; MIEN__DUP_BITS suits. Calls found() for each
 * pair. */
enum { MIEN__DUP_BITS = 12 };
/* a and b in found() are indices into the set; pictures that cannot be read are passed over. */
typedef void (*mien__dup_found)(size_t a, size_t b, int bits, void *user);
mien_status mien__dataset_duplicates(const mien__dataset *d, const size_t *a, size_t na, const size_t *b,
                                     size_t nb, int max_bits, unsigned threads, mien__dup_found found,
                                     void *user, mien_error *err);

/* Ranges of augmentation; 0 (or lo = hi = 1) switches one off. All drawn from one stream per (seed, epoch,
 * sample), so that a run can be resumed and threads do not matter. */
typedef struct mien__augment {
    float flip;       /* probability */
    float mirror;     /* probability that what lies outside the picture mirrors it; else it is black */
    float rotate_rad; /* +- */
    float scale;      /* size times 1 +- */
    float shift;      /* +- fraction of the side, each axis */
    float crop;       /* random crop: up to this fraction cut from the sides, then resized */
    float brightness; /* +- of 255 as a fraction */
    float contrast;   /* times 1 +- */
    float saturation; /* times 1 +- */
    float hue;        /* +- shift of colour balance per channel, as a fraction */
    float grey;       /* probability of grey */
    float blur_px;    /* sigma up to, px of the crop; with probability blur_p */
    float blur_p;
    float noise; /* sigma up to, of 255 as a fraction; with probability noise_p */
    float noise_p;
    int jpeg_lo; /* quality from..100, with probability jpeg_p */
    float jpeg_p;
    int lowres_lo, lowres_hi; /* face shrunk to a crop of lo..hi px and back, with probability lowres_p */
    float lowres_p;
    float occlude; /* side of a grey or noise rectangle as a fraction of the crop, up to; with occlude_p */
    float occlude_p;
} mien__augment;
extern const mien__augment mien__augment_none, mien__augment_default;

/* Read "flip=0.5,rotate=10,jpeg=40:0.3,lowres=16-40:0.5": name=amount[:probability], angles in degrees; what
 * is not named is off; the words none and default may stand first. An omitted probability is 1. E_ARG names
 * the key and its range, and *ret is untouched. */
mien_status mien__augment_parse(const char *spec, mien__augment *ret, mien_error *err);
/* E_ARG when a value is out of its range. */
mien_status mien__augment_check(const mien__augment *a, mien_error *err);
/* Write as such a spec; reading it back gives the same bits. */
enum { MIEN__AUGMENT_SPEC_BYTES = 512 };
void mien__augment_format(const mien__augment *a, char ret_spec[MIEN__AUGMENT_SPEC_BYTES]);

/* The stream of one sample in one epoch. */
void mien__augment_stream(uint64_t seed, uint64_t epoch, uint64_t sample, mien__rng *ret);

/* Cut one sample as side x side RGB crop on `template5` (px of a side x side crop), augmented by a stream;
 * NULL augment: none. `image` is the sample's picture. ret_rgb [side*side*3]; on error its contents are
 * unspecified. */
mien_status mien__sample_crop(const mien__sample *s, mien_image_view image,
                              const float template5[MIEN_LANDMARKS][2], int side, const mien__augment *a,
                              mien__rng *rng, uint8_t *ret_rgb, mien_error *err);

/* Read the picture of a sample, a JPEG at 1/2, 1/4 or 1/8 when crops on `template5` need no more;
 * *ret_sample is the sample with its landmarks in px of what was read. E_EVAL_DATA when the picture is no
 * longer the size it had; as mien_image_load() otherwise. */
mien_status mien__sample_load(const mien__sample *s, const float template5[MIEN_LANDMARKS][2],
                              mien_image **ret_image, mien__sample *ret_sample, mien_error *err);

/* Draw a sheet of at most `rows` of the samples idx[n]: first column plain, then cols - 1 augmented crops
 * side by side with thin white gaps. Samples that cannot be read leave a grey row. */
mien_status mien__augment_sheet(const mien__dataset *d, const size_t *idx, size_t n, const mien__augment *a,
                                const float template5[MIEN_LANDMARKS][2], int side, int rows, int cols,
                                uint64_t seed, mien_image **ret, mien_error *err);

/* ---- loader: threads that decode, align and augment ahead of the trainer; batches come in a fixed order
 * ---- */
typedef struct mien__loader_opts {
    const mien__dataset *set;
    const size_t *indices; /* samples of this split */
    size_t n_indices;
    int side;
    float template5[MIEN_LANDMARKS][2];
    mien__augment augment;
    int batch;
    bool shuffle;   /* a permutation per epoch from (seed, epoch) */
    bool drop_last; /* only full batches */
    int per_person; /* > 1: batches of batch/per_person people with that many pictures each (triplets); people
                       with fewer have some twice, unlabelled pictures are left out; 0: plain */
    uint64_t seed;
    unsigned threads;   /* loader threads; at least 1 */
    int ahead;          /* batches kept ready; default 4 */
    size_t cache_bytes; /* decoded pictures kept in memory up to this */
} mien__loader_opts;

typedef struct mien__batch {
    int n;
    /* [batch][side][side][3], lent until the next call. A batch shorter than asked (fewer pictures, or
     * people, than fill one) is repeated in the places behind n, so that a network of fixed size, whose batch
     * statistics see every place, sees pictures only. */
    const uint8_t *rgb;
    const int32_t *labels; /* [n] */
    const size_t *samples; /* [n] indices into the data set */
    uint64_t epoch, step;  /* step within the epoch */
} mien__batch;

typedef struct mien__loader mien__loader;
mien_status mien__loader_new(const mien__loader_opts *o, mien__loader **ret, mien_error *err);
void mien__loader_free(mien__loader *l);
/* The next batch; after an epoch's last the next epoch begins. A picture that can no longer be read is
 * replaced by another sample of the same epoch, and counted. */
mien_status mien__loader_next(mien__loader *l, mien__batch *ret, mien_error *err);
/* Start from a given epoch and step, as a resumed run does. */
mien_status mien__loader_seek(mien__loader *l, uint64_t epoch, uint64_t step, mien_error *err);
size_t mien__loader_steps_per_epoch(const mien__loader *l);
/* How many times a picture had to be replaced so far. */
size_t mien__loader_replaced(mien__loader *l);

#endif
