/* The detector's loss (see detect_loss.h). With p = sigmoid(z), over the anchor points a:
 *
 * truth, divided by the number of positives P (as YuNet: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face
 * Detector", MIR 2023, section 3.3):
 *     obj   sum over points not ignored  |t - p|^focal BCE(z, t),  t = 1 at positives, else 0
 *     cls   sum over positives           BCE(z, IoU of the predicted box and its face)
 *     box   sum over positives           EIoU
 *     kps   sum over positives           mean of ten smooth L1((k - k') / sqrt(w' h'))
 *
 * teacher, divided by the sum M of its scores s' = sqrt(cls' obj'):
 *     obj   sum over points  |obj' - p|^focal BCE(z, obj')
 *     cls   sum over points  obj' BCE(z, cls'): where it sees no face, its cls means nothing
 *     box   sum over points  s' mean of smooth L1 of (x - x') / w', (y - y') / h', log w - log w', log h - ..
 *     kps   sum over points  s' mean of ten smooth L1((k - k') / sqrt(w' h'))
 *
 * The factor |t - p|^focal is the quality focal loss (Li et al., "Generalized Focal Loss", NeurIPS 2020, eq.
 * 2), the focal loss for targets that are not 0 or 1: hard negatives count, easy background does not.
 *
 * Where teacher and truth disagree about there being a face, the teacher's terms are left out: a scrambled
 * face that fools it, a face turned further than it knows.
 */
#include "train/detect_parts.h"
#include <string.h>

enum { POINTS = MIEN_LANDMARKS * 2 };

int mien__det_map_index(mien__det_kind kind, int level)
{
    return (int)kind * MIEN__DET_LEVELS + level;
}

int mien__det_map_channels(mien__det_kind kind)
{
    static const int channels[] = { 1, 1, 4, POINTS };
    return channels[kind];
}

size_t mien__det_anchors(int width, int height)
{
    size_t n = 0;
    for (int level = 0; level < MIEN__DET_LEVELS; level++)
        n += (size_t)(width / (8 << level)) * (size_t)(height / (8 << level));
    return n;
}

void mien__det_maps_fill(const mien__det_level levels[MIEN__DET_LEVELS], int image,
                         float *const map[MIEN__DET_MAPS])
{
    for (int i = 0; i < MIEN__DET_LEVELS; i++) {
        const mien__det_level *const l = &levels[i];
        const float *const rows[4] = { l->score, l->objectness, l->box, l->landmarks };
        const size_t cells = (size_t)l->cols * (size_t)l->rows;
        for (int kind = 0; kind < 4; kind++) {
            const size_t channels = (size_t)mien__det_map_channels((mien__det_kind)kind);
            float *const to =
                map[mien__det_map_index((mien__det_kind)kind, i)] + (size_t)image * channels * cells;
            for (size_t c = 0; c < channels; c++)
                for (size_t k = 0; k < cells; k++)
                    to[c * cells + k] = rows[kind][k * channels + c];
        }
    }
}

size_t mien__det_loss_scratch(int n, int width, int height)
{
    const size_t points = mien__det_anchors(width, height);
    return (size_t)n * points * sizeof(int16_t) + 64 + points * sizeof(float);
}

/* ---- one value ---- */

/* |t - p|^focal BCE(z, t); *ret_d by z. */
static double soft_bce(double z, double t, double focal, double *ret_d)
{
    const double p = mien__sigmoid(z), bce = mien__softplus(z) - t * z, off = p - t, far = fabs(off);
    if (focal <= 0) {
        *ret_d = off;
        return bce;
    }
    const double w = pow(far, focal);
    /* at off = 0 both terms vanish for focal >= 1 */
    const double dw = far > 0 ? focal * pow(far, focal - 1) * (off > 0 ? 1 : -1) * p * (1 - p) : 0;
    *ret_d = w * off + dw * bce;
    return w * bce;
}

static double smooth_l1(double e, double beta, double *ret_d)
{
    const double far = fabs(e);
    if (far < beta) {
        *ret_d = e / beta;
        return e * e / (2 * beta);
    }
    *ret_d = e > 0 ? 1 : -1;
    return far - beta / 2;
}

/* ---- one anchor point ---- */

typedef struct place {
    const mien__det_loss_opts *o;
    const mien__det_maps *student, *teacher;
    float *const *d;
    mien__det_grid g;
    int cell;
} place;

static size_t at(const place *p, mien__det_kind kind)
{
    return mien__det_at(&p->g, kind, p->cell);
}

static double value(const mien__det_maps *m, const place *p, mien__det_kind kind, int channel)
{
    return (double)m->map[p->g.map[kind]][at(p, kind) + (size_t)channel * p->g.plane];
}

static void add(const place *p, mien__det_kind kind, int channel, double d)
{
    float *const to = &p->d[p->g.map[kind]][at(p, kind) + (size_t)channel * p->g.plane];
    *to = (float)((double)*to + d);
}

static double truth_kps(const place *p, const mien_face *f, double weight)
{
    const double side = sqrt(((double)f->x1 - f->x0) * ((double)f->y1 - f->y0)), s = p->g.stride;
    const int origin[2] = { p->cell % p->g.cols, p->cell / p->g.cols };
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        const double k = (origin[i % 2] + value(p->student, p, MIEN__DET_KPS, i)) * s;
        double d;
        sum += smooth_l1((k - (double)f->landmarks[i / 2][i % 2]) / side, p->o->kps_beta, &d);
        add(p, MIEN__DET_KPS, i, weight / POINTS * d * s / side);
    }
    return weight / POINTS * sum;
}

static double truth_box(const place *p, const mien__det_box *pred, const mien__det_box *truth, double weight)
{
    double d[4];
    const double loss = mien__det_eiou(pred, truth, d), s = p->g.stride;
    const double by_raw[4] = { s, s, pred->w, pred->h };
    for (int i = 0; i < 4; i++)
        add(p, MIEN__DET_BOX, i, weight * d[i] * by_raw[i]);
    return weight * loss;
}

static void truth_point(const place *p, int target, const mien__truth *truths, double unit,
                        mien__det_loss_parts *sum)
{
    double d;
    const mien__det_loss_opts *const o = p->o;
    if (target != MIEN__ANCHOR_IGNORED && o->truth_obj > 0) {
        const double w = o->truth_obj * unit;
        sum->truth_obj += w * soft_bce(value(p->student, p, MIEN__DET_OBJ, 0), target >= 0, o->focal, &d);
        add(p, MIEN__DET_OBJ, 0, w * d);
    }
    if (target < 0)
        return;
    const mien__det_box pred = mien__det_box_at(p->student, &p->g, p->cell);
    const mien__det_box box = mien__det_box_of(&truths[target].face);
    const double w = o->truth_cls * unit;
    sum->truth_cls += w * soft_bce(value(p->student, p, MIEN__DET_CLS, 0), mien__det_iou(&pred, &box), 0, &d);
    add(p, MIEN__DET_CLS, 0, w * d);
    sum->truth_box += truth_box(p, &pred, &box, o->truth_box * unit);
    sum->truth_kps += truth_kps(p, &truths[target].face, o->truth_kps * unit);
}

static double teach_box(const place *p, double weight)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        /* in sides of the teacher's box, which are in strides as the raw values are */
        const double unit = i < 2 ? mien__det_side(value(p->teacher, p, MIEN__DET_BOX, i + 2), 1) : 1;
        const double off = value(p->student, p, MIEN__DET_BOX, i) - value(p->teacher, p, MIEN__DET_BOX, i);
        double d;
        sum += smooth_l1(off / unit, p->o->box_beta, &d);
        add(p, MIEN__DET_BOX, i, weight / 4 * d / unit);
    }
    return weight / 4 * sum;
}

static double teach_kps(const place *p, double weight)
{
    const double side = sqrt(mien__det_side(value(p->teacher, p, MIEN__DET_BOX, 2), 1) *
                             mien__det_side(value(p->teacher, p, MIEN__DET_BOX, 3), 1));
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        const double off = value(p->student, p, MIEN__DET_KPS, i) - value(p->teacher, p, MIEN__DET_KPS, i);
        double d;
        sum += smooth_l1(off / side, p->o->kps_beta, &d);
        add(p, MIEN__DET_KPS, i, weight / POINTS * d / side);
    }
    return weight / POINTS * sum;
}

static double teacher_score(const place *p)
{
    const double v = value(p->teacher, p, MIEN__DET_CLS, 0) * value(p->teacher, p, MIEN__DET_OBJ, 0);
    return v > 0 ? sqrt(v) : 0;
}

static void teach_point(const place *p, double unit, mien__det_loss_parts *sum)
{
    const mien__det_loss_opts *const o = p->o;
    const double obj = value(p->teacher, p, MIEN__DET_OBJ, 0), cls = value(p->teacher, p, MIEN__DET_CLS, 0);
    const double score = teacher_score(p);
    double d, w = o->teach_obj * unit;
    sum->teach_obj += w * soft_bce(value(p->student, p, MIEN__DET_OBJ, 0), obj, o->focal, &d);
    add(p, MIEN__DET_OBJ, 0, w * d);
    w = o->teach_cls * unit * obj;
    sum->teach_cls += w * soft_bce(value(p->student, p, MIEN__DET_CLS, 0), cls, 0, &d);
    add(p, MIEN__DET_CLS, 0, w * d);
    sum->teach_box += teach_box(p, o->teach_box * unit * score);
    sum->teach_kps += teach_kps(p, o->teach_kps * unit * score);
}

/* ---- the batch ---- */

static void clear(const mien__det_maps *m, float *const d[MIEN__DET_MAPS])
{
    for (int level = 0; level < MIEN__DET_LEVELS; level++) {
        const mien__det_grid g = mien__det_grid_of(m->width, m->height, m->n, level);
        for (int kind = 0; kind < 4; kind++)
            memset(d[g.map[kind]], 0, g.first[kind] * sizeof(float)); /* where picture n would begin */
    }
}

static double teacher_mass(const mien__det_maps *teacher)
{
    double mass = 0;
    for (int image = 0; image < teacher->n; image++)
        for (int level = 0; level < MIEN__DET_LEVELS; level++) {
            place p = { .teacher = teacher,
                        .g = mien__det_grid_of(teacher->width, teacher->height, image, level) };
            for (p.cell = 0; p.cell < p.g.cells; p.cell++)
                mass += teacher_score(&p);
        }
    return mass;
}

static bool disagree(const place *p, int target)
{
    if (target >= 0)
        return teacher_score(p) < p->o->disagree;
    return target == MIEN__ANCHOR_NONE && teacher_score(p) > p->o->disagree;
}

void mien__det_loss(const mien__det_loss_opts *o, const mien__det_maps *student,
                    const mien__det_maps *teacher, const mien__truth *const *truths, const size_t *n_truths,
                    float *const d_maps[MIEN__DET_MAPS], mien__det_loss_parts *ret, void *scratch)
{
    const size_t points = mien__det_anchors(student->width, student->height);
    float *const cost = scratch;
    int16_t *const targets = (int16_t *)(cost + points);
    mien__det_loss_parts sum = { 0 };
    mien_assert(student->width % 32 == 0 && student->height % 32 == 0);
    clear(student, d_maps);
    for (int i = 0; i < student->n && truths; i++)
        sum.positives +=
            mien__det_assign(student, i, truths[i], n_truths[i], targets + (size_t)i * points, cost);
    if (teacher)
        sum.mass = teacher_mass(teacher);
    const double truth_unit = 1 / fmax(1, sum.positives), teach_unit = 1 / fmax(1, sum.mass);
    for (int i = 0; i < student->n; i++) {
        const int16_t *target = targets + (size_t)i * points;
        for (int level = 0; level < MIEN__DET_LEVELS; level++) {
            place p = {
                o, student, teacher, d_maps, mien__det_grid_of(student->width, student->height, i, level), 0
            };
            for (; p.cell < p.g.cells; p.cell++, target++) {
                if (truths)
                    truth_point(&p, *target, truths[i], truth_unit, &sum);
                if (teacher && !(truths && disagree(&p, *target)))
                    teach_point(&p, teach_unit, &sum);
            }
        }
    }
    sum.total = sum.truth_cls + sum.truth_obj + sum.truth_box + sum.truth_kps + sum.teach_cls +
                sum.teach_obj + sum.teach_box + sum.teach_kps;
    *ret = sum;
}
