"""The search of the console: it asks the operations that have what an operator may be looking for.

Each source is an operation of the table, asked in the name of the operator. So a search finds nothing that the operator's role
may not read, and says which sources it has left out. The calls are asked last: the audit log records that they were read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sipmesh.errors import SipmeshError
from sipmesh.server.admin.replies import REFUSED_MESSAGES
from sipmesh.server.console.commands import digits_of
from sipmesh.server.console.operations import AUDIT, CERTIFICATES, LEDGER, PARTNERS, SEARCH, USERS, operation_of
from sipmesh.server.console.replies import Found, SearchReply
from sipmesh.server.control_socket import ROLE, WHO, Encoded
from sipmesh.server.management.replies import CALLS, DIRECTORY, NETWORK, CallsReply, NetworkReply
from sipmesh.server.proxy.refused_message import REFERENCE
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.sip.text import LWS, ascii_lower, is_digits
from sipmesh.storage.call_records.call_query import NotRecordedError
from sipmesh.strict_json import read_json
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.trust.formatting import tell_time, tell_value
from sipmesh.typed_json import read

if TYPE_CHECKING:
    from sipmesh.server.console.operations import Operation
    from sipmesh.server.control_socket import Command

MOST_FOUND: Final = 10
"""Results of one source."""

SEPARATORS: Final = str.maketrans("", "", "-./() ")
"""Visual separators of a telephone number (RFC 3966 section 5.1.1), and spaces."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is found with *operation*, which is asked with *given* of the typed text; *found* makes results of its reply."""

    kinds: str
    operation: str
    found: Callable[[Any, str], Iterable[Found]]
    given: Callable[[str], Mapping[str, object]] = lambda _typed: {}


class SearchCommand:
    """Searches by the *commands* of the console."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def commands(self) -> Mapping[str, Command]:
        """Return the operation by its name."""
        return {SEARCH: self._search}

    async def _search(self, asked: Mapping[str, Any]) -> SearchReply:
        typed, role = str(asked["find"]).strip(LWS), ConsoleRole(asked[ROLE])
        text = ascii_lower(typed)
        allowed = [source for source in SOURCES if role.may(operation_of(source.operation).role)]
        answers = await asyncio.gather(*(self._ask(one, typed, asked) for one in allowed if one.kinds != "calls"))
        answers += await asyncio.gather(*(self._ask(one, typed, asked) for one in allowed if one.kinds == "calls"))
        results = [one for found, _ in answers for one in found]
        results.sort(key=lambda one: ascii_lower(one.name) != text)
        left_out = list(dict.fromkeys(source.kinds for source in SOURCES if source not in allowed))
        return SearchReply(results, left_out, list(dict.fromkeys(fault for _, fault in answers if fault)))

    async def _ask(self, source: Source, typed: str, asked: Mapping[str, Any]) -> tuple[Sequence[Found], str]:
        """Return what a source has, or why it cannot be asked."""
        operation: Operation = operation_of(source.operation)
        is_reference = REFERENCE.fullmatch(typed) is not None
        try:
            given = read(operation.given, source.given(typed)).model_dump(mode="json")
            reply = await self._commands[operation.name]({**given, WHO: asked[WHO], ROLE: asked[ROLE]})
        except NotRecordedError as wrong:
            return (), f"{source.kinds}: {wrong}" if is_reference else ""
        except SipmeshError as wrong:
            return (), f"{source.kinds}: {wrong}"
        missing = reply.told_missing if is_reference and isinstance(reply, CallsReply) else ""
        found = list(islice(source.found(reply, ascii_lower(typed)), MOST_FOUND))
        return found, f"{source.kinds}: {missing}" if missing else ""


def _number_or(text: str) -> str:
    """Return a telephone number without its separators, and another text as it is."""
    number = text.translate(SEPARATORS)
    return number if is_digits(number.removeprefix("+")) else text


def _users(reply: Any, _text: str) -> Iterator[Found]:
    for user in reply.users:
        aliases = f", also {', '.join(user.aliases)}" if user.aliases else ""
        state = "disabled user" if user.disabled else "user"
        yield Found("user", user.user, f"{state} of {user.pool}{aliases}", f"/users/{quote(user.user, safe='')}")


def _servers(reply: Any, text: str) -> Iterator[Found]:
    network = read(NetworkReply, read_json(reply.json)) if isinstance(reply, Encoded) else reply
    for report in (network.master, *network.servers):
        if text in ascii_lower(report.server) or text in ascii_lower(getattr(report, "pool", "")):
            faults = f"has {len(report.faults)} faults" if report.faults else "without a fault"
            yield Found("server", report.server, f"{report.role}, {faults}", f"/servers/{report.server}")
    for peer in network.peers:
        if peer.kind is PeerKind.APPLICATION and text in ascii_lower(peer.peer):
            faults = f"has {len(peer.faults)} faults" if peer.faults else "without a fault"
            yield Found("server", peer.peer, f"application, {faults}", f"/applications/{peer.peer}")


def _directory(reply: Any, text: str) -> Iterator[Found]:
    if reply.server and any(text in ascii_lower(name) for name in ("directory", reply.server)):
        what = f"not synced: {reply.fault}" if reply.fault else f"{reply.users} users come from it"
        yield Found("directory", reply.server, what, "/directory")
    for one in reply.conflicts:
        if text in ascii_lower(one.user):
            yield Found("directory", one.user, one.reason, f"/directory?q={quote(one.user, safe='')}")


def _partners(reply: Any, text: str) -> Iterator[Found]:
    for partner in reply.partners:
        names = (*partner.domains, partner.edge or "")
        if any(text in ascii_lower(name) for name in names):
            page = f"/partners/{quote(partner.domains[0], safe='')}"
            yield Found("partner", partner.domains[0], ", ".join(filter(None, names)), page)
    for name in reply.blocked:
        if text in ascii_lower(name):
            yield Found("partner", name, "blocked", "/partners")


def _certificates(reply: Any, text: str) -> Iterator[Found]:
    digits = digits_of(text)
    for entry in reply.entries:
        items = [item for item in (entry.in_use, entry.on_disk) if item is not None]
        by_digest = digits and any(digits in f"{item.number} {item.mark}" for item in items)
        if by_digest or text in ascii_lower(entry.name):
            number = items[0].number if items else ""
            page = f"/certificates?q={quote(number or entry.name, safe='')}"
            yield Found("certificate", entry.name, f"{entry.what} {number}", page)


def _issued(reply: Any, text: str) -> Iterator[Found]:
    """Give the certificates that were issued, also those that were replaced or revoked, by their digits."""
    for one in reply.certificates if digits_of(text) else ():
        what = f"issued by our CA for {one.kind} use, {one.state}, serial number {one.serial}"
        yield Found("certificate", one.names[0], what, f"/certificates/issued?q={one.serial}")


def _references(reply: Any, text: str) -> Iterator[Found]:
    for message in reply:
        if ascii_lower(message.reference) == text:
            what = f"{message.method} from {message.peer} got {message.status}: {message.why}"
            yield Found("refusal", message.reference, what, "/refused")


def _audit(reply: Any, text: str) -> Iterator[Found]:
    for line in reply.lines:
        about = ", ".join(f"{key}: {tell_value(value)}" for key, value in line.about.items() if value or value is False)
        yield Found(
            "audit", f"line {line.seq}", f"{line.act} by {line.who}: {about}", f"/audit?q={quote(text, safe='')}"
        )


def _calls(reply: Any, _text: str) -> Iterator[Found]:
    for call in reply.records:
        by = f" of {call.refused_by}" if call.refused_by else ""
        refused = f", reference {call.reference}{by}" if call.reference else ""
        what = f"{tell_time(call.start)}, {call.status} {call.why or ascii_lower(call.method)}{refused}"
        yield Found("call", f"{call.caller} to {call.callee}", what, f"/calls?call={quote(call.id, safe='')}")


SOURCES: Final = (
    Source("users and numbers", USERS, _users, lambda typed: {"find": _number_or(ascii_lower(typed))}),
    Source("servers", NETWORK.name, _servers),
    Source("the directory", DIRECTORY.name, _directory),
    Source("partners", PARTNERS, _partners),
    Source("certificates", CERTIFICATES, _certificates),
    Source("certificates", LEDGER, _issued, lambda typed: {"find": typed}),
    Source("references of refused messages", REFUSED_MESSAGES.name, _references),
    Source("the audit log", AUDIT, _audit, lambda typed: {"find": ascii_lower(typed)}),
    Source("calls", CALLS.name, _calls, lambda typed: {"user": _number_or(typed), "most": MOST_FOUND}),
    Source("calls", CALLS.name, _calls, lambda typed: {"call": typed, "most": MOST_FOUND}),
)
