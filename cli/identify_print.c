/* Prints and draws whom `mien identify` knew; see identify.h. */
#include "identify.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *estimate_json(const mien_estimate *e)
{
    json_t *part = json_object();
    cli_json_set(part, "value", json_real(e->value));
    cli_json_set(part, "lo", json_real(e->lo));
    cli_json_set(part, "hi", json_real(e->hi));
    if (e->bound)
        cli_json_set(part, "bound", json_string(e->bound < 0 ? "below" : "above"));
    return part;
}

static json_t *face_json(const identify_run *run, const identify_face *f)
{
    const mien_search_decision *d = &f->decision;
    json_t *item = json_object(), *list = json_array();
    const bool calibrated = run->curve && f->n_candidates;
    char words[256];
    cli_json_set(item, "known", json_boolean(d->known));
    cli_json_set(item, "name", d->known ? cli_json_text(f->names[0]) : json_null());
    cli_json_set(item, "person", d->known ? json_integer(f->candidates[0].person) : json_null());
    cli_json_set(item, "similarity", f->n_candidates ? cli_json_round(d->similarity, 6) : json_null());
    cli_json_set(item, "threshold", cli_json_round(d->threshold, 6));
    cli_json_set(item, "fpir", run->curve ? estimate_json(&d->fpir) : json_null());
    cli_json_set(item, "score_fpir", calibrated ? estimate_json(&d->score_fpir) : json_null());
    cli_json_set(item, "score_fmr", calibrated ? estimate_json(&d->score_fmr) : json_null());
    if (calibrated) {
        mien_search_words(d, words, sizeof words);
        cli_json_set(item, "words", json_string(words));
    }
    cli_json_set(item, "reason", f->reason ? json_string(mien_reason_name(f->reason)) : json_null());
    for (size_t i = 0; i < f->n_candidates && run->opts->top > 0; i++) {
        json_t *candidate = json_object();
        cli_json_set(candidate, "name", cli_json_text(f->names[i]));
        cli_json_set(candidate, "person", json_integer(f->candidates[i].person));
        cli_json_set(candidate, "similarity", cli_json_round(f->candidates[i].similarity, 6));
        cli_json_append(list, candidate);
    }
    if (run->opts->top > 0)
        cli_json_set(item, "candidates", list);
    else
        json_decref(list);
    cli_json_face(item, &f->face);
    cli_json_quality(item, &f->quality);
    return item;
}

static void print_json(identify_run *run, const char *path, const identify_result *r)
{
    json_t *item = json_object();
    cli_json_set(item, "path", cli_json_text(path));
    if (r->status != MIEN_OK) {
        cli_json_set(item, "error", cli_json_text(cli_error_text(path, &r->err)));
    } else {
        json_t *faces = json_array();
        for (size_t i = 0; i < r->seen.n; i++)
            cli_json_append(faces, face_json(run, &r->faces[i]));
        cli_json_set(item, "width", json_integer(r->seen.width));
        cli_json_set(item, "height", json_integer(r->seen.height));
        cli_json_set(item, "faces", faces);
    }
    if (!run->first)
        fputs(",", stdout);
    cli_json_line(stdout, item);
    run->first = false;
}

/* ---- CSV ---- */

static void print_csv(const identify_run *run, const char *path, const identify_result *r)
{
    for (size_t i = 0; i < r->seen.n; i++) {
        const identify_face *f = &r->faces[i];
        const mien_search_decision *d = &f->decision;
        cli_csv_text(stdout, path);
        printf(",%zu,%.2f,%.2f,%.2f,%.2f,%d,", i + 1, (double)f->face.x0, (double)f->face.y0,
               (double)f->face.x1, (double)f->face.y1, d->known);
        if (d->known)
            cli_csv_text(stdout, f->names[0]);
        fputc(',', stdout);
        if (d->known)
            printf("%lld", (long long)f->candidates[0].person);
        fputc(',', stdout);
        if (f->n_candidates)
            printf("%.6f", d->similarity);
        printf(",%.6f,", d->threshold);
        if (run->curve)
            printf("%.3g", d->fpir.value);
        fputc(',', stdout);
        if (run->curve && f->n_candidates)
            printf("%.3g", d->score_fpir.value);
        printf(",%s\n", f->reason ? mien_reason_name(f->reason) : "");
    }
}

/* ---- text ---- */

static void print_evidence(const identify_run *run, const identify_face *f)
{
    const mien_search_decision *d = &f->decision;
    char rate[64];
    if (!f->n_candidates) {
        fputs("  (nobody to compare with)", stdout);
        return;
    }
    const double similarity = fabs(d->similarity) < 0.005 ? 0 : d->similarity; /* no -0.00 */
    printf("  similarity %.2f, threshold %.2f", similarity, d->threshold);
    if (run->curve && d->known) {
        mien_rate_words(&d->score_fpir, rate, sizeof rate);
        printf("; %s strangers come so near", rate);
    }
    if (f->reason)
        printf("; %s", mien_reason_text(f->reason));
}

static void print_text(const identify_run *run, const char *path, const identify_result *r)
{
    int width = 7;
    cli_plain_text(stdout, path);
    if (!r->seen.n) {
        printf(": no face (%dx%d)\n", r->seen.width, r->seen.height);
        return;
    }
    printf(": %zu face%s\n", r->seen.n, r->seen.n == 1 ? "" : "s");
    for (size_t i = 0; i < r->seen.n; i++) {
        const int columns = r->faces[i].decision.known ? cli_columns(r->faces[i].names[0]) : 0;
        width = columns > width && columns <= 30 ? columns : width;
    }
    for (size_t i = 0; i < r->seen.n; i++) {
        const identify_face *f = &r->faces[i];
        printf("  %zu: ", i + 1);
        cli_name_text(stdout, f->decision.known ? f->names[0] : "unknown", width);
        print_evidence(run, f);
        puts("");
        for (size_t k = 0; k < f->n_candidates && run->opts->top > 0; k++) {
            printf("     %zu. %.2f  ", k + 1, f->candidates[k].similarity);
            cli_plain_text(stdout, f->names[k]);
            puts("");
        }
    }
}

/* ---- all of it ---- */

void identify_print_begin(const identify_run *run)
{
    if (run->opts->format == IDENTIFY_CSV)
        puts("path,face,x0,y0,x1,y1,known,name,person,similarity,threshold,fpir,score_fpir,reason");
    if (run->opts->format != IDENTIFY_JSON)
        return;
    json_t *gallery = json_object();
    cli_json_set(gallery, "path", cli_json_text(run->path));
    cli_json_set(gallery, "id", json_string(run->info.id));
    cli_json_set(gallery, "sequence", json_integer((json_int_t)run->info.sequence));
    cli_json_set(gallery, "people", json_integer((json_int_t)run->info.n_people));
    cli_json_set(gallery, "faces", json_integer((json_int_t)run->info.n_faces));
    cli_json_set(gallery, "model", json_string(run->info.model_name));
    fputs("{\"gallery\":\n", stdout);
    cli_json_line(stdout, gallery);
    puts(", \"images\": [");
}

void identify_print_result(identify_run *run, const char *path, const identify_result *r)
{
    if (run->opts->format == IDENTIFY_JSON)
        print_json(run, path, r);
    else if (r->status == MIEN_OK && run->opts->format == IDENTIFY_CSV)
        print_csv(run, path, r);
    else if (r->status == MIEN_OK)
        print_text(run, path, r);
}

/* What held for all of them, once. */
static void print_summary(const identify_run *run)
{
    mien_search_decision d;
    char rate[64];
    const mien_search_size size = mien_search_size_of(&run->info);
    if (!run->n_faces || !run->curve || !run->info.n_people)
        return;
    const mien_status st = isnan(run->opts->threshold)
                               ? mien_curve_decide(run->curve, -1, &size, run->opts->fpir, &d, NULL)
                               : mien_curve_decide_at(run->curve, -1, &size, run->opts->threshold, &d, NULL);
    if (st != MIEN_OK)
        return;
    mien_rate_words(&d.fpir, rate, sizeof rate);
    printf("%zu of %zu faces known; threshold %.2f: %s strangers would be taken for one of these %zu %s\n",
           run->n_known, run->n_faces, d.threshold, rate, run->info.n_people,
           run->info.n_people == 1 ? "person" : "people");
    if (!d.promised)
        cli_say(
            "the calibration does not support --fpir %g at this size: the strictest threshold that it does "
            "support was taken",
            run->opts->fpir);
}

void identify_print_end(const identify_run *run)
{
    if (run->opts->format == IDENTIFY_JSON)
        puts("]}");
    else if (run->opts->format == IDENTIFY_TEXT)
        print_summary(run);
}

void identify_draw(const identify_run *run, identify_result *r)
{
    (void)run;
    for (size_t i = 0; i < r->seen.n; i++) {
        const identify_face *f = &r->faces[i];
        const bool known = f->decision.known != 0;
        char *text =
            known ? cli_format("%s  %.2f", f->names[0], f->decision.similarity) : cli_strdup("unknown");
        cli_draw_face(r->seen.image, &r->seen.faces[i], known ? 0x40ff60 : 0xffb040, text);
        free(text);
    }
}
