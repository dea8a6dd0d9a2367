/* MESSAGE requests: from links of users or of a peer, through the server, to a mutual-TLS sink or to other users. */
#include "measure.h"
#include "modes.h"
#include "phone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RING: requests of one link that may be under way; their numbers wrap round in it. */
static const uint64_t IN_TIME_NS = NS_PER_S; /* who asked has not given up by then */
enum { RING = 4096, NUMBER_DIGITS = 8, LONGEST_REQUEST = 65536, LONGEST_QUEUE = 196608, LONGEST_ANSWER = 40960 };

struct sender {
    struct phone phone;
    uint32_t next;       /* the number of the request to be sent next */
    uint64_t due[RING];  /* when the request of that number was due; 0: it is answered */
    char *request;       /* written once; only the number changes, in these two places */
    size_t length, branch_at, call_id_at;
};

static struct sender *senders;
static struct latencies answered;
static unsigned long outstanding;
static unsigned turn; /* whose link the next request goes out on */

/* In an open loop above what the server can do: requests that nobody answered in the time of RING more, or that found no room. */
static bool open_loop;
static struct latencies refused;
static unsigned long refusals, lost, dropped;

static void write_request(struct sender *sender, unsigned number) {
    char request[LONGEST_REQUEST], uri[64];
    struct text text = {request, 0, sizeof request};
    unsigned user = sender->phone.user;
    if (given.users)
        snprintf(uri, sizeof uri, "sip:user%u@a.test", (user + 1) % given.links);
    const char *to = given.users ? uri : given.uri;
    add(&text, "MESSAGE %s SIP/2.0\r\nVia: SIP/2.0/TLS %s;rport;branch=z9hG4bK-", to, sender->phone.address);
    sender->branch_at = text.length;
    add(&text, "%08x-%x-%08x\r\nMax-Forwards: 70\r\nFrom: <sip:user%u@a.test>;tag=m%x\r\nTo: <%s>\r\nCall-ID: ", 0,
        number, given.run, user, number, to);
    sender->call_id_at = text.length;
    add(&text, "%08x-%x-%08x@load\r\nCSeq: 1 MESSAGE\r\n", 0, number, given.run);
    for (unsigned i = 0; i < given.headers; i++)
        add(&text, "X-Load-%u: value of header field number %u\r\n", i, i);
    add(&text, "Content-Type: text/plain\r\nContent-Length: %u\r\n\r\n", given.body);
    for (unsigned i = 0; i < given.body; i++)
        add(&text, "%c", 'a' + (int)(i % 26));
    sender->length = text.length;
    sender->request = zeroed(1, text.length);
    memcpy(sender->request, request, text.length);
}

static void count_lost(void) {
    lost += load_is_measured();
}

static void send_next(uint64_t due) {
    struct sender *sender = &senders[turn % given.links];
    turn += given.one_way ? 2 : 1;
    char digits[NUMBER_DIGITS + 1];
    uint64_t *slot = &sender->due[sender->next % RING];
    if (*slot && !open_loop)
        die("%d requests of user%u are unanswered", RING, sender->phone.user);
    if (open_loop && !link_has_room(&sender->phone.link, sender->length)) {
        count_lost();
        return;
    }
    if (*slot) {
        count_lost();
        outstanding--;
    }
    *slot = due;
    outstanding++;
    snprintf(digits, sizeof digits, "%08x", sender->next++);
    memcpy(sender->request + sender->branch_at, digits, NUMBER_DIGITS);
    memcpy(sender->request + sender->call_id_at, digits, NUMBER_DIGITS);
    link_send(&sender->phone.link, sender->request, sender->length);
}

/* Our own Via has to be the only one left, with the branch that we gave it; `number` is that of the request. */
static bool is_ours(const struct sender *sender, const struct message *response, uint32_t *number) {
    struct span via = header(response, "Via"), call_id = header(response, "Call-ID");
    struct span branch = parameter(via, "branch");
    size_t rest = strlen("z9hG4bK-"), id_length = strcspn(sender->request + sender->branch_at, "\r");
    if (branch.length != rest + id_length || call_id.length < id_length || next_header(response, "Via", &via))
        return false;
    if (memcmp(branch.at + rest, call_id.at, id_length) != 0)
        return false;
    *number = (uint32_t)strtoul(call_id.at, NULL, 16);
    return sender->next - *number - 1 < RING && sender->due[*number % RING];
}

static void take_answer(struct sender *sender, const struct message *response) {
    uint32_t number;
    if (response->status < 200)
        return;
    if (!is_ours(sender, response, &number)) {
        if (open_loop)
            return; /* too late: it was counted as lost */
        count_error("an answer to nothing: %.*s", (int)response->head, response->text);
        return;
    }
    uint64_t now = now_ns(), due = sender->due[number % RING];
    sender->due[number % RING] = 0;
    outstanding--;
    if (response->status == 200) {
        count_done();
        keep_latency(&answered, due, now);
    } else if (open_loop && response->status == 503 && header(response, "Retry-After").length) {
        refusals += load_is_measured();
        keep_latency(&refused, due, now);
    } else {
        count_error("%.*s", (int)response->head, response->text);
    }
    if (given.rate == 0 && load_is_on())
        send_next(now);
}

/* Answers a request: what the sink does, and a user who is sent a message. */
static void answer(struct link *link, const struct message *request) {
    char response[LONGEST_ANSWER];
    struct text text = {response, 0, sizeof response};
    add(&text, "SIP/2.0 200 OK\r\n");
    add_response_head(&text, request, "sink");
    add(&text, "Content-Length: 0\r\n\r\n");
    if (open_loop && link->queued > LONGEST_QUEUE)
        dropped++; /* the server does not read what the sink has answered */
    else
        link_send(link, response, text.length);
}

static void sender_received(struct phone *phone, const struct message *message) {
    if (message->status)
        take_answer((struct sender *)phone, message);
    else if (given.users && is_method(message, "MESSAGE"))
        answer(&phone->link, message);
    else if (!message->keepalive)
        count_error("user%u is sent %.*s", phone->user, (int)message->head, message->text);
}

static void sink_received(struct link *link, const struct message *message) {
    if (is_method(message, "MESSAGE") || is_method(message, "OPTIONS"))
        answer(link, message);
    else if (message->keepalive)
        link_send(link, "\r\n", 2);
    else
        count_error("the sink is sent %.*s", (int)message->head, message->text);
}

static void sink_closed(struct link *link, const char *why) {
    if (load_is_on())
        count_error("the link to the sink is gone: %s", why);
    free(link);
}

static const struct link_use sink_use = {NULL, sink_received, sink_closed};

/* The first request opens the server's own link to the sink, which is not to be measured. */
static void open_the_way(void) {
    uint64_t begun = now_ns();
    send_next(begun);
    while (outstanding) {
        loop_turn(NS_PER_S / 10);
        if (now_ns() - begun > 10 * NS_PER_S)
            die("the first request is not answered");
    }
}

/* Sends what is due on the clock, whatever has been answered, and waits until the next is. */
static void send_on_time(void) {
    static uint64_t next_due;
    uint64_t step = (uint64_t)(1e9 / given.rate), now = now_ns();
    if (!next_due)
        next_due = now;
    for (; next_due <= now; next_due += step)
        send_next(next_due);
    loop_turn(next_due - now);
}

static int run(void) {
    senders = zeroed(given.links, sizeof *senders);
    struct listener sink;
    if (given.sink.sin_family)
        listen_for(&sink, &given.sink, server_context(given.sink_certificate, given.sink_key), &sink_use);
    for (unsigned i = 0; i < given.links; i++) {
        senders[i].phone.user = i;
        senders[i].phone.received = sender_received;
    }
    phones_start(senders, given.links, sizeof *senders, !given.certificate);
    for (unsigned i = 0; open_loop && i < given.links; i++)
        link_bound_kernel_queue(&senders[i].phone.link);
    for (unsigned i = 0; i < given.links; i++)
        write_request(&senders[i], i);
    open_the_way();
    measure_start();
    for (unsigned i = 0; given.rate == 0 && i < given.window; i++)
        send_next(now_ns());
    while (measure_goes_on(outstanding)) {
        if (given.rate > 0 && load_is_on())
            send_on_time();
        else
            loop_turn(NS_PER_S / 50);
    }
    report_begin();
    report_number("links", given.links);
    report_number("message_bytes", (double)senders->length);
    report_latencies("", &answered);
    if (open_loop) {
        report_number("in_time_per_s", (double)within(&answered, IN_TIME_NS) / given.seconds);
        report_latencies("refused_", &refused);
        report_number("refused_per_s", (double)refusals / given.seconds);
        report_number("lost_per_s", (double)(lost + outstanding) / given.seconds);
    }
    if (open_loop)
        report_number("sink_dropped", (double)dropped);
    return report_end(open_loop ? 0 : outstanding);
}

int messages(void) {
    return run();
}

int overload(void) {
    open_loop = true;
    if (given.rate <= 0)
        die("overload needs --rate");
    return run();
}
