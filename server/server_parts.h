/* The insides of the server, for its own files. */
#ifndef MIEN_SERVER_PARTS_H
#define MIEN_SERVER_PARTS_H

#include "api.h"
#include "server.h"
#include <mien/decide.h>
#include <pthread.h>
#include <sys/types.h>

#define SESSION_COOKIE "mien_session"
enum { SERVER_MAX_HOSTS = 16, SERVER_MAX_COLLECTIONS = 256, KIT_GALLERIES = 16 };

/* ---- collections: a gallery file each, opened once, shared by the workers ---- */
typedef struct api_collection {
    char name[KEY_COLLECTION_BYTES];
    char path[512];
    unsigned generation;  /* grows when it is closed or replaced: workers then drop their handles */
    mien_gallery *master; /* only under the lock */
    dev_t device;         /* the file that master is of */
    ino_t inode;
    mien_curve *curve;    /* of its calibration, or the model's */
} api_collection;

typedef struct collections {
    pthread_mutex_t lock;
    api_collection items[SERVER_MAX_COLLECTIONS];
    size_t n;
    char folder[512];
    mien_curve **retired; /* of collections that were removed while a worker may have held them */
    size_t n_retired;
} collections;

/* One worker's tools; used by its thread alone. */
struct kit {
    mien_detector *detector; /* heavy lane only */
    mien_embedder *embedder;
    struct {
        char name[KEY_COLLECTION_BYTES];
        unsigned generation;
        mien_gallery *gallery;
    } open[KIT_GALLERIES];
    unsigned next;
};

typedef struct metrics metrics;
typedef struct events events;
typedef struct jobs jobs;

struct api_server {
    server_opts opts;
    http_server *http;
    keys *keys;
    char *hosts[SERVER_MAX_HOSTS];
    size_t n_hosts;
    rate_table *rates;
    mien_model *detect, *embed;
    mien_curve *curve; /* of the embedder */
    collections collections;
    kit *heavy, *light;
    unsigned n_heavy, n_light;
    metrics *metrics;
    events *events;
    jobs *jobs;
    double started_ms; /* by http_now_ms() */
    struct { /* the code that signs the page in at the start; key 0: none, or used */
        pthread_mutex_t lock;
        uint8_t hash[32];
        double until_ms;
        int64_t key;
    } enter;
};

kit *server_kit(api_server *s, http_lane lane, unsigned worker);

/* The callbacks that http_start() gets. */
http_lane api_begin(void *ctx, http_request *r, size_t *ret_max, http_reply *y);
void api_handle(void *ctx, http_lane lane, unsigned worker, http_request *r, http_reply *y);
void api_fault(void *ctx, http_request *r, int status, const char *what, http_reply *y);
void api_end(void *ctx, http_request *r, const http_reply *y);
void compat_fail(api_call *c, int status, const char *code, const char *message);

/* ---- collections.c ---- */
bool collections_open(api_server *s, char *ret_fault, size_t capacity);
/* Open the default collection if it is there, and ask for the passphrase if any needs one: a key that is missing or wrong is seen
 * at start, not by the first caller. */
bool collections_unlock(api_server *s, char *ret_fault, size_t capacity);
void collections_close(api_server *s);
/* The call's collection through this worker's handle; NULL: answered. The audit actor is the call's key. */
mien_gallery *collection_of(api_call *c);
/* After how many days a new person of the collection expires whose consent names no day; 0: never. */
enum { MAX_RETENTION_DAYS = 36500 };
int64_t collection_retention(mien_gallery *g);
mien_status collection_set_retention(mien_gallery *g, int64_t days, mien_error *err);
/* Put that day into the consent of somebody new of that name; false: nothing is due, or there is such a person. */
bool collection_expiry(mien_gallery *g, const char *name, mien_consent *consent);
/* The curve in force for the call's collection; lent until the server stops. */
const mien_curve *collection_curve(api_call *c);
/* The same by name. */
const mien_curve *collection_curve_of(api_server *s, const char *name);
/* Whether a curve was fitted for a collection, or is the model's own. */
bool curve_is_own(const api_server *s, const mien_curve *curve);
/* Keep a curve with the call's collection, whose handle is given, or, NULL, forget the one that is kept; searches
 * go by it from then on. */
mien_status collection_calibrate(api_call *c, mien_gallery *g, const mien_curve *curve, mien_error *err);
/* A handle of its own for work outside of calls, to be freed by the caller; `actor` stands in the audit chain. */
mien_status collection_open(api_server *s, const char *name, const char *actor, mien_gallery **ret,
                            mien_error *err);
mien_status collection_make(api_server *s, const char *name, const char *purpose, mien_error *err);
mien_status collection_remove(api_server *s, const char *name, mien_error *err);
typedef void (*collection_fn)(void *ctx, const char *name);
void collections_each(api_server *s, collection_fn fn, void *ctx);
void kit_close(kit *k);

/* ---- enter.c ---- */
/* Use up a code; the key it stands for, 0: wrong, used or too late. */
int64_t enter_take(api_server *s, const char *code);

/* ---- events.c ---- */
events *events_new(void);
void events_free(events *e);
/* Tell who listens; takes data, an object. */
void events_say(api_server *s, const char *collection, const char *type, json_t *data);

/* ---- train_run.c ---- */
/* Remove the crops that a server which was killed has left. */
void train_work_clean(api_server *s);

/* ---- metrics.c ---- */
metrics *metrics_new(void);
void metrics_free(metrics *m);
void metrics_count(api_server *s, const api_route *route, int status, double ms);
char *metrics_text(api_server *s); /* Prometheus; free() */

#endif
