#include "phone.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define DOMAIN "a.test"
#define PASSWORD "bench-password"
#define CNONCE "c0ffee"

/* Servers bound the handshakes in flight from one address. */
enum { OPENING_AT_ONCE = 24, LONGEST_REGISTER = 4096, DIGEST_ROOM = 2 * EVP_MAX_MD_SIZE + 1 };
static const uint64_t PATIENCE_NS = 60 * NS_PER_S;

static size_t opening;
static bool register_users;

static void hex_digest(const EVP_MD *algorithm, const char *text, char out[DIGEST_ROOM]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(text, strlen(text), digest, &length, algorithm, NULL))
        die("no such digest here");
    for (unsigned i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Writes an Authorization for a challenge (RFC 7616 3.4); false for an algorithm that we do not know. */
static bool add_credentials(struct text *to, unsigned user, struct span challenge) {
    struct span realm = parameter(challenge, "realm"), nonce = parameter(challenge, "nonce");
    struct span algorithm = parameter(challenge, "algorithm");
    const char *name = !algorithm.length || same(algorithm, "MD5") ? "MD5" : "SHA-256";
    if (algorithm.length && !same(algorithm, name))
        return false;
    const EVP_MD *digest = strcmp(name, "MD5") == 0 ? EVP_md5() : EVP_sha256();
    char secret[DIGEST_ROOM], asked[DIGEST_ROOM], response[DIGEST_ROOM], plain[1024];
    struct text text = {plain, 0, sizeof plain};
    add(&text, "user%u:%.*s:" PASSWORD, user, (int)realm.length, realm.at);
    hex_digest(digest, plain, secret);
    hex_digest(digest, "REGISTER:sip:" DOMAIN, asked);
    text.length = 0;
    add(&text, "%s:%.*s:00000001:" CNONCE ":auth:%s", secret, (int)nonce.length, nonce.at, asked);
    hex_digest(digest, plain, response);
    add(to,
        "Authorization: Digest username=\"user%u\", realm=\"%.*s\", nonce=\"%.*s\", uri=\"sip:" DOMAIN "\", "
        "response=\"%s\", algorithm=%s, qop=auth, nc=00000001, cnonce=\"" CNONCE "\"\r\n",
        user, (int)realm.length, realm.at, (int)nonce.length, nonce.at, response, name);
    return true;
}

void phone_register(const struct phone *phone, struct text *text, unsigned cseq, const char *credentials) {
    add(text,
        "REGISTER sip:" DOMAIN " SIP/2.0\r\n"
        "Via: SIP/2.0/TLS %s;rport;branch=z9hG4bK-%08u-r%u-%u-%08x\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:user%u@" DOMAIN ">;tag=r%u\r\n"
        "To: <sip:user%u@" DOMAIN ">\r\n"
        "Call-ID: register-%u-%u-%08x@load\r\n"
        "CSeq: %u REGISTER\r\n"
        "Contact: <%s>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%06u%06u>\"\r\n"
        "Expires: 3600\r\n"
        "%sContent-Length: 0\r\n\r\n",
        phone->address, cseq, phone->user, phone->device, given.run, phone->user, phone->device, phone->user,
        phone->user, phone->device, given.run, cseq, phone->contact, phone->user, phone->device, credentials);
}

void phone_send_register(struct phone *phone, const struct message *challenged) {
    char request[LONGEST_REGISTER];
    struct text text = {request, 0, sizeof request};
    struct text credentials = {phone->credentials, 0, sizeof phone->credentials};
    struct span challenge = {0};
    bool answered = !challenged;
    phone->credentials[0] = 0;
    while (!answered && next_header(challenged, "WWW-Authenticate", &challenge))
        answered = add_credentials(&credentials, phone->user, challenge);
    if (!answered)
        die("user%u is asked for a digest that is neither SHA-256 nor MD5", phone->user);
    phone_register(phone, &text, ++phone->asked, phone->credentials);
    link_send(&phone->link, request, text.length);
}

static void is_ready(struct phone *phone) {
    phone->ready = true;
    if (phone->became_ready)
        phone->became_ready(phone);
    else
        opening--;
}

static void phone_up(struct link *link) {
    struct phone *phone = (struct phone *)link;
    link_address(link, phone->address, sizeof phone->address);
    snprintf(phone->contact, sizeof phone->contact, "sip:user%u@%s;transport=tls", phone->user, phone->address);
    if (register_users)
        phone_send_register(phone, NULL);
    else
        is_ready(phone);
}

static void phone_received(struct link *link, const struct message *message) {
    struct phone *phone = (struct phone *)link;
    if (phone->ready) {
        phone->received(phone, message);
    } else if (message->status == 401 && phone->asked == 1) {
        phone_send_register(phone, message);
    } else if (message->status == 200) {
        is_ready(phone);
    } else if (message->status >= 200 && phone->closed) {
        link_finish(link); /* refused for now */
    } else if (message->status >= 200) {
        die("user%u cannot register: %.*s", phone->user, (int)strcspn(message->text, "\r"), message->text);
    }
}

static void phone_closed(struct link *link, const char *why) {
    struct phone *phone = (struct phone *)link;
    if (!phone->closed)
        die("the link of user%u is gone: %s", phone->user, why);
    phone->closed(phone, why);
}

static const struct link_use phone_use = {phone_up, phone_received, phone_closed};

/* Where a phone has its home: with --second, every other user is at another server. */
static const struct sockaddr_in *home_of(const struct phone *phone) {
    return given.second.sin_family && phone->user % 2 ? &given.second : &given.connect;
}

void phone_open(struct phone *phone, SSL_CTX *context, const struct in_addr *from) {
    register_users = true;
    phone->asked = 0;
    link_open(&phone->link, context, home_of(phone), from, &phone_use);
}

void phones_start(void *first, size_t count, size_t size, bool registers) {
    SSL_CTX *context = client_context(given.certificate, given.key);
    uint64_t begun = now_ns();
    size_t opened = 0;
    register_users = registers;
    while (opened < count || opening) {
        for (; opened < count && opening < OPENING_AT_ONCE; opened++, opening++) {
            struct in_addr from = {htonl(ntohl(given.from.s_addr) + (uint32_t)opened % given.sources)};
            struct phone *phone = (struct phone *)((char *)first + opened * size);
            link_open(&phone->link, context, home_of(phone),
                given.logins ? &from : NULL, &phone_use); /* links without a login are bounded for each address */
        }
        loop_turn(NS_PER_S / 10);
        if (now_ns() - begun > PATIENCE_NS)
            die("only %zu of %zu links are logged in", opened - opening, count);
    }
}
