/* A removal's receipt as JSON. */
#include "gallery/gallery.h"
#include "report/text.h"
#include <string.h>

static void put(mien__text *t, const char *name, uint64_t v)
{
    mien__text_fmt(t, ",\"%s\":%llu", name, (unsigned long long)v);
}

mien_status mien_receipt_json(const mien_receipt *receipt, char *ret, size_t capacity, mien_error *err)
{
    mien__text t;
    mien__buf b = { 0 };
    if (!receipt || !ret)
        return mien__fail(err, MIEN_E_ARG, "receipt or result is NULL");
    mien__text_init(&t, 4096, err);
    mien__text_fmt(&t, "{\"gallery\":");
    mien__text_json(&t, receipt->gallery);
    mien__text_fmt(&t, ",\"person\":");
    mien__text_json(&t, receipt->person);
    put(&t, "time_ms", (uint64_t)receipt->time_ms);
    put(&t, "faces", receipt->n_faces);
    put(&t, "templates", receipt->n_templates);
    put(&t, "images", receipt->n_images);
    mien__text_fmt(&t, ",\"key_destroyed\":%s,\"verified\":%s", receipt->key_destroyed ? "true" : "false",
                   receipt->verified ? "true" : "false");
    put(&t, "bytes_searched", receipt->bytes_searched);
    mien__text_fmt(&t, ",\"do_not_enrol\":%s", receipt->do_not_enrol ? "true" : "false");
    put(&t, "audit_entry", receipt->audit_entry);
    mien__text_fmt(&t, ",\"audit_hash\":");
    mien__text_json(&t, receipt->audit_hash);
    mien__text_fmt(&t, "}");
    mien_status st = mien__text_take(&t, &b);
    if (!st && b.size >= capacity)
        st = mien__fail(err, MIEN_E_LIMIT, "a receipt takes %zu bytes, there are %zu", b.size + 1, capacity);
    if (!st) {
        memcpy(ret, b.data, b.size);
        ret[b.size] = '\0';
    }
    mien__buf_free(&b);
    return st;
}
