/* Who may do what: API keys with scopes, sessions of the page, and remembered answers of repeated writes; in
 * one SQLite file beside the galleries. Secrets are random, shown once, stored as hashes, compared in
 * constant time. */
#ifndef MIEN_SERVER_KEYS_H
#define MIEN_SERVER_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct keys keys;

enum { KEY_READ = 1, KEY_RECOGNISE = 2, KEY_ENROL = 4, KEY_ADMIN = 8, KEY_ALL = 15 };
enum { KEY_TOKEN_BYTES = 80, KEY_NAME_BYTES = 128, KEY_COLLECTION_BYTES = 64 };

typedef struct key_info {
    int64_t id;
    char name[KEY_NAME_BYTES];
    char collection[KEY_COLLECTION_BYTES]; /* "": all */
    unsigned scopes;                       /* KEY_ADMIN implies the others */
    bool nearest; /* CompreFace calls: always the nearest subject, as there; else strangers get none */
    int64_t created_ms, expires_ms, used_ms;
    char csrf[44]; /* of the session that stood for the key; "" when it came itself */
} key_info;

/* Open or make PATH (mode 0600). NULL and one sentence on failure. Any thread may call what follows. */
keys *keys_open(const char *path, char *ret_fault, size_t capacity);
void keys_close(keys *k);

/* Make a key; ret_token is to be shown once. false when the store fails. */
bool keys_make(keys *k, const key_info *what, char ret_token[KEY_TOKEN_BYTES], int64_t *ret_id);
/* Make a key of a token that clients have already, at least 16 characters: moving from another server. */
bool keys_adopt(keys *k, const key_info *what, const char *token, int64_t *ret_id);
/* Look up a token. false: unknown, expired or revoked. */
bool keys_check(keys *k, const char *token, key_info *ret);
/* Whether a key that was good is good still: neither revoked nor expired. */
bool keys_hold(keys *k, int64_t id);
bool keys_revoke(keys *k, int64_t id);
size_t keys_count(keys *k, unsigned scopes);
typedef void (*key_fn)(void *ctx, const key_info *key);
bool keys_each(keys *k, key_fn fn, void *ctx);

/* A session stands for its key for `ms`; the token goes into a cookie. */
bool session_make(keys *k, int64_t key, int64_t ms, char ret_token[KEY_TOKEN_BYTES], char ret_csrf[44]);
bool session_check(keys *k, const char *token, key_info *ret);
bool session_end(keys *k, const char *token);

/* Answers to writes that carried an Idempotency-Key, kept for a day. `what` is a hash of method, path and
 * body. */
typedef enum once_state { ONCE_NEW, ONCE_DONE, ONCE_OTHER, ONCE_RUNNING, ONCE_FAULT } once_state;
once_state once_begin(keys *k, int64_t key, const char *idempotency, const uint8_t what[32], int *ret_status,
                      char **ret_body);
void once_end(keys *k, int64_t key, const char *idempotency, int status, const char *body,
              size_t bytes); /* status 0: forget */

int64_t keys_now_ms(void); /* the wall clock */
/* The wall clock of when it was first asked, gone on since without jumps: for what lasts a while. */
int64_t keys_steady_ms(void);
/* Whether it administers every collection. */
bool key_is_root(const key_info *key);
bool key_allows(const key_info *key, unsigned scope, const char *collection);
/* "read,enrol" to bits; 0 when a word is unknown. */
unsigned key_scopes_of(const char *words);
void key_scopes_text(unsigned scopes, char *ret, size_t capacity);

#endif
