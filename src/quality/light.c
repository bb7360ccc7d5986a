/* Light on a face: mean and spread of its luma, and how much of it lies at the ends of the range.
 *
 * As the luminance mean, the luminance variance and the over- and under-exposure prevention of ISO/IEC
 * 29794-5 are computed by its reference implementation OFIQ: over the px of the face alone; dark is 0..25,
 * bright 247..255 of 255. Luma is ITU-R BT.601 of the stored values. */
#include "quality/measure.h"
#include <math.h>

mien__light mien__light_of(const float *luma, const uint8_t *mask)
{
    const float dark = 25.5f, bright = 246.5f; /* luma is not rounded to whole numbers here */
    double sum = 0, squares = 0;
    size_t n = 0, n_dark = 0, n_bright = 0;
    for (int i = 0; i < MIEN__QUALITY_AREA; i++) {
        if (!mask[i])
            continue;
        const double v = luma[i] / 255.0;
        sum += v;
        squares += v * v;
        n_dark += luma[i] < dark;
        n_bright += luma[i] > bright;
        n++;
    }
    mien_assert(n > 0);
    const double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return (mien__light){ (float)mean, (float)sqrt(fmax(variance, 0)), (float)((double)n_bright / (double)n),
                          (float)((double)n_dark / (double)n) };
}
