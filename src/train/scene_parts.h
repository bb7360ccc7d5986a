/* What the scene composer's files share: sources, the cache of decoded pictures, the canvas, dice.
 *
 * scene_set.c    the list of sources
 * scene_cache.c  decoded sources as pyramids of halved copies
 * scene_paint.c  shapes and pictures laid on the canvas; which layer is seen at each px
 * scene_texture.c surfaces made by numbers alone
 * scene_backdrop.c what lies behind everything
 * scene_object.c faces and decoys as layers
 * scene_photo.c  light, colour, blur, noise, compression
 * scene.c        the plan of a scene; scene_sheet.c the sheet
 */
#ifndef MIEN_SRC_TRAIN_SCENE_PARTS_H
#define MIEN_SRC_TRAIN_SCENE_PARTS_H

#include "geom/geom.h"
#include "train/scene.h"

/* ---- dice ---- */
double mien__dice_between(mien__rng *r, double lo, double hi);
double mien__dice_log(mien__rng *r, double lo, double hi); /* log-uniform, 0 < lo <= hi */
double mien__dice_normal(mien__rng *r);                    /* mean 0, deviation 1, within 3.5 */
bool mien__dice_chance(mien__rng *r, double p);
size_t mien__dice_below(mien__rng *r, size_t n); /* 0..n-1 */

/* ---- sources ---- */
struct mien__scene_set {
    mien__scene_source *v;
    size_t n, cap;
    size_t *faces, *backgrounds; /* indices into v */
    size_t n_faces, n_backgrounds;
    mien__arena *arena;
};

/* mien__scene_set_read_csv() on text in memory, which is taken apart; `name` is for messages. */
mien_status mien__scene_set_read_text(mien__scene_set *set, char *text, const char *name, float min_score,
                                      size_t *ret_left_out, mien_error *err);

/* ---- cache ---- */
enum { MIEN__PYRAMID_LEVELS = 8 };

/* A decoded picture and its halved copies: level k has 1 / 2^k of the sides, the last odd row or column left
 * out. A point (x, y) of the source lies at (x, y) * scale / 2^k. */
typedef struct mien__pyramid {
    mien_image_view level[MIEN__PYRAMID_LEVELS];
    int n;
    double scale;
} mien__pyramid;

typedef struct mien__scene_cache mien__scene_cache;
mien_status mien__scene_cache_new(const mien__scene_set *set, size_t max_bytes, mien__scene_cache **ret,
                                  mien_error *err);
void mien__scene_cache_free(mien__scene_cache *c);
/* Lend the pyramid of source `index`, valid until the next call; reads the picture when it is not there. */
mien_status mien__scene_cache_get(mien__scene_cache *c, size_t index, const mien__pyramid **ret,
                                  mien_error *err);

/* ---- canvas ---- */
typedef struct mien__canvas_area {
    int x0, y0, x1, y1; /* [x0, x1) x [y0, y1) */
} mien__canvas_area;

typedef struct mien__scene_canvas {
    int width, height;
    uint8_t *rgb;
    uint16_t *owner; /* the layer seen at each px; 0: the backdrop */
    uint8_t *patch;  /* [height][width][3], a layer before it is laid down; rows are its area's width */
    uint16_t n_layers;
} mien__scene_canvas;

/* A soft-edged ellipse or rectangle in px of a layer's own frame. */
typedef struct mien__scene_shape {
    double cx, cy, rx, ry; /* centre and half sides */
    double feather;        /* width of the soft edge as a share of the half sides, 0..1 */
    bool ellipse;
} mien__scene_shape;

/* The px of the canvas a shape may touch; false when there are none. */
bool mien__shape_area(const mien__scene_shape *s, const mien_affine *to_scene, const mien__scene_canvas *c,
                      mien__canvas_area *ret);
/* Lay the canvas's patch (rows of `a`) down through the shape, cut to the layer's frame of frame_w x frame_h
 * px (0: no frame). Returns the layer's number, which owns every px that it covers more than half. */
uint16_t mien__canvas_lay(mien__scene_canvas *c, const mien__canvas_area *a, const mien_affine *to_scene,
                          const mien__scene_shape *s, double frame_w, double frame_h);
/* Fill the patch with the picture seen through the map: from the pyramid's best level, free of aliasing.
 * to_scene is in px of the source. Black outside. */
mien_status mien__canvas_warp(const mien__scene_canvas *c, const mien__pyramid *p,
                              const mien_affine *to_scene, const mien__canvas_area *a, mien_error *err);
/* The level to sample when the map shrinks a source to `scale` (scene px per source px). */
int mien__pyramid_level(const mien__pyramid *p, double scale);

/* ---- textures: fill width x height px, rows of 3 * width bytes ---- */
void mien__texture_any(mien__rng *r, uint8_t *rgb, int width, int height);
/* A smooth surface around a colour with shading and fine grain, like skin without features. */
void mien__texture_skin(mien__rng *r, uint8_t *rgb, int width, int height);

/* ---- the maker ---- */
struct mien__scene_maker {
    const mien__scene_set *set;
    mien__scene_opts o;
    mien__scene_cache *cache;
    mien__scene_canvas canvas;
    mien__rng rng;
    mien_face faces[MIEN__SCENE_MAX_TRUTHS]; /* of the scene being made */
    uint16_t layers[MIEN__SCENE_MAX_TRUTHS]; /* the layer each face is in */
    size_t n_faces;
    uint8_t *scratch; /* [height][width][3] for blur and textures */
    size_t unreadable;
};

/* A source that can be read, of `n` listed indices; starts at a random one. */
mien_status mien__scene_pick(mien__scene_maker *m, const size_t *list, size_t n, size_t *ret,
                             const mien__pyramid **ret_pyramid, mien_error *err);

/* Cover the canvas and forget its layers. */
mien_status mien__scene_backdrop(mien__scene_maker *m, mien_error *err);
/* Fill the patch, rows of area `a`, with something that holds no face. */
mien_status mien__scene_surface(mien__scene_maker *m, const mien__canvas_area *a, mien_error *err);

/* How a face is cut out of its picture. */
typedef enum mien__cut { MIEN__CUT_WHOLE, MIEN__CUT_HEAD, MIEN__CUT_BUST, MIEN__CUT_BOX } mien__cut;

/* A face to be placed: centre and width of its box in the scene. */
typedef struct mien__placing {
    double x, y, width, angle_rad;
    mien__cut cut;
    const mien__canvas_area *clip; /* lay down inside only; NULL: everywhere */
} mien__placing;

mien_status mien__scene_add_face(mien__scene_maker *m, const mien__placing *p, mien_error *err);
mien_status mien__scene_add_decoy(mien__scene_maker *m, double x, double y, double width, mien_error *err);
/* Draw an angle as the options ask; `calm`: only slight ones. */
double mien__scene_angle(mien__scene_maker *m, bool calm);
mien__cut mien__scene_cut(mien__scene_maker *m);

/* ---- light ---- */
/* Three tables of brightness, contrast, gamma and colour balance; strength 0: identity. */
void mien__photo_tables(mien__rng *r, double strength, uint8_t ret[3][256]);
void mien__photo_apply_tables(uint8_t tables[3][256], uint8_t *rgb, size_t n_px);
/* Everything a camera and a file format do to a whole scene. scratch as large as rgb. */
mien_status mien__photo_apply(mien__rng *r, double strength, uint8_t *rgb, int width, int height,
                              uint8_t *scratch, mien_error *err);

#endif
