/* A client of the server: a link that logs in as a user, or a server's link that need not. */
#ifndef PHONE_H
#define PHONE_H

#include "link.h"

enum { ADDRESS_ROOM = 32, CONTACT_ROOM = 80, CREDENTIALS_ROOM = 1024 };

struct phone {
    struct link link;
    unsigned user;   /* of userN@a.test */
    unsigned device; /* tells apart the devices of one user */
    unsigned asked;  /* REGISTERs sent */
    bool ready;
    char address[ADDRESS_ROOM]; /* ours, as in a Via */
    char contact[CONTACT_ROOM];
    char credentials[CREDENTIALS_ROOM]; /* the Authorization that it has logged in with, with its line end */
    void (*received)(struct phone *, const struct message *);
    void (*became_ready)(struct phone *);              /* NULL: phones_start waits for it */
    void (*closed)(struct phone *, const char *why);   /* NULL: a link that is gone ends the program */
};

/* Opens `count` phones, `size` bytes apart, and waits until all are logged in; `registers` is false for servers' links. */
void phones_start(void *first, size_t count, size_t size, bool registers);

/* Writes a REGISTER of that number with an Authorization, which may be empty; one phone has one Call-ID for all of them. */
void phone_register(const struct phone *, struct text *, unsigned cseq, const char *credentials);
/* Sends the next REGISTER, with credentials for `challenged` if that is not NULL. */
void phone_send_register(struct phone *, const struct message *challenged);
/* Opens a phone that registers, or opens it again; `from` may be NULL. */
void phone_open(struct phone *, SSL_CTX *, const struct in_addr *from);

#endif
