"""Text from others is made printable here before it is shown or logged.

A sender, a reason phrase, a certificate, a DNS answer or a stolen server may contain any character. These are escaped:

- characters that a terminal acts on (C0, C1, ESC, DEL)
- characters that reorder or hide text (bidirectional controls, zero width)
- line ends (U+0085, U+2028, U+2029)
- lone surrogates, which no encoding can write
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 2000
"""Characters of one value that are shown. The sender chooses the length of its text, but not of our screen and log."""

_INVISIBLE: Final = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
"""Characters that Unicode calls printable, but that show as nothing (Default_Ignorable_Code_Point)."""

_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Give *text* on one line, with each unprintable character replaced by its escape, such as ``\x1b``.

    A text of more than *longest* characters is cut there, and its length is added.
    """
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} letters)"
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if is_printable(character) else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Make text of several lines printable, such as a document. Line feeds are kept, and nothing is cut."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def printable_json(text: str) -> str:
    r"""Escape the unprintable characters of a JSON text, as ``\u001b``. Its value stays the same (RFC 8259 section 7).

    Characters outside of ASCII that `json.dumps` does not escape can only be inside strings.
    """
    return _NOT_ASCII.sub(lambda found: found[0] if is_printable(found[0]) else _escape_json(found[0]), text)


def is_printable(character: str) -> bool:
    """Tell whether a terminal shows *character* as itself and does not act on it."""
    return character.isprintable() and character not in _INVISIBLE


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if not character.isprintable() else ascii(character)[1:-1]


def _escape_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
