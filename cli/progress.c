/* A progress bar on stderr: done/total, rate, time left. Shown only on a terminal and only once the work
 * has taken a second; redrawn at most ten times a second. Messages lift it off their line first.
 */
#include "cli.h"
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t line_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool on, shown;
    const char *unit;
    uint64_t done, total;
    double start_ms, drawn_ms;
} bar;

double cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void erase(void)
{
    if (bar.shown)
        fputs("\r\033[K", stderr);
    bar.shown = false;
}

static void count_text(char *ret, size_t capacity, uint64_t n)
{
    if (!strcmp(bar.unit, "bytes"))
        snprintf(ret, capacity, "%.1f MB", (double)n / 1e6);
    else
        snprintf(ret, capacity, "%llu", (unsigned long long)n);
}

static void draw(double now)
{
    enum { WIDTH = 30 };
    char done[32], total[32], rate[32], fill[WIDTH + 1], left[32] = "";
    const double seconds = (now - bar.start_ms) / 1e3;
    const double per_second = (double)bar.done / seconds;
    count_text(done, sizeof done, bar.done);
    count_text(total, sizeof total, bar.total);
    if (!strcmp(bar.unit, "bytes"))
        snprintf(rate, sizeof rate, "%.1f MB/s", per_second / 1e6);
    else
        snprintf(rate, sizeof rate, "%.1f %s/s", per_second, bar.unit);
    memset(fill, ' ', WIDTH);
    fill[WIDTH] = '\0';
    if (bar.total) {
        const uint64_t clipped = bar.done < bar.total ? bar.done : bar.total;
        memset(fill, '#', (size_t)(clipped * WIDTH / bar.total));
        if (bar.done && bar.done <= bar.total) {
            const double wait = (double)(bar.total - bar.done) / per_second;
            snprintf(left, sizeof left, "  %.0f:%02.0f left", (double)(long)(wait / 60),
                     (double)((long)wait % 60));
        }
    }
    fprintf(stderr, "\r\033[K[%s] %s/%s  %s%s", fill, done, bar.total ? total : "?", rate, left);
    fflush(stderr);
    bar.shown = true;
    bar.drawn_ms = now;
}

void cli_line_lock(void)
{
    pthread_mutex_lock(&line_mutex);
    erase();
}

void cli_line_unlock(void)
{
    fflush(stderr);
    pthread_mutex_unlock(&line_mutex);
}

void cli_progress_begin(const char *unit, uint64_t total, bool quiet)
{
    pthread_mutex_lock(&line_mutex);
    bar.on = !quiet && isatty(STDERR_FILENO);
    bar.shown = false;
    bar.unit = unit;
    bar.done = 0;
    bar.total = total;
    bar.start_ms = bar.drawn_ms = cli_now_ms();
    pthread_mutex_unlock(&line_mutex);
}

void cli_progress_set_total(uint64_t total)
{
    pthread_mutex_lock(&line_mutex);
    bar.total = total;
    pthread_mutex_unlock(&line_mutex);
}

void cli_progress_step(uint64_t done)
{
    pthread_mutex_lock(&line_mutex);
    bar.done = done;
    if (bar.on) {
        const double now = cli_now_ms();
        if (now - bar.start_ms > 1000 && now - bar.drawn_ms > 100)
            draw(now);
    }
    pthread_mutex_unlock(&line_mutex);
}

void cli_progress_end(void)
{
    pthread_mutex_lock(&line_mutex);
    erase();
    fflush(stderr);
    bar.on = false;
    pthread_mutex_unlock(&line_mutex);
}
