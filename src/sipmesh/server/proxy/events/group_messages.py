"""Sends a MESSAGE to a group to each member once: stored at home here, or sent to the home pool of the member.

A stored message is delivered at once to a phone that is registered. So a member who is away gets it later, and the sender learns
by one answer whether each member has it, or will get it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.diversion import Diversion, Reason, add_history
from sipmesh.routing.events.stored_message import delivery
from sipmesh.routing.outcome import Answer, try_later
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import ServerTarget
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.server.quotas.principals import answers_for
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION
from sipmesh.storage.messages import Storing
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.outcome import ToMembers
    from sipmesh.server.in_force.address_rules import AddressRules
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.message_storing import MessageStoring
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.sip.message import Request

AT_ONCE: Final = 20
"""Members of one message that are written to the database, or asked for at their pool, at the same time."""

MESSAGES_A_MINUTE: Final = 10
"""Messages to groups of one user, or of one partner with all its users: each may be a thousand."""

TOO_MANY: Final = try_later("too many messages to groups", after_s="60")

UNDER_WAY: Final = 2
"""Messages to groups of one sender at the same time: of more of them, most copies would exceed what may wait of a sender."""

TOO_FAST: Final = try_later("messages of this sender to groups are still under way", after_s="5")


Ended = Callable[[Storing], None]
"""Gets what has become of one copy."""


class GroupMessages:
    """Sends messages to groups. *rules* say which partner a sender is of; *clock* gives seconds of the loop."""

    def __init__(
        self,
        storing: MessageStoring,
        own_requests: OwnRequests,
        flow_table: FlowTable,
        current: Current,
        rules: AddressRules,
        clock: Callable[[], float],
    ) -> None:
        self._storing, self._own_requests, self._flow_table = storing, own_requests, flow_table
        self._current, self._rules = current, rules
        self._rate = RequestRate(MESSAGES_A_MINUTE, clock)
        self._under_way: Counter[str] = Counter()

    def refused(self, sender: str) -> Answer | None:
        """Count a message of *sender* to a group, and return why it is refused."""
        principal = answers_for(sender, self._rules.partner_of)
        if self._under_way[principal] >= UNDER_WAY:
            return TOO_FAST
        return None if self._rate.admits(principal) else TOO_MANY

    def send(
        self, request: Request, order: ToMembers, has_stored: Callable[[str], None], done: Callable[[int], None]
    ) -> None:
        """Send *request* to the members; *done* gets how many of them it has not reached, once that is known of all.

        *has_stored* has a message delivered that is stored for a user. To of each copy is the group by its own address, no alias.
        """
        copy = request.copy()
        copy.remove("to")
        copy.append("to", f"<{order.aor}>")
        written = self._storing.written(copy, order.identity)

        principal = written.sender
        self._under_way[principal] += 1

        def to_one(member: str, ended: Ended) -> None:
            if self._current.value.homes.elsewhere(member):
                self._ask_pool(order.aor, member, written.octets, 0, ended)
            elif copies.is_full:
                ended(Storing.SENDER_FULL)
            else:
                self._storing.store(written, member, partial(_stored, member, has_stored, ended))

        def over(missed: int) -> None:
            self._under_way[principal] -= 1
            if not self._under_way[principal]:
                del self._under_way[principal]
            done(missed)

        copies = Copies(order.members, to_one, over)
        copies.go_on()

    def _ask_pool(self, group: str, member: str, octets: bytes, attempt: int, ended: Ended) -> None:
        """Send the message to a server of the home pool of *member*, and to the next one if that server cannot be reached."""
        view, homes = self._current.value.view, self._current.value.homes
        servers = view.way_to(homes.elsewhere(member))
        names = servers.turned(member) if servers else ()
        if attempt >= len(names):
            ended(Storing.FAILED)
            return
        request, identity = delivery(octets, member)
        add_history(request, (Diversion(group, member, Reason.HUNT_GROUP),), view.loaded.topology.sip_domains[0])
        target = ServerTarget((names[attempt],), LinkKind.SERVER, member)
        flow = self._flow_table.find(Start(0, target, names[attempt]))
        following = partial(self._ask_pool, group, member, octets, attempt + 1, ended)
        if flow is None:
            following()
            return
        self._own_requests.send_as(
            flow, request, identity, lambda status: following() if status == NO_ANSWER else ended(result_of(status))
        )


def _stored(member: str, has_stored: Callable[[str], None], ended: Ended, result: Storing) -> None:
    if result is Storing.STORED:
        has_stored(member)
    ended(result)


class Copies:
    """One message on its way to *members*; *to_one* sends one copy, and *done* gets how many members were missed.

    *is_full*: more of the sender cannot be stored. To ask for each further member would only occupy the database.
    """

    __slots__ = ("_done", "_is_going", "_left", "_missed", "_open", "_to_one", "is_full")

    def __init__(
        self,
        members: tuple[str, ...],
        to_one: Callable[[str, Ended], None],
        done: Callable[[int], None],
    ) -> None:
        self._left, self._to_one, self._done = deque(members), to_one, done
        self._open = self._missed = 0
        self._is_going = self.is_full = False

    def go_on(self) -> None:
        """Send further copies, `AT_ONCE` at the same time. A copy that ends at once begins no second loop."""
        if self._is_going:
            return
        self._is_going = True
        while self._left and self._open < AT_ONCE:
            self._open += 1
            self._to_one(self._left.popleft(), self._ended)
        self._is_going = False
        if not self._left and not self._open:
            self._done(self._missed)

    def _ended(self, result: Storing) -> None:
        self._open -= 1
        self._missed += result is not Storing.STORED
        self.is_full = self.is_full or result is Storing.SENDER_FULL
        self.go_on()


def result_of(status: int) -> Storing:
    """Give what has become of a copy at the home pool of its member, which has answered *status*."""
    return Storing.STORED if FIRST_FINAL <= status < FIRST_REDIRECTION else Storing.FAILED
