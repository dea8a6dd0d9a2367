"""The value of a Date header field (RFC 3261 section 20.17)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def sip_date(epoch_s: int) -> str:
    """Write the instant *epoch_s*, in seconds since 1970 (UTC), as a SIP-date, which is always in GMT.

    The names are those of the RFC, in each locale of the process.
    """
    at = datetime.fromtimestamp(epoch_s, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} GMT"
