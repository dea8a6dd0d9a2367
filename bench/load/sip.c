#include "sip.h"

#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_HEAD = 32768 };

#define SHOWN(span) (int)(span).length, (span).at

static bool cut_keepalive(const char *text, size_t length, struct message *message) {
    size_t ends = 0;
    while (ends + 2 <= length && memcmp(text + ends, "\r\n", 2) == 0)
        ends += 2;
    *message = (struct message){.text = text, .head = ends, .length = ends, .keepalive = true};
    return ends > 0;
}

bool sip_cut(const char *text, size_t length, struct message *message) {
    if (length && *text == '\r')
        return cut_keepalive(text, length, message);
    const char *blank = memmem(text, length < LONGEST_HEAD ? length : LONGEST_HEAD, "\r\n\r\n", 4);
    if (!blank) {
        if (length >= LONGEST_HEAD)
            die("header fields of more than %d bytes", LONGEST_HEAD);
        return false;
    }
    *message = (struct message){.text = text, .head = (size_t)(blank - text) + 4};
    struct span body = header(message, "Content-Length");
    if (!body.length)
        body = header(message, "l");
    if (!body.length)
        die("a message without Content-Length, which no stream may carry (RFC 3261 18.3)");
    message->length = message->head + strtoul(body.at, NULL, 10);
    if (strncmp(text, "SIP/2.0 ", 8) == 0)
        message->status = atoi(text + 8);
    return message->length <= length;
}

bool is_method(const struct message *message, const char *method) {
    size_t length = strlen(method);
    return !message->status && !message->keepalive && message->head > length && message->text[length] == ' ' &&
           memcmp(message->text, method, length) == 0;
}

struct span request_uri(const struct message *message) {
    const char *begin = memchr(message->text, ' ', message->head);
    const char *end = begin ? memchr(begin + 1, ' ', message->head - (size_t)(begin + 1 - message->text)) : NULL;
    return end ? (struct span){begin + 1, (size_t)(end - begin - 1)} : (struct span){0};
}

bool next_header(const struct message *message, const char *name, struct span *value) {
    size_t length = strlen(name);
    const char *stop = message->text + message->head;
    const char *line = value->at ? value->at + value->length : message->text; /* either way in the line before */
    while ((line = memchr(line, '\n', (size_t)(stop - line))) && ++line < stop) {
        if ((size_t)(stop - line) <= length || line[length] != ':' || strncasecmp(line, name, length) != 0)
            continue;
        const char *begin = line + length + 1, *end = memchr(begin, '\r', (size_t)(stop - begin));
        while (begin < end && *begin == ' ')
            begin++;
        *value = (struct span){begin, (size_t)(end - begin)};
        return true;
    }
    return false;
}

struct span header(const struct message *message, const char *name) {
    struct span value = {0};
    return next_header(message, name, &value) ? value : (struct span){0};
}

struct span parameter(struct span value, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 1; i + length < value.length; i++) {
        const char *at = value.at + i, *stop = value.at + value.length;
        if (!strchr(" ,;", at[-1]) || at[length] != '=' || strncasecmp(at, name, length) != 0)
            continue;
        const char *begin = at + length + 1;
        bool quoted = begin < stop && *begin == '"';
        begin += quoted;
        const char *end = begin;
        while (end < stop && !strchr(quoted ? "\"" : " ,;>", *end))
            end++;
        return (struct span){begin, (size_t)(end - begin)};
    }
    return (struct span){0};
}

struct span bracketed(struct span value) {
    const char *begin = memchr(value.at, '<', value.length);
    const char *end = begin ? memchr(begin, '>', value.length - (size_t)(begin - value.at)) : NULL;
    return end ? (struct span){begin + 1, (size_t)(end - begin - 1)} : (struct span){0};
}

bool same(struct span span, const char *text) {
    return span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

bool equal(struct span one, struct span other) {
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

void add(struct text *text, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    int wrote = vsnprintf(text->at + text->length, text->room - text->length, format, rest);
    va_end(rest);
    if (wrote < 0 || (size_t)wrote >= text->room - text->length)
        die("a message outgrew its %zu bytes", text->room);
    text->length += (size_t)wrote;
}

static void add_all(struct text *text, const struct message *request, const char *name) {
    struct span value = {0};
    while (next_header(request, name, &value))
        add(text, "%s: %.*s\r\n", name, SHOWN(value));
}

void add_response_head(struct text *text, const struct message *request, const char *tag) {
    struct span to = header(request, "To");
    bool tagged = memmem(to.at, to.length, ";tag=", 5) != NULL;
    add_all(text, request, "Via");
    add_all(text, request, "Record-Route");
    add_all(text, request, "From");
    add(text, "To: %.*s%s%s\r\n", SHOWN(to), tagged ? "" : ";tag=", tagged ? "" : tag);
    add_all(text, request, "Call-ID");
    add_all(text, request, "CSeq");
}
