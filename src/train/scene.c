/* The plan of a scene: how many faces, where, how large, and what is known of them in the end.
 *
 * Five kinds of scene: none (decoys only), portrait (one picture fills the frame), scatter (single faces,
 * widths log-uniform, kept apart by the best of a few tries), crowd (rows of people of like size, each row in
 * front of the one behind), tiles (whole pictures side by side, as on a contact sheet). What is nearer is
 * larger and laid down later. Every face's visible share is then counted on the map of layers: the share of a
 * grid of points in its ellipse that lie in the frame and still belong to its layer.
 *
 * A scene has a stream of random numbers of its own, seeded by (seed, index).
 */
#include "train/scene.h"
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

enum { UNREADABLE_IN_A_ROW = 16, PLACE_TRIES = 8 };

/* Faces flatter than this, of 255, are lost in the dark or the glare: nothing to ask for. */
static const float least_contrast = 6;
/* Seen less than this, a face is background like any other. */
static const float least_visible = 0.05f;

static mien_status check_opts(const mien__scene_set *set, const mien__scene_opts *o, mien_error *err)
{
    if (o->width < 32 || o->height < 32 || o->width > 4096 || o->height > 4096)
        return mien__fail(err, MIEN_E_ARG, "scenes: %d x %d px; sides must be 32..4096", o->width, o->height);
    if (o->max_faces < 1 || o->max_faces > 64)
        return mien__fail(err, MIEN_E_ARG, "scenes: max_faces %d is not in 1..64", o->max_faces);
    const int side = o->width < o->height ? o->width : o->height;
    if (!(o->min_face_px >= 4) || !(o->max_face_frac <= 1) ||
        !(o->min_face_px < o->max_face_frac * (float)side))
        return mien__fail(err, MIEN_E_ARG,
                          "scenes: faces from %g px to %g of %d px is no range of 4 px..the side",
                          (double)o->min_face_px, (double)o->max_face_frac, side);
    if (!(o->max_enlarge > 0 && o->max_enlarge <= 64) || !(o->decoys >= 0 && o->decoys <= 16))
        return mien__fail(err, MIEN_E_ARG, "scenes: max_enlarge %g or decoys %g is out of range",
                          (double)o->max_enlarge, (double)o->decoys);
    const float shares[] = { o->p_empty, o->tilt, o->light, o->keep_visible };
    for (size_t i = 0; i < MIEN_COUNTOF(shares); i++)
        if (!(shares[i] >= 0 && shares[i] <= 1))
            return mien__fail(err, MIEN_E_ARG,
                              "scenes: p_empty, tilt, light and keep_visible must be in [0, 1]");
    if (set->n_faces == 0)
        return mien__fail(err, MIEN_E_ARG, "scenes: no picture with a face was given");
    return MIEN_OK;
}

mien_status mien__scene_maker_new(const mien__scene_set *set, const mien__scene_opts *opts,
                                  mien__scene_maker **ret, mien_error *err)
{
    mien_status st = check_opts(set, opts, err);
    if (st)
        return st;
    mien__scene_maker *const m = mien_alloc_zero(sizeof *m);
    if (!m)
        return mien__nomem(err, sizeof *m);
    const size_t n_px = (size_t)opts->width * (size_t)opts->height;
    m->set = set;
    m->o = *opts;
    m->canvas = (mien__scene_canvas){ opts->width,
                                      opts->height,
                                      NULL,
                                      mien_alloc_array(n_px, sizeof(uint16_t)),
                                      mien_alloc_array(n_px, 3),
                                      0 };
    m->scratch = mien_alloc_array(n_px, 3);
    st = mien__scene_cache_new(set, opts->cache_bytes, &m->cache, err);
    if (!st && (!m->canvas.owner || !m->canvas.patch || !m->scratch))
        st = mien__nomem(err, 3 * n_px);
    if (st) {
        mien__scene_maker_free(m);
        return st;
    }
    *ret = m;
    return MIEN_OK;
}

void mien__scene_maker_free(mien__scene_maker *m)
{
    if (!m)
        return;
    mien__scene_cache_free(m->cache);
    mien_free(m->canvas.owner);
    mien_free(m->canvas.patch);
    mien_free(m->scratch);
    mien_free(m);
}

size_t mien__scene_unreadable(const mien__scene_maker *m)
{
    return m->unreadable;
}

mien_status mien__scene_pick(mien__scene_maker *m, const size_t *list, size_t n, size_t *ret,
                             const mien__pyramid **ret_pyramid, mien_error *err)
{
    const size_t first = mien__dice_below(&m->rng, n);
    mien_error why = { 0 };
    for (size_t i = 0; i < UNREADABLE_IN_A_ROW; i++) {
        const size_t index = list[(first + i) % n];
        const mien_status st = mien__scene_cache_get(m->cache, index, ret_pyramid, &why);
        if (st == MIEN_OK) {
            *ret = index;
            return MIEN_OK;
        }
        if (st == MIEN_E_NOMEM)
            return mien__fail(err, st, "%s", why.message);
        m->unreadable++;
        mien__log(MIEN_LOG_WARN, "scenes: %s left out: %s", m->set->v[index].path, why.message);
    }
    return mien__fail(err, MIEN_E_IO, "scenes: %d pictures in a row cannot be read; the last: %s",
                      UNREADABLE_IN_A_ROW, why.message);
}

/* ---- the kinds of scene ---- */

static double draw_width(mien__scene_maker *m, double most)
{
    return mien__dice_log(&m->rng, m->o.min_face_px, most > m->o.min_face_px ? most : m->o.min_face_px);
}

static double largest(const mien__scene_maker *m)
{
    return m->o.max_face_frac * (float)(m->o.width < m->o.height ? m->o.width : m->o.height);
}

static mien_status add_decoys(mien__scene_maker *m, double mean, mien_error *err)
{
    mien_status st = MIEN_OK;
    const size_t n = mien__dice_below(&m->rng, 1 + (size_t)(2 * mean + 0.5));
    for (size_t i = 0; i < n && !st; i++) {
        const double x = mien__rng_unit(&m->rng) * m->o.width, y = mien__rng_unit(&m->rng) * m->o.height;
        st = mien__scene_add_decoy(m, x, y, draw_width(m, 0.6 * largest(m)), err);
    }
    return st;
}

static mien_status make_portrait(mien__scene_maker *m, mien_error *err)
{
    const double width = largest(m) * mien__dice_between(&m->rng, 0.25, 1);
    const mien__placing p = {
        .x = m->o.width * mien__dice_between(&m->rng, 0.25, 0.75),
        .y = m->o.height * mien__dice_between(&m->rng, 0.3, 0.7),
        .width = width,
        .angle_rad = mien__scene_angle(m, mien__dice_chance(&m->rng, 0.5)),
        .cut = mien__dice_chance(&m->rng, 0.75) ? MIEN__CUT_WHOLE : mien__scene_cut(m),
    };
    return mien__scene_add_face(m, &p, err);
}

/* How much of a square at (x, y) earlier ones cover; px of side as shares. */
static double crowding(const mien__placing *v, int n, double x, double y, double width)
{
    double most = 0;
    for (int i = 0; i < n; i++) {
        const double reach = (v[i].width + width) / 2, dx = fabs(v[i].x - x), dy = fabs(v[i].y - y);
        if (dx >= reach || dy >= reach)
            continue;
        const double least = v[i].width < width ? v[i].width : width;
        most = fmax(most, fmin(reach - dx, least) * fmin(reach - dy, least) / (least * least));
    }
    return most;
}

static void place_apart(mien__scene_maker *m, const mien__placing *v, int n, mien__placing *p)
{
    double best = 2;
    const double allowed = mien__dice_between(&m->rng, 0, 0.5);
    for (int i = 0; i < PLACE_TRIES && best > allowed; i++) {
        const double x = mien__dice_between(&m->rng, -0.05, 1.05) * m->o.width;
        const double y = mien__dice_between(&m->rng, -0.05, 1.05) * m->o.height;
        const double c = crowding(v, n, x, y, p->width * 1.2);
        if (c < best) {
            best = c;
            p->x = x;
            p->y = y;
        }
    }
}

static void sort_by_width(mien__placing *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k].width < v[k - 1].width; k--) {
            const mien__placing t = v[k];
            v[k] = v[k - 1];
            v[k - 1] = t;
        }
}

static mien_status make_scatter(mien__scene_maker *m, mien_error *err)
{
    mien__placing v[64];
    const int n = (int)fmin(m->o.max_faces, mien__dice_log(&m->rng, 1, 11));
    const double most = largest(m) / sqrt(n);
    mien_status st = MIEN_OK;
    for (int i = 0; i < n; i++) {
        v[i] = (mien__placing){ .width = draw_width(m, most), .angle_rad = mien__scene_angle(m, false) };
        v[i].cut = mien__scene_cut(m);
        place_apart(m, v, i, &v[i]);
    }
    sort_by_width(v, n);
    for (int i = 0; i < n && !st; i++)
        st = mien__scene_add_face(m, &v[i], err);
    return st;
}

/* Where a run of n things `step` apart begins, so that it fills the side or lies anywhere along it. */
static double begin_run(mien__rng *r, double side, double step, int n)
{
    const double spare = side - step * n;
    return spare > 0 ? mien__dice_between(r, -step / 2, spare) : -mien__rng_unit(r) * step / 2;
}

static mien_status make_crowd(mien__scene_maker *m, mien_error *err)
{
    mien__rng *const r = &m->rng;
    double width = draw_width(m, 0.25 * largest(m));
    const double step = mien__dice_between(r, 1.1, 2.2), rise = mien__dice_between(r, 1.1, 1.9) * width;
    const int rows = 1 + (int)mien__dice_below(r, m->o.max_faces < 5 ? (size_t)m->o.max_faces : 5);
    const int columns = m->o.max_faces / rows;
    const mien__cut cut = mien__dice_chance(r, 0.5) ? MIEN__CUT_BUST : mien__scene_cut(m);
    const double left = begin_run(r, m->o.width, width * step, columns);
    double y = begin_run(r, m->o.height, rise, rows) + rise / 2;
    mien_status st = MIEN_OK;
    for (int row = 0; row < rows && !st; row++) {
        double x = left + mien__rng_unit(r) * width * step;
        for (int n = 0; x < m->o.width + width / 2 && n < columns && !st; n++) {
            const mien__placing p = {
                .x = x + mien__dice_normal(r) * 0.15 * width,
                .y = y + mien__dice_normal(r) * 0.2 * width,
                .width = width * exp(mien__dice_normal(r) * 0.1),
                .angle_rad = mien__scene_angle(m, mien__dice_chance(r, 0.8)),
                .cut = mien__dice_chance(r, 0.8) ? cut : mien__scene_cut(m),
            };
            st = mien__scene_add_face(m, &p, err);
            x += width * step * mien__dice_between(r, 0.85, 1.2);
        }
        y += rise;
        width *= mien__dice_between(r, 1, 1.12);
    }
    return st;
}

static mien_status make_tiles(mien__scene_maker *m, mien_error *err)
{
    mien__rng *const r = &m->rng;
    const double side = mien__dice_log(r, 1.6 * m->o.min_face_px + 8, 0.6 * largest(m) + 16);
    const double tall = side * mien__dice_between(r, 0.9, 1.3);
    const int columns = (int)ceil(sqrt(m->o.max_faces)), rows = m->o.max_faces / columns;
    const double left = begin_run(r, m->o.width, side, columns), top = begin_run(r, m->o.height, tall, rows);
    const bool calm = mien__dice_chance(r, 0.7);
    mien_status st = MIEN_OK;
    for (int i = 0; i < columns * rows && !st; i++) {
        const double x = left + i % columns * side, y = top + i / columns * tall;
        if (x >= m->o.width || y >= m->o.height || mien__dice_chance(r, 0.15))
            continue;
        const mien__canvas_area cell = { (int)x, (int)y, (int)(x + side), (int)(y + tall) };
        const mien__placing p = {
            .x = x + side * mien__dice_between(r, 0.4, 0.6),
            .y = y + tall * mien__dice_between(r, 0.4, 0.6),
            .width = side * mien__dice_between(r, 0.4, 0.85),
            .angle_rad = mien__scene_angle(m, calm),
            .clip = &cell,
        };
        st = mien__scene_add_face(m, &p, err);
    }
    return st;
}

/* ---- what is known in the end ---- */

/* Share of the face that is seen; *ret_contrast: standard deviation of its green, where seen. */
static float visible_share(const mien__scene_maker *m, const mien_face *f, uint16_t layer,
                           float *ret_contrast)
{
    enum { GRID = 20 };
    const mien__scene_canvas *const c = &m->canvas;
    int inside = 0, seen = 0;
    float sum = 0, squares = 0;
    for (int j = 0; j < GRID; j++)
        for (int i = 0; i < GRID; i++) {
            const float u = ((float)i + 0.5f) / GRID, v = ((float)j + 0.5f) / GRID;
            if ((u - 0.5f) * (u - 0.5f) + (v - 0.5f) * (v - 0.5f) > 0.25f)
                continue;
            inside++;
            const float x = floorf(f->x0 + (f->x1 - f->x0) * u), y = floorf(f->y0 + (f->y1 - f->y0) * v);
            if (!(x >= 0 && y >= 0 && x < (float)c->width && y < (float)c->height))
                continue;
            const size_t at = (size_t)y * (size_t)c->width + (size_t)x;
            if (c->owner[at] != layer)
                continue;
            const float green = c->rgb[3 * at + 1];
            seen++;
            sum += green;
            squares += green * green;
        }
    const float n = (float)(seen > 0 ? seen : 1), variance = squares / n - sum / n * (sum / n);
    *ret_contrast = sqrtf(variance > 0 ? variance : 0);
    return (float)seen / (float)inside;
}

static size_t tell(const mien__scene_maker *m, mien__truth *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_faces; i++) {
        const mien_face *const f = &m->faces[i];
        float contrast;
        const float visible = visible_share(m, f, m->layers[i], &contrast);
        if (visible < least_visible)
            continue;
        const bool small = f->x1 - f->x0 < 0.8f * m->o.min_face_px;
        const bool hidden = visible < m->o.keep_visible || contrast < least_contrast;
        ret[n++] = (mien__truth){ *f, visible, small || hidden };
    }
    return n;
}

static mien_status compose(mien__scene_maker *m, mien_error *err)
{
    mien_status st = mien__scene_backdrop(m, err);
    const bool empty = mien__dice_chance(&m->rng, m->o.p_empty);
    if (!st)
        st = add_decoys(m, m->o.decoys * (empty ? 3 : 1), err);
    if (st || empty)
        return st;
    const double kind = mien__rng_unit(&m->rng);
    if (kind < 0.2)
        st = make_portrait(m, err);
    else if (kind < 0.6)
        st = make_scatter(m, err);
    else if (kind < 0.8)
        st = make_crowd(m, err);
    else
        st = make_tiles(m, err);
    if (!st && mien__dice_chance(&m->rng, 0.15)) /* something in front */
        st = add_decoys(m, m->o.decoys / 2, err);
    return st;
}

mien_status mien__scene_make(mien__scene_maker *m, uint64_t index, uint8_t *ret_rgb, mien__truth *ret_truths,
                             size_t *ret_n, mien_error *err)
{
    mien__rng seed;
    mien__rng_seed(&seed, m->o.seed);
    mien__rng_seed(&m->rng, mien__rng_u64(&seed) ^ index * 0x9e3779b97f4a7c15u);
    m->n_faces = 0;
    m->canvas.rgb = ret_rgb;
    mien_status st = compose(m, err);
    if (!st)
        st = mien__photo_apply(&m->rng, m->o.light, ret_rgb, m->o.width, m->o.height, m->scratch, err);
    if (!st)
        *ret_n = tell(m, ret_truths);
    m->canvas.rgb = NULL;
    return st;
}
