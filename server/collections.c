/* Collections: galleries by name. "default" is the file given with --gallery, or lies with the others in the
 * data folder as NAME.gallery. Each is opened when it is first asked for, the default one at start; workers open handles of their
 * own beside the first, which share its search index, and keep them until the collection's generation changes.
 *
 * One key or passphrase serves all that are encrypted. A passphrase is used where one is needed, so that galleries with and
 * without may stand side by side; what is made new is encrypted with it.
 */
#include "server_parts.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ending[] = ".gallery";

static bool name_is_plain(const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n >= KEY_COLLECTION_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
            !(i && (name[i] == '-' || name[i] == '_')))
            return false;
    return true;
}

static api_collection *find(collections *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->items[i].name, name))
            return &all->items[i];
    return NULL;
}

static api_collection *add(api_server *s, const char *name)
{
    collections *all = &s->collections;
    if (all->n == SERVER_MAX_COLLECTIONS)
        return NULL;
    api_collection *c = &all->items[all->n];
    *c = (api_collection){ .generation = 1 };
    snprintf(c->name, sizeof c->name, "%s", name);
    const int n = s->opts.gallery && !strcmp(name, "default")
                      ? snprintf(c->path, sizeof c->path, "%s", s->opts.gallery)
                      : snprintf(c->path, sizeof c->path, "%s/%s%s", all->folder, name, ending);
    if (n < 0 || (size_t)n >= sizeof c->path)
        return NULL;
    all->n++;
    return c;
}

bool collections_open(api_server *s, char *fault, size_t capacity)
{
    collections *all = &s->collections;
    pthread_mutex_init(&all->lock, NULL);
    if ((size_t)snprintf(all->folder, sizeof all->folder, "%s/collections", s->opts.data) >=
            sizeof all->folder ||
        (mkdir(all->folder, 0700) && errno != EEXIST)) {
        snprintf(fault, capacity, "%.160s: %s", all->folder, strerror(errno));
        return false;
    }
    add(s, "default");
    DIR *d = opendir(all->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[KEY_COLLECTION_BYTES];
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ending) != 0 || (size_t)(dot - e->d_name) >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(dot - e->d_name), e->d_name);
        if (name_is_plain(name) && !find(all, name))
            add(s, name);
    }
    if (d)
        closedir(d);
    return true;
}

/* A curve is lent to calls that run: it stays until the server stops. Some kilobytes for each collection removed; without
 * memory for the list it is never freed, which is safe too. */
static void retire(collections *all, mien_curve *curve)
{
    mien_curve **more = curve ? realloc(all->retired, (all->n_retired + 1) * sizeof *more) : NULL;
    if (!more)
        return;
    all->retired = more;
    more[all->n_retired++] = curve;
}

static void shut(collections *all, api_collection *c)
{
    mien_gallery_free(c->master);
    retire(all, c->curve);
    c->master = NULL;
    c->curve = NULL;
    c->generation++;
}

void collections_close(api_server *s)
{
    for (size_t i = 0; i < s->collections.n; i++)
        shut(&s->collections, &s->collections.items[i]);
    for (size_t i = 0; i < s->collections.n_retired; i++)
        mien_curve_free(s->collections.retired[i]);
    free(s->collections.retired);
    pthread_mutex_destroy(&s->collections.lock);
}

void collections_each(api_server *s, collection_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->collections.lock);
    for (size_t i = 0; i < s->collections.n; i++)
        fn(ctx, s->collections.items[i].name);
    pthread_mutex_unlock(&s->collections.lock);
}

/* Open the first handle; the default collection is made when it is not there yet. */
static mien_status open_master(api_server *s, api_collection *c, const char *purpose, bool make,
                               mien_error *err)
{
    mien_gallery_opts o = MIEN_GALLERY_OPTS_INIT;
    o.mode = make                          ? MIEN_GALLERY_CREATE
             : !strcmp(c->name, "default") ? MIEN_GALLERY_OPEN_OR_CREATE
                                           : MIEN_GALLERY_WRITE;
    o.embedder = s->embed;
    o.key = s->opts.key;
    o.key_bytes = s->opts.key_bytes;
    o.actor = "server";
    o.purpose = purpose;
    struct stat file;
    mien_status st = MIEN_E_GALLERY_KEY;
    if (!s->opts.passphrase || (!make && !stat(c->path, &file)))
        st = mien_gallery_open(c->path, &o, &c->master, err);
    if (st == MIEN_E_GALLERY_KEY && s->opts.passphrase) {
        o.passphrase = s->opts.passphrase;
        st = mien_gallery_open(c->path, &o, &c->master, err);
    }
    if (st)
        return st;
    if (!stat(c->path, &file)) {
        c->device = file.st_dev;
        c->inode = file.st_ino;
    }
    if (mien_curve_of_gallery(c->master, s->embed, &c->curve, NULL))
        c->curve = NULL; /* what is kept is no curve: the model's is used */
    return MIEN_OK;
}

/* Whether a gallery that is there opens with a passphrase; asking with none costs no key derivation. */
static bool wants_passphrase(const api_collection *c)
{
    mien_gallery_opts o = MIEN_GALLERY_OPTS_INIT;
    mien_gallery *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    o.mode = MIEN_GALLERY_READ;
    o.no_index = 1;
    const mien_status st = mien_gallery_open(c->path, &o, &g, &err);
    mien_gallery_free(g);
    return st == MIEN_E_GALLERY_KEY && !strstr(err.message, "key file");
}

bool collections_unlock(api_server *s, char *fault, size_t capacity)
{
    mien_error err = MIEN_ERROR_INIT;
    for (size_t i = 0; s->opts.ask && !s->opts.passphrase && !s->opts.key && i < s->collections.n; i++) {
        const char *const path = s->collections.items[i].path;
        if (!wants_passphrase(&s->collections.items[i]))
            continue;
        if (!(s->opts.passphrase = s->opts.ask(s->opts.ask_ctx, path))) {
            snprintf(fault, capacity, "%.160s: the gallery is encrypted, and there is no passphrase", path);
            return false;
        }
    }
    api_collection *const first = find(&s->collections, "default");
    struct stat file;
    if (!first || stat(first->path, &file) || open_master(s, first, NULL, false, &err) == MIEN_OK)
        return true;
    snprintf(fault, capacity, "%.160s: %s", first->path, err.message);
    return false;
}

static mien_gallery **slot_of(kit *k, const api_collection *c)
{
    for (unsigned i = 0; i < KIT_GALLERIES; i++)
        if (k->open[i].gallery && !strcmp(k->open[i].name, c->name)) {
            if (k->open[i].generation == c->generation)
                return &k->open[i].gallery;
            mien_gallery_free(k->open[i].gallery);
            k->open[i].gallery = NULL;
        }
    const unsigned i = k->next++ % KIT_GALLERIES;
    mien_gallery_free(k->open[i].gallery);
    k->open[i].gallery = NULL;
    snprintf(k->open[i].name, sizeof k->open[i].name, "%s", c->name);
    k->open[i].generation = c->generation;
    return &k->open[i].gallery;
}

void kit_close(kit *k)
{
    for (unsigned i = 0; i < KIT_GALLERIES; i++)
        mien_gallery_free(k->open[i].gallery);
    mien_embedder_free(k->embedder);
    mien_detector_free(k->detector);
}

/* The open handles still reach a file that was removed or replaced, and would acknowledge writes that nobody sees
 * again; so each call looks. Only a restart opens what lies there now: the database's log belongs to the old file.
 */
static bool is_in_place(const api_collection *c)
{
    struct stat file;
    return !stat(c->path, &file) && file.st_dev == c->device && file.st_ino == c->inode;
}

static mien_status say(mien_error *err, mien_status st, const char *what)
{
    err->status = st;
    snprintf(err->message, sizeof err->message, "%s", what);
    return st;
}

/* The collection with its first handle open, under the lock. *ret_gone: its file was removed or replaced. */
static mien_status ready(api_server *s, const char *name, api_collection **ret, bool *ret_gone, mien_error *err)
{
    api_collection *found = *ret = find(&s->collections, name);
    *ret_gone = false;
    if (!found)
        return say(err, MIEN_E_NOT_FOUND, "there is no collection of this name");
    const mien_status st = found->master ? MIEN_OK : open_master(s, found, NULL, false, err);
    if (st || is_in_place(found))
        return st;
    *ret_gone = true;
    return say(err, MIEN_E_IO,
               "the collection's file was removed or replaced: put it back, or start the server again");
}

mien_gallery *collection_of(api_call *c)
{
    api_server *s = c->server;
    mien_error err = MIEN_ERROR_INIT;
    api_collection *found = NULL;
    mien_gallery **slot = NULL;
    char actor[160];
    bool gone = false;
    pthread_mutex_lock(&s->collections.lock);
    mien_status st = ready(s, c->collection, &found, &gone, &err);
    if (!st) {
        slot = slot_of(c->kit, found);
        if (!*slot)
            st = mien_gallery_open_beside(found->master, NULL, slot, &err);
    }
    pthread_mutex_unlock(&s->collections.lock);
    if (!found || gone) {
        api_fail(c, found ? 503 : 404, found ? "GALLERY_GONE" : "NO_COLLECTION", "%s", err.message);
        return NULL;
    }
    snprintf(actor, sizeof actor, "key %lld %s", (long long)c->key.id, c->has_session ? "page" : "api");
    if (!st)
        st = mien_gallery_set_actor(*slot, actor, &err);
    if (st) {
        api_fail_status(c, &err);
        return NULL;
    }
    return *slot;
}

mien_status collection_open(api_server *s, const char *name, const char *actor, mien_gallery **ret,
                            mien_error *err)
{
    api_collection *found = NULL;
    bool gone = false;
    pthread_mutex_lock(&s->collections.lock);
    mien_status st = ready(s, name, &found, &gone, err);
    if (!st)
        st = mien_gallery_open_beside(found->master, actor, ret, err);
    pthread_mutex_unlock(&s->collections.lock);
    return st;
}

const mien_curve *collection_curve(api_call *c)
{
    return collection_curve_of(c->server, c->collection);
}

/* A collection that cannot be opened has the model's: who needs its people is told why. */
const mien_curve *collection_curve_of(api_server *s, const char *name)
{
    api_collection *found = NULL;
    bool gone = false;
    mien_error err = MIEN_ERROR_INIT;
    pthread_mutex_lock(&s->collections.lock);
    const bool open = !ready(s, name, &found, &gone, &err);
    const mien_curve *curve = open && found->curve ? found->curve : s->curve;
    pthread_mutex_unlock(&s->collections.lock);
    return curve;
}

static const char retention_key[] = "retention_days";

int64_t collection_retention(mien_gallery *g)
{
    char *text = NULL;
    const int64_t days = mien_gallery_text(g, retention_key, &text, NULL) ? 0 : strtoll(text, NULL, 10);
    mien_text_free(text);
    return days > 0 && days <= MAX_RETENTION_DAYS ? days : 0;
}

mien_status collection_set_retention(mien_gallery *g, int64_t days, mien_error *err)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)days);
    if (days == collection_retention(g))
        return MIEN_OK;
    return mien_gallery_set_text(g, retention_key, days ? text : NULL, err);
}

bool collection_expiry(mien_gallery *g, const char *name, mien_consent *consent)
{
    int64_t id = 0;
    const int64_t days = collection_retention(g);
    if (!days || mien_gallery_find(g, name, &id, NULL) == MIEN_OK)
        return false;
    consent->expires_ms = keys_now_ms() + days * 24 * 3600 * 1000;
    return true;
}

/* A fitted curve names the fingerprint of its model, the model's own its name. */
bool curve_is_own(const api_server *s, const mien_curve *curve)
{
    char print[65];
    return !mien_model_fingerprint(s->embed, print, NULL) && !strcmp(mien_curve_info_of(curve)->model, print);
}

/* Written outside of the lock, for the disk is slow; what is in force is what then stands in the file, so that two
 * calls at a time leave both alike. */
mien_status collection_calibrate(api_call *c, mien_gallery *g, const mien_curve *curve, mien_error *err)
{
    collections *all = &c->server->collections;
    mien_curve *now = NULL;
    mien_status st = curve ? mien_curve_to_gallery(curve, g, err) : mien_gallery_set_text(g, "calibration", NULL, err);
    if (st)
        return st;
    pthread_mutex_lock(&all->lock);
    api_collection *found = find(all, c->collection);
    st = found ? mien_curve_of_gallery(g, c->server->embed, &now, err)
               : say(err, MIEN_E_NOT_FOUND, "there is no collection of this name");
    if (!st) {
        retire(all, found->curve);
        found->curve = now;
    }
    pthread_mutex_unlock(&all->lock);
    return st;
}

mien_status collection_make(api_server *s, const char *name, const char *purpose, mien_error *err)
{
    mien_status st = MIEN_OK;
    *err = (mien_error)MIEN_ERROR_INIT;
    pthread_mutex_lock(&s->collections.lock);
    if (!name_is_plain(name)) {
        st = err->status = MIEN_E_ARG;
        snprintf(err->message, sizeof err->message, "a collection's name has 1 to 63 of a-z, 0-9, - and _");
    } else if (find(&s->collections, name)) {
        st = err->status = MIEN_E_EXISTS;
        snprintf(err->message, sizeof err->message, "there is a collection '%s' already", name);
    } else {
        api_collection *made = add(s, name);
        if (!made) {
            st = err->status = MIEN_E_LIMIT;
            snprintf(err->message, sizeof err->message, "there are %d collections, which is the most",
                     SERVER_MAX_COLLECTIONS);
        } else if ((st = open_master(s, made, purpose, true, err))) {
            s->collections.n--;
        }
    }
    pthread_mutex_unlock(&s->collections.lock);
    return st;
}

mien_status collection_remove(api_server *s, const char *name, mien_error *err)
{
    static const char *const beside[] = { "-index", "-shm", "-wal", "" };
    mien_status st = MIEN_OK;
    *err = (mien_error)MIEN_ERROR_INIT;
    pthread_mutex_lock(&s->collections.lock);
    api_collection *c = find(&s->collections, name);
    if (!c || !strcmp(name, "default")) {
        st = err->status = c ? MIEN_E_ARG : MIEN_E_NOT_FOUND;
        snprintf(err->message, sizeof err->message,
                 c ? "the default collection is not removed: remove its people"
                   : "there is no collection of this name");
    } else {
        char path[600];
        shut(&s->collections, c);
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            snprintf(path, sizeof path, "%s%s", c->path, beside[i]);
            if (unlink(path) && errno != ENOENT) {
                st = err->status = MIEN_E_IO;
                snprintf(err->message, sizeof err->message, "the collection's file cannot be removed: %s",
                         strerror(errno));
            }
        }
        if (!st)
            *c = s->collections.items[--s->collections.n];
    }
    pthread_mutex_unlock(&s->collections.lock);
    return st;
}
