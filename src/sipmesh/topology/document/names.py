"""The types of names in a topology, each with the error text and remedy for a wrong name."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from sipmesh.sip.text import ascii_lower, is_digits
from sipmesh.topology.document import file_kind
from sipmesh.trust.revocation.crl_point import ANY_LABEL

# RFC 1123 2.1: letters, digits and inner hyphens, 63 octets for each label.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DS = re.compile(
    r"(?:\.|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,15}\.?) \d{1,5} (?:8|10|13|14|15|16) (?P<type>[24]) (?P<digest>[0-9a-f]+)",
    re.ASCII | re.IGNORECASE,
)
_DS_OCTETS = {"2": 32, "4": 48}  # SHA-256, SHA-384
_HOST = re.compile(r"[a-z0-9.:-]{1,253}")
_LONGEST_NAME = 253  # octets of a host name in text form (RFC 1035 3.1: 255 on the wire)
_HIGHEST_PORT = 65535
_LONGEST_URL = 2_000  # octets
_MOST_HOURS = 720  # thirty days: a CRL source that fails for longer must be repaired
_FQDN_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"


def is_ip(text: str) -> bool:
    """Tell whether *text* is an IPv4 or IPv6 address, with or without brackets."""
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _refuse(reason: str, remedy: str) -> PydanticCustomError:
    """Make an error whose text is used literally: braces in the operator's text are not a template."""
    return PydanticCustomError("name", "{reason}", {"reason": reason, "remedy": remedy})


def fqdn(text: str) -> str:
    """Return *text* in lower case if it is a full host name: two labels or more, not an IP address or a wildcard."""
    name = text.lower()
    if is_ip(name):
        raise _refuse(f"{text!r} is an IP address", "write the full name; an IP address proves no identity")
    if "*" in name:
        raise _refuse(f"{text!r} is a wildcard", "name each server or domain; wildcards are not allowed (RFC 5922 7.2)")
    if not text.isascii():  # check *text*, not *name*: lower() turns the Kelvin sign into an ASCII k
        raise _refuse(f"{text!r} is not ASCII", "write the name as in DNS (xn--...)")
    if name.endswith("."):
        raise _refuse(f"{text!r} ends in a dot", f"write {text.rstrip('.')!r}")
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or is_digits(labels[-1]):
        raise _refuse(f"{text!r} is not a host name", "use letters, digits and hyphens between dots (RFC 1123 2.1)")
    if len(labels) == 1:
        raise _refuse(f"{text!r} is a short name", f"write it in full, such as '{name}.example.com'")
    return name


def label(text: str) -> str:
    """Return *text* in lower case if it is one label of a host name, such as the name of a site."""
    name = ascii_lower(text)
    if not _LABEL.fullmatch(name):
        raise _refuse(f"{text!r} is not a short name", "use at most 63 letters, digits and inner hyphens")
    return name


def address(text: str) -> str:
    """Return the IP address *text* in its normal form, without brackets."""
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise _refuse(f"{text!r} is not an IP address", "write an IPv4 or IPv6 address such as 192.0.2.1") from None


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address. Without a port, the port is ``None``."""
    bracketed = text.startswith("[")
    host, colon, port = text.rpartition(":")
    if not colon or (not bracketed and ":" in host) or (bracketed and not host.endswith("]")):
        return text.strip("[]"), None
    if not (is_digits(port) and 1 <= int(port[:6]) <= _HIGHEST_PORT):
        raise _refuse(f"{port!r} is not a port", f"write a number from 1 to {_HIGHEST_PORT} after the colon")
    return host.strip("[]"), int(port)


def fqdn_and_port(text: str) -> str:
    """Check a full name with an optional port, such as the edge of a partner."""
    host, port = split_port(text)
    return fqdn(host) if port is None else f"{fqdn(host)}:{port}"


def crl_host(text: str) -> str:
    """Check a host of CRLs with an optional port; ``*.`` stands for one label, as a CA has one host for each issuing CA."""
    begin = ANY_LABEL if text.startswith(ANY_LABEL) else ""
    return begin + fqdn_and_port(text.removeprefix(begin))


def address_and_port(text: str) -> str:
    """Check an IP address with an optional port, such as a DNS server."""
    host, port = split_port(text)
    number = address(host)
    if port is None:
        return number
    return f"[{number}]:{port}" if ":" in number else f"{number}:{port}"


def dns_trust_anchor(text: str) -> str:
    """Check a DS record without class and type, such as ``. 20326 8 2 E06D…``; SHA-1 does not count (RFC 9905)."""
    found = _DS.fullmatch(text)
    if found is None or len(found["digest"]) != 2 * _DS_OCTETS[found["type"]]:
        raise ValueError(
            "is not a DS record with SHA-256 or SHA-384, as ZONE KEYTAG ALGORITHM DIGESTTYPE DIGEST: "
            "write '. 20326 8 2 …', as in /usr/share/dns/root.ds without IN and DS"
        )
    return found[0]


def listen_on(given: object) -> object:
    """Change a port without an address into an address and port of the loopback interface."""
    if isinstance(given, int) and not isinstance(given, bool):
        return f"127.0.0.1:{given}"
    return given


def address_with_port(text: str) -> str:
    """Check an IP address with a port. The port is required."""
    _, port = split_port(text)
    if port is None:
        raise _refuse(f"{text!r} has no port", "write address:port, such as 127.0.0.1:9105, or the port alone")
    return address_and_port(text)


def quoted(given: object) -> object:
    """Refuse a telephone number that YAML has read as a number: its + is lost."""
    if isinstance(given, int):
        raise _refuse(f"{given} is a number for YAML, which has lost its +", f"write it in quotes, such as '+{given}'")
    return given


def is_url(text: str) -> bool:
    """Tell whether *text* is a URL, and not a file name."""
    return "://" in text


def http_url(text: str) -> str:
    """Check a URL that servers fetch. Plain HTTP is allowed, because CRLs and OCSP responses are signed.

    RFC 5280 4.2.1.13 and RFC 6960 A.1 use it.
    """
    try:
        parts = urlsplit(text)
        _, host = parts.port, parts.hostname
    except ValueError:
        raise _refuse(f"{text!r} is not a URL", "write http://HOST/PATH") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise _refuse(f"{text!r} has a scheme that is not allowed", "write http://HOST/PATH or https://HOST/PATH")
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > _LONGEST_URL:
        raise _refuse(
            f"{text[:60]!r} is not a URL", f"write at most {_LONGEST_URL} ASCII characters; encode others as %XX"
        )
    if parts.username is not None or parts.password is not None:
        raise _refuse(
            "the URL contains a user name or password",
            "remove the user name and password; sipmesh fetches without login",
        )
    if parts.fragment:
        raise _refuse(f"{text!r} has a fragment", "remove # and the text after it")
    return text


def web_origin(text: str) -> str:
    """Check a web origin (RFC 6454): scheme, host and, unless it is the default, port; returned as browsers write it."""
    remedy = "write scheme and host, such as https://phone.example.com or http://localhost:8080"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refuse(f"{text!r} is not an origin", remedy) from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or not _HOST.fullmatch(host):
        raise _refuse(f"{text!r} is not an origin", remedy)
    default = {"http": 80, "https": 443}[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port not in {None, default} else "")
    if ascii_lower(text) not in {origin, f"{parts.scheme}://{shown}:{default}"}:
        raise _refuse(f"{text!r} is more than an origin", f"write {origin!r}: no path and no user name")
    return origin


def file_or_url(text: str) -> str:
    """Check a file name or a URL."""
    return http_url(text) if is_url(text) else text


def network(given: object) -> IPv4Network | IPv6Network:
    """Read a network, such as ``10.0.0.0/8``."""
    try:
        return ip_network(str(given))
    except ValueError:
        raise _refuse(f"{given!r} is not a network", "write ADDRESS/BITS, such as 10.0.0.0/8") from None


def hours(given: int) -> int:
    """Check a number of hours."""
    if not 0 <= given <= _MOST_HOURS:
        raise _refuse(f"{given} hours", f"write a number of hours from 0 to {_MOST_HOURS}")
    return given


Fqdn = Annotated[str, AfterValidator(fqdn), WithJsonSchema({"type": "string", "pattern": _FQDN_PATTERN})]
FqdnAndPort = Annotated[
    str,
    AfterValidator(fqdn_and_port),
    WithJsonSchema({"type": "string", "pattern": _FQDN_PATTERN[:-1] + r"(:[0-9]{1,5})?$"}),
]
CrlHost = Annotated[
    str,
    AfterValidator(crl_host),
    WithJsonSchema({"type": "string", "pattern": r"^(\*\.)?" + _FQDN_PATTERN[1:-1] + r"(:[0-9]{1,5})?$"}),
]
Address = Annotated[
    str, AfterValidator(address), WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
]
DnsTrustAnchor = Annotated[str, AfterValidator(dns_trust_anchor)]
AddressAndPort = Annotated[str, AfterValidator(address_and_port)]
Network = Annotated[
    IPv4Network | IPv6Network,
    BeforeValidator(network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8", "fd00::/8"]}),
]
ListenOn = Annotated[
    str,
    BeforeValidator(listen_on),
    AfterValidator(address_with_port),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": _HIGHEST_PORT}]}),
]
Port = Annotated[int, Field(strict=True, ge=1, le=_HIGHEST_PORT)]
Label = Annotated[
    str,
    AfterValidator(label),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"}),
]
"""A short name, such as that of a site."""
TurnUri = Annotated[
    str,
    StringConstraints(
        max_length=300,
        pattern=r"^(stuns?:[A-Za-z0-9.\-\[\]:]+|turns?:[A-Za-z0-9.\-\[\]:]+(\?transport=(udp|tcp))?)$",
    ),
]
"""A URI of RFC 7064 or RFC 7065."""

FileName = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
"""A file name, relative to the topology's folder unless it is absolute. Each kind below has a folder (`file_kind`)."""
ChainFile = Annotated[FileName, file_kind.CHAIN]
KeyFile = Annotated[FileName, file_kind.KEY]
HostChainFile = Annotated[FileName, file_kind.HOST_CHAIN]
HostKeyFile = Annotated[FileName, file_kind.HOST_KEY]
AnchorFile = Annotated[FileName, file_kind.ANCHOR]
OurAnchorFile = Annotated[FileName, file_kind.OUR_ANCHOR]
DeviceCaFile = Annotated[FileName, file_kind.OUR_DEVICES]
SecretFile = Annotated[FileName, file_kind.SECRET]
HttpUrl = Annotated[str, AfterValidator(http_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
WebOrigin = Annotated[
    str, AfterValidator(web_origin), WithJsonSchema({"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+$"})
]
"""The origin of a web page: scheme, host and port."""
CrlFileOrUrl = Annotated[FileName, AfterValidator(file_or_url), file_kind.CRL]
"""The file of a CRL, or a URL from which servers fetch it."""
CrlFile = Annotated[FileName, file_kind.CRL_ON_DISK]
OurCrlFileOrUrl = Annotated[FileName, AfterValidator(file_or_url), file_kind.OUR_CRL]
Mebibytes = Annotated[int, Field(strict=True, ge=1, le=64)]
"""The maximum size of a CRL in MiB. No server reads a larger CRL."""
Hours = Annotated[
    int,
    Field(strict=True),
    AfterValidator(hours),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _MOST_HOURS}),
]
