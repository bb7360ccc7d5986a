/* mien watch: names faces in a video, a camera's picture or a stream, over time. */
#include "watch.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct watch_opts {
    cli_gallery_common base; /* first */
    const char *video, *camera, *rtsp, *people, *events, *draw, *model;
    int fps, every, realtime, search_side, fit_side, timeout, min_face, seconds;
    cli_size size;
    double threshold, fpir;
} watch_opts;

static const cli_option options[] = {
    { .name = "video",
      .letter = 'v',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, video),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "watch a video file" },
    { .name = "camera",
      .letter = 'c',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, camera),
      .value = "N",
      .hint = CLI_ANY,
      .brief = "watch a camera: its number, or /dev/videoN" },
    { .name = "rtsp",
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, rtsp),
      .value = "URL",
      .hint = CLI_ANY,
      .brief = "watch a stream: rtsp:// or rtsps://",
      .more = "User and password may stand in the address; they are neither printed nor logged." },
    { .name = "people",
      .letter = 'p',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, people),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "who is known, without a gallery: folder per person",
      .more = "Or a picture per person. Folder and file names are the people's. Without --gallery and "
              "--people faces are followed and "
              "nobody is named." },
    { .name = "events",
      .letter = 'e',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, events),
      .value = "FILE",
      .def = "-",
      .hint = CLI_FILES,
      .brief = "append events to FILE; -: standard output" },
    { .name = "draw",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, draw),
      .value = "OUT",
      .hint = CLI_FILES,
      .brief = "write frames with names: OUT.mp4, or a folder" },
    { .name = "fps",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, fps),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 1000,
      .brief = "watch at most N frames a second; 0: all" },
    { .name = "every",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, every),
      .value = "MS",
      .def = "0",
      .min = 0,
      .max = 60000,
      .brief = "time between searches for faces; 0: every frame",
      .more = "Between them boxes follow their motion. Names come from searched frames alone." },
    { .name = "fpir",
      .kind = CLI_REAL,
      .offset = offsetof(watch_opts, fpir),
      .value = "RATE",
      .def = "0.01",
      .min = 1e-9,
      .max = 0.5,
      .brief = "strangers taken for somebody, per look",
      .more = "The threshold rises with the number of people so that it holds. Naming takes two looks that "
              "agree and their mean, so that per visit fewer are." },
    { .name = "threshold",
      .kind = CLI_REAL,
      .offset = offsetof(watch_opts, threshold),
      .value = "S",
      .min = -1,
      .max = 1,
      .rare = 1,
      .brief = "similarity to count as a person, in place of --fpir" },
    { .name = "realtime",
      .kind = CLI_FLAG,
      .offset = offsetof(watch_opts, realtime),
      .rare = 1,
      .brief = "play a file as a camera would send it, dropping frames" },
    { .name = "search-side",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, search_side),
      .value = "PX",
      .def = "640",
      .min = 64,
      .max = 4096,
      .rare = 1,
      .brief = "faces are searched in frames of this longer side",
      .more = "Smaller is faster, larger finds smaller faces: about 10 px at this size." },
    { .name = "fit-side",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, fit_side),
      .value = "PX",
      .def = "1920",
      .min = 64,
      .max = 8192,
      .rare = 1,
      .brief = "shrink larger frames to this longer side" },
    { .name = "min-face",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, min_face),
      .value = "PX",
      .def = "32",
      .min = 8,
      .max = 4096,
      .rare = 1,
      .brief = "smaller faces are followed, not named" },
    { .name = "size",
      .kind = CLI_SIZE,
      .offset = offsetof(watch_opts, size),
      .value = "WxH",
      .rare = 1,
      .brief = "frames to ask a camera for" },
    { .name = "timeout",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, timeout),
      .value = "MS",
      .def = "10000",
      .min = 1,
      .max = 600000,
      .rare = 1,
      .brief = "give a camera or stream up after this silence" },
    { .name = "seconds",
      .kind = CLI_INT,
      .offset = offsetof(watch_opts, seconds),
      .value = "S",
      .def = "0",
      .min = 0,
      .max = 31536000,
      .rare = 1,
      .brief = "stop after so much of the video; 0: at its end" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(watch_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .rare = 1,
      .brief = "model that compares the faces: name or path" },
    { 0 },
};

/* One run. */
typedef struct watch {
    const watch_opts *opts;
    cli_models models;
    watch_people people;
    mien_video *video;
    mien_detector *detector;
    mien_embedder *embedder;
    mien_tracker *tracker;
    watch_log log;
    watch_draw draw;
    int detector_side;     /* longer side of the frames that the detector was made for */
    mien_image_view frame; /* at hand */
    uint64_t n_watched, n_searched;
    bool logging;
} watch;

static int stopped(void *user)
{
    (void)user;
    return cli_stopped();
}

/* ---- the tracker's questions ---- */

static mien_status look(void *user, const mien_face *face, float *ret_vec, double *ret_quality,
                        mien_error *err)
{
    watch *w = user;
    mien_quality q;
    const mien_status st = mien_quality_measure(w->frame, face, &q, err);
    if (st != MIEN_OK)
        return st;
    const mien_reason reason = mien_quality_reason(&q, NULL);
    *ret_quality = reason == MIEN_REASON_NONE ? fmax((double)q.score, 0.01) : 0;
    return *ret_quality > 0 ? mien_embed_face(w->embedder, w->frame, face, ret_vec, err) : MIEN_OK;
}

static mien_status identify(void *user, const float *vec, mien_track_candidate *ret, size_t *ret_n,
                            double *ret_threshold, mien_error *err)
{
    watch *w = user;
    const mien_status st = watch_people_search(&w->people, vec, ret, ret_n, err);
    *ret_threshold = isnan(w->people.threshold) ? 1 : w->people.threshold; /* a gallery that was emptied */
    return st;
}

/* The cosine from which two looks are one person's: one stranger in a thousand is as alike. */
static double rejoin_similarity(const mien_model *model)
{
    double threshold = 0;
    return mien_model_threshold(model, 1e-3, &threshold, NULL) == MIEN_OK && threshold > 0 && threshold <= 1
               ? threshold
               : 0.4;
}

/* ---- opening ---- */

static mien_video_kind source_of(const watch_opts *o, const char **ret_source, const char **ret_name)
{
    *ret_source = o->video ? o->video : o->camera ? o->camera : o->rtsp;
    *ret_name = o->video ? "file" : o->camera ? "camera" : "rtsp";
    return o->video ? MIEN_VIDEO_FILE : o->camera ? MIEN_VIDEO_CAMERA : MIEN_VIDEO_RTSP;
}

static int open_video(watch *w)
{
    const watch_opts *o = w->opts;
    mien_error err = MIEN_ERROR_INIT;
    mien_video_opts v = MIEN_VIDEO_OPTS_INIT;
    const char *source = NULL, *name = NULL;
    const mien_video_kind kind = source_of(o, &source, &name);
    v.fit_side = o->fit_side;
    v.timeout_ms = o->timeout;
    v.realtime = o->realtime;
    v.width = o->size.width;
    v.height = o->size.height;
    v.fps = o->camera ? o->fps : 0;
    v.stop = stopped;
    if (mien_video_open(kind, source, &v, &w->video, &err) == MIEN_OK)
        return CLI_YES;
    cli_fail(&err);
    return err.status == MIEN_E_NOMEM ? CLI_INTERNAL : CLI_INPUT;
}

/* One thread keeps up with a camera, and leaves the other processors to the decoder and to others: only who
 * asks for more gets more. */
static unsigned net_threads(const watch_opts *o)
{
    return o->base.common.threads ? (unsigned)o->base.common.threads : 1;
}

/* The smallest face asked for is what the detector finds in a frame shrunk to --search-side, so that it never
 * searches in more than one piece. */
static mien_status fit_detector(watch *w, mien_error *err)
{
    const watch_opts *o = w->opts;
    const int side = w->frame.width > w->frame.height ? w->frame.width : w->frame.height;
    if (side == w->detector_side)
        return MIEN_OK;
    mien_detect_opts d = MIEN_DETECT_OPTS_INIT;
    const double least = (double)mien_model_info_of(w->models.detect)->min_face_px;
    const double shrink = side > o->search_side ? (double)side / o->search_side : 1;
    d.max_side = o->search_side;
    d.min_size_px = (int)ceil((least > 0 ? least : 10) * shrink);
    d.threads = net_threads(o);
    mien_detector_free(w->detector);
    w->detector = NULL;
    w->detector_side = side;
    return mien_detector_new(w->models.detect, &d, &w->detector, err);
}

static int open_tracker(watch *w)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_embed_opts e = MIEN_EMBED_OPTS_INIT;
    mien_track_opts t;
    e.threads = net_threads(w->opts);
    mien_track_opts_init(&t);
    t.dim = w->people.dim;
    t.look = look;
    t.identify = w->people.gallery || w->people.n ? identify : NULL;
    t.user = w;
    t.min_face_px = (float)w->opts->min_face;
    t.rejoin_similarity = rejoin_similarity(w->models.embed);
    if (mien_embedder_new(w->models.embed, &e, &w->embedder, &err) == MIEN_OK &&
        mien_tracker_new(&t, &w->tracker, &err) == MIEN_OK)
        return CLI_YES;
    return cli_fail(&err);
}

static int open_all(watch *w)
{
    const watch_opts *o = w->opts;
    int rc = cli_models_load(&w->models, true, o->base.common.detector, true, o->model);
    if (rc == CLI_YES)
        rc = watch_people_open(&w->people, &o->base, o->people, &w->models, o->threshold, o->fpir);
    if (rc == CLI_YES && !cli_stopped())
        rc = open_video(w);
    if (rc == CLI_YES && !cli_stopped())
        rc = open_tracker(w);
    if (rc == CLI_YES && !cli_stopped())
        rc = watch_draw_open(&w->draw, o->draw, mien_video_info_of(w->video).fps);
    if (rc == CLI_YES && !cli_stopped()) {
        rc = watch_log_open(&w->log, o->events, &w->people);
        w->logging = rc == CLI_YES;
    }
    return rc;
}

/* ---- watching ---- */

static void report(watch *w)
{
    size_t n = 0;
    const mien_track_event *events = mien_tracker_events(w->tracker, &n);
    for (size_t i = 0; i < n; i++)
        watch_log_track(&w->log, &events[i]);
}

static mien_status watch_frame(watch *w, const mien_video_frame *frame, bool search, mien_error *err)
{
    const mien_face *faces = NULL;
    static const mien_face none[1];
    size_t n = 0, n_tracks = 0;
    w->frame = frame->image;
    w->log.wall_ms = frame->wall_ms;
    w->log.media_ms = frame->media_ms;
    w->n_watched++;
    mien_status st = MIEN_OK;
    if (search) {
        w->n_searched++;
        st = fit_detector(w, err);
        if (st == MIEN_OK)
            st = mien_detect(w->detector, frame->image, &faces, &n, err);
    }
    if (st == MIEN_OK)
        st = mien_tracker_step(w->tracker, frame->media_ms, search ? (n ? faces : none) : NULL, n, err);
    if (st != MIEN_OK)
        return st;
    report(w);
    watch_log_dropped(&w->log, frame->dropped, false);
    const mien_track *tracks = mien_tracker_tracks(w->tracker, &n_tracks);
    return watch_draw_frame(&w->draw, &w->people, frame, tracks, n_tracks, err);
}

/* Whether a step of `gap_ms` is due at `now`; *next moves on, without drifting and without catching up. */
static bool is_due(double now, double gap_ms, double *next)
{
    if (now < *next)
        return false;
    *next = now >= *next + gap_ms ? now + gap_ms : *next + gap_ms;
    return true;
}

static mien_status watch_all(watch *w, uint64_t *ret_dropped, mien_error *err)
{
    const watch_opts *o = w->opts;
    double next_frame = 0, next_search = 0;
    mien_status st = MIEN_OK;
    while (st == MIEN_OK && !cli_stopped() && w->log.exit_code == CLI_YES) {
        mien_video_frame frame;
        st = mien_video_next(w->video, &frame, err);
        if (st != MIEN_OK || cli_stopped())
            break;
        *ret_dropped = frame.dropped;
        if (!frame.image.data || (o->seconds && frame.media_ms >= o->seconds * (int64_t)1000))
            break;
        const double now =
            (double)frame.media_ms + 0.5; /* times are whole ms: half of one against rounding */
        if (o->fps && !is_due(now, 1000.0 / o->fps, &next_frame))
            continue;
        st = watch_frame(w, &frame, !o->every || is_due(now, o->every, &next_search), err);
    }
    return st;
}

static int watch_to_the_end(watch *w)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_video_info info = mien_video_info_of(w->video);
    const double start_ms = cli_now_ms();
    const char *source = NULL, *kind = NULL;
    uint64_t dropped = 0;
    int rc = CLI_YES;
    (void)source_of(w->opts, &source, &kind);
    watch_log_started(&w->log, kind, source, &info, mien_model_info_of(w->models.embed)->name);
    const mien_status st = watch_all(w, &dropped, &err);
    mien_tracker_finish(w->tracker);
    watch_log_now(&w->log);
    report(w);
    watch_log_dropped(&w->log, dropped, true);
    const bool failed = st != MIEN_OK && !(st == MIEN_E_INTERRUPTED && cli_stopped());
    if (failed) {
        watch_log_error(&w->log, &err);
        rc = cli_fail(&err);
    }
    const double seconds = (cli_now_ms() - start_ms) / 1e3;
    json_t *e = watch_log_event(&w->log, "finished");
    cli_json_set(e, "reason", json_string(failed ? "error" : cli_stopped() ? "stopped" : "end"));
    cli_json_set(e, "frames", json_integer((json_int_t)w->n_watched));
    cli_json_set(e, "searched", json_integer((json_int_t)w->n_searched));
    cli_json_set(e, "dropped", json_integer((json_int_t)dropped));
    cli_json_set(e, "tracks", json_integer((json_int_t)w->log.n_tracks));
    cli_json_set(e, "recognised", json_integer((json_int_t)w->log.n_recognised));
    cli_json_set(e, "seconds", cli_json_round(seconds, 3));
    cli_json_set(e, "fps", seconds > 0 ? cli_json_round((double)w->n_watched / seconds, 1) : json_null());
    watch_log_write(&w->log, e);
    rc = cli_worse(rc, watch_draw_close(&w->draw, w->draw.writer != NULL));
    return cli_worse(rc, cli_worse(w->log.exit_code, w->log.n_tracks ? CLI_YES : CLI_NO));
}

static int run(void *p, int argc, char **argv)
{
    const watch_opts *o = p;
    watch w = { .opts = o };
    (void)argc;
    (void)argv;
    if ((o->video != NULL) + (o->camera != NULL) + (o->rtsp != NULL) != 1)
        return cli_usage(&cli_verb_watch, "give one of --video, --camera and --rtsp");
    if (o->base.gallery && o->people)
        return cli_usage(&cli_verb_watch, "give --gallery or --people, not both");
    int rc = open_all(&w);
    if (rc == CLI_YES && w.logging)
        rc = watch_to_the_end(&w);
    (void)watch_draw_close(&w.draw, false);
    if (w.logging) {
        watch_log_close(&w.log);
        rc = cli_worse(rc, w.log.exit_code);
    }
    mien_tracker_free(w.tracker);
    mien_embedder_free(w.embedder);
    mien_detector_free(w.detector);
    mien_video_free(w.video);
    watch_people_free(&w.people);
    cli_models_free(&w.models);
    return rc;
}

static const cli_example examples[] = {
    { "who is in a video", "mien watch --gallery home.gallery --video party.mp4" },
    { "see it: names and boxes drawn in",
      "mien watch -p people/ -v party.mp4 -e events.jsonl --draw party-seen.mp4" },
    { "watch the door, and log who comes",
      "mien watch -g staff.gallery --rtsp rtsp://door.local/stream -e door.jsonl" },
    { "only the names, as they come",
      "mien watch -p people/ --camera 0 | jq -r 'select(.event==\"person_recognised\").person'" },
    { NULL, NULL },
};

const cli_verb cli_verb_watch = {
    .name = "watch",
    .operands = "",
    .brief = "name faces in video, over time, as events",
    .about =
        "Follows the faces of a video file, a camera or an RTSP stream and says who they are: one JSON "
        "object "
        "a line when a face comes into view, when it is recognised or known to be unknown, and when it "
        "has left. A name takes at least two looks that agree and does not flicker; two faces in one frame "
        "are "
        "never the same person. docs/watch.md has the fields.\n\n"
        "Files are watched frame by frame, as fast as it goes. Of cameras and streams the newest frame is "
        "taken: frames for which there was no time are dropped and counted, and nothing is ever queued. "
        "Ctrl-C ends cleanly, `finished` comes last. No picture and no template leaves the program, but for "
        "--draw.",
    .exits = "0 a face was seen, 1 none, 2 usage, 3 unusable input, 4 no model",
    .tables = { cli_gallery_options, options, cli_key_options, cli_detector_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(watch_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
