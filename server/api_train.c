/* Training: fine-tuning the server's embedder on people, of a set or of a collection whose pictures were
 * kept.
 *
 * What a run would learn from is counted before it starts, so that too little is said at once. The run is a
 * job (train_run.c). Its model is a file to be fetched; the server goes on with the one that it was started
 * with, because templates of two models cannot be compared and thresholds of one do not hold for the other.
 */
#include "see.h"
#include "train_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const losses[] = { "distill", "softmax", "arcface", "cosface", "triplet" };
enum { N_LOSSES = sizeof losses / sizeof *losses };
static const mien_train_loss default_loss = MIEN_LOSS_ARCFACE;

/* ---- settings ---- */

static bool read_loss(api_call *c, json_t *args)
{
    const char *text = api_text(c, "loss");
    for (size_t i = 0; i < N_LOSSES; i++)
        if (!strcmp(losses[i], text ? text : losses[default_loss])) {
            json_object_set_new(args, "loss", json_string(losses[i]));
            return true;
        }
    api_fail(c, 400, "BAD_ARGUMENT", "loss is one of distill, softmax, arcface, cosface and triplet");
    return false;
}

static bool read_tune(api_call *c, json_t *args)
{
    const char *text = api_text(c, "tune");
    char *end = NULL;
    if (!text)
        text = "all";
    const long n =
        !strncmp(text, "last:", 5) && text[5] >= '0' && text[5] <= '9' ? strtol(text + 5, &end, 10) : 0;
    if (strcmp(text, "all") != 0 && strcmp(text, "head") != 0 && (!end || *end || n < 1 || n > 10000)) {
        api_fail(c, 400, "BAD_ARGUMENT", "tune is 'all', 'head' or 'last:N', N layers from 1 to 10000");
        return false;
    }
    json_object_set_new(args, "tune", json_string(text));
    return true;
}

/* The library checks options before it looks for its data, which here is nowhere. */
static bool options_hold(api_call *c, const json_t *args)
{
    const train_settings t = train_settings_of(args);
    mien_train_opts o;
    mien_image *none = NULL;
    mien_error err = MIEN_ERROR_INIT;
    train_settings_fill(&t, &o);
    o.data = "";
    o.dir = "";
    o.model = c->server->embed;
    if (mien_train_preview(&o, 1, 1, &none, &err) != MIEN_E_ARG)
        return true;
    api_fail_status(c, &err);
    return false;
}

bool train_settings_read(api_call *c, json_t *args)
{
    int64_t epochs = 0, batch = 0, seed = 0, threads = 0;
    double lr = 0;
    const char *augment = api_text(c, "augment");
    if (!read_tune(c, args) || !read_loss(c, args))
        return false;
    const bool head = !strcmp(json_string_value(json_object_get(args, "tune")), "head");
    if (!api_arg_int(c, "epochs", 1, 1000, 8, &epochs) || !api_arg_int(c, "batch", 2, 512, 0, &batch) ||
        !api_arg_int(c, "seed", 0, INT32_MAX, 1, &seed) || !api_arg_int(c, "threads", 1, 64, 1, &threads) ||
        !api_arg_real(c, "lr", 1e-7, 1, head ? 5e-4 : 5e-5, &lr))
        return false;
    json_object_set_new(args, "epochs", json_integer(epochs));
    json_object_set_new(args, "batch", batch ? json_integer(batch) : json_null());
    json_object_set_new(args, "seed", json_integer(seed));
    json_object_set_new(args, "threads", json_integer(threads));
    json_object_set_new(args, "lr", json_real(lr));
    json_object_set_new(args, "augment", augment ? json_string(augment) : json_null());
    return options_hold(c, args);
}

static int64_t number_of(const json_t *args, const char *name)
{
    return json_integer_value(json_object_get(args, name));
}

train_settings train_settings_of(const json_t *args)
{
    const char *loss = json_string_value(json_object_get(args, "loss"));
    train_settings t = { .epochs = number_of(args, "epochs"),
                         .batch = number_of(args, "batch"),
                         .seed = number_of(args, "seed"),
                         .threads = number_of(args, "threads"),
                         .lr = json_number_value(json_object_get(args, "lr")),
                         .loss = default_loss,
                         .tune = json_string_value(json_object_get(args, "tune")),
                         .augment = json_string_value(json_object_get(args, "augment")) };
    for (size_t i = 0; i < N_LOSSES; i++)
        if (loss && !strcmp(losses[i], loss))
            t.loss = (mien_train_loss)i;
    return t;
}

void train_settings_fill(const train_settings *t, mien_train_opts *o)
{
    mien_train_opts_init(o);
    o->aligned = 1;
    o->epochs = (int)t->epochs;
    if (t->batch)
        o->batch = (int)t->batch;
    o->seed = (uint64_t)t->seed;
    o->threads = (unsigned)t->threads;
    o->lr = t->lr;
    o->loss = t->loss;
    o->tune = t->tune;
    o->augment = t->augment && t->augment[0] ? t->augment : NULL;
}

/* ---- where from ---- */

static bool open_material(api_call *c, train_material *ret)
{
    mien_error err = MIEN_ERROR_INIT;
    if (!train_material_open(c->server, &c->key, api_text(c, "set"), c->collection, ret, &err))
        return true;
    api_fail_status(c, &err);
    train_material_close(ret);
    return false;
}

static void tell_enough(const train_material *m, char *ret, size_t capacity)
{
    const size_t held = train_held_out(m->n_twice);
    mien_error err = MIEN_ERROR_INIT;
    if (train_material_check(m->n_twice, &err))
        snprintf(ret, capacity, "%s", err.message);
    else if (held < TRAIN_SHOWN_FROM)
        snprintf(ret, capacity,
                 "%zu people would be held out: fewer than %d cannot show whether the model got better", held,
                 TRAIN_SHOWN_FROM);
    else
        snprintf(ret, capacity, "%zu of %zu people would be held out, to measure on", held, m->n_people);
}

/* GET /v1/train/material: what there is to learn from. */
static void run_material(api_call *c)
{
    char text[256];
    train_material m;
    mien_error err = MIEN_ERROR_INIT;
    if (!open_material(c, &m))
        return;
    tell_enough(&m, text, sizeof text);
    const size_t held = train_held_out(m.n_twice);
    api_ok(c, 200,
           json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:s}", "people", (json_int_t)m.n_people,
                     "people_twice", (json_int_t)m.n_twice, "pictures", (json_int_t)m.n_pictures,
                     "people_left_out", (json_int_t)m.n_left_people, "pictures_left_out",
                     (json_int_t)m.n_left_pictures, "held_out", (json_int_t)held, "enough",
                     !train_material_check(m.n_twice, &err), "can_show", held >= TRAIN_SHOWN_FROM, "text",
                     text));
    train_material_close(&m);
}

/* POST /v1/train */
static void run_train(api_call *c)
{
    train_material m;
    mien_error err = MIEN_ERROR_INIT;
    const char *set = api_text(c, "set");
    json_t *args = json_pack("{s:s?,s:s?}", "set", set, "collection", set ? NULL : c->collection);
    if (!train_settings_read(c, args) || !open_material(c, &m)) {
        json_decref(args);
        return;
    }
    if (train_material_check(m.n_twice, &err)) {
        api_fail_status(c, &err);
        json_decref(args);
    } else {
        json_object_set_new(args, "people", json_integer((json_int_t)m.n_people));
        json_object_set_new(args, "pictures", json_integer((json_int_t)m.n_pictures));
        json_object_set_new(args, "people_left_out", json_integer((json_int_t)m.n_left_people));
        job_take(c, "train", train_run, args);
    }
    train_material_close(&m);
}

/* ---- POST /v1/train/preview ---- */

enum { SHEET_CROPS = 8, SHEET_ROWS = 4, SHEET_COLUMNS = 9 }; /* some crops fall to validation */

/* One crop each of the first people into a folder. */
static mien_status write_some(api_server *s, train_material *m, const char *folder, mien_error *err)
{
    char path[FOLDER_PATH_BYTES + 32];
    size_t n = 0, last = SIZE_MAX;
    mien_status st = train_material_list(m, 2 * SHEET_CROPS, err);
    for (size_t i = 0; !st && i < m->n_faces && n < SHEET_CROPS; i++) {
        if (m->faces[i].person == last)
            continue;
        snprintf(path, sizeof path, "%s/%zu.jpg", folder, i);
        st = train_material_write(s, m, &m->faces[i], path, err);
        if (!st) {
            n++;
            last = m->faces[i].person;
        } else if (train_material_is_unusable(st))
            st = MIEN_OK;
    }
    if (!st && n == 0)
        st = train_fault(err, MIEN_E_EVAL_DATA, "there is no picture to show");
    return st;
}

static void run_preview(api_call *c)
{
    char folder[FOLDER_PATH_BYTES] = "";
    train_material m;
    mien_train_opts o;
    mien_image *sheet = NULL;
    uint8_t *data = NULL;
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    json_t *args = json_object();
    if (!train_settings_read(c, args) || !open_material(c, &m)) {
        json_decref(args);
        return;
    }
    const train_settings t = train_settings_of(args);
    train_settings_fill(&t, &o);
    o.data = folder;
    o.dir = folder;
    o.model = c->server->embed;
    mien_status st = train_work_new(c->server, folder, &err);
    if (!st)
        st = write_some(c->server, &m, folder, &err);
    if (!st)
        st = mien_train_preview(&o, SHEET_ROWS, SHEET_COLUMNS, &sheet, &err);
    if (!st)
        st = mien_image_encode(mien_image_view_of(sheet), "jpeg", 90, &data, &n, &err);
    if (st)
        api_fail_status(c, &err);
    else
        http_reply_copy(c->reply, 200, "image/jpeg", data, n);
    if (folder[0])
        folder_remove(folder);
    mien_image_data_free(data);
    mien_image_free(sheet);
    train_material_close(&m);
    json_decref(args);
}

enum { SMALL = 1 << 20 };
const api_route api_train[] = {
    { "GET", "/v1/train/material", API_KEY, KEY_ADMIN, HTTP_LIGHT, 0, run_material },
    { "POST", "/v1/train/preview", API_KEY, KEY_ADMIN, HTTP_HEAVY, SMALL, run_preview },
    { "POST", "/v1/train", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_train },
    { 0 },
};
