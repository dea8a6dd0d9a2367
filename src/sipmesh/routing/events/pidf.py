"""Presence documents (RFC 3863): parsed within bounds, and composed from those of several devices (RFC 4479)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from sipmesh.bounded_xml import XmlBounds, parse_xml
from sipmesh.errors import RemoteError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PIDF: Final = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL: Final = "urn:ietf:params:xml:ns:pidf:data-model"
PREFIXES: Final = {
    PIDF: "",
    DATA_MODEL: "dm",
    "urn:ietf:params:xml:ns:pidf:rpid": "rpid",
    "urn:ietf:params:xml:ns:pidf:cipid": "c",
    "urn:ietf:params:xml:ns:pidf:caps": "caps",
}
"""The prefixes that we write. Elements of PIDF have none: some phones do not read namespaces."""

MAX_DEPTH: Final = 12
MAX_ELEMENTS: Final = 256
MAX_ATTRIBUTES: Final = 512
"""Attributes of all elements. A document of a phone has some dozens."""

MAX_NAMESPACE: Final = 256
"""Characters of the name of a namespace. RFC 4480 has those with 37."""

BOUNDS: Final = XmlBounds(MAX_ELEMENTS, MAX_DEPTH, MAX_ATTRIBUTES, MAX_NAMESPACE)
MAX_COMPOSED: Final = 64 << 10
"""Octets of a composed document: a phone reads no larger message without trouble."""

ROOT: Final = f"{{{PIDF}}}presence"
RULE: Final = "RFC 3863 section 4"
_XML: Final = "http://www.w3.org/XML/1998/namespace"


class PresenceDocument:
    """One published document: its *parts*, each a tuple, person, device or note as text that we have written."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts

    @property
    def size(self) -> int:
        """How many octets its parts have as written: more than as published, if each element declares a namespace."""
        return sum(len(part.encode()) for part in self.parts)


def parse_pidf(body: bytes, mark: str) -> PresenceDocument:
    """Parse a document; raises `RemoteError` if it is malformed, or has a DTD or too many elements.

    *mark* goes before each id, so that ids of several devices differ. An attacker can name no file and no other document: a
    DTD is refused (entities of XML 1.0 section 4).
    """
    root = parse_xml(body, BOUNDS, what="a presence document", rule=RULE)
    if root.tag != ROOT:
        raise RemoteError("the root is not a presence element", rule=RULE)
    document = PresenceDocument(tuple(_written(part, mark) for part in root))
    if document.size > MAX_COMPOSED:
        raise RemoteError(f"more than {MAX_COMPOSED} octets with its namespaces", rule=RULE)
    return document


def _written(element: Element, mark: str) -> str:
    """Write an element with our prefixes. Namespaces that we do not know get a declaration of their own."""
    name, declared = _named(element.tag)
    attributes = "".join(_attributes(element, mark))
    inside = _text(element.text) + "".join(_written(child, "") + _text(child.tail) for child in element)
    start = f"<{name}{declared}{attributes}"
    return f"{start}>{inside}</{name}>" if inside else f"{start}/>"


def _text(text: str | None) -> str:
    """Escape a text. A reader of XML turns each CR that is not escaped into LF (XML 1.0 section 2.11)."""
    return escape(text or "", {"\r": "&#13;"})


def _named(tag: str) -> tuple[str, str]:
    """Give the name to write for *tag*, and the declaration of its namespace if it is not among `PREFIXES`."""
    space, _, local = tag.rpartition("}")
    space = space[1:]
    if space == _XML:
        return f"xml:{local}", ""  # this prefix needs no declaration, and no other prefix may have its namespace
    if space in PREFIXES:
        prefix = PREFIXES[space]
        return (f"{prefix}:{local}" if prefix else local), ""
    return (f"x:{local}", f" xmlns:x={quoteattr(space)}") if space else (local, ' xmlns=""')


def _attributes(element: Element, mark: str) -> Iterator[str]:
    for tag, value in element.attrib.items():
        space, _, local = tag.rpartition("}")
        if space[1:] == _XML:
            yield f" xml:{local}={quoteattr(value)}"
        elif not space:
            yield f" {local}={quoteattr(mark + value if local == 'id' else value)}"


def compose(aor: str, documents: Sequence[PresenceDocument], *, is_there: bool) -> bytes:
    """Compose one document of what the devices of *aor* have published, newest first.

    A user who *is_there* without a publication is open; a user who is not there is closed, also with a publication.
    """
    parts = [part for document in documents for part in document.parts] if is_there else []
    if not any(part.startswith("<tuple") for part in parts):
        parts.insert(0, _basic("open" if is_there else "closed"))
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<presence{_DECLARED} entity={quoteattr(aor)}>'
    written, room = [], MAX_COMPOSED - len(head)
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            break
        written.append(part)
    return (head + "".join(written) + "</presence>\n").encode()


_DECLARED: Final = "".join(f' xmlns{":" if prefix else ""}{prefix}="{space}"' for space, prefix in PREFIXES.items())


def _basic(state: str) -> str:
    return f'<tuple id="registration"><status><basic>{state}</basic></status></tuple>'
