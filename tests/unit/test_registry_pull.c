/* Pulling models: addresses, digests, resuming, interruption; against a file: mirror and a server of our own
 * on the loopback that answers Range requests. The whole way to NAME.mien needs ../shared and is skipped
 * without it.
 */
#include "registry/fetch.h"
#include "registry/registry.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define EYE "open-closed-eye"
#define EYE_FILE MIEN_SHARED "/models/omz/open-closed-eye.onnx"

/* ---- a server for one file ---- */

typedef struct server {
    int fd, port;
    pthread_t thread;
    const uint8_t *body;
    size_t size;
    bool ranges;    /* answers Range requests */
    size_t cut;     /* close the connection after so many bytes; 0 never */
    int status;     /* answer this instead when not 0 */
    char range[64]; /* the last Range header seen */
    int requests;
} server;

static void answer(server *s, int client)
{
    char request[2048] = { 0 }, head[256];
    size_t n = 0, from = 0;
    while (n < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        const ssize_t k = recv(client, request + n, sizeof request - 1 - n, 0);
        if (k <= 0)
            return;
        n += (size_t)k;
    }
    s->requests++;
    const char *const range = strstr(request, "Range: bytes=");
    s->range[0] = '\0';
    if (range) {
        (void)snprintf(s->range, sizeof s->range, "%.*s", (int)strcspn(range, "\r\n"), range);
        from = (size_t)strtoull(range + 13, NULL, 10);
    }
    if (s->status) {
        (void)snprintf(head, sizeof head,
                       "HTTP/1.1 %d Nope\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", s->status);
        (void)send(client, head, strlen(head), MSG_NOSIGNAL);
        return;
    }
    if (!s->ranges || !range)
        from = 0;
    if (from > 0)
        (void)snprintf(head, sizeof head,
                       "HTTP/1.1 206 Partial\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n",
                       from, s->size - 1, s->size, s->size - from);
    else
        (void)snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", s->size);
    (void)send(client, head, strlen(head), MSG_NOSIGNAL);
    size_t left = s->size - from;
    if (s->cut && left > s->cut)
        left = s->cut;
    (void)send(client, s->body + from, left, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    server *const s = arg;
    for (;;) {
        const int client = accept(s->fd, NULL, NULL);
        if (client < 0)
            return NULL;
        answer(s, client);
        (void)shutdown(client, SHUT_WR);
        close(client);
    }
}

static void start(server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    char url[64];
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(s->fd, 4) == 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/models/", s->port);
    setenv("MIEN_MIRROR", url, 1);
}

static void stop(server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    close(s->fd);
    unsetenv("MIEN_MIRROR");
}

/* ---- helpers ---- */

static char dir[] = "/tmp/mien-pull-XXXXXX";

static int fresh_dir(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static bool there(const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    return access(path, F_OK) == 0;
}

static void put(const char *file, const void *data, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *const f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static mien_status pull_eye(mien_error *err)
{
    char path[512] = "";
    const mien_status status = mien_registry_pull(EYE, dir, NULL, NULL, path, sizeof path, err);
    if (status == MIEN_OK) {
        assert_non_null(strstr(path, "/" EYE ".mien"));
        assert_int_equal(mien_model_verify(path, err), MIEN_OK);
    }
    return status;
}

/* ---- tests ---- */

static void addresses_are_https_unless_a_mirror_is_local(void **state)
{
    (void)state;
    assert_true(mien__fetch_allowed("https://example.org/x", false));
    assert_false(mien__fetch_allowed("http://example.org/x", false));
    assert_false(mien__fetch_allowed("http://127.0.0.1/x", false));
    assert_false(mien__fetch_allowed("file:///x", false));
    assert_true(mien__fetch_allowed("file:///x", true));
    assert_true(mien__fetch_allowed("http://127.0.0.1:80/x", true));
    assert_true(mien__fetch_allowed("http://[::1]/x", true));
    assert_false(mien__fetch_allowed("http://127.0.0.1@example.org/x", true));
    assert_false(mien__fetch_allowed("http://127.0.0.1.example.org/x", true));
    assert_false(mien__fetch_allowed("http://localhost:1@example.org/x", true));
    assert_false(mien__fetch_allowed("ftp://127.0.0.1/x", true));
}

static void wrong_arguments_and_names_are_refused(void **state)
{
    (void)state;
    char path[64];
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_registry_pull(NULL, dir, NULL, NULL, path, sizeof path, &err), MIEN_E_ARG);
    assert_int_equal(mien_registry_pull("nothing", dir, NULL, NULL, path, sizeof path, &err),
                     MIEN_E_NOT_FOUND);
    assert_int_equal(mien_registry_pull("scrfd_2.5g", dir, NULL, NULL, path, sizeof path, &err),
                     MIEN_E_UNSUPPORTED);
    setenv("MIEN_MIRROR", "http://example.org/", 1);
    assert_int_equal(pull_eye(&err), MIEN_E_ARG);
    unsetenv("MIEN_MIRROR");
}

static void wrong_digest_leaves_nothing(void **state)
{
    (void)state;
    static const uint8_t body[] = "this is not the model";
    server s = { .body = body, .size = sizeof body, .ranges = true };
    mien_error err = MIEN_ERROR_INIT;
    start(&s);
    assert_int_equal(pull_eye(&err), MIEN_E_DIGEST);
    assert_non_null(strstr(err.message, "SHA-256"));
    stop(&s);
    assert_int_equal(rmdir(dir), 0); /* empty: no part, no working folder */
    assert_int_equal(mkdir(dir, 0700), 0);
}

static void server_error_is_told(void **state)
{
    (void)state;
    server s = { .body = (const uint8_t *)"", .status = 404 };
    mien_error err = MIEN_ERROR_INIT;
    start(&s);
    assert_int_equal(pull_eye(&err), MIEN_E_NET);
    assert_non_null(strstr(err.message, "404"));
    stop(&s);
    assert_false(there(EYE ".mien"));
}

static int refuse(uint64_t done, uint64_t total, void *user)
{
    (void)done;
    (void)total;
    (void)user;
    return 1;
}

static void progress_can_stop_it(void **state)
{
    (void)state;
    static const uint8_t body[4096];
    char path[256];
    server s = { .body = body, .size = sizeof body };
    mien_error err = MIEN_ERROR_INIT;
    start(&s);
    assert_int_equal(mien_registry_pull(EYE, dir, refuse, NULL, path, sizeof path, &err), MIEN_E_INTERRUPTED);
    stop(&s);
}

static void broken_transfer_is_resumed(void **state)
{
    (void)state;
    mien__file_map map = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    if (mien__file_map_open(&map, EYE_FILE, 1u << 20, &err) != MIEN_OK)
        skip();
    server s = { .body = map.data, .size = map.size, .ranges = true, .cut = 10000 };
    start(&s);
    assert_int_equal(pull_eye(&err), MIEN_E_NET);
    assert_true(there(EYE ".onnx.part"));
    assert_false(there(EYE ".mien"));
    s.cut = 0;
    assert_int_equal(pull_eye(&err), MIEN_OK);
    assert_string_equal(s.range, "Range: bytes=10000-");
    assert_true(there(EYE ".mien"));
    assert_false(there(EYE ".onnx.part"));
    assert_false(there(EYE ".onnx"));
    stop(&s);
    mien__file_map_close(&map);
}

static void server_without_ranges_is_read_again(void **state)
{
    (void)state;
    mien__file_map map = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    if (mien__file_map_open(&map, EYE_FILE, 1u << 20, &err) != MIEN_OK)
        skip();
    server s = { .body = map.data, .size = map.size, .ranges = false };
    put(EYE ".onnx.part", "garbage", 7);
    start(&s);
    if (pull_eye(&err) != MIEN_OK)
        fail_msg("%s", err.message);
    assert_int_equal(s.requests, 2);
    stop(&s);
    mien__file_map_close(&map);
}

static void complete_part_needs_no_network(void **state)
{
    (void)state;
    mien__file_map map = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    if (mien__file_map_open(&map, EYE_FILE, 1u << 20, &err) != MIEN_OK)
        skip();
    put(EYE ".onnx.part", map.data, map.size);
    setenv("MIEN_MIRROR", "http://127.0.0.1:1/", 1);
    assert_int_equal(pull_eye(&err), MIEN_OK);
    unsetenv("MIEN_MIRROR");
    mien__file_map_close(&map);
}

static void file_mirror_brings_both_files_of_ir(void **state)
{
    (void)state;
    char path[512];
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (access(EYE_FILE, R_OK) != 0)
        skip();
    char *const real = realpath(MIEN_SHARED "/models/omz", NULL);
    assert_non_null(real);
    (void)snprintf(path, sizeof path, "file://%s", real);
    free(real);
    setenv("MIEN_MIRROR", path, 1);
    if (mien_registry_pull("landmarks-regression-retail-0009", dir, NULL, NULL, path, sizeof path, &err) !=
        MIEN_OK)
        fail_msg("%s", err.message);
    unsetenv("MIEN_MIRROR");
    assert_int_equal(mien_model_load(path, &model, &err), MIEN_OK);
    assert_string_equal(mien_model_info_of(model)->licence, "Apache-2.0");
    assert_int_equal(mien_model_info_of(model)->task, MIEN_TASK_LANDMARK);
    mien_model_free(model);
    assert_false(there("landmarks-regression-retail-0009.xml"));
}

int main(void)
{
    setenv("no_proxy", "127.0.0.1", 1);
#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_https_unless_a_mirror_is_local),
        CASE(wrong_arguments_and_names_are_refused),
        CASE(wrong_digest_leaves_nothing),
        CASE(server_error_is_told),
        CASE(progress_can_stop_it),
        CASE(broken_transfer_is_resumed),
        CASE(server_without_ranges_is_read_again),
        CASE(complete_part_needs_no_network),
        CASE(file_mirror_brings_both_files_of_ir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
