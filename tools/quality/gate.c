/* Whom the gate refuses: shares by reason, for all pictures and for groups that a table of labels names. */
#include "shots.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GROUPS = 32, FIELDS = 16 };

typedef struct group {
    char name[64];
    size_t n, refused[MIEN_REASON_COUNT];
    double *brightness, *sharpness;
} group;

static group *find_group(group *groups, size_t *n, const char *name, size_t max)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp(groups[i].name, name))
            return &groups[i];
    if (*n == MAX_GROUPS)
        return NULL;
    group *g = &groups[(*n)++];
    snprintf(g->name, sizeof g->name, "%s", name);
    g->brightness = calloc(max + 1, sizeof(double));
    g->sharpness = calloc(max + 1, sizeof(double));
    if (!g->brightness || !g->sharpness)
        exit(5);
    return g;
}

static void count(group *g, const mien_quality *q)
{
    g->brightness[g->n] = (double)q->brightness;
    g->sharpness[g->n] = (double)q->sharpness;
    g->refused[mien_quality_reason(q, NULL)]++;
    g->n++;
}

static void print_group(group *g)
{
    printf("| %s | %zu | %.2f |", g->name, g->n, 100.0 * (double)(g->n - g->refused[0]) / (double)(g->n ? g->n : 1));
    for (int r = MIEN_REASON_TOO_SMALL; r <= MIEN_REASON_CUT_OFF; r++)
        printf(" %.2f |", 100.0 * (double)g->refused[r] / (double)(g->n ? g->n : 1));
    printf(" %.2f | %.2f |\n", median(g->brightness, g->n), median(g->sharpness, g->n));
    free(g->brightness);
    free(g->sharpness);
}

/* Cut a line at its commas; a plain table without quotes. */
static int split(char *line, char **fields)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *p = line; p && n < FIELDS; n++) {
        fields[n] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = '\0';
    }
    return n;
}

static void count_labelled(const shots *s, const char *labels, const char *column, group *groups, size_t *n_groups)
{
    char line[1024], *fields[FIELDS];
    int at = -1;
    FILE *f = fopen(labels, "r");
    if (!f || !fgets(line, sizeof line, f)) {
        fprintf(stderr, "quality: %s: cannot be read\n", labels);
        exit(3);
    }
    for (int i = 0, n = split(line, fields); i < n; i++)
        if (!strcmp(fields[i], column))
            at = i;
    while (at >= 0 && fgets(line, sizeof line, f)) {
        if (split(line, fields) <= at)
            continue;
        for (size_t i = 0; i < s->n; i++) {
            const size_t path = strlen(s->items[i].path), name = strlen(fields[0]);
            if (path <= name || strcmp(s->items[i].path + path - name, fields[0]) || s->items[i].path[path - name - 1] != '/')
                continue;
            group *g = find_group(groups, n_groups, fields[at], s->n);
            if (g)
                count(g, &s->items[i].quality);
        }
    }
    fclose(f);
}

/* Spread of an angle: of people who look into the camera, what the estimate itself adds. */
static void print_angle(const shots *s, const char *name, double *angle)
{
    median(angle, s->n);
    if (s->n)
        printf("%s: 5 %% below %.1f, median %.1f, 5 %% above %.1f degrees\n", name, angle[s->n / 20],
               angle[s->n / 2], angle[s->n - 1 - s->n / 20]);
}

static void print_angles(const shots *s)
{
    double *yaw = calloc(s->n + 1, sizeof *yaw), *pitch = calloc(s->n + 1, sizeof *pitch);
    if (!yaw || !pitch)
        exit(5);
    for (size_t i = 0; i < s->n; i++) {
        yaw[i] = (double)s->items[i].quality.yaw_deg;
        pitch[i] = (double)s->items[i].quality.pitch_deg;
    }
    puts("");
    print_angle(s, "yaw", yaw);
    print_angle(s, "pitch", pitch);
    free(yaw);
    free(pitch);
}

int gate_main(shots *s, const char *labels, const char *column)
{
    group groups[MAX_GROUPS] = { 0 };
    size_t n = 0;
    group *all = find_group(groups, &n, "all", s->n);
    for (size_t i = 0; all && i < s->n; i++)
        count(all, &s->items[i].quality);
    if (labels && column)
        count_labelled(s, labels, column, groups, &n);
    printf("%zu pictures with a face, %zu without\n\n| pictures | n | refused, %% |", s->n, s->faceless);
    for (int r = MIEN_REASON_TOO_SMALL; r <= MIEN_REASON_CUT_OFF; r++)
        printf(" %s |", mien_reason_name((mien_reason)r));
    puts(" brightness | sharpness |\n|---|---|---|---|---|---|---|---|---|---|---|");
    for (size_t i = 0; i < n; i++)
        print_group(&groups[i]);
    print_angles(s);
    return 0;
}
