/* The HTTP layer against everything that must be refused: the strictness list, deadlines, bounds, and that
 * others are served meanwhile. The server runs in this process; cases are raw bytes over a socket. */
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_BODY = 1 << 20 };

static unsigned handled;

static http_lane begin(void *ctx, http_request *r, size_t *ret_max, http_reply *y)
{
    (void)ctx;
    *ret_max = MAX_BODY;
    if (!strcmp(http_path(r), "/secret")) {
        http_reply_copy(y, 401, "text/plain", "no", 2);
        return HTTP_REFUSED;
    }
    return HTTP_LIGHT;
}

static void handle(void *ctx, http_lane lane, unsigned worker, http_request *r, http_reply *y)
{
    size_t n = 0;
    char text[256];
    (void)ctx;
    (void)lane;
    (void)worker;
    http_body(r, &n);
    __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
    snprintf(text, sizeof text, "%s %s %zu", http_method_name(http_method_of(r)), http_path(r), n);
    http_reply_copy(y, 200, "text/plain", text, strlen(text));
    if (!strcmp(http_path(r), "/large"))
        http_reply_take(y, 200, "text/plain", calloc(1, 32 << 20), 32 << 20, free);
}

static void fault(void *ctx, http_request *r, int status, const char *what, http_reply *y)
{
    (void)ctx;
    (void)r;
    http_reply_copy(y, status, "text/plain", what, strlen(what));
}

static void end(void *ctx, http_request *r, const http_reply *y)
{
    (void)ctx;
    (void)r;
    (void)y;
}

static http_server *open_server(void)
{
    static const http_app app = { NULL, begin, handle, fault, end };
    http_opts o = HTTP_OPTS_INIT;
    char why[256];
    o.listen = "127.0.0.1:0";
    o.idle_ms = 1500;
    o.head_ms = 700;
    o.body_ms = 900;
    o.write_ms = 900;
    http_server *s = http_start(&o, &app, why, sizeof why);
    if (!s)
        fail_msg("%s", why);
    return s;
}

static int dial(http_server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    a.sin_port = htons((uint16_t)atoi(strchr(http_address(s), ':') + 1));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void put(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n) {
        const ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return; /* it has closed: what the case wants to see */
        p += k;
        n -= (size_t)k;
    }
}

static void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* Read until the other side closes or `ms` pass; returns the bytes read, *ret_closed. */
static size_t get(int fd, char *to, size_t capacity, int ms, bool *ret_closed)
{
    size_t n = 0;
    *ret_closed = false;
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        if (poll(&p, 1, ms) <= 0)
            break;
        char scrap[4096];
        const ssize_t k = recv(fd, n < capacity - 1 ? to + n : scrap,
                               n < capacity - 1 ? capacity - 1 - n : sizeof scrap, 0);
        if (k <= 0) {
            *ret_closed = true;
            break;
        }
        if (n < capacity - 1)
            n += (size_t)k;
    }
    to[n] = 0;
    return n;
}

static void serves(http_server *s)
{
    char answer[4096];
    bool closed;
    const int fd = dial(s);
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    get(fd, answer, sizeof answer, 2000, &closed);
    close(fd);
    assert_non_null(strstr(answer, "GET /x 0"));
}

typedef struct bad_case {
    const char *name, *bytes;
    size_t n; /* 0: strlen */
} bad_case;

#define GET_HEAD "GET /x HTTP/1.1\r\nHost: a\r\n"
#define POST_HEAD "POST /x HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

static const bad_case cases[] = {
    { "CL and TE", POST_HEAD "Content-Length: 5\r\n" CHUNKED "0\r\n\r\n", 0 },
    { "two CLs", POST_HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0 },
    { "two different CLs", POST_HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 0 },
    { "CL +3", POST_HEAD "Content-Length: +3\r\n\r\nabc", 0 },
    { "CL 0x3", POST_HEAD "Content-Length: 0x3\r\n\r\nabc", 0 },
    { "CL list", POST_HEAD "Content-Length: 3, 5\r\n\r\nabc", 0 },
    { "CL negative", POST_HEAD "Content-Length: -3\r\n\r\nabc", 0 },
    { "CL overflowing", POST_HEAD "Content-Length: 18446744073709551619\r\n\r\nabc", 0 },
    { "CL empty", POST_HEAD "Content-Length:\r\n\r\nabc", 0 },
    { "TE xchunked", POST_HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0 },
    { "TE chunked, identity", POST_HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 0 },
    { "two TEs", POST_HEAD "Transfer-Encoding: chunked\r\n" CHUNKED "0\r\n\r\n", 0 },
    { "space before colon", POST_HEAD "Content-Length : 3\r\n\r\nabc", 0 },
    { "space before name", "GET /x HTTP/1.1\r\n Host: a\r\n\r\n", 0 },
    { "bare LF in head", "GET /x HTTP/1.1\nHost: a\n\n", 0 },
    { "bare LF after a header", "GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 0 },
    { "bare LF in chunks", POST_HEAD CHUNKED "3\nabc\n0\n\n", 0 },
    { "chunk size with sign", POST_HEAD CHUNKED "+3\r\nabc\r\n0\r\n\r\n", 0 },
    { "chunk size 0x3", POST_HEAD CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", 0 },
    { "chunk overflowing", POST_HEAD CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n", 0 },
    { "chunk longer than said", POST_HEAD CHUNKED "3\r\nabcd\r\n0\r\n\r\n", 0 },
    { "NUL in value", GET_HEAD "X: a\0b\r\n\r\n", sizeof(GET_HEAD "X: a\0b\r\n\r\n") - 1 },
    { "NUL in name", GET_HEAD "X\0Y: a\r\n\r\n", sizeof(GET_HEAD "X\0Y: a\r\n\r\n") - 1 },
    { "bare CR", GET_HEAD "X: a\rb\r\n\r\n", 0 },
    { "obs-fold", GET_HEAD "X: a\r\n b\r\n\r\n", 0 },
    { "no Host", "GET /x HTTP/1.1\r\n\r\n", 0 },
    { "two Hosts", GET_HEAD "Host: b\r\n\r\n", 0 },
    { "TE on 1.0", "POST /x HTTP/1.0\r\nHost: a\r\n" CHUNKED "0\r\n\r\n", 0 },
    { "absolute URI", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "bad method", "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "lower-case method", "get /x HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "method with junk", "GET\x01 /x HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0 },
    { "HTTP/1.2", "GET /x HTTP/1.2\r\nHost: a\r\n\r\n", 0 },
    { "HTTP/0.9", "GET /x\r\n", 0 },
    { "garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15 },
    { "TLS hello", "\x16\x03\x01", 3 },
    { "traversal", "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "encoded traversal", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "NUL in path", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "bad escape", "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "cut escape", "GET /a% HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "not UTF-8", "GET /a%ff HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "header injection by path", "GET /a%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "body over the cap, declared", POST_HEAD "Content-Length: 99999999\r\n\r\nabc", 0 },
};

static void bad_heads_are_refused_or_closed(void **state)
{
    http_server *s = open_server();
    unsigned faults = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char answer[4096];
        bool closed;
        const unsigned before = __atomic_load_n(&handled, __ATOMIC_SEQ_CST);
        const int fd = dial(s);
        put(fd, cases[i].bytes, cases[i].n ? cases[i].n : strlen(cases[i].bytes));
        const size_t n = get(fd, answer, sizeof answer, 3000, &closed);
        close(fd);
        const bool ran = __atomic_load_n(&handled, __ATOMIC_SEQ_CST) != before;
        const bool refused = n > 12 && (answer[9] == '4' || answer[9] == '5');
        if (ran || !closed || (n && !refused)) {
            print_error("%s: %s%s, answer: %.60s\n", cases[i].name, ran ? "handled, " : "",
                        closed ? "closed" : "left open", answer);
            faults++;
        }
    }
    serves(s);
    http_stop(s, 1000);
    assert_int_equal(faults, 0);
}

static void good_requests_are_served(void **state)
{
    http_server *s = open_server();
    char answer[8192];
    bool closed;
    (void)state;
    const int fd = dial(s);
    /* three in a row on one connection, the last two pipelined */
    say(fd, "GET /a%20b?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    get(fd, answer, sizeof answer, 300, &closed);
    assert_non_null(strstr(answer, "GET /a b 0"));
    assert_false(closed);
    static const char two[] = POST_HEAD CHUNKED "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" POST_HEAD
                                                "Content-Length: 2\r\nConnection: close\r\n\r\nxy";
    put(fd, two, sizeof two - 1);
    get(fd, answer, sizeof answer, 1000, &closed);
    close(fd);
    assert_non_null(strstr(answer, "POST /x 5"));
    assert_non_null(strstr(answer, "POST /x 2"));
    assert_true(closed);
    http_stop(s, 1000);
}

static void refusal_before_the_body_answers_and_closes(void **state)
{
    http_server *s = open_server();
    char answer[4096];
    bool closed;
    (void)state;
    const int fd = dial(s);
    say(fd, "POST /secret HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    get(fd, answer, sizeof answer, 1500, &closed);
    close(fd);
    assert_true(closed);
    assert_non_null(strstr(answer, " 401 "));
    http_stop(s, 1000);
}

static void floods_are_cut_off_while_others_are_served(void **state)
{
    http_server *s = open_server();
    char *big = malloc(1 << 20), answer[4096];
    bool closed;
    (void)state;
    memset(big, 'a', 1 << 20);
    /* one header of 1 MB */
    int fd = dial(s);
    put(fd, GET_HEAD "X: ", strlen(GET_HEAD "X: "));
    put(fd, big, 1 << 20);
    get(fd, answer, sizeof answer, 3000, &closed);
    assert_true(closed);
    close(fd);
    /* 10,000 headers */
    fd = dial(s);
    put(fd, GET_HEAD, strlen(GET_HEAD));
    for (int i = 0; i < 10000; i++)
        put(fd, "X: y\r\n", 6);
    put(fd, "\r\n", 2);
    get(fd, answer, sizeof answer, 3000, &closed);
    assert_true(closed);
    assert_null(strstr(answer, " 200 "));
    close(fd);
    /* an undeclared body over the cap */
    fd = dial(s);
    put(fd, POST_HEAD CHUNKED, strlen(POST_HEAD CHUNKED));
    for (int i = 0; i < 40; i++) {
        put(fd, "10000\r\n", 7);
        put(fd, big, 0x10000);
        put(fd, "\r\n", 2);
    }
    get(fd, answer, sizeof answer, 3000, &closed);
    assert_true(closed);
    assert_null(strstr(answer, " 200 "));
    close(fd);
    free(big);
    serves(s);
    http_stop(s, 1000);
}

/* Send one byte of `bytes` every 100 ms; true when the server closes within `ms`. */
static bool trickle(http_server *s, const char *head, int ms)
{
    const int fd = dial(s);
    put(fd, head, strlen(head));
    for (int t = 0; t < ms; t += 100) {
        struct pollfd p = { fd, POLLIN, 0 };
        char scrap[512];
        if (poll(&p, 1, 100) > 0 && recv(fd, scrap, sizeof scrap, 0) <= 0) {
            close(fd);
            return true;
        }
        put(fd, "a", 1);
    }
    close(fd);
    return false;
}

static void slow_clients_are_cut_off(void **state)
{
    http_server *s = open_server();
    http_figures f;
    (void)state;
    assert_true(trickle(s, "", 3000));                                         /* no request line */
    assert_true(trickle(s, GET_HEAD "X: ", 3000));                             /* slow header */
    assert_true(trickle(s, POST_HEAD "Content-Length: 100000\r\n\r\n", 3000)); /* slow body */
    /* slow reader: asks for 32 MB and does not read */
    const int fd = dial(s);
    const int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(4000 * 1000);
    http_figures_of(s, &f);
    assert_int_equal(f.connections, 0);
    assert_true(f.cut_off >= 3);
    close(fd);
    serves(s);
    http_stop(s, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_served),
        cmocka_unit_test(bad_heads_are_refused_or_closed),
        cmocka_unit_test(refusal_before_the_body_answers_and_closes),
        cmocka_unit_test(floods_are_cut_off_while_others_are_served),
        cmocka_unit_test(slow_clients_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
