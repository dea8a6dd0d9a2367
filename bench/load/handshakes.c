/* Full mutual TLS handshakes, and the least that a server can do for them.
 *
 * In TLS 1.3 a client's handshake is over before the server has looked at its certificate. So one counts only when a
 * keep-alive that was sent through it has been answered (RFC 5626 3.5.1), which no server does before it has accepted us.
 */
#include "link.h"
#include "measure.h"
#include "modes.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

struct attempt {
    struct link link;
    uint64_t begun;
};

static SSL_CTX *context;
static struct latencies confirmed;
static unsigned long outstanding;

static const struct link_use attempt_use;

static void begin(struct attempt *attempt) {
    attempt->begun = now_ns();
    outstanding++;
    link_open(&attempt->link, context, &given.connect, NULL, &attempt_use);
}

static void attempt_up(struct link *link) {
    link_send(link, "\r\n\r\n", 4);
}

static void attempt_received(struct link *link, const struct message *message) {
    if (!message->keepalive) {
        count_error("%.*s", (int)message->head, message->text);
        link_finish(link);
        return;
    }
    count_done();
    keep_latency(&confirmed, ((struct attempt *)link)->begun, now_ns());
    link_finish(link);
}

static void attempt_closed(struct link *link, const char *why) {
    outstanding--;
    if (!link->finished)
        count_error("not accepted: %s", why);
    if (load_is_on())
        begin((struct attempt *)link);
}

static const struct link_use attempt_use = {attempt_up, attempt_received, attempt_closed};

int handshakes(void) {
    struct attempt *attempts = zeroed(given.links, sizeof *attempts);
    context = client_context(given.certificate, given.key);
    measure_start();
    for (unsigned i = 0; i < given.links; i++)
        begin(&attempts[i]);
    while (measure_goes_on(outstanding))
        loop_turn(NS_PER_S / 50);
    report_begin();
    report_number("in_flight", given.links);
    report_latencies("", &confirmed);
    return report_end(outstanding);
}

/* The floor: accept, shake hands, answer the keep-alive, close. */

static void floor_received(struct link *link, const struct message *message) {
    if (message->keepalive)
        link_send(link, "\r\n", 2);
}

static void floor_closed(struct link *link, const char *why) {
    (void)why;
    free(link);
}

static const struct link_use floor_use = {NULL, floor_received, floor_closed};

int floor_server(void) {
    struct listener listener;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    listen_for(&listener, &given.listen, server_context(given.certificate, given.key), &floor_use);
    for (uint64_t end = now_ns() + given.seconds * NS_PER_S; now_ns() < end;)
        loop_turn(NS_PER_S / 10);
    return 0;
}
