"""The character classes of RFC 3261 section 25.1, and small functions that the parsers share.

SIP has two blanks, SP and HTAB, and its letters and digits are ASCII. Python's ``strip``, ``split``, ``lower`` and
``isdigit`` follow Unicode. A parser that used them would find boundaries that no other SIP implementation finds. Use the
functions of this module; ``tools/lint_text.py`` refuses those of Python.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

ALPHANUM: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
UNRESERVED: Final = ALPHANUM | frozenset("-_.!~*'()")
TOKEN: Final = ALPHANUM | frozenset("-.!%*_+`'~")
HEX: Final = frozenset("0123456789abcdefABCDEF")
LWS: Final = " \t"
"""The blanks of SIP (SP and HTAB), for ``strip(LWS)``. Parsed rows contain no folds: each became one SP."""

# A string or a bracket is matched as a whole, and up to the end of the text if it is not closed. So the scan is linear.
# The parser of the piece refuses the open quote.
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|<[^>]*+(?:>|\Z)|[,;]', re.DOTALL)
_STRING_OR_REST: Final = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r'["\\\x00-\x08\x0a-\x1f\x7f]')
_PRINTABLE: Final = frozenset(map(chr, range(0x20, 0x7F)))
# C0 without HTAB, DEL, C1, and the line and paragraph separators. The grammar allows none of them as text (25.1).
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
# quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
_MAY_BE_ESCAPED: Final = frozenset(map(chr, [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]))
_LOWER: Final = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UPPER: Final = {ord(letter): ord(letter) - 32 for letter in "abcdefghijklmnopqrstuvwxyz"}


def table_of(allowed: frozenset[str]) -> bytes:
    """Make a table for :func:`has_only`: it changes each octet that is none of the ASCII characters *allowed*."""
    return bytes(octet if chr(octet) in allowed else octet ^ 0x80 for octet in range(256))


def has_only(text: str, table: bytes) -> bool:
    """Tell whether *text* has only the characters of which *table* was made: faster than a set or a pattern."""
    if not text.isascii():
        return False
    octets = text.encode()
    return octets.translate(table) == octets


_TOKEN_TABLE: Final = table_of(TOKEN)
_PRINTABLE_TABLE: Final = table_of(_PRINTABLE)
_QUOTED_TABLE: Final = table_of(_PRINTABLE - frozenset('"\\'))


def text_of(octets: bytes) -> str:
    """Decode octets so that :func:`octets_of` restores them. Octets that are not UTF-8 become surrogates (PEP 383)."""
    try:
        return octets.decode()  # faster, and enough for nearly every message
    except UnicodeDecodeError:
        return octets.decode("utf-8", "surrogateescape")


def octets_of(text: str) -> bytes:
    """Give the octets from which :func:`text_of` made *text*."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def is_token(text: str) -> bool:
    """Tell whether *text* is a ``token``, such as a method, a header name or a parameter name."""
    return (text.isalnum() and text.isascii()) or (text != "" and has_only(text, _TOKEN_TABLE))


def all_printable(text: str) -> bool:
    """Tell whether *text* has no character that ``isprintable`` refuses; ``isprintable`` looks up each character."""
    return has_only(text, _PRINTABLE_TABLE) or text.isprintable()


def is_digits(text: str) -> bool:
    """Tell whether *text* is ``1*DIGIT``: one or more ASCII digits and no other character."""
    return text.isascii() and text.isdigit()


def ascii_lower(text: str) -> str:
    """Change A to Z into lower case. No other character changes, such as the Kelvin sign, which Python turns into k."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def ascii_upper(text: str) -> str:
    """Change a to z into upper case. No other character changes, such as the long s, which Python turns into S."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def has_control(text: str) -> bool:
    """Tell whether *text* contains a control character: C0 (except HTAB), DEL, C1, U+2028 or U+2029.

    RFC 3261 25.1 allows C0 and DEL only in a quoted-pair. Parsers that follow Unicode end a line at the others.
    """
    return not text.isprintable() and _CONTROL.search(text) is not None


def without_escaped_controls(text: str) -> str:
    """Replace each control character that is escaped in a quoted string of *text* with a question mark.

    The grammar allows these (quoted-pair), but some parsers end a header at NUL.
    """
    return _STRING_OR_REST.sub(_without_escaped, text) if "\\" in text else text


def _without_escaped(string: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda pair: "?" if pair.group(1) in _MAY_BE_ESCAPED else pair.group(), string.group())


def separators(text: str, mark: str) -> list[int]:
    """Give the indexes of *mark* (a comma or a semicolon) outside quotes and angle brackets."""
    return [found.start() for found in _PIECE.finditer(text) if found.group() == mark]


def split_outside(text: str, mark: str) -> list[str]:
    """Split *text* at each *mark* outside quotes and angle brackets. Pieces are stripped, and empty pieces are kept."""
    if mark not in text:
        return [text.strip(LWS)]
    if "<" not in text and "\\" not in text:
        pieces = [piece.strip(LWS) for piece in text.split(mark)]
        if '"' not in text or not _cuts_a_string(pieces):
            return pieces
    cuts = [-1, *separators(text, mark), len(text)]
    return [text[left + 1 : right].strip(LWS) for left, right in pairwise(cuts)]


def _cuts_a_string(pieces: list[str]) -> bool:
    """Tell whether a quoted string without escapes begins in one of *pieces* and ends in another."""
    for piece in pieces:  # noqa: SIM110 - `any` and a generator cost more than the quotes
        if piece.count('"') % 2:
            return True
    return False


def closing_quote(text: str) -> int:
    r"""Give the index of the quote that closes the string opened at ``text[0]``, or -1. ``\x`` escapes any x."""
    end = text.find('"', 1)
    if end > 0 and text[0] == '"' and text.find("\\", 1, end) < 0:  # nearly every string has no escapes
        return end
    string = _STRING.match(text)
    return -1 if string is None else string.end() - 1


def unquote(text: str) -> str:
    """Remove the quotes and escapes of a ``quoted-string``. Any other text is returned unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':  # noqa: PLR2004 - two quotes
        return text
    return _ESCAPED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def quote(text: str) -> str:
    """Write *text* as a ``quoted-string``."""
    if has_only(text, _QUOTED_TABLE) or _TO_ESCAPE.search(text) is None:
        return f'"{text}"'
    return '"' + _TO_ESCAPE.sub(lambda found: "\\" + found.group(), text) + '"'


def shown(text: str) -> str:
    """Shorten *text* to 80 characters and escape all that is not printable ASCII, for an error message."""
    limit = 80
    return ascii(text if len(text) <= limit else text[:limit] + "...")
