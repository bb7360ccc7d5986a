/* Which face is meant. The weight falls with the square of the distance from the picture's centre, so that a
 * passer-by at the border must be several times as large as the person in the middle to be taken for him. */
#include "detect/detect.h"

size_t mien_face_pick(const mien_face *faces, size_t n, int width, int height, mien_pick how)
{
    size_t best = n;
    double best_weight = -1;
    const double half = (width < height ? width : height) / 2.0;
    for (size_t i = 0; i < n; i++) {
        const mien_face *f = &faces[i];
        double weight = ((double)f->x1 - f->x0) * ((double)f->y1 - f->y0);
        if (how == MIEN_PICK_CENTRAL && half > 0) {
            const double dx = (((double)f->x0 + f->x1) - width) / 2 / half;
            const double dy = (((double)f->y0 + f->y1) - height) / 2 / half;
            weight /= 1 + 8 * (dx * dx + dy * dy);
        }
        if (weight > best_weight) {
            best_weight = weight;
            best = i;
        }
    }
    return best;
}
