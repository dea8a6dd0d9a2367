"""Strict JSON: signed text must have the same meaning for every parser."""

from __future__ import annotations

import json
from typing import Any


def read_object(text: bytes) -> dict[str, Any]:
    """Parse one JSON object in UTF-8 without duplicate names (RFC 8259 4); ValueError says what is wrong."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - a fault of the text, not of a caller
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON (RFC 8259 6)")
