/* Sharpness without a reference: how much of the face's structure a further blur takes away.
 *
 * The idea is Crete, Dolmiere, Ladret and Nicolas 2007 ("The blur effect"): a sharp picture loses much when
 * it is blurred, a blurred one little. Measured is the gradient energy within the face, E(k) after k passes
 * of the 3x3 binomial filter (each adds 0.5 px^2 of variance):
 *
 *     sharpness = 1 - E(8) / E(2)
 *
 * on the aligned crop, that is at the scale the embedder sees: blur that vanishes when a large face is shrunk
 * to the crop does no harm and is not punished, and a face smaller than the crop is blurred by its
 * enlargement. As a ratio it does not depend on contrast or brightness. The two passes before the first sum
 * keep noise from passing for detail; docs/quality.md has the comparison with the Laplacian's energy and with
 * other numbers of passes. */
#include "quality/measure.h"
#include <string.h>

enum { PX = MIEN__QUALITY_PX, PASSES_BEFORE = 2, PASSES_AFTER = 8 };

/* One pass of (1 2 1) / 4 along both axes, the border px repeated; `row` is scratch of one picture. */
static void smooth(float *luma, float *scratch)
{
    for (int y = 0; y < PX; y++) {
        const float *src = luma + y * PX;
        float *dst = scratch + y * PX;
        for (int x = 0; x < PX; x++)
            dst[x] = (src[x ? x - 1 : 0] + 2 * src[x] + src[x < PX - 1 ? x + 1 : x]) / 4;
    }
    for (int y = 0; y < PX; y++) {
        const float *above = scratch + (y ? y - 1 : 0) * PX, *here = scratch + y * PX;
        const float *below = scratch + (y < PX - 1 ? y + 1 : y) * PX;
        for (int x = 0; x < PX; x++)
            luma[y * PX + x] = (above[x] + 2 * here[x] + below[x]) / 4;
    }
}

static double gradient_energy(const float *luma, const uint8_t *mask)
{
    double sum = 0;
    for (int y = 1; y < PX - 1; y++) {
        for (int x = 1; x < PX - 1; x++) {
            const float *p = luma + y * PX + x;
            const double gx = p[1] - p[-1], gy = p[PX] - p[-PX];
            if (mask[y * PX + x])
                sum += gx * gx + gy * gy;
        }
    }
    return sum;
}

float mien__sharpness_of(const float *luma, const uint8_t *mask, float *scratch)
{
    float *work = scratch, *other = scratch + MIEN__QUALITY_AREA;
    double before = 0;
    memcpy(work, luma, MIEN__QUALITY_AREA * sizeof *work);
    for (int i = 0; i < PASSES_AFTER; i++) {
        if (i == PASSES_BEFORE)
            before = gradient_energy(work, mask);
        smooth(work, other);
    }
    if (!(before > 1e-9)) /* one even tone: nothing to see */
        return 0;
    const double lost = 1 - gradient_energy(work, mask) / before;
    return lost > 0 ? (float)lost : 0;
}
