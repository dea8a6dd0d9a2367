/* REGISTER requests with credentials: refreshes of phones that are logged in, or first logins on links that are up. */
#include "measure.h"
#include "modes.h"
#include "phone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_REQUEST = 4096, NUMBER_DIGITS = 8, FIRST_CSEQ = 10000000 };
static const uint64_t LOGINS_PATIENCE_NS = 120 * NS_PER_S;

struct registrant {
    struct phone phone;
    uint64_t due; /* when the REGISTER that is under way was due; 0: none is */
    char *request;
    size_t length, branch_at, cseq_at;
    unsigned next;
};

static struct registrant *registrants;
static struct latencies answered;
static unsigned long outstanding, logged_in;
static unsigned turn; /* whose REGISTER goes out next */

/* Writes the refresh once: only the numbers in the branch and in the CSeq change. */
static void write_refresh(struct registrant *registrant) {
    char request[LONGEST_REQUEST];
    struct text text = {request, 0, sizeof request};
    phone_register(&registrant->phone, &text, FIRST_CSEQ, registrant->phone.credentials);
    registrant->length = text.length;
    registrant->request = zeroed(1, text.length + 1);
    memcpy(registrant->request, request, text.length);
    registrant->branch_at = (size_t)(strstr(registrant->request, ";branch=z9hG4bK-") - registrant->request) + 16;
    registrant->cseq_at = (size_t)(strstr(registrant->request, "CSeq: ") - registrant->request) + 6;
}

static void refresh(uint64_t due) {
    struct registrant *registrant;
    do
        registrant = &registrants[turn++ % given.links];
    while (registrant->due);
    char digits[NUMBER_DIGITS + 1];
    registrant->due = due;
    outstanding++;
    snprintf(digits, sizeof digits, "%08u", FIRST_CSEQ + registrant->next++);
    memcpy(registrant->request + registrant->branch_at, digits, NUMBER_DIGITS);
    memcpy(registrant->request + registrant->cseq_at, digits, NUMBER_DIGITS);
    link_send(&registrant->phone.link, registrant->request, registrant->length);
}

static void log_in(uint64_t due) {
    struct registrant *registrant = &registrants[turn++];
    registrant->due = due;
    outstanding++;
    phone_send_register(&registrant->phone, NULL);
}

static void take_answer(struct registrant *registrant, const struct message *response) {
    if (response->status == 401 && given.logins && registrant->phone.asked == 1) {
        phone_send_register(&registrant->phone, response);
        return;
    }
    uint64_t now = now_ns(), due = registrant->due;
    registrant->due = 0;
    outstanding--;
    if (response->status != 200 || !header(response, "Contact").length) {
        count_error("%.*s", (int)response->head, response->text);
        return;
    }
    count_done();
    keep_latency(&answered, due, now);
    logged_in++;
    if (given.logins && turn < given.links)
        log_in(now);
    else if (!given.logins && given.rate == 0 && load_is_on())
        refresh(now);
}

static void received(struct phone *phone, const struct message *message) {
    struct registrant *registrant = (struct registrant *)phone;
    if (message->status >= 200 && registrant->due)
        take_answer(registrant, message);
    else if (!message->keepalive)
        count_error("user%u is sent %.*s", phone->user, (int)message->head, message->text);
}

static void send_on_time(void) {
    static uint64_t next_due;
    uint64_t step = (uint64_t)(1e9 / given.rate), now = now_ns();
    if (!next_due)
        next_due = now;
    for (; next_due <= now && outstanding < given.links; next_due += step)
        refresh(next_due);
    loop_turn(next_due > now ? next_due - now : 0);
}

static void refresh_all_the_time(void) {
    for (unsigned i = 0; i < given.links; i++)
        write_refresh(&registrants[i]);
    measure_start();
    for (unsigned i = 0; given.rate == 0 && i < given.window && i < given.links; i++)
        refresh(now_ns());
    while (measure_goes_on(outstanding)) {
        if (given.rate > 0 && load_is_on())
            send_on_time();
        else
            loop_turn(NS_PER_S / 50);
    }
}

/* Each phone logs in once, on its link that is up: what a handshake costs is not part of it. */
static void log_all_in(void) {
    uint64_t begun = now_ns();
    measure_open();
    for (unsigned i = 0; i < given.window && i < given.links; i++)
        log_in(now_ns());
    while (outstanding && now_ns() - begun < LOGINS_PATIENCE_NS)
        loop_turn(NS_PER_S / 50);
    measure_close();
}

int registers(void) {
    registrants = zeroed(given.links, sizeof *registrants);
    for (unsigned i = 0; i < given.links; i++) {
        registrants[i].phone.user = i;
        registrants[i].phone.received = received;
    }
    phones_start(registrants, given.links, sizeof *registrants, !given.logins);
    if (given.logins)
        log_all_in();
    else
        refresh_all_the_time();
    report_begin();
    report_number("links", given.links);
    report_latencies("", &answered);
    return report_end(outstanding + (given.logins ? given.links - logged_in : 0));
}
