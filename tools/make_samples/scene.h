/* Made-up surroundings. */
#ifndef SAMPLES_SCENE_H
#define SAMPLES_SCENE_H

#include "canvas.h"

typedef enum place_kind { PLACE_WALL, PLACE_ROOM, PLACE_GARDEN, PLACE_EVENING, N_PLACES } place_kind;

/* What stands out of focus behind a person; `unit` px is a distance between the eyes. */
canvas scene_behind(place_kind kind, int w, int h, float unit, dice *d);

/* Pictures without anybody. */
canvas scene_sea(int w, int h, uint32_t seed);
canvas scene_table(int w, int h, uint32_t seed);

#endif
