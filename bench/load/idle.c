/* Links that say one OPTIONS and then nothing: what the server's memory grows by, and how many it drops. */
#include "link.h"
#include "measure.h"
#include "modes.h"
#include "process.h"

#include <arpa/inet.h>

enum { OPENING_AT_ONCE = 24 };
static const uint64_t SETTLE_NS = 2 * NS_PER_S, PATIENCE_NS = 120 * NS_PER_S;

static unsigned opening, answered, dropped;

static void idle_up(struct link *link) {
    char address[32], request[512];
    struct text text = {request, 0, sizeof request};
    link_address(link, address, sizeof address);
    add(&text,
        "OPTIONS sip:%s;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS %s;rport;branch=z9hG4bK-o%s\r\nMax-Forwards: 70\r\n"
        "From: <sip:idle@a.test>;tag=o\r\nTo: <sip:%s>\r\nCall-ID: o%s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        given.name, address, address, given.name, address);
    link_send(link, request, text.length);
}

static void idle_received(struct link *link, const struct message *message) {
    (void)link;
    if (message->status != 200) {
        count_error("%.*s", (int)message->head, message->text);
        return;
    }
    opening--;
    answered++;
}

static void idle_closed(struct link *link, const char *why) {
    (void)link;
    count_error("dropped: %s", why);
    dropped++;
}

static const struct link_use idle_use = {idle_up, idle_received, idle_closed};

static void open_all(struct link *links) {
    SSL_CTX *context = client_context(given.certificate, given.key);
    uint64_t begun = now_ns();
    for (unsigned opened = 0; opened < given.links || opening;) {
        for (; opened < given.links && opening < OPENING_AT_ONCE; opened++, opening++) {
            struct in_addr from = {htonl(ntohl(given.from.s_addr) + opened % given.sources)};
            link_open(&links[opened], context, &given.connect, &from, &idle_use);
        }
        loop_turn(NS_PER_S / 10);
        if (dropped)
            die("the server drops links while %u of %u are open", answered, given.links);
        if (now_ns() - begun > PATIENCE_NS)
            die("only %u of %u links were answered", answered, given.links);
    }
}

static void wait_for(uint64_t ns) {
    for (uint64_t end = now_ns() + ns; now_ns() < end;)
        loop_turn(NS_PER_S / 10);
}

int idle(void) {
    struct link *links = zeroed(given.links, sizeof *links);
    wait_for(SETTLE_NS); /* what a server loads once, after it has opened its ports, is not for the links */
    double before = given.pid ? (double)tree_pss_kib(given.pid) : 0;
    open_all(links);
    wait_for(SETTLE_NS);
    double after = given.pid ? (double)tree_pss_kib(given.pid) : 0;
    wait_for(given.hold * NS_PER_S);
    report_begin();
    report_number("links", given.links);
    if (given.pid) {
        report_number("baseline_kib", before);
        report_number("loaded_kib", after);
        report_number("kib_per_link", (after - before) / given.links);
    }
    report_number("dropped", dropped);
    return report_end(0);
}
