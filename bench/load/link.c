#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* PATIENT_ROOM: what a sender that may give up lets wait in its own queue. */
enum { IN_ROOM = 65536, OUT_ROOM = 262144, PATIENT_ROOM = 32768, KERNEL_ROOM = 65536, EVENTS = 128 };

static int epoll_fd = -1;

void loop_start(void) {
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
}

void loop_turn(uint64_t ns) {
    struct epoll_event events[EVENTS];
    struct timespec wait = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    int count = epoll_pwait2(epoll_fd, events, EVENTS, &wait, NULL);
    if (count < 0 && errno != EINTR)
        die("epoll_pwait2: %s", strerror(errno));
    /* A descriptor stands in one turn at most once, so nothing in it is stale. */
    for (int i = 0; i < count; i++) {
        struct watched *one = events[i].data.ptr;
        one->ready(one, events[i].events);
    }
}

static void watch(struct watched *one, int operation, uint32_t wanted) {
    struct epoll_event event = {.events = wanted, .data.ptr = one};
    if (epoll_ctl(epoll_fd, operation, one->fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void watch_writing(struct link *link, bool writing) {
    if (link->writing == writing)
        return;
    link->writing = writing;
    watch(&link->watched, EPOLL_CTL_MOD, writing ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Contexts */

static SSL_CTX *new_context(const SSL_METHOD *method, const char *certificate, const char *key) {
    SSL_CTX *made = SSL_CTX_new(method);
    if (!made || !SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION))
        die("no TLS context");
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(made, 1); /* one read for a whole record, not one for its head and one for the rest */
    if (SSL_CTX_load_verify_file(made, given.ca) != 1)
        die("%s holds no CA", given.ca);
    if (certificate && SSL_CTX_use_certificate_chain_file(made, certificate) != 1)
        die("%s holds no certificate", certificate);
    if (key && SSL_CTX_use_PrivateKey_file(made, key, SSL_FILETYPE_PEM) != 1)
        die("%s holds no key for it", key);
    return made;
}

SSL_CTX *client_context(const char *certificate, const char *key) {
    SSL_CTX *made = new_context(TLS_client_method(), certificate, key);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
    if (given.groups && SSL_CTX_set1_groups_list(made, given.groups) != 1)
        die("%s are no groups", given.groups);
    return made;
}

SSL_CTX *server_context(const char *certificate, const char *key) {
    SSL_CTX *made = new_context(TLS_server_method(), certificate, key);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_num_tickets(made, 0);
    return made;
}

/* Links */

static void link_end(struct link *link, const char *why) {
    SSL_free(link->ssl);
    close(link->watched.fd); /* which takes it out of the epoll as well */
    free(link->in);
    free(link->out);
    *link = (struct link){.watched.fd = -1, .use = link->use, .finished = link->finished};
    link->use->closed(link, why);
}

/* True if a TLS call only has to wait; else *why says what ended the link. */
static bool waits(struct link *link, int result, const char **why) {
    int failed = errno;
    switch (SSL_get_error(link->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_WANT_WRITE:
        watch_writing(link, true);
        return true;
    case SSL_ERROR_ZERO_RETURN:
        *why = "closed by the server";
        return false;
    case SSL_ERROR_SSL:
        *why = ERR_reason_error_string(ERR_peek_last_error());
        break;
    default:
        *why = failed ? strerror(failed) : "closed by the server, without close_notify";
    }
    ERR_clear_error();
    if (!*why)
        *why = "TLS failed";
    return false;
}

static void deliver(struct link *link) {
    size_t taken = 0;
    struct message message;
    while (!link->finished && sip_cut(link->in + taken, link->filled - taken, &message)) {
        taken += message.length;
        link->use->received(link, &message);
    }
    memmove(link->in, link->in + taken, link->filled - taken);
    link->filled -= taken;
    if (link->filled == IN_ROOM)
        die("a message has more than %d bytes", IN_ROOM);
}

static void read_all(struct link *link) {
    const char *why = NULL;
    for (;;) {
        errno = 0;
        int got = SSL_read(link->ssl, link->in + link->filled, (int)(IN_ROOM - link->filled));
        if (got <= 0) {
            if (!waits(link, got, &why))
                link_end(link, why);
            return;
        }
        link->filled += (size_t)got;
        deliver(link);
        if (link->finished) {
            SSL_shutdown(link->ssl);
            link_end(link, "finished");
            return;
        }
    }
}

static void flush(struct link *link) {
    const char *why;
    errno = 0;
    int wrote = SSL_write(link->ssl, link->out, (int)link->queued);
    if (wrote > 0) {
        link->queued -= (size_t)wrote;
        memmove(link->out, link->out + wrote, link->queued);
        watch_writing(link, link->queued > 0);
    } else if (!waits(link, wrote, &why)) {
        watch_writing(link, false); /* the next read tells the owner */
    }
}

/* True once the handshake is done. */
static bool shaken_hands(struct link *link) {
    const char *why = NULL;
    errno = 0;
    int result = SSL_do_handshake(link->ssl);
    if (result == 1) {
        if (SSL_session_reused(link->ssl))
            die("a session was resumed: this is no full handshake");
        link->up = true;
        watch_writing(link, false);
        if (link->use->up)
            link->use->up(link);
        return true;
    }
    watch_writing(link, false); /* waits() turns it on again where it is wanted */
    if (!waits(link, result, &why))
        link_end(link, why);
    return false;
}

static void link_ready(struct watched *watched, uint32_t events) {
    struct link *link = (struct link *)watched;
    if (!link->up && !shaken_hands(link))
        return;
    if ((events & EPOLLOUT) && link->queued)
        flush(link);
    read_all(link);
}

static void link_begin(struct link *link, int fd, SSL_CTX *context, const struct link_use *use) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    *link = (struct link){.watched = {fd, link_ready}, .use = use, .writing = true};
    link->ssl = SSL_new(context);
    link->in = malloc(IN_ROOM);
    if (!link->ssl || !link->in || SSL_set_fd(link->ssl, fd) != 1)
        die("out of memory");
    watch(&link->watched, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void link_open(struct link *link, SSL_CTX *context, const struct sockaddr_in *to, const struct in_addr *from,
               const struct link_use *use) {
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (from) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = *from};
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
            die("bind: %s", strerror(errno));
    }
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    link_begin(link, fd, context, use);
    SSL_set_connect_state(link->ssl);
    if (!SSL_set1_host(link->ssl, given.name) || !SSL_set_tlsext_host_name(link->ssl, given.name))
        die("%s is no name", given.name);
}

void link_send(struct link *link, const char *text, size_t length) {
    const char *why;
    if (!link->queued) {
        errno = 0;
        int wrote = SSL_write(link->ssl, text, (int)length);
        if (wrote <= 0 && !waits(link, wrote, &why))
            return; /* the next read tells the owner */
        if (wrote > 0) {
            text += wrote;
            length -= (size_t)wrote;
        }
        if (!length)
            return;
    }
    if (!link->out && !(link->out = malloc(OUT_ROOM)))
        die("out of memory");
    if (length > OUT_ROOM - link->queued)
        die("the server leaves more than %d bytes unread", OUT_ROOM);
    memcpy(link->out + link->queued, text, length);
    link->queued += length;
    watch_writing(link, true);
}

bool link_has_room(const struct link *link, size_t length) {
    return link->queued + length <= PATIENT_ROOM;
}

void link_bound_kernel_queue(struct link *link) {
    int octets = KERNEL_ROOM;
    setsockopt(link->watched.fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets);
}

void link_finish(struct link *link) {
    link->finished = true;
}

void link_address(const struct link *link, char *text, size_t room) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    char host[INET_ADDRSTRLEN];
    if (getsockname(link->watched.fd, (struct sockaddr *)&at, &size) < 0)
        die("getsockname: %s", strerror(errno));
    inet_ntop(AF_INET, &at.sin_addr, host, sizeof host);
    snprintf(text, room, "%s:%u", host, ntohs(at.sin_port));
}

/* Listening */

static void listener_ready(struct watched *watched, uint32_t events) {
    struct listener *listener = (struct listener *)watched;
    (void)events;
    int fd = accept4(watched->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return; /* whoever it was has gone again */
    struct link *link = zeroed(1, sizeof *link);
    link_begin(link, fd, listener->context, listener->use);
    SSL_set_accept_state(link->ssl);
}

void listen_for(struct listener *listener, const struct sockaddr_in *at, SSL_CTX *context, const struct link_use *use) {
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (const struct sockaddr *)at, sizeof *at) < 0 || listen(fd, 512) < 0)
        die("listen: %s", strerror(errno));
    *listener = (struct listener){{fd, listener_ready}, context, use};
    watch(&listener->watched, EPOLL_CTL_ADD, EPOLLIN);
}
