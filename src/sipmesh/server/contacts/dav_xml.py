"""The XML of CardDAV (RFC 4918, RFC 6352): what a phone asks for, and the answer about each resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from sipmesh.bounded_xml import XmlBounds, parse_xml
from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS

DAV: Final = "DAV:"
CARD: Final = "urn:ietf:params:xml:ns:carddav"
SERVER: Final = "http://calendarserver.org/ns/"
PREFIXES: Final = {DAV: "d", CARD: "card", SERVER: "cs"}
BOUNDS: Final = XmlBounds(elements=2_000, deepest=8, attributes=100)
"""A request that names all contacts of a user has some hundred elements."""

MOST_PROPERTIES: Final = 64
"""Properties of one request: the answer says of each of them whether each contact has it. Phones ask for ten."""

PROPFIND: Final = f"{{{DAV}}}propfind"
MULTIGET: Final = f"{{{CARD}}}addressbook-multiget"
QUERY: Final = f"{{{CARD}}}addressbook-query"
_LOCAL: Final = re.compile("[A-Za-z-]+")
_OK, _MISSING = "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the name of its *root*, the *properties* it asks for (none: all), and the resources that it names (*hrefs*)."""

    root: str
    properties: tuple[str, ...] = ()
    hrefs: tuple[str, ...] = ()


def read_request(body: bytes) -> Asked:
    """Read a request; an empty one asks for all properties (RFC 4918 section 9.1).

    Raises `RemoteError` for what is malformed, has a DTD, which could name files or grow without end, or has too many elements
    or properties.
    """
    if not body.strip(b" \t\r\n"):
        return Asked(PROPFIND)
    root = parse_xml(body, BOUNDS, what="a request of WebDAV", rule="RFC 4918 section 8.2")
    wanted = root.find(f"{{{DAV}}}prop")
    if wanted is not None and len(wanted) > MOST_PROPERTIES:
        raise RemoteError(f"more than {MOST_PROPERTIES} properties", rule="RFC 4918 section 9.1")
    hrefs = tuple((one.text or "").strip(LWS) for one in root.iterfind(f"{{{DAV}}}href"))
    return Asked(root.tag, tuple(one.tag for one in wanted) if wanted is not None else (), hrefs)


def multistatus(answers: Iterable[tuple[str, Mapping[str, str] | None]], asked: Sequence[str]) -> str:
    """Write the answer: for each resource its path, and its properties as XML, or None if it is not there.

    Properties are named as ``{namespace}name``. Those that are *asked* for and missing are named as missing.
    """
    spaces = " ".join(f'xmlns:{prefix}="{space}"' for space, prefix in PREFIXES.items())
    rows = [_response(path, found, asked) for path, found in answers]
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>\n', f"<d:multistatus {spaces}>", *rows, "</d:multistatus>"])


def _response(path: str, found: Mapping[str, str] | None, asked: Sequence[str]) -> str:
    href = f"<d:href>{escape(path)}</d:href>"
    if found is None:
        return f"<d:response>{href}<d:status>{_MISSING}</d:status></d:response>"
    names = [name for name in dict.fromkeys(asked) if name in found] if asked else list(found)
    missing = [name for name in dict.fromkeys(asked) if name not in found]
    stats = _propstat([_element(name, found[name]) for name in names], _OK)
    stats += _propstat([one for name in missing if (one := _element(name, ""))], _MISSING)
    return f"<d:response>{href}{stats}</d:response>"


def _propstat(elements: Sequence[str], status: str) -> str:
    if not elements:
        return ""
    return f"<d:propstat><d:prop>{''.join(elements)}</d:prop><d:status>{status}</d:status></d:propstat>"


def _element(name: str, content: str) -> str:
    """Write one property; "" for one of a namespace that we do not know: nothing of a request is written back."""
    space, _, local = name.removeprefix("{").partition("}")
    if space not in PREFIXES or not _LOCAL.fullmatch(local):
        return ""
    tag = f"{PREFIXES[space]}:{local}"
    return f"<{tag}>{content}</{tag}>" if content else f"<{tag}/>"
