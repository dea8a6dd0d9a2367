/* Phones that all come back at once, such as after a power cut: how long until each is logged in, and how many are reset. */
#include "measure.h"
#include "modes.h"
#include "phone.h"
#include "process.h"

#include <arpa/inet.h>

enum { PHONES_OF_A_USER = 10 };
static const uint64_t PATIENCE_NS = 30 * NS_PER_S, AGAIN_NS = NS_PER_S;

struct caller {
    struct phone phone;
    uint64_t again_at; /* when it tries again; 0: it is under way, or logged in */
};

static struct caller *callers;
static SSL_CTX *context;
static struct latencies logins;
static uint64_t begun;
static unsigned logged_in, resets;
static const char *first_reset;

static void try(struct caller *caller) {
    struct in_addr from = {htonl(ntohl(given.from.s_addr) + (unsigned)(caller - callers) % given.sources)};
    caller->again_at = 0;
    phone_open(&caller->phone, context, &from);
}

static void caller_ready(struct phone *phone) {
    (void)phone;
    logged_in++;
    keep_latency_of_all(&logins, begun, now_ns());
}

/* A phone that is reset tries again a second later. */
static void caller_closed(struct phone *phone, const char *why) {
    struct caller *caller = (struct caller *)phone;
    if (!resets)
        first_reset = why;
    resets++;
    logged_in -= phone->ready;
    phone->ready = false;
    caller->again_at = now_ns() + AGAIN_NS;
}

static void ignore(struct phone *phone, const struct message *message) {
    (void)phone;
    (void)message;
}

static void try_again(void) {
    uint64_t now = now_ns();
    for (unsigned i = 0; i < given.links; i++)
        if (callers[i].again_at && callers[i].again_at <= now)
            try(&callers[i]);
}

int storm(void) {
    uint64_t looked_at = 0;
    unsigned users = (given.links + PHONES_OF_A_USER - 1) / PHONES_OF_A_USER;
    callers = zeroed(given.links, sizeof *callers);
    context = client_context(given.certificate, given.key);
    uint64_t cpu = given.pid ? tree_cpu_ns(given.pid) : 0, own = own_cpu_ns();
    begun = now_ns();
    for (unsigned i = 0; i < given.links; i++) {
        callers[i].phone = (struct phone){
            .user = i % users, .device = i / users, .received = ignore, .became_ready = caller_ready, .closed = caller_closed};
        try(&callers[i]);
    }
    while (logged_in < given.links && now_ns() - begun < PATIENCE_NS) {
        loop_turn(NS_PER_S / 50);
        if (now_ns() - looked_at > NS_PER_S / 20) {
            looked_at = now_ns();
            try_again();
        }
    }
    double took = (double)(now_ns() - begun) / 1e9;
    report_begin();
    report_number("links", given.links);
    report_number("logged_in", logged_in);
    report_number("resets", resets);
    report_number("took_s", took);
    report_number("per_s", logged_in / took);
    report_number("load_share", (double)(own_cpu_ns() - own) / 1e9 / took);
    if (given.pid && logged_in)
        report_number("server_us", (double)(tree_cpu_ns(given.pid) - cpu) / 1e3 / logged_in);
    report_latencies("", &logins);
    if (first_reset)
        report_text("first_reset", first_reset);
    return report_end(given.links - logged_in);
}
