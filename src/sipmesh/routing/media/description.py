"""Read a session description (RFC 8866): the parts that decide whether media are encrypted, and no other parts.

The reader is strict: a phone must not find another media line in the same octets. An error names the number of a line and
its type, never its text: the text may be a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import bounded
from sipmesh.sip.text import LWS, ascii_lower, has_control, is_digits, is_token, text_of

if TYPE_CHECKING:
    from mypy_extensions import i64

GRAMMAR: Final = "RFC 8866 section 9"
MAX_MEDIA: Final = 64
"""Media lines of one description. A call of a browser with many video streams has about 20."""
MAX_LINES: Final = 2048
MAX_PORT: Final = 65_535
MAX_NAME: Final = 32
"""Characters of a media type or a profile, which a Warning repeats. The longest profile has 19."""

SHORTEST_MEDIA: Final = 3
"""Words of a media line without formats: media, port and profile."""

_FIRST_LETTER: Final = ord("a")
_LETTERS: Final = 26
_EQUALS: Final = ord("=")
_OTHER_TYPE: Final[i64] = 1 << _LETTERS


def _types(letters: str) -> int:
    """Give the set of the types of lines in *letters*, as bits: `_type_of` gives one of them."""
    return sum(1 << ord(letter) - _FIRST_LETTER for letter in letters)


_SESSION_TYPES: Final[i64] = _types("vosiuepcbtrzk")
_ONCE: Final[i64] = _types("vos")
_MEDIA_TYPES: Final[i64] = _types("icbk")
_MEDIA_LINE: Final[i64] = _types("m")
_ATTRIBUTE: Final = "a="
_PLAIN: Final = bytes([*b"\t", *range(0x20, 0x7F)])
"""Octets that are no control characters: nearly every description has no others in its lines."""

_OF_NO_USE: Final = frozenset(
    {
        *("extmap", "extmap-allow-mixed", "fmtp", "inactive", "maxptime", "ptime", "recvonly", "rtcp-fb", "rtcp-mux"),
        *("rtcp-rsize", "rtpmap", "sendonly", "sendrecv", "setup"),
    }
)
"""Most attributes of most calls: they say nothing about keys, so they are passed over."""

_USUAL_NAMES: Final = frozenset({"audio", "video"})
_USUAL_PROFILES: Final = frozenset({"RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"})
"""Media and profiles of nearly all phones: to look them up costs less than to read them."""


@dataclass(init=False, slots=True)
class MediaSection:
    """One media line with its attributes that may be about keys, as pairs of name and value. *number* counts from 1."""

    number: int
    media: str
    port: int
    profile: str
    attributes: list[tuple[str, str]]

    def __init__(self, number: int, media: str, port: int, profile: str) -> None:
        self.number, self.media, self.port, self.profile = number, media, port, profile
        self.attributes = []

    @property
    def line(self) -> str:
        """The media line without its formats, for people. It contains no key."""
        return f"m={self.media} {self.port} {self.profile}"

    def values(self, name: str) -> list[str]:
        """Give the values of the attributes with exactly that name."""
        return [value for found, value in self.attributes if found == name]


def tolerant_name(name: str) -> str:
    """Give the name of an attribute as a phone reads it that ignores case and blanks."""
    return ascii_lower(name.strip(LWS))


@dataclass(init=False, slots=True)
class SessionDescription:
    """The attributes of the session that may be about keys, and its media sections."""

    attributes: list[tuple[str, str]]
    media: list[MediaSection]

    def __init__(self) -> None:
        self.attributes, self.media = [], []

    def values(self, name: str) -> list[str]:
        """Give the values of the attributes of the session with exactly that name."""
        return [value for found, value in self.attributes if found == name]


def read_description(octets: bytes) -> SessionDescription:
    """Read a session description; RemoteError if it is malformed.

    A line ends with CRLF. LF alone is accepted (RFC 8866 section 5), CR alone is not.
    """
    text = text_of(octets)
    lines = text.split("\r\n")
    is_plain = len(octets.translate(None, _PLAIN)) == 2 * (len(lines) - 1)  # all other octets are those of CRLFs
    if not is_plain and text.count("\n") > len(lines) - 1:
        lines = text.replace("\r\n", "\n").split("\n")
    while lines and lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_LINES:
        raise RemoteError(f"a session description above {MAX_LINES} lines", rule=GRAMMAR)
    if not lines or lines[0] != "v=0":
        raise RemoteError("a session description that does not begin with v=0", rule=GRAMMAR)
    if not is_plain:
        _check_characters(lines)
    return _read_lines(lines)


def _read_lines(lines: list[str]) -> SessionDescription:
    """Read lines without control characters. Most of them are attributes, which may be anywhere after the first line."""
    found = SessionDescription()
    attributes = found.attributes
    seen: i64 = 0
    for at, line in enumerate(lines):
        if line.startswith(_ATTRIBUTE):
            colon = line.find(":")
            name = line[len(_ATTRIBUTE) : colon] if colon >= 0 else line[len(_ATTRIBUTE) :]
            if name not in _OF_NO_USE:
                attributes.append((name, line[colon + 1 :] if colon >= 0 else ""))
        else:
            seen = _read_line(found, line, at + 1, seen)
            if found.media:
                attributes = found.media[-1].attributes
    return found


def _read_line(found: SessionDescription, line: str, number: int, seen: i64) -> i64:
    """Read line *number*, which is not an attribute. *seen* are the types before it that may occur once; gives those after it."""
    kind = _type_of(line)
    if kind == 0:
        raise RemoteError(f"line {number} of the session description is not a line of SDP", rule=GRAMMAR)
    if kind == _MEDIA_LINE:
        found.media.append(_media_section(line[2:], number, len(found.media) + 1))
        return seen
    if not kind & (_MEDIA_TYPES if found.media else _SESSION_TYPES) or kind & seen:
        raise RemoteError(f"line {number} of the session description may not be there", rule=GRAMMAR)
    return seen | (kind & _ONCE)


def _type_of(line: str) -> i64:
    """Give the type of a line as a bit: `_OTHER_TYPE` for a type that is no letter, 0 for text that is no line of SDP."""
    if len(line) < len(_ATTRIBUTE) or ord(line[1]) != _EQUALS:
        return 0
    letter: i64 = ord(line[0]) - _FIRST_LETTER
    return 1 << letter if 0 <= letter < _LETTERS else _OTHER_TYPE


def _check_characters(lines: list[str]) -> None:
    for at, line in enumerate(lines):
        if has_control(line):
            raise RemoteError(f"line {at + 1} of the session description has a control character", rule=GRAMMAR)


def _media_section(value: str, line: int, number: int) -> MediaSection:
    """Read ``m=media port["/"number] proto fmt...``: RFC 8866 section 5.14."""
    words = value.split(" ")
    if number > MAX_MEDIA:
        raise RemoteError(f"a session description with more than {MAX_MEDIA} media lines", rule=GRAMMAR)
    if len(words) < SHORTEST_MEDIA or not _is_name(words[0]) or not _is_profile(words[2]):
        raise RemoteError(f"line {line} of the session description is not a media line", rule=GRAMMAR)
    digits, slash, count = words[1].partition("/")
    port = bounded(digits, MAX_PORT) if is_digits(digits) else None
    if port is None or (slash and not is_digits(count)):
        raise RemoteError(f"the media line on line {line} of the session description has no port", rule=GRAMMAR)
    return MediaSection(number, words[0], port, words[2])


def _is_name(text: str) -> bool:
    return text in _USUAL_NAMES or (len(text) <= MAX_NAME and is_token(text))


def _is_profile(text: str) -> bool:
    if text in _USUAL_PROFILES:
        return True
    if len(text) > MAX_NAME:
        return False
    for part in text.split("/"):  # noqa: SIM110 - `all` and a generator cost more than the parts
        if not is_token(part):
            return False
    return True
