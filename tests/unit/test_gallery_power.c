/* Power cuts at any moment: what a disk holds then is what was synced and a random part of what was written
 * since. After each the gallery is whole and holds every change that was acknowledged.
 *
 * MIEN_GALLERY_CUTS says how often (default 60; make soak: 1000). A second case takes the syncs of commits
 * away, to show that the simulation can tell: then acknowledged changes are lost.
 */
#include "gallery_ledger.h"
#include "gallery_vfs.h"

typedef struct run {
    ledger ledger;
    ledger_step under_way;
    bool open_step;
} run;

static mien_status open_for(const fixture *f, mien_model *model, bool key, mien_gallery **ret)
{
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    opts.mode = MIEN_GALLERY_WRITE;
    opts.embedder = model;
    opts.key = key ? fixture_key : NULL;
    opts.key_bytes = key ? 32 : 0;
    opts.busy_ms = 200;
    return mien_gallery_open(f->path, &opts, ret, NULL);
}

/* Change the gallery until the power is cut. The ledger knows what was acknowledged before. */
static void change_until_cut(const fixture *f, run *r, mien_model *const *models, bool key, uint64_t seed)
{
    mien__rng rng;
    mien_gallery *g = NULL;
    mien__rng_seed(&rng, seed);
    r->open_step = false;
    if (open_for(f, models[r->ledger.model], key, &g))
        return;
    while (!vfs.dead) {
        r->under_way = ledger_choose(&r->ledger, &rng, true);
        r->open_step = true;
        const mien_status st = ledger_do(g, &r->ledger, r->under_way, models, NULL);
        if (vfs.dead || st) /* what the dead machine answers was told nobody */
            break;
        ledger_apply(&r->ledger, r->under_way);
        r->open_step = false;
    }
    mien_gallery_free(g);
}

static void settle(mien_gallery *g, run *r, mien_model *const *models)
{
    mien_gallery_info info;
    char hex[65];
    OK(mien_gallery_info_of(g, &info, err));
    OK(mien_model_fingerprint(models[r->ledger.model], hex, err));
    if (!r->open_step || (ledger_matches(g, &r->ledger, &info) && strcmp(info.model, hex) == 0)) {
        if (r->open_step && r->under_way.op == OP_EXPIRE) { /* two changes: the first may have come through */
            size_t n = 0;
            OK(mien_gallery_expire(g, NULL, NULL, &n, err));
            if (n > 0)
                ledger_apply(&r->ledger, r->under_way);
        }
        return;
    }
    ledger_apply(&r->ledger, r->under_way);
}

static void acknowledged_changes_survive(void **state)
{
    const fixture *const f = *state;
    const char *const wanted = getenv("MIEN_GALLERY_CUTS");
    const int cuts = wanted ? atoi(wanted) : 60;
    mien_model *const models[2] = { fixture_model(1, DIM), fixture_model(2, DIM) };
    mien__rng rng;
    mien__rng_seed(&rng, 7);
    for (int key = 0; key < 2; key++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, key);
        run r = { 0 };
        mien_gallery_free(g);
        for (int i = 0; i < cuts / 2; i++) {
            char when[64];
            snprintf(when, sizeof when, "cut %d, key %d", i, key);
            vfs_install();
            vfs.keep_images = true;
            mien__rng_seed(&vfs.rng, (uint64_t)i + 99);
            vfs.cut_at = 1 + (long)(mien__rng_u64(&rng) % (i % 3 ? 1500 : 200));
            change_until_cut(f, &r, models, key, (uint64_t)(2 * i + key));
            vfs_remove();
            vfs_put_back();
            vfs_reset();
            g = NULL;
            if (open_for(f, NULL, key, &g))
                fail_msg("%s: the gallery does not open", when);
            ledger_check(g, &r.ledger, r.open_step ? &r.under_way : NULL, models, when);
            settle(g, &r, models);
            mien_gallery_free(g);
        }
        fixture_clear(f);
    }
    mien_model_free(models[0]);
    mien_model_free(models[1]);
}

static void without_syncs_changes_are_lost(void **state)
{
    const fixture *const f = *state;
    mien_model *const models[2] = { fixture_model(1, DIM), fixture_model(2, DIM) };
    int lost = 0;
    for (int i = 0; i < 12; i++) {
        mien_gallery *g = fixture_gallery(f, MIEN_GALLERY_CREATE, false);
        run r = { 0 };
        mien_gallery_free(g);
        vfs_install();
        vfs.keep_images = vfs.no_sync = true;
        mien__rng_seed(&vfs.rng, (uint64_t)i);
        vfs.cut_at = 400;
        change_until_cut(f, &r, models, false, (uint64_t)i);
        vfs_remove();
        vfs_put_back();
        vfs_reset();
        g = NULL;
        mien_gallery_info info;
        lost += open_for(f, NULL, false, &g) || mien_gallery_info_of(g, &info, NULL) ||
                !ledger_matches(g, &r.ledger, &info);
        mien_gallery_free(g);
        fixture_clear(f);
    }
    assert_true(lost > 3);
    mien_model_free(models[0]);
    mien_model_free(models[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_changes_survive, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(without_syncs_changes_are_lost, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
