/* What every part of the load generator stands on: the options, time, loopback addresses, and the end of a run. */
#ifndef BASE_H
#define BASE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_S 1000000000ull

/* The command line; read by main, then left alone. */
struct options {
    const char *mode;
    const char *name;                         /* whose certificate the server has to show */
    const char *ca, *certificate, *key;       /* ours as a client; the last two for a peer */
    const char *sink_certificate, *sink_key;
    const char *uri;                          /* where messages go */
    const char *groups;                       /* what clients offer for the key exchange; NULL: what OpenSSL offers */
    struct sockaddr_in connect, sink, listen; /* family 0: not given */
    struct sockaddr_in second;                /* where users with odd numbers connect; family 0: with all others */
    struct in_addr from;                      /* first of the source addresses */
    bool one_way;                             /* users with even numbers alone send */
    bool users;                               /* messages go from user to user, not to `uri` */
    bool logins;                              /* each user logs in once, in place of refreshes */
    unsigned sources, links, window, body, headers;
    unsigned seconds, warmup, hold;
    double rate;  /* requests a second; 0: a closed loop */
    pid_t pid;    /* the server, whose CPU and memory are read; 0: nobody's */
    uint32_t run; /* in every branch and Call-ID, since a server remembers those of the run before */
};
extern struct options given;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);
void *zeroed(size_t count, size_t size);

/* Reads "127.0.0.1:5061"; any address that is not loopback ends the program. */
struct sockaddr_in loopback(const char *text);
struct in_addr loopback_host(const char *text);

#endif
