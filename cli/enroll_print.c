/* Tells what became of each picture, in words or as JSON; see enroll.h. */
#include "enroll.h"
#include <string.h>

enum { TEXT, JSON };

static bool is_already(const enroll_result *r)
{
    return r->reason == MIEN_REASON_DUPLICATE_IMAGE;
}

static void print_json(enroll_run *run, const enroll_result *r)
{
    json_t *item = json_object();
    cli_json_set(item, "path", cli_json_text(r->job->path));
    cli_json_set(item, "name", cli_json_text(r->job->name));
    const bool unreadable = r->status != MIEN_OK;
    const mien_reason reason = unreadable ? MIEN_REASON_UNREADABLE : r->reason;
    cli_json_set(item, "status",
                 json_string(reason == MIEN_REASON_NONE ? "enrolled"
                             : is_already(r)            ? "already"
                                                        : "refused"));
    cli_json_set(item, "reason", reason ? json_string(mien_reason_name(reason)) : json_null());
    if (reason) {
        cli_json_set(item, "text", json_string(mien_reason_text(reason)));
        const char *advice = cli_advice(reason);
        cli_json_set(item, "advice", advice ? json_string(advice) : json_null());
    }
    if (unreadable)
        cli_json_set(item, "error", cli_json_text(cli_error_text(r->job->path, &r->err)));
    cli_json_set(item, "person", r->enrolled.person ? json_integer(r->enrolled.person) : json_null());
    cli_json_set(item, "face", r->enrolled.face ? json_integer(r->enrolled.face) : json_null());
    cli_json_set(item, "new_person", json_boolean(r->enrolled.new_person));
    cli_json_set(item, "faces_found", json_integer((json_int_t)r->n_faces));
    if (!unreadable && r->n_faces) {
        json_t *face = json_object();
        cli_json_face(face, &r->face);
        cli_json_set(item, "at", face);
        cli_json_quality(item, &r->quality);
    }
    if (r->enrolled.other || reason == MIEN_REASON_UNLIKE_THE_PERSON) {
        cli_json_set(item, "similarity", cli_json_round(r->enrolled.similarity, 6));
        cli_json_set(item, "threshold",
                     cli_json_round(r->enrolled.other ? run->other_threshold : run->unlike_threshold, 6));
    }
    if (r->other)
        cli_json_set(item, "other", cli_json_text(r->other));
    if (!run->first)
        fputs(",", stdout);
    cli_json_line(stdout, item);
    run->first = false;
}

/* ": sharpness 0.12, at least 0.22" or with whom it was taken for. */
static void print_detail(const enroll_run *run, const enroll_result *r)
{
    char detail[160];
    cli_reason_detail(r->reason, &r->quality, detail, sizeof detail);
    if (detail[0])
        printf(" (%s)", detail);
    if (r->reason == MIEN_REASON_MANY_FACES)
        printf(" (%zu)", r->n_faces);
    if (r->other) {
        fputs(", ", stdout);
        cli_plain_text(stdout, r->other);
        printf(" (similarity %.2f, threshold %.2f)", r->enrolled.similarity, run->other_threshold);
    }
    if (r->reason == MIEN_REASON_UNLIKE_THE_PERSON)
        printf(" (similarity %.2f, at least %.2f)", r->enrolled.similarity, run->unlike_threshold);
}

static void print_text(enroll_run *run, const enroll_result *r)
{
    if (r->status != MIEN_OK)
        return; /* said on standard error */
    cli_plain_text(stdout, r->job->path);
    if (r->reason == MIEN_REASON_NONE) {
        fputs(": enrolled as ", stdout);
        cli_plain_text(stdout, r->job->name);
        printf(" (%sperson %lld, face %lld, quality %.2f)\n", r->enrolled.new_person ? "new " : "",
               (long long)r->enrolled.person, (long long)r->enrolled.face, (double)r->quality.score);
        return;
    }
    if (is_already(r)) {
        fputs(": enrolled already as ", stdout);
        cli_plain_text(stdout, r->job->name);
        printf(" (face %lld)\n", (long long)r->enrolled.face);
        return;
    }
    printf(": refused, %s: %s", mien_reason_name(r->reason), mien_reason_text(r->reason));
    print_detail(run, r);
    const char *advice = cli_advice(r->reason);
    printf("%s%s\n", advice ? ": " : "", advice ? advice : "");
}

void enroll_print_result(enroll_run *run, const enroll_result *r)
{
    if (r->status != MIEN_OK) {
        run->n_failed++;
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(r->job->path, &r->err));
    } else if (r->reason == MIEN_REASON_NONE) {
        run->n_enrolled++;
        run->n_new_people += r->enrolled.new_person != 0;
    } else if (is_already(r)) {
        run->n_already++;
    } else {
        run->n_refused++;
        run->exit_code = cli_worse(run->exit_code, CLI_NO);
    }
    cli_line_lock();
    if (run->opts->format == JSON)
        print_json(run, r);
    else
        print_text(run, r);
    cli_line_unlock();
}

void enroll_print_begin(const enroll_run *run)
{
    if (run->opts->format != JSON)
        return;
    json_t *path = cli_json_text(run->path);
    char *text = json_dumps(path, JSON_ENCODE_ANY);
    printf("{\"gallery\": %s, \"images\": [\n", text ? text : "null");
    free(text);
    json_decref(path);
}

void enroll_print_end(const enroll_run *run)
{
    if (run->opts->format == JSON) {
        json_t *summary = json_object();
        cli_json_set(summary, "enrolled", json_integer((json_int_t)run->n_enrolled));
        cli_json_set(summary, "already", json_integer((json_int_t)run->n_already));
        cli_json_set(summary, "refused", json_integer((json_int_t)run->n_refused));
        cli_json_set(summary, "failed", json_integer((json_int_t)run->n_failed));
        cli_json_set(summary, "new_people", json_integer((json_int_t)run->n_new_people));
        fputs("], \"summary\":\n", stdout);
        cli_json_line(stdout, summary);
        puts("}");
        return;
    }
    const size_t told = run->n_enrolled + run->n_already + run->n_refused + run->n_failed;
    if (told < 2)
        return;
    printf("%zu enrolled, %zu of them new people", run->n_enrolled, run->n_new_people);
    if (run->n_already)
        printf("; %zu there already", run->n_already);
    if (run->n_refused)
        printf("; %zu refused", run->n_refused);
    if (run->n_failed)
        printf("; %zu unreadable", run->n_failed);
    puts("");
}
