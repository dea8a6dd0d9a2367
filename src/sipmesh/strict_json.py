"""Strict JSON: text from others must have the same meaning for every parser, so that no name may be given twice.

All JSON that is not from a process of this server is read here; ``make check`` refuses ``json.loads`` elsewhere.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sipmesh.foreign_errors import reason_of


def read_json(text: bytes | str) -> Any:
    """Parse one JSON text in UTF-8 (RFC 8259); ValueError says what is wrong."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise ValueError(reason_of(wrong)) from None


def read_object(text: bytes | str) -> dict[str, Any]:
    """Parse one JSON object as `read_json` does; ValueError also if it is another value."""
    found = read_json(text)
    if not isinstance(found, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - a fault of the text, not of a caller
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated name (RFC 8259 section 4): parsers differ in which value counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON (RFC 8259 6)")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
