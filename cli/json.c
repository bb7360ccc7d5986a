/* jansson with this program's habits; see json.h. */
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(bool ok)
{
    if (ok)
        return;
    cli_say("out of memory");
    exit(CLI_INTERNAL);
}

/* Length of the valid UTF-8 sequence at s, 0 when it is none (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *s)
{
    const size_t len = s[0] < 0x80                   ? 1
                       : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                       : (s[0] & 0xf0) == 0xe0       ? 3
                       : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                     : 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

json_t *cli_json_text(const char *s)
{
    json_t *value = json_string(s);
    if (value)
        return value;
    char *clean = cli_alloc(strlen(s) + 1, 3);
    char *to = clean;
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        const size_t len = utf8_length(p);
        memcpy(to, len ? (const char *)p : "\xef\xbf\xbd", len ? len : 3);
        to += len ? len : 3;
        p += len ? len : 1;
    }
    value = json_string(clean);
    free(clean);
    check(value != NULL);
    return value;
}

json_t *cli_json_round(double v, int digits)
{
    if (!isfinite(v))
        return json_null();
    const double scale = pow(10, digits);
    const double rounded = round(v * scale) / scale;
    return json_real(rounded + 0.0); /* no -0 */
}

void cli_json_set(json_t *object, const char *key, json_t *value)
{
    check(value && json_object_set_new(object, key, value) == 0);
}

void cli_json_append(json_t *array, json_t *value)
{
    check(value && json_array_append_new(array, value) == 0);
}

void cli_json_face(json_t *object, const mien_face *face)
{
    const double box[4] = { face->x0, face->y0, face->x1, face->y1 };
    json_t *list = json_array(), *points = json_array();
    for (int i = 0; i < 4; i++)
        cli_json_append(list, cli_json_round(box[i], 2));
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        json_t *point = json_array();
        cli_json_append(point, cli_json_round(face->landmarks[i][0], 2));
        cli_json_append(point, cli_json_round(face->landmarks[i][1], 2));
        cli_json_append(points, point);
    }
    cli_json_set(object, "box", list);
    cli_json_set(object, "landmarks", points);
    cli_json_set(object, "score", cli_json_round(face->score, 4));
}

static void dump(FILE *f, json_t *value, size_t flags, int digits)
{
    char *text = json_dumps(value, flags | JSON_REAL_PRECISION((size_t)digits));
    json_decref(value);
    check(text != NULL);
    fputs(text, f);
    fputc('\n', f);
    free(text);
}

void cli_json_line(FILE *f, json_t *value)
{
    dump(f, value, 0, 9);
}

void cli_json_page(FILE *f, json_t *value)
{
    dump(f, value, JSON_INDENT(2), 9);
}

void cli_json_exact(FILE *f, json_t *value)
{
    dump(f, value, JSON_INDENT(2), 15);
}
