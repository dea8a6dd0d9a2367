"""A small DER parser for what cryptography does not show: positions in OCSP responses and CRLs, and policy mappings."""

from __future__ import annotations

from typing import NamedTuple

SEQUENCE, OBJECT_IDENTIFIER = 0x30, 0x06
LONG = 0x80  # a length of more than seven bits, or not the last octet of an identifier
MOST_LENGTH_OCTETS = 4


class Element(NamedTuple):
    """One DER element: its tag octet and its content."""

    tag: int
    content: bytes

    def inside(self) -> list[Element]:
        """Give the elements in this one; ValueError if it does not contain elements."""
        return elements(self.content)

    def sequence(self) -> list[Element]:
        """Give the elements of a SEQUENCE; ValueError for another tag."""
        if self.tag != SEQUENCE:
            raise ValueError(f"tag {self.tag:#x} is not a SEQUENCE")
        return self.inside()


class Span(NamedTuple):
    """The position of one element, from *start* to *end*. Its content begins at *begin*. Nothing is copied."""

    tag: int
    start: int
    begin: int
    end: int


def elements(der: bytes) -> list[Element]:
    """Split *der* into its elements, one level deep (X.690 8.1, 10.1); ValueError for an invalid length."""
    return [Element(span.tag, der[span.begin : span.end]) for span in spans(der, 0, len(der))]


def spans(der: bytes, begin: int, end: int) -> list[Span]:
    """Find the elements from *begin* to *end*, one level deep; ValueError as in `elements`."""
    found = []
    while begin < end:
        span = _span(der, begin, end)
        found.append(span)
        begin = span.end
    return found


def _span(der: bytes, place: int, limit: int) -> Span:
    header = der[place : place + 2]
    if len(header) < 2:  # noqa: PLR2004 - tag and length
        raise ValueError("an element without a length")
    tag, length, begin = header[0], header[1], place + 2
    if length & LONG:
        octets = length & ~LONG
        if not 0 < octets <= MOST_LENGTH_OCTETS:
            raise ValueError(f"a length of {octets} octets")
        length, begin = int.from_bytes(der[begin : begin + octets]), begin + octets
    if begin + length > limit:
        raise ValueError("an element that is longer than what holds it")
    return Span(tag, place, begin, begin + length)


def dotted(element: Element) -> str:
    """Write an OBJECT IDENTIFIER in dotted form (X.690 8.19); ValueError for another element."""
    octets = element.content
    if element.tag != OBJECT_IDENTIFIER or not octets or octets[-1] & LONG:
        raise ValueError("no object identifier")
    arcs, arc = [], 0
    for octet in octets:
        arc = arc << 7 | octet & ~LONG
        if not octet & LONG:
            arcs.append(arc)
            arc = 0
    root = min(arcs[0] // 40, 2)  # the first two arcs share a number
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))
