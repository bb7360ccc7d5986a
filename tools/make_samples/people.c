/* A statistical model of shape and texture.
 *
 * Shapes are aligned to their mean by generalised Procrustes analysis (Gower 1975); textures are the pictures
 * warped to one shape, as in active appearance models (Cootes, Edwards, Taylor 2001). A new person is
 *
 *     x = m(sex, origin) + length * sum_j g_j (x_j - m(sex_j, origin_j)) / sqrt(n),   g_j standard normal,
 *     m(sex, origin) = mean of the sex + mean of the origin - mean of all,
 *
 * the same g for shape and texture, j over the n people of that sex. With length 1 its covariance is exactly
 * the people's about the additive means, so no eigenvectors are needed to draw from it, and each of them has
 * a share of about 1 / sqrt(n) in the new person's difference from the mean. Everything is a weighted sum
 * over people. */
#include "people.h"
#include "face_warp.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ORIGINS = 16 };

/* How far from the mean, 1 as far as people are: a little more makes the new person less like anyone. */
static const float LENGTH = 1.1f;

static const float STEP_AWAY = 0.15f;

/* Pupils to (-0.5, 0) and (0.5, 0). */
static shape to_model_frame(const shape *s)
{
    const float dx = s->p[1][0] - s->p[0][0], dy = s->p[1][1] - s->p[0][1], d2 = dx * dx + dy * dy;
    const float cx = (s->p[0][0] + s->p[1][0]) / 2, cy = (s->p[0][1] + s->p[1][1]) / 2;
    const float a = dx / d2, b = -dy / d2;
    return similarity_apply((similarity){ a, b, -a * cx + b * cy, -b * cx - a * cy }, s);
}

static void add_shape(shape *sum, const shape *s, float weight)
{
    for (int i = 0; i < N_POINTS; i++)
        for (int k = 0; k < 2; k++)
            sum->p[i][k] += weight * s->p[i][k];
}

static void align_all(people *p)
{
    p->mean = to_model_frame(&p->all[0].marks);
    for (int round = 0; round < 5; round++) {
        shape sum = { 0 };
        for (int j = 0; j < p->n; j++) {
            const shape *m = &p->all[j].marks;
            p->all[j].aligned = similarity_apply(similarity_fit(m, &p->mean, POINT_FACE), m);
            add_shape(&sum, &p->all[j].aligned, 1 / (float)p->n);
        }
        p->mean = to_model_frame(&sum);
    }
}

/* Lines "id,age,sex,ethnicity"; of a mixed ethnicity "a/b" the first counts. */
static void read_info(const char *path, people *ret)
{
    char line[256], sex[16], kind[64], names[MAX_ORIGINS][64];
    int id = 0, n_origins = 0;
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f))
        die(path, "cannot be read");
    while (fgets(line, sizeof line, f) && ret->n < MAX_PEOPLE) {
        if (sscanf(line, "%d,%*[^,],%15[^,],%63[^/\r\n]", &id, sex, kind) != 3)
            die(path, line);
        int o = 0;
        while (o < n_origins && strcmp(names[o], kind) != 0)
            o++;
        if (o == MAX_ORIGINS)
            die(path, "too many origins");
        if (o == n_origins)
            memcpy(names[n_origins++], kind, sizeof kind);
        ret->all[ret->n++] = (person){ .id = id, .female = strcmp(sex, "female") == 0, .origin = o };
    }
    fclose(f);
}

void people_read(const char *folder, const char *info, people *ret)
{
    char path[4096];
    memset(ret, 0, sizeof *ret);
    ret->all = take_memory(MAX_PEOPLE, sizeof *ret->all);
    read_info(info, ret);
    for (int j = 0; j < ret->n; j++) {
        person *q = &ret->all[j];
        snprintf(path, sizeof path, "%s/neutral_front/%03d_03.tem", folder, q->id);
        q->marks = shape_read(path, (float)SIDE / 1350);
        snprintf(path, sizeof path, "%s/neutral_front/%03d_03.jpg", folder, q->id);
        q->small = canvas_load(path, SMALL);
    }
    align_all(ret);
}

void people_free(people *p)
{
    for (int j = 0; j < p->n; j++)
        canvas_free(&p->all[j].small);
    free(p->all);
    *p = (people){ .n = 0 };
}

const person *people_find(const people *p, int id)
{
    for (int j = 0; j < p->n; j++)
        if (p->all[j].id == id)
            return &p->all[j];
    die("a person that london_info.csv does not list", NULL);
}

/* weights += by * m(sex, origin) */
static void add_mean(const people *p, const person *of, float by, float *weights)
{
    int n_sex = 0, n_origin = 0;
    for (int j = 0; j < p->n; j++) {
        n_sex += p->all[j].female == of->female;
        n_origin += p->all[j].origin == of->origin;
    }
    for (int j = 0; j < p->n; j++) {
        const person *q = &p->all[j];
        const float sex = q->female == of->female ? 1 / (float)n_sex : 0;
        const float origin = q->origin == of->origin ? 1 / (float)n_origin : 0;
        weights[j] += by * (sex + origin - 1 / (float)p->n);
    }
}

void people_draw(const people *p, const person *like, dice *d, float *ret_weights)
{
    int n = 0;
    for (int j = 0; j < p->n; j++) {
        ret_weights[j] = 0;
        n += p->all[j].female == like->female;
    }
    add_mean(p, like, 1, ret_weights);
    for (int j = 0; j < p->n; j++) {
        if (p->all[j].female != like->female)
            continue;
        const float g = LENGTH * dice_normal(d) / sqrtf((float)n);
        ret_weights[j] += g;
        add_mean(p, &p->all[j], -g, ret_weights);
    }
}

void people_step_away(const people *p, int id, float *weights)
{
    const person *q = people_find(p, id);
    weights[q - p->all] -= STEP_AWAY;
    add_mean(p, q, STEP_AWAY, weights);
}

void people_step_away_from(const people *p, const person *like, const float *other, float *weights)
{
    for (int j = 0; j < p->n; j++)
        weights[j] -= STEP_AWAY * other[j];
    add_mean(p, like, STEP_AWAY, weights);
}

shape people_shape(const people *p, const float *weights)
{
    shape s = { 0 };
    for (int j = 0; j < p->n; j++)
        add_shape(&s, &p->all[j].aligned, weights[j]);
    return s;
}

static void add_canvas(canvas *sum, const canvas *a, float weight)
{
    const size_t n = (size_t)a->w * (size_t)a->h * (size_t)a->c;
    for (size_t i = 0; i < n; i++)
        sum->p[i] += weight * a->p[i];
}

canvas people_texture(const people *p, const float *weights, const shape *to, const canvas *like,
                      const canvas *mask)
{
    const similarity shrink = { (float)SMALL / SIDE, 0, 0, 0 };
    const shape small_to = similarity_apply(shrink, to);
    face_way way = face_way_new(&small_to, SMALL, (part){ 0, 0, SMALL, SMALL }, 0);
    canvas sum = canvas_new(SMALL, SMALL, 3);
    for (int j = 0; j < p->n; j++) {
        const shape marks = similarity_apply(shrink, &p->all[j].marks);
        canvas a = face_carry(&way, &p->all[j].small, &marks);
        face_match_colour(&a, like, mask);
        add_canvas(&sum, &a, weights[j]);
        canvas_free(&a);
    }
    face_way_free(&way);
    return sum;
}
