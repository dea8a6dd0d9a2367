/* TLS links on one epoll, in one thread: connected or accepted, never blocking, with SIP messages cut out of what comes. */
#ifndef LINK_H
#define LINK_H

#include "base.h"
#include "sip.h"

#include <openssl/ssl.h>

/* Whatever has a descriptor in the epoll; first in every struct that has. */
struct watched {
    int fd;
    void (*ready)(struct watched *, uint32_t events);
};

struct link;

/* What an owner wants to hear about its links; `up` may be NULL. */
struct link_use {
    void (*up)(struct link *);                                 /* the handshake is done */
    void (*received)(struct link *, const struct message *);
    void (*closed)(struct link *, const char *why);            /* the link holds nothing any more, and may be opened again */
};

struct link {
    struct watched watched;
    SSL *ssl;
    const struct link_use *use;
    bool up, writing;
    bool finished; /* by link_finish */
    char *in, *out;
    size_t filled, queued;
};

struct listener {
    struct watched watched;
    SSL_CTX *context;
    const struct link_use *use;
};

/* TLS 1.3 only; no session is kept or resumed. Verifies the server by the CA that was given, and by its name. */
SSL_CTX *client_context(const char *certificate, const char *key);
/* Requires a certificate of the CA that was given. */
SSL_CTX *server_context(const char *certificate, const char *key);

void loop_start(void);
/* Waits up to `ns` for something to happen, and handles what did. */
void loop_turn(uint64_t ns);

/* Connects; `from` may be NULL. Everything else is told through `use`. */
void link_open(struct link *, SSL_CTX *, const struct sockaddr_in *to, const struct in_addr *from,
               const struct link_use *use);
/* Writes one TLS record, now or as soon as there is room. */
void link_send(struct link *, const char *text, size_t length);
/* False while so much waits for the server that a message of that length would not fit. */
bool link_has_room(const struct link *, size_t length);
/* Has our kernel keep as little for the link as on a network with segments of 1,500 octets: loopback has 64 KiB. */
void link_bound_kernel_queue(struct link *);
/* Ends a link from within its `received`: it is closed when that returns, and `closed` is told. */
void link_finish(struct link *);
/* Writes our own address and port as a Contact or a Via has them. */
void link_address(const struct link *, char *text, size_t room);

/* Accepts links for `use`, whose `closed` has to free them. */
void listen_for(struct listener *, const struct sockaddr_in *at, SSL_CTX *, const struct link_use *use);

#endif
