"""A row of a binding in the store, and its reader: an attacker who can write to the store can have written any octets.

A value is a number, a seal and a JSON list. Lower numbers were stored earlier. A value that is wrong in one of them is ignored.

In place of a row there may be a removal: a user has removed the row by a REGISTER at another server than its own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.registrar.binding import NEVER, Binding
from sipmesh.sip.uri import SipUri
from sipmesh.storage.location_service.valkey.keys import plain
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.rows.seal import Seal

LONGEST_VALUE: Final = 8_192
"""Octets of one row: a Contact of 1,024 characters, and what belongs to it."""

MOST_ROWS: Final = 20
"""Rows of one user that are used; a REGISTER leaves ten at most. Two servers may add some at the same time."""

REMOVAL_COUNTS_S: Final = 60
"""How long a removal counts, by the clocks of two servers: more than a server takes to notice it, or to lose its lease."""

_LARGEST: Final = 2**53
_VALUE = re.compile(rb"([0-9]{1,16})d? ([A-Za-z0-9_-]{16}) (\[.*\])", re.DOTALL)
_REMOVAL = re.compile(rb'\["removed",([0-9]{1,12})\]')
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


def value_of(row: Binding, seal: Seal) -> bytes:
    """Write a row as JSON behind its seal, without its number, which the store gives."""
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
    return _sealed(row.aor, row.key.name, json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(), seal)


def removal_of(row: Binding, at: float, seal: Seal) -> bytes:
    """Write what is left of a row that its user has removed *at* an instant, in epoch seconds."""
    return b"0 " + _sealed(row.aor, row.key.name, b'["removed",%d]' % at, seal)


def _sealed(aor: str, name: str, text: bytes, seal: Seal) -> bytes:
    return seal.of(plain(aor).encode(), plain(name).encode(), text) + b" " + text


def read_removal(aor: str, name: bytes, value: bytes, seal: Seal, now: float) -> bool:
    """Tell whether *value* is a removal that counts at *now*, in epoch seconds."""
    text = _text_of(aor, name, value, seal)
    found = _REMOVAL.fullmatch(text[1]) if text is not None else None
    return found is not None and abs(now - int(found[1])) <= REMOVAL_COUNTS_S


def _text_of(aor: str, name: bytes, value: bytes, seal: Seal) -> tuple[int, bytes] | None:
    """Give number and text of a value; None if it does not fit, or if no server of the pool has written it."""
    found = _VALUE.fullmatch(value) if len(value) <= LONGEST_VALUE else None
    if found is None or not seal.holds(found[2], plain(aor).encode(), name, found[3]):
        return None
    return int(found[1]), found[3]


def read_row(aor: str, name: bytes, value: bytes, seal: Seal) -> StoredRow | None:
    """Read one row of *aor*; None if any part does not fit, or if no server of the pool has written it."""
    text = _text_of(aor, name, value, seal)
    if text is None:
        return None
    try:
        values = read_json(text[1])
        row = _row(aor, values)
        if row is None or plain(row.key.name).encode() != name:
            return None
        SipUri.parse(row.contact)
    except (ValueError, RecursionError, RemoteError):
        return None
    return StoredRow(text[0], row)


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
                aor=plain(aor),
                contact=contact,
                instance=instance,
                reg_id=reg_id,
                q=float(q),
                call_id=call_id,
                cseq=cseq,
                server=server,
                incarnation=incarnation,
                flow=flow,
                token=token,
                expires_at=NEVER,
                user_agent=user_agent,
                interval_s=interval_s,
            )
    return None


def _is_text(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(text) is not None


def _is_number(number: int) -> bool:
    return not isinstance(number, bool) and 0 <= number < _LARGEST
