#include "measure.h"

#include "base.h"
#include "process.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t DRAIN_NS = 5 * NS_PER_S; /* what has not come back on loopback by then never will */
enum { MOST_LATENCIES = 1 << 23 };

static enum { STARTING, WARMING, MEASURING, DRAINING } phase;

static uint64_t next_phase_at;
static unsigned long done, errors;
static char first_error[256];

/* Time and CPU at one instant; two of them make a window. */
struct reading {
    uint64_t at, server, own, machine;
};
static struct reading opened, closed;

static struct reading read_all(void) {
    return (struct reading){now_ns(), given.pid ? tree_cpu_ns(given.pid) : 0, own_cpu_ns(), machine_cpu_ns()};
}

void measure_start(void) {
    phase = WARMING;
    next_phase_at = now_ns() + given.warmup * NS_PER_S;
}

void measure_open(void) {
    phase = MEASURING;
    opened = read_all();
}

void measure_close(void) {
    closed = read_all();
    phase = DRAINING;
}

bool measure_goes_on(unsigned long outstanding) {
    uint64_t now = now_ns();
    if (phase == DRAINING)
        return outstanding && now < next_phase_at;
    if (now < next_phase_at)
        return true;
    if (phase == WARMING) {
        phase = MEASURING;
        opened = read_all();
        next_phase_at = opened.at + given.seconds * NS_PER_S;
        return true;
    }
    closed = read_all();
    phase = DRAINING;
    next_phase_at = closed.at + DRAIN_NS;
    return outstanding > 0;
}

void count_done(void) {
    done += phase == MEASURING;
}

bool load_is_on(void) {
    return phase == WARMING || phase == MEASURING;
}

bool load_is_measured(void) {
    return phase == MEASURING;
}

size_t within(const struct latencies *kept, uint64_t ns) {
    size_t found = 0;
    for (size_t i = 0; i < kept->count; i++)
        found += kept->steps[i] <= ns / 100;
    return found;
}

void keep_latency(struct latencies *kept, uint64_t begun, uint64_t ended) {
    if (phase < MEASURING || begun < opened.at || (phase == DRAINING && begun >= closed.at))
        return;
    keep_latency_of_all(kept, begun, ended);
}

void keep_latency_of_all(struct latencies *kept, uint64_t begun, uint64_t ended) {
    if (kept->count == kept->room) {
        kept->room = kept->room ? 2 * kept->room : 4096;
        kept->steps = kept->room > MOST_LATENCIES ? NULL : realloc(kept->steps, kept->room * sizeof *kept->steps);
        if (!kept->steps)
            die("too many latencies to keep");
    }
    uint64_t steps = (ended - begun) / 100;
    kept->steps[kept->count++] = steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps;
}

void count_error(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    if (!errors++)
        vsnprintf(first_error, sizeof first_error, format, rest);
    va_end(rest);
}

static int by_size(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

void report_number(const char *name, double value) {
    printf(", \"%s\": %.6g", name, value);
}

void report_latencies(const char *name, struct latencies *kept) {
    static const struct { double part; const char *name; } shown[] = {{.5, "p50"}, {.99, "p99"}};
    if (!kept->count)
        return;
    qsort(kept->steps, kept->count, sizeof *kept->steps, by_size);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        size_t rank = (size_t)(shown[i].part * (double)(kept->count - 1) + .5);
        printf(", \"%s%s_ms\": %.4f", name, shown[i].name, kept->steps[rank] / 1e4);
    }
}

/* What the server said may be in the error: keep JSON whole. */
static void print_quoted(const char *text) {
    putchar('"');
    for (; *text; text++)
        putchar(*text == '"' || *text == '\\' || !isprint((unsigned char)*text) ? '?' : *text);
    putchar('"');
}

void report_text(const char *name, const char *text) {
    printf(", \"%s\": ", name);
    print_quoted(text);
}

void report_begin(void) {
    printf("{\"mode\": \"%s\"", given.mode);
}

int report_end(unsigned long unanswered) {
    double seconds = (double)(closed.at - opened.at) / 1e9;
    double own = (double)(closed.own - opened.own), server = (double)(closed.server - opened.server);
    double machine = (double)(closed.machine - opened.machine);
    if (closed.at) {
        report_number("seconds", seconds);
        report_number("done", (double)done);
        report_number("per_s", (double)done / seconds);
        report_number("load_share", own / 1e9 / seconds);
    }
    if (closed.at && given.pid) {
        report_number("server_us", done ? server / 1e3 / (double)done : 0);
        report_number("server_share", server / 1e9 / seconds);
        report_number("other_share", (machine - own - server) / 1e9 / seconds);
    }
    printf(", \"errors\": %lu, \"unanswered\": %lu", errors, unanswered);
    if (errors) {
        printf(", \"first_error\": ");
        print_quoted(first_error);
    }
    puts("}");
    return errors || unanswered || (closed.at && !done) ? 1 : 0;
}
