"""How names, times and addresses are written, everywhere in this room."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509


LONGEST = 2000  # letters of one statement: certificates are the peer's to fill, our log is not
MOST = 20  # names of one list


def tell(text: str) -> str:
    """Make *text* from a certificate fit for a log or a terminal: nothing unprintable, and not without end."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text)} letters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def tell_list(names: Sequence[str], separator: str = ", ") -> str:
    """Write the first of *names*, and how many more there are."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return separator.join(names[:MOST]) + more


def tell_subject(held: x509.Certificate) -> str:
    """Write whose certificate it is."""
    return tell(held.subject.rfc4514_string()) or f"serial {held.serial_number:x}"


def tell_time(instant: datetime) -> str:
    """Write *instant* to the second, in UTC."""
    return instant.astimezone(UTC).isoformat(sep=" ", timespec="seconds")[:19] + "Z"


def tell_address(remote: tuple[str, int]) -> str:
    """Write an address with its port, IPv6 in brackets."""
    host, port = remote
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
