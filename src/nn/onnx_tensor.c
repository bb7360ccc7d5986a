/* Tensors and attributes of ONNX files.
 *
 * Element types become float32 or int64: float16, bfloat16 and double are converted, the smaller integers and
 * bool widened. Data come from raw_data (little endian) or from the typed list of their type; the count must
 * match the shape exactly. External data are refused: a model is one file.
 */
#include "nn/onnx_read.h"
#include <string.h>

/* TensorProto.DataType */
enum {
    T_FLOAT = 1,
    T_UINT8 = 2,
    T_INT8 = 3,
    T_UINT16 = 4,
    T_INT16 = 5,
    T_INT32 = 6,
    T_INT64 = 7,
    T_BOOL = 9,
    T_FLOAT16 = 10,
    T_DOUBLE = 11,
    T_UINT32 = 12,
    T_BFLOAT16 = 16,
};

mien__dtype mien__onnx_dtype(int32_t elem_type)
{
    switch (elem_type) {
    case T_FLOAT:
    case T_FLOAT16:
    case T_BFLOAT16:
    case T_DOUBLE:
        return MIEN__F32;
    case T_UINT8:
    case T_INT8:
    case T_UINT16:
    case T_INT16:
    case T_INT32:
    case T_UINT32:
    case T_INT64:
    case T_BOOL:
        return MIEN__I64;
    default:
        return (mien__dtype)0;
    }
}

static size_t raw_bytes(int32_t elem_type)
{
    switch (elem_type) {
    case T_UINT8:
    case T_INT8:
    case T_BOOL:
        return 1;
    case T_UINT16:
    case T_INT16:
    case T_FLOAT16:
    case T_BFLOAT16:
        return 2;
    case T_INT64:
    case T_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

static float bfloat_to_float(uint16_t v)
{
    const uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float float_at(const uint8_t *p, int32_t type)
{
    uint16_t half = 0;
    double d = 0.0;
    switch (type) {
    case T_DOUBLE:
        memcpy(&d, p, sizeof d);
        return (float)d;
    case T_FLOAT16:
        memcpy(&half, p, sizeof half);
        return mien__half_to_float(half);
    default:
        memcpy(&half, p, sizeof half);
        return bfloat_to_float(half);
    }
}

static int64_t int_at(const uint8_t *p, int32_t type)
{
    int16_t i16 = 0;
    uint16_t u16 = 0;
    int32_t i32 = 0;
    uint32_t u32 = 0;
    switch (type) {
    case T_UINT8:
        return *p;
    case T_BOOL:
        return *p != 0;
    case T_INT8:
        return (int8_t)*p;
    case T_INT16:
        memcpy(&i16, p, sizeof i16);
        return i16;
    case T_UINT16:
        memcpy(&u16, p, sizeof u16);
        return u16;
    case T_UINT32:
        memcpy(&u32, p, sizeof u32);
        return u32;
    default:
        memcpy(&i32, p, sizeof i32);
        return i32;
    }
}

static void convert_raw(const uint8_t *src, int32_t type, void *dst, size_t n)
{
    const size_t item = raw_bytes(type);
    if (type == T_FLOAT || type == T_INT64) {
        if (n)
            memcpy(dst, src, n * item);
    } else if (mien__onnx_dtype(type) == MIEN__F32) {
        for (size_t i = 0; i < n; i++)
            ((float *)dst)[i] = float_at(src + i * item, type);
    } else {
        for (size_t i = 0; i < n; i++)
            ((int64_t *)dst)[i] = int_at(src + i * item, type);
    }
}

/* Elements held in the list of the tensor's type. */
static size_t listed(const MienOnnx__Tensor *t, int32_t type)
{
    switch (type) {
    case T_FLOAT:
        return t->n_float_data;
    case T_DOUBLE:
        return t->n_double_data;
    case T_INT64:
        return t->n_int64_data;
    case T_UINT32:
        return 0; /* uint64_data: not produced by exporters */
    default:
        return t->n_int32_data; /* also float16, whose bits lie in the lower half */
    }
}

static void convert_list(const MienOnnx__Tensor *t, int32_t type, void *dst, size_t n)
{
    float *const f = dst;
    int64_t *const v = dst;
    for (size_t i = 0; i < n; i++)
        switch (type) {
        case T_FLOAT:
            f[i] = t->float_data[i];
            break;
        case T_DOUBLE:
            f[i] = (float)t->double_data[i];
            break;
        case T_FLOAT16:
            f[i] = mien__half_to_float((uint16_t)t->int32_data[i]);
            break;
        case T_BFLOAT16:
            f[i] = bfloat_to_float((uint16_t)t->int32_data[i]);
            break;
        case T_INT64:
            v[i] = t->int64_data[i];
            break;
        default:
            v[i] = t->int32_data[i];
        }
}

/* Check type, place and shape; on success the number of elements. */
static bool check_tensor(mien__import *imp, const MienOnnx__Tensor *t, const char *name, size_t *ret_n)
{
    const int32_t type = t->data_type;
    if (t->data_location != 0 || t->n_external_data) {
        (void)mien__import_fail(imp, MIEN_E_UNSUPPORTED,
                                "tensor '%.60s' lies in another file; save the model with its weights inside",
                                name);
        return false;
    }
    if (t->has_segment || !mien__onnx_dtype(type)) {
        (void)mien__import_fail(imp, MIEN_E_UNSUPPORTED,
                                "tensor '%.60s' has element type %d, which mien cannot read", name,
                                (int)type);
        return false;
    }
    if (t->n_dims > MIEN_MAX_RANK) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_SHAPE, "tensor '%.60s' has %zu dimensions, the limit is %d",
                                name, t->n_dims, (int)MIEN_MAX_RANK);
        return false;
    }
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "tensor '%.60s' has a size of %lld", name,
                                    (long long)t->dims[i]);
            return false;
        }
    const int64_t n = mien__elems((int)t->n_dims, t->dims);
    if (n < 0) {
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "tensor '%.60s' has too many elements", name);
        return false;
    }
    const size_t held = t->has_raw_data ? t->raw_data.len / raw_bytes(type) : listed(t, type);
    if (held != (size_t)n || (t->has_raw_data && t->raw_data.len % raw_bytes(type))) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT,
                                "tensor '%.60s' needs %lld elements, the file holds %zu", name, (long long)n,
                                held);
        return false;
    }
    *ret_n = (size_t)n;
    return true;
}

uint32_t mien__onnx_tensor(mien__import *imp, const MienOnnx__Tensor *t, uint32_t value)
{
    size_t n = 0;
    void *data = NULL;
    const char *const name = t->name ? t->name : "";
    if (imp->status != MIEN_OK || !check_tensor(imp, t, name, &n))
        return MIEN__NO_VALUE;
    value = mien__import_const(imp, value, mien__onnx_dtype(t->data_type), (int)t->n_dims, t->dims, &data);
    if (value == MIEN__NO_VALUE)
        return value;
    if (t->has_raw_data)
        convert_raw(t->raw_data.data, t->data_type, data, n);
    else
        convert_list(t, t->data_type, data, n);
    return value;
}

/* ---- attributes and operands ---- */

const MienOnnx__Attribute *mien__onnx_attr(const mien__onnx_node *n, const char *name)
{
    for (size_t i = 0; i < n->pb->n_attribute; i++)
        if (n->pb->attribute[i]->name && strcmp(n->pb->attribute[i]->name, name) == 0)
            return n->pb->attribute[i];
    return NULL;
}

int64_t mien__onnx_int(const mien__onnx_node *n, const char *name, int64_t fallback)
{
    const MienOnnx__Attribute *const a = mien__onnx_attr(n, name);
    return a ? a->i : fallback;
}

double mien__onnx_float(const mien__onnx_node *n, const char *name, double fallback)
{
    const MienOnnx__Attribute *const a = mien__onnx_attr(n, name);
    return a ? (double)a->f : fallback;
}

bool mien__onnx_str_is(const mien__onnx_node *n, const char *name, const char *fallback, const char *value)
{
    const MienOnnx__Attribute *const a = mien__onnx_attr(n, name);
    if (!a)
        return strcmp(fallback, value) == 0;
    return a->s.len == strlen(value) && (a->s.len == 0 || memcmp(a->s.data, value, a->s.len) == 0);
}

const int64_t *mien__onnx_ints(const mien__onnx_node *n, const char *name, size_t *ret_n)
{
    const MienOnnx__Attribute *const a = mien__onnx_attr(n, name);
    *ret_n = a ? a->n_ints : 0;
    return a && a->n_ints ? a->ints : NULL;
}

uint32_t mien__onnx_in(const mien__onnx_node *n, uint32_t i)
{
    return i < n->n_in ? n->in[i] : MIEN__NO_VALUE;
}

uint32_t mien__onnx_out(const mien__onnx_node *n, uint32_t i)
{
    return i < n->n_out ? n->out[i] : MIEN__NO_VALUE;
}

const int64_t *mien__onnx_ints_or_input(mien__onnx_node *n, const char *attr, uint32_t input, size_t *ret_n)
{
    const int64_t *v = mien__onnx_ints(n, attr, ret_n);
    if (v || mien__onnx_in(n, input) == MIEN__NO_VALUE)
        return v;
    int64_t count = 0;
    v = mien__import_i64(n->imp, n->in[input], attr, &count);
    *ret_n = (size_t)count;
    return v;
}

void mien__onnx_emit(mien__onnx_node *n, const mien__draft *d)
{
    (void)mien__import_emit1(n->imp, d, mien__onnx_out(n, 0));
}
