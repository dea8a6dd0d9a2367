"""Session descriptions for calls without media: enough for both sides to agree (RFC 8866, RFC 3264, RFC 4568)."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, replace

from sipmesh.sip.fields import bounded
from sipmesh.sip.text import has_control, is_digits, octets_of, text_of

SDP = "application/sdp"
HIGHEST_PORT = 65_535
DISCARD_PORT = 9
"""RFC 863: a client command sends no media, and offers the discard port."""

CRYPTO = "a=crypto:"
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY_OCTETS = 30
"""RFC 4568 6.2.1: a master key of 16 octets and a salt of 14."""

CLEAR, ENCRYPTED = "RTP/AVP", "RTP/SAVP"


@dataclass(frozen=True, slots=True)
class ClientMedia:
    """One ``m=`` line: kind, port, protocol and formats. *crypto* is the tag of the offered key of `SUITE`, or ""."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    crypto: str = ""


def make_offer(address: str, session: int, *, port: int = DISCARD_PORT) -> bytes:
    """Return an offer of one audio stream at *address*, with a new key; *session* is a number that the sender uses once."""
    audio = [f"m=audio {port} {ENCRYPTED} 8 0", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000", "a=sendrecv"]
    return _lines([*_session(address, session), *audio, crypto_line("1")])


def make_answer(offer: bytes, address: str, session: int, *, port: int = DISCARD_PORT) -> bytes:
    """Return the answer to an offer: the first format of each audio stream is accepted, other streams are refused.

    RFC 3264 6: "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer"; a port of zero
    refuses a stream.
    """
    lines = _session(address, session)
    for media in read_media(offer):
        is_accepted = media.kind == "audio" and media.port != 0 and _can_be_accepted(media)
        first = media.formats[:1] if is_accepted else media.formats
        lines.append(f"m={media.kind} {port if is_accepted else 0} {media.protocol} {' '.join(first)}".rstrip(" "))
        if is_accepted and media.protocol == ENCRYPTED:
            lines.append(crypto_line(media.crypto))
    return _lines(lines)


def crypto_line(tag: str) -> str:
    """Return an ``a=crypto`` line with a new key."""
    return f"{CRYPTO}{tag} {SUITE} inline:{b64encode(secrets.token_bytes(KEY_OCTETS)).decode()}"


def read_media(description: bytes) -> list[ClientMedia]:
    """Return the ``m=`` lines; an unreadable one is left out."""
    found: list[ClientMedia] = []
    is_known = False
    for text in text_of(description).split("\n"):
        line = text.removesuffix("\r")
        if line.startswith("m="):
            media = _read_line(line[2:].split(" "))
            is_known = media is not None
            found += [media] if media is not None else []
        elif is_known and line.startswith(CRYPTO) and not found[-1].crypto:
            found[-1] = replace(found[-1], crypto=_tag_in(line[len(CRYPTO) :].split(" ")))
    return found


def _can_be_accepted(media: ClientMedia) -> bool:
    return media.protocol == CLEAR or (media.protocol == ENCRYPTED and media.crypto != "")


def _tag_in(words: list[str]) -> str:
    """Return the tag of an offered key, "" if it is of another suite."""
    return words[0] if len(words) > 1 and words[1] == SUITE and is_digits(words[0]) else ""


def _read_line(words: list[str]) -> ClientMedia | None:
    if len(words) < 3 or has_control(" ".join(words)):  # noqa: PLR2004 - kind, port, protocol
        return None
    digits = words[1].partition("/")[0]
    port = bounded(digits, HIGHEST_PORT) if is_digits(digits) else None
    return None if port is None else ClientMedia(words[0], port, words[2], tuple(words[3:]))


def _session(address: str, session: int) -> list[str]:
    family = "IP6" if ":" in address else "IP4"
    return ["v=0", f"o=- {session} {session} IN {family} {address}", "s=-", f"c=IN {family} {address}", "t=0 0"]


def _lines(lines: list[str]) -> bytes:
    return octets_of("".join(f"{line}\r\n" for line in lines))
