/* Makes samples/: photographs of people who do not exist.
 *
 *   build/release/tools/tool_make_samples LONDON OUT [NUMBER|group|no-face]...   everything, or what is named
 *   build/release/tools/tool_make_samples --search LONDON OUT NUMBER...   find steps away from look-alikes
 *
 * LONDON is a folder of the Face Research Lab London Set as the R package webmorphR.stim holds it (DeBruine
 * and Jones 2017, CC BY 4.0): inst/neutral_front, inst/smiling_front and data-raw/london_info.csv. OUT gets
 * person-NN/1.jpg .. 4.jpg, group.jpg and no-face/1.jpg, 2.jpg.
 *
 * tools/make_samples/ does the work: people.c is the statistical model that a face is drawn from, person.c
 * gives it the detail of photographs and poses it, scene.c and still_life.c make surroundings, light.c
 * lights, studio.c takes the picture. Everything follows from the seeds in the recipes below; arithmetic is
 * single precision, so another machine may give other last bits, and pictures that look the same.
 *
 * A draw from the model can by chance resemble one of the people it was made from. --search draws an
 * identity, shows it neutral and smiling to two embedding networks, and while somebody would be recognised at
 * a false match rate of 1e-3, or nearly, steps away from that person and draws again. The pictures in OUT of
 * the identities before it count as people too. The steps found are in the recipes. */
#include "make_samples/nobody.h"
#include "make_samples/studio.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096, SHOTS = 4, MAX_STEPS = 32, OF_OURS = 1000 };

typedef struct recipe {
    int donors[N_DONORS]; /* head, eyes, nose, mouth */
    uint64_t seed;
    int take[SHOTS]; /* a picture in which somebody would be recognised by chance is taken again */
    float clothes[3];
    int away[MAX_STEPS]; /* people of the London Set; OF_OURS + n: person-n, an earlier one; ends at 0 */
} recipe;

static const recipe recipes[] = {
    { .donors = { 108, 33, 121, 117 },
      .seed = 10,
      .clothes = { 0.38f, 0.44f, 0.32f },
      .away = { 141, 68, 103, 24, 140, 128, 123, 108 } },
    { .donors = { 129, 126, 99, 25 },
      .seed = 2,
      .take = { 0, 0, 2, 0 },
      .clothes = { 0.80f, 0.62f, 0.28f },
      .away = { 99, 129, 99, 25, 62 } },
    { .donors = { 9, 122, 27, 100 },
      .seed = 1,
      .take = { 0, 0, 2, 0 },
      .clothes = { 0.96f, 0.94f, 0.91f },
      .away = { 113, 113, 113, 6, 13, 27, 62, 100, 91, 102 } },
    { .donors = { 82, 42, 137, 61 },
      .seed = 8,
      .clothes = { 0.95f, 0.94f, 0.90f },
      .away = { 43, 82, 43, 44, 82, 61, 137, 45, 44, 137, 42, 61, 137 } },
    { .donors = { 12, 68, 128, 130 },
      .seed = 13,
      .clothes = { 0.45f, 0.58f, 0.72f },
      .away = { 37, 132, 37, 132, 37, 12, 132, 128, 132, 12, 132, 105, 138, 132, 12, 27, OF_OURS + 1,
                OF_OURS + 1 } },
    { .donors = { 30, 127, 87, 34 },
      .seed = 3,
      .clothes = { 0.66f, 0.28f, 0.30f },
      .away = { 30, 30, 87, 30, 87, 34, 30 } },
    { .donors = { 104, 18, 138, 63 },
      .seed = 7,
      .take = { 0, 1, 0, 1 },
      .clothes = { 0.82f, 0.86f, 0.88f },
      .away = { 33 } },
    { .donors = { 64, 66, 135, 6 },
      .seed = 4,
      .clothes = { 0.30f, 0.50f, 0.46f },
      .away = { 64, 64, 64, 135, 66, 6, 66, 64 } },
    { .donors = { 24, 119, 5, 45 },
      .seed = 9,
      .clothes = { 0.26f, 0.34f, 0.44f },
      .away = { 45, 45, 24, 45, 63, 5, 24, 45, 5, 45, 119, 24, 5, 45, 140, 67, 119, 45 } },
    { .donors = { 107, 136, 11, 120 },
      .seed = 5,
      .take = { 0, 3, 0, 0 },
      .clothes = { 0.88f, 0.84f, 0.90f },
      .away = { 13, 135, 112, 38, 2, 102, 120, 9, 11, 62, 62, 62 } },
    { .donors = { 17, 142, 115, 70 },
      .seed = 11,
      .clothes = { 0.55f, 0.24f, 0.22f },
      .away = { 37, 37, 125, 120, 37, 120, 120, 37 } },
    { .donors = { 113, 86, 16, 32 },
      .seed = 107,
      .clothes = { 0.22f, 0.22f, 0.24f },
      .away = { 27, 113,         100,         32,          112, 113, 100, 66,  16,
                27, 135,         112,         OF_OURS + 6, 113, 32,  66,  100, 113,
                9,  OF_OURS + 3, OF_OURS + 3, OF_OURS + 6, 32,  27,  16 } },
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };

static void folders(const char *london, char *inst, char *info)
{
    snprintf(inst, PATH_BYTES, "%s/inst", london);
    snprintf(info, PATH_BYTES, "%s/data-raw/london_info.csv", london);
}

static void make_folder(const char *path)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        die(path, strerror(errno));
}

static float between(float lo, float hi, float t)
{
    return lo + t * (hi - lo);
}

/* The n-th picture of a person: 0 calm, 1 smiling, 2 turned under a light from the side, 3 calm or smiling,
 * small and worse. Every picture draws the same numbers first, because C leaves open in which order the parts
 * of one expression are evaluated. */
static shot plan_shot(int n, dice *d)
{
    static const place_kind places[SHOTS][2] = { { PLACE_WALL, PLACE_ROOM },
                                                 { PLACE_GARDEN, PLACE_ROOM },
                                                 { PLACE_ROOM, PLACE_WALL },
                                                 { PLACE_EVENING, PLACE_GARDEN } };
    float r[10];
    const float side = dice_next(d) % 2 ? 1 : -1;
    const int coin = (int)(dice_next(d) % 2);
    for (size_t i = 0; i < sizeof r / sizeof r[0]; i++)
        r[i] = dice_range(d, 0, 1);
    const float yaw = 2 * r[0] - 1, pitch = 2 * r[1] - 1, aside = 2 * r[2] - 1, roll = 2 * r[3] - 1;
    shot s = { .place = places[n][dice_next(d) % 2] };
    s.light = (light){ side * between(0.3f, 0.7f, r[4]), between(0.2f, 0.6f, r[5]), between(0.2f, 0.4f, r[6]),
                       between(-0.03f, 0.04f, r[7]), between(0.9f, 1.05f, r[8]) };
    if (n == 0) {
        s.pose = (pose){ 0, 0, 0.07f * yaw, 0.04f * pitch };
        s.frame =
            (frame){ 420, 525, between(4.6f, 5.4f, r[9]), 0.2f * aside, 0.05f * roll, 0.3f, 0.006f, 90 };
    } else if (n == 1) {
        s.pose = (pose){ 1, 0.9f, 0.13f * yaw, 0.05f * pitch };
        s.frame = (frame){ 400, 400, between(4.0f, 4.8f, r[9]), 0.4f * aside, 0.1f * roll, 0.3f, 0.008f, 85 };
        s.light.warmth += 0.02f;
    } else if (n == 2) {
        s.pose = (pose){ 0, 0.25f, side * between(0.13f, 0.22f, r[0]), 0.05f * pitch };
        s.frame =
            (frame){ 560, 420, between(3.9f, 4.4f, r[9]), side * 0.25f, 0.08f * roll, 0.5f, 0.010f, 78 };
        s.light.from_x = side * between(0.8f, 1.2f, r[4]);
        s.light.strength = between(0.45f, 0.65f, r[6]);
    } else {
        s.pose = (pose){ coin, coin ? 0.9f : 0.1f, 0.18f * yaw, 0.03f * pitch };
        s.frame =
            (frame){ 240, 300, between(3.6f, 4.6f, r[9]), 0.3f * aside, 0.12f * roll, 0.45f, 0.016f, 62 };
        s.light =
            (light){ side * 0.9f, 0.4f, 0.55f, between(0.03f, 0.09f, r[7]), between(0.65f, 0.85f, r[8]) };
    }
    return s;
}

/* The weights that the people of the model have in identity n after `steps` steps away from `away`. */
static void find_weights(const people *model, int n, const int *away, int steps, float *ret)
{
    const recipe *r = &recipes[n];
    dice d = { r->seed };
    people_draw(model, people_find(model, r->donors[DONOR_HEAD]), &d, ret);
    for (int i = 0; i < steps && away[i]; i++) {
        float other[MAX_PEOPLE];
        const int k = away[i] - OF_OURS - 1;
        if (k < 0) {
            people_step_away(model, away[i], ret);
        } else if (k < n) {
            find_weights(model, k, recipes[k].away, MAX_STEPS, other);
            people_step_away_from(model, people_find(model, recipes[k].donors[DONOR_HEAD]), other, ret);
        }
    }
}

static void read_identity(const char *inst, const people *model, int n, identity *ret)
{
    float weights[MAX_PEOPLE];
    find_weights(model, n, recipes[n].away, MAX_STEPS, weights);
    identity_read(inst, model, recipes[n].donors, ret);
    identity_face(ret, model, weights);
}

static void make_person(const char *inst, const people *model, int n, const char *out)
{
    char path[PATH_BYTES];
    identity who;
    snprintf(path, sizeof path, "%s/person-%02d", out, n + 1);
    make_folder(path);
    read_identity(inst, model, n, &who);
    for (int k = 0; k < SHOTS; k++) {
        dice d = { recipes[n].seed * 1000 + (uint64_t)(k + SHOTS * recipes[n].take[k]) };
        shot s = plan_shot(k, &d);
        snprintf(path, sizeof path, "%s/person-%02d/%d.jpg", out, n + 1, k + 1);
        studio_portrait(&who, recipes[n].clothes, &s, &d, path);
    }
    identity_free(&who);
    fprintf(stderr, "person-%02d\n", n + 1);
}

static void make_group(const char *inst, const people *model, const char *out)
{
    static const struct {
        int who, smiling;
        float x, y, eyes, yaw;
    } row[] = {
        { 6, 1, 395, 245, 84, 0.05f }, { 7, 1, 805, 262, 84, -0.06f },  { 2, 1, 185, 300, 92, 0.12f },
        { 3, 1, 600, 292, 92, 0 },     { 9, 0, 1015, 306, 92, -0.12f },
    };
    char path[PATH_BYTES];
    dice d = { 77 };
    canvas scene = scene_behind(PLACE_GARDEN, 1200, 600, 92, &d); /* above where pictures of people end */
    const light l = { 0.5f, 0.5f, 0.35f, 0.01f, 1 };
    light_scene(&scene, l);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        identity who;
        read_identity(inst, model, row[i].who, &who);
        const pose how = { row[i].smiling, row[i].smiling ? 0.9f : 0.3f, row[i].yaw, 0 };
        studio_add(&scene, &who, recipes[row[i].who].clothes, how, l, row[i].x, row[i].y, row[i].eyes);
        identity_free(&who);
    }
    canvas small = canvas_resize(&scene, 1000, 500);
    snprintf(path, sizeof path, "%s/group.jpg", out);
    studio_finish(&small, &(frame){ .noise = 0.007f, .quality = 86 }, &d, path);
    canvas_free(&small);
    canvas_free(&scene);
    fprintf(stderr, "group\n");
}

static void make_no_face(const char *out)
{
    char path[PATH_BYTES];
    dice d = { 5 };
    snprintf(path, sizeof path, "%s/no-face", out);
    make_folder(path);
    canvas sea = scene_sea(640, 440, 9), table = scene_table(600, 450, 3);
    snprintf(path, sizeof path, "%s/no-face/1.jpg", out);
    studio_finish(&sea, &(frame){ .noise = 0.006f, .quality = 85 }, &d, path);
    snprintf(path, sizeof path, "%s/no-face/2.jpg", out);
    studio_finish(&table, &(frame){ .noise = 0.006f, .quality = 85 }, &d, path);
    canvas_free(&table);
    canvas_free(&sea);
    fprintf(stderr, "no-face\n");
}

/* The least margin of the two expressions; *ret_nearest whom the worse one is like. */
static double judge(judges *j, const identity *who, int *ret_nearest)
{
    double least = 2;
    for (int smiling = 0; smiling < 2; smiling++) {
        shape marks;
        int nearest = 0;
        canvas a = identity_draw(who, (pose){ smiling, smiling ? 0.9f : 0, 0, 0 }, &marks);
        for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
            for (size_t k = 0; k < 3; k++)
                a.p[i * 4 + k] = 0.5f + a.p[i * 4 + 3] * (a.p[i * 4 + k] - 0.5f);
        const double m = judges_margin(j, &a, &nearest);
        canvas_free(&a);
        if (m < least) {
            least = m;
            *ret_nearest = nearest;
        }
    }
    return least;
}

/* Print the steps that make an identity nobody. */
static void search(judges *j, const char *inst, const people *model, int n)
{
    static const double enough =
        0.025; /* of similarity below the threshold; light and pose move it a little */
    identity who;
    int away[MAX_STEPS] = { 0 }, steps = 0, nearest = 1;
    double margin = -2;
    identity_read(inst, model, recipes[n].donors, &who);
    while (steps < MAX_STEPS && recipes[n].away[steps]) {
        away[steps] = recipes[n].away[steps];
        steps++;
    }
    for (;;) {
        float weights[MAX_PEOPLE];
        find_weights(model, n, away, steps, weights);
        identity_face(&who, model, weights);
        margin = judge(j, &who, &nearest);
        fprintf(stderr, "person-%02d, %d steps: margin %.3f, nearest %d\n", n + 1, steps, margin, nearest);
        if (margin >= enough || nearest == 0 || steps + 1 >= MAX_STEPS)
            break;
        away[steps++] = nearest;
    }
    printf("person-%02d margin %.3f {", n + 1, margin);
    for (int i = 0; i < steps; i++)
        printf("%s %d", i ? "," : "", away[i]);
    printf(" }\n");
    fflush(stdout);
    identity_free(&who);
}

/* The judges know the London Set, and of the samples the identities before the first of `numbers`. */
static void search_all(const char *london, const people *model, const char *samples, char **numbers, int n)
{
    static const char *const models[] = { "mobilefacenet", "face-reidentification-retail-0095" };
    char inst[PATH_BYTES], info[PATH_BYTES], path[PATH_BYTES];
    int ids[MAX_PEOPLE];
    folders(london, inst, info);
    for (int i = 0; i < model->n; i++)
        ids[i] = model->all[i].id;
    judges *j = judges_new(inst, models, 2, ids, model->n);
    for (int i = 1; i < atoi(numbers[0]); i++)
        for (int k = 1; k <= SHOTS; k++) {
            snprintf(path, sizeof path, "%s/person-%02d/%d.jpg", samples, i, k);
            judges_add(j, path, OF_OURS + i);
        }
    for (int i = 0; i < n; i++)
        search(j, inst, model, atoi(numbers[i]) - 1);
    judges_free(j);
}

/* Whether a part is among those asked for; all are when none is named. */
static int wanted(const char *part_name, char **names, int n)
{
    for (int k = 0; k < n; k++)
        if (strcmp(names[k], part_name) == 0)
            return 1;
    return n == 0;
}

static void make_all(const char *london, const people *model, const char *out, char **names, int n)
{
    char inst[PATH_BYTES], info[PATH_BYTES], number[16];
    folders(london, inst, info);
    make_folder(out);
    for (int i = 0; i < N_RECIPES; i++) {
        snprintf(number, sizeof number, "%d", i + 1);
        if (wanted(number, names, n))
            make_person(inst, model, i, out);
    }
    if (wanted("group", names, n))
        make_group(inst, model, out);
    if (wanted("no-face", names, n))
        make_no_face(out);
}

int main(int argc, char **argv)
{
    char inst[PATH_BYTES], info[PATH_BYTES];
    const int seek = argc > 1 && strcmp(argv[1], "--search") == 0;
    int in_range = 1;
    for (int i = seek ? 4 : 3; i < argc; i++)
        in_range &= (atoi(argv[i]) >= 1 && atoi(argv[i]) <= N_RECIPES) ||
                    (!seek && (strcmp(argv[i], "group") == 0 || strcmp(argv[i], "no-face") == 0));
    if (argc < (seek ? 5 : 3) || !in_range) {
        fprintf(stderr,
                "usage: make_samples LONDON OUT [NUMBER|group|no-face]...\n"
                "       make_samples --search LONDON OUT NUMBER...\n"
                "numbers are 1 to %d\n",
                (int)N_RECIPES);
        return 2;
    }
    people model;
    const char *london = argv[seek ? 2 : 1];
    folders(london, inst, info);
    people_read(inst, info, &model);
    if (seek)
        search_all(london, &model, argv[3], argv + 4, argc - 4);
    else
        make_all(london, &model, argv[2], argv + 3, argc - 3);
    people_free(&model);
    return 0;
}
