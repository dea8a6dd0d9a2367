"""The bindings of our users: registered on a link of this server, shared with the pool, gone with the link.

A REGISTER that changes what other servers see is answered once the store has it. A refresh is answered at once: what it
changes, the end of the row, is the business of the server that has the link. That server counts the time by a clock that is
never set, so that no row ends because the clock of a machine is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.outcome import RETRY_AFTER_S
from sipmesh.routing.registrar.binding import server_of
from sipmesh.routing.registrar.granted import GruuMint, offers
from sipmesh.routing.registrar.gruu import NONCE_BYTES, Gruus
from sipmesh.routing.registrar.refresh import KnownRefresh, known_refresh
from sipmesh.routing.registrar.registrar import (
    Binding,
    FlowFacts,
    RegistrarAnswer,
    RegistrarLimits,
    decide,
    is_refresh,
)
from sipmesh.server.proxy.flow import Flow, ReceivedRequest
from sipmesh.server.proxy.registrar.binding_lookups import BindingLookups, Then
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings
from sipmesh.server.proxy.registrar.pending_registration import PendingRegistration, RunningChange
from sipmesh.server.proxy.registrar.store_follower import StoreFollower
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.date import sip_date
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.rows import Row, made_row
from sipmesh.sip.status import OK
from sipmesh.sip.text import octets_of
from sipmesh.storage.location_service.locations import Write, WriteResult

if TYPE_CHECKING:
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.storage.location_service.locations import Locations, StoreHealth

WRITE_S: Final = 3.0
"""How long a REGISTER waits for the store; a phone repeats it after ten times as long (RFC 3261 timer F)."""

MOST_WAITING: Final = 10_000
"""Registrations that wait for the store, all users together; one above it is answered 503."""

MOST_WAITING_OF_USER: Final = 32
"""The same for one user. They are stored one after the other, so that one link could fill the room of all users."""


class Registrations:
    """Registers users on their links; *clock* gives seconds of the loop, and every time is one of it.

    *server* and *incarnation* are those of this process in the store: each process of a server has its own lease there.

    *gruus* makes the temporary GRUUs of the pool. *sent_by* is the address of our client port in a Path. *wall* gives epoch
    seconds (UTC), only for the Date of an answer.
    """

    def __init__(
        self,
        server: str,
        incarnation: int,
        tokens: Tokens,
        locations: Locations,
        limits: RegistrarLimits,
        clock: Callable[[], float],
        log: Log,
        peer_log: LimitedLog,
        gruus: Gruus,
        sent_by: str,
        siblings: OtherProcesses,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._gruus, self._sent_by, self._wall = gruus, sent_by, wall
        self._date_s, self._date = -1, made_row("date", sip_date(0))
        self._server, self._incarnation, self._host = server, incarnation, server_of(server)
        self._tokens, self._locations, self._limits = tokens, locations, limits
        self._clock, self._peer_log = clock, peer_log
        is_behind = None if locations.knows_absence else locations.is_behind
        self._known = KnownBindings(server, locations.versions, locations.slot, siblings, is_behind=is_behind)
        self._changes: dict[str, RunningChange] = {}
        self._store_follower = StoreFollower(self._known, locations, self._changes, clock, log)
        self._lookups = BindingLookups(self._known, locations, clock, self._store_follower.missing)
        self._waiting: TimeoutQueue[PendingRegistration] = TimeoutQueue(WRITE_S)
        self._waiting_of: dict[str, int] = {}  # by address of record
        self.most_waiting, self.most_waiting_of_user = MOST_WAITING, MOST_WAITING_OF_USER

    def begin(self) -> None:
        """Start our incarnation: what an earlier one has left behind is dead from now on."""
        self._locations.begin(self._server, self._incarnation, self._store_follower)

    def shorten(self) -> None:
        """Grant the shortest time from now on: this server is about to stop, and each phone finds out at its next refresh."""
        self._limits = replace(self._limits, max_expires_s=self._limits.min_expires_s)

    @property
    def is_shortened(self) -> bool:
        """Whether registrations are granted for the shortest time."""
        return self._limits.max_expires_s == self._limits.min_expires_s

    # Lookups

    def bindings(self, aor: str, now: float) -> Sequence[Binding] | None:
        """The bindings of *aor* that are live *now*, at any server of the pool; None if they are not in memory: see `look_up`."""
        return self._known.of(aor, now)

    def look_up(self, aor: str, then: Then) -> None:
        """Have *then* called with the live bindings of *aor* once they are known; with None where they cannot be read."""
        self._lookups.look_up(aor, then)

    def owner_at(self, address: str) -> str:
        """The user who has registered the Contact with *address* on a link of this server; "" if there is none."""
        return self._known.owner_at(address)

    def contacts_here(self) -> Sequence[tuple[str, str]]:
        """The addresses of the Contacts on links of this process, each with its user."""
        return self._known.contacts()

    @property
    def store(self) -> str:
        """The identity of the store: servers of a pool that do not share it do not know each other's users."""
        return self._locations.identity

    @property
    def health(self) -> StoreHealth:
        """How the store does."""
        return self._locations.health

    @property
    def fault(self) -> str:
        """Why the store cannot be used now; "" if it can."""
        health = self._locations.health
        return health.last_error if health.failing_since is not None else health.warning

    def here(self, most: int, after: tuple[str, str]) -> Sequence[Binding]:
        """The bindings on links of this server in the order of their keys, *most* at most, from behind *after* on."""
        return self._known.own_rows(most, after)

    def is_here(self, aor: str) -> bool:
        """Tell whether *aor* is registered on a link of this server."""
        return bool(self._known.ours(aor, self._clock()))

    def is_elsewhere(self, held: Sequence[Binding]) -> bool:
        """Tell whether another process, of this server or of another one, has one of the rows *held*; it may have died."""
        return any(row.server != self._server for row in held)

    def count(self) -> int:
        """How many bindings there are on links of this server."""
        return len(self._known)

    # REGISTER

    def register(self, received: ReceivedRequest, aor: str) -> Response | None:
        """Answer a REGISTER of *aor*, which the link has proved; None if it begins a transaction, and is answered later.

        The server of the request gets that answer, and each user of whom a phone has registered.
        """
        flow, request, now = received.flow, received.request, self._clock()
        held = self._known.of(aor, now)
        if held is None and self._store_follower.is_failing:
            held = self._known.ours(aor, now) or None
        refresh = flow.refresh
        if refresh is not None and held is not None and self._is_repeated(refresh, request, aor, held):
            return refresh.renew(request, now, self._date_row(), self._mint(1) if refresh.gives_gruu else None)
        answer = None if held is None else self._decide(flow, request, aor, held)
        if answer is not None and held is not None and self._is_settled(aor, answer, held):
            return self._granted(flow, request, answer)
        if self._store_follower.is_failing or not self._has_room(aor):
            return unavailable(request)
        pending = PendingRegistration(received.server.begin(received), aor)
        self._waiting.add(pending, self._clock())
        self._waiting_of[aor] = self._waiting_of.get(aor, 0) + 1
        if answer is None or held is None or aor in self._changes:
            self._go_on(pending)
        else:
            self._store(pending, answer, held)
        return None

    def _granted(self, flow: Flow, request: Request, answer: RegistrarAnswer) -> Response:
        """Give the response to *answer*, and remember it for the next REGISTER of *flow*, if this is a refresh of one row."""
        refresh = known_refresh(request, answer, self._limits.max_call_id_length) if not flow.tokens else None
        flow.refresh = refresh
        if refresh is None or refresh.gives_gruu:
            return self._respond(request, answer)
        return refresh.answer(request, self._clock(), self._date_row())

    def renews(self, refresh: KnownRefresh, call_id: str, cseq: int) -> bool:
        """Renew the row of *refresh* by a REGISTER that repeats it under *call_id*; False where it has to be decided."""
        row, now = refresh.row, self._clock()
        held = self._known.of(row.aor, now)
        if held is None or len(held) != 1 or held[0] is not row or row.aor in self._changes:
            return False
        if call_id != row.call_id or cseq <= row.cseq or row.interval_s > self._limits.max_expires_s:
            return False
        row.renew(call_id, cseq, now)
        return True

    def fresh(self, refresh: KnownRefresh) -> bytes:
        """Write the rows of the next answer to *refresh* that are not the same in each."""
        mint = self._mint(1) if refresh.gives_gruu else None
        rows = refresh.fresh(self._clock(), self._date_row(), mint)
        return octets_of("".join([f"{row.line}\r\n" for row in rows]))

    def _has_room(self, aor: str) -> bool:
        """Tell whether another REGISTER of *aor* may wait for the store."""
        return len(self._waiting) < self.most_waiting and self._waiting_of.get(aor, 0) < self.most_waiting_of_user

    def _is_repeated(self, refresh: KnownRefresh, request: Request, aor: str, held: Sequence[Binding]) -> bool:
        """Tell whether a REGISTER of *aor* repeats the REGISTER before it, while its row is still all that there is."""
        if len(held) != 1 or held[0] is not refresh.row or refresh.row.aor != aor or aor in self._changes:
            return False
        if refresh.row.interval_s > self._limits.max_expires_s:
            return False
        return refresh.is_repeated_by(request)

    def _decide(self, flow: Flow, request: Request, aor: str, held: Sequence[Binding]) -> RegistrarAnswer:
        token = self._tokens.flow(flow.number, aor)
        facts = FlowFacts(
            self._server,
            self._incarnation,
            flow.number,
            token,
            flow.path[1:-1] or f"sip:{token}@{self._sent_by};transport=tls;lr;ob",
            self._login_route(flow, aor) if flow.carrier is not None else flow.service_route,
            is_carried=flow.carrier is not None,
        )
        mint = self._mint(len(held) + 1) if "gruu" in offers(request) else None
        now, login = self._clock(), flow.tokens.get(aor)
        limits = self._limits if login is None else self._limits.until(login.ends_at - now)
        return decide(request, aor, held, facts, limits, at=now, mint=mint)

    def _login_route(self, flow: Flow, aor: str) -> str:
        """Give the Service-Route of a carried flow: the server with the link puts it into each request of the user."""
        return f"sip:{self._tokens.login(flow.number, aor)}@{self._host};transport=tls;lr;ob"

    def _mint(self, most: int) -> GruuMint:
        """Make GRUUs for one answer, *most* temporary GRUUs at most."""
        return GruuMint(self._gruus, os.urandom(most * NONCE_BYTES))

    def _date_row(self) -> Row:
        """Give the Date of an answer, which is written once a second."""
        now_s = int(self._wall())
        if now_s != self._date_s:
            self._date_s, self._date = now_s, made_row("date", sip_date(now_s))
        return self._date

    def _respond(self, request: Request, answer: RegistrarAnswer) -> Response:
        """Write the answer to a REGISTER (RFC 3261 section 10.3 step 8: "The response SHOULD include a Date header field")."""
        headers = (*answer.headers, ("date", self._date_row().value)) if answer.status == OK else answer.headers
        return respond(request, answer.status, answer.reason, headers=headers)

    def _is_settled(self, aor: str, answer: RegistrarAnswer, held: Sequence[Binding]) -> bool:
        """Tell whether *answer* needs no store: it changes nothing, or renews rows that no other change is about."""
        changes = answer.changes
        if not changes:
            return True
        if not is_refresh(changes, held):
            return False
        running = self._changes.get(aor)
        if running is not None and any(row.key in running.keys for row in changes.put):
            return False
        for row in changes.put:
            self._known.refresh(row)
        return True

    def _go_on(self, pending: PendingRegistration) -> None:
        running = self._changes.get(pending.aor)
        if running is not None:
            running.next_ones.append(pending)
        else:
            self._lookups.look_up(pending.aor, lambda held: self._with_rows(pending, held), needs_proof=False)

    def _with_rows(self, pending: PendingRegistration, held: Sequence[Binding] | None) -> None:
        """Decide by the rows of the user; what is to be changed is stored before it is answered."""
        if not pending.is_awaited:
            self._leave(pending)
        elif held is None:
            self._answer(pending, unavailable(pending.proxied.request))
        elif pending.aor in self._changes:
            self._changes[pending.aor].next_ones.append(pending)
        else:
            self._decide_later(pending, held)

    def _decide_later(self, pending: PendingRegistration, held: Sequence[Binding]) -> None:
        flow, request = pending.proxied.flow, pending.proxied.request
        try:
            answer = self._decide(flow, request, pending.aor, held)
        except RemoteError as wrong:
            who = flow.account.name
            self._peer_log.warning(who, "request refused", link=flow.link.id, method=request.method, why=str(wrong))
            self._answer(pending, respond(request, wrong.status))
            return
        if self._is_settled(pending.aor, answer, held):
            self._answer(pending, self._respond(request, answer))
        else:
            self._store(pending, answer, held)

    def _store(self, pending: PendingRegistration, answer: RegistrarAnswer, held: Sequence[Binding]) -> None:
        changes, aor = answer.changes, pending.aor
        drop = tuple(row for row in held if row.key in changes.drop)
        self._changes[aor] = RunningChange(frozenset(row.key for row in (*changes.put, *drop)))
        write = Write(aor, changes.put, drop, lambda result: self._stored(pending, answer, result), unregisters=True)
        pending.write = write
        self._locations.write(write)

    def _stored(self, pending: PendingRegistration, answer: RegistrarAnswer, result: WriteResult | None) -> None:
        """Follow what the store has done, answer, and go on with what waits for it."""
        running = self._changes.pop(pending.aor)
        request, write = pending.proxied.request, pending.write
        pending.write = None  # it refers to us: no work for the garbage collector
        if result is None or write is None:
            response = unavailable(request)
        elif result.lost:  # another server has stored a newer one under the same Call-ID (RFC 3261 section 10.3 step 7)
            self._follow(pending, write, result)
            response = respond(request, 500, "CSeq Out Of Order")
        else:
            self._follow(pending, write, result)
            response = self._granted(pending.proxied.flow, request, answer)
        self._answer(pending, response)
        for following in running.next_ones:
            self._go_on(following)

    def _follow(self, pending: PendingRegistration, write: Write, result: WriteResult) -> None:
        """Take over what was stored; on a link that has closed meanwhile it is dropped again."""
        made = self._known.accept_written(pending.aor, write.put, write.drop, result)
        self._known.registered(pending.aor, (*made, *write.drop))
        flow = pending.proxied.flow
        if not made:
            return
        flow.registered = True
        if flow.closed:
            self.flow_closed(flow)
        else:
            pending.proxied.received.server.has_registered(pending.aor)

    def _answer(self, pending: PendingRegistration, response: Response) -> None:
        self._leave(pending)
        if pending.is_awaited:
            pending.proxied.received.server.registration_ended(pending.proxied, response)

    def _leave(self, pending: PendingRegistration) -> None:
        """Wait for *pending* no longer; called again for a given-up registration, once its write has ended."""
        self._waiting.discard(pending)
        if not pending.counts:
            return
        pending.counts = False
        others = self._waiting_of.pop(pending.aor) - 1
        if others:
            self._waiting_of[pending.aor] = others

    def _give_up(self, pending: PendingRegistration) -> None:
        """The store has not taken it in time: the phone comes again, and the store need not make it any more."""
        if pending.write is not None:
            pending.write.withdrawn = True
        self._answer(pending, unavailable(pending.proxied.request))

    # Ends

    def flow_closed(self, flow: Flow) -> None:
        """A link is gone, and what was registered on it with it."""
        flow.closed = True
        if flow.registered:
            for aor, rows in self._known.close_flow(flow.number).items():
                self._drop(aor, rows)

    def withdraw(self, flow: Flow, aors: Iterable[str]) -> None:
        """Drop what *aors* have registered on a link that stays for a call: another pool serves these users now."""
        flow.refresh = None
        for aor in aors:
            rows = [row for row in self._known.ours(aor, self._clock()) if row.flow == flow.number]
            if rows:
                self._known.remove(rows)
                self._drop(aor, rows)

    def forget(self, row: Binding) -> None:
        """Drop a row whose flow turned out to be gone, unless the device has registered elsewhere meanwhile."""
        self._known.remove([row])
        self._drop(row.aor, [row], lambda: self._store_follower.changed(row.aor))

    def _drop(self, aor: str, rows: Sequence[Binding], then: Callable[[], None] | None = None) -> None:
        """Have rows that we no longer give out removed from the store, and *then* called."""
        drop = tuple(rows)

        def dropped(result: WriteResult | None) -> None:
            if result is not None:
                self._known.accept_written(aor, (), drop, result)
            if then is not None:
                then()

        self._locations.write(Write(aor, (), drop, dropped))

    def sweep(self) -> None:
        """Drop what has ended, and answer what has waited too long; called about twice a second."""
        now = self._clock()
        for aor, rows in self._known.expire(now).items():
            self._drop(aor, rows)
        while (pending := self._waiting.pop_expired(now)) is not None:
            self._give_up(pending)
        self._lookups.sweep(now)
        self._store_follower.sweep(now, self._lookups)


def unavailable(request: Request) -> Response:
    """Have the phone come again: the registrations cannot be stored now."""
    return respond(request, 503, headers=(("Retry-After", RETRY_AFTER_S),))
