"""What a record says of a request and its final response: who was called, who has forwarded it, which servers it has passed."""

from __future__ import annotations

import re
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.printable import printable
from sipmesh.routing.identity.privacy import is_hidden
from sipmesh.sip.fields import split_list
from sipmesh.sip.names import GUARDED
from sipmesh.sip.rows import P_ASSERTED_IDENTITY, RECORD_ROUTE
from sipmesh.sip.text import LWS, ascii_lower, has_only, table_of
from sipmesh.storage.call_records.call_record import LONGEST_TEXT, MOST_HOPS
from sipmesh.storage.call_records.journal_entry import quoted

if TYPE_CHECKING:
    from sipmesh.routing.call_rules.diversion import Chain
    from sipmesh.sip.message import Request, Response

ANONYMOUS: Final = "anonymous"
_REFERENCE: Final = re.compile(r"reference ([A-Za-z0-9._-]+)", re.ASCII)
_LONGEST_HOST: Final = 253
_PRINTABLE: Final = frozenset(map(chr, range(0x20, 0x7F)))
_PLAIN: Final = table_of(_PRINTABLE)
_UNQUOTED: Final = table_of(_PRINTABLE - {'"', "\\"})
"""Characters of a JSON string that need no escape."""
_HOST: Final = table_of(frozenset(f"{ascii_letters}{digits}.-"))
_CAUSE: Final = re.compile(r"cause=([0-9]{3})", re.IGNORECASE | re.ASCII)
_CAUSES: Final = {
    "302": "unconditional",
    "404": "unknown",
    "408": "no-answer",
    "480": "deflection",
    "486": "user-busy",
    "487": "deflection",
    "503": "unavailable",
}
"""The causes of RFC 4458 section 2, in the words of RFC 5806."""


def told(text: str) -> str:
    """Give a text of a peer as a record has it: printable, and cut."""
    return text if len(text) <= LONGEST_TEXT and has_only(text, _PLAIN) else printable(text)[:LONGEST_TEXT]


def told_json(text: str) -> str:
    """Give a text of a peer as a record has it, as JSON."""
    return f'"{text}"' if len(text) <= LONGEST_TEXT and has_only(text, _UNQUOTED) else quoted(told(text))


def named(aor: str) -> str:
    """Give an address of record without its scheme."""
    return told(aor.removeprefix("sip:"))


def called(request: Request) -> str:
    """Give whom a request is for: the Request-URI, or To where that is an address of one device of a user who hides."""
    try:
        return named(request.to.aor if is_hidden(request.uri) else request.ruri.aor)
    except RemoteError:
        return told(request.uri)


def claimed(request: Request) -> str:
    """Give the address in From, which is not proved."""
    try:
        return named(request.from_.aor)
    except RemoteError:
        return told(request.from_.uri)


def answerer(response: Response) -> str:
    """Give the address of record of who has answered, as the answer asserts it; "" if it does not."""
    if not response.present & P_ASSERTED_IDENTITY:
        return ""
    asserted = response.asserted_identities
    return asserted[0].aor if asserted and asserted[0].is_sip else ""


def forwarded(request: Request) -> str:
    """Say who has forwarded a request before it came here, and why, as its sender says; "" if it was not forwarded."""
    if not request.present & GUARDED:
        return ""
    diverted = request.first_item("diversion")
    if diverted is not None:
        address, _, params = diverted.partition(">")
        reason = next(
            (part.partition("=")[2] for part in params.split(";") if part.strip(LWS).startswith("reason")), ""
        )
        return told(f"{_user_in(address)}: {reason.strip(LWS) or 'unknown'}")
    history = request.items("history-info")
    if len(history) > 1:
        cause = _CAUSE.search(history[-1]) or _CAUSE.search(history[-2])
        return told(f"{_user_in(history[-2])}: {_CAUSES.get(cause[1], cause[1]) if cause else 'unknown'}")
    return ""


def forwarded_by(chain: Chain) -> str:
    """Say which user of ours has forwarded a call last, and why."""
    return f"{named(chain[-1].by)}: {chain[-1].reason}"


def _user_in(item: str) -> str:
    return item.partition("<")[2].partition(">")[0].partition("?")[0].partition(";")[0].partition(":")[2] or ANONYMOUS


def passed(response: Response, server: str, following: str) -> list[str]:
    """Give the servers on the way, from the caller on: those in the Record-Route of a 2xx, or else *server* and *following*."""
    found: list[str] = []
    if response.present & RECORD_ROUTE:
        own = f"@{server}:"
        for row in reversed(response.rows):
            if row.bit == RECORD_ROUTE:
                for item in reversed(split_list(row.value)):
                    host = server if own in item else _host_of(item)
                    if host and (not found or found[-1] != host):
                        found.append(host)
    if server not in found:
        found.insert(0, server)
    if following and following not in found:
        found.append(following)
    return found if len(found) <= MOST_HOPS else found[:MOST_HOPS]


def _host_of(item: str) -> str:
    """Give the host of an entry of Record-Route; "" if there is none. Each call has some entries, so it looks for delimiters."""
    begins = item.find("@")
    if begins < 0:
        begins = item.find(":")
    rest = item[begins + 1 :]
    ends = rest.find(":")
    host = rest[:ends] if ends >= 0 else rest
    if begins < 0 or not _is_host(host):
        host = rest.partition(">")[0].partition(";")[0].partition(":")[0]
        if begins < 0 or not _is_host(host):
            return ""
    return ascii_lower(host)


def _is_host(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_HOST and has_only(text, _HOST)


def reference_in(response: Response) -> tuple[str, str]:
    """Give the reference in the Warning of a refusal (`MessageRefusals`), and the server that the Warning names.

    Both are "" if there is no reference, and the server is "" if the Warning names no host.
    """
    for row in response.rows:
        if row.name == "warning" and (found := _REFERENCE.search(row.line)) is not None:
            agent = row.line[: found.start()].rpartition('"')[0].rstrip(LWS).rpartition(" ")[2]
            return found[1][:LONGEST_TEXT], ascii_lower(agent) if _is_host(agent) else ""
    return "", ""
