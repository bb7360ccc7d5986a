/* Many clients of an HTTP server in one thread that costs next to nothing: one request, made once and sent
 * again and again on keep-alive connections; answers are framed, their status counted, their bodies searched
 * for a text. For bench/serve.py and tests/http/load.py.
 *
 *   build/release/tools/tool_http_load HOST PORT PATH BODY [option ...]
 *     --header "NAME: VALUE"  one more header, may be repeated: a key, the body's type
 *     --connections N         8
 *     --seconds X             5
 *     --per-second X          requests begun in a second, evenly spread over all connections; by default each
 * connection asks again as soon as it was answered
 *     --expect TEXT           what every answer of 200 must hold
 *     --pause-ms N            20: a connection's rest after 429
 *
 * It prints one JSON object: answers that were right, busy (429 with Retry-After), wrong (any other), cut
 * (connections that ended without an answer) and late (paced requests for which no connection was free),
 * milliseconds of the right ones from the first byte sent to the last received, and the processor seconds of
 * this program.
 *
 * The server's answers carry Content-Length; one without counts as wrong and ends the connection.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 4096,
    MAX_HEADERS = 16,
    MAX_FILE = 64 << 20,
    MAX_ANSWER = 1 << 20,
    MAX_TIMES = 1 << 22
};

typedef enum phase { RESTING, SENDING, READING } phase;

typedef struct connection {
    int fd;
    phase phase;
    bool listens_out;        /* epoll also waits for room to write */
    double since_ms, due_ms; /* when the request was begun; when a resting one may begin */
    size_t sent, got;
    char *answer; /* [MAX_ANSWER + 1] */
} connection;

typedef struct load {
    struct sockaddr_in where;
    char *request;
    size_t request_bytes;
    const char *expect;
    unsigned n;
    double seconds, per_second, pause_ms;
    connection *all;
    int epoll;
    double next_ms; /* the next paced request */
    float *times;
    size_t right;
    unsigned long busy, wrong, cut, late;
    char first_wrong[160];
} load;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void fail(const char *what)
{
    fprintf(stderr, "http_load: %s\n", what);
    exit(2);
}

/* ---- a connection ---- */

/* A new connection in place of the old; none (fd -1) when it cannot be made. */
static bool dial(load *l, connection *c)
{
    const int one = 1;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    if (c->fd >= 0)
        close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->phase = RESTING;
    c->listens_out = false;
    if (c->fd >= 0 && !connect(c->fd, (const struct sockaddr *)&l->where, sizeof l->where) &&
        !setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) &&
        !epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e))
        return true;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    return false;
}

static void lose(load *l, connection *c, double now)
{
    l->cut += c->phase != RESTING;
    if (!dial(l, c))
        c->due_ms = now + 100; /* begin() dials again */
}

static void listen_out(load *l, connection *c, bool on)
{
    struct epoll_event e = { .events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c };
    if (c->listens_out != on)
        epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->listens_out = on;
}

static void send_more(load *l, connection *c, double now)
{
    while (c->sent < l->request_bytes) {
        const ssize_t k =
            send(c->fd, l->request + c->sent, l->request_bytes - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
            listen_out(l, c, true);
            return;
        }
        if (k < 0) {
            lose(l, c, now);
            return;
        }
        c->sent += (size_t)k;
    }
    listen_out(l, c, false);
    c->phase = READING;
}

static void begin(load *l, connection *c, double now)
{
    if (c->fd < 0 && !dial(l, c)) {
        c->due_ms = now + 100;
        return;
    }
    c->phase = SENDING;
    c->since_ms = now;
    c->sent = c->got = 0;
    send_more(l, c, now);
}

/* ---- an answer ---- */

/* A header's value in the head, NULL when absent. `answer` ends with NUL. */
static const char *value_of(const char *head, const char *name)
{
    const size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " ");
    return NULL;
}

static void count(load *l, connection *c, const char *body, double now)
{
    const long status = strncmp(c->answer, "HTTP/1.1 ", 9) ? 0 : strtol(c->answer + 9, NULL, 10);
    c->due_ms = now;
    if (status == 200 && (!l->expect || strstr(body, l->expect))) {
        if (l->right < MAX_TIMES)
            l->times[l->right] = (float)(now - c->since_ms);
        l->right++;
    } else if (status == 429 && value_of(c->answer, "Retry-After")) {
        l->busy++;
        c->due_ms = now + l->pause_ms;
    } else if (!l->wrong++) {
        snprintf(l->first_wrong, sizeof l->first_wrong, "%ld %.140s", status, body);
    }
}

/* Whether the answer is whole; a connection that is over is dialled anew. */
static void read_more(load *l, connection *c, double now)
{
    const ssize_t k = recv(c->fd, c->answer + c->got, MAX_ANSWER - c->got, MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (k <= 0) {
        lose(l, c, now);
        return;
    }
    c->got += (size_t)k;
    c->answer[c->got] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end && c->got < MAX_ANSWER)
        return;
    const char *length = end ? value_of(c->answer, "Content-Length") : NULL;
    const size_t head = end ? (size_t)(end - c->answer) + 4 : 0,
                 body = length ? strtoull(length, NULL, 10) : 0;
    if (length && body <= MAX_ANSWER - head && c->got < head + body)
        return;
    count(l, c, end ? end + 4 : "", now);
    const char *close_it = end ? value_of(c->answer, "Connection") : "close";
    c->phase = RESTING;
    if (!length || body > MAX_ANSWER - head || c->got > head + body ||
        (close_it && !strncasecmp(close_it, "close", 5)))
        lose(l, c, now);
}

/* ---- all of them ---- */

/* Begin what is due; milliseconds until something else will be, at most 100. */
static double begin_due(load *l, double now)
{
    double wait = 100;
    unsigned free_n = 0;
    for (unsigned i = 0; i < l->n; i++) {
        connection *c = &l->all[i];
        if (c->phase != RESTING)
            continue;
        if (c->due_ms > now) {
            wait = c->due_ms - now < wait ? c->due_ms - now : wait;
            continue;
        }
        free_n++;
        if (l->per_second > 0 && l->next_ms > now)
            continue;
        l->next_ms += 1e3 / l->per_second;
        begin(l, c, now);
    }
    if (l->per_second > 0) {
        for (; !free_n && l->next_ms <= now; l->next_ms += 1e3 / l->per_second)
            l->late++;
        if (free_n)
            wait = l->next_ms <= now ? 0 : l->next_ms - now < wait ? l->next_ms - now : wait;
    }
    return wait;
}

static void run(load *l)
{
    struct epoll_event events[64];
    const double end = now_ms() + l->seconds * 1e3;
    l->next_ms = now_ms();
    for (double now; (now = now_ms()) < end;) {
        const double wait = begin_due(l, now);
        const int n = epoll_wait(l->epoll, events, 64, (int)(wait + 0.999));
        now = now_ms();
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (c->phase == SENDING && events[i].events & EPOLLOUT)
                send_more(l, c, now);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_more(l, c, now);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    const float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

static void report(load *l, double seconds)
{
    struct rusage used;
    const size_t n = l->right < MAX_TIMES ? l->right : MAX_TIMES;
    qsort(l->times, n, sizeof *l->times, by_value);
    getrusage(RUSAGE_SELF, &used);
    const double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    for (char *s = l->first_wrong; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
            *s = '\'';
    printf("{\"right\": %zu, \"busy\": %lu, \"wrong\": %lu, \"cut\": %lu, \"late\": %lu, \"seconds\": %.3f, "
           "\"right_per_s\": %.2f, \"first_wrong\": \"%s\", \"client_cpu_s\": %.3f, ",
           l->right, l->busy, l->wrong, l->cut, l->late, seconds, (double)l->right / seconds, l->first_wrong,
           cpu);
    const double part[] = { 0.1, 0.5, 0.9, 0.99, 1 };
    const char *const name[] = { "p10_ms", "median_ms", "p90_ms", "p99_ms", "worst_ms" };
    for (int i = 0; i < 5; i++) {
        const size_t at = (size_t)(part[i] * (double)n);
        printf("\"%s\": %.2f%s", name[i], n ? (double)l->times[at < n ? at : n - 1] : 0.0,
               i < 4 ? ", " : "}\n");
    }
}

/* ---- the request ---- */

static void make_request(load *l, const char *host, const char *path, const char *file,
                         const char *const *headers, unsigned n_headers)
{
    char *body = malloc(MAX_FILE), *head = malloc(65536);
    FILE *f = fopen(file, "rb");
    const size_t bytes = f && body ? fread(body, 1, MAX_FILE, f) : 0;
    if (!f || !head || bytes == MAX_FILE)
        fail("the body's file cannot be read");
    fclose(f);
    int at = snprintf(head, 65536, "POST %.4000s HTTP/1.1\r\nHost: %.200s\r\nContent-Length: %zu\r\n", path,
                      host, bytes);
    for (unsigned i = 0; i < n_headers && at < 60000; i++)
        at += snprintf(head + at, 65536 - (size_t)at, "%.2000s\r\n", headers[i]);
    at += snprintf(head + at, 65536 - (size_t)at, "\r\n");
    l->request_bytes = (size_t)at + bytes;
    if (!(l->request = malloc(l->request_bytes)))
        fail("out of memory");
    memcpy(l->request, head, (size_t)at);
    memcpy(l->request + at, body, bytes);
    free(body);
    free(head);
}

int main(int argc, char **argv)
{
    load l = { .n = 8, .seconds = 5, .pause_ms = 20 };
    const char *headers[MAX_HEADERS];
    unsigned n_headers = 0;
    if (argc < 5 || argc % 2 == 0)
        fail("usage: http_load HOST PORT PATH BODY [option value ...]");
    for (int i = 5; i < argc; i += 2) {
        const char *const name = argv[i], *const value = argv[i + 1];
        if (!strcmp(name, "--header") && n_headers < MAX_HEADERS)
            headers[n_headers++] = value;
        else if (!strcmp(name, "--connections"))
            l.n = (unsigned)strtoul(value, NULL, 10);
        else if (!strcmp(name, "--seconds"))
            l.seconds = strtod(value, NULL);
        else if (!strcmp(name, "--per-second"))
            l.per_second = strtod(value, NULL);
        else if (!strcmp(name, "--pause-ms"))
            l.pause_ms = strtod(value, NULL);
        else if (!strcmp(name, "--expect"))
            l.expect = value;
        else
            fail("an option that it does not know");
    }
    l.where = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)) };
    if (!l.n || l.n > MAX_CONNECTIONS || inet_pton(AF_INET, argv[1], &l.where.sin_addr) != 1)
        fail("1 to 4096 connections to a numeric IPv4 address");
    make_request(&l, argv[1], argv[3], argv[4], headers, n_headers);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.all = calloc(l.n, sizeof *l.all);
    l.times = calloc(MAX_TIMES, sizeof *l.times);
    if (l.epoll < 0 || !l.all || !l.times)
        fail("out of memory");
    for (unsigned i = 0; i < l.n; i++) {
        l.all[i].fd = -1;
        if (!(l.all[i].answer = malloc(MAX_ANSWER + 1)))
            fail("out of memory");
        if (!dial(&l, &l.all[i]))
            fail("cannot connect");
    }
    const double start = now_ms();
    run(&l);
    report(&l, (now_ms() - start) * 1e-3);
    return 0;
}
