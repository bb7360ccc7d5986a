/* Downloads through libcurl, which is opened at run time so that a program that never downloads neither links
 * nor loads it.
 *
 * Only https is followed, also across redirects (at most 5). A transfer that stands still for 30 s, or a
 * connection that takes longer than 20 s, fails; the part file stays and is resumed by a Range request next
 * time.
 */
#include "registry/fetch.h"
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* http://127.0.0.1, http://localhost or http://[::1], with or without a port; no user part. */
static bool is_loopback(const char *url)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
    const char *const host = url + strlen("http://");
    for (size_t i = 0; i < MIEN_COUNTOF(hosts); i++) {
        const size_t n = strlen(hosts[i]);
        if (strncmp(host, hosts[i], n) != 0)
            continue;
        const char *end = host + n;
        if (*end == ':')
            end += 1 + strspn(end + 1, "0123456789");
        return *end == '/' || *end == '\0';
    }
    return false;
}

bool mien__fetch_allowed(const char *url, bool mirror)
{
    if (starts_with(url, "https://"))
        return true;
    return mirror && (starts_with(url, "file:///") || (starts_with(url, "http://") && is_loopback(url)));
}

#if !MIEN_HAVE_CURL

mien_status mien__fetch(const char *url, int fd, uint64_t max_bytes, mien_progress_fn progress, void *user,
                        mien_error *err)
{
    (void)url;
    (void)fd;
    (void)max_bytes;
    (void)progress;
    (void)user;
    return mien__fail(err, MIEN_E_UNSUPPORTED, "this build cannot download: it was made without libcurl");
}

#else

#include <curl/curl.h>
#include <dlfcn.h>

typedef struct curl_api {
    void *library;
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    void (*cleanup)(CURL *);
    const char *(*text)(CURLcode);
} curl_api;

typedef struct transfer {
    int fd;
    uint64_t offset, received, max_bytes; /* offset: bytes that were there before */
    mien_progress_fn progress;
    void *user;
    bool too_large, write_failed, stopped;
} transfer;

/* POSIX lets dlsym's result be a function; ISO C wants the detour. */
static bool load_symbol(void *library, const char *name, void *ret_function)
{
    void *const symbol = dlsym(library, name);
    memcpy(ret_function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_curl(curl_api *api)
{
    static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
    for (size_t i = 0; i < MIEN_COUNTOF(names) && !api->library; i++)
        api->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return api->library && load_symbol(api->library, "curl_easy_init", &api->init) &&
           load_symbol(api->library, "curl_easy_setopt", &api->setopt) &&
           load_symbol(api->library, "curl_easy_perform", &api->perform) &&
           load_symbol(api->library, "curl_easy_getinfo", &api->getinfo) &&
           load_symbol(api->library, "curl_easy_cleanup", &api->cleanup) &&
           load_symbol(api->library, "curl_easy_strerror", &api->text);
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    transfer *const t = user;
    const size_t bytes = size * n;
    size_t done = 0;
    if (bytes > t->max_bytes - t->offset - t->received) {
        t->too_large = true;
        return 0;
    }
    while (done < bytes) {
        const ssize_t k = write(t->fd, data + done, bytes - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            t->write_failed = true;
            return 0;
        }
        done += (size_t)k;
    }
    t->received += bytes;
    return bytes;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    transfer *const t = user;
    (void)up_total;
    (void)up_now;
    if (t->progress &&
        t->progress(t->offset + (uint64_t)now, total > 0 ? t->offset + (uint64_t)total : 0, t->user))
        t->stopped = true;
    return t->stopped;
}

static bool set_options(const curl_api *api, CURL *curl, const char *url, transfer *t)
{
    const char *const scheme = starts_with(url, "https:")  ? "https"
                               : starts_with(url, "file:") ? "file"
                                                           : "http";
    return api->setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           api->setopt(curl, CURLOPT_PROTOCOLS_STR, scheme) == CURLE_OK &&
           api->setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK &&
           api->setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_MAXREDIRS, 5L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_LOW_SPEED_TIME, 30L) == CURLE_OK &&
           api->setopt(curl, CURLOPT_USERAGENT, "mien/" MIEN_VERSION) == CURLE_OK &&
           api->setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->offset) == CURLE_OK &&
           api->setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
           api->setopt(curl, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           api->setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           api->setopt(curl, CURLOPT_XFERINFODATA, t) == CURLE_OK &&
           api->setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

/* One request; *ret_restart: the server cannot resume what is there. */
static mien_status request(const curl_api *api, const char *url, transfer *t, bool *ret_restart,
                           mien_error *err)
{
    long http = 0;
    CURL *const curl = api->init();
    *ret_restart = false;
    if (!curl)
        return mien__fail(err, MIEN_E_NOMEM, "libcurl is out of memory");
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (set_options(api, curl, url, t))
        code = api->perform(curl);
    (void)api->getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    api->cleanup(curl);
    if (code == CURLE_OK)
        return MIEN_OK;
    if (t->stopped)
        return mien__fail(err, MIEN_E_INTERRUPTED, "the download was stopped");
    if (t->too_large)
        return mien__fail(err, MIEN_E_LIMIT, "%.120s passes %llu bytes", url,
                          (unsigned long long)t->max_bytes);
    if (t->write_failed)
        return mien__fail(err, MIEN_E_IO, "cannot write the part file: %s", strerror(errno));
    *ret_restart =
        t->offset > 0 && (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || http == 416);
    if (http >= 400)
        return mien__fail(err, MIEN_E_NET, "downloading %.120s failed: the server answered %ld", url, http);
    return mien__fail(err, MIEN_E_NET, "downloading %.120s failed: %.80s", url, api->text(code));
}

mien_status mien__fetch(const char *url, int fd, uint64_t max_bytes, mien_progress_fn progress, void *user,
                        mien_error *err)
{
    curl_api api = { 0 };
    bool restart = false;
    mien_status status = MIEN_OK;
    const off_t end = lseek(fd, 0, SEEK_END);
    transfer t = { .fd = fd, .max_bytes = max_bytes, .progress = progress, .user = user };
    if (end < 0)
        return mien__fail(err, MIEN_E_IO, "cannot read the part file: %s", strerror(errno));
    if (!open_curl(&api)) {
        status = mien__fail(err, MIEN_E_UNSUPPORTED,
                            "downloading needs libcurl (package libcurl4), which is not here");
        goto done;
    }
    t.offset = (uint64_t)end <= max_bytes ? (uint64_t)end : 0;
    if (t.offset == 0) {
        restart = end > 0;
    } else {
        mien_error first = MIEN_ERROR_INIT;
        status = request(&api, url, &t, &restart, &first);
        if (status != MIEN_OK && !restart && err)
            *err = first;
    }
    if (restart) {
        t = (transfer){ .fd = fd, .max_bytes = max_bytes, .progress = progress, .user = user };
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            status = mien__fail(err, MIEN_E_IO, "cannot empty the part file: %s", strerror(errno));
        else
            status = request(&api, url, &t, &restart, err);
    } else if (end == 0) {
        status = request(&api, url, &t, &restart, err);
    }
done:
    if (api.library)
        dlclose(api.library);
    return status;
}

#endif
