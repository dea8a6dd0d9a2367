"""The character classes of RFC 3261 section 25.1 and the small helpers that the parsers share."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

ALPHANUM: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
UNRESERVED: Final = ALPHANUM | frozenset("-_.!~*'()")
TOKEN: Final = ALPHANUM | frozenset("-.!%*_+`'~")
HEX: Final = frozenset("0123456789abcdefABCDEF")

# Strings and brackets are swallowed whole, and to the end of the text where they never close: so the scan is linear,
# and the piece with the open quote is left for its parser to refuse.
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|<[^>]*+(?:>|\Z)|[,;]', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r'["\\\x00-\x08\x0a-\x1f\x7f]')


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


def separators(text: str, mark: str) -> list[int]:
    """Give the places of *mark* (a comma or a semicolon) outside quotes and angle brackets."""
    return [found.start() for found in _PIECE.finditer(text) if found.group() == mark]


def split_outside(text: str, mark: str) -> list[str]:
    """Split *text* at *mark* outside quotes and angle brackets; the pieces are stripped, empty ones are kept."""
    if '"' not in text and "<" not in text:
        return [piece.strip() for piece in text.split(mark)]
    cuts = [-1, *separators(text, mark), len(text)]
    return [text[left + 1 : right].strip() for left, right in pairwise(cuts)]


def closing_quote(text: str) -> int:
    r"""Give the index of the quote that closes the string opened at ``text[0]``, or -1; ``\x`` hides any x."""
    at = 1
    while (end := text.find('"', at)) >= 0:
        body = text[at:end]
        if (len(body) - len(body.rstrip("\\"))) % 2 == 0:
            return end
        at = end + 1
    return -1


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
