"""Messages, streams and fuzz seeds of other projects: for any content, only our own errors are raised, and soon."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from conformance.suites import files, suite
from conformance.torture import judged, verdict
from sipmesh.errors import RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via
from sipmesh.sip.framing import MessageReader, parse_message
from sipmesh.sip.message import Message, respond
from sipmesh.sip.message import Request as SipRequest
from sipmesh.sip.uri import SipUri

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = [path for name in ("sip-kamailio", "sip-fuzz-pjsip", "sip-flows-rtckit") for path in files(name)]
TYPED = ("top_via", "from_", "to", "call_id", "cseq", "max_forwards", "expires", "contacts", "routes")


def exercise(data: bytes) -> str:
    """Read octets in every way we have; give the verdict, and let through nothing but it."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (SipUri.parse, NameAddr.parse, Via.parse, CSeq.parse):
        refused(lambda parse=parse: parse(text.strip()))
    try:
        message = parse_message(data)
    except RemoteError as wrong:
        return f"unreadable: {wrong.status}, {verdict(data)}"
    touch(message)
    return f"{judged(message)}, {verdict(data)}"


def touch(message: Message) -> None:
    for attribute in TYPED:
        refused(lambda attribute=attribute: getattr(message, attribute))
    if isinstance(message, SipRequest):
        refused(lambda: respond(message, 400).encode())
        refused(lambda: message.ruri)
    while message.pop_item("route") is not None:
        pass
    message.prepend("via", "SIP/2.0/TLS own.example;branch=z9hG4bKown")
    assert message.encode().count(b"z9hG4bKown") == 1


def refused(ask: object) -> None:
    """Call; a RemoteError is an answer like any other."""
    assert callable(ask)
    try:
        ask()
    except RemoteError as wrong:
        assert 400 <= wrong.status < 600  # noqa: PT017 - not raising is as good an outcome


def test_no_seed_breaks_the_reader() -> None:
    for path in SEEDS:
        assert exercise(path.read_bytes()), path
        assert exercise(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")), path


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name)
def test_no_damaged_seed_breaks_the_reader(path: Path) -> None:
    """A few hundred octets flipped, dropped or doubled; the same octets in each run."""
    dice = random.Random(path.name)  # noqa: S311 - the same damage in each run
    whole = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")[:4000]
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data) + 1)
            data[at : at + dice.randint(0, 3)] = dice.choice(
                [b"", b'"', b"<", b",", b"\r\n", b"\x00", b"%", b";", b"\xff"]
            )
        exercise(bytes(data))


FLOWS = [path for path in SEEDS if "rfc3665" in path.name and path.suffix == ".yaml"]


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_every_message_of_the_rfcs_own_call_flows_passes(path: Path) -> None:
    """RFC 3665: what RFC 3665 has other elements send."""
    texts = YAML(typ="safe").load(path.read_text("utf-8"))
    messages = [text.replace("\n", "\r\n").encode() for text in texts]
    whole = [octets if b"\r\n\r\n" in octets else octets + b"\r\n" for octets in messages]
    assert {judged(parse_message(octets)) for octets in whole} == {"ok"}


def test_a_stream_of_other_hands_is_cut_where_they_cut_it() -> None:
    """Each message comes out whole, in one piece or octet by octet."""
    data = (suite("sip-flows-rtckit") / "stream_lioneagle-sipparser.txt").read_bytes()
    whole = list(MessageReader().feed(data))
    reader = MessageReader()
    one_by_one = [found for octet in data for found in reader.feed(bytes([octet]))]
    assert list(map(repr, one_by_one)) == list(map(repr, whole))
    starts = data.count(b" SIP/2.0\r\n") + data.count(b"\nSIP/2.0 ") + data.startswith(b"SIP/2.0 ")
    assert len(whole) == starts > 1
