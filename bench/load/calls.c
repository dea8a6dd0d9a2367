/* Whole calls, each forked to the two devices of its callee:
 *
 *   caller      server      device A      device B
 *     |  INVITE   |  INVITE    |             |
 *     |---------->|----------->|------------>|
 *     |  180, 180 |    180     |     180     |
 *     |<----------|<-----------|<------------|
 *     |    200    |    200     |             |      A and B take turns at this
 *     |<----------|<-----------|   CANCEL    |
 *     |           |------------------------->|
 *     |           |        200, 487, ACK     |
 *     |           |<-----------------------> |
 *     |  ACK BYE  |  ACK BYE   |             |
 *     |---------->|----------->|             |
 *     |    200    |    200     |             |
 *     |<----------|<-----------|             |
 *
 * With --sink: calls of a front end, which asserts its users, through a gateway to the one device behind a trunk. There is
 * no device B, and no CANCEL.
 *
 * A call is done when all of it has happened, each step once: a server that forgets the CANCEL, the Record-Route or one
 * of the two devices finishes none. Both ends are in this program, so that each step is checked against the other end.
 */
#include "measure.h"
#include "modes.h"
#include "phone.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 2, MOST_ROUTES = 8, SLOT_DIGITS = 4 };
enum { HEAD_ROOM = 4096, BRANCH_ROOM = 256, TAG_ROOM = 32, MESSAGE_ROOM = 16384 };

/* The steps of a call. */
enum {
    INVITED = 1 << 0,   /* the first device; << 1 is the second */
    RANG = 1 << 2,      /* the caller has its 180; << 1 that of the second */
    ANSWERED = 1 << 4,  /* the caller has the 200 */
    CANCELLED = 1 << 5,
    DECLINED = 1 << 6,  /* the 487 has its ACK */
    CONFIRMED = 1 << 7, /* the 200 has its ACK */
    HUNG_UP = 1 << 8,   /* the BYE has come */
    OVER = 1 << 9,      /* its 200 has come back */
    OF_SECOND = INVITED << 1 | RANG << 1 | CANCELLED | DECLINED,
    ALL = (1 << 10) - 1
};

struct leg {
    struct link *link;
    const char *contact;
    char head[HEAD_ROOM]; /* of all responses to its INVITE */
    size_t length;
    char branch[BRANCH_ROOM]; /* of the server's INVITE, which its CANCEL and ACK have to bear */
};

struct call {
    uint32_t number; /* which one it is in this slot */
    unsigned steps;
    bool failed; /* stays in its slot, and counts as unfinished */
    uint64_t begun;
    struct phone *caller, *device[MOST_DEVICES];
    struct leg leg[MOST_DEVICES];
};

static const char sdp[] =
    "v=0\r\no=load 2890844526 2890842807 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 49170 RTP/SAVP 0 8 101\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

static struct call *all_calls;
static unsigned devices = MOST_DEVICES, all_steps = ALL;
static char trunk_contact[CONTACT_ROOM];
static unsigned long under_way;
static struct latencies to_answer, whole;

static unsigned slot_of(const struct call *call) {
    return (unsigned)(call - all_calls);
}

/* The device that answers; the other one rings until it is cancelled. */
static unsigned winner(const struct call *call) {
    return call->number % devices;
}

static void fail(struct call *call, const char *what, const struct message *message) {
    call->failed = true;
    count_error("%s: %.*s", what, (int)message->head, message->text);
}

/* Each step happens once, after those in `needed`. */
static bool step(struct call *call, unsigned taken, unsigned needed, const struct message *message) {
    if ((call->steps & taken) || (call->steps & needed) != needed) {
        fail(call, "out of turn", message);
        return false;
    }
    call->steps |= taken;
    return true;
}

/* Finds the call by "SLOT-NUMBER-RUN@load"; NULL for one that is over, or not of this run. */
static struct call *call_of(const struct message *message) {
    struct span id = header(message, "Call-ID");
    char *rest;
    if (id.length < SLOT_DIGITS + 2 || id.at[SLOT_DIGITS] != '-')
        return NULL;
    unsigned long slot = strtoul(id.at, NULL, 16);
    if (slot >= given.window || all_calls[slot].number != strtoul(id.at + SLOT_DIGITS + 1, &rest, 16))
        return NULL;
    return *rest == '-' && strtoul(rest + 1, &rest, 16) == given.run && *rest == '@' ? &all_calls[slot] : NULL;
}

static void add_request_head(struct text *text, const struct call *call, const char *method, const char *uri, char kind) {
    add(text,
        "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS %s;rport;branch=z9hG4bK-%c%04x-%08x-%08x\r\nMax-Forwards: 70\r\n"
        "From: <sip:user%u@a.test>;tag=c%08x\r\nCall-ID: %04x-%08x-%08x@load\r\n",
        method, uri, call->caller->address, kind, slot_of(call), call->number, given.run, call->caller->user,
        call->number, slot_of(call), call->number, given.run);
}

static void add_body(struct text *text) {
    add(text, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", sizeof sdp - 1, sdp);
}

static void respond_to_invite(struct call *call, unsigned device, const char *status, bool with_body) {
    char response[MESSAGE_ROOM];
    struct text text = {response, 0, sizeof response};
    add(&text, "SIP/2.0 %s\r\n%.*s", status, (int)call->leg[device].length, call->leg[device].head);
    if (with_body)
        add_body(&text);
    else
        add(&text, "Content-Length: 0\r\n\r\n");
    link_send(call->leg[device].link, response, text.length);
}

static void write_tag(char tag[TAG_ROOM], unsigned device, const struct call *call) {
    snprintf(tag, TAG_ROOM, "d%u-%x", device, call->number);
}

/* The caller */

static void begin(struct call *call) {
    char request[MESSAGE_ROOM], uri[64];
    struct text text = {request, 0, sizeof request};
    call->number++;
    call->steps = 0;
    call->begun = now_ns();
    under_way++;
    if (given.sink.sin_family)
        snprintf(uri, sizeof uri, "sip:+4989%07u@a.test;user=phone", slot_of(call));
    else
        snprintf(uri, sizeof uri, "sip:user%u@a.test", call->device[0]->user);
    add_request_head(&text, call, "INVITE", uri, 'i');
    add(&text, "To: <%s>\r\nCSeq: 1 INVITE\r\nContact: <%s>\r\n", uri, call->caller->contact);
    if (given.sink.sin_family)
        add(&text, "P-Asserted-Identity: <sip:user%u@a.test>, <tel:+4930%07u>\r\n", call->caller->user, call->caller->user);
    add_body(&text);
    link_send(&call->caller->link, request, text.length);
}

static void end_if_done(struct call *call) {
    if (call->steps != all_steps || call->failed)
        return;
    under_way--;
    count_done();
    keep_latency(&whole, call->begun, now_ns());
    if (load_is_on())
        begin(call);
}

static void send_in_dialog(struct call *call, const struct message *ok, const char *method, unsigned cseq) {
    char request[MESSAGE_ROOM], uri[CONTACT_ROOM];
    struct text text = {request, 0, sizeof request};
    struct span contact = bracketed(header(ok, "Contact")), to = header(ok, "To"), route[MOST_ROUTES], value = {0};
    unsigned routes = 0;
    snprintf(uri, sizeof uri, "%.*s", (int)contact.length, contact.at);
    add_request_head(&text, call, method, uri, *method);
    add(&text, "To: %.*s\r\nCSeq: %u %s\r\n", (int)to.length, to.at, cseq, method);
    while (routes < MOST_ROUTES && next_header(ok, "Record-Route", &value))
        route[routes++] = value;
    while (routes--) /* the caller's route set is the other way round (RFC 3261 12.1.2) */
        add(&text, "Route: %.*s\r\n", (int)route[routes].length, route[routes].at);
    add(&text, "Content-Length: 0\r\n\r\n");
    link_send(&call->caller->link, request, text.length);
}

/* Which device a response is from, by the tag that it put into To; DEVICES: none of them. */
static unsigned device_of(const struct call *call, const struct message *response) {
    struct span found = parameter(header(response, "To"), "tag");
    unsigned device = 0;
    for (char tag[TAG_ROOM]; device < devices; device++) {
        write_tag(tag, device, call);
        if (same(found, tag))
            break;
    }
    return device;
}

/* The callee answers when the caller has heard all devices: an earlier 200 could spare the second its INVITE. */
static void take_ringing(struct call *call, unsigned device, const struct message *ringing) {
    const unsigned all = all_steps & (RANG | RANG << 1);
    if (step(call, RANG << device, INVITED << device, ringing) && (call->steps & all) == all)
        respond_to_invite(call, winner(call), "200 OK", true);
}

static void take_answer(struct call *call, const struct message *ok) {
    unsigned device = winner(call);
    if (device_of(call, ok) != device)
        fail(call, "an answer of the wrong device", ok);
    else if (!same(bracketed(header(ok, "Contact")), call->leg[device].contact))
        fail(call, "an answer without the Contact of its device", ok);
    else if (!header(ok, "Record-Route").length)
        fail(call, "an answer without Record-Route", ok);
    else if (step(call, ANSWERED, all_steps & (RANG | RANG << 1), ok)) {
        keep_latency(&to_answer, call->begun, now_ns());
        send_in_dialog(call, ok, "ACK", 1);
        send_in_dialog(call, ok, "BYE", 2);
    }
}

static void caller_received(struct phone *phone, const struct message *message) {
    struct call *call = call_of(message);
    if (message->keepalive)
        return;
    if (!call || call->caller != phone || !message->status) {
        count_error("user%u, who calls, is sent %.*s", phone->user, (int)message->head, message->text);
        return;
    }
    struct span cseq = header(message, "CSeq");
    unsigned device = device_of(call, message);
    if (message->status == 100)
        return;
    if (message->status == 180 && device < devices)
        take_ringing(call, device, message);
    else if (message->status == 200 && same(cseq, "1 INVITE"))
        take_answer(call, message);
    else if (message->status == 200 && same(cseq, "2 BYE"))
        step(call, OVER, HUNG_UP, message);
    else
        fail(call, "not expected by the caller", message);
    end_if_done(call);
}

/* The callee's devices */

static void respond(struct link *link, const struct message *request) {
    char response[MESSAGE_ROOM];
    struct text text = {response, 0, sizeof response};
    add(&text, "SIP/2.0 200 OK\r\n");
    add_response_head(&text, request, "none");
    add(&text, "Content-Length: 0\r\n\r\n");
    link_send(link, response, text.length);
}

static void ring(struct call *call, unsigned device, const struct message *invite) {
    struct leg *leg = &call->leg[device];
    struct text head = {leg->head, 0, sizeof leg->head};
    struct span branch = parameter(header(invite, "Via"), "branch");
    char tag[TAG_ROOM];
    if (!step(call, INVITED << device, 0, invite))
        return;
    if (!header(invite, "Record-Route").length || !branch.length || branch.length >= sizeof leg->branch) {
        fail(call, "an INVITE without Record-Route or branch", invite);
        return;
    }
    snprintf(leg->branch, sizeof leg->branch, "%.*s", (int)branch.length, branch.at);
    write_tag(tag, device, call);
    add_response_head(&head, invite, tag);
    add(&head, "Contact: <%s>\r\n", leg->contact);
    leg->length = head.length;
    respond_to_invite(call, device, "180 Ringing", false);
}

static void take_cancel(struct call *call, unsigned device, const struct message *cancel) {
    if (!step(call, CANCELLED, INVITED << device, cancel))
        return;
    respond(call->leg[device].link, cancel);
    respond_to_invite(call, device, "487 Request Terminated", false);
}

/* A request inside the dialog came by the route set, all of it used up, to the Contact that the device gave. */
static bool is_in_dialog(struct call *call, unsigned device, const struct message *request) {
    if (same(request_uri(request), call->leg[device].contact) && !header(request, "Route").length)
        return true;
    fail(call, "not to the Contact of its device, or with a Route left", request);
    return false;
}

static void callee_received(struct call *call, unsigned device, const struct message *message) {
    struct leg *leg = &call->leg[device];
    bool wins = device == winner(call), hop = same(parameter(header(message, "Via"), "branch"), leg->branch);
    if (is_method(message, "INVITE")) {
        ring(call, device, message);
    } else if (is_method(message, "CANCEL") && !wins && hop) {
        take_cancel(call, device, message);
    } else if (is_method(message, "ACK") && !wins && hop) {
        step(call, DECLINED, CANCELLED, message);
    } else if (is_method(message, "ACK") && wins && is_in_dialog(call, device, message)) {
        step(call, CONFIRMED, ANSWERED, message);
    } else if (is_method(message, "BYE") && wins && is_in_dialog(call, device, message)) {
        if (step(call, HUNG_UP, ANSWERED, message))
            respond(leg->link, message);
    } else {
        fail(call, "not expected by the callee", message);
    }
    end_if_done(call);
}

static void device_received(struct phone *phone, const struct message *message) {
    struct call *call = call_of(message);
    if (message->keepalive)
        return;
    if (!call || call->device[phone->device] != phone || message->status) {
        count_error("user%u, who is called, is sent %.*s", phone->user, (int)message->head, message->text);
        return;
    }
    call->leg[phone->device].link = &phone->link;
    call->leg[phone->device].contact = phone->contact;
    callee_received(call, phone->device, message);
}

/* The trunk */

static void trunk_received(struct link *link, const struct message *message) {
    struct call *call = call_of(message);
    if (message->keepalive) {
        link_send(link, "\r\n", 2);
    } else if (is_method(message, "OPTIONS")) {
        respond(link, message);
    } else if (!call || message->status) {
        count_error("the trunk is sent %.*s", (int)message->head, message->text);
    } else {
        call->leg[0].link = link;
        call->leg[0].contact = trunk_contact;
        callee_received(call, 0, message);
    }
}

static void trunk_closed(struct link *link, const char *why) {
    if (load_is_on())
        count_error("the link to the trunk is gone: %s", why);
    free(link);
}

static const struct link_use trunk_use = {NULL, trunk_received, trunk_closed};

static void listen_as_trunk(struct listener *listener) {
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &given.sink.sin_addr, host, sizeof host);
    snprintf(trunk_contact, sizeof trunk_contact, "sip:trunk@%s:%u;transport=tls", host, ntohs(given.sink.sin_port));
    listen_for(listener, &given.sink, server_context(given.sink_certificate, given.sink_key), &trunk_use);
    devices = 1;
    all_steps = ALL & ~OF_SECOND;
}

/* `links` callers, then, without a trunk, as many callees with two devices each; calls take the pairs in turn. */
static void assign(struct phone *phones, unsigned called) {
    for (unsigned i = 0; i < given.links; i++) {
        phones[i].user = i;
        phones[i].received = caller_received;
        for (unsigned device = 0; device < called; device++) {
            struct phone *phone = &phones[given.links + called * i + device];
            phone->user = given.links + i;
            phone->device = device;
            phone->received = device_received;
        }
    }
    for (unsigned slot = 0; slot < given.window; slot++) {
        unsigned pair = slot % given.links;
        all_calls[slot].caller = &phones[pair];
        for (unsigned device = 0; device < called; device++)
            all_calls[slot].device[device] = &phones[given.links + called * pair + device];
    }
}

int calls(void) {
    struct listener trunk;
    if (given.sink.sin_family)
        listen_as_trunk(&trunk);
    unsigned called = given.sink.sin_family ? 0 : devices; /* phones of each callee */
    size_t count = (1 + called) * given.links;
    struct phone *phones = zeroed(count, sizeof *phones);
    if (given.window > 0xffff)
        die("more than %d calls at once", 0xffff);
    all_calls = zeroed(given.window, sizeof *all_calls);
    assign(phones, called);
    phones_start(phones, count, sizeof *phones, !given.certificate);
    measure_start();
    for (unsigned slot = 0; slot < given.window; slot++)
        begin(&all_calls[slot]);
    while (measure_goes_on(under_way))
        loop_turn(NS_PER_S / 50);
    report_begin();
    report_number("links", (double)count);
    report_number("calls_at_once", given.window);
    report_latencies("answer_", &to_answer);
    report_latencies("", &whole);
    return report_end(under_way);
}
