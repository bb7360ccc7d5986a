/* mien serve: the local server with its page; mien serve key: one more API key. */
#include "cli.h"
#include "open_page.h"
#include "serve_secrets.h"
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if MIEN_HAVE_SERVER
#include "server.h"
#endif

typedef struct serve_opts {
    const char *listen, *cert, *key, *data, *gallery, *model, *detector, *hosts, *key_file;
    int workers, queue, connections, per_address, behind_proxy, no_sandbox, open, no_open;
    double rate;
    uint64_t max_pixels;
} serve_opts;

static const cli_option serve_options[] = {
    { .name = "listen",
      .letter = 'l',
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, listen),
      .value = "ADDRESS",
      .def = "127.0.0.1:8080",
      .hint = CLI_NOTHING,
      .brief = "where to listen: 127.0.0.1:8080, [::1]:8080 or unix:/PATH",
      .more = "Port 0 takes any free port. An address that others can reach takes --tls-cert and --tls-key, "
              "or --behind-proxy." },
    { .name = "gallery",
      .letter = 'g',
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, gallery),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "gallery of the collection 'default'; made when it is not there" },
    { .name = "data",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, data),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "folder of keys and collections",
      .more = "By default mien/server in the user's data folder (XDG_DATA_HOME, else ~/.local/share)." },
    { .name = "tls-cert",
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, cert),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "certificate chain (PEM)" },
    { .name = "tls-key",
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, key),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "its private key (PEM)" },
    { .name = "behind-proxy",
      .kind = CLI_FLAG,
      .offset = offsetof(serve_opts, behind_proxy),
      .brief = "a proxy in front ends TLS: plain HTTP on a public address" },
    { .name = "host",
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, hosts),
      .value = "NAME[,NAME]",
      .hint = CLI_NOTHING,
      .brief = "further names under which it is reached",
      .more = "Requests with another Host are refused, which keeps foreign pages from reaching it through a "
              "name of theirs." },
    { .name = "key-file",
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, key_file),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "key of encrypted galleries",
      .more = "Where a gallery takes a passphrase, it is that of MIEN_PASSPHRASE, or asked for at start on a "
              "terminal." },
    { .name = "open",
      .kind = CLI_FLAG,
      .offset = offsetof(serve_opts, open),
      .brief = "open the page in the browser, signed in",
      .more = "Done by itself where somebody sits at a terminal of a desktop and the server is local." },
    { .name = "no-open",
      .kind = CLI_FLAG,
      .offset = offsetof(serve_opts, no_open),
      .rare = 1,
      .brief = "do not open the page" },
    { .name = "workers",
      .letter = 'w',
      .kind = CLI_INT,
      .offset = offsetof(serve_opts, workers),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 256,
      .brief = "pictures worked on at once; 0: one per processor" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "detector",
      .kind = CLI_TEXT,
      .offset = offsetof(serve_opts, detector),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that finds faces" },
    { .name = "queue",
      .kind = CLI_INT,
      .offset = offsetof(serve_opts, queue),
      .value = "N",
      .def = "16",
      .min = 1,
      .max = 10000,
      .rare = 1,
      .brief = "pictures that may wait; more are answered with 429" },
    { .name = "connections",
      .kind = CLI_INT,
      .offset = offsetof(serve_opts, connections),
      .value = "N",
      .def = "256",
      .min = 1,
      .max = 10000,
      .rare = 1,
      .brief = "connections at once" },
    { .name = "per-address",
      .kind = CLI_INT,
      .offset = offsetof(serve_opts, per_address),
      .value = "N",
      .def = "64",
      .min = 1,
      .max = 10000,
      .rare = 1,
      .brief = "connections at once from one address" },
    { .name = "rate",
      .kind = CLI_REAL,
      .offset = offsetof(serve_opts, rate),
      .value = "X",
      .def = "200",
      .min = 0.1,
      .max = 1e6,
      .rare = 1,
      .brief = "requests a second per key and per address" },
    { .name = "max-pixels",
      .kind = CLI_BYTES,
      .offset = offsetof(serve_opts, max_pixels),
      .value = "N",
      .def = "40000000",
      .rare = 1,
      .brief = "refuse pictures with more pixels" },
    { .name = "no-sandbox",
      .kind = CLI_FLAG,
      .offset = offsetof(serve_opts, no_sandbox),
      .rare = 1,
      .brief = "decode pictures in this process",
      .more = "By default a confined worker decodes them, so that a fault in a picture library costs one "
              "request." },
    { 0 },
};

#if MIEN_HAVE_SERVER
static char *data_folder(const char *given)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (given)
        return cli_strdup(given);
    return xdg && *xdg ? cli_format("%s/mien/server", xdg)
                       : cli_format("%s/.local/share/mien/server", home ? home : ".");
}

static void say_where(const serve_opts *o, const api_server *s, const char *admin)
{
    const char *scheme = o->cert ? "https" : "http";
    if (!strncmp(server_address(s), "unix:", 5))
        printf("listening on %s\n", server_address(s));
    else
        printf("listening on %s://%s/\n", scheme, server_address(s));
    if (admin[0])
        printf("first run: the admin key, shown this once and stored as a hash:\n\n    %s\n\n", admin);
    fflush(stdout);
}

/* Open the page where that is asked for, or welcome: at a desktop's terminal, on this machine. */
static pid_t open_page(const serve_opts *o, api_server *s, const char *data)
{
    const char *at = server_address(s), *scheme = o->cert ? "https" : "http";
    const bool local = !strncmp(at, "127.", 4) || !strncmp(at, "localhost:", 10) || !strncmp(at, "[::1]:", 6);
    char code[SERVER_CODE_BYTES];
    if (o->no_open || (!o->open && !(local && cli_has_screen())) || !strncmp(at, "unix:", 5) ||
        !server_enter_code(s, code))
        return -1;
    const bool any = !strncmp(at, "0.0.0.0:", 8) || !strncmp(at, "[::]:", 5);
    char *address =
        any ? cli_format("%s://localhost%s/", scheme, strrchr(at, ':')) : cli_format("%s://%s/", scheme, at);
    const pid_t pid = cli_open_page(data, address, code);
    free(address);
    return pid;
}

/* Until it is told to stop. */
static void keep_serving(const serve_opts *o, api_server *s, const char *data)
{
    pid_t opener = open_page(o, s, data);
    while (!cli_stopped()) {
        usleep(100000);
        if (opener > 0 && waitpid(opener, NULL, WNOHANG) != 0)
            opener = -1;
    }
    cli_open_page_end(data);
    cli_say("stopping: what runs is finished first");
}

static int run_serve(void *opts, int argc, char **argv)
{
    const serve_opts *o = opts;
    char admin[80], fault[512];
    serve_secrets secret = { { NULL, 0 }, { NULL, 0 }, false };
    (void)argc;
    (void)argv;
    if (o->open && o->no_open) {
        cli_say("--open and --no-open exclude each other");
        return CLI_USAGE;
    }
    if (!o->cert != !o->key) {
        cli_say("--tls-cert and --tls-key go together");
        return CLI_USAGE;
    }
    int rc = serve_secrets_read(&secret, o->key_file);
    if (rc != CLI_YES)
        return rc;
    char *data = data_folder(o->data);
    const server_opts so = { .listen = o->listen,
                             .tls_cert = o->cert,
                             .tls_key = o->key,
                             .data = data,
                             .gallery = o->gallery,
                             .model = o->model,
                             .detector = o->detector,
                             .passphrase = secret.passphrase.data,
                             .key = secret.key.data,
                             .key_bytes = secret.key.bytes,
                             .ask = serve_secrets_ask,
                             .ask_ctx = &secret,
                             .hosts = o->hosts,
                             .workers = o->workers ? (unsigned)o->workers : mien_cpu_count(),
                             .queue = (unsigned)o->queue,
                             .connections = (unsigned)o->connections,
                             .per_address = (unsigned)o->per_address,
                             .rate = o->rate,
                             .burst = o->rate * 2,
                             .max_pixels = o->max_pixels,
                             .behind_proxy = o->behind_proxy,
                             .sandbox = !o->no_sandbox };
    cli_signals_install();
    api_server *s = server_start(&so, admin, fault, sizeof fault);
    if (s) {
        say_where(o, s, admin);
        keep_serving(o, s, data);
        server_stop(s, 10000);
    } else {
        if (!secret.told || secret.passphrase.data)
            cli_say("%s", fault);
        rc = CLI_INPUT;
    }
    serve_secrets_free(&secret);
    free(data);
    return rc;
}
#else
static int run_serve(void *opts, int argc, char **argv)
{
    (void)opts;
    (void)argc;
    (void)argv;
    cli_say("this build has no server: install libmicrohttpd-dev and libgnutls28-dev, and build again");
    return CLI_INTERNAL;
}
#endif

const cli_verb cli_verb_serve = {
    .name = "serve",
    .operands = "",
    .brief = "a local server: a page for people, an API for programs",
    .about = "Serves the page and the API (/v1, and CompreFace's /api/v1) on this machine until Ctrl-C, then "
             "finishes what "
             "runs.\n\nThe first run prints an admin key, once. Nothing is kept of pictures unless asked; "
             "nothing is sent "
             "anywhere. docs/http-api.md describes every call.",
    .exits = "0 stopped as asked",
    .tables = { serve_options },
    .examples =
        (const cli_example[]){
            { "for oneself, with the page at http://127.0.0.1:8080/", "mien serve" },
            { "a gallery of one's own, on any free port",
              "mien serve --gallery staff.gallery --listen 127.0.0.1:0" },
            { 0 },
        },
    .opts_bytes = sizeof(serve_opts),
    .max_operands = 0,
    .hint = CLI_NOTHING,
    .run = run_serve,
};

/* ---- mien serve key ---- */

typedef struct key_opts {
    const char *data, *scopes, *collection, *adopt;
    int days, nearest;
} key_opts;

static const cli_option key_options[] = {
    { .name = "data",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(key_opts, data),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "the server's data folder" },
    { .name = "scopes",
      .letter = 's',
      .kind = CLI_TEXT,
      .offset = offsetof(key_opts, scopes),
      .value = "LIST",
      .def = "read,recognise",
      .hint = CLI_NOTHING,
      .brief = "what it may do: read, recognise, enrol, admin" },
    { .name = "collection",
      .letter = 'c',
      .kind = CLI_TEXT,
      .offset = offsetof(key_opts, collection),
      .value = "NAME",
      .hint = CLI_NOTHING,
      .brief = "the only collection it may use; by default all" },
    { .name = "days",
      .kind = CLI_INT,
      .offset = offsetof(key_opts, days),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 36500,
      .brief = "days until it expires; 0: never" },
    { .name = "adopt",
      .kind = CLI_TEXT,
      .offset = offsetof(key_opts, adopt),
      .value = "TOKEN",
      .hint = CLI_NOTHING,
      .brief = "take this token, which clients of an old server have; -: read it",
      .more = "From standard input it stays out of the list of processes and of the shell's history." },
    { .name = "nearest",
      .kind = CLI_FLAG,
      .offset = offsetof(key_opts, nearest),
      .brief = "CompreFace calls always name the nearest subject, as there",
      .more = "Without it they name nobody for a face that the decision calls unknown." },
    { 0 },
};

static int run_key(void *opts, int argc, char **argv)
{
#if MIEN_HAVE_SERVER
    const key_opts *o = opts;
    char token[80], fault[512], line[128];
    const char *adopt = o->adopt;
    if (adopt && !strcmp(adopt, "-")) {
        if (!fgets(line, sizeof line, stdin))
            line[0] = 0;
        line[strcspn(line, "\r\n")] = 0;
        adopt = line;
    }
    char *data = data_folder(o->data);
    const int64_t expires = o->days ? ((int64_t)time(NULL) + (int64_t)o->days * 86400) * 1000 : 0;
    (void)argc;
    const server_key what = { .name = argv[0],
                              .scopes = o->scopes,
                              .collection = o->collection,
                              .adopt = adopt,
                              .expires_ms = expires,
                              .nearest = o->nearest };
    const bool ok = server_make_key(data, &what, token, fault, sizeof fault);
    if (ok)
        printf("%s\n", token);
    else
        cli_say("%s", fault);
    free(data);
    return ok ? CLI_YES : CLI_INPUT;
#else
    return run_serve(opts, argc, argv);
#endif
}

const cli_verb cli_verb_serve_key = {
    .name = "serve key",
    .operands = "NAME",
    .brief = "make an API key for the server; it is printed once",
    .about = "Stores the key's hash in the data folder and prints the key. A server that is running takes it "
             "at once.",
    .exits = "0 the key was made",
    .tables = { key_options },
    .examples =
        (const cli_example[]){
            { "a camera that may only recognise", "mien serve key camera --scopes recognise" },
            { "the key that CompreFace's clients have",
              "mien serve key door --scopes read,recognise,enrol --adopt - <old-key" },
            { 0 } },
    .opts_bytes = sizeof(key_opts),
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_NOTHING,
    .run = run_key,
};
