"""SIP URIs: parsing and writing keep each octet and the meaning."""

from __future__ import annotations

from typing import Final

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.sip.tel import number_in
from sipmesh.sip.text import text_of
from sipmesh.sip.uri import SipUri, normal_escapes, scheme_of, split_host_port


def check(data: bytes) -> None:
    """Read *data* as a URI, and as a host with a port."""
    text = text_of(data)
    scheme_of(text)
    _check_host_port(text)
    try:
        uri = SipUri.parse(text)
    except RemoteError as wrong:
        require(wrong.status in {400, 416}, f"status {wrong.status}")
        return
    again = SipUri.parse(str(uri))
    require(again == uri, f"written with another meaning: {uri}")
    require(uri.equivalent(again), f"not equivalent to itself: {uri}")
    require(again.aor == uri.aor, f"another address of record: {uri.aor}")
    require(SipUri.parse(uri.aor).aor == uri.aor, f"the address of record changes: {uri.aor}")
    require(str(uri).isascii() and str(uri).isprintable() and " " not in str(uri), "a URI that ends early for others")
    if uri.user is not None:
        require(normal_escapes(normal_escapes(uri.user)) == normal_escapes(uri.user), "escapes are decoded twice")
        number_in(uri.user)


def _check_host_port(text: str) -> None:
    try:
        host, port = split_host_port(text)
    except RemoteError:
        return
    written = f"[{host}]" if ":" in host else host
    require(split_host_port(written if port is None else f"{written}:{port}") == (host, port), "another host or port")


TARGET: Final = Target(
    name="uri",
    holds="raises RemoteError only; a URI is read back as it was, and has one address of record",
    check=check,
    seeds=(
        b"sip:alice@example.test",
        b"SIPS:%61lice;day=tue:pa%20ss@EXAMPLE.test.:5061;transport=TLS;lr;x=%3b?Subject=a%20b&Priority=urgent",
        b"sip:[2001:DB8::1]:5061;maddr=[::1]",
        b"sip:192.0.2.1:65535",
        b"sip:+49-30-1234;ext=7@example.test;user=phone",
        b"[::ffff:192.0.2.1]:5060",
        b"tel:+4930",
        b"urn:service:sos",
        b"sip:a@b;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ),
)
