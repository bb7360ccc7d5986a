/* The text form of augmentation ranges: name=amount[:probability], separated by commas.
 *
 * One table holds every key with its place in the struct and its range; parsing, checking and writing go by
 * it. Numbers are written with as few decimals as give the same float back, without the locale.
 */
#include "train/augment.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum kind { REAL, DEGREES, WHOLE, SPAN } kind;

typedef struct key {
    const char *name, *unit;
    kind kind;
    size_t value, chance; /* places in mien__augment; chance NO_CHANCE: none */
    double lo, hi;        /* range of the amount where it is not 0, as written in the spec */
} key;

#define AT(field) offsetof(mien__augment, field)
#define NO_CHANCE SIZE_MAX
static const double degree = 3.14159265358979323846 / 180;

static const key keys[] = {
    { "flip", "probability", REAL, AT(flip), NO_CHANCE, 0, 1 },
    { "mirror", "probability that what lies outside the picture mirrors it", REAL, AT(mirror), NO_CHANCE, 0,
      1 },
    { "rotate", "degrees either way", DEGREES, AT(rotate_rad), NO_CHANCE, 0, 180 },
    { "scale", "fraction either way", REAL, AT(scale), NO_CHANCE, 0, 0.9 },
    { "shift", "fraction of the side either way", REAL, AT(shift), NO_CHANCE, 0, 1 },
    { "crop", "greatest fraction cut off", REAL, AT(crop), NO_CHANCE, 0, 0.9 },
    { "brightness", "fraction of white either way", REAL, AT(brightness), NO_CHANCE, 0, 1 },
    { "contrast", "fraction either way", REAL, AT(contrast), NO_CHANCE, 0, 1 },
    { "saturation", "fraction either way", REAL, AT(saturation), NO_CHANCE, 0, 1 },
    { "hue", "fraction of each channel either way", REAL, AT(hue), NO_CHANCE, 0, 1 },
    { "grey", "probability", REAL, AT(grey), NO_CHANCE, 0, 1 },
    { "blur", "greatest sigma in px of the crop", REAL, AT(blur_px), AT(blur_p), 0, 20 },
    { "noise", "greatest sigma as a fraction of white", REAL, AT(noise), AT(noise_p), 0, 1 },
    { "jpeg", "lowest quality", WHOLE, AT(jpeg_lo), AT(jpeg_p), 1, 100 },
    { "lowres", "least and greatest width of the crop in px", SPAN, AT(lowres_lo), AT(lowres_p), 4, 2048 },
    { "occlude", "greatest side as a fraction of the crop", REAL, AT(occlude), AT(occlude_p), 0, 1 },
};

/* ---- access by table; the hi of a SPAN lies behind its lo ---- */

static const float *real_at(const mien__augment *a, size_t at)
{
    return (const float *)(const void *)((const char *)a + at);
}

static const int *whole_at(const mien__augment *a, size_t at)
{
    return (const int *)(const void *)((const char *)a + at);
}

static void set_real(mien__augment *a, size_t at, double v)
{
    const float f = (float)v;
    memcpy((char *)a + at, &f, sizeof f);
}

static void set_whole(mien__augment *a, size_t at, double v)
{
    const int i = (int)v;
    memcpy((char *)a + at, &i, sizeof i);
}

static bool in_range(const key *k, double v)
{
    return v == 0 || (v >= k->lo && v <= k->hi);
}

static mien_status fail_range(const key *k, const char *got, mien_error *err)
{
    return mien__fail(err, MIEN_E_ARG, "augmentation %s=%s: the %s must be %s%g..%g%s%s", k->name, got,
                      k->unit, k->kind == WHOLE || k->kind == SPAN ? "0 (off) or a whole number in " : "in ",
                      k->lo, k->hi, k->kind == SPAN ? ", written LO-HI" : "",
                      k->chance == NO_CHANCE ? "" : ", then :PROBABILITY in 0..1");
}

/* ---- reading ---- */

static bool parse_whole(const key *k, const char *s, double *ret)
{
    return mien__parse_f64(s, ret) && in_range(k, *ret) && *ret == floor(*ret);
}

static bool parse_amount(const key *k, char *text, mien__augment *a)
{
    double v = 0, hi = 0;
    if (k->kind == REAL || k->kind == DEGREES) {
        if (!mien__parse_f64(text, &v) || !in_range(k, v))
            return false;
        set_real(a, k->value, k->kind == DEGREES ? v * degree : v);
        return true;
    }
    char *const dash = k->kind == SPAN ? strchr(text, '-') : NULL;
    if (dash)
        *dash = '\0';
    if (!parse_whole(k, text, &v) || (dash && !parse_whole(k, dash + 1, &hi)))
        return false;
    hi = dash ? hi : v;
    if (hi < v || (k->kind == SPAN && v == 0 && hi != 0))
        return false;
    set_whole(a, k->value, v);
    if (k->kind == SPAN)
        set_whole(a, k->value + sizeof(int), hi);
    return true;
}

static mien_status parse_item(const char *item, size_t len, mien__augment *a, mien_error *err)
{
    char text[64] = "", copy[64] = "";
    if (len >= sizeof text)
        return mien__fail(err, MIEN_E_ARG, "augmentation \"%.40s...\" is too long", item);
    memcpy(text, item, len);
    if (strcmp(text, "none") == 0 || strcmp(text, "default") == 0) {
        *a = text[0] == 'n' ? mien__augment_none : mien__augment_default;
        return MIEN_OK;
    }
    char *const value = strchr(text, '=');
    if (!value)
        return mien__fail(err, MIEN_E_ARG, "augmentation \"%s\": NAME=AMOUNT, none or default expected",
                          text);
    *value = '\0';
    const key *k = NULL;
    for (size_t i = 0; i < MIEN_COUNTOF(keys); i++)
        if (strcmp(keys[i].name, text) == 0)
            k = &keys[i];
    if (!k)
        return mien__fail(
            err, MIEN_E_ARG,
            "augmentation \"%s\" is not known: flip, mirror, rotate, scale, shift, crop, brightness, "
            "contrast, saturation, hue, grey, blur, noise, jpeg, lowres, occlude",
            text);
    memcpy(copy, value + 1, strlen(value + 1) + 1);
    char *const colon = strchr(value + 1, ':');
    double p = 1;
    if (colon)
        *colon = '\0';
    if ((colon && k->chance == NO_CHANCE) || !parse_amount(k, value + 1, a) ||
        (colon && (!mien__parse_f64(colon + 1, &p) || !(p >= 0 && p <= 1))))
        return fail_range(k, copy, err);
    const bool off = k->kind >= WHOLE ? *whole_at(a, k->value) == 0 : *real_at(a, k->value) == 0;
    if (k->chance != NO_CHANCE)
        set_real(a, k->chance, off ? 0 : p);
    return MIEN_OK;
}

mien_status mien__augment_parse(const char *spec, mien__augment *ret, mien_error *err)
{
    mien__augment a = mien__augment_none;
    for (const char *s = spec; *s;) {
        const size_t len = strcspn(s, ",");
        const mien_status st = parse_item(s, len, &a, err);
        if (st)
            return st;
        s += len;
        if (*s == ',' && *++s == '\0')
            return mien__fail(err, MIEN_E_ARG, "augmentation \"%.100s\" ends with a comma", spec);
    }
    *ret = a;
    return MIEN_OK;
}

mien_status mien__augment_check(const mien__augment *a, mien_error *err)
{
    for (size_t i = 0; i < MIEN_COUNTOF(keys); i++) {
        const key *const k = &keys[i];
        double v = 0, hi = 0;
        if (k->kind == WHOLE || k->kind == SPAN) {
            v = *whole_at(a, k->value);
            hi = k->kind == SPAN ? *whole_at(a, k->value + sizeof(int)) : v;
        } else {
            v = hi = *real_at(a, k->value) / (k->kind == DEGREES ? degree : 1);
        }
        /* a float may lie an ulp above the decimal limit it was read from */
        const double give = k->kind == WHOLE || k->kind == SPAN ? 1 : 1 - 1e-7;
        const bool fits = in_range(k, v * give) && in_range(k, hi * give);
        const double p = k->chance == NO_CHANCE ? 0 : *real_at(a, k->chance);
        char text[64];
        (void)snprintf(text, sizeof text, "%g:%g", v, p);
        if (!fits || hi < v || !(p >= 0 && p <= 1))
            return fail_range(k, text, err);
    }
    return MIEN_OK;
}

/* ---- writing ---- */

/* Append the shortest decimal that, times `unit` as a float, is f; at most 15 decimals. */
static size_t put_real(char *out, size_t cap, size_t at, float f, double unit)
{
    double tens = 1, whole = 0;
    int decimals = 0;
    for (;; decimals++, tens *= 10) {
        whole = nearbyint(f / unit * tens);
        if (decimals == 15 || (float)(whole / tens * unit) == f)
            break;
    }
    const long long w = (long long)whole, t = (long long)tens;
    char text[64];
    if (decimals)
        (void)snprintf(text, sizeof text, "%lld.%0*lld", w / t, decimals, w % t);
    else
        (void)snprintf(text, sizeof text, "%lld", w);
    const int n = snprintf(out + at, cap - at, "%s", text);
    return at + (size_t)n;
}

void mien__augment_format(const mien__augment *a, char ret_spec[MIEN__AUGMENT_SPEC_BYTES])
{
    const size_t cap = MIEN__AUGMENT_SPEC_BYTES;
    size_t at = 0;
    for (size_t i = 0; i < MIEN_COUNTOF(keys) && at < cap; i++) {
        const key *const k = &keys[i];
        const bool is_whole = k->kind == WHOLE || k->kind == SPAN;
        const float p = k->chance == NO_CHANCE ? 1 : *real_at(a, k->chance);
        if (p <= 0 || (is_whole ? *whole_at(a, k->value) == 0 : *real_at(a, k->value) <= 0))
            continue;
        at += (size_t)snprintf(ret_spec + at, cap - at, "%s%s=", at ? "," : "", k->name);
        if (is_whole)
            at += (size_t)snprintf(ret_spec + at, cap - at, "%d", *whole_at(a, k->value));
        else
            at = put_real(ret_spec, cap, at, *real_at(a, k->value), k->kind == DEGREES ? degree : 1);
        if (k->kind == SPAN)
            at += (size_t)snprintf(ret_spec + at, cap - at, "-%d", *whole_at(a, k->value + sizeof(int)));
        if (k->chance == NO_CHANCE || p >= 1)
            continue;
        at += (size_t)snprintf(ret_spec + at, cap - at, ":");
        at = put_real(ret_spec, cap, at, p, 1);
    }
    if (at == 0)
        (void)snprintf(ret_spec, cap, "none");
}
