"""Why phones get no link to a server: the table of failed client links, and a remedy for each reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.output import BAD, Grid, cell, second, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipmesh.cli.control_client import FromServer
    from sipmesh.server.admin.replies import ClientRefusalReply

REMEDIES: Final = {
    "plain-sip": "set the transport of the phone to TLS: there is no port for plain SIP",
    "plain-http": "an HTTP client without TLS has reached this SIP port: check its address and port",
    "not-tls": "set the transport of the phone to TLS: what it has sent is not TLS",
    "no-shared-cipher": "the phone has no cipher or signature in common with the server: update its firmware, or allow TLS 1.2 "
    "with ECDHE and AES-GCM and the key type of the server's certificate (sipmesh ca inventory). For a phone that knows RSA "
    "only: sipmesh ca issue SERVER --key rsa",
    "protocol-too-old": "the phone is too old: update its firmware, and allow TLS 1.2 or 1.3 in its settings",
    "certificate-refused": "the phone does not accept the server's certificate: install ca/root.pem on the phone, set its clock, "
    "and give it a name of the certificate instead of an IP address",
    "closed-in-handshake": "the phone has closed during the handshake: read its log. Many phones close where they do not accept "
    "the server's certificate: install ca/root.pem on the phone",
    "closed-without-a-byte": "the phone has closed after the handshake and has sent nothing: it does not accept the server's "
    "certificate. Install ca/root.pem on the phone, and give it a name of the certificate as server",
    "handshake-timeout": "the phone has not finished the handshake in time: check the network and firewalls between them",
    "too-many-handshakes": "the address of the phone has too many connections at once: check which program opens them",
    "handshake-failed": "read the log of the phone: it has its side of the TLS handshake",
    "http-on-sip-port": "an HTTP client has reached the SIP port: check its address and port",
    "websocket-on-sip-port": "a browser has reached the SIP port: it needs the WebSocket port of the server",
    "no-websocket": "a browser window, or a program that is no SIP client, has reached the WebSocket port: check its URL (wss://)",
    "wrong-host": "the page connects to a name that is in no certificate of the server: use the server's name in its URL",
    "wrong-origin": "the page is of a site that may not connect: add its origin to `websocket: {origins: ...}` in the topology",
    "not-sip": "what the phone has sent is not SIP: check which program connects to the SIP port",
    "no-certificate": "the port wants the certificate of a device: sipmesh ca issue --user USER --device NAME, and install it on "
    "the phone",
    "device-refused": "the server does not accept the certificate that the phone has presented: issue another one, and install "
    "it on the phone: sipmesh ca issue --user USER --device NAME",
    "no-login": "the phone has a link, and has not logged in: check that its account is active, with a user and a password",
}


def client_refusals_table(title: str, rows: Iterable[FromServer[ClientRefusalReply]]) -> Grid:
    """Return a table of failed client links."""
    made = table(title, "last", "server", "from", "times", "reason", "saw")
    for row in rows:
        refusal = row.value
        facts = (row.server, refusal.remote, refusal.count)
        made.add_row(cell(second(refusal.last_at)), *map(cell, facts), cell(refusal.reason, BAD), cell(refusal.detail))
    return made


def link_remedies(rows: Iterable[FromServer[ClientRefusalReply]]) -> Iterator[str]:
    """Yield a remedy for each reason once, the newest first."""
    for reason in dict.fromkeys(row.value.reason for row in rows):
        if reason in REMEDIES:
            yield REMEDIES[reason]
