/* The planner's passes: shapes and folding, what is needed, lowering node by node, memory, binding.
 *
 * All of a plan's bookkeeping lives in one arena (meta), its tensors in one block (memory). The planner's own
 * notes live in a second arena that is dropped at the end.
 */
#include "nn/plan.h"
#include <stdio.h>
#include <string.h>

#define META_MAX ((size_t)512 << 20)
/* Tensors that are folded at plan time: shape arithmetic is tiny, but nothing a file says may make it large.
 */
#define FOLD_MAX_ELEMS ((int64_t)1 << 16)
enum { EXTRA_INPUTS = 8 }; /* references look at optional inputs past the given ones: NULL there */

/* ---- shapes ---- */

static mien_status set_inputs(mien__planner *p, const mien_tensor_view *shapes)
{
    for (uint32_t i = 0; i < p->g->n_inputs; i++) {
        const mien__value *want = &p->g->values[p->g->inputs[i]];
        mien__pvalue *v = &p->v[p->g->inputs[i]];
        const mien_tensor_view *s = &shapes[i];
        if (s->rank < 0 || s->rank > MIEN_MAX_RANK || (want->rank >= 0 && s->rank != want->rank))
            return mien__fail(p->err, MIEN_E_MODEL_SHAPE, "input '%.80s' has rank %d, wanted %d", want->name,
                              s->rank, want->rank);
        v->t.dtype = MIEN__F32;
        v->t.rank = s->rank;
        v->is_input = true;
        for (int d = 0; d < s->rank; d++) {
            const bool fixed =
                want->rank >= 0 && want->dims[d] >= 0 && d > 0; /* any batch may be asked for */
            if (s->dims[d] < 1 || (fixed && s->dims[d] != want->dims[d]))
                return mien__fail(p->err, MIEN_E_MODEL_SHAPE,
                                  "input '%.80s': size %lld on axis %d, wanted %lld", want->name,
                                  (long long)s->dims[d], d, (long long)want->dims[d]);
            v->t.dims[d] = s->dims[d];
        }
        if (mien__elems(v->t.rank, v->t.dims) < 0)
            return mien__fail(p->err, MIEN_E_LIMIT, "input '%.80s' is too large", want->name);
    }
    return MIEN_OK;
}

/* Compute a node now when its inputs are known (Shape: always) and its outputs are small. */
static mien_status fold_known(mien__planner *p, const mien__node *n, const mien__op_def *def)
{
    if (n->op == MIEN__OP_Conv || n->op == MIEN__OP_Gemm || n->op == MIEN__OP_MatMul)
        return MIEN_OK;
    for (uint32_t i = 0; n->op != MIEN__OP_Shape && i < n->n_inputs; i++)
        if (p->in_ptrs[i] && !p->in_ptrs[i]->data)
            return MIEN_OK;
    for (uint32_t i = 0; i < n->n_outputs; i++)
        if (mien__elems(p->tensors[i].rank, p->tensors[i].dims) > FOLD_MAX_ELEMS)
            return MIEN_OK;
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        const size_t elems = (size_t)mien__elems(p->tensors[i].rank, p->tensors[i].dims);
        p->tensors[i].data = mien__arena_alloc_array(p->plan->meta, elems + 1, sizeof(int64_t));
        if (!p->tensors[i].data)
            return mien__nomem(p->err, elems * sizeof(int64_t));
    }
    def->forward(n, p->in_ptrs, p->tensors);
    return MIEN_OK;
}

static mien_status infer_node(mien__planner *p, const mien__node *n)
{
    const mien__op_def *def = mien__op_def_of(n->op);
    mien_status st = MIEN_OK;
    memset(p->in_ptrs, 0, (n->n_inputs + EXTRA_INPUTS) * sizeof *p->in_ptrs);
    memset(p->tensors, 0, n->n_outputs * sizeof *p->tensors);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] != (uint32_t)MIEN__NO_VALUE)
            p->in_ptrs[i] = &p->v[n->inputs[i]].t;
    if ((st = def->infer(n, p->in_ptrs, p->tensors, p->err)) || (st = fold_known(p, n, def)))
        return st;
    for (uint32_t i = 0; i < n->n_outputs; i++)
        p->v[n->outputs[i]].t = p->tensors[i];
    return MIEN_OK;
}

static mien_status infer_all(mien__planner *p, const mien_tensor_view *shapes)
{
    for (uint32_t i = 0; i < p->g->n_values; i++) {
        const mien__value *from = &p->g->values[i];
        mien__pvalue *v = &p->v[i];
        v->producer = v->only_user = v->pending_affine = MIEN__NO_NODE;
        v->slot[MIEN__PLAIN] = v->slot[MIEN__BLOCKED] = MIEN__NO_SLOT;
        v->part_of = MIEN__NO_VALUE;
        if (!from->data)
            continue;
        v->t.dtype = from->dtype;
        v->t.rank = from->rank;
        memcpy(v->t.dims, from->dims, sizeof v->t.dims);
        v->t.data = (void *)(uintptr_t)from->data; /* never written: constants are inputs only */
    }
    mien_status st = set_inputs(p, shapes);
    for (uint32_t i = 0; !st && i < p->g->n_nodes; i++)
        st = infer_node(p, &p->g->nodes[i]);
    return st;
}

/* ---- what must run ---- */

static void mark_needed(mien__planner *p)
{
    const mien__graph *g = p->g;
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        p->v[g->outputs[i]].needed = true;
        p->v[g->outputs[i]].is_output = true;
    }
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const mien__node *n = &g->nodes[i];
        bool needed = false;
        for (uint32_t j = 0; j < n->n_outputs; j++) {
            p->v[n->outputs[j]].producer = i;
            needed = needed || (p->v[n->outputs[j]].needed && !p->v[n->outputs[j]].t.data);
        }
        p->done[i] = !needed;
        for (uint32_t j = 0; needed && j < n->n_inputs; j++) {
            if (n->inputs[j] == (uint32_t)MIEN__NO_VALUE)
                continue;
            mien__pvalue *v = &p->v[n->inputs[j]];
            v->needed = true;
            v->uses++;
            v->only_user = i;
        }
    }
}

/* ---- slots and steps ---- */

/* Grow an arena-held array by doubling. */
static bool reserve(mien__arena *a, void **items, uint32_t n, uint32_t *cap, size_t item_bytes)
{
    if (n < *cap)
        return true;
    const uint32_t wanted = *cap ? *cap * 2 : 128;
    void *grown = mien__arena_alloc_array(a, wanted, item_bytes);
    if (!grown)
        return false;
    if (n)
        memcpy(grown, *items, n * item_bytes);
    *items = grown;
    *cap = wanted;
    return true;
}

size_t mien__plan_bytes(const mien__planner *p, const mien__tensor *t, int layout)
{
    const size_t item = t->dtype == MIEN__I64 ? 8 : 4;
    if (layout == MIEN__PLAIN) {
        const size_t elems = (size_t)mien__elems(t->rank, t->dims);
        return (elems ? elems : 1) * item;
    }
    if (!p->k || t->rank != 4 || t->dtype != MIEN__F32)
        return 0;
    const int64_t b = p->k->block;
    const int64_t dims[4] = { t->dims[0], (t->dims[1] + b - 1) / b * b, t->dims[2], t->dims[3] };
    const int64_t elems = mien__elems(4, dims);
    return elems > 0 && elems <= INT32_MAX ? (size_t)elems * item : 0;
}

static mien_status add_slot(mien__planner *p, const mien__tensor *t, size_t bytes, uint32_t *ret)
{
    mien__plan *plan = p->plan;
    void *items = plan->slots;
    if (!reserve(plan->meta, &items, plan->n_slots, &plan->cap_slots, sizeof *plan->slots))
        return mien__nomem(p->err, sizeof *plan->slots);
    plan->slots = items;
    mien__slot *s = &plan->slots[plan->n_slots];
    memset(s, 0, sizeof *s);
    s->t = *t;
    s->bytes = bytes;
    s->root = plan->n_slots;
    s->fixed = t->data != NULL;
    *ret = plan->n_slots++;
    return MIEN_OK;
}

mien_status mien__plan_slot(mien__planner *p, uint32_t v, int layout, uint32_t *ret)
{
    mien__tensor t = p->v[v].t;
    if (layout == MIEN__BLOCKED)
        t.data = NULL; /* only the plain form of a constant is at hand */
    const mien_status st = add_slot(p, &t, mien__plan_bytes(p, &t, layout), ret);
    if (!st)
        p->v[v].slot[layout] = *ret;
    return st;
}

mien_status mien__plan_view(mien__planner *p, uint32_t v, int layout, uint32_t of, size_t offset_bytes,
                            uint32_t *ret)
{
    const mien_status st = add_slot(p, &p->v[v].t, mien__plan_bytes(p, &p->v[v].t, layout), ret);
    if (st)
        return st;
    mien__slot *s = &p->plan->slots[*ret];
    s->root = p->plan->slots[of].root;
    s->root_offset = p->plan->slots[of].root_offset + offset_bytes;
    p->v[v].slot[layout] = *ret;
    return MIEN_OK;
}

mien_status mien__plan_step(mien__planner *p, const mien__node *node, mien__step_fn run, uint32_t n_in,
                            uint32_t n_out, mien__step **ret)
{
    mien__plan *plan = p->plan;
    void *items = plan->steps;
    if (!reserve(plan->meta, &items, plan->n_steps, &plan->cap_steps, sizeof *plan->steps))
        return mien__nomem(p->err, sizeof *plan->steps);
    plan->steps = items;
    mien__step *s = &plan->steps[plan->n_steps];
    memset(s, 0, sizeof *s);
    s->run = run;
    s->k = p->k;
    s->node = node;
    s->n_in = n_in;
    s->n_out = n_out;
    s->in = mien__arena_alloc_array(plan->meta, n_in + 1, sizeof *s->in);
    s->out = mien__arena_alloc_array(plan->meta, n_out + 1, sizeof *s->out);
    s->src = mien__arena_alloc_array(plan->meta, n_in + (size_t)EXTRA_INPUTS, sizeof *s->src);
    s->dst = mien__arena_alloc_array(plan->meta, n_out + 1, sizeof *s->dst);
    if (!s->in || !s->out || !s->src || !s->dst)
        return mien__nomem(p->err, sizeof *s);
    s->op = node ? mien__op_name(node->op) : "Reorder";
    s->kernel = "reference";
    plan->n_steps++;
    *ret = s;
    return MIEN_OK;
}

bool mien__plan_ready(const mien__planner *p, uint32_t v)
{
    const mien__pvalue *x = &p->v[v];
    return x->t.data || x->slot[MIEN__PLAIN] != MIEN__NO_SLOT || x->slot[MIEN__BLOCKED] != MIEN__NO_SLOT ||
           x->pending_affine != MIEN__NO_NODE || x->part_of != (uint32_t)MIEN__NO_VALUE;
}

uint32_t mien__plan_sole_user(const mien__planner *p, uint32_t v)
{
    const mien__pvalue *x = &p->v[v];
    return x->uses == 1 && !x->is_output ? x->only_user : MIEN__NO_NODE;
}

const char *mien__plan_kernel_name(mien__planner *p, const char *kernel)
{
    char text[64];
    const int n = snprintf(text, sizeof text, "%s/%s", kernel, p->k ? p->k->name : "scalar");
    return mien__arena_strndup(p->plan->meta, text, n > 0 ? (size_t)n : 0);
}

/* ---- putting it together ---- */

static mien_status make_inputs(mien__planner *p)
{
    const mien__graph *g = p->g;
    mien__plan *plan = p->plan;
    plan->input_slots = mien__arena_alloc_array(plan->meta, g->n_inputs + (size_t)1, sizeof(uint32_t));
    plan->output_slots = mien__arena_alloc_array(plan->meta, g->n_outputs + (size_t)1, sizeof(uint32_t));
    if (!plan->input_slots || !plan->output_slots)
        return mien__nomem(p->err, sizeof(uint32_t));
    plan->input_slots[g->n_inputs] = plan->output_slots[g->n_outputs] = MIEN__NO_SLOT;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const mien_status st = mien__plan_slot(p, g->inputs[i], MIEN__PLAIN, &plan->input_slots[i]);
        if (st)
            return st;
    }
    return MIEN_OK;
}

static mien_status lower_all(mien__planner *p)
{
    const mien__graph *g = p->g;
    mien_status st = make_inputs(p);
    for (uint32_t i = 0; !st && i < g->n_nodes; i++)
        if (!p->done[i])
            st = mien__plan_lower(p, i);
    for (uint32_t i = 0; !st && i < g->n_outputs; i++) {
        if (p->v[g->outputs[i]].t.dtype != MIEN__F32)
            return mien__fail(p->err, MIEN_E_MODEL_OP, "network output '%.80s' is not float32",
                              g->values[g->outputs[i]].name);
        st = mien__plan_need(p, g->outputs[i], MIEN__PLAIN, &p->plan->output_slots[i]);
    }
    return st;
}

/* Allocate the arena and point every step at it. */
static mien_status bind(mien__plan *plan, mien_error *err)
{
    size_t scratch = 0;
    for (uint32_t i = 0; i < plan->n_steps; i++)
        scratch = plan->steps[i].scratch_bytes > scratch ? plan->steps[i].scratch_bytes : scratch;
    const size_t tensors = plan->memory_bytes;
    if (!mien_add_ok(tensors, scratch + 64, &plan->memory_bytes) ||
        !(plan->memory = mien_alloc(plan->memory_bytes)))
        return mien__nomem(err, tensors);
    memset(plan->memory, 0, plan->memory_bytes);
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        mien__slot *s = &plan->slots[i];
        const mien__slot *root = &plan->slots[s->root];
        if (root->fixed)
            s->t.data = (char *)root->t.data + s->root_offset;
        else
            s->t.data = (char *)plan->memory + root->offset + s->root_offset;
    }
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        mien__step *s = &plan->steps[i];
        s->scratch = (char *)plan->memory + tensors;
        plan->packed_bytes += s->packed_bytes;
        for (uint32_t j = 0; j < s->n_in; j++)
            s->src[j] = s->in[j] == MIEN__NO_SLOT ? NULL : &plan->slots[s->in[j]].t;
        for (uint32_t j = 0; j < s->n_out; j++)
            s->dst[j] = plan->slots[s->out[j]].t;
    }
    return MIEN_OK;
}

/* Room for the notes of planning. */
static mien_status planner_open(mien__planner *p, mien__arena **ret_notes)
{
    uint32_t edges = 1;
    for (uint32_t i = 0; i < p->g->n_nodes; i++) {
        const mien__node *n = &p->g->nodes[i];
        edges = n->n_inputs > edges ? n->n_inputs : edges;
        edges = n->n_outputs > edges ? n->n_outputs : edges;
    }
    mien__arena *a = *ret_notes = mien__arena_new(META_MAX);
    p->v = a ? mien__arena_alloc_array(a, p->g->n_values + (size_t)1, sizeof *p->v) : NULL;
    p->done = a ? mien__arena_alloc_array(a, p->g->n_nodes + (size_t)1, sizeof *p->done) : NULL;
    p->tensors = a ? mien__arena_alloc_array(a, edges, sizeof *p->tensors) : NULL;
    p->in_ptrs = a ? mien__arena_alloc_array(a, edges + (size_t)EXTRA_INPUTS, sizeof *p->in_ptrs) : NULL;
    p->plan = mien_alloc_zero(sizeof *p->plan);
    if (p->plan)
        p->plan->meta = mien__arena_new(META_MAX);
    if (!p->v || !p->done || !p->tensors || !p->in_ptrs || !p->plan || !p->plan->meta)
        return mien__nomem(p->err, p->g->n_values * sizeof *p->v);
    return MIEN_OK;
}

mien_status mien__plan_new(const mien_model *model, const mien__kernels *k, unsigned threads,
                           const mien_tensor_view *shapes, mien__plan **ret, mien_error *err)
{
    mien__planner p = {
        .model = model, .g = mien__model_graph(model), .k = k, .threads = threads, .err = err
    };
    mien__arena *notes = NULL;
    mien_status st = planner_open(&p, &notes);
    if (st || (st = infer_all(&p, shapes)))
        goto done;
    mark_needed(&p);
    if ((st = lower_all(&p)) || (st = mien__plan_place(p.plan, err)) || (st = bind(p.plan, err)))
        goto done;
    *ret = p.plan;
    p.plan = NULL;
done:
    mien__plan_free(p.plan);
    mien__arena_free(notes);
    return st;
}

void mien__plan_free(mien__plan *p)
{
    if (!p)
        return;
    mien_free(p->memory);
    mien__arena_free(p->meta);
    mien_free(p);
}

void mien__plan_run(const mien__plan *p, mien__pool *pool)
{
    for (uint32_t i = 0; i < p->n_steps; i++)
        p->steps[i].run(&p->steps[i], pool);
}
