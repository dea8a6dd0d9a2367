"""The invariants: what must hold at each message, at each second, and at rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulation.faults import LOSE_LINKS
from simulation.leaders import LINKED_S
from simulation.operations import PROMISE_S
from simulation.organisations import MANAGED, MANAGERS, SPOKEN_FOR, USERS
from simulation.phone import MARK
from simulation.processes import ProcessState
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.text_cache import short_key
from sipmesh.transport.link.state import LinkState

if TYPE_CHECKING:
    from simulation.phone import Phone, Transaction
    from simulation.server import Server
    from simulation.world import World
    from sipmesh.errors import OperatorError
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.link import Link

FINAL_S: Final = 32.0
"""Timers B, F and H: 64*T1 (RFC 3261 17)."""

SLACK_S: Final = 4.0
"""For delays of the network, and for the half second between two looks at the timers."""

FOLLOWED_S: Final = 40.0
"""Within this time after the last fault, every server has the newest version: links are dialled again every 5 s."""

STOPS_RINGING_S: Final = 8.0

MOVED_S: Final = 45.0
"""Within this time a user who was moved has left the pool before: what is under way ends before."""

GIVEN_BACK_S: Final = 8.0
"""Within this time after a server answers again, its pool is given back: trials have pauses of up to 5 s."""

SILENT_S: Final = 15.0
"""Within this time a server has closed a link whose peer cannot be heard."""

LEASE_BACK_S: Final = 6.0
"""Within this time after a server has hung, it has renewed its lease, and stored its registrations again."""

DELAY_ANSWERS: Final = LOSE_LINKS | {"deaf_phone"}
DELAY_DOCUMENTS: Final = LOSE_LINKS | {
    "slow_store",
    "fill_disk",
    "database_down",
    "cut_database",
    "older_database",
    "jump_clock",
}
REFUSE_STARTS: Final = {"lock_store", "descriptors", "database_down", "cut_database"}


@dataclass
class Injected:
    """A request that a phone has sent, and when it arrived at each other phone."""

    phone: Phone
    transaction: Transaction
    arrived: dict[str, float] = field(default_factory=dict)


class Checks:
    """Looks at the world from outside; each broken rule goes to `World.violated`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.injected: dict[str, Injected] = {}
        self.calls: dict[str, tuple[float, int]] = {}
        self._cut_since: dict[tuple[str, str], float] = {}

    def _calm_s(self, kinds: frozenset[str] | None = None) -> float:
        """Return the seconds without a fault of one of *kinds*, or of any kind."""
        return self.world.loop.now - self.world.troubled_at(kinds)

    # At each message

    def sent(self, phone: Phone, transaction: Transaction) -> None:
        """Remember a request that leaves a phone."""
        self.injected[transaction.mark] = Injected(phone, transaction)

    def request_arrived(self, phone: Phone, request: Request) -> None:
        """Hold a request that arrives at a phone against what its sender has proved."""
        mark = request.first(MARK)
        if mark is None:
            if request.method not in {"ACK", "CANCEL"}:
                self.world.violated("each message has a sender", f"{request!r} came to {phone.name}")
            return
        injected = self.injected.get(mark)
        if injected is None:
            self.world.violated("each message has a sender", f"{request!r} with the mark {mark} came to {phone.name}")
            return
        if request.method != "MESSAGE" or not self.world.stored.arrived(phone, mark):
            self._once(phone, injected, request)
        self._to_its_addressee(phone, injected, request)
        self._from_its_sender(phone, injected, request)

    def _once(self, phone: Phone, injected: Injected, request: Request) -> None:
        """No message arrives twice, unless a link was lost on its way: then a proxy tries another way (RFC 3261 16.9).

        A phone that loses its link before it has answered gets it again too. A phone that sends a request again, in a new
        transaction, has sent two requests.
        """
        if injected.transaction.mark in self.world.stored.repeated:
            return
        before = injected.arrived.get(phone.name)
        injected.arrived[phone.name] = self.world.loop.now
        sent_at = injected.transaction.sent_at
        if before is not None and phone.up_at < before and self.world.troubled_at(LOSE_LINKS) < sent_at - SLACK_S:
            self.world.violated("no message twice", f"{request.method} {injected.transaction.mark} to {phone.name}")

    def _to_its_addressee(self, phone: Phone, injected: Injected, request: Request) -> None:
        asked = injected.transaction.request
        inside = (
            asked.to.tag is not None
        )  # in a dialog, the newest device of a user takes over from a device that is gone
        if not request.uri.startswith(f"sip:{phone.user}@" if inside else phone.contact.partition(";")[0].strip("<>")):
            self.world.violated("none to somebody else", f"{request.uri} came to {phone.name}")
        elif not inside and asked.ruri.aor != phone.aor:
            self.world.violated("none to somebody else", f"{asked.method} to {asked.uri} came to {phone.name}")

    def _from_its_sender(self, phone: Phone, injected: Injected, request: Request) -> None:
        sender = injected.phone
        if injected.transaction.request.has("privacy"):
            self._shows_nobody(phone, sender, request)
            return
        if request.to.tag is None and not _may_be(sender, request.from_):
            self.world.violated("no identity without proof", f"{sender.name} as {request.from_} to {phone.name}")
        for value in request.items("p-asserted-identity"):
            if not _may_be(sender, NameAddr.parse(value)):
                self.world.violated("no identity without proof", f"{sender.name} asserts {value} to {phone.name}")

    def _shows_nobody(self, phone: Phone, sender: Phone, request: Request) -> None:
        """A request whose sender hides shows it in no field (RFC 3323 section 5)."""
        if sender.aor == phone.aor:
            return
        names = (f"{sender.user}@", f"{sender.name}.", f"{sender.name}-")
        shown = [
            row.name for row in request.rows if row.name.lower() != MARK and any(name in row.value for name in names)
        ]
        if shown:
            self.world.violated("who hides is not shown", f"{', '.join(shown)} of {sender.name} to {phone.name}")

    def response_arrived(self, phone: Phone, response: Response, transaction: Transaction | None) -> None:
        """Hold a response against its request."""
        if transaction is None:
            self.world.violated("each response has a request", f"{response!r} came to {phone.name}")
            return
        asked = transaction.request
        for name in ("from", "call-id", "cseq"):
            if response.values(name) != asked.values(name):
                self.world.violated("each response has a request", f"{name} of {response!r} at {phone.name}")
        if response.status < 200:
            return
        if transaction.repeated:  # what was answered at once is over, and its repetition is a new request (timer J)
            return
        if response.status == 202 and asked.method == "MESSAGE":
            self.world.stored.accepted(phone, transaction)
        again = [status for status, tag in transaction.finals if response.status >= 300 or tag == response.to.tag]
        if again or (transaction.finals and transaction.method != "INVITE"):
            self.world.violated("no message twice", f"{response.status} after {transaction.finals} at {phone.name}")

    def cancel_answered(self, phone: Phone, response: Response, transaction: Transaction | None) -> None:
        """A CANCEL is answered once, and hop by hop (RFC 3261 9.2): the response to another one is for no caller here."""
        if transaction is None or not transaction.cancelled_at or transaction.cancel_answers:
            self.world.violated("each response has a request", f"{response!r} came to {phone.name}")
        if transaction is not None:
            transaction.cancel_answers += 1

    def must_be_answered(self, phone: Phone, transaction: Transaction, sock: object) -> None:
        """A message of a calm time: its sender has a 200 by now."""
        if phone.sock is not sock or self._calm_s() < self.world.loop.now - transaction.sent_at:
            return
        devices = [other for other in self.world.phones if other.aor == transaction.request.ruri.aor]
        if self.world.operations.is_moving(transaction.request.ruri.aor):
            return
        if any(other.up_at > transaction.sent_at or not other.is_registered for other in devices):
            return
        if self.world.stored.have_waited(
            transaction.request.ruri.aor, transaction.sent_at
        ):  # a new one comes after them, if there is room
            return
        if not any(status in {200, 202, 401, 407} for status, _ in transaction.finals):
            self.world.violated(
                "a message in calm arrives", f"{transaction.mark} to {transaction.request.uri}: {transaction.finals}"
            )

    # Calls

    def call_began(self, call_id: str, at: float) -> None:
        """A 2xx has come to an INVITE that was sent at the loop time *at*: each one begins a dialog."""
        began, dialogs = self.calls.get(call_id, (at, 0))
        self.calls[call_id] = began, dialogs + 1

    def _last_dialog_ended(self, call_id: str) -> float | None:
        """Return when a call has begun of which no dialog is left now; None for any other one."""
        began, dialogs = self.calls.pop(call_id, (0.0, 0))
        if dialogs > 1:
            self.calls[call_id] = began, dialogs - 1
        return began if dialogs == 1 else None

    def call_ended(self, phone: Phone, bye: Transaction, status: int) -> None:
        """A BYE was answered: the other side has it, and no server keeps the call, unless a fault was at work during the call."""
        request = bye.request
        began = self._last_dialog_ended(request.call_id)
        if began is None or self.world.troubled_at(DELAY_ANSWERS) >= began - SLACK_S or phone.up_at > began:
            return
        if phone.aor == request.to.aor and self.world.operations.is_moving(phone.aor):
            return  # docs/simulation.md: a phone that answers its own call, at another pool than that of its user
        others = [other for other in self.world.phones if other.aor == request.to.aor]
        if status >= 300 and status not in {401, 407} and all(other.up and other.up_at < began for other in others):
            self.world.violated("a call can be ended", f"{status} to the BYE of {phone.name} for {request.to.aor}")
        key = short_key(request.call_id)
        for server, node in self.world.nodes():
            if status < 300 and key in node.relay.calls.table._calls:
                self.world.violated("an ended call is forgotten", f"{request.call_id} on {server.name}")

    def must_be_acknowledged(self, phone: Phone, sock: object, call_id: str, at: float) -> None:
        """A phone that has refused an INVITE gets an ACK on the same link (RFC 3261 17.1.1.3)."""
        calm = self.world.troubled_at(DELAY_ANSWERS) < at - SLACK_S and phone.troubled_at < at - SLACK_S
        if phone.sock is sock and phone.up and calm and call_id not in phone.acknowledged:
            self.world.violated("a refusal is acknowledged", f"{call_id} at {phone.name}")

    def registered(self, phone: Phone, transaction: Transaction) -> None:
        """A phone has read the 200 to its REGISTER: the registration is visible at once."""
        self.world.registrations.must_be_visible(phone)
        self.world.accounts.logged_in(phone, transaction)
        operations, now = self.world.operations, self.world.loop.now
        changed_at = operations.locked_out.get(phone.aor, operations.removed.get(phone.aor, now))
        if min(now - changed_at, self._calm_s(DELAY_DOCUMENTS)) > PROMISE_S and not phone.chain:
            self.world.violated("no old password is accepted", f"{phone.name} on {phone.server}")

    # Servers

    def could_not_start(self, server: Server, wrong: OperatorError) -> None:
        """A server could not start: only a full disk, a lock, a lack of descriptors and an older state are reasons."""
        if server.rolled_back:
            return
        injector = self.world.injector
        active = {fault.kind for fault in injector.active} if injector is not None else set()
        if not active & REFUSE_STARTS and not server.process.full:
            problems = "; ".join(f"{problem.file.name}: {problem.reason}" for problem in wrong.problems)
            self.world.violated("a server starts", f"{server.name}: {wrong.message} ({problems})")

    def started(self, server: Server) -> None:
        """A server has started: with the version that it had, or a newer one."""
        self._follows(server)
        self.world.leaders.started(server)
        if server.node is not None:
            self.world.documents.started(server, server.node)

    def stopped(self, server: Server) -> None:
        """A server has stopped on order: nothing of it is left."""
        tasks = [task for task in server.process.tasks if not task.done() and task is not server.task]
        if server.process.sockets or tasks:
            self.world.violated("a stop leaves nothing", f"{server.name}: {server.process.sockets} {tasks}")

    # At each second

    def each_second(self) -> None:
        """Look at everything that runs."""
        if self.world.injector is not None:
            self.world.injector.note()
        for phone in self.world.phones:
            self._note_trouble(phone)
            self._transactions_end(phone)
            self._ringing_stops(phone)
        cut, now = self.world.network.cut, self.world.loop.now
        self._cut_since = {way: self._cut_since.get(way, now) for way in cut}
        for server, node in self.world.nodes():
            self._silent_links_close(server, node)
            if server.name in (*MANAGED, *MANAGERS):
                self._follows(server)
            self._gone_are_gone(server, node)
            self._serves_no_other_pool(server, node)
            self._relies_on_nothing_refused(server, node)
        self._versions_stay()
        self.world.registrations.each_second()
        self.world.stored.each_second()
        self.world.leaders.each_second()
        self.world.documents.each_second()
        self.world.accounts.each_second()

    def _note_trouble(self, phone: Phone) -> None:
        network, server = self.world.network, phone.server
        ways = ((phone.name, server), (server, phone.name))
        hung = bool(server) and self.world.servers[server].process.state is not ProcessState.RUNNING
        if hung or not phone.reads or any(way in network.cut or way in network.slow for way in ways):
            phone.troubled_at = self.world.loop.now

    def _transactions_end(self, phone: Phone) -> None:
        """Each INVITE gets a final response in time; any other request too, if nothing is in trouble (RFC 4320 4.2)."""
        now = self.world.loop.now
        for key, transaction in list(phone.pending.items()):
            if transaction.finals:
                if now - transaction.sent_at > FINAL_S:
                    del phone.pending[key]
                continue
            if transaction.method != "INVITE" and self.world.troubled_at(DELAY_ANSWERS) >= transaction.sent_at:
                continue
            began = transaction.cancelled_at if transaction.method == "INVITE" else transaction.sent_at
            if not began and not transaction.ringing and self.world.troubled_at(DELAY_ANSWERS) < transaction.sent_at:
                began = transaction.sent_at  # it was not cancelled, and it does not ring: its branches have timed out
            if began and now - max(began, phone.troubled_at) > FINAL_S + SLACK_S:
                self.world.violated("each transaction ends", f"{transaction.method} {transaction.mark} of {phone.name}")
                del phone.pending[key]

    def _ringing_stops(self, phone: Phone) -> None:
        """A phone stops to ring when the call has ended at its caller, if no fault was at work during the call.

        A server that hung longer than timer B delivers the INVITE when it continues: it cannot be cancelled then (RFC 3261 9.1).
        """
        now = self.world.loop.now
        for key, ring in list(phone.rings.items()):
            injected = self.injected.get(ring.request.first(MARK) or "")
            if ring.answered or injected is None:
                if now - ring.since > FINAL_S:
                    del phone.rings[key]
                continue
            ended = injected.transaction.ended_at
            sent_at = injected.transaction.sent_at
            calm = self._calm_s(DELAY_ANSWERS) > now - sent_at and now - ended > STOPS_RINGING_S
            if ended and calm and phone.troubled_at < sent_at and not ring.cancelled:
                self.world.violated(
                    "a CANCEL arrives", f"{phone.name} rings, and {injected.transaction.mark} has ended"
                )

    # Links

    def _silent_links_close(self, server: Server, node: RunningServer) -> None:
        """A link between servers ends if nothing comes from its peer."""
        before = self.world.loop.now - SILENT_S
        silent = {one for (one, other), since in self._cut_since.items() if other == server.name and since < before}
        if not silent or server.process.hung_until > before:
            return
        for link in _up(node):
            if link.is_here and link.peer_name in silent and link.opened_at < before:
                self.world.violated("a silent link is closed", f"{link!r} on {server.name}")

    def _serves_no_other_pool(self, server: Server, node: RunningServer) -> None:
        """A backup pool serves the users of a pool only while none of its servers answers."""
        for pool in node.takeovers.pools:
            for other in node.view.pools[pool].servers:
                well_s = min(self.world.calm_of(server.name, other), self.world.loop.now - self.world.up_since(other))
                if well_s > GIVEN_BACK_S and self.world.servers[other].serves:
                    self.world.violated("a pool that answers is not taken over", f"{pool} on {server.name}")

    # Versions

    def _follows(self, server: Server) -> None:
        if server.node is None:
            return
        number = server.node.view.loaded.number
        if number < server.highest:
            self.world.violated("no older version", f"{server.name} has version {number} after {server.highest}")
        server.highest = max(server.highest, number)

    def _versions_stay(self) -> None:
        """A version that was acknowledged is in the history, and in time it is in force everywhere."""
        leader, acknowledged = self.world.leader, self.world.operations.acknowledged
        if leader is None or not acknowledged or leader[0].process.hung_until > self.world.loop.now - LEASE_BACK_S:
            return  # a server that has hung may not know yet that another server leads
        controller = leader[1]
        newest = max(acknowledged)
        head = controller.management_db.history.head()
        if head is None or head.number < newest:
            self.world.violated(
                "an acknowledged version stays", f"{newest} was acknowledged, {controller.newest} is newest"
            )
        now = self.world.loop.now
        if now - max(self.world.troubled_at(DELAY_DOCUMENTS), acknowledged[newest]) < FOLLOWED_S:
            return
        for server, node in self.world.nodes():
            if server.name in MANAGED and node.view.loaded.number != max(newest, controller.newest):
                self.world.violated(
                    "every server follows",
                    f"{server.name} has {node.view.loaded.number}, newest is {max(newest, controller.newest)}",
                )

    # Removed and revoked

    def _gone_are_gone(self, server: Server, node: RunningServer) -> None:
        """Where nothing is in trouble, removed users and revoked certificates have no live link after the promise."""
        operations, now = self.world.operations, self.world.loop.now
        if self._calm_s(DELAY_DOCUMENTS) <= PROMISE_S:
            return
        gone = {
            aor for aor, at in (*operations.removed.items(), *operations.locked_out.items()) if now - at > PROMISE_S
        }
        revoked = {serial for serial, at in operations.revoked.items() if now - at > PROMISE_S}
        if gone:
            for flow in node.flow_table.sessions():
                if flow.users & gone:
                    self.world.violated("a removed user has no link", f"{sorted(flow.users & gone)} on {server.name}")
        if not node.takeovers.pools:
            self._moved_have_left(server, node, now)
        if revoked and server.name in (*MANAGED, *MANAGERS):
            self._relies_on_none(server, node, revoked)

    def _moved_have_left(self, server: Server, node: RunningServer, now: float) -> None:
        """A user who was moved to another pool has no login and no registration at the pool before, once nothing is under way."""
        moved = {
            aor
            for aor, at in self.world.operations.moved.items()
            if now - at > MOVED_S and USERS[aor.removeprefix("sip:").partition("@")[0]] == node.view.pool.name
        }
        for flow in node.flow_table.sessions() if moved else ():
            if flow.users & moved:
                self.world.violated("a moved user has left", f"{sorted(flow.users & moved)} on {server.name}")
        for row in node.registrations.here(500, ("", "")) if moved else ():
            if row.aor in moved:
                self.world.violated("a moved user has left", f"{row.contact} of {row.aor} on {server.name}")

    def _relies_on_nothing_refused(self, server: Server, node: RunningServer) -> None:
        """No process has a link that relies on a certificate which a CRL in force there, or a pushed revocation, names."""
        lists = node.view.loaded.authority.lists
        for link in node.pool.all():
            verdict = link.verdict if link.state in (LinkState.UP, LinkState.DRAINING) else None
            for issuer, serial in verdict.relied_on if verdict is not None else ():
                if any(serial in crl.serials for crl in lists.of(issuer)):
                    self.world.violated(
                        "a link relies on nothing that its server refuses", f"{link!r} on {server.name}"
                    )

    def revoked(self, leader: str, serial: int) -> None:
        """A certificate was revoked a second ago: no link relies on it, where management could reach the server (rule R7)."""
        for server, node in self.world.nodes():
            if server.name in MANAGED and self.world.calm_of(leader, server.name) > LINKED_S:
                self._relies_on_none(server, node, {serial})

    def _relies_on_none(self, server: Server, node: RunningServer, revoked: set[int]) -> None:
        for link in node.pool.all():
            verdict = link.verdict if link.state in (LinkState.UP, LinkState.DRAINING) else None
            if verdict is not None and any(serial in revoked for _, serial in verdict.relied_on):
                self.world.violated("a revoked certificate has no link", f"{link!r} on {server.name}")

    # At rest

    def at_rest(self) -> None:
        """After all phones were silent for longer than every timer, nothing is left of what they did."""
        self.world.sizes.at_rest()
        self.world.registrations.at_rest()
        for server in self.world.servers.values():
            if not server.serves:
                self.world.violated("a server starts", f"{server.name} is down at the end")
        self.world.stored.at_rest()
        self.world.leaders.at_rest()
        self.world.documents.at_rest()
        self.world.accounts.at_rest()


def _may_be(phone: Phone, address: NameAddr) -> bool:
    """Whether a phone has proved that it may speak as *address*."""
    if not address.is_sip:
        return False
    return address.aor == phone.aor or (phone.domain == SPOKEN_FOR == address.sip_uri.host)


def _up(node: RunningServer) -> list[Link]:
    return [link for link in node.pool.all() if link.state is LinkState.UP]
