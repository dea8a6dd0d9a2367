"""The registrar: the answer to a REGISTER and the changes of bindings (RFC 3261 section 10.3, RFC 5626 section 6).

A registration is bound to its link: requests to the user go to that link. This module stores nothing. The server knows the
user's rows before, stores the changes after, and then sends the answer. A refresh changes nothing that another server needs,
so it is not stored (`is_refresh`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sipmesh.routing.registrar.binding import Binding, BindingKey, Changes, row_name
from sipmesh.routing.registrar.contact import AskedContact, read_contact
from sipmesh.routing.registrar.granted import SUPPORTED, FlowFacts, GruuMint, granted_headers, is_outbound, offers
from sipmesh.routing.registrar.gruu import is_gruu
from sipmesh.sip.check import unsupported
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri

__all__ = [
    "Binding",
    "BindingKey",
    "Changes",
    "FlowFacts",
    "RegistrarAnswer",
    "RegistrarLimits",
    "decide",
    "is_refresh",
]

ONE_HOUR_S: Final = 3600
NO_CHANGES: Final = Changes()


@dataclass(frozen=True, slots=True)
class RegistrarLimits:
    """The limits of registrations. Times are in seconds."""

    min_expires_s: int = 60  # a shorter interval only costs refreshes: a lost flow is detected without it
    default_expires_s: int = 600  # for a client that does not ask for an interval
    max_expires_s: int = 3600  # a longer interval has no benefit: rows are deleted with their flow
    max_contacts: int = 10  # per user, over all devices: each is a branch of every call
    max_asked: int = 20  # in one REGISTER, including those to remove: each is compared with each row
    max_contact_length: int = 1024  # characters of a Contact URI: it is stored, and sent in every request
    max_instance_length: int = 256  # characters; a URN of a UUID has 47 with its brackets
    max_call_id_length: int = 256  # characters: it is stored with each contact; phones use 16 to 64
    max_user_agent_length: int = 128  # characters; the rest is cut, because only the operator reads it
    flow_timer_s: int = (
        60  # for clients that support outbound: they learn within it that their link is gone; 0: not sent
    )

    def until(self, seconds: float) -> RegistrarLimits:
        """Give the same limits for a login that ends after *seconds*, and its registrations with it."""
        most = max(1, min(self.max_expires_s, int(seconds)))
        least, usual = min(self.min_expires_s, most), min(self.default_expires_s, most)
        return replace(self, min_expires_s=least, default_expires_s=usual, max_expires_s=most)


@dataclass(init=False, slots=True)
class RegistrarAnswer:
    """The answer to one REGISTER. *headers* are added to it. *changes* are stored before it is sent.

    *bindings* are all bindings of the user after the changes, one for each Contact in *headers*. They are empty unless the
    status is 200. *gives_gruu*: a Contact in *headers* has GRUUs.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    changes: Changes
    bindings: tuple[Binding, ...] = field(repr=False)
    gives_gruu: bool

    def __init__(
        self,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...] = (),
        changes: Changes = NO_CHANGES,
        bindings: tuple[Binding, ...] = (),
        gives_gruu: bool = False,  # noqa: FBT001, FBT002 - as a dataclass would have it
    ) -> None:
        self.status, self.reason, self.headers = status, reason, headers
        self.changes, self.bindings, self.gives_gruu = changes, bindings, gives_gruu


def decide(
    request: Request,
    owner: str,
    stored: Sequence[Binding],
    flow: FlowFacts,
    limits: RegistrarLimits,
    *,
    at: float,
    mint: GruuMint | None = None,
) -> RegistrarAnswer:
    """Answer a REGISTER on *flow* whose sender has proved that it is *owner*.

    Args:
        request: The REGISTER. The caller has checked that its Request-URI means this server.
        owner: The proved address of record, as ``sip:user@host``.
        stored: The rows of that address that have not expired.
        flow: The link of the REGISTER.
        limits: The limits of registrations.
        at: Now, in seconds of the clock of *expires_at*.
        mint: Makes GRUUs for a client that offers to use them; None gives it none.

    Raises:
        RemoteError: A header field is malformed. Its status is that of the answer.
    """
    case = _Case(request, owner, stored, flow, limits, at)
    try:
        case.check_sender()
        changes = case.changes()
    except _Refused as refused:
        return refused.registration
    bindings = case.after(changes)
    headers = granted_headers(request, owner, bindings, flow, limits.flow_timer_s, mint, at=at)
    gives_gruu = mint is not None and "gruu" in offers(request)
    return RegistrarAnswer(200, "OK", headers, changes, bindings, gives_gruu)


def is_refresh(changes: Changes, held: Sequence[Binding]) -> bool:
    """Tell whether *changes* only renew rows of *held* on the flow that they are on: no other server has to know of it."""
    return not changes.drop and all(any(_renews(row, known) for known in held) for row in changes.put)


def _renews(row: Binding, known: Binding) -> bool:
    return (
        row.token == known.token
        and row.contact == known.contact
        and row.instance == known.instance
        and row.reg_id == known.reg_id
        and row.q == known.q
        and (row.instance is None or row.call_id == known.call_id)  # a temporary GRUU counts for one Call-ID
    )


def leads_to_itself(contact: str, owner: str) -> bool:
    """Tell whether a Contact is a GRUU in the domain of its *owner*."""
    uri = SipUri.parse(contact)
    return is_gruu(uri) and uri.host == owner.rpartition("@")[2]


class _Refused(Exception):  # noqa: N818 - a way out of the steps below, never seen outside
    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.registration = RegistrarAnswer(status, reason, headers)


@dataclass(init=False, slots=True)
class _Case:
    """One REGISTER with all facts. The methods are the steps of RFC 3261 section 10.3."""

    request: Request
    owner: str
    stored: Sequence[Binding]
    flow: FlowFacts
    limits: RegistrarLimits
    at: float

    def __init__(
        self,
        request: Request,
        owner: str,
        stored: Sequence[Binding],
        flow: FlowFacts,
        limits: RegistrarLimits,
        at: float,
    ) -> None:
        self.request, self.owner, self.stored = request, owner, stored
        self.flow, self.limits, self.at = flow, limits, at

    def check_sender(self) -> None:
        """Check step 2: the extensions.

        Steps 3 to 5 are done: the role has found whose name To is, and the sender has proved this user.
        """
        unknown = unsupported(self.request, "require", SUPPORTED)
        if unknown:
            raise _Refused(420, "Bad Extension", ("unsupported", ", ".join(unknown)))
        # RFC 5626 section 6: the flow is that of the first hop, so a proxy between the client and us may not carry it.
        if not self.flow.is_carried and self.request.has_lower_via and is_outbound(self.request, offers(self.request)):
            raise _Refused(439, "First Hop Lacks Outbound Support")

    def changes(self) -> Changes:
        """Apply steps 6 and 7: ``*`` removes all rows; otherwise add, update or remove one row for each Contact."""
        asked = self.request.contacts
        if len(asked) > self.limits.max_asked:
            raise _Refused(400, f"More Than {self.limits.max_asked} Contacts In A Request")
        if any(contact.uri == "*" for contact in asked):
            return self.drop_all()
        default_s = self.request.expires
        default_s = self.limits.default_expires_s if default_s is None else default_s
        contacts = [read_contact(contact, default_s) for contact in asked]
        self.check_contacts(contacts)
        return self.change(contacts)

    def drop_all(self) -> Changes:
        """Apply step 6: a ``*`` must be the only Contact, with Expires 0."""
        if len(self.request.contacts) != 1 or self.request.expires != 0:
            raise _Refused(400, "Contact * Needs Expires 0 And No Other Contact")
        for row in self.stored:
            self.check_order(row)
        return Changes(drop=tuple(row.key for row in self.stored))

    def check_contacts(self, contacts: Sequence[AskedContact]) -> None:
        """Refuse Contacts that cannot be stored, or have a wrong interval."""
        added = [contact for contact in contacts if contact.expires_s > 0]
        # RFC 5626 section 6: "if the Contact header field contains more than one header field value with a non-zero
        # expiration and any of these header field values contain a "reg-id" Contact header field parameter, the entire
        # registration SHOULD be rejected with a 400 (Bad Request) response."
        if len(added) > 1 and any(contact.reg_id is not None for contact in added):
            raise _Refused(400, "One Contact At A Time With reg-id")
        limits = self.limits
        if added and len(self.request.call_id) > limits.max_call_id_length:
            raise _Refused(400, "Call-ID Too Long")
        for contact in contacts:
            if len(contact.uri) > limits.max_contact_length or len(contact.instance or "") > limits.max_instance_length:
                raise _Refused(400, "Contact Too Long")
        for contact in added:
            # RFC 5627 section 5.1: a Contact that is a GRUU of the same user would lead to itself.
            if leads_to_itself(contact.uri, self.owner):
                raise _Refused(403, "A GRUU Cannot Be A Contact")
            # Step 7: only an interval above zero, below one hour and below our minimum may be refused as too brief.
            if contact.expires_s < min(limits.min_expires_s, ONE_HOUR_S):
                raise _Refused(423, "Interval Too Brief", ("min-expires", str(limits.min_expires_s)))

    def change(self, contacts: Sequence[AskedContact]) -> Changes:
        """Apply step 7: change all Contacts, or none if one is refused."""
        put: dict[BindingKey, Binding] = {}
        drop: dict[BindingKey, None] = {}
        rows = _StoredRows(self.stored)
        for contact in contacts:
            for row in rows.of(contact):
                self.check_order(row)
                drop[row.key] = None
            if contact.expires_s > 0:
                binding = self.binding(contact)
                put[binding.key] = binding
        kept = sum(row.key not in drop for row in self.stored)
        if put and kept + len(put) > self.limits.max_contacts:
            raise _Refused(403, f"More Than {self.limits.max_contacts} Contacts")
        return Changes(tuple(put.values()), tuple(key for key in drop if key not in put))

    def check_order(self, row: Binding) -> None:
        """Check step 7: with the Call-ID of the row, the CSeq must be higher, or "the update MUST be aborted".

        The status is that of the end of this step: 500.
        """
        if self.request.call_id == row.call_id and self.request.cseq.number <= row.cseq:
            raise _Refused(500, "CSeq Out Of Order")

    def binding(self, contact: AskedContact) -> Binding:
        """Make the row for *contact*."""
        interval_s = min(contact.expires_s, self.limits.max_expires_s)
        return Binding(
            aor=self.owner,
            contact=contact.uri,
            instance=contact.instance,
            reg_id=contact.reg_id,
            q=contact.q,
            call_id=self.request.call_id,
            cseq=self.request.cseq.number,
            server=self.flow.server,
            incarnation=self.flow.incarnation,
            flow=self.flow.flow,
            token=self.flow.token,
            expires_at=self.at + interval_s,
            user_agent=(self.request.first("user-agent") or "")[: self.limits.max_user_agent_length],
            interval_s=interval_s,
        )

    def after(self, changes: Changes) -> tuple[Binding, ...]:
        """Give the bindings after *changes*, new bindings first."""
        if not self.stored:
            return changes.put
        replaced = {*changes.drop, *(binding.key for binding in changes.put)}
        kept = [row for row in self.stored if row.key not in replaced and row.expires_at > self.at]
        return (*changes.put, *kept)


class _StoredRows:
    """The current rows of a user, to compare with each Contact of a REGISTER. Each stored Contact is parsed once only."""

    __slots__ = ("_plain", "_stored")

    def __init__(self, stored: Sequence[Binding]) -> None:
        self._stored = stored
        self._plain: list[tuple[Binding, SipUri]] | None = None

    def of(self, contact: AskedContact) -> list[Binding]:
        """Give the rows that *contact* replaces or removes: same instance and reg-id, or an equivalent URI."""
        if contact.instance is not None:
            name = row_name(contact.uri, contact.instance, contact.reg_id)
            return [row for row in self._stored if row.key.name == name]
        if self._plain is None:
            self._plain = [(row, SipUri.parse(row.contact)) for row in self._stored if row.instance is None]
        uri = SipUri.parse(contact.uri)
        return [row for row, known in self._plain if row.contact == contact.uri or uri.equivalent(known)]
