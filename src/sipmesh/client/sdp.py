"""Session descriptions for calls without media: enough for both sides to agree (RFC 8866, RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.sip.fields import bounded
from sipmesh.sip.text import has_control, is_digits, octets_of, text_of

SDP = "application/sdp"
HIGHEST_PORT = 65_535
DISCARD_PORT = 9
"""RFC 863: a client command sends no media, and offers the discard port."""


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` line: kind, port, protocol and formats."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]


def make_offer(address: str, session: int, *, port: int = DISCARD_PORT) -> bytes:
    """Return an offer of one audio stream at *address*; *session* is a number that the sender uses once (RFC 8866 5.2)."""
    audio = ["m=audio {port} RTP/AVP 8 0", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000", "a=sendrecv"]
    return _lines([*_session(address, session), *(line.format(port=port) for line in audio)])


def make_answer(offer: bytes, address: str, session: int, *, port: int = DISCARD_PORT) -> bytes:
    """Return the answer to an offer: the first format of each audio stream is accepted, other streams are refused.

    RFC 3264 6: "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer"; a port of zero
    refuses a stream.
    """
    lines = _session(address, session)
    for media in read_media(offer):
        is_accepted = media.kind == "audio" and media.port != 0 and media.protocol == "RTP/AVP"
        first = media.formats[:1] if is_accepted else media.formats
        lines.append(f"m={media.kind} {port if is_accepted else 0} {media.protocol} {' '.join(first)}".rstrip(" "))
    return _lines(lines)


def read_media(description: bytes) -> list[Media]:
    """Return the ``m=`` lines; an unreadable one is left out."""
    lines = text_of(description).split("\n")
    found = [_read_line(line.removesuffix("\r")[2:].split(" ")) for line in lines if line.startswith("m=")]
    return [media for media in found if media is not None]


def _read_line(words: list[str]) -> Media | None:
    if len(words) < 3 or has_control(" ".join(words)):  # noqa: PLR2004 - kind, port, protocol
        return None
    digits = words[1].partition("/")[0]
    port = bounded(digits, HIGHEST_PORT) if is_digits(digits) else None
    return None if port is None else Media(words[0], port, words[2], tuple(words[3:]))


def _session(address: str, session: int) -> list[str]:
    family = "IP6" if ":" in address else "IP4"
    return ["v=0", f"o=- {session} {session} IN {family} {address}", "s=-", f"c=IN {family} {address}", "t=0 0"]


def _lines(lines: list[str]) -> bytes:
    return octets_of("".join(f"{line}\r\n" for line in lines))
