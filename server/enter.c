/* Signing the page in at the start of the server. Whoever starts it owns its data folder and may make any key; so a browser
 * that it opens itself need not ask for one. The code is random, kept as a hash, good once and for a minute.
 */
#include "server_parts.h"
#include <sodium.h>
#include <string.h>

enum { GOOD_MS = 60000 };

static void hash_of(const char *code, uint8_t ret[32])
{
    crypto_generichash(ret, 32, (const uint8_t *)code, strlen(code), NULL, 0);
}

static void oldest(void *ctx, const key_info *key)
{
    int64_t *ret = ctx;
    if (key_is_root(key) && (!key->expires_ms || key->expires_ms > keys_now_ms()) && (!*ret || key->id < *ret))
        *ret = key->id;
}

bool server_enter_code(api_server *s, char ret_code[SERVER_CODE_BYTES])
{
    uint8_t random[32];
    int64_t key = 0;
    if (!keys_each(s->keys, oldest, &key) || !key)
        return false;
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(ret_code, SERVER_CODE_BYTES, random, sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    pthread_mutex_lock(&s->enter.lock);
    hash_of(ret_code, s->enter.hash);
    s->enter.until_ms = http_now_ms() + GOOD_MS;
    s->enter.key = key;
    pthread_mutex_unlock(&s->enter.lock);
    sodium_memzero(random, sizeof random);
    return true;
}

int64_t enter_take(api_server *s, const char *code)
{
    uint8_t hash[32];
    int64_t key = 0;
    hash_of(code, hash);
    pthread_mutex_lock(&s->enter.lock);
    if (s->enter.key && sodium_memcmp(hash, s->enter.hash, sizeof hash) == 0) {
        key = http_now_ms() < s->enter.until_ms ? s->enter.key : 0;
        s->enter.key = 0;
    }
    pthread_mutex_unlock(&s->enter.lock);
    return key;
}
