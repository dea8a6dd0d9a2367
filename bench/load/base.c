#include "base.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    ERR_print_errors_fp(stderr);
    exit(2);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void *zeroed(size_t count, size_t size) {
    void *made = calloc(count, size);
    if (!made)
        die("out of memory");
    return made;
}

struct in_addr loopback_host(const char *text) {
    struct in_addr host;
    if (inet_pton(AF_INET, text, &host) != 1)
        die("%s is no IPv4 address", text);
    if (ntohl(host.s_addr) >> 24 != 127)
        die("%s is not loopback, and this program loads nobody else's machine", text);
    return host;
}

struct sockaddr_in loopback(const char *text) {
    struct sockaddr_in made = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        die("%s is not written as ADDRESS:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    char *rest;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (*rest || port == 0 || port > 65535)
        die("%s has no port between 1 and 65535", text);
    made.sin_addr = loopback_host(host);
    made.sin_port = htons((uint16_t)port);
    return made;
}
