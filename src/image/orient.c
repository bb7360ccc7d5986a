/* Making a picture stand upright: the 8 cases of EXIF orientation (CIPA DC-008, tag 0x0112).
 *
 * Value: which edge of the scene the file's row 0 and column 0 are. 1 top/left, 2 top/right, 3 bottom/right,
 * 4 bottom/left, 5 left/top, 6 right/top, 7 right/bottom, 8 left/bottom. Quarter turns run in tiles, so that
 * both sides stay in the cache.
 */
#include "image/codec.h"
#include <string.h>

enum { TILE = 16 };

void mien__orient(const uint8_t *src, int width, int height, int orientation, uint8_t *dst)
{
    const size_t w = (size_t)width, h = (size_t)height;
    const bool turned = orientation >= 5;
    const bool flip_x = turned ? orientation == 7 || orientation == 8 : orientation == 2 || orientation == 3;
    const bool flip_y = turned ? orientation == 6 || orientation == 7 : orientation == 3 || orientation == 4;
    if (!turned) {
        for (size_t y = 0; y < h; y++) {
            const uint8_t *s = src + 3 * w * y;
            uint8_t *d = dst + 3 * w * (flip_y ? h - 1 - y : y);
            if (!flip_x) {
                memcpy(d, s, 3 * w);
                continue;
            }
            d += 3 * (w - 1);
            for (size_t x = 0; x < w; x++, s += 3, d -= 3)
                memcpy(d, s, 3);
        }
        return;
    }
    /* Source column x becomes row x (or its mirror image), source row y becomes column y (or its mirror). */
    for (size_t ty = 0; ty < h; ty += TILE) {
        const size_t y1 = ty + TILE < h ? ty + TILE : h;
        for (size_t tx = 0; tx < w; tx += TILE) {
            const size_t x1 = tx + TILE < w ? tx + TILE : w;
            for (size_t x = tx; x < x1; x++) {
                uint8_t *const row = dst + 3 * h * (flip_x ? w - 1 - x : x);
                for (size_t y = ty; y < y1; y++)
                    memcpy(row + 3 * (flip_y ? h - 1 - y : y), src + 3 * (w * y + x), 3);
            }
        }
    }
}
