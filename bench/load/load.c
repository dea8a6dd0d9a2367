/* A load generator for SIP servers with TLS links: one thread, loopback only, and each run ends by itself. */
#include "base.h"
#include "link.h"
#include "modes.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No run takes longer than what it was asked for and this much; SIGALRM ends one that does. */
enum { SPARE_SECONDS = 240 };

struct options given = {
    .name = "p1.a.test",
    .uri = "sip:bob@sink.b.test;transport=tls",
    .sources = 16,
    .links = 20,
    .window = 80,
    .body = 200,
    .seconds = 5,
    .warmup = 1,
    .hold = 1,
};

static const char usage[] =
    "load MODE --connect ADDRESS:PORT --ca FILE [--name NAME] [--pid PID] [--seconds S] [--warmup S] ...\n"
    "\n"
    "messages    MESSAGE requests, answered by the sink or by other users; as users, or with a certificate as a server\n"
    "            --links N --window N (outstanding in all) | --rate PER_SECOND (latency from when each was due)\n"
    "            --sink ADDRESS:PORT --sink-certificate FILE --sink-key FILE --uri URI | --users (from user to user)\n"
    "            --second ADDRESS:PORT (another server, of the users with odd numbers: each message passes both)\n"
    "            --one-way (users with even numbers alone send)\n"
    "            --certificate FILE --key FILE; --body BYTES --headers N (beside the usual eight)\n"
    "overload    the same at --rate PER_SECOND, whatever is answered: 503 with Retry-After counts as refused\n"
    "calls       whole calls, forked to two devices: --links N (callers, and callees) --window N (calls at once)\n"
    "            --sink ADDRESS:PORT ... --certificate FILE --key FILE: of a front end through a gateway to a trunk\n"
    "registers   REGISTER requests with credentials: refreshes; --logins: each user once, on links that are up\n"
    "            --links N --window N (outstanding in all) | --rate PER_SECOND; --logins --from ADDRESS --sources N\n"
    "handshakes  full mutual handshakes: --certificate FILE --key FILE --links N (in flight)\n"
    "idle        links that say one OPTIONS: --links N --from ADDRESS --sources N (addresses) --hold S\n"
    "            --groups LIST (what each offers as groups of the key exchange, in the words of OpenSSL)\n"
    "storm       phones that log in all at once: --links N (ten of each user) --from ADDRESS --sources N\n"
    "floor       a server that only shakes hands: --listen ADDRESS:PORT --certificate FILE --key FILE --seconds S\n";

_Noreturn static void explain(void) {
    fputs(usage, stderr);
    exit(2);
}

static unsigned whole_number(const char *text) {
    char *rest;
    unsigned long value = strtoul(text, &rest, 10);
    if (*rest || !*text || value > 100000000)
        die("%s is no whole number, or too large", text);
    return (unsigned)value;
}

static void read_options(int count, char **words) {
    enum { CONNECT, CA, NAME, PID, SECONDS, WARMUP, LINKS, WINDOW, RATE, SINK, SINK_CERTIFICATE, SINK_KEY, URI, USERS,
           CERTIFICATE, KEY, BODY, HEADERS, FROM, SOURCES, HOLD, LISTEN, LOGINS,
           GROUPS, SECOND, ONE_WAY };
    static const struct option known[] = {
        {"connect", 1, 0, CONNECT}, {"ca", 1, 0, CA}, {"name", 1, 0, NAME}, {"pid", 1, 0, PID},
        {"seconds", 1, 0, SECONDS}, {"warmup", 1, 0, WARMUP}, {"links", 1, 0, LINKS}, {"window", 1, 0, WINDOW},
        {"rate", 1, 0, RATE}, {"sink", 1, 0, SINK}, {"sink-certificate", 1, 0, SINK_CERTIFICATE},
        {"sink-key", 1, 0, SINK_KEY}, {"uri", 1, 0, URI}, {"users", 0, 0, USERS}, {"certificate", 1, 0, CERTIFICATE},
        {"key", 1, 0, KEY}, {"body", 1, 0, BODY}, {"headers", 1, 0, HEADERS}, {"from", 1, 0, FROM},
        {"sources", 1, 0, SOURCES}, {"hold", 1, 0, HOLD}, {"listen", 1, 0, LISTEN}, {"logins", 0, 0, LOGINS},
        {"groups", 1, 0, GROUPS}, {"second", 1, 0, SECOND},
        {"one-way", 0, 0, ONE_WAY},
        {0}};
    for (int found; (found = getopt_long(count, words, "", known, NULL)) != -1;)
        switch (found) {
        case CONNECT: given.connect = loopback(optarg); break;
        case CA: given.ca = optarg; break;
        case NAME: given.name = optarg; break;
        case PID: given.pid = (pid_t)whole_number(optarg); break;
        case SECONDS: given.seconds = whole_number(optarg); break;
        case WARMUP: given.warmup = whole_number(optarg); break;
        case LINKS: given.links = whole_number(optarg); break;
        case WINDOW: given.window = whole_number(optarg); break;
        case RATE: given.rate = whole_number(optarg); break;
        case SINK: given.sink = loopback(optarg); break;
        case SINK_CERTIFICATE: given.sink_certificate = optarg; break;
        case SINK_KEY: given.sink_key = optarg; break;
        case URI: given.uri = optarg; break;
        case USERS: given.users = true; break;
        case LOGINS: given.logins = true; break;
        case CERTIFICATE: given.certificate = optarg; break;
        case KEY: given.key = optarg; break;
        case BODY: given.body = whole_number(optarg); break;
        case HEADERS: given.headers = whole_number(optarg); break;
        case FROM: given.from = loopback_host(optarg); break;
        case SOURCES: given.sources = whole_number(optarg); break;
        case HOLD: given.hold = whole_number(optarg); break;
        case LISTEN: given.listen = loopback(optarg); break;
        case GROUPS: given.groups = optarg; break;
        case SECOND: given.second = loopback(optarg); break;
        case ONE_WAY: given.one_way = true; break;
        default: explain();
        }
    if (optind != count || !given.ca || !given.links || !given.window || !given.sources)
        explain();
}

int main(int count, char **words) {
    static const struct { const char *name; int (*run)(void); bool serves; } modes[] = {
        {"messages", messages, false},     {"overload", overload, false}, {"registers", registers, false},
        {"calls", calls, false},           {"handshakes", handshakes, false}, {"idle", idle, false},
        {"storm", storm, false},           {"floor", floor_server, true},
    };
    given.from = loopback_host("127.0.0.2");
    given.run = (uint32_t)(now_ns() >> 10) ^ (uint32_t)getpid() << 16;
    if (count < 2)
        explain();
    given.mode = words[1];
    read_options(count - 1, words + 1);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, given.mode) == 0) {
            if (!(modes[i].serves ? given.listen : given.connect).sin_family)
                explain();
            alarm(given.warmup + given.seconds + given.hold + SPARE_SECONDS);
            loop_start();
            return modes[i].run();
        }
    explain();
}
