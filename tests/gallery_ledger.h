/* A run of changes to a gallery and what is known of each: for tests that stop the run at any moment.
 *
 * The ledger says what the gallery must hold after every change that was acknowledged. The change under way
 * when the run was stopped may be there or not, whole.
 */
#ifndef MIEN_TESTS_GALLERY_LEDGER_H
#define MIEN_TESTS_GALLERY_LEDGER_H

#include "gallery_fixtures.h"

enum { SLOTS = 16, FACES_PER_SLOT = 6 };

typedef enum ledger_op { OP_NONE, OP_ENROL, OP_RENAME, OP_REMOVE, OP_EXPIRE, OP_MERGE, OP_MIGRATE } ledger_op;

typedef struct ledger_step {
    int op, slot, other;
    unsigned variant;
} ledger_step;

typedef struct ledger_slot {
    int faces; /* 0: nobody */
    int renamed;
} ledger_slot;

typedef struct ledger {
    ledger_slot slots[SLOTS];
    int model;
} ledger;

static inline void ledger_name(int slot, int renamed, char ret[64])
{
    snprintf(ret, 64, "Occupant of slot %d%s", slot, renamed ? ", renamed" : "");
}

/* Choose a change that fits what is there. */
static inline ledger_step ledger_choose(const ledger *l, mien__rng *rng, bool migrate)
{
    for (;;) {
        const unsigned pick = (unsigned)(mien__rng_u64(rng) % 100);
        ledger_step s = { OP_ENROL, (int)(mien__rng_u64(rng) % SLOTS), (int)(mien__rng_u64(rng) % SLOTS),
                          (unsigned)mien__rng_u64(rng) };
        const int faces = l->slots[s.slot].faces;
        s.op = pick < 45   ? OP_ENROL
               : pick < 60 ? OP_RENAME
               : pick < 78 ? OP_REMOVE
               : pick < 85 ? OP_EXPIRE
               : pick < 96 ? OP_MERGE
                           : OP_MIGRATE;
        if (s.op == OP_ENROL   ? faces < FACES_PER_SLOT
            : s.op == OP_MERGE ? s.slot != s.other && faces > 0 && l->slots[s.other].faces > 0 &&
                                     faces + l->slots[s.other].faces <= FACES_PER_SLOT
            : s.op == OP_MIGRATE ? migrate
                                 : faces > 0)
            return s;
    }
}

static inline void ledger_apply(ledger *l, ledger_step s)
{
    ledger_slot *const at = &l->slots[s.slot];
    switch (s.op) {
    case OP_ENROL:
        at->faces++;
        break;
    case OP_RENAME:
        at->renamed = !at->renamed;
        break;
    case OP_REMOVE:
    case OP_EXPIRE:
        *at = (ledger_slot){ 0, 0 };
        break;
    case OP_MERGE:
        at->faces += l->slots[s.other].faces;
        l->slots[s.other] = (ledger_slot){ 0, 0 };
        break;
    case OP_MIGRATE:
        l->model = !l->model;
        break;
    default:
        break;
    }
}

/* A PNG in form whose bytes say which face it is. */
static inline size_t ledger_png(unsigned seed, uint8_t ret[64])
{
    static const uint8_t form[] = "\x89PNG\r\n\x1a\n\0\0\0\4IDATseed\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82";
    memcpy(ret, form, sizeof form - 1);
    memcpy(ret + 16, &seed, sizeof seed);
    return sizeof form - 1;
}

static inline mien_status ledger_embed(void *user, const void *image, size_t bytes, const mien_face *face,
                                       float *ret, mien_error *err)
{
    unsigned seed = 0;
    (void)user;
    (void)bytes;
    (void)face;
    (void)err;
    memcpy(&seed, (const uint8_t *)image + 16, sizeof seed);
    fixture_vec((int)(seed % 1000), (int)(seed / 1000 % 1000), 0.5, ret);
    return MIEN_OK;
}

static inline mien_status ledger_enrol(mien_gallery *g, const ledger *l, ledger_step s, mien_error *err)
{
    mien_enrolment e = MIEN_ENROLMENT_INIT;
    mien_enrolled done;
    uint8_t png[64];
    float vec[DIM];
    char name[64];
    ledger_name(s.slot, l->slots[s.slot].renamed, name);
    fixture_vec(s.slot, (int)(s.variant % 1000), 0.5, vec);
    e.name = name;
    e.vec = vec;
    e.source = "source.png";
    e.image = png;
    e.image_bytes = ledger_png(s.variant, png);
    e.quality.score = 0.5f;
    const mien_status st = mien_gallery_enrol(g, &e, 1, &done, err);
    return !st && done.reason ? MIEN_E_INTERNAL : st;
}

/* Carry out one change. `models` [2]. */
static inline mien_status ledger_do(mien_gallery *g, const ledger *l, ledger_step s,
                                    mien_model *const *models, mien_error *err)
{
    char name[64], other[64];
    int64_t id = 0, from = 0;
    mien_receipt receipt;
    if (s.op == OP_ENROL)
        return ledger_enrol(g, l, s, err);
    if (s.op == OP_MIGRATE)
        return mien_gallery_migrate(g, models[!l->model], ledger_embed, NULL, 0, NULL, NULL, NULL, NULL, err);
    ledger_name(s.slot, l->slots[s.slot].renamed, name);
    mien_status st = mien_gallery_find(g, name, &id, err);
    if (st)
        return st;
    if (s.op == OP_RENAME) {
        ledger_name(s.slot, !l->slots[s.slot].renamed, name);
        return mien_gallery_edit(g, id, name, NULL, NULL, err);
    }
    if (s.op == OP_REMOVE)
        return mien_gallery_remove(g, id, 0, &receipt, err);
    if (s.op == OP_EXPIRE) {
        const mien_consent past = { "p", "b", 1, 1000 };
        size_t n = 0;
        st = mien_gallery_edit(g, id, NULL, NULL, &past, err);
        return st ? st : mien_gallery_expire(g, NULL, NULL, &n, err);
    }
    ledger_name(s.other, l->slots[s.other].renamed, other);
    st = mien_gallery_find(g, other, &from, err);
    return st ? st : mien_gallery_merge(g, id, from, err);
}

static int ledger_faces;

static inline int ledger_see(void *user, const mien_person *p)
{
    (void)user;
    ledger_faces = (int)p->n_faces;
    return 0;
}

static inline bool ledger_matches(mien_gallery *g, const ledger *l, const mien_gallery_info *info)
{
    size_t people = 0;
    for (int i = 0; i < SLOTS; i++) {
        char name[64];
        int64_t id = 0;
        ledger_name(i, l->slots[i].renamed, name);
        const mien_status st = mien_gallery_find(g, name, &id, NULL);
        people += l->slots[i].faces > 0;
        if ((st == MIEN_OK) != (l->slots[i].faces > 0))
            return false;
        ledger_faces = -1;
        if (st == MIEN_OK &&
            (mien_gallery_person(g, id, ledger_see, NULL, NULL) || ledger_faces != l->slots[i].faces))
            return false;
    }
    return people == info->n_people;
}

static inline void ledger_fault(void *user, const char *text)
{
    (void)user;
    print_error("verify: %s\n", text);
}

/* The gallery must verify and hold what the ledger says, or that and the step under way. Says which. */
static inline void ledger_check(mien_gallery *g, const ledger *l, const ledger_step *under_way,
                                mien_model *const *models, const char *when)
{
    mien_gallery_info info;
    char hex[2][65];
    mien_error e = MIEN_ERROR_INIT;
    if (mien_gallery_verify(g, ledger_fault, NULL, NULL, NULL, &e) != MIEN_OK)
        fail_msg("%s: %s", when, e.message);
    OK(mien_gallery_info_of(g, &info, err));
    OK(mien_model_fingerprint(models[0], hex[0], err));
    OK(mien_model_fingerprint(models[1], hex[1], err));
    ledger after = *l;
    if (under_way)
        ledger_apply(&after, *under_way);
    const bool as_was = ledger_matches(g, l, &info) && strcmp(info.model, hex[l->model]) == 0;
    const bool as_will =
        under_way && ledger_matches(g, &after, &info) && strcmp(info.model, hex[after.model]) == 0;
    if (!as_was && !as_will)
        fail_msg("%s: the gallery holds neither what was acknowledged nor that and step %d on slot %d", when,
                 under_way ? under_way->op : 0, under_way ? under_way->slot : 0);
}

#endif
