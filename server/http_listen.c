/* Where the server listens: a TCP address or a Unix socket. */
#include "http_parts.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_unix(const char *path, http_listening *ret, char *fault, size_t capacity)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat st;
    if (strlen(path) >= sizeof a.sun_path) {
        snprintf(fault, capacity, "the path of the socket is too long: %.80s", path);
        return -1;
    }
    strcpy(a.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* a socket that nobody answers on any more is left over */
    if (fd >= 0 && !lstat(path, &st) && S_ISSOCK(st.st_mode) &&
        connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED)
        unlink(path);
    const mode_t mask = umask(0177);
    const int bound = fd >= 0 ? bind(fd, (struct sockaddr *)&a, sizeof a) : -1;
    umask(mask);
    if (bound || listen(fd, 128)) {
        snprintf(fault, capacity, "cannot listen on %.100s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    ret->unix_path = strdup(path);
    snprintf(ret->address, sizeof ret->address, "unix:%s", path);
    return fd;
}

static void say_address(http_listening *ret, int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[80], port[16];
    if (getsockname(fd, (struct sockaddr *)&a, &n) ||
        getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return;
    snprintf(ret->address, sizeof ret->address, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int listen_tcp(const char *where, http_listening *ret, char *fault, size_t capacity)
{
    char host[128];
    const char *colon = strrchr(where, ':');
    const size_t n = colon ? (size_t)(colon - where) : 0;
    const bool bracketed = n > 1 && where[0] == '[' && where[n - 1] == ']';
    if (!colon || n == 0 || n >= sizeof host) {
        snprintf(fault, capacity,
                 "an address looks like 127.0.0.1:8080, [::1]:8080 or unix:/path, not '%.80s'", where);
        return -1;
    }
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? n - 2 : n), where + (bracketed ? 1 : 0));
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM },
                    *found = NULL;
    const int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc) {
        snprintf(fault, capacity, "%.100s: %s", where, gai_strerror(rc));
        return -1;
    }
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int one = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const bool ok = fd >= 0 && !bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, 512);
    if (!ok) {
        snprintf(fault, capacity, "cannot listen on %.100s: %s", where, strerror(errno));
        if (fd >= 0)
            close(fd);
    } else {
        say_address(ret, fd);
    }
    freeaddrinfo(found);
    return ok ? fd : -1;
}

int http_listen(const char *where, http_listening *ret, char *fault, size_t capacity)
{
    *ret = (http_listening){ { 0 }, NULL };
    return !strncmp(where, "unix:", 5) ? listen_unix(where + 5, ret, fault, capacity)
                                       : listen_tcp(where, ret, fault, capacity);
}

void http_listen_end(http_listening *l)
{
    if (l->unix_path)
        unlink(l->unix_path);
    free(l->unix_path);
    l->unix_path = NULL;
}
