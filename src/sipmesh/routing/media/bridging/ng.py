"""The ng protocol of rtpengine: one datagram with a cookie and a dictionary for each command, and one for its reply."""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bridging.bencode import Bencoded, decode, encode
from sipmesh.routing.media.bridging.leg import Leg
from sipmesh.sip.text import is_token

RULE: Final = "the ng protocol of rtpengine"
LONGEST_COMMAND: Final = 60_000
"""Octets of a command: a datagram has at most 65,507."""

_SUITES: Final = ["AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
_KEYS: Final[list[object]] = [*[f"only-{suite}" for suite in _SUITES], "pad"]
"""Suites that each phone has, or that are better. Phones read a key in base64 only with its padding."""

_NO_KEYS: Final[list[object]] = ["off"]
_PLAIN: Final[dict[str, object]] = {"ICE": "remove", "rtcp-mux": ["demux"], "SDES": _KEYS}
_OFFERED: Final[dict[Leg, dict[str, object]]] = {
    Leg.SERVER: {**_PLAIN, "transport-protocol": "RTP/SAVP"},
    Leg.PHONE: {**_PLAIN, "transport-protocol": "RTP/SAVP"},
    Leg.SDES: {**_PLAIN, "transport-protocol": "RTP/SAVP", "DTLS": "off"},
    Leg.DTLS: {**_PLAIN, "transport-protocol": "UDP/TLS/RTP/SAVP", "SDES": _NO_KEYS},
    Leg.CLEAR: {**_PLAIN, "transport-protocol": "RTP/AVP"},
    Leg.BROWSER: {
        "transport-protocol": "UDP/TLS/RTP/SAVPF",
        "ICE": "force",
        "rtcp-mux": ["offer"],
        "SDES": _NO_KEYS,
        "flags": ["generate-mid"],
    },
}
_REPLACED: Final[list[object]] = ["origin"]

Command = dict[str, object]


def offer(call: str, caller: str, callee: str, sdp: bytes, to: Leg) -> Command:
    """Ask for an offer that *to* can take. *caller* and *callee* are tags; the second one is "" outside of a dialog."""
    command: Command = {"command": "offer", "call-id": call, "from-tag": short_tag(caller), "sdp": sdp}
    if callee:
        command["to-tag"] = short_tag(callee)
    return {**command, **_OFFERED[to], "replace": _REPLACED}


def answer(call: str, caller: str, callee: str, sdp: bytes) -> Command:
    """Ask for the answer to the side that has made the offer."""
    tags = {"from-tag": short_tag(caller), "to-tag": short_tag(callee)}
    return {"command": "answer", "call-id": call, **tags, "sdp": sdp, "SDES": ["pad"], "replace": _REPLACED}


def delete(call: str) -> Command:
    """Ask for the end of a call."""
    return {"command": "delete", "call-id": call, "delete-delay": 0}


def query(call: str) -> Command:
    """Ask whether rtpengine has a call: the reply is a fault if it has not."""
    return {"command": "query", "call-id": call}


def ping() -> Command:
    """Ask whether rtpengine answers."""
    return {"command": "ping"}


def short_tag(tag: str) -> str:
    """Give a tag of SIP as rtpengine gets it: a few letters, also for a long tag of a phone."""
    return blake2s(tag.encode(), digest_size=12).hexdigest()


def datagram(cookie: str, command: Command) -> bytes:
    """Give the octets of a command."""
    return f"{cookie} ".encode() + encode(command)


def read_reply(octets: bytes) -> tuple[str, dict[bytes, Bencoded]]:
    """Give the cookie and the dictionary of a reply; RemoteError if it is malformed."""
    cookie, blank, value = octets.partition(b" ")
    reply = decode(value)
    if not blank or not is_token(cookie.decode("latin-1")) or not isinstance(reply, dict):
        raise RemoteError("a reply that is no dictionary", rule=RULE)
    return cookie.decode("latin-1"), reply


def fault_of(reply: dict[bytes, Bencoded]) -> str:
    """Say why rtpengine has refused a command; "" if it has not."""
    if reply.get(b"result") in {b"ok", b"pong"}:
        return ""
    reason = reply.get(b"error-reason")
    return reason.decode(errors="replace") if isinstance(reason, bytes) else "no reason was given"


def sdp_in(reply: dict[bytes, Bencoded]) -> bytes:
    """Give the session description of a reply; b"" without one."""
    found = reply.get(b"sdp")
    return found if isinstance(found, bytes) else b""
