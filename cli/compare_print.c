/* Prints and draws what `mien compare` found: words for people, JSON for programs, a picture for both. */
#include "compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "1e-3" rather than 1e-03 or 0.001. */
static void rate_text(char *ret, size_t capacity, double rate)
{
    char text[32];
    snprintf(text, sizeof text, "%.1e", rate);
    char *e = strchr(text, 'e');
    const int exponent = e ? atoi(e + 1) : 0;
    if (e)
        *e = '\0';
    char *zero = strstr(text, ".0");
    if (zero)
        *zero = '\0';
    snprintf(ret, capacity, "%.12se%d", text, exponent);
}

/* How rare such a likeness is among strangers. */
static void strangers_text(char *ret, size_t capacity, const mien_decision *d)
{
    const mien_estimate rate = { d->score_fmr, 0, 1, d->score_fmr_bound };
    char words[48];
    if (!(d->score_fmr > 0)) {
        snprintf(ret, capacity, "no stranger looked this alike when it was calibrated");
        return;
    }
    if (d->score_fmr > 0.5 || (d->score_fmr_bound > 0 && d->score_fmr > 0.05)) {
        snprintf(ret, capacity, "many strangers look this alike");
        return;
    }
    mien_rate_words(&rate, words, sizeof words);
    snprintf(ret, capacity, "%s strangers would look this alike", words);
}

static void decision_text(char *ret, size_t capacity, const compare_result *r)
{
    const mien_decision *d = &r->decision;
    char rate[48], strangers[96];
    if (!r->decided) {
        snprintf(ret, capacity, "no decision (similarity %.2f; the model is not calibrated for it)", r->best);
        return;
    }
    const char *word = d->same ? "same person" : "different people";
    if (!r->calibrated) {
        snprintf(ret, capacity, "%s (similarity %.2f; threshold %.2f, not calibrated)", word, d->similarity,
                 d->threshold);
        return;
    }
    rate_text(rate, sizeof rate, d->fmr);
    strangers_text(strangers, sizeof strangers, d);
    snprintf(ret, capacity, "%s (similarity %.2f; threshold %.2f at FMR %s; %s)", word, d->similarity,
             d->threshold, rate, strangers);
}

static void print_matrix(const compare_result *r)
{
    const compare_side *a = &r->sides[0], *b = &r->sides[1];
    fputs("\nsimilarity", stdout);
    for (size_t j = 0; j < b->n; j++)
        printf("     B%-3zu", j + 1);
    puts("");
    for (size_t i = 0; i < a->n; i++) {
        printf("      A%-3zu", i + 1);
        for (size_t j = 0; j < b->n; j++) {
            const double s = r->matrix[i * b->n + j];
            printf("  %6.2f%c", s, r->decided && s >= r->decision.threshold ? '*' : ' ');
        }
        puts("");
    }
    fputs("A: ", stdout);
    cli_plain_text(stdout, a->path);
    fputs("\nB: ", stdout);
    cli_plain_text(stdout, b->path);
    puts("\nfaces are numbered from the largest; * same person");
}

void compare_print_text(const compare_opts *opts, const compare_result *r)
{
    char text[512];
    if (!r->matrix)
        return;
    decision_text(text, sizeof text, r);
    puts(text);
    if (opts->all)
        print_matrix(r);
    for (int i = 0; i < 2 && !opts->all; i++) {
        if (r->sides[i].seen.n > 1)
            cli_say_path(r->sides[i].path, "%zu faces, the largest was taken (--all compares each)",
                         r->sides[i].seen.n);
    }
}

static json_t *side_json(const compare_opts *opts, const compare_side *side)
{
    json_t *item = json_object();
    cli_json_set(item, "path", cli_json_text(side->path));
    if (side->failed) {
        cli_json_set(item, "error", cli_json_text(cli_error_text(side->path, &side->err)));
        return item;
    }
    if (!side->n)
        cli_json_set(item, "error", json_string("no face found"));
    if (!side->n || opts->aligned)
        return item;
    const mien_face first = cli_seen_face(&side->seen, 0);
    cli_json_face(item, &first);
    cli_json_set(item, "faces_found", json_integer((json_int_t)side->seen.n));
    if (opts->all) {
        json_t *faces = json_array();
        for (size_t i = 0; i < side->n; i++) {
            const mien_face f = cli_seen_face(&side->seen, i);
            json_t *face = json_object();
            cli_json_face(face, &f);
            cli_json_append(faces, face);
        }
        cli_json_set(item, "faces", faces);
    }
    return item;
}

static json_t *matrix_json(const compare_result *r)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < r->sides[0].n; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < r->sides[1].n; j++)
            cli_json_append(row, cli_json_round(r->matrix[i * r->sides[1].n + j], 6));
        cli_json_append(rows, row);
    }
    return rows;
}

void compare_print_json(const compare_opts *opts, const compare_result *r)
{
    const mien_decision *d = &r->decision;
    json_t *page = json_object(), *images = json_array();
    cli_json_set(page, "same", r->decided ? json_boolean(d->same) : json_null());
    cli_json_set(page, "similarity", r->matrix ? cli_json_round(d->similarity, 6) : json_null());
    cli_json_set(page, "distance", r->matrix ? cli_json_round(d->distance, 6) : json_null());
    cli_json_set(page, "threshold", r->decided ? cli_json_round(d->threshold, 6) : json_null());
    cli_json_set(page, "fmr", r->calibrated ? json_real(d->fmr) : json_null());
    cli_json_set(page, "score_fmr", r->calibrated ? json_real(d->score_fmr) : json_null());
    if (r->calibrated && d->score_fmr_bound)
        cli_json_set(page, "score_fmr_bound", json_string(d->score_fmr_bound < 0 ? "below" : "above"));
    for (int i = 0; i < 2; i++)
        cli_json_append(images, side_json(opts, &r->sides[i]));
    cli_json_set(page, "images", images);
    if (opts->all && r->matrix) {
        cli_json_set(page, "matrix", matrix_json(r));
        cli_json_set(page, "best", json_pack("[I,I]", (json_int_t)r->best_a, (json_int_t)r->best_b));
    }
    cli_json_page(stdout, page);
}

/* ---- the picture: both at one height, a strip with the decision below ---- */

enum { HEIGHT_PX = 640, MAX_WIDTH_PX = 1280, GAP_PX = 8, STRIP_PX = 72 };

static mien_status half(const compare_side *side, mien_image **ret, double *ret_scale, mien_error *err)
{
    const mien_image_view v = mien_image_view_of(side->seen.image);
    double scale = (double)HEIGHT_PX / v.height;
    if (scale * v.width > MAX_WIDTH_PX)
        scale = (double)MAX_WIDTH_PX / v.width;
    int w = (int)(v.width * scale + 0.5), h = (int)(v.height * scale + 0.5);
    *ret_scale = scale;
    return mien_image_resize(v, w < 1 ? 1 : w, h < 1 ? 1 : h, ret, err);
}

static void mark(const compare_result *r, int which, mien_image *image, double scale)
{
    const compare_side *side = &r->sides[which];
    const size_t best = which ? r->best_b : r->best_a;
    for (size_t i = 0; i < side->n && side->seen.faces; i++) {
        mien_face f = side->seen.faces[i];
        const float s = (float)scale;
        f.x0 *= s, f.y0 *= s, f.x1 *= s, f.y1 *= s;
        for (int k = 0; k < MIEN_LANDMARKS; k++)
            f.landmarks[k][0] *= s, f.landmarks[k][1] *= s;
        char text[32];
        snprintf(text, sizeof text, "%c%zu", which ? 'B' : 'A', i + 1);
        const bool pair = r->matrix && i == best;
        cli_draw_face(image, &f,
                      !pair || !r->decided ? 0xd0d0d0
                      : r->decision.same   ? 0x40ff60
                                           : 0xff6040,
                      side->n > 1 ? text : NULL);
    }
}

static void paste(mien_image *page, const mien_image *part, int x, int y)
{
    const mien_image_view to = mien_image_view_of(page), from = mien_image_view_of(part);
    uint8_t *pixels = mien_image_pixels(page);
    for (int row = 0; row < from.height; row++)
        memcpy(pixels + (size_t)(y + row) * to.stride_bytes + (size_t)x * 3,
               from.data + (size_t)row * from.stride_bytes, (size_t)from.width * 3);
}

/* The largest text height at which the line fits the width (a letter is about 0.6 of its height wide). */
static float fitting_text_px(int width, const char *text)
{
    const float px = (float)width / (0.62f * (float)(strlen(text) + 2));
    return px > 20.0f ? 20.0f : px < 9.0f ? 9.0f : px;
}

static void write_strip(mien_image *page, const compare_result *r)
{
    const mien_image_view v = mien_image_view_of(page);
    char text[512] = "no face to compare", *detail = NULL;
    if (r->matrix)
        decision_text(text, sizeof text, r);
    detail = strstr(text, " (");
    if (detail) {
        *detail = '\0';
        detail += 2;
        detail[strcspn(detail, ")")] = '\0';
    }
    const mien_color color = !r->decided ? 0xffffff : r->decision.same ? 0x40ff60 : 0xff6040;
    const float y = (float)(v.height - STRIP_PX);
    mien_status st = mien_image_draw_text(page, 8, y + 34, 24, color, text, NULL);
    if (detail && st == MIEN_OK)
        st = mien_image_draw_text(page, 8, (float)v.height - 6, fitting_text_px(v.width, detail), 0xffffff,
                                  detail, NULL);
    if (st != MIEN_OK)
        cli_say("no text in the picture: %s", mien_status_text(st));
}

int compare_draw(const compare_opts *opts, compare_result *r)
{
    mien_image *halves[2] = { NULL, NULL }, *page = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = MIEN_OK;
    for (int i = 0; i < 2 && st == MIEN_OK; i++) {
        double scale = 1;
        st = half(&r->sides[i], &halves[i], &scale, &err);
        if (st == MIEN_OK)
            mark(r, i, halves[i], scale);
    }
    if (st == MIEN_OK) {
        const mien_image_view a = mien_image_view_of(halves[0]), b = mien_image_view_of(halves[1]);
        const int height = a.height > b.height ? a.height : b.height;
        st = mien_image_new(a.width + GAP_PX + b.width, height + STRIP_PX, NULL, 0, &page, &err);
        if (st == MIEN_OK) {
            paste(page, halves[0], 0, (height - a.height) / 2);
            paste(page, halves[1], a.width + GAP_PX, (height - b.height) / 2);
            write_strip(page, r);
            st = mien_image_save(mien_image_view_of(page), opts->draw, 0, &err);
        }
    }
    if (st != MIEN_OK)
        cli_fail_path(opts->draw, &err);
    mien_image_free(halves[0]);
    mien_image_free(halves[1]);
    mien_image_free(page);
    return st == MIEN_OK ? CLI_YES : CLI_INTERNAL;
}
