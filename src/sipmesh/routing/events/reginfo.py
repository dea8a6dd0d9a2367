"""Documents of the event package ``reg`` (RFC 3680 section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from xml.sax.saxutils import escape, quoteattr

from sipmesh.routing.registrar.binding import Binding
from sipmesh.sip.text import octets_of


def reginfo(aor: str, rows: Sequence[Binding], version: int) -> bytes:
    """Write the full state of the registration of *aor*; *version* rises by one with each document of a subscription."""
    state = "active" if rows else "terminated"
    name = _id(aor)
    contacts = "".join(_contact(row) for row in rows)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="full">'
        f'<registration aor={quoteattr(aor)} id="{name}" state="{state}">{contacts}</registration></reginfo>\n'
    )
    return text.encode("utf-8", "replace")


def _contact(row: Binding) -> str:
    agent = f'<unknown-param name="user-agent">{escape(row.user_agent)}</unknown-param>' if row.user_agent else ""
    return (
        f'<contact id="{_id(row.key.name)}" state="active" event="registered" callid={quoteattr(row.call_id)}'
        f' cseq="{row.cseq}" q="{row.q:g}"><uri>{escape(row.contact)}</uri>{agent}</contact>'
    )


def _id(text: str) -> str:
    """Give an id of XML: a letter first, and the same for the same text."""
    return f"i{sha256(octets_of(text)).hexdigest()[:16]}"
