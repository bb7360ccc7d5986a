/* Runs the convolutions of a network as oneDNN primitives, for comparison.
 *
 * Input: a file of lines `ic ih iw oc oh ow kh kw sh sw pt pl pb pr groups act residual` (bench/nets.py).
 * Every layer is a convolution primitive with its activation and residual sum as post-ops, formats left to
 * the library
 * (`any`), weights re-ordered once. Only the convolutions run: no pooling, no resizing, no re-ordering
 * between layers, so the figure favours oneDNN. A PReLU is run as a leaky ReLU for the same reason.
 *
 * Speaks lines: prints "ready VERSION LAYERS", then for each line read from stdin runs the network once and
 * prints the milliseconds.
 */
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_LAYERS = 512, FIELDS = 17 };

typedef struct layer {
    dnnl_primitive_t prim;
    dnnl_exec_arg_t args[4];
} layer;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void check(dnnl_status_t s, const char *what)
{
    if (s != dnnl_success) {
        fprintf(stderr, "onednn: %s: status %d\n", what, (int)s);
        exit(1);
    }
}

static dnnl_memory_t memory_for(const dnnl_memory_desc_t *desc, float fill)
{
    dnnl_memory_t m = NULL;
    check(dnnl_memory_create(&m, desc, engine, DNNL_MEMORY_ALLOCATE), "memory");
    void *p = NULL;
    check(dnnl_memory_get_data_handle(m, &p), "data");
    float *f = p;
    const size_t n = dnnl_memory_desc_get_size(desc) / sizeof(float);
    for (size_t i = 0; i < n; i++)
        f[i] = fill * (float)((int)(i * 2654435761u >> 24 & 255) - 128) / 128.0f;
    return m;
}

static dnnl_primitive_attr_t post_ops(int act, int residual)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    check(dnnl_primitive_attr_create(&attr), "attr");
    check(dnnl_post_ops_create(&ops), "post ops");
    if (residual)
        check(dnnl_post_ops_append_sum(ops, 1.0f), "sum");
    if (act == 1)
        check(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f), "relu");
    else if (act == 2)
        check(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_clip, 0.0f, 6.0f), "clip");
    else if (act == 3)
        check(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.25f, 0.0f), "leaky");
    check(dnnl_primitive_attr_set_post_ops(attr, ops), "set post ops");
    dnnl_post_ops_destroy(ops);
    return attr;
}

static void make_layer(const int *f, layer *l)
{
    const int g = f[14];
    const dnnl_dims_t src = { 1, f[0], f[1], f[2] }, dst = { 1, f[3], f[4], f[5] }, bias = { f[3] };
    const dnnl_dims_t w4 = { f[3], f[0], f[6], f[7] }, w5 = { g, f[3] / g, f[0] / g, f[6], f[7] };
    const dnnl_dims_t strides = { f[8], f[9] }, pad_l = { f[10], f[11] }, pad_r = { f[12], f[13] };
    dnnl_memory_desc_t sd, dd, wd, bd;
    check(dnnl_memory_desc_init_by_tag(&sd, 4, src, dnnl_f32, dnnl_format_tag_any), "src");
    check(dnnl_memory_desc_init_by_tag(&dd, 4, dst, dnnl_f32, dnnl_format_tag_any), "dst");
    check(dnnl_memory_desc_init_by_tag(&bd, 1, bias, dnnl_f32, dnnl_a), "bias");
    check(dnnl_memory_desc_init_by_tag(&wd, g > 1 ? 5 : 4, g > 1 ? w5 : w4, dnnl_f32, dnnl_format_tag_any),
          "weights");
    dnnl_convolution_desc_t cd;
    check(dnnl_convolution_forward_desc_init(&cd, dnnl_forward_inference, dnnl_convolution_auto, &sd, &wd,
                                             &bd, &dd, strides, pad_l, pad_r),
          "descriptor");
    dnnl_primitive_attr_t attr = post_ops(f[15], f[16]);
    dnnl_primitive_desc_t pd = NULL;
    check(dnnl_primitive_desc_create(&pd, &cd, attr, engine, NULL), "primitive descriptor");
    check(dnnl_primitive_create(&l->prim, pd), "primitive");
    static const dnnl_query_t queries[4] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_weights_md,
                                             dnnl_query_dst_md };
    static const int index[4] = { 0, 0, 1, 0 };
    static const int arg[4] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST };
    for (int i = 0; i < 4; i++) {
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, queries[i], index[i]);
        l->args[i].arg = arg[i];
        l->args[i].memory = memory_for(md, i == 0 ? 1.0f : 0.01f);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

int main(int argc, char **argv)
{
    static layer layers[MAX_LAYERS];
    int n = 0, f[FIELDS];
    char line[256];
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        fprintf(stderr, "usage: onednn CONVS\n");
        return 2;
    }
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    while (n < MAX_LAYERS && fgets(line, sizeof line, file)) {
        const char *p = line;
        char *end = NULL;
        for (int i = 0; i < FIELDS; i++, p = end)
            f[i] = (int)strtol(p, &end, 10);
        make_layer(f, &layers[n++]);
    }
    fclose(file);
    const dnnl_version_t *v = dnnl_version();
    printf("ready %d.%d.%d %d\n", v->major, v->minor, v->patch, n);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        const double t0 = now_ms();
        for (int i = 0; i < n; i++)
            check(dnnl_primitive_execute(layers[i].prim, stream, 4, layers[i].args), "run");
        check(dnnl_stream_wait(stream), "wait");
        printf("%.6f\n", now_ms() - t0);
        fflush(stdout);
    }
    return 0;
}
