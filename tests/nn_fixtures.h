/* Small networks for the tests of the engine, built in memory with seeded random weights. */
#ifndef MIEN_TESTS_NN_FIXTURES_H
#define MIEN_TESTS_NN_FIXTURES_H

#include "nn/plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NET_SEED 20240611u
#define DIMS(...) ((const int64_t[]){ __VA_ARGS__ })
#define RANK(...) ((int)(sizeof(DIMS(__VA_ARGS__)) / sizeof(int64_t)))
#define NET_INPUT(net, ...) net_input((net), RANK(__VA_ARGS__), DIMS(__VA_ARGS__))
#define NET_WEIGHTS(net, ...) net_weights((net), RANK(__VA_ARGS__), DIMS(__VA_ARGS__))
#define NET_I64(net, ...) net_i64((net), RANK(__VA_ARGS__), DIMS(__VA_ARGS__))

typedef struct net {
    mien__graph *g;
    mien__rng rng;
    uint32_t inputs[4], outputs[8], n_in, n_out;
} net;

static inline void net_open(net *t)
{
    memset(t, 0, sizeof *t);
    t->g = mien__graph_new();
    assert_non_null(t->g);
    mien__rng_seed(&t->rng, NET_SEED);
}

static inline uint32_t net_value(net *t, mien__dtype dtype, int rank, const int64_t *dims, const void *data)
{
    uint32_t v = 0;
    char name[16];
    name[0] = 'v';
    name[1] = (char)('0' + t->g->n_values / 100 % 10);
    name[2] = (char)('0' + t->g->n_values / 10 % 10);
    name[3] = (char)('0' + t->g->n_values % 10);
    name[4] = 0;
    assert_true(mien__graph_add_value(t->g, name, dtype, rank, dims, data, &v));
    return v;
}

static inline uint32_t net_input(net *t, int rank, const int64_t *dims)
{
    return t->inputs[t->n_in++] = net_value(t, MIEN__F32, rank, dims, NULL);
}

/* Constant, uniform in [-1, 1) divided by sqrt of what one output sums over. */
static inline uint32_t net_weights(net *t, int rank, const int64_t *dims)
{
    const int64_t n = mien__elems(rank, dims);
    float *w = mien__arena_alloc_array(t->g->arena, (size_t)n, sizeof *w);
    assert_non_null(w);
    const double fan = rank > 1 ? sqrt((double)n / (double)dims[0]) : 1.0;
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)((2.0 * mien__rng_unit(&t->rng) - 1.0) / fan * 1.7);
    return net_value(t, MIEN__F32, rank, dims, w);
}

static inline uint32_t net_const(net *t, int rank, const int64_t *dims, const float *values)
{
    const size_t n = (size_t)mien__elems(rank, dims);
    float *w = mien__arena_alloc_array(t->g->arena, n + 1, sizeof *w);
    assert_non_null(w);
    memcpy(w, values, n * sizeof *w);
    return net_value(t, MIEN__F32, rank, dims, w);
}

static inline uint32_t net_i64(net *t, int n, const int64_t *values)
{
    int64_t *w = mien__arena_alloc_array(t->g->arena, (size_t)n + 1, sizeof *w);
    assert_non_null(w);
    memcpy(w, values, (size_t)n * sizeof *w);
    return net_value(t, MIEN__I64, 1, DIMS(n), w);
}

/* Add a node with one output and return it. */
static inline uint32_t net_op(net *t, mien__op op, uint32_t a, uint32_t b, uint32_t c, mien__node **ret)
{
    const uint32_t in[3] = { a, b, c };
    uint32_t n = 3, out = net_value(t, MIEN__F32, -1, NULL, NULL);
    while (n && in[n - 1] == (uint32_t)MIEN__NO_VALUE)
        n--;
    assert_true(mien__graph_add_node(t->g, op, "", in, n, &out, 1, ret));
    return out;
}

static inline uint32_t net_op1(net *t, mien__op op, uint32_t a)
{
    return net_op(t, op, a, MIEN__NO_VALUE, MIEN__NO_VALUE, NULL);
}

static inline uint32_t net_op2(net *t, mien__op op, uint32_t a, uint32_t b)
{
    return net_op(t, op, a, b, MIEN__NO_VALUE, NULL);
}

/* Convolution with random weights and bias. */
static inline uint32_t net_conv(net *t, uint32_t x, int64_t ic, int64_t oc, int64_t k, int64_t stride,
                                int64_t pad, int64_t groups)
{
    mien__node *n = NULL;
    const uint32_t w = NET_WEIGHTS(t, oc, ic / groups, k, k), b = NET_WEIGHTS(t, oc);
    const uint32_t out = net_op(t, MIEN__OP_Conv, x, w, b, &n);
    assert_true(mien__node_set_ints(t->g, n, MIEN__ATTR_STRIDE, DIMS(stride, stride), 2));
    assert_true(mien__node_set_ints(t->g, n, MIEN__ATTR_PAD, DIMS(pad, pad, pad, pad), 4));
    assert_true(mien__node_set_int(t->g, n, MIEN__ATTR_GROUP, groups));
    return out;
}

static inline void net_output(net *t, uint32_t v)
{
    t->outputs[t->n_out++] = v;
}

/* Finish: a model that owns the graph. */
static inline mien_model *net_model(net *t, bool simplify)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *m = NULL;
    assert_true(mien__graph_set_io(t->g, t->inputs, t->n_in, t->outputs, t->n_out));
    if (mien__graph_check(t->g, &err) || (simplify && mien__graph_simplify(t->g, &err)) ||
        mien__model_from_graph(t->g, NULL, &m, &err))
        fail_msg("%s", err.message);
    t->g = NULL;
    return m;
}

static inline void net_fill(float *x, size_t n, uint64_t seed)
{
    mien__rng r;
    mien__rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * mien__rng_unit(&r) - 1.0);
}

static inline mien_tensor_view net_shape(int rank, const int64_t *dims)
{
    mien_tensor_view v = { .rank = rank };
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    return v;
}

#endif
