/* Architectures, built node by node.
 *
 * mobilefacenet: Chen, Liu, Gao, Han, "MobileFaceNets", CCBR 2018, table 1: a 3x3 convolution of stride 2, a
 * depthwise one, inverted residual bottlenecks (64 x5, 128 x7, 128 x3), a 1x1 convolution to 512, a global
 * depthwise convolution of 7x7 and a linear layer to the embedding, batch normalisation behind each, PReLU
 * where the paper has it. yunet: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023, the
 * larger variant: pairs of 1x1 and depthwise 3x3 convolutions, three strides, a small feature pyramid, one
 * head for each of class, objectness, box and landmarks per stride; with norm=0 biases alone, as such a
 * network is once its normalisation is folded in: what follows one in parts (blockwise) then has its very
 * functions in reach, and no step depends on the rest of its batch. Weights start as He 2015 says (fan out,
 * so that depthwise layers start well), normalisation at one, slopes at 0.25.
 */
#include "train/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct builder {
    mien__graph *g;
    mien__rng rng;
    bool ok; /* false once memory was short */
    int serial;
    const char *stage; /* prefix of names */
    bool norm;         /* yunet: batch normalisation */
} builder;

static double normal(mien__rng *r) /* Box, Muller 1958 */
{
    const double u = 1.0 - mien__rng_unit(r), v = mien__rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

static const char *named(builder *b, const char *what, char text[96])
{
    snprintf(text, 96, "%s.%s", b->stage, what);
    return text;
}

/* A constant of `dims`, filled with `fill` or, with a positive deviation, normally distributed. */
static uint32_t constant(builder *b, const char *name, int rank, const int64_t *dims, double fill,
                         double deviation)
{
    uint32_t at = 0;
    const int64_t n = mien__elems(rank, dims);
    float *data = n > 0 ? mien__arena_alloc_array(b->g->arena, (size_t)n, sizeof *data) : NULL;
    if (!data) {
        b->ok = false;
        return 0;
    }
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)(deviation > 0 ? deviation * normal(&b->rng) : fill);
    b->ok = b->ok && mien__graph_add_value(b->g, name, MIEN__F32, rank, dims, data, &at);
    return at;
}

static uint32_t node(builder *b, mien__op op, const char *name, const uint32_t *in, uint32_t n_in,
                     mien__node **ret)
{
    uint32_t out = 0;
    mien__node *made = NULL;
    b->ok = b->ok && mien__graph_add_value(b->g, name, MIEN__F32, -1, NULL, NULL, &out) &&
            mien__graph_add_node(b->g, op, name, in, n_in, &out, 1, &made);
    if (ret)
        *ret = made;
    return out;
}

typedef struct layer {
    int ic, oc, kernel, stride, pad, groups;
    bool bias;
} layer;

static uint32_t conv(builder *b, uint32_t x, layer l, const char *what)
{
    char name[96], part[96];
    const int64_t dims[4] = { l.oc, l.ic / l.groups, l.kernel, l.kernel }, k[2] = { l.kernel, l.kernel },
                  s[2] = { l.stride, l.stride }, pad[4] = { l.pad, l.pad, l.pad, l.pad };
    uint32_t in[3] = { x, 0, 0 };
    mien__node *n = NULL;
    named(b, what, name);
    snprintf(part, sizeof part, "%.80s.w", name);
    const double fan_out = (double)l.oc / l.groups * l.kernel * l.kernel;
    in[1] = constant(b, part, 4, dims, 0.0, sqrt(2.0 / fan_out));
    snprintf(part, sizeof part, "%.80s.b", name);
    if (l.bias)
        in[2] = constant(b, part, 1, dims, 0.0, 0.0);
    const uint32_t y = node(b, MIEN__OP_Conv, name, in, l.bias ? 3 : 2, &n);
    b->ok = b->ok && mien__node_set_ints(b->g, n, MIEN__ATTR_KERNEL, k, 2) &&
            mien__node_set_ints(b->g, n, MIEN__ATTR_STRIDE, s, 2) &&
            mien__node_set_ints(b->g, n, MIEN__ATTR_PAD, pad, 4) &&
            mien__node_set_int(b->g, n, MIEN__ATTR_GROUP, l.groups);
    return y;
}

static uint32_t batch_norm(builder *b, uint32_t x, int c, double scale, const char *what)
{
    static const char *const parts[4] = { "scale", "shift", "mean", "var" };
    char name[96], part[112];
    const int64_t dims[1] = { c };
    const double fill[4] = { scale, 0.0, 0.0, 1.0 };
    uint32_t in[5] = { x };
    mien__node *n = NULL;
    named(b, what, name);
    for (int i = 0; i < 4; i++) {
        snprintf(part, sizeof part, "%s.%s", name, parts[i]);
        in[i + 1] = constant(b, part, 1, dims, fill[i], 0.0);
    }
    const uint32_t y = node(b, MIEN__OP_BatchNorm, name, in, 5, &n);
    b->ok = b->ok && mien__node_set_float(b->g, n, MIEN__ATTR_EPSILON, 1e-5);
    return y;
}

static uint32_t prelu(builder *b, uint32_t x, int c, const char *what)
{
    char name[96], part[112];
    const int64_t dims[1] = { c };
    named(b, what, name);
    snprintf(part, sizeof part, "%s.slope", name);
    const uint32_t in[2] = { x, constant(b, part, 1, dims, 0.25, 0.0) };
    return node(b, MIEN__OP_PRelu, name, in, 2, NULL);
}

/* ---- MobileFaceNet ---- */

/* Convolution, normalisation and, with act, PReLU. */
static uint32_t unit(builder *b, uint32_t x, layer l, bool act, const char *what)
{
    char part[64];
    snprintf(part, sizeof part, "%s.conv", what);
    x = conv(b, x, l, part);
    snprintf(part, sizeof part, "%s.bn", what);
    x = batch_norm(b, x, l.oc, 1.0, part);
    snprintf(part, sizeof part, "%s.act", what);
    return act ? prelu(b, x, l.oc, part) : x;
}

static uint32_t bottleneck(builder *b, uint32_t x, int ic, int hidden, int oc, int stride)
{
    char name[96];
    uint32_t y = unit(b, x, (layer){ ic, hidden, 1, 1, 0, 1, false }, true, "expand");
    y = unit(b, y, (layer){ hidden, hidden, 3, stride, 1, hidden, false }, true, "depth");
    y = unit(b, y, (layer){ hidden, oc, 1, 1, 0, 1, false }, false, "project");
    const uint32_t in[2] = { x, y };
    return stride == 1 && ic == oc ? node(b, MIEN__OP_Add, named(b, "sum", name), in, 2, NULL) : y;
}

static int scaled(int channels, double width)
{
    const int c = (int)lround(channels * width / 16.0) * 16;
    return c < 16 ? 16 : c;
}

static uint32_t mobilefacenet(builder *b, uint32_t x, double width, int embed)
{
    static const struct {
        int t, c, n, s;
    } rows[] = { { 2, 64, 5, 2 }, { 4, 128, 1, 2 }, { 2, 128, 6, 1 }, { 4, 128, 1, 2 }, { 2, 128, 2, 1 } };
    char stage[32];
    int c = scaled(64, width), at = 0;
    const int last = scaled(512, width > 1.0 ? width : 1.0);
    b->stage = "stem";
    x = unit(b, x, (layer){ 3, c, 3, 2, 1, 1, false }, true, "first");
    x = unit(b, x, (layer){ c, c, 3, 1, 1, c, false }, true, "depth");
    for (size_t r = 0; r < MIEN_COUNTOF(rows); r++)
        for (int i = 0; i < rows[r].n; i++) {
            snprintf(stage, sizeof stage, "block%d", at++);
            b->stage = stage;
            const int oc = scaled(rows[r].c, width);
            x = bottleneck(b, x, c, rows[r].t * c, oc, i == 0 ? rows[r].s : 1);
            c = oc;
        }
    b->stage = "head";
    x = unit(b, x, (layer){ c, last, 1, 1, 0, 1, false }, true, "mix");
    x = unit(b, x, (layer){ last, last, 7, 1, 0, last, false }, false, "global");
    x = unit(b, x, (layer){ last, embed, 1, 1, 0, 1, false }, false, "embed");
    mien__node *n = NULL;
    const uint32_t flat = node(b, MIEN__OP_Flatten, "embedding", &x, 1, &n);
    b->ok = b->ok && mien__node_set_int(b->g, n, MIEN__ATTR_AXIS, 1);
    return flat;
}

/* ---- YuNet ---- */

/* 1x1, then depthwise 3x3. The bias between them is seen through the zeros around the map: no bias behind
 * could take its place. */
static uint32_t pair(builder *b, uint32_t x, int ic, int oc, bool bias, const char *what)
{
    char part[64];
    snprintf(part, sizeof part, "%s.point", what);
    x = conv(b, x, (layer){ ic, oc, 1, 1, 0, 1, true }, part);
    snprintf(part, sizeof part, "%s.depth", what);
    return conv(b, x, (layer){ oc, oc, 3, 1, 1, oc, bias }, part);
}

static uint32_t active_pair(builder *b, uint32_t x, int ic, int oc, const char *what)
{
    char part[64], name[96];
    x = pair(b, x, ic, oc, !b->norm, what);
    if (b->norm) {
        snprintf(part, sizeof part, "%s.bn", what);
        x = batch_norm(b, x, oc, 1.0, part);
    }
    snprintf(part, sizeof part, "%s.act", what);
    return node(b, MIEN__OP_Relu, named(b, part, name), &x, 1, NULL);
}

static uint32_t halve(builder *b, uint32_t x, const char *what)
{
    char name[96];
    const int64_t k[2] = { 2, 2 };
    mien__node *n = NULL;
    const uint32_t y = node(b, MIEN__OP_MaxPool, named(b, what, name), &x, 1, &n);
    b->ok = b->ok && mien__node_set_ints(b->g, n, MIEN__ATTR_KERNEL, k, 2) &&
            mien__node_set_ints(b->g, n, MIEN__ATTR_STRIDE, k, 2);
    return y;
}

/* small doubled, plus large */
static uint32_t merge(builder *b, uint32_t small, uint32_t large, const char *what)
{
    char name[96], part[112];
    const int64_t four[1] = { 4 };
    float *scales = mien__arena_alloc_array(b->g->arena, 4, sizeof *scales);
    uint32_t in[2] = { small, 0 };
    mien__node *n = NULL;
    named(b, what, name);
    if (!scales) {
        b->ok = false;
        return 0;
    }
    scales[0] = scales[1] = 1.0f;
    scales[2] = scales[3] = 2.0f;
    snprintf(part, sizeof part, "%s.scales", name);
    b->ok = b->ok && mien__graph_add_value(b->g, part, MIEN__F32, 1, four, scales, &in[1]);
    snprintf(part, sizeof part, "%s.up", name);
    in[0] = node(b, MIEN__OP_Resize, part, in, 2, &n);
    b->ok = b->ok && mien__node_set_int(b->g, n, MIEN__ATTR_MODE, 0) &&
            mien__node_set_int(b->g, n, MIEN__ATTR_COORD, MIEN__COORD_ASYMMETRIC) &&
            mien__node_set_int(b->g, n, MIEN__ATTR_ROUND, MIEN__ROUND_FLOOR) &&
            mien__node_set_int(b->g, n, MIEN__ATTR_SIZES, 0);
    in[1] = large;
    return node(b, MIEN__OP_Add, name, in, 2, NULL);
}

static void yunet(builder *b, uint32_t x, uint32_t *outputs)
{
    static const struct {
        const char *name;
        int c;
    } heads[4] = { { "cls", 1 }, { "obj", 1 }, { "bbox", 4 }, { "kps", 10 } };
    uint32_t level[3] = { 0, 0, 0 };
    char text[32];
    b->stage = "stem";
    x = conv(b, x, (layer){ 3, 16, 3, 2, 1, 1, !b->norm }, "first.conv");
    if (b->norm)
        x = batch_norm(b, x, 16, 1.0, "first.bn");
    x = node(b, MIEN__OP_Relu, "stem.first.act", &x, 1, NULL);
    x = active_pair(b, x, 16, 16, "second");
    b->stage = "body";
    x = active_pair(b, halve(b, x, "half0"), 16, 16, "a0");
    x = active_pair(b, x, 16, 64, "a1");
    x = active_pair(b, active_pair(b, x, 64, 64, "b0"), 64, 64, "b1");
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "half%d", i + 1);
        x = halve(b, x, text);
        snprintf(text, sizeof text, "c%d", 2 * i);
        x = active_pair(b, x, 64, 64, text);
        snprintf(text, sizeof text, "c%d", 2 * i + 1);
        level[i] = x = active_pair(b, x, 64, 64, text);
    }
    b->stage = "pyramid";
    level[2] = active_pair(b, level[2], 64, 64, "p2");
    level[1] = active_pair(b, merge(b, level[2], level[1], "m1"), 64, 64, "p1");
    level[0] = active_pair(b, merge(b, level[1], level[0], "m0"), 64, 64, "p0");
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "head%d", 8 << i);
        b->stage = text;
        const uint32_t shared = active_pair(b, level[i], 64, 64, "shared");
        for (int h = 0; h < 4; h++) {
            const uint32_t at = outputs[h * 3 + i] = pair(b, shared, 64, heads[h].c, true, heads[h].name);
            char name[32];
            snprintf(name, sizeof name, "%s_%d", heads[h].name, 8 << i);
            const char *kept = b->ok ? mien__arena_strndup(b->g->arena, name, strlen(name)) : NULL;
            b->ok = kept != NULL;
            if (b->ok)
                b->g->values[at].name = kept;
        }
    }
}

/* A convolution's bias so that faces, which are rare, start with a low probability (Lin 2017, section 4.1).
 */
static void rare_at_first(mien__graph *g, uint32_t output)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].outputs[0] == output && g->nodes[i].n_inputs > 2)
            ((float *)(uintptr_t)g->values[g->nodes[i].inputs[2]].data)[0] = -4.6f; /* ln(0.01 / 0.99) */
}

static bool finish_map(mien__graph *g, uint32_t *output, bool sigmoid)
{
    static const int64_t perm[4] = { 0, 2, 3, 1 };
    const char *name = g->values[*output].name;
    char part[64];
    mien__node *n = NULL;
    uint32_t turned = 0, rows = 0, shape = 0, last = 0;
    const int64_t three[1] = { 3 };
    int64_t *dims = mien__arena_alloc_array(g->arena, 3, sizeof *dims);
    if (!dims)
        return false;
    const int64_t c = strncmp(name, "bbox", 4) == 0 ? 4 : strncmp(name, "kps", 3) == 0 ? 10 : 1;
    dims[0] = 0; /* as it is */
    dims[1] = -1;
    dims[2] = c;
    snprintf(part, sizeof part, "%.40s.turned", name);
    if (!mien__graph_add_value(g, part, MIEN__F32, -1, NULL, NULL, &turned) ||
        !mien__graph_add_node(g, MIEN__OP_Transpose, part, output, 1, &turned, 1, &n) ||
        !mien__node_set_ints(g, n, MIEN__ATTR_PERM, perm, 4))
        return false;
    snprintf(part, sizeof part, "%.40s.shape", name);
    if (!mien__graph_add_value(g, part, MIEN__I64, 1, three, dims, &shape))
        return false;
    const uint32_t in[2] = { turned, shape };
    snprintf(part, sizeof part, "%.40s.rows", name);
    if (!mien__graph_add_value(g, sigmoid ? part : name, MIEN__F32, -1, NULL, NULL, &rows) ||
        !mien__graph_add_node(g, MIEN__OP_Reshape, part, in, 2, &rows, 1, &n))
        return false;
    last = rows;
    if (sigmoid && (!mien__graph_add_value(g, name, MIEN__F32, -1, NULL, NULL, &last) ||
                    !mien__graph_add_node(g, MIEN__OP_Sigmoid, name, &rows, 1, &last, 1, &n)))
        return false;
    snprintf(part, sizeof part, "%.40s.map", name);
    const char *kept = mien__arena_strndup(g->arena, part, strlen(part));
    if (!kept)
        return false;
    g->values[*output].name = kept;
    *output = last;
    return true;
}

mien_status mien__arch_yunet_finish(mien__graph *g, mien_error *err)
{
    uint32_t outputs[12];
    if (g->n_outputs != MIEN_COUNTOF(outputs))
        return mien__fail(err, MIEN_E_MODEL_SHAPE, "a YuNet has 12 output maps, this network %u",
                          (unsigned)g->n_outputs);
    memcpy(outputs, g->outputs, sizeof outputs);
    for (size_t i = 0; i < MIEN_COUNTOF(outputs); i++)
        if (!finish_map(g, &outputs[i], i < 6))
            return mien__nomem(err, sizeof outputs);
    return mien__graph_set_io(g, g->inputs, g->n_inputs, outputs, MIEN_COUNTOF(outputs))
               ? MIEN_OK
               : mien__nomem(err, sizeof outputs);
}

/* ---- by description ---- */

typedef struct arch_opts {
    bool is_yunet;
    double embed, width, norm;
} arch_opts;

static mien_status parse(const char *text, arch_opts *o, mien_error *err)
{
    const char *colon = strchr(text, ':');
    const size_t name = colon ? (size_t)(colon - text) : strlen(text);
    *o = (arch_opts){ .embed = 256, .width = 1.0, .norm = 1.0 };
    o->is_yunet = name == 5 && strncmp(text, "yunet", 5) == 0;
    if (!o->is_yunet && !(name == 13 && strncmp(text, "mobilefacenet", 13) == 0))
        return mien__fail(err, MIEN_E_ARG, "no architecture '%.60s': there are mobilefacenet and yunet",
                          text);
    for (const char *at = colon ? colon + 1 : ""; *at;) {
        const size_t len = strcspn(at, ",");
        char part[64] = "";
        double *to = NULL;
        memcpy(part, at, len < sizeof part ? len : sizeof part - 1);
        char *equals = strchr(part, '=');
        if (equals && !o->is_yunet && strncmp(part, "embed=", 6) == 0)
            to = &o->embed;
        if (equals && !o->is_yunet && strncmp(part, "width=", 6) == 0)
            to = &o->width;
        if (equals && o->is_yunet && strncmp(part, "norm=", 5) == 0)
            to = &o->norm;
        if (!to || !mien__parse_f64(equals + 1, to))
            return mien__fail(err, MIEN_E_ARG,
                              "architecture option '%s': mobilefacenet has embed=N and width=X, yunet norm=0",
                              part);
        at += len + (at[len] == ',');
    }
    if (!(o->embed >= 16 && o->embed <= 2048) || !(o->width >= 0.1 && o->width <= 4.0))
        return mien__fail(err, MIEN_E_ARG, "embed must be 16 to 2048 and width 0.1 to 4, not %g and %g",
                          o->embed, o->width);
    if (!(o->norm >= 0 && o->norm <= 1) || (o->norm > 0 && o->norm < 1))
        return mien__fail(err, MIEN_E_ARG, "norm must be 0 or 1, not %g", o->norm);
    return MIEN_OK;
}

static void describe(const arch_opts *o, mien_model_info *info)
{
    static const float arcface[MIEN_LANDMARKS][2] = { { 38.2946f, 51.6963f },
                                                      { 73.5318f, 51.5014f },
                                                      { 56.0252f, 71.7366f },
                                                      { 41.5493f, 92.3655f },
                                                      { 70.7299f, 92.2041f } };
    info->color_order = MIEN_RGB;
    info->normalize = MIEN_NORM_MEAN_SCALE;
    info->input_multiple = o->is_yunet ? 32 : 1;
    info->task = o->is_yunet ? MIEN_TASK_DETECT : MIEN_TASK_EMBED;
    info->input_width = info->input_height = o->is_yunet ? 0 : 112;
    for (int i = 0; i < 3; i++) {
        /* a detector's zeros around the picture are black, as where a picture is filled up to its input */
        info->mean[i] = o->is_yunet ? 0.0f : 127.5f;
        info->scale[i] = 1.0f / 127.5f;
    }
    if (o->is_yunet) {
        info->decoder = "yunet";
        info->min_face_px = 14.0f;
        info->max_face_frac = 1.0f;
        return;
    }
    info->crop = MIEN_CROP_SIMILARITY;
    info->embedding_len = (int)o->embed;
    memcpy(info->landmarks, arcface, sizeof arcface);
}

mien_status mien__arch_build(const char *text, uint64_t seed, mien__graph **ret, mien_model_info *ret_info,
                             mien_error *err)
{
    arch_opts o;
    builder b = { .g = NULL, .ok = true, .stage = "" };
    uint32_t x = 0, outputs[12] = { 0 };
    mien_status st = parse(text, &o, err);
    if (st)
        return st;
    if (!(b.g = mien__graph_new()))
        return mien__nomem(err, sizeof *b.g);
    b.norm = o.norm > 0;
    mien__rng_seed(&b.rng, seed);
    const int64_t side = o.is_yunet ? -1 : 112, dims[4] = { -1, 3, side, side };
    b.ok = mien__graph_add_value(b.g, "input", MIEN__F32, 4, dims, NULL, &x);
    if (o.is_yunet)
        yunet(&b, x, outputs);
    else
        outputs[0] = mobilefacenet(&b, x, o.width, (int)o.embed);
    b.ok = b.ok && mien__graph_set_io(b.g, &x, 1, outputs, o.is_yunet ? 12 : 1);
    for (int i = 0; b.ok && o.is_yunet && i < 6; i++)
        rare_at_first(b.g, outputs[i]);
    st = b.ok ? mien__graph_check(b.g, err) : mien__nomem(err, 0);
    if (st) {
        mien__graph_free(b.g);
        return st;
    }
    describe(&o, ret_info);
    *ret = b.g;
    return MIEN_OK;
}
