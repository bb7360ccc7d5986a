/* The groups of `mien cluster` as text, JSON and CSV. No vectors: they are templates. */
#include "cluster.h"
#include "json.h"
#include <math.h>
#include <string.h>

const mien_album_group_info *cli_cluster_group(const mien_album_list *list, size_t face)
{
    size_t lo = 0, hi = list->n_groups;
    if (!list->faces[face].group)
        return NULL;
    while (lo + 1 < hi) { /* faces lie in the order of the groups */
        const size_t mid = lo + (hi - lo) / 2;
        if (list->groups[mid].first <= face)
            lo = mid;
        else
            hi = mid;
    }
    while (lo > 0 && list->groups[lo].n == 0)
        lo--;
    return &list->groups[lo];
}

static size_t n_grouped(const mien_album_list *list)
{
    size_t n = 0;
    for (size_t g = 0; g < list->n_groups; g++)
        n += list->groups[g].n;
    return n;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- text ---- */

static void print_scores(const mien_cluster_scores *s)
{
    printf("\njudged by folder: %zu faces of %zu people in %zu groups, those of one face among them\n",
           s->n_faces, s->n_people, s->n_groups);
    printf("            precision  recall      F1\n");
    printf("  B-cubed     %.4f  %.4f  %.4f\n", s->b_precision, s->b_recall, s->b_f1);
    printf("  pairwise    %.4f  %.4f  %.4f\n", s->pair_precision, s->pair_recall, s->pair_f1);
}

static void print_face(const mien_album_face *f)
{
    printf("  face %lld: ", (long long)f->id);
    cli_plain_text(stdout, f->path);
    printf(" at %.0f,%.0f", (double)f->face.x0, (double)f->face.y0);
    if (f->group)
        printf(", confidence %.2f", (double)f->confidence);
    putchar('\n');
}

static void print_text(const cli_clustered *c)
{
    const mien_album_list *const list = c->list;
    const size_t grouped = n_grouped(list), loose = list->n_faces - grouped;
    printf("%zu face%s: %zu group%s, %zu face%s of no group\n", list->n_faces, plural(list->n_faces),
           list->n_groups, plural(list->n_groups), loose, plural(loose));
    for (size_t g = 0; g < list->n_groups; g++) {
        const mien_album_group_info *const info = &list->groups[g];
        printf("\ngroup %lld", (long long)info->id);
        if (info->name[0]) {
            fputs(" \"", stdout);
            cli_plain_text(stdout, info->name);
            putchar('"');
        }
        printf(": %zu face%s\n", info->n, plural(info->n));
        for (size_t i = 0; i < info->n; i++)
            print_face(&list->faces[info->first + i]);
    }
    if (loose)
        printf("\nno group: %zu face%s\n", loose, plural(loose));
    for (size_t i = grouped; i < list->n_faces; i++)
        print_face(&list->faces[i]);
    if (c->scores.n_faces)
        print_scores(&c->scores);
}

/* ---- CSV ---- */

static void print_csv(const mien_album_list *list)
{
    puts("face,path,group,name,x0,y0,x1,y1,score,quality,similarity,confidence,representative");
    for (size_t i = 0; i < list->n_faces; i++) {
        const mien_album_face *const f = &list->faces[i];
        const mien_album_group_info *const g = cli_cluster_group(list, i);
        printf("%lld,", (long long)f->id);
        cli_csv_text(stdout, f->path);
        putchar(',');
        if (g) {
            printf("%lld,", (long long)g->id);
            cli_csv_text(stdout, g->name);
        } else {
            putchar(',');
        }
        printf(",%.2f,%.2f,%.2f,%.2f,%.4f,%.3f,", (double)f->face.x0, (double)f->face.y0, (double)f->face.x1,
               (double)f->face.y1, (double)f->face.score, (double)f->quality);
        if (g)
            printf("%.4f,%.3f,%d\n", (double)f->similarity, (double)f->confidence, f->representative);
        else
            puts(",,0");
    }
}

/* ---- JSON ---- */

static json_t *json_face(const mien_album_face *f)
{
    json_t *face = json_object();
    cli_json_set(face, "face", json_integer(f->id));
    cli_json_set(face, "path", cli_json_text(f->path));
    cli_json_face(face, &f->face);
    cli_json_set(face, "quality", cli_json_round((double)f->quality, 3));
    if (f->group) {
        cli_json_set(face, "similarity", cli_json_round((double)f->similarity, 4));
        cli_json_set(face, "confidence", cli_json_round((double)f->confidence, 3));
        cli_json_set(face, "representative", json_boolean(f->representative));
    }
    return face;
}

static json_t *json_scores(const mien_cluster_scores *s)
{
    const struct {
        const char *name;
        double p, r, f1;
    } kinds[] = { { "b_cubed", s->b_precision, s->b_recall, s->b_f1 },
                  { "pairwise", s->pair_precision, s->pair_recall, s->pair_f1 } };
    json_t *judged = json_object();
    cli_json_set(judged, "faces", json_integer((json_int_t)s->n_faces));
    cli_json_set(judged, "people", json_integer((json_int_t)s->n_people));
    cli_json_set(judged, "groups", json_integer((json_int_t)s->n_groups));
    for (size_t i = 0; i < CLI_COUNTOF(kinds); i++) {
        json_t *kind = json_object();
        cli_json_set(kind, "precision", cli_json_round(kinds[i].p, 6));
        cli_json_set(kind, "recall", cli_json_round(kinds[i].r, 6));
        cli_json_set(kind, "f1", cli_json_round(kinds[i].f1, 6));
        cli_json_set(judged, kinds[i].name, kind);
    }
    return judged;
}

static void print_json(const cli_clustered *c)
{
    const mien_album_list *const list = c->list;
    json_t *page = json_object(), *groups = json_array(), *loose = json_array();
    for (size_t g = 0; g < list->n_groups; g++) {
        const mien_album_group_info *const info = &list->groups[g];
        json_t *group = json_object(), *faces = json_array();
        cli_json_set(group, "group", json_integer(info->id));
        cli_json_set(group, "name", info->name[0] ? cli_json_text(info->name) : json_null());
        for (size_t i = 0; i < info->n; i++)
            cli_json_append(faces, json_face(&list->faces[info->first + i]));
        cli_json_set(group, "faces", faces);
        cli_json_append(groups, group);
    }
    for (size_t i = n_grouped(list); i < list->n_faces; i++)
        cli_json_append(loose, json_face(&list->faces[i]));
    cli_json_set(page, "n_faces", json_integer((json_int_t)list->n_faces));
    cli_json_set(page, "threshold_pair", cli_json_round(c->pair, 4));
    cli_json_set(page, "threshold_link", cli_json_round(c->link, 4));
    cli_json_set(page, "groups", groups);
    cli_json_set(page, "no_group", loose);
    if (c->scores.n_faces)
        cli_json_set(page, "judged", json_scores(&c->scores));
    cli_json_page(stdout, page);
}

void cli_cluster_print(const cli_clustered *c, int format)
{
    if (format == 0)
        print_text(c);
    else if (format == 1)
        print_json(c);
    else
        print_csv(c->list);
}
