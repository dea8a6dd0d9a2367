"""What becomes of one torture message: the verdict of our reader and our checks, in a few words.

``ok``: may be acted on. A number: refused with that status. ``drop``: a response that is ignored. ``close``, alone or behind
a number: the stream ends there. ``waits``: the rest of the body is awaited, until the link's own patience ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.suites import SUITES
from sipmesh.errors import RemoteError
from sipmesh.sip.check import check_request, check_response
from sipmesh.sip.framing import FramingError, Keepalive, MessageReader, parse_message
from sipmesh.sip.message import Request, Response
from support.other_readers import by_the_grammar, disagreements

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Row:
    """One message of an RFC: its file, its section, and what must become of it on a stream."""

    name: str
    section: str
    verdict: str
    why: str = ""  # where the RFC leaves room: why this verdict


@dataclass(frozen=True)
class Suite:
    """An RFC's messages. *own* holds messages that we wrote ourselves with the property that a section describes.

    They replace those of the RFC where the folder lacks it, and their tests are named so.
    """

    folder: str
    rows: tuple[Row, ...]
    own: Mapping[str, str]

    def octets(self, name: str) -> bytes:
        """Give the message, the RFC's own where it is at hand."""
        path = SUITES / self.folder / f"{name}.dat"
        if path.is_file():
            return path.read_bytes()
        if name in self.own:
            return self.own[name].replace("\n", "\r\n").encode()
        pytest.skip(f"{path} is not on this machine (set SIPMESH_SUITES)")

    def is_at_hand(self, row: Row) -> bool:
        """Tell whether the message is on this machine, or we wrote it ourselves."""
        return row.name in self.own or (SUITES / self.folder / f"{row.name}.dat").is_file()

    def label(self, name: str) -> str:
        """Name a test: it says when the message is not the RFC's own."""
        at_hand = (SUITES / self.folder / f"{name}.dat").is_file()
        return name if at_hand or name not in self.own else f"{name} (our own message)"

    def message(self, name: str) -> Request | Response:
        """Give the message as a datagram's or frame's reader sees it."""
        return parse_message(self.octets(name))

    def request(self, name: str) -> Request:
        """Give a message that is a request."""
        found = self.message(name)
        assert isinstance(found, Request)
        return found


def verdict(data: bytes) -> str:
    """Run one stream through reader and checks."""
    reader = MessageReader()
    said: list[str] = []
    try:
        said.extend(judged(found) for found in reader.feed(data) if not isinstance(found, Keepalive))
    except FramingError as wrong:
        said.append(f"{wrong.status} close" if wrong.request is not None else "close")
    if "awaited" in repr(reader):
        said.append("waits")
    return ", ".join(said)


def judged(message: Request | Response) -> str:
    """Run one message through the checks."""
    try:
        if isinstance(message, Request):
            check_request(message)
        else:
            check_response(message)
    except RemoteError as wrong:
        return str(wrong.status) if isinstance(message, Request) else "drop"
    return "ok"


Fields = tuple[bytes, tuple[tuple[bytes, bytes], ...], bytes]
"""Start line, fields and body."""


def passed_on(data: bytes) -> tuple[Fields, Fields]:
    """Give what an independent reader finds in a message, and what it finds in what we pass on of it.

    Numbers are compared without leading zeros, and escaped control characters are question marks: so we write them.
    """
    sent = parse_message(data).encode()
    assert disagreements(sent) == []
    return _found(data), _found(sent)


def _found(data: bytes) -> Fields:
    read = by_the_grammar(data)
    return read.start, tuple((name, _written(name, value)) for name, value in read.fields), read.body


def _written(name: bytes, value: bytes) -> bytes:
    if name in {b"content-length", b"cseq", b"max-forwards"}:
        return b" ".join(value.split()).lstrip(b"0") or b"0"
    return re.sub(rb"\\[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", b"?", value)
