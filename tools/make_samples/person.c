/* A face drawn from the model, with the detail of photographs.
 *
 * Shape and coarse texture come from people.h and are nobody's. What makes a picture look like a photograph,
 * pores, hairs, the lines of lids and lips, cannot be had from sums of many people, which look waxy. It comes
 * from four donors, each for a part: head and hair, eyes, nose and cheeks, mouth and chin. Each donor's
 * picture is warped straight to the wanted shape, so that it is resampled once, and matched in skin colour to
 * the donor of the head; parts are joined, and the model's texture put in the place of their own coarse
 * levels, in pyramid.c.
 *
 * Pose. Marks are turned as points of a generic head and the pictures follow them; up to some 15 degrees a
 * photograph bears that. A smile's shape is the mouth donor's, as found by track_shape(), its texture the
 * difference between the donors' smiling and neutral pictures. */
#include "person.h"
#include "face_warp.h"
#include "matte.h"
#include "pyramid.h"
#include "track.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* What smiling adds to a shape in the model's frame. */
static shape smile_of(const donor *m, const shape *mean)
{
    const shape calm = similarity_apply(similarity_fit(&m->marks[0], mean, POINT_STABLE), &m->marks[0]);
    shape glad = similarity_apply(similarity_fit(&m->marks[1], &calm, POINT_STABLE), &m->marks[1]);
    for (int i = 0; i < N_POINTS; i++)
        for (int k = 0; k < 2; k++)
            glad.p[i][k] -= calm.p[i][k];
    return glad;
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

/* Ears, hair and neck go where the face beside them goes, the less the farther they are from it. */
static void follow(const shape *head, shape *s)
{
    const float unit = hypotf(head->p[1][0] - head->p[0][0], head->p[1][1] - head->p[0][1]);
    for (int i = 0; i < N_POINTS; i++) {
        if (point_kind(i) & POINT_FACE)
            continue;
        float sum[3] = { 0 }, nearest = 1e9f;
        for (int j = 0; j < N_POINTS; j++) {
            if (!(point_kind(j) & POINT_FACE))
                continue;
            const float d = hypotf(head->p[i][0] - head->p[j][0], head->p[i][1] - head->p[j][1]) / unit;
            const float w = expf(-0.5f * d * d / (0.3f * 0.3f)) + 1e-9f;
            nearest = fminf(nearest, d);
            sum[0] += w * (s->p[j][0] - head->p[j][0]);
            sum[1] += w * (s->p[j][1] - head->p[j][1]);
            sum[2] += w;
        }
        const float fade = expf(-nearest / 1.2f);
        for (int k = 0; k < 2; k++)
            s->p[i][k] = head->p[i][k] + fade * sum[k] / sum[2];
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
    follow(head, &t);
    turn(&t, how.yaw, how.pitch);
    return t;
}

static const part everything = { 0, 0, SIDE, SIDE };

/* The part of the picture that the face and the masks' soft edges are in; its corner lies where pyramids of
 * the part and of the whole have the same px. */
static part around_face(const shape *s)
{
    enum { GRID = 64 };
    const float margin = 0.45f * hypotf(s->p[1][0] - s->p[0][0], s->p[1][1] - s->p[0][1]);
    float x0 = SIDE, y0 = SIDE, x1 = 0, y1 = 0;
    for (int i = 0; i < N_POINTS; i++) {
        if (!(point_kind(i) & POINT_FACE))
            continue;
        x0 = fminf(x0, s->p[i][0] - margin);
        y0 = fminf(y0, s->p[i][1] - margin);
        x1 = fmaxf(x1, s->p[i][0] + margin);
        y1 = fmaxf(y1, s->p[i][1] + margin);
    }
    const int x = x0 < 0 ? 0 : (int)x0 / GRID * GRID, y = y0 < 0 ? 0 : (int)y0 / GRID * GRID;
    return (part){ x, y, (x1 > SIDE ? SIDE : (int)x1) - x, (y1 > SIDE ? SIDE : (int)y1) - y };
}

/* What leads to the shape of one picture. */
typedef struct way_to {
    face_way head, face;
    part part;
    face_masks masks;
} way_to;

/* The face parts of the donors' pictures in the wanted shape; *ret_head gets the head's whole picture. */
static void carry_donors(const identity *p, int smiling, const way_to *to, canvas *ret, canvas *ret_head)
{
    for (int k = 0; k < N_DONORS; k++) {
        const donor *d = &p->donors[k];
        const part f = to->part;
        if (k == DONOR_HEAD) {
            *ret_head = face_carry(&to->head, &d->photo[smiling], &d->marks[smiling]);
            ret[k] = canvas_cut(ret_head, f.x, f.y, f.w, f.h);
        } else {
            ret[k] = face_carry(&to->face, &d->photo[smiling], &d->marks[smiling]);
            face_match_colour(&ret[k], &ret[DONOR_HEAD], &to->masks.part[DONOR_NOSE]);
        }
    }
}

void identity_read(const char *folder, const people *model, const int *donors, identity *ret)
{
    memset(ret, 0, sizeof *ret);
    for (int k = 0; k < N_DONORS; k++)
        donor_read(folder, donors[k], &ret->donors[k]);
    for (int e = 0; e < 2; e++) {
        canvas *photo = &ret->donors[DONOR_HEAD].photo[e],
               cut = matte_person(photo, &ret->donors[DONOR_HEAD].marks[e]);
        canvas_free(photo);
        *photo = cut;
    }
    ret->smile = smile_of(&ret->donors[DONOR_MOUTH], &model->mean);
}

void identity_face(identity *p, const people *model, const float *weights)
{
    p->own = people_shape(model, weights);
    p->marks = place(p, (pose){ 0, 0, 0, 0 });
    face_masks masks = face_masks_new(&p->marks, everything);
    canvas like = canvas_resize(&p->donors[DONOR_HEAD].photo[0], SMALL, SMALL);
    canvas mask = canvas_resize(&masks.part[DONOR_NOSE], SMALL, SMALL);
    canvas small = people_texture(model, weights, &p->marks, &like, &mask);
    canvas_free(&p->skin);
    p->skin = canvas_resize(&small, SIDE, SIDE);
    canvas_free(&small);
    canvas_free(&mask);
    canvas_free(&like);
    face_masks_free(&masks);
}

void identity_free(identity *p)
{
    for (int k = 0; k < N_DONORS; k++)
        for (int e = 0; e < 2; e++)
            canvas_free(&p->donors[k].photo[e]);
    canvas_free(&p->skin);
}

canvas identity_draw(const identity *p, pose how, shape *ret_marks)
{
    const shape marks = place(p, how);
    const part f = around_face(&marks);
    way_to to = { face_way_new(&marks, SIDE, everything, 1), face_way_new(&marks, SIDE, f, 0), f,
                  face_masks_new(&marks, f) };
    canvas shown[N_DONORS], calm[N_DONORS], r, calm_head;
    carry_donors(p, how.smiling, &to, shown, &r);
    if (how.smiling) {
        carry_donors(p, 0, &to, calm, &calm_head);
        canvas_free(&calm_head);
    }
    canvas skin = face_carry(&to.face, &p->skin, &p->marks);
    face_match_colour(&skin, &shown[DONOR_HEAD], &to.masks.part[DONOR_NOSE]);
    canvas face = pyramid_blend(shown, how.smiling ? calm : shown, &skin, &to.masks);
    for (int y = 0; y < f.h; y++)
        for (int x = 0; x < f.w; x++)
            for (int k = 0; k < 3; k++)
                canvas_at(&r, x + f.x, y + f.y)[k] = clamp01(canvas_at(&face, x, y)[k]);
    canvas_free(&face);
    canvas_free(&skin);
    for (int k = 0; k < N_DONORS; k++) {
        canvas_free(&shown[k]);
        if (how.smiling)
            canvas_free(&calm[k]);
    }
    face_masks_free(&to.masks);
    face_way_free(&to.face);
    face_way_free(&to.head);
    *ret_marks = marks;
    return r;
}
