/* Holding an operator's backward against central differences, in double (ops_double.h).
 *
 * The loss is L = sum over outputs of d_out . out with random d_out, so that backward must give dL/d_in. The
 * derivative comes from the five-point stencil, (8 (L(+h) - L(-h)) - L(+2h) + L(-2h)) / 12 h, whose error is
 * of the order h^4 L^(5) / 30 + 1e-16 |L| / h: some 1e-10 for the values here. Inputs of functions with kinks
 * or ties come from GRAD_APART, which keeps them 0.05 away from zero and from multiples of 0.1, and 0.1 from
 * each other.
 */
#ifndef MIEN_TESTS_GRADIENTS_H
#define MIEN_TESTS_GRADIENTS_H

#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* after the system's headers */
#include "ops_double.h"

#define DIMS(...) ((const int64_t[]){ __VA_ARGS__ })
#define RANK(...) ((int)(sizeof(DIMS(__VA_ARGS__)) / sizeof(int64_t)))
#define GRAD_INPUT(t, kind, ...) grad_input((t), (kind), RANK(__VA_ARGS__), DIMS(__VA_ARGS__))
#define GRAD_I64(t, ...) grad_i64((t), RANK(__VA_ARGS__), DIMS(__VA_ARGS__))
#define GRAD_INTS(t, key, ...) \
    assert_true(               \
        mien__node_set_ints((t)->g, (t)->node, MIEN__ATTR_##key, DIMS(__VA_ARGS__), RANK(__VA_ARGS__)))
#define GRAD_FLOAT(t, key, v) assert_true(mien__node_set_float((t)->g, (t)->node, MIEN__ATTR_##key, (v)))

enum { GRAD_INPUTS = 8, GRAD_OUTPUTS = 4, GRAD_SPARE = 8 };
#define GRAD_STEP 5e-4
#define GRAD_BOUND 1e-7 /* of 1 + |gradient|; constants written as float literals cost up to 6e-8 */

/* ANY: [-1, 1). POSITIVE: [0.5, 2). APART: a shuffle of ..., -0.15, -0.05, 0.05, 0.15, ... CONSTANT: [0.5,
 * 2), no gradient asked for. */
typedef enum grad_kind { GRAD_ANY, GRAD_POSITIVE, GRAD_APART, GRAD_CONSTANT } grad_kind;

/* One operator with its inputs. */
typedef struct grad_case {
    uint64_t seed;
    mien__rng rng;
    mien__graph *g; /* owns the node and every number */
    mien__node *node;
    mien__tensor in[GRAD_INPUTS], out[GRAD_OUTPUTS], d_out[GRAD_OUTPUTS];
    const mien__tensor *ptrs[GRAD_INPUTS + GRAD_SPARE]; /* absent: NULL, as forward has them */
    const mien__tensor *d_ptrs[GRAD_OUTPUTS];
    bool wanted[GRAD_INPUTS];
    uint32_t n_in, n_out;
} grad_case;

static inline void grad_open(grad_case *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->seed = seed;
    mien__rng_seed(&t->rng, seed);
    t->g = mien__graph_new();
    assert_non_null(t->g);
}

/* lo..hi, both included */
static inline int64_t grad_pick(grad_case *t, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(mien__rng_u64(&t->rng) % (uint64_t)(hi - lo + 1));
}

static inline double *grad_numbers(grad_case *t, int64_t n)
{
    double *x = mien__arena_alloc_array(t->g->arena, (size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline void grad_fill(grad_case *t, grad_kind kind, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (kind == GRAD_APART)
            x[i] = 0.1 * (double)(i - n / 2) + 0.05;
        else
            x[i] =
                kind == GRAD_ANY ? 2.0 * mien__rng_unit(&t->rng) - 1.0 : 0.5 + 1.5 * mien__rng_unit(&t->rng);
    for (int64_t i = n - 1; kind == GRAD_APART && i > 0; i--) {
        const int64_t j = grad_pick(t, 0, i);
        const double swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

static inline double *grad_input(grad_case *t, grad_kind kind, int rank, const int64_t *dims)
{
    mien__tensor *in = &t->in[t->n_in];
    *in = (mien__tensor){ .dtype = MIEN__F32, .rank = rank };
    for (int i = 0; i < rank; i++)
        in->dims[i] = dims[i];
    const int64_t n = mien__elems(rank, dims);
    in->data = grad_numbers(t, n);
    grad_fill(t, kind, in->data, n);
    t->wanted[t->n_in] = kind != GRAD_CONSTANT;
    t->ptrs[t->n_in++] = in;
    return in->data;
}

static inline void grad_i64(grad_case *t, int n, const int64_t *values)
{
    mien__tensor *in = &t->in[t->n_in];
    int64_t *data = mien__arena_alloc_array(t->g->arena, (size_t)n, sizeof *data);
    assert_non_null(data);
    memcpy(data, values, (size_t)n * sizeof *data);
    *in = (mien__tensor){ .dtype = MIEN__I64, .rank = 1, .dims = { n }, .data = data };
    t->ptrs[t->n_in++] = in;
}

/* Make the node, when all inputs are there; attributes come after. */
static inline void grad_op(grad_case *t, mien__op op, uint32_t n_out)
{
    uint32_t v[GRAD_INPUTS + GRAD_OUTPUTS] = { 0 };
    t->n_out = n_out;
    for (uint32_t i = 0; i < t->n_in + n_out; i++)
        assert_true(mien__graph_add_value(t->g, "", MIEN__F32, -1, NULL, NULL, &v[i]));
    assert_true(mien__graph_add_node(t->g, op, "", v, t->n_in, v + t->n_in, n_out, &t->node));
}

static inline int64_t grad_elems(const mien__tensor *x)
{
    return mien__elems(x->rank, x->dims);
}

/* Infer, run, and draw the gradient of every output. */
static inline const mien__op_def *grad_run(grad_case *t)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien__op_def *def = mien__op_def_of(t->node->op);
    assert_non_null(def->backward);
    if (def->infer(t->node, t->ptrs, t->out, &err))
        fail_msg("%s, seed %u: %s", mien__op_name(t->node->op), (unsigned)t->seed, err.message);
    for (uint32_t i = 0; i < t->n_out; i++) {
        const int64_t n = grad_elems(&t->out[i]);
        t->out[i].data = grad_numbers(t, n);
        t->d_out[i] = t->out[i];
        t->d_out[i].data = grad_numbers(t, n);
        grad_fill(t, GRAD_ANY, t->d_out[i].data, n);
        t->d_ptrs[i] = &t->d_out[i];
    }
    def->forward(t->node, t->ptrs, t->out);
    return def;
}

/* Central difference of a loss by one number it reads. */
static inline double grad_difference(double *x, double (*loss)(void *ctx), void *ctx)
{
    static const double weight[4] = { 8.0, -8.0, -1.0, 1.0 }, step[4] = { 1.0, -1.0, 2.0, -2.0 };
    const double was = *x;
    double sum = 0.0;
    for (int i = 0; i < 4; i++) {
        *x = was + step[i] * GRAD_STEP;
        sum += weight[i] * loss(ctx);
    }
    *x = was;
    return sum / (12.0 * GRAD_STEP);
}

static inline bool grad_close(double got, double want)
{
    return fabs(got - want) <= GRAD_BOUND * (1.0 + fabs(want));
}

static inline double grad_loss(void *ctx)
{
    grad_case *t = ctx;
    double sum = 0.0;
    mien__op_def_of(t->node->op)->forward(t->node, t->ptrs, t->out);
    for (uint32_t i = 0; i < t->n_out; i++)
        for (int64_t k = 0; t->d_ptrs[i] && k < grad_elems(&t->out[i]); k++)
            sum += ((const double *)t->d_out[i].data)[k] * ((const double *)t->out[i].data)[k];
    return sum;
}

/* Gradients of the inputs in `mask` on top of `start`: the others are not asked for. */
static inline void grad_backward(grad_case *t, unsigned mask, double start, mien__tensor *d)
{
    mien__tensor *d_in[GRAD_INPUTS] = { NULL };
    for (uint32_t i = 0; i < t->n_in; i++) {
        if (!(mask & (1u << i)))
            continue;
        const int64_t n = grad_elems(&t->in[i]);
        d[i] = t->in[i];
        d[i].data = grad_numbers(t, n);
        for (int64_t k = 0; k < n; k++)
            ((double *)d[i].data)[k] = start;
        d_in[i] = &d[i];
    }
    mien__op_def_of(t->node->op)->backward(t->node, t->ptrs, t->out, t->d_ptrs, d_in);
}

/* The whole check: every element of every wanted input; alone it gets what it gets beside the others; what
 * was there stays in the sum. grad_run() came before. */
static inline void grad_compare(grad_case *t)
{
    mien__tensor d[GRAD_INPUTS], alone[GRAD_INPUTS], over[GRAD_INPUTS];
    const char *name = mien__op_name(t->node->op);
    unsigned all = 0;
    for (uint32_t i = 0; i < t->n_in; i++)
        all |= t->wanted[i] ? 1u << i : 0;
    grad_backward(t, 0, 0.0, d); /* nothing wanted: nothing happens */
    grad_backward(t, all, 0.0, d);
    grad_backward(t, all, 3.0, over);
    for (uint32_t i = 0; i < t->n_in; i++) {
        if (!t->wanted[i])
            continue;
        const int64_t n = grad_elems(&t->in[i]);
        const double *g = d[i].data, *on_top = over[i].data;
        grad_backward(t, 1u << i, 0.0, alone);
        assert_memory_equal(alone[i].data, g, (size_t)n * sizeof *g);
        for (int64_t k = 0; k < n; k++) {
            const double want = grad_difference((double *)t->in[i].data + k, grad_loss, t);
            if (!grad_close(g[k], want) || !grad_close(on_top[k], 3.0 + want))
                fail_msg("%s, seed %u: gradient of input %u at %d is %.12g, on top of 3 %.12g; difference "
                         "gives %.12g",
                         name, (unsigned)t->seed, (unsigned)i, (int)k, g[k], on_top[k], want);
        }
    }
}

static inline void grad_close_case(grad_case *t)
{
    mien__graph_free(t->g);
}

/* Check and free. */
static inline void grad_check(grad_case *t)
{
    grad_run(t);
    grad_compare(t);
    grad_close_case(t);
}

/* Gradient of input 0 against values from the head comment: kinks and ties, which differences cannot see.
 * d_out is 1, 2, 3, ... */
static inline void grad_expect(grad_case *t, const double *want)
{
    mien__tensor d[GRAD_INPUTS];
    grad_run(t);
    for (int64_t i = 0; i < grad_elems(&t->out[0]); i++)
        ((double *)t->d_out[0].data)[i] = (double)(i + 1);
    grad_backward(t, 1, 0.0, d);
    for (int64_t i = 0; i < grad_elems(&t->in[0]); i++)
        if (!grad_close(((const double *)d[0].data)[i], want[i]))
            fail_msg("%s: gradient at %d is %g, wanted %g", mien__op_name(t->node->op), (int)i,
                     ((const double *)d[0].data)[i], want[i]);
    grad_close_case(t);
}

#endif
