/* As much of SIP as a load generator needs: cut a message out of a stream, find header fields, write an answer. */
#ifndef SIP_H
#define SIP_H

#include <stdbool.h>
#include <stddef.h>

struct span {
    const char *at;
    size_t length;
};

/* One message, inside the bytes it was cut out of. */
struct message {
    const char *text;
    size_t head, length; /* of start line and header fields; of all */
    int status;          /* 0: a request, or a keep-alive */
    bool keepalive;      /* nothing but line ends (RFC 5626 3.5.1) */
};

/* Cuts the first message off; false if it has not come whole. Ends the program where it cannot be SIP. */
bool sip_cut(const char *text, size_t length, struct message *);

bool is_method(const struct message *, const char *method);
struct span request_uri(const struct message *);

/* Gives the value of the first field of that name, or of the next one if `value` holds one; false: there is none. */
bool next_header(const struct message *, const char *name, struct span *value);
struct span header(const struct message *, const char *name); /* empty if there is none */
/* The value of `;name=` or `name="..."` in a header field; empty if there is none. */
struct span parameter(struct span value, const char *name);
/* What stands between < and >. */
struct span bracketed(struct span value);
bool same(struct span, const char *text);
bool equal(struct span, struct span);

/* A bounded buffer for writing; to outgrow it ends the program. */
struct text {
    char *at;
    size_t length, room;
};
void add(struct text *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes what a response takes from its request (RFC 3261 8.2.6.2), with `tag` for a To that has none. */
void add_response_head(struct text *, const struct message *request, const char *tag);

#endif
