/* Events as JSON lines: one object a line, flushed at once, so that whoever reads along is never behind.
 * docs/watch.md has the schema. There is no template and no picture in them.
 */
#include "watch.h"
#include <errno.h>
#include <math.h>
#include <string.h>

void watch_log_now(watch_log *log)
{
    log->wall_ms = cli_clock_ms();
}

int watch_log_open(watch_log *log, const char *path, watch_people *people)
{
    *log = (watch_log){ .f = stdout, .people = people };
    watch_log_now(log);
    if (!path || !strcmp(path, "-"))
        return CLI_YES;
    log->path = path;
    log->f = fopen(path, "a"); /* a log grows by whole lines */
    if (log->f)
        return CLI_YES;
    cli_say_path(path, "cannot write: %s", strerror(errno));
    return CLI_INTERNAL;
}

json_t *watch_log_event(const watch_log *log, const char *event)
{
    json_t *e = json_object();
    cli_json_set(e, "event", json_string(event));
    cli_json_set(e, "time", cli_json_time(log->wall_ms));
    cli_json_set(e, "media_ms", json_integer(log->media_ms));
    return e;
}

void watch_log_write(watch_log *log, json_t *event)
{
    cli_line_lock();
    cli_json_line(log->f, event);
    const bool failed = fflush(log->f) != 0;
    cli_line_unlock();
    if (failed && log->exit_code == CLI_YES) {
        log->exit_code = CLI_INTERNAL;
        cli_say_path(log->path ? log->path : "standard output", "cannot write: %s", strerror(errno));
    }
}

/* To three figures. */
static json_t *rate(double v)
{
    return v > 0 ? cli_json_round(v, 2 - (int)floor(log10(v))) : isfinite(v) ? json_real(v) : json_null();
}

static json_t *name_of(const watch_log *log, int64_t person)
{
    const char *name = watch_people_name(log->people, person);
    return name ? cli_json_text(name) : json_null();
}

static void set_threshold(const watch_log *log, json_t *e)
{
    cli_json_set(e, "threshold", cli_json_round(log->people->threshold, 4));
    cli_json_set(e, "fmr", rate(log->people->fmr));
    cli_json_set(e, "fpir", rate(log->people->fpir));
}

/* Addresses without user and password. */
static json_t *public_source(const char *source)
{
    const char *const host = strstr(source, "://");
    const size_t len = host ? strcspn(host + 3, "/") : 0;
    const char *at = NULL;
    for (size_t i = 0; i < len; i++)
        at = host[3 + i] == '@' ? host + 3 + i : at;
    if (!at)
        return cli_json_text(source);
    char *const text = cli_format("%.*s%s", (int)(host + 3 - source), source, at + 1);
    json_t *const value = cli_json_text(text);
    free(text);
    return value;
}

void watch_log_started(watch_log *log, const char *kind, const char *source, const mien_video_info *info,
                       const char *model)
{
    json_t *e = watch_log_event(log, "started");
    cli_json_set(e, "kind", json_string(kind));
    cli_json_set(e, "source", public_source(source));
    cli_json_set(e, "width", json_integer(info->width));
    cli_json_set(e, "height", json_integer(info->height));
    cli_json_set(e, "fps", info->fps > 0 ? cli_json_round(info->fps, 3) : json_null());
    cli_json_set(e, "duration_ms", info->duration_ms > 0 ? json_integer(info->duration_ms) : json_null());
    cli_json_set(e, "format", cli_json_text(info->format));
    cli_json_set(e, "codec", cli_json_text(info->codec));
    cli_json_set(e, "model", cli_json_text(model));
    cli_json_set(e, "people", json_integer((json_int_t)log->people->n));
    set_threshold(log, e);
    watch_log_write(log, e);
}

static void set_box(json_t *e, const mien_face *face)
{
    const double box[4] = { face->x0, face->y0, face->x1, face->y1 };
    json_t *list = json_array();
    for (int i = 0; i < 4; i++)
        cli_json_append(list, cli_json_round(box[i], 1));
    cli_json_set(e, "box", list);
}

static void set_person(const watch_log *log, json_t *e, int64_t person)
{
    cli_json_set(e, "person", name_of(log, person));
    cli_json_set(e, "person_id", person ? json_integer(person) : json_null());
}

void watch_log_track(watch_log *log, const mien_track_event *event)
{
    static const char *const names[] = { "face_seen", "person_recognised", "person_unknown", "person_left" };
    const mien_track *k = &event->track;
    json_t *e = watch_log_event(log, names[event->kind]);
    cli_json_set(e, "track", json_integer(k->id));
    switch (event->kind) {
    case MIEN_TRACK_SEEN:
        log->n_tracks++;
        set_box(e, &k->face);
        cli_json_set(e, "score", cli_json_round(k->face.score, 4));
        break;
    case MIEN_TRACK_RECOGNISED:
    case MIEN_TRACK_STRANGER:
        log->n_recognised += event->kind == MIEN_TRACK_RECOGNISED;
        if (event->kind == MIEN_TRACK_RECOGNISED)
            set_person(log, e, k->person);
        cli_json_set(e, "similarity", cli_json_round(k->similarity, 4));
        set_threshold(log, e);
        cli_json_set(e, "looks", json_integer(k->looks));
        cli_json_set(e, "before", name_of(log, event->before));
        set_box(e, &k->face);
        break;
    case MIEN_TRACK_LEFT:
        set_person(log, e, k->person);
        cli_json_set(e, "first_ms", json_integer(k->first_ms));
        cli_json_set(e, "last_ms", json_integer(k->last_ms));
        cli_json_set(e, "duration_ms", json_integer(k->last_ms - k->first_ms));
        cli_json_set(e, "best", k->looks && log->people->n ? cli_json_round(k->best, 4) : json_null());
        cli_json_set(e, "looks", json_integer(k->looks));
        break;
    }
    watch_log_write(log, e);
}

void watch_log_dropped(watch_log *log, uint64_t total, bool now)
{
    enum { GAP_MS = 1000 };
    if (total <= log->dropped || (!now && log->wall_ms - log->dropped_ms < GAP_MS))
        return;
    json_t *e = watch_log_event(log, "dropped");
    cli_json_set(e, "frames", json_integer((json_int_t)(total - log->dropped)));
    cli_json_set(e, "total", json_integer((json_int_t)total));
    log->dropped = total;
    log->dropped_ms = log->wall_ms;
    watch_log_write(log, e);
}

void watch_log_error(watch_log *log, const mien_error *err)
{
    json_t *e = watch_log_event(log, "error");
    cli_json_set(e, "status", json_string(mien_status_name(err->status)));
    cli_json_set(e, "message", cli_json_text(err->message));
    watch_log_write(log, e);
}

void watch_log_close(watch_log *log)
{
    if (!log->path || !log->f)
        return;
    if (fclose(log->f) != 0 && log->exit_code == CLI_YES) {
        cli_say_path(log->path, "cannot write: %s", strerror(errno));
        log->exit_code = CLI_INTERNAL;
    }
    log->f = NULL;
}
