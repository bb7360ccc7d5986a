/* Pictures in requests (see see.h). Pixels live as long as the call. The file's bytes are untrusted: limits
 * come first, and with
 * --sandbox (the default of `mien serve`) they are decoded in a confined process, whose death costs this
 * request alone. */
#include "see.h"
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void seen_free(seen *s)
{
    mien_image_free(s->image);
    free(s->faces);
    free(s->decoded);
    *s = (seen){ 0 };
}

bool see_has(api_call *c, const char *field)
{
    size_t n = 0;
    http_body(c->http, &n);
    return (c->form && multipart_find(c->form, field)) || json_is_string(json_object_get(c->json, field)) ||
           (!c->form && !c->json && n > 0 && !strcmp(field, "file"));
}

/* Base64 with or without "data:image/...;base64," in front. */
static bool from_base64(api_call *c, const char *text, const char *field, seen *ret)
{
    const char *comma = !strncmp(text, "data:", 5) ? strchr(text, ',') : NULL;
    const char *s = comma ? comma + 1 : text;
    const size_t n = strlen(s), most = n / 4 * 3 + 3;
    if (!(ret->decoded = malloc(most))) {
        api_fail(c, 503, "NO_MEMORY", "out of memory");
        return false;
    }
    if (sodium_base642bin(ret->decoded, most, s, n, "\r\n ", &ret->bytes, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        api_fail(c, 400, "BAD_ARGUMENT", "%s is not base64", field);
        return false;
    }
    ret->data = ret->decoded;
    return true;
}

static bool find_bytes(api_call *c, const char *field, seen *ret)
{
    const multipart_part *p = c->form ? multipart_find(c->form, field) : NULL;
    const char *text = json_string_value(json_object_get(c->json, field));
    if (p && p->is_file) {
        ret->data = p->data;
        ret->bytes = p->bytes;
        strcpy(ret->name, p->file);
        return true;
    }
    if (p) {
        char *copy = strndup((const char *)p->data, p->bytes);
        const bool ok = copy && from_base64(c, copy, field, ret);
        free(copy);
        return ok;
    }
    if (text)
        return from_base64(c, text, field, ret);
    if (!c->form && !c->json && !strcmp(field, "file"))
        ret->data = http_body(c->http, &ret->bytes);
    if (ret->bytes)
        return true;
    api_fail(c, 400, "NO_PICTURE",
             "a picture is missing: the form field '%s', a JSON member with base64, or the body", field);
    return false;
}

static int by_size(const void *a, const void *b)
{
    const mien_face *p = a, *q = b;
    const float s = (p->x1 - p->x0) * (p->y1 - p->y0), t = (q->x1 - q->x0) * (q->y1 - q->y0);
    return (s < t) - (s > t);
}

bool see(api_call *c, const char *field, int64_t most, seen *ret)
{
    mien_image_opts o = MIEN_IMAGE_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    const mien_face *faces = NULL;
    size_t n = 0;
    *ret = (seen){ 0 };
    if (!find_bytes(c, field, ret))
        goto fault;
    o.max_bytes = API_MAX_BODY;
    o.sandbox = c->server->opts.sandbox;
    o.min_short_side = 1200;
    if (c->server->opts.max_pixels)
        o.max_pixels = c->server->opts.max_pixels;
    mien_status st = mien_image_decode(ret->data, ret->bytes, &o, &ret->image, &err);
    if (!st)
        st = mien_detect(c->kit->detector, mien_image_view_of(ret->image), &faces, &n, &err);
    if (st) {
        api_fail_status(c, &err);
        goto fault;
    }
    ret->scale = mien_image_scale(ret->image);
    if (n && !(ret->faces = malloc(n * sizeof *faces))) {
        api_fail(c, 503, "NO_MEMORY", "out of memory");
        goto fault;
    }
    if (n) {
        memcpy(ret->faces, faces, n * sizeof *faces);
        qsort(ret->faces, n, sizeof *faces, by_size);
    }
    ret->n = most > 0 && (int64_t)n > most ? (size_t)most : n;
    return true;
fault:
    seen_free(ret);
    return false;
}

mien_face seen_face(const seen *s, size_t index)
{
    mien_face f = s->faces[index];
    const float k = (float)s->scale;
    f.x0 *= k, f.y0 *= k, f.x1 *= k, f.y1 *= k;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        f.landmarks[i][0] *= k, f.landmarks[i][1] *= k;
    return f;
}

float *seen_embed(api_call *c, const seen *s, size_t index)
{
    mien_error err = MIEN_ERROR_INIT;
    float *vec = calloc((size_t)mien_model_info_of(c->server->embed)->embedding_len, sizeof *vec);
    if (!vec) {
        api_fail(c, 503, "NO_MEMORY", "out of memory");
        return NULL;
    }
    if (mien_embed_face(c->kit->embedder, mien_image_view_of(s->image), &s->faces[index], vec, &err)) {
        api_fail_status(c, &err);
        free(vec);
        return NULL;
    }
    return vec;
}

void free_vec(const api_call *c, float *vec)
{
    if (vec)
        sodium_memzero(vec, (size_t)mien_model_info_of(c->server->embed)->embedding_len * sizeof *vec);
    free(vec);
}

json_t *data_address(const char *type, const uint8_t *data, size_t bytes)
{
    const size_t head = strlen(type) + 13,
                 n = sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(head + n + 1);
    if (!text)
        return NULL;
    snprintf(text, head + 1, "data:%s;base64,", type);
    sodium_bin2base64(text + head, n, data, bytes, sodium_base64_VARIANT_ORIGINAL);
    json_t *ret = json_string(text);
    free(text);
    return ret;
}

mien_status seen_quality(const seen *s, size_t index, mien_quality *ret, mien_error *err)
{
    return mien_quality_measure(mien_image_view_of(s->image), &s->faces[index], ret, err);
}

json_t *rounded(double v, int digits)
{
    const double scale = pow(10, digits);
    return isfinite(v) ? json_real(round(v * scale) / scale) : json_null();
}

json_t *seen_json(const seen *s, size_t index)
{
    const mien_face f = seen_face(s, index);
    json_t *marks = json_array();
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        json_array_append_new(marks, json_pack("[o,o]", rounded((double)f.landmarks[i][0], 1),
                                               rounded((double)f.landmarks[i][1], 1)));
    return json_pack("{s:{s:o,s:o,s:o,s:o},s:o,s:o}", "box", "x0", rounded((double)f.x0, 1), "y0",
                     rounded((double)f.y0, 1), "x1", rounded((double)f.x1, 1), "y1", rounded((double)f.y1, 1),
                     "landmarks", marks, "score", rounded((double)f.score, 4));
}

json_t *quality_json(const mien_quality *q)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "score", rounded((double)q->score, 3),
                     "eye_distance_px", rounded((double)q->eye_distance_px, 1), "yaw_deg",
                     rounded((double)q->yaw_deg, 0), "pitch_deg", rounded((double)q->pitch_deg, 0),
                     "roll_deg", rounded((double)q->roll_deg, 0), "sharpness",
                     rounded((double)q->sharpness, 3), "brightness", rounded((double)q->brightness, 3));
}

json_t *estimate_json(const mien_estimate *e)
{
    return json_pack("{s:f,s:f,s:f,s:s}", "value", e->value, "lo", e->lo, "hi", e->hi, "bound",
                     e->bound < 0   ? "at most"
                     : e->bound > 0 ? "at least"
                                    : "estimate");
}
