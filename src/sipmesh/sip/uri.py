"""SIP and SIPS URIs: RFC 3261 section 19.1."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final, Literal

from sipmesh.errors import RemoteError
from sipmesh.sip.text import ALPHANUM, HEX, UNRESERVED, ascii_lower, ascii_upper, is_digits, shown
from sipmesh.sip.text_cache import TextCache

Params = tuple[tuple[str, str | None], ...]
Headers = tuple[tuple[str, str], ...]

_RULE: Final = "RFC 3261 19.1.1"
_USER: Final = UNRESERVED | frozenset("&=+$,;?/%")
_PASSWORD: Final = UNRESERVED | frozenset("&=+$,%")
_PARAM: Final = UNRESERVED | frozenset("[]/:&+$%")
_HEADER: Final = UNRESERVED | frozenset("[]/?:+$%")
# RFC 3261 25.1 allows no underscore in a hostname, but container platforms use it. No decision depends on it.
_HOST: Final = ALPHANUM | frozenset("-._")
_SCHEME: Final = ALPHANUM | frozenset("+-.")
_ALPHA: Final = ALPHANUM - frozenset("0123456789")
_MAX_PORT: Final = 65535
_OCTETS: Final = 4
_LARGEST_OCTET: Final = 255
_LARGEST_ASCII: Final = 127
SCHEMES: Final[dict[str, Literal["sip", "sips"]]] = {"sip": "sip", "sips": "sips"}
# Longer texts are not cached. So the caches stay below 2 MiB for all input of peers.
CACHED_LENGTH: Final = 256
# 19.1.4: a parameter of these in one URI only makes two URIs different. (transport: by the examples there.)
_DECISIVE: Final = frozenset({"user", "ttl", "method", "maddr", "transport"})


@dataclass(init=False, slots=True, unsafe_hash=True)
class SipUri:
    """A ``sip:`` or ``sips:`` URI as received, except that *host* and parameter names are in lower case.

    *user* and *password* keep their %-escapes. An IPv6 *host* has no brackets and is in its shortest form. Use
    :func:`dataclasses.replace` to change a part.

    *aor* is the address of record, ``sip:user@host``: the same text for all spellings of one user. It has no port,
    password, parameters or headers, and escapes of unreserved characters are decoded. Its scheme is always ``sip``,
    because ``sip:`` and ``sips:`` of one address are one user (RFC 3261 10.3 step 5, 19.1).

    Do not change an instance: messages share it.
    """

    scheme: Literal["sip", "sips"]
    user: str | None
    password: str | None
    host: str
    port: int | None
    params: Params
    headers: Headers
    aor: str = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        scheme: Literal["sip", "sips"],
        user: str | None,
        password: str | None,
        host: str,
        port: int | None = None,
        params: Params = (),
        headers: Headers = (),
    ) -> None:
        self.scheme, self.user, self.password = scheme, user, password
        self.host, self.port, self.params, self.headers = host, port, params, headers
        named = f"[{host}]" if ":" in host else host
        self.aor = f"sip:{named}" if user is None else f"sip:{normal_escapes(user)}@{named}"

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Parse a URI; RemoteError 400 if it is malformed, 416 if its scheme is not SIP."""
        uri = _uris.get(text)
        if uri is None:
            uri = _parse(text)
            if len(text) <= CACHED_LENGTH:
                _uris.keep(text, uri)
        return uri

    @property
    def domain(self) -> str:
        """The host, read as a SIP domain."""
        return self.host

    def param(self, name: str) -> str | None:
        """Give the value of a parameter; None if it is absent or has no value (see :meth:`has`)."""
        return next((value for key, value in self.params if key == name), None)

    def has(self, name: str) -> bool:
        """Tell whether the parameter is present, with or without a value."""
        return any(key == name for key, _ in self.params)

    def equivalent(self, other: SipUri) -> bool:
        """Compare by RFC 3261 19.1.4. Not transitive: most parameters that only one URI has are ignored."""
        return (
            (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)
            and self._userinfo() == other._userinfo()
            and _params_agree(dict(self.params), dict(other.params))
            and _comparable(self.headers) == _comparable(other.headers)
        )

    def _userinfo(self) -> tuple[str | None, str | None]:
        return _normal(self.user), _normal(self.password)

    def __str__(self) -> str:
        password = "" if self.password is None else f":{self.password}"
        user = "" if self.user is None else f"{self.user}{password}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.params)
        headers = "&".join(f"{name}={value}" for name, value in self.headers)
        return f"{self.scheme}:{user}{host}{port}{params}{'?' if headers else ''}{headers}"


def normal_escapes(text: str) -> str:
    """Decode the escapes of unreserved characters, and write the other escapes in upper case (RFC 3261 19.1.4)."""
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    return first + "".join(_one_escape(part) for part in rest)


def unescaped(text: str) -> str:
    """Decode each escape of an ASCII character, those of reserved characters too, to read a part of a URI as plain text."""
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    return first + "".join(_decoded(part) for part in rest)


def scheme_of(text: str) -> str:
    """Give the scheme of any URI in lower case, or "" if there is none (RFC 3986 3.1)."""
    scheme, colon, _ = text.partition(":")
    if scheme in SCHEMES and colon:
        return scheme
    return ascii_lower(scheme) if colon and scheme[:1] in _ALPHA and _SCHEME.issuperset(scheme) else ""


def split_host_port(text: str) -> tuple[str, int | None]:
    """Parse a ``hostport``: the host in lower case, IPv6 without brackets, and the port or None.

    RemoteError 400 if it is malformed.
    """
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if not bracket or (port and port[0] != ":"):
            raise _wrong("an IPv6 reference that does not end", text)
        return _host(f"[{address}]"), _port(port[1:], text) if port else None
    host, colon, port = text.partition(":")
    return _host(host), _port(port, text) if colon else None


def _wrong(what: str, text: str) -> RemoteError:
    return RemoteError(f"{what}: {shown(text)}", rule=_RULE)


def _one_escape(part: str) -> str:
    character = chr(int(part[:2], 16))
    return (character if character in UNRESERVED else "%" + ascii_upper(part[:2])) + part[2:]


def _decoded(part: str) -> str:
    octet = int(part[:2], 16)
    return (chr(octet) if octet <= _LARGEST_ASCII else f"%{part[:2]}") + part[2:]


def _normal(text: str | None) -> str | None:
    return None if text is None else normal_escapes(text)


def _comparable(headers: Headers) -> list[tuple[str, str]]:
    return sorted((ascii_lower(normal_escapes(name)), normal_escapes(value)) for name, value in headers)


def _params_agree(ours: dict[str, str | None], theirs: dict[str, str | None]) -> bool:
    both = ours.keys() & theirs.keys()
    only_one = ours.keys() ^ theirs.keys()
    return only_one.isdisjoint(_DECISIVE) and all(_folded(ours[name]) == _folded(theirs[name]) for name in both)


def _folded(value: str | None) -> str | None:
    return None if value is None else ascii_lower(normal_escapes(value))


def _parse(text: str) -> SipUri:
    scheme, _, rest = text.partition(":")
    if (known := SCHEMES.get(scheme) or SCHEMES.get(ascii_lower(scheme))) is not None:
        return _parse_rest(known, rest, text)
    if scheme_of(text):
        # 8.2.2.1: a Request-URI whose scheme is not understood gets 416.
        raise RemoteError(f"a URI that is not SIP's: {shown(text)}", rule="RFC 3261 8.2.2.1", status=416)
    raise _wrong("not a URI", text)


_MOST_URIS: Final = 4096
_uris: Final[TextCache[SipUri]] = TextCache(_MOST_URIS)
_hosts: Final[TextCache[str]] = TextCache(_MOST_URIS)
"""The address of one phone is in its Via and in its Contact, and that of one site in those of many, each with its port."""


def _parse_rest(scheme: Literal["sip", "sips"], rest: str, text: str) -> SipUri:
    user = password = None
    if "@" in rest:  # split here first: a user may contain ";", "?" and "/", but never "@"
        userinfo, _, rest = rest.partition("@")
        user, password = _userinfo(userinfo, text)
    place = _places.get(rest)
    if place is None:
        place = _place(rest, text)
        if len(rest) <= CACHED_LENGTH:
            _places.keep(rest, place)
    return SipUri(scheme, user, password, place.host, place.port, place.params, place.headers)


class _Place:
    """What follows the user in a URI: the same for all users of a domain, and for all tokens of a server."""

    __slots__ = ("headers", "host", "params", "port")

    def __init__(self, host: str, port: int | None, params: Params, headers: Headers) -> None:
        self.host, self.port, self.params, self.headers = host, port, params, headers


_places: Final[TextCache[_Place]] = TextCache(2048)


def _place(rest: str, text: str) -> _Place:
    rest, question, headers = rest.partition("?")
    hostport, semicolon, params = rest.partition(";")
    host, port = split_host_port(hostport)
    return _Place(host, port, _params(params, text) if semicolon else (), _headers(headers, text) if question else ())


def _userinfo(userinfo: str, text: str) -> tuple[str, str | None]:
    user, colon, password = userinfo.partition(":")
    if not user or not _clean(user, _USER):
        raise _wrong("a user that breaks the grammar", text)
    if colon and not _clean(password, _PASSWORD):
        raise _wrong("a password that breaks the grammar", "sip:" + user)
    return user, password if colon else None


def _clean(text: str, allowed: frozenset[str]) -> bool:
    # Faster, and enough for nearly every text, base64url too; each of the sets has these characters.
    if text.isascii() and (text.isalnum() or text.replace("-", "0").replace("_", "0").isalnum()):
        return True
    return allowed.issuperset(text) and ("%" not in text or has_whole_escapes(text))


def has_whole_escapes(text: str) -> bool:
    """Tell whether each ``%`` of *text* begins an escape."""
    return all(len(part) > 1 and HEX.issuperset(part[:2]) for part in text.split("%")[1:])


def _params(params: str, text: str) -> Params:
    found = tuple(_param(part, text) for part in params.split(";"))
    if len(found) > 1 and len({name for name, _ in found}) != len(found):
        # 19.1.1: any given parameter-name MUST NOT appear more than once.
        raise _wrong("a URI parameter that is given twice", text)
    return found


def _param(part: str, text: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    if not name or not _clean(name, _PARAM) or not _clean(value, _PARAM):
        raise _wrong("a URI parameter that breaks the grammar", text)
    return ascii_lower(normal_escapes(name)), value if equals else None


def _headers(headers: str, text: str) -> Headers:
    return tuple(_header(part, text) for part in headers.split("&"))


def _header(part: str, text: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not name or not equals or not _clean(name, _HEADER) or not _clean(value, _HEADER):
        raise _wrong("a URI header that breaks the grammar", text)
    return name, value


def _ipv6(address: str) -> str:
    if "%" in address:
        raise _wrong("an IPv6 zone, which means something on one host only", address)
    try:
        return IPv6Address(address).compressed
    except ValueError:
        raise _wrong("not an IPv6 address", address) from None


def _host(host: str) -> str:
    """Parse a host, or take it as it was parsed before; an IPv6 address has its brackets."""
    known = _hosts.get(host)
    if known is None:
        known = _parse_host(host)
        if len(host) <= CACHED_LENGTH:
            _hosts.keep(host, known)
    return known


def _parse_host(host: str) -> str:
    """Parse a host. The dot at the end of an absolute name is removed: the host is the same."""
    if host.startswith("["):
        return _ipv6(host[1:-1])
    plain = ascii_lower(host).removesuffix(".")
    within_dots = f".{plain}."  # each label lies between two of them
    if not _has_host_characters(plain) or ".." in within_dots or ".-" in within_dots or "-." in within_dots:
        raise _wrong("not a host", host)
    # A toplabel starts with a letter (RFC 3261 25.1): what ends in a number is an IPv4 address, or nothing.
    if is_digits(plain.rpartition(".")[2]) and not _is_ipv4(plain):
        raise _wrong("not an IPv4 address", host)
    return plain


def _is_ipv4(plain: str) -> bool:
    labels = plain.split(".")
    if len(labels) != _OCTETS:
        return False
    for label in labels:  # noqa: SIM110 - `all` and a generator cost more than the digits
        if not _is_octet(label):
            return False
    return True


def _has_host_characters(plain: str) -> bool:
    """Tell whether a host in lower case has no character that breaks the grammar; the first test is faster."""
    return (plain.isascii() and plain.replace(".", "").isalnum()) or _HOST.issuperset(plain)


def _is_octet(label: str) -> bool:
    """Tell whether a label is an octet in decimal; with a zero in front, some readers would take it for octal."""
    if not is_digits(label) or len(label) > 3 or (label[0] == "0" and len(label) > 1):  # noqa: PLR2004 - 255
        return False
    return int(label) <= _LARGEST_OCTET


def _port(port: str, text: str) -> int:
    if not (is_digits(port) and len(port) <= 5 and int(port) <= _MAX_PORT):  # noqa: PLR2004 - 5 digits
        raise _wrong("not a port", text)
    return int(port)
