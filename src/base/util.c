/* Log lines, the clock, random numbers, numbers in text, SHA-256. */
#include "base/base.h"
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- log ---- */

static mien_log_fn log_fn;
static void *log_user;

void mien_set_log(mien_log_fn fn, void *user)
{
    log_fn = fn;
    log_user = user;
}

void mien__log(mien_log_level level, const char *fmt, ...)
{
    if (!log_fn)
        return;
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    log_fn(level, line, log_user);
}

/* ---- time ---- */

double mien__now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- random ---- */

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void mien__rng_seed(mien__rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t mien__rng_u64(mien__rng *r)
{
    const uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    const uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

double mien__rng_unit(mien__rng *r)
{
    return (double)(mien__rng_u64(r) >> 11) * 0x1p-53;
}

/* ---- numbers in text ---- */

bool mien__parse_i64(const char *s, int64_t *ret)
{
    const bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    if (*s == '\0')
        return false;
    uint64_t v = 0;
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        const uint64_t digit = (uint64_t)(*s - '0');
        if (v > (limit - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Decimal digits are gathered as an integer and scaled once: exact for up to 18 digits and modest exponents,
 * within an ulp or two beyond. */
bool mien__parse_f64(const char *s, double *ret)
{
    const bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    uint64_t mantissa = 0;
    int scale = 0, digits = 0;
    bool point = false;
    for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        digits++;
        if (mantissa < 100000000000000000u) {
            mantissa = mantissa * 10 + (uint64_t)(*s - '0');
            scale -= point;
        } else {
            scale += !point;
        }
    }
    if (digits == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        int64_t e = 0;
        if (!mien__parse_i64(s + 1, &e) || e > 9999 || e < -9999)
            return false;
        scale += (int)e;
        s += strlen(s);
    }
    if (*s != '\0')
        return false;
    double v = (double)mantissa;
    if (mantissa != 0)
        v = scale < -300 ? v * pow(10, scale + 300) * 1e-300
                         : (scale < 0 ? v / pow(10, -scale) : v * pow(10, scale));
    if (!isfinite(v))
        return false;
    *ret = negative ? -v : v;
    return true;
}

/* ---- SHA-256 ---- */

void mien__sha256(const void *data, size_t bytes, uint8_t ret_digest[32])
{
    crypto_hash_sha256(ret_digest, data, bytes);
}

void mien__sha256_parts(const mien__file_part *parts, size_t n, uint8_t ret_digest[32])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha256_update(&state, parts[i].data, parts[i].bytes);
    crypto_hash_sha256_final(&state, ret_digest);
}

void mien__sha256_hex(const void *data, size_t bytes, char ret_hex[65])
{
    uint8_t digest[32];
    mien__sha256(data, bytes, digest);
    sodium_bin2hex(ret_hex, 65, digest, sizeof digest);
}
