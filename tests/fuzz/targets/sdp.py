"""Session descriptions: a stricter policy refuses more, no key is repeated, and other readers find the same media lines."""

from __future__ import annotations

import re
from typing import Final

from fuzz.target import Target, require
from sipmesh.client.sdp import make_answer, read_media
from sipmesh.errors import RemoteError
from sipmesh.routing.media.description import SessionDescription, read_description
from sipmesh.routing.media.judgement import Offer, fault_in
from sipmesh.sip.message import Request, build_request
from sipmesh.topology.document.media_policy import MediaPolicy
from support.descriptions import CLEAR, DTLS, OPPORTUNISTIC, SDES, SDP, SESSION

ANY, ENCRYPTED, REQUIRED = MediaPolicy
SAMPLE: Final = build_request("INVITE", "sip:bob@example.test", (), SDES, SDP)
_KEY: Final = re.compile(rb"inline:([A-Za-z0-9+/=]{16,})")
_TOLERANT_MEDIA: Final = re.compile(rb"(?:\A|[\r\n\x00])[ \t]*[mM]=")


def check(data: bytes) -> None:
    """Judge *data* as an offer, and as the answer to an encrypted offer."""
    _check_judgement(build_request("INVITE", "sip:bob@example.test", (), data, SDP))
    read_media(data)
    try:
        found = read_description(data)
    except RemoteError as wrong:
        _check_text(str(wrong), data)
        return
    _check_other_readers(found, data)


def _check_judgement(offer: Request) -> None:
    """What a strict policy allows, each laxer policy allows; a Warning is one line without keys."""
    faults = [fault_in(offer, policy) for policy in (ANY, ENCRYPTED, REQUIRED)]
    require(faults[0] is None, "the policy any refuses")
    require(faults[2] is not None or faults[1] is None, "a laxer policy refuses what a stricter allows")
    for fault in (*faults, fault_in(offer, REQUIRED, Offer(SAMPLE))):
        for _, value in fault.headers("fe1.example.test") if fault is not None else ():
            _check_text(value, offer.body)


def _check_text(text: str, data: bytes) -> None:
    require(text.isascii() and text.isprintable(), f"not one line of ASCII: {text!r}")
    for key in _KEY.findall(data):
        require(key.decode() not in text, "a key is repeated")


def _check_other_readers(found: SessionDescription, data: bytes) -> None:
    """A tolerant reader, and the reader of our own client, find the same media lines."""
    require(len(_TOLERANT_MEDIA.findall(data)) == len(found.media), "another reader finds other media lines")
    ours = [(section.media, section.port, section.profile) for section in found.media]
    theirs = [(media.kind, media.port, media.protocol) for media in read_media(data)]
    require(ours == theirs, f"the client reads {theirs}, the judge {ours}")
    answered = read_description(make_answer(data, "192.0.2.1", 1))
    require(len(answered.media) == len(found.media), "an answer with other media lines (RFC 3264 section 6)")


TARGET: Final = Target(
    name="sdp",
    holds="raises RemoteError only; a stricter policy refuses more; no key in a Warning; other readers find the same media",
    check=check,
    seeds=(
        CLEAR,
        OPPORTUNISTIC,
        SDES,
        DTLS,
        SDES + b"m=video 0 RTP/AVP 96\r\na=mid:2\r\n",
        SESSION
        + b"a=group:BUNDLE 0 1\r\n"
        + DTLS[len(SESSION) :]
        + b"a=mid:0\r\nm=video 0 RTP/SAVPF 96\r\na=bundle-only\r\n",
        SDES.replace(b"\r\n", b"\n") + b"a=tcap:1 RTP/AVP\n",
        SESSION + b"m=audio 5004/2 RTP/SAVP 0\r\na=key-mgmt:mikey AAAA\r\n",
    ),
    work=300,
)
