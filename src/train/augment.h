/* The parts of augmentation that augment.c puts together. Private to training data. */
#ifndef MIEN_SRC_TRAIN_AUGMENT_H
#define MIEN_SRC_TRAIN_AUGMENT_H

#include "train/data.h"

/* A crop being worked on: rows of side * 3 bytes, changed in place. */
typedef struct mien__crop {
    uint8_t *rgb;
    int side;
} mien__crop;

/* rgb' = contrast (mix (rgb * balance) - mean) + mean + brightness: `saturation` 0 is grey, 1 leaves colours;
 * the mean is the crop's mean grey, so that contrast does not change how light it is. */
typedef struct mien__tone {
    double brightness; /* fraction of 255 */
    double contrast, saturation;
    double balance[3]; /* factor per channel */
} mien__tone;
void mien__pixel_tone(const mien__crop *c, const mien__tone *t);

/* Cover the rectangle (x, y, w, h), which lies in the crop, with one grey or, when `noisy`, with noise. */
void mien__pixel_occlude(const mien__crop *c, int x, int y, int w, int h, bool noisy, mien__rng *rng);

/* Gaussian blur, sigma in px; edges repeated. E_NOMEM. */
mien_status mien__pixel_blur(const mien__crop *c, double sigma, mien_error *err);

/* Add noise of standard deviation `sigma` (fraction of 255) to each value of n_px pixels. */
void mien__pixel_noise(uint8_t *rgb, size_t n_px, double sigma, mien__rng *rng);

/* What the camera and the file do to a crop that is `px` wide there (side: no shrinking): shrunk by area
 * average, noise added, written as JPEG of that quality and read back, enlarged again (bilinear). noise 0 and
 * quality 0 leave those out. */
mien_status mien__pixel_capture(const mien__crop *c, int px, double noise, int quality, mien__rng *rng,
                                mien_error *err);

#endif
