/* The index of found faces: what a second start of a run reads instead of searching every picture again.
 *
 * Little endian. Head: "mienidx\0", u32 version, key[32], u64 n. Then n records by name: u32 length of the
 * name with its zero, the name, i64 bytes, i64 mtime in ns, u32 width, u32 height, u8 face, and with a face
 * ten floats. Last the SHA-256 of everything before it. The key stands for the detector and the way it was
 * used; a file with another key, another version or any damage is not used, and written anew.
 */
#include "train/data_read.h"
#include "geom/geom.h"
#include <math.h>
#include <string.h>

enum {
    VERSION = 1,
    HEAD_BYTES = 8 + 4 + 32 + 8,
    DIGEST_BYTES = 32,
    FIXED_BYTES = 4 + 8 + 8 + 4 + 4 + 1,
    FACE_BYTES = MIEN_LANDMARKS * 2 * 4,
    MAX_NAME_BYTES = 1 << 15,
};
static const char magic[8] = "mienidx";
static const size_t max_file_bytes = (size_t)1 << 31;

/* ---- reading ---- */

typedef struct cursor {
    const uint8_t *p;
    size_t left;
} cursor;

static uint64_t get(cursor *c, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)c->p[i] << (8 * i);
    c->p += bytes;
    c->left -= bytes;
    return v;
}

static const char *get_name(cursor *c)
{
    const size_t len = (size_t)get(c, 4);
    if (len < 2 || len > MAX_NAME_BYTES || len > c->left)
        return NULL;
    const char *const name = (const char *)c->p;
    if (memchr(name, '\0', len) != name + len - 1)
        return NULL;
    c->p += len;
    c->left -= len;
    return name;
}

static bool get_landmarks(cursor *c, float ret[MIEN_LANDMARKS][2])
{
    if (c->left < FACE_BYTES)
        return false;
    for (int i = 0; i < MIEN_LANDMARKS * 2; i++) {
        const uint32_t bits = (uint32_t)get(c, 4);
        memcpy(&ret[i / 2][i % 2], &bits, sizeof bits);
        if (!isfinite(ret[i / 2][i % 2]))
            return false;
    }
    return true;
}

static bool get_record(cursor *c, mien__found *f)
{
    if (c->left < FIXED_BYTES)
        return false;
    f->name = get_name(c);
    if (!f->name || c->left < FIXED_BYTES - 4)
        return false;
    f->size_bytes = (int64_t)get(c, 8);
    f->mtime_ns = (int64_t)get(c, 8);
    const uint64_t w = get(c, 4), h = get(c, 4), face = get(c, 1);
    if (w < 1 || h < 1 || w > MIEN__MAX_SIDE_PX || h > MIEN__MAX_SIDE_PX || face > 1)
        return false;
    f->width = (int32_t)w;
    f->height = (int32_t)h;
    f->face = face != 0;
    return !f->face || get_landmarks(c, f->landmarks);
}

static mien_status check_head(cursor *c, const uint8_t key[32], uint64_t *ret_n, mien_error *err)
{
    if (c->left < HEAD_BYTES + DIGEST_BYTES || memcmp(c->p, magic, sizeof magic) != 0)
        return mien__fail(err, MIEN_E_EVAL_DATA, "not an index of faces");
    const uint8_t *const all = c->p;
    const size_t size = c->left - DIGEST_BYTES;
    c->p += sizeof magic;
    c->left = size - sizeof magic;
    const unsigned version = (unsigned)get(c, 4);
    if (version != VERSION)
        return mien__fail(err, MIEN_E_EVAL_DATA, "index of faces of version %u, this is %d", version,
                          VERSION);
    if (memcmp(c->p, key, 32) != 0)
        return mien__fail(err, MIEN_E_EVAL_DATA, "index of faces made with another detector");
    c->p += 32;
    c->left -= 32;
    uint8_t digest[DIGEST_BYTES];
    mien__sha256(all, size, digest);
    if (memcmp(digest, all + size, sizeof digest) != 0)
        return mien__fail(err, MIEN_E_DIGEST, "index of faces: its checksum does not match");
    *ret_n = get(c, 8);
    if (*ret_n > c->left / (FIXED_BYTES + 2))
        return mien__fail(err, MIEN_E_EVAL_DATA, "index of faces: too short for %llu pictures",
                          (unsigned long long)*ret_n);
    return MIEN_OK;
}

mien_status mien__index_parse(const uint8_t *data, size_t size, const uint8_t key[32], mien__index *ret,
                              mien_error *err)
{
    cursor c = { data, size };
    uint64_t n = 0;
    const mien_status st = check_head(&c, key, &n, err);
    if (st)
        return st;
    mien__found *const v = mien_alloc_array_zero((size_t)n, sizeof *v);
    if (!v)
        return mien__nomem(err, (size_t)n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        if (!get_record(&c, &v[i]) || (i > 0 && strcmp(v[i - 1].name, v[i].name) >= 0)) {
            mien_free(v);
            return mien__fail(err, MIEN_E_EVAL_DATA, "index of faces: record %zu makes no sense", i);
        }
    }
    if (c.left != 0) {
        mien_free(v);
        return mien__fail(err, MIEN_E_EVAL_DATA, "index of faces: %zu bytes too many", c.left);
    }
    *ret = (mien__index){ v, (size_t)n };
    return MIEN_OK;
}

const mien__found *mien__index_find(const mien__index *x, const char *name)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(x->v[mid].name, name);
        if (order == 0)
            return &x->v[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

void mien__index_free(mien__index *x)
{
    mien_free(x->v);
    *x = (mien__index){ NULL, 0 };
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static mien_status append_record(const mien__found *f, mien__buf *ret, mien_error *err)
{
    const size_t len = strlen(f->name) + 1;
    uint8_t head[4], rest[FIXED_BYTES - 4 + FACE_BYTES], *p = rest;
    put(head, len, 4);
    p = put(p, (uint64_t)f->size_bytes, 8);
    p = put(p, (uint64_t)f->mtime_ns, 8);
    p = put(p, (uint64_t)f->width, 4);
    p = put(p, (uint64_t)f->height, 4);
    p = put(p, f->face, 1);
    for (int i = 0; i < MIEN_LANDMARKS * 2 && f->face; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &f->landmarks[i / 2][i % 2], sizeof bits);
        p = put(p, bits, 4);
    }
    mien_status st = mien__buf_append(ret, head, sizeof head, err);
    if (!st)
        st = mien__buf_append(ret, f->name, len, err);
    if (!st)
        st = mien__buf_append(ret, rest, (size_t)(p - rest), err);
    return st;
}

mien_status mien__index_format(const mien__found *v, size_t n, const uint8_t key[32], mien__buf *ret,
                               mien_error *err)
{
    uint8_t head[HEAD_BYTES], digest[DIGEST_BYTES];
    mien__buf_init(ret, max_file_bytes);
    memcpy(head, magic, sizeof magic);
    put(head + 8, VERSION, 4);
    memcpy(head + 12, key, 32);
    put(head + 44, n, 8);
    mien_status st = mien__buf_append(ret, head, sizeof head, err);
    for (size_t i = 0; i < n && !st; i++)
        st = append_record(&v[i], ret, err);
    if (!st) {
        mien__sha256(ret->data, ret->size, digest);
        st = mien__buf_append(ret, digest, sizeof digest, err);
    }
    if (st)
        mien__buf_free(ret);
    return st;
}
