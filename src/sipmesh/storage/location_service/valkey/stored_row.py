"""A row of a binding as the store has it, and how it is read: who can write to the store could have written anything.

A value is a number, a space, and a JSON list. Lower numbers were stored earlier. What does not fit in each part is no row.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.sip.uri import SipUri
from sipmesh.storage.location_service.valkey.keys import plain

LONGEST_VALUE: Final = 8_192
"""Octets of one row: a Contact of 1,024 characters, and what belongs to it."""

MOST_ROWS: Final = 20
"""Rows of one user that are used; a REGISTER leaves ten at most. Two servers may add some at the same time."""

_LARGEST: Final = 2**53
_VALUE = re.compile(rb"([0-9]{1,16}) (\[.*\])", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # and surrogates, which no message can have
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,144}")
_CALL_ID = re.compile(r"[\x21-\x7e]{1,1024}")
_INSTANCE = re.compile(r"[^\x00-\x20\x7f\"\\\ud800-\udfff]{1,1024}")
_CONTACT = re.compile(r"[^\x00-\x20\x7f<>\"\ud800-\udfff]{1,4096}")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row that fits, and the *number* under which it was stored."""

    number: int
    row: Binding


def value_of(row: Binding) -> bytes:
    """Write a row as JSON, without its number, which the store gives."""
    values = (
        plain(row.contact),
        None if row.instance is None else plain(row.instance),
        row.reg_id,
        row.q,
        plain(row.call_id),
        row.cseq,
        row.server,
        row.incarnation,
        row.flow,
        row.token,
        plain(row.user_agent),
        row.interval_s,
    )
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def read_row(aor: str, name: bytes, value: bytes) -> StoredRow | None:
    """Read one row of *aor*; None if any part does not fit."""
    found = _VALUE.fullmatch(value) if len(value) <= LONGEST_VALUE else None
    if found is None:
        return None
    try:
        values = json.loads(found[2])
        row = _row(aor, values)
        if row is None or plain(row.key.name).encode() != name:
            return None
        SipUri.parse(row.contact)
    except (ValueError, RecursionError, RemoteError):
        return None
    return StoredRow(int(found[1]), row)


def _row(aor: str, values: list[object]) -> Binding | None:
    """Make the row of *values*; None if a value has another type, or is out of its range."""
    match values:
        case [
            str(contact),
            None | str() as instance,
            None | int() as reg_id,
            int() | float() as q,
            str(call_id),
            int(cseq),
            str(server),
            int(incarnation),
            int(flow),
            str(token),
            str(user_agent),
            int(interval_s),
        ] if (
            _is_text(contact, _CONTACT)
            and (instance is None or _is_text(instance, _INSTANCE))
            and _is_text(call_id, _CALL_ID)
            and _is_text(token, _TOKEN)
            and _CONTROL.search(user_agent) is None
            and 0 <= q <= 1
            and all(_is_number(number) for number in (reg_id or 0, cseq, incarnation, flow, interval_s))
        ):
            return Binding(
                plain(aor),
                contact,
                instance,
                reg_id,
                float(q),
                call_id,
                cseq,
                server,
                incarnation,
                flow,
                token,
                NEVER,
                user_agent,
                interval_s,
            )
    return None


def _is_text(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(text) is not None


def _is_number(number: int) -> bool:
    return not isinstance(number, bool) and 0 <= number < _LARGEST
