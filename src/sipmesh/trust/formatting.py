"""How names, times and addresses are written in findings and explanations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipmesh.printable import LONGEST, printable

if TYPE_CHECKING:
    from datetime import timedelta

    from cryptography import x509


MOST = 20  # names of one list that are written
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+\d\d:\d\d", re.ASCII)


def tell(text: str) -> str:
    """Make text from a certificate printable, and shorten it, for a log or a terminal."""
    return printable(text, LONGEST)


def tell_list(names: Sequence[str], separator: str = ", ") -> str:
    """Write the first 20 of *names*, and the number of the others."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return separator.join(names[:MOST]) + more


def tell_subject(certificate: x509.Certificate) -> str:
    """Write the subject of a certificate, or its serial number if the subject is empty."""
    return tell(certificate.subject.rfc4514_string()) or f"serial {certificate.serial_number:x}"


def tell_time(instant: datetime) -> str:
    """Write *instant* to the second, in UTC."""
    return instant.astimezone(UTC).isoformat(sep=" ", timespec="seconds")[:19] + "Z"


def tell_value(value: object) -> str:
    """Write a value of JSON for people: an instant as `tell_time`, yes or no, the items of a list or an object."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {tell_value(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(map(tell_value, value))
    text = str(value)
    if not _INSTANT.fullmatch(text):
        return text
    try:
        return tell_time(datetime.fromisoformat(text))
    except ValueError:
        return text


def tell_span(span: timedelta | float) -> str:
    """Write a time span, or seconds, in one or two units: ``29 d 23 h``, ``4 min 10 s``. A negative span ends in "ago"."""
    seconds = int(span if isinstance(span, int | float) else span.total_seconds())
    if seconds < 0:
        return f"{tell_span(-seconds)} ago"
    parts = [(seconds // size % wrap, unit) for size, wrap, unit in _UNITS]
    first = next((n for n, (count, _) in enumerate(parts) if count), len(parts) - 1)
    words = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(words) or "0 s"


_UNITS = ((86_400, 1 << 62, "d"), (3_600, 24, "h"), (60, 60, "min"), (1, 60, "s"))


def tell_address(remote: tuple[str, int]) -> str:
    """Write an address with its port; an IPv6 address in brackets. A file has a name and no port."""
    host, port = remote
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
