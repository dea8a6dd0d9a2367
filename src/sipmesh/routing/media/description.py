"""Read a session description (RFC 8866): the parts that decide whether media are encrypted, and no other parts.

The reader is strict: a phone must not find another media line in the same octets. An error names the number of a line and
its type, never its text: the text may be a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import bounded
from sipmesh.sip.kept import keep
from sipmesh.sip.text import LWS, ascii_lower, has_control, has_only, is_digits, is_token, table_of, text_of
from sipmesh.sip.uri import CACHED_LENGTH

GRAMMAR: Final = "RFC 8866 section 9"
MAX_MEDIA: Final = 64
"""Media lines of one description. A call of a browser with many video streams has about 20."""
MAX_LINES: Final = 2048
MAX_PORT: Final = 65_535
MAX_NAME: Final = 32
"""Characters of a media type or a profile, which a Warning repeats. The longest profile has 19."""

SHORTEST_MEDIA: Final = 3
"""Words of a media line without formats: media, port and profile."""

_SESSION_TYPES: Final = "vosiuepcbtrzk"
_ONCE: Final = "vos"
_MEDIA_TYPES: Final = "icbk"
_ATTRIBUTE: Final = "a="
_PLAIN: Final = table_of(frozenset(map(chr, [*b"\t\r\n", *range(0x20, 0x7F)])))
"""Characters that are no control characters, or end lines: nearly every description has no others."""

_COMMON: Final = frozenset(
    {
        *("extmap", "extmap-allow-mixed", "fmtp", "group", "inactive", "maxptime", "mid", "ptime", "recvonly"),
        *("rtcp-fb", "rtcp-mux", "rtcp-rsize", "rtpmap", "sendonly", "sendrecv", "setup"),
    }
)
"""Attributes whose lines are the same in many calls, and contain no key: their lines are cached."""
_MOST_KEPT: Final = 2048


@dataclass(init=False, slots=True)
class MediaSection:
    """One media line with its attributes, as pairs of name and value. *number* counts media lines from 1."""

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
    """The attributes of the session, and its media sections."""

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
    breaks = len(lines) - 1
    if text.count("\n") > breaks:
        lines = text.replace("\r\n", "\n").split("\n")
    while lines and lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_LINES:
        raise RemoteError(f"a session description above {MAX_LINES} lines", rule=GRAMMAR)
    if not lines or lines[0] != "v=0":
        raise RemoteError("a session description that does not begin with v=0", rule=GRAMMAR)
    if text.count("\r") > breaks or not has_only(text, _PLAIN):
        _check_characters(lines)
    return _read_lines(lines)


def _read_lines(lines: list[str]) -> SessionDescription:
    """Read lines without control characters. Most of them are attributes, which may be anywhere after the first line."""
    found = SessionDescription()
    attributes = found.attributes
    seen = set[str]()
    for at, line in enumerate(lines):
        known = _kept.get(line)
        if known is not None:
            attributes.append(known)
        elif line.startswith(_ATTRIBUTE):
            attributes.append(_attribute(line))
        else:
            _read_line(found, line, at + 1, seen)
            if found.media:
                attributes = found.media[-1].attributes
    return found


_kept: Final[dict[str, tuple[str, str]]] = {}


def _attribute(line: str) -> tuple[str, str]:
    """Give name and value of an attribute. *line* is cached if other calls will have it too."""
    start, _, given = line.partition(":")
    name = start[len(_ATTRIBUTE) :]
    attribute = (name, given)
    if name in _COMMON and len(line) <= CACHED_LENGTH:
        keep(_kept, _MOST_KEPT, line, attribute)
    return attribute


def _read_line(found: SessionDescription, line: str, number: int, seen: set[str]) -> None:
    """Read line *number*, which is not an attribute. *seen* are the types of lines that may occur once."""
    kind = line[:1]
    if kind == "" or line[1:2] != "=":
        raise RemoteError(f"line {number} of the session description is not a line of SDP", rule=GRAMMAR)
    if kind == "m":
        found.media.append(_media_section(line[2:], number, len(found.media) + 1))
        return
    if kind not in (_MEDIA_TYPES if found.media else _SESSION_TYPES) or kind in seen:
        raise RemoteError(f"line {number} of the session description may not be there", rule=GRAMMAR)
    if kind in _ONCE:
        seen.add(kind)


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
    return len(text) <= MAX_NAME and is_token(text)


def _is_profile(text: str) -> bool:
    if len(text) > MAX_NAME:
        return False
    for part in text.split("/"):  # noqa: SIM110 - `all` and a generator cost more than the parts
        if not is_token(part):
            return False
    return True
