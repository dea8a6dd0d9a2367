"""`sipmesh explain REFERENCE`: why a message was refused, by the reference that its sender has got.

A server has its newest refusals in memory. Where the topology has `call_records`, the record of a refused call or message has
the reference too, and management has the records of all servers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipmesh.cli.diagnosis.links import answers_of, each
from sipmesh.cli.output import BAD, MARKS, WARN, say, say_json
from sipmesh.errors import OperatorError
from sipmesh.server.proxy.refused_message import REFERENCE
from sipmesh.sip.text import ascii_lower
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.cli.place import Place
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.topology.document.load import Loaded

_MEANT: Final = re.compile(r"[csp][0-9]+-(?:[0-9][^@:./]*)?", re.ASCII | re.IGNORECASE)
"""What is typed as a reference: c3-po is the name of a user, c3-5o is not."""

MOST_RECORDS: Final = 20
REMEDIES: Final[Mapping[str, str]] = {
    Code.FROM_NOT_ALLOWED: "if a phone has a wrong account, correct it; if not, it was an attack",
    Code.ASSERTION_NOT_ALLOWED: "for an application, see `speaks_for`; a partner never speaks for us",
    Code.NOT_AUTHENTICATED: "check the account of the phone: sipmesh user list",
    Code.NO_ROUTE: "check the address; if its domain is that of a partner: sipmesh partner add",
    Code.PARTNER_UNKNOWN: "if you want to federate: sipmesh partner add",
    Code.PARTNER_BLOCKED: "nothing, unless it is blocked by mistake: sipmesh partner unblock NAME",
    Code.ROLE_NOT_ALLOWED: "connect it to the port that is meant for it, or correct its pool: sipmesh topology show",
    Code.OTHER_HOME: "look for the reason at a server of the home pool of the user: sipmesh explain USER",
    Code.MEDIA_NOT_ENCRYPTED: "set SRTP to mandatory on the phone, or set another policy: `media:`",
    Code.MEDIA_UNREADABLE: "find out what the phone sends; if it is no mistake, it was an attack",
    Code.MEDIA_NOT_BRIDGED: "look at rtpengine on the host of this server; the log has its reason as `rtpengine failed`",
    Code.IDENTITY_MISSING: "ask the partner to sign (`identity: sign`), or set `identity: verify`",
    Code.IDENTITY_INVALID: "compare the clocks; if they are right, a proxy on the way has changed the message",
}
"""What to do about a refused message, as in docs/reference/verdicts.md."""


def is_meant(what: str) -> bool:
    """Tell whether *what* is a reference; raises `OperatorError` if it is typed as one, and cannot be one."""
    if REFERENCE.fullmatch(what):
        return True
    if _MEANT.fullmatch(what):
        raise OperatorError(
            f"{what} is no reference of a refusal: that is c, s or p, a number, a hyphen and a number of at most 20 digits, "
            "such as c8-1; copy it from the Warning of the answer"
        )
    return False


def explain_refused_message(reference: str, server: str, place: Place, *, as_json: bool) -> None:
    """Explain the refusals with *reference*: of the servers that run here, or else of the records of calls.

    With *server*, only refusals of that server. Raises `OperatorError` if there is none.
    """
    from sipmesh.server.admin.replies import REFUSED_MESSAGES

    wanted = ascii_lower(reference)
    try:
        refused = each(answers_of(place, REFUSED_MESSAGES, server))
        unknown = f"no running server of this machine has the reference {wanted} in memory"
    except OperatorError as wrong:
        refused, unknown = [], str(wrong)
    found = [row for row in refused if row.value.reference == wanted]
    if not found:
        _explain_records(_recorded(wanted, server, place, unknown), place.in_force(), as_json=as_json)
        return
    if as_json:
        say_json(found)
        return
    for row in found:
        message = row.value
        got = f"{message.method} from {message.peer} got {message.status} at {row.server}"
        say(f"{message.code or 'refused'}: {got}", style=BAD)
        say(f"  {message.why}")
        _say_remedy(REMEDIES.get(message.code or ""))


def _recorded(reference: str, server: str, place: Place, unknown: str) -> list[CallRecord]:
    """Find the records of refusals with *reference*; raises `OperatorError` that begins with *unknown* if there is none."""
    from sipmesh.cli.calls.command import found_records
    from sipmesh.cli.management_socket import managers, running_management
    from sipmesh.storage.call_records.call_query import CallQuestion

    wanted = place.in_force().topology.call_records
    if wanted is None:
        raise OperatorError(
            f"{unknown}, and no records of calls are made. On the host of the server in the Warning: sipmesh explain "
            f"{reference}; later, the log of that server has it. To find references of all servers at management from "
            "now on, write `call_records: {}` into the topology, and publish it"
        )
    records, _ = found_records(place, CallQuestion(call=reference), MOST_RECORDS)
    found = [
        one
        for one in records
        if ascii_lower(one.reference) == reference and server in {"", one.refused_by or one.server}
    ]
    if found:
        return found
    if running_management(place) is None:
        raise OperatorError(
            f"{unknown}, and no record here has it; management has the records of all servers: on the host of "
            f"{' or '.join(managers(place))}, type sipmesh explain {reference}"
        )
    of_server = f" of {server}" if server else ""
    raise OperatorError(
        f"{unknown}, and no record{of_server} at management has it: records are of calls and messages of the last "
        f"{wanted.days} days whose sender was known; search for it in the log of the server that the Warning names"
    )


def _explain_records(records: list[CallRecord], loaded: Loaded, *, as_json: bool) -> None:
    if as_json:
        say_json(records)
        return
    for record in records:
        by = record.refused_by or record.server
        got = f"{record.method} from {record.caller} to {record.callee} got {record.status} at {by}"
        say(f"{record.code or 'refused'}: {got}, {tell_time(record.start)}", style=BAD)
        say(f"  {record.why}")
        _say_remedy(_remedy_of(record, loaded))
    if len(records) > 1:
        say(
            "Several refusals have this reference: each server counts for itself, and again from 1 when it restarts. The Warning "
            "names the server: --server NAME shows those of one server.",
            style=WARN,
        )


def _remedy_of(record: CallRecord, loaded: Loaded) -> str | None:
    """Say what to do; a record does not have the reason if its server has not refused the message itself."""
    if record.code in REMEDIES:
        return REMEDIES[record.code]
    if record.refused_by in ("", record.server):
        return None
    if record.refused_by in loaded.topology.server_names:
        return (
            f"{record.server} has made the record, {record.refused_by} has the reason: on its host, sipmesh explain "
            f"{record.reference}; later, its log"
        )
    return f"{record.refused_by} is not a server of ours: its operator finds the reason by this reference"


def _say_remedy(remedy: str | None) -> None:
    if remedy is not None:
        say(f"  → {remedy}", style=MARKS["→"])
