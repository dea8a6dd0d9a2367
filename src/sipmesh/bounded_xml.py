"""XML from others, parsed within bounds and without a DTD: an attacker can name no file, and no text grows in the parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from sipmesh.errors import RemoteError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True, slots=True)
class XmlBounds:
    """At most so many *elements*, *deepest* of them inside each other, with so many *attributes* in all.

    *namespace* is how many characters the name of a namespace has, which the parser repeats in each name that has it.
    """

    elements: int
    deepest: int
    attributes: int
    namespace: int = 256


def parse_xml(body: bytes, bounds: XmlBounds, *, what: str, rule: str) -> Element:
    """Return the root of a document; raises `RemoteError` if it is not *what*: malformed, with a DTD, or out of *bounds*.

    *rule* names the section that says what it has to be.
    """
    try:
        return feed_xml(body, bounds, rule=rule)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as wrong:
        raise RemoteError(f"not {what}: {type(wrong).__name__}", rule=rule) from None


def feed_xml(body: bytes, bounds: XmlBounds, *, rule: str) -> Element:
    """Return the root of a document as `parse_xml`, with the exceptions of the parser for what is malformed or has a DTD.

    A DTD is refused for the entities of XML 1.0 section 4.
    """
    parser = DefusedXMLParser(target=_BoundedTree(bounds, rule), forbid_dtd=True)
    parser.feed(body)
    root: Element = parser.close()
    return root


class _BoundedTree:
    """The elements of a document, while they are parsed: a document that is out of bounds is read no further.

    It has a `TreeBuilder` and is none: a compiled class cannot inherit from a class in C.
    """

    def __init__(self, bounds: XmlBounds, rule: str) -> None:
        self._builder, self._bounds, self._rule = TreeBuilder(), bounds, rule
        self._elements = self._attributes = self._depth = 0

    def start_ns(self, _prefix: str, name: str) -> None:
        """Take the declaration of a namespace."""
        if len(name) > self._bounds.namespace:
            raise RemoteError(f"a namespace with more than {self._bounds.namespace} characters", rule=self._rule)

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        """Take the start of an element."""
        most = self._bounds
        self._elements += 1
        self._attributes += len(attrs)
        self._depth += 1
        if self._elements > most.elements or self._depth > most.deepest:
            raise RemoteError(
                f"more than {most.elements} elements, or {most.deepest} inside each other", rule=self._rule
            )
        if self._attributes > most.attributes:
            raise RemoteError(f"more than {most.attributes} attributes", rule=self._rule)
        return self._builder.start(tag, attrs)

    def end(self, tag: str) -> Element:
        """Take the end of an element."""
        self._depth -= 1
        return self._builder.end(tag)

    def data(self, text: str) -> None:
        """Take text between two tags."""
        self._builder.data(text)

    def close(self) -> Element:
        """Return the root; raises `ParseError` without one."""
        return self._builder.close()
