/* A face of several donors.
 *
 * Shape. Each donor's template is projected on the model's modes; a random mix of the coefficients, stretched to the
 * length of a person's, is a face as far from the mean as people are, and between or beyond its donors.
 *
 * Texture. Each donor's whole picture is warped straight to the wanted shape, so that it is resampled once and stays
 * sharp, and matched in skin colour to the donor of the head. The pictures are then added in Laplacian pyramids (Burt
 * and Adelson 1983): the finest levels come from one donor at a place (averages of skin and hair look waxy), divided
 * by soft masks of eyes, nose and mouth; the coarser the level, the more it is the mix of all donors.
 *
 * Pose. Marks are turned as points of a generic head and the pictures follow them; up to some 15 degrees a photograph
 * bears that. A smile's shape is the donor of the mouth's, as found by track_shape(), its texture that of the
 * donors' smiling pictures. */
#include "person.h"
#include "matte.h"
#include "pyramid.h"
#include "track.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void donor_read(const char *folder, int id, donor *ret)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/neutral_front/%03d_03.jpg", folder, id);
    ret->photo[0] = canvas_load(path, SIDE);
    snprintf(path, sizeof path, "%s/smiling_front/%03d_08.jpg", folder, id);
    ret->photo[1] = canvas_load(path, SIDE);
    snprintf(path, sizeof path, "%s/neutral_front/%03d_03.tem", folder, id);
    ret->marks[0] = shape_read(path, (float)SIDE / 1350);
    ret->marks[1] = track_shape(&ret->photo[0], &ret->marks[0], &ret->photo[1]);
}

void identity_new(const char *folder, const int *ids, const shape_model *model, dice *d, float length, identity *ret)
{
    float weights[N_DONORS], sum = 0, mix[N_MODES] = { 0 };
    for (int k = 0; k < N_DONORS; k++)
        sum += weights[k] = dice_range(d, 0.6f, 1);
    for (int k = 0; k < N_DONORS; k++) {
        float coef[N_MODES];
        donor_read(folder, ids[k], &ret->donors[k]);
        shape_model_project(model, &ret->donors[k].marks[0], coef);
        for (int i = 0; i < N_MODES; i++)
            mix[i] += weights[k] / sum * coef[i];
    }
    for (int i = 0; i < N_MODES; i++) /* something no donor has */
        mix[i] += 0.35f * model->sigma[i] * dice_normal(d);
    ret->own = shape_model_make(model, mix, length);
    const donor *m = &ret->donors[DONOR_MOUTH];
    const shape calm = similarity_apply(similarity_fit(&m->marks[0], &model->mean, POINT_STABLE), &m->marks[0]);
    const shape glad = similarity_apply(similarity_fit(&m->marks[1], &calm, POINT_STABLE), &m->marks[1]);
    for (int i = 0; i < N_POINTS; i++)
        for (int k = 0; k < 2; k++)
            ret->smile.p[i][k] = glad.p[i][k] - calm.p[i][k];
}

void identity_free(identity *p)
{
    for (int k = 0; k < N_DONORS; k++)
        for (int e = 0; e < 2; e++)
            canvas_free(&p->donors[k].photo[e]);
}

float head_depth(float x, float y)
{
    const float u = x / 1.12f, v = (y - 0.3f) / 1.6f;
    float z = 1.15f * sqrtf(fmaxf(0, 1 - u * u - v * v));
    const float ridge = smooth_step(-0.1f, 0.62f, y) * (1 - smooth_step(0.62f, 0.82f, y));
    z += 0.34f * ridge * expf(-x * x / (2 * 0.15f * 0.15f));
    z += 0.10f * expf(-(x * x / (2 * 0.3f * 0.3f) + (y - 1.0f) * (y - 1.0f) / (2 * 0.12f * 0.12f)));
    z -= 0.10f * expf(-((fabsf(x) - 0.5f) * (fabsf(x) - 0.5f) + y * y) / (2 * 0.2f * 0.2f));
    return z;
}

/* Turn the marks of a head about the middle between its ears. */
static void turn(shape *s, float yaw, float pitch)
{
    const float cx = (s->p[0][0] + s->p[1][0]) / 2, cy = (s->p[0][1] + s->p[1][1]) / 2;
    const float unit = hypotf(s->p[1][0] - s->p[0][0], s->p[1][1] - s->p[0][1]);
    for (int i = 0; i < N_POINTS; i++) {
        const float x = (s->p[i][0] - cx) / unit, y = (s->p[i][1] - cy) / unit;
        const float z = head_depth(x, y), x1 = x * cosf(yaw) + z * sinf(yaw);
        const float z1 = z * cosf(yaw) - x * sinf(yaw), mid = 0.3f;
        const float y1 = mid + (y - mid) * cosf(pitch) + z1 * sinf(pitch);
        s->p[i][0] = cx + unit * x1;
        s->p[i][1] = cy + unit * y1;
    }
}

/* Where the marks lie in the picture: the own shape in the place of the head donor's. */
static shape place(const identity *p, pose how)
{
    const shape *head = &p->donors[DONOR_HEAD].marks[how.smiling];
    shape s = p->own;
    for (int i = 0; i < N_POINTS; i++)
        for (int k = 0; k < 2; k++)
            s.p[i][k] += how.expression * p->smile.p[i][k];
    shape t = similarity_apply(similarity_fit(&s, head, how.smiling ? POINT_STABLE : POINT_FACE), &s);
    for (int i = 0; i < N_POINTS; i++)
        if (!(point_kind(i) & POINT_FACE))
            for (int k = 0; k < 2; k++)
                t.p[i][k] = head->p[i][k];
    turn(&t, how.yaw, how.pitch);
    return t;
}

/* A donor's picture in the wanted shape. The head's also keeps its outline and the picture's border in place. */
static canvas carry(const canvas *photo, const shape *marks, const shape *to, int whole)
{
    float a[N_POINTS + 32][2], b[N_POINTS + 32][2];
    int n = 0;
    for (int i = 0; i < N_POINTS; i++) {
        if (!(point_kind(i) & (whole ? POINT_FACE | POINT_OUTLINE : POINT_FACE)))
            continue;
        for (int k = 0; k < 2; k++) {
            a[n][k] = to->p[i][k];
            b[n][k] = marks->p[i][k];
        }
        n++;
    }
    for (int i = 0; i < 8 && whole; i++) {
        const float t = (float)(i % 8) / 7 * SIDE;
        const float edge[4][2] = { { t, 0 }, { t, SIDE }, { 0, t }, { SIDE, t } };
        for (int e = 0; e < 4 && n < N_POINTS + 32; e++, n++)
            for (int k = 0; k < 2; k++)
                a[n][k] = b[n][k] = edge[e][k];
    }
    warp f = warp_new((const float (*)[2])a, (const float (*)[2])b, n, SIDE, SIDE);
    canvas r = warp_apply(&f, photo);
    warp_free(&f);
    return r;
}

/* Multiply colours so that the face's mean, over the mask, becomes that of `like`. */
static void match_colour(canvas *a, const canvas *like, const canvas *mask)
{
    double own[3] = { 0 }, want[3] = { 0 };
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        for (size_t k = 0; k < 3; k++) {
            own[k] += (double)mask->p[i] * (double)a->p[i * (size_t)a->c + k];
            want[k] += (double)mask->p[i] * (double)like->p[i * (size_t)like->c + k];
        }
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        for (size_t k = 0; k < 3; k++)
            a->p[i * (size_t)a->c + k] *= (float)(want[k] / own[k]);
}

canvas identity_draw(const identity *p, pose how, shape *ret_marks)
{
    const shape to = place(p, how);
    face_masks masks = face_masks_new(&to, SIDE);
    canvas parts[N_DONORS];
    for (int k = 0; k < N_DONORS; k++) {
        const donor *d = &p->donors[k];
        const canvas *photo = &d->photo[how.smiling];
        if (k == DONOR_HEAD) {
            canvas cut = matte_person(photo);
            parts[k] = carry(&cut, &d->marks[how.smiling], &to, 1);
            canvas_free(&cut);
        } else {
            parts[k] = carry(photo, &d->marks[how.smiling], &to, 0);
            match_colour(&parts[k], &parts[DONOR_HEAD], &masks.part[DONOR_NOSE]);
        }
    }
    canvas r = pyramid_blend(parts, &masks);
    for (int k = 0; k < N_DONORS; k++)
        canvas_free(&parts[k]);
    face_masks_free(&masks);
    *ret_marks = to;
    return r;
}
