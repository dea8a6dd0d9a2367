"""The SIP domain identities of a certificate by RFC 5922 section 7.1, and the names that are ignored."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from sipmesh.sip.text import ascii_lower, is_digits
from sipmesh.trust.x509.certificate import UNREADABLE, extension

LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
LONGEST_NAME = 253  # RFC 1035 2.3.4: 255 octets on the wire
LONGEST_LABEL = 63

NO_CN = "the common name is never an identity"
WILDCARD = "a wildcard names no SIP domain (RFC 5922 7.2)"
USERINFO = "a URI with a user names a user, not a domain"
NOT_SIP = "only the sip scheme names a SIP domain"
NOT_A_HOST = "not a host name"
BESIDE_URI = "DNS names are ignored beside a SIP URI"


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities of a certificate: *usable* in lower case, *ignored* as pairs (name with its kind, reason)."""

    usable: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()


def identities(certificate: x509.Certificate) -> Identities:
    """Find the SIP domain identities of *certificate*. Never raises, for any content.

    RFC 5922 7.1: "If the scheme of the URI is not "sip", then the implementation MUST NOT accept the value as a SIP domain
    identity". The same applies to a URI with a userinfo part. DNS names are used only if there is no SIP URI.

    Two rules here are stricter. The common name is never used (for a certificate without subjectAltName the RFC has a MAY).
    And a ``sip:`` URI that cannot be used still hides the DNS names, because such a certificate is that of a user.
    """
    try:
        names = alternative_names(certificate)
    except ValueError as wrong:
        return Identities(ignored=(("subjectAltName", f"unreadable: {wrong}"),))
    uris = [_from_uri(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    sip = any(judged.is_sip for judged in uris)
    dns = [_from_dns(name.value, hidden=sip) for name in names if isinstance(name, x509.DNSName)]
    other = [_Judged(spell(name), why=NOT_SIP) for name in names if not isinstance(name, _KNOWN)]
    cns = [_Judged(f"CN:{value}", ascii_lower(value), NO_CN) for value in common_names(certificate)]
    return _sorted_out([*uris, *dns, *other, *cns])


def alternative_names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """Give all names in the subjectAltName extension; none if it is absent; ValueError if it cannot be read."""
    try:
        return tuple(extension(certificate, x509.SubjectAlternativeName) or ())
    except UNREADABLE as wrong:
        raise ValueError(str(wrong)) from None


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Give the common names of the subject. They are for the explanation only."""
    try:
        return tuple(str(cn.value) for cn in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    except UNREADABLE:
        return ()


def spell(name: x509.GeneralName) -> str:
    """Write *name* with its kind, such as ``DNS:fe1.example.test``."""
    if isinstance(name, x509.DirectoryName):
        return f"DirName:{name.value.rfc4514_string()}"
    if isinstance(name, x509.OtherName):
        return f"otherName:{name.type_id.dotted_string}"
    return f"{_KINDS.get(type(name), type(name).__name__)}:{name.value}"


def uri_host(uri: str) -> str | None:
    """Return the host of a ``sip:``, ``sips:`` or hierarchical URI in lower case; None if there is none.

    Name constraints on URIs apply to the host (RFC 5280 4.2.1.10).
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or not scheme:
        return None
    if rest.startswith("//"):
        rest = rest[2:]
    elif ascii_lower(scheme) not in {"sip", "sips"}:
        return None
    rest = rest.partition("/")[0].partition("?")[0].partition("#")[0].rpartition("@")[2].partition(";")[0]
    host = rest[: rest.find("]") + 1] if rest.startswith("[") else rest.partition(":")[0]
    return ascii_lower(host) or None


def is_host_name(text: str) -> bool:
    """Tell whether *text* is a lower-case host name of letters, digits and hyphens (RFC 1123 2.1), and not an IPv4 address."""
    labels = text.split(".")
    return (
        len(text) <= LONGEST_NAME
        and not is_digits(labels[-1])
        and all(0 < len(label) <= LONGEST_LABEL and LABEL.issuperset(label) for label in labels)
        and not any(label.startswith("-") or label.endswith("-") for label in labels)
    )


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
}
_KNOWN = (x509.DNSName, x509.UniformResourceIdentifier)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One presented name: the *host* that it proves, or the reason *why* it is ignored."""

    spelt: str
    host: str = ""
    why: str = ""
    is_sip: bool = False


def _from_uri(uri: str) -> _Judged:
    spelt = f"URI:{uri}"
    if ascii_lower(uri[:4]) != "sip:":
        return _Judged(spelt, why=NOT_SIP)
    if "@" in uri:
        return _Judged(spelt, why=USERINFO, is_sip=True)
    host, colon, port = uri[4:].partition("?")[0].partition(";")[0].partition(":")
    if colon and not is_digits(port):
        return _Judged(spelt, why=NOT_A_HOST, is_sip=True)
    host, why = _host(ascii_lower(host))
    return _Judged(spelt, host, why, is_sip=True)


def _from_dns(name: str, *, hidden: bool) -> _Judged:
    host, why = _host(ascii_lower(name))
    return _Judged(f"DNS:{name}", host, why or (BESIDE_URI if hidden else ""))


def _host(host: str) -> tuple[str, str]:
    if "*" in host:
        return "", WILDCARD
    return (host, "") if is_host_name(host) else ("", NOT_A_HOST)


def _sorted_out(judged: list[_Judged]) -> Identities:
    """Divide into usable and ignored names, in the order of the certificate. A usable name is not listed as ignored."""
    usable = tuple(dict.fromkeys(name.host for name in judged if not name.why))
    ignored = tuple((name.spelt, name.why) for name in judged if name.why and name.host not in usable)
    return Identities(usable, ignored)
