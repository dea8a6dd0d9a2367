"""The character classes of RFC 3261 section 25.1 and the small helpers that the parsers share.

SIP knows two blanks, SP and HTAB, and its letters and digits are ASCII. Python's ``strip``, ``split``, ``lower`` and ``isdigit``
follow Unicode: a reader that used them would see boundaries that no other SIP implementation sees. Use the helpers here;
``tools/lint_text.py`` refuses the others.
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
"""The blanks of SIP (SP and HTAB), for ``strip(LWS)``; a fold is one SP once a row has been read."""

# Strings and brackets are swallowed whole, and to the end of the text where they never close: so the scan is linear,
# and the piece with the open quote is left for its parser to refuse.
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|<[^>]*+(?:>|\Z)|[,;]', re.DOTALL)
_STRING_OR_REST: Final = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r'["\\\x00-\x08\x0a-\x1f\x7f]')
# C0 without HTAB, DEL, C1, and the line and paragraph separators: none of them is text of a header field (25.1).
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
# quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
_MAY_BE_ESCAPED: Final = frozenset(map(chr, [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]))
_LOWER: Final = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UPPER: Final = {ord(letter): ord(letter) - 32 for letter in "abcdefghijklmnopqrstuvwxyz"}


def text_of(octets: bytes) -> str:
    """Read octets as text that gives back every one of them: those that are no UTF-8 become surrogates (PEP 383)."""
    try:
        return octets.decode()  # nearly always enough, and the quicker way
    except UnicodeDecodeError:
        return octets.decode("utf-8", "surrogateescape")


def octets_of(text: str) -> bytes:
    """Give the octets back that :func:`text_of` has read."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def is_token(text: str) -> bool:
    """Tell whether *text* is a ``token``: a method, a header name, a parameter name."""
    return (text.isalnum() and text.isascii()) or (text != "" and TOKEN.issuperset(text))


def is_digits(text: str) -> bool:
    """Tell whether *text* is ``1*DIGIT``: one ASCII digit or more, and nothing else."""
    return text.isascii() and text.isdigit()


def ascii_lower(text: str) -> str:
    """Give *text* with A to Z in lower case; no other character changes (the Kelvin sign is no K)."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def ascii_upper(text: str) -> str:
    """Give *text* with a to z in upper case; no other character changes (the long s is no S)."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def has_control(text: str) -> bool:
    """Tell whether *text* holds a control character: C0 (but for HTAB), DEL, C1, U+2028 or U+2029.

    RFC 3261 25.1 allows none of C0 and DEL outside a quoted-pair. The others are line ends for readers that follow Unicode.
    """
    return not text.isprintable() and _CONTROL.search(text) is not None


def without_escaped_controls(text: str) -> str:
    """Put a question mark for each control character that is escaped in a quoted string of *text*.

    The grammar allows those (quoted-pair), and for some readers NUL ends a header all the same.
    """
    return _STRING_OR_REST.sub(_without_escaped, text) if "\\" in text else text


def _without_escaped(string: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda pair: "?" if pair.group(1) in _MAY_BE_ESCAPED else pair.group(), string.group())


def separators(text: str, mark: str) -> list[int]:
    """Give the places of *mark* (a comma or a semicolon) outside quotes and angle brackets."""
    return [found.start() for found in _PIECE.finditer(text) if found.group() == mark]


def split_outside(text: str, mark: str) -> list[str]:
    """Split *text* at *mark* outside quotes and angle brackets; the pieces are stripped, empty ones are kept."""
    if '"' not in text and "<" not in text:
        return [piece.strip(LWS) for piece in text.split(mark)]
    cuts = [-1, *separators(text, mark), len(text)]
    return [text[left + 1 : right].strip(LWS) for left, right in pairwise(cuts)]


def closing_quote(text: str) -> int:
    r"""Give the index of the quote that closes the string opened at ``text[0]``, or -1; ``\x`` hides any x."""
    string = _STRING.match(text)
    return -1 if string is None else string.end() - 1


def unquote(text: str) -> str:
    """Take the quotes and escapes off a ``quoted-string``; anything else comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':  # noqa: PLR2004 - two quotes
        return text
    return _ESCAPED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def quote(text: str) -> str:
    """Make a ``quoted-string`` of *text*."""
    return '"' + _TO_ESCAPE.sub(lambda found: "\\" + found.group(), text) + '"'


def shown(text: str) -> str:
    """Make *text* fit for an error message: printable, and short."""
    limit = 80
    return ascii(text if len(text) <= limit else text[:limit] + "...")
