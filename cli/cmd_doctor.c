/* mien doctor: what this build can do on this machine, and which models it finds. */
#include "meta.h"
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MIEN_COMPILER
#define MIEN_COMPILER "unknown"
#endif

typedef struct doctor_opts {
    int format;
} doctor_opts;

static const cli_option doctor_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(doctor_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

/* What a built-in model is for; MIEN_TASK_OTHER when it cannot be read. */
static mien_task builtin_task(const char *name)
{
    mien_model *model = NULL;
    mien_task task = MIEN_TASK_OTHER;
    if (mien_model_load(name, &model, NULL) == MIEN_OK)
        task = mien_model_info_of(model)->task;
    mien_model_free(model);
    return task;
}

/* Whether a task has any model in this build or on this machine. */
static bool task_ready(mien_task task)
{
    char path[PATH_MAX];
    const mien_registry_entry *e = NULL;
    const char *name = NULL;
    for (size_t i = 0; (name = mien_builtin_at(i)) != NULL; i++) {
        if (builtin_task(name) == task)
            return true;
    }
    for (size_t i = 0; (e = mien_registry_at(i)) != NULL; i++) {
        if (e->task == task && mien_registry_locate(e->name, path, sizeof path, NULL) == MIEN_OK)
            return true;
    }
    return false;
}

static double memory_mb(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (double)pages * (double)bytes / 1048576.0 : 0;
}

static json_t *formats_json(void)
{
    json_t *list = json_array();
    const char *name = NULL;
    int available = 0;
    for (size_t i = 0; (name = mien_image_format_at(i, &available)) != NULL; i++) {
        json_t *item = json_object();
        cli_json_set(item, "name", cli_json_text(name));
        cli_json_set(item, "available", json_boolean(available));
        cli_json_append(list, item);
    }
    return list;
}

static json_t *video_json(void)
{
    int available = 0;
    const char *name = mien_video_describe(&available);
    json_t *item = json_object();
    cli_json_set(item, "name", cli_json_text(name));
    cli_json_set(item, "available", json_boolean(available));
    return item;
}

static json_t *models_json(void)
{
    json_t *list = json_array();
    const mien_registry_entry *e = NULL;
    const char *name = NULL;
    for (size_t i = 0; (name = mien_builtin_at(i)) != NULL; i++) {
        json_t *item = json_object();
        cli_json_set(item, "name", cli_json_text(name));
        cli_json_set(item, "task", json_string(cli_task_name(builtin_task(name))));
        cli_json_set(item, "built_in", json_true());
        cli_json_set(item, "path", json_null());
        cli_json_append(list, item);
    }
    for (size_t i = 0; (e = mien_registry_at(i)) != NULL; i++) {
        char path[PATH_MAX];
        mien_error err = MIEN_ERROR_INIT;
        json_t *item = json_object();
        const bool here = mien_registry_locate(e->name, path, sizeof path, &err) == MIEN_OK;
        cli_json_set(item, "name", cli_json_text(e->name));
        cli_json_set(item, "task", json_string(cli_task_name(e->task)));
        cli_json_set(item, "built_in", json_false());
        cli_json_set(item, "path", here ? cli_json_text(path) : json_null());
        if (!here)
            cli_json_set(item, "missing", cli_json_text(err.message));
        cli_json_append(list, item);
    }
    return list;
}

static void print_json(bool ready)
{
    json_t *page = json_object();
    cli_json_set(page, "version", json_string(mien_version()));
    cli_json_set(page, "compiler", cli_json_text(MIEN_COMPILER));
    cli_json_set(page, "cpu_level", json_string(mien_cpu_level()));
    cli_json_set(page, "processors", json_integer(mien_cpu_count()));
    cli_json_set(page, "memory_mb", cli_json_round(memory_mb(), 0));
    cli_json_set(page, "formats", formats_json());
    cli_json_set(page, "video", video_json());
    cli_json_set(page, "models", models_json());
    cli_json_set(page, "ready", json_boolean(ready));
    cli_json_page(stdout, page);
}

static void print_models(void)
{
    const mien_registry_entry *e = NULL;
    const char *name = NULL;
    for (size_t i = 0; (name = mien_builtin_at(i)) != NULL; i++)
        printf("  %-8s %-28s built in\n", cli_task_name(builtin_task(name)), name);
    for (size_t i = 0; (e = mien_registry_at(i)) != NULL; i++) {
        char path[PATH_MAX];
        mien_error err = MIEN_ERROR_INIT;
        const bool here = mien_registry_locate(e->name, path, sizeof path, &err) == MIEN_OK;
        printf("  %-8s %-28s %s\n", cli_task_name(e->task), e->name,
               here        ? path
               : e->url[0] ? "missing; get it with: mien model pull"
                           : "missing; not offered for download");
    }
}

static void print_text(bool detect, bool embed)
{
    const char *name = NULL;
    int available = 0;
    printf("mien %s, built with %s\n", mien_version(), MIEN_COMPILER);
    printf("cpu: %s kernels, %u processor%s; memory: %.0f MB\n", mien_cpu_level(), mien_cpu_count(),
           mien_cpu_count() == 1 ? "" : "s", memory_mb());
    puts("pictures:");
    for (size_t i = 0; (name = mien_image_format_at(i, &available)) != NULL; i++)
        printf("  %s %s\n", available ? "yes" : "no ", name);
    name = mien_video_describe(&available);
    printf("videos:\n  %s %s\n", available ? "yes" : "no ", name);
    puts("models:");
    print_models();
    if (detect && embed)
        puts("ready: faces can be found and compared");
    else
        printf("not ready: no model %s is on this machine\n", !detect && !embed
                                                                  ? "to find or to compare faces"
                                                              : detect ? "to compare faces"
                                                                       : "to find faces");
}

static int run(void *p, int argc, char **argv)
{
    const doctor_opts *opts = p;
    (void)argc;
    (void)argv;
    const bool detect = task_ready(MIEN_TASK_DETECT), embed = task_ready(MIEN_TASK_EMBED);
    if (opts->format == 1)
        print_json(detect && embed);
    else
        print_text(detect, embed);
    return detect && embed ? CLI_YES : CLI_NO;
}

static const cli_example examples[] = {
    { "see what is missing", "mien doctor" },
    { "let a script see it", "mien doctor --format json" },
    { NULL, NULL },
};

const cli_verb cli_verb_doctor = {
    .name = "doctor",
    .operands = "",
    .brief = "say what this build can do on this machine",
    .about =
        "Prints the version and the compiler, the kernels that fit this processor, the picture formats "
        "with their libraries, what reads videos, and for each known model where it lies or how to get it.",
    .exits = "0 faces can be found and compared, 1 a model for that is missing",
    .tables = { doctor_options },
    .examples = examples,
    .opts_bytes = sizeof(doctor_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
