"""The one door to an operator's eyes: text that others wrote is made printable before it is shown or logged.

A sender, a peer's reason phrase, a certificate, a DNS answer or a stolen server may hold anything. No character gets through
that a terminal acts on (C0, C1, ESC, DEL), that reorders or hides text (bidirectional controls, zero width), that ends a line
(U+0085, U+2028, U+2029), or that no encoding can write (lone surrogates).
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 2000
"""Characters of one value that are shown: its sender decides how long it is, and our screen and log are not the sender's."""

_INVISIBLE: Final = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
"""Letters and marks that Unicode calls printable and that show as nothing (Default_Ignorable_Code_Point)."""

_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e\n]")


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Give *text* on one line, without a character that is not printable; such a character shows as its escape, ``\x1b``.

    At most *longest* characters of it are kept, and then its length is told.
    """
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} letters)"
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if is_printable(one) else _escape(one) for one in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, such as a document: its line ends stay, and its length."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def printable_json(text: str) -> str:
    r"""Escape in a JSON text what is not printable, as ``\u001b``: it stays the same JSON (RFC 8259 section 7).

    What `json.dumps` leaves unescaped outside of ASCII stands inside strings only.
    """
    return _NOT_ASCII.sub(lambda found: found[0] if is_printable(found[0]) else _escape_json(found[0]), text)


def is_printable(character: str) -> bool:
    """Whether a terminal shows *character* as itself, and does nothing else with it."""
    return character.isprintable() and character not in _INVISIBLE


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if not character.isprintable() else ascii(character)[1:-1]


def _escape_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
