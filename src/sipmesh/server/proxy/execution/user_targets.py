"""Where a user is: the home pool, or here the phones, a notifier or the store in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.verifier import user_of
from sipmesh.routing.events.reference import refused_reference
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import (
    Answer,
    Forward,
    Serve,
    Store,
    ToContact,
    ToUser,
    try_later,
)
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.roles.front_end import to_home
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.text import shown
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.execution.phone_events import PhoneEvents
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.sip.message import Request

NO_USERS_YET: Final = try_later("management has not sent the users yet")
NOT_TAKEN_OVER: Final = try_later("the servers of the home pool still answer here, or have answered a short time ago")
EVENT_METHODS: Final = frozenset({"SUBSCRIBE", "PUBLISH"})


class UserTargets:
    """Finds users by what is in force."""

    def __init__(
        self,
        current: Current,
        registrations: Registrations,
        events: EventServer,
        phone_events: PhoneEvents,
    ) -> None:
        self._current, self._registrations, self._events = current, registrations, events
        self._phone_events = phone_events

    def __repr__(self) -> str:
        return f"<UserTargets {self._current.value.homes!r}>"

    def at_contact(self, request: Request, outcome: ToContact) -> ToUser | Forward | Answer:
        """Find whose Contact is addressed: of a user with a link here, or of another server of the pool, which may know it."""
        owner = self._registrations.owner_at(outcome.contact.address)
        if owner and not self._has_namesake(owner):
            return ToUser(owner, outcome.identity, outcome.contact)
        mates = self._current.value.view.pool_mates if outcome.asks_mates else ()
        if not mates:
            return Answer(
                404, code=Code.NO_ROUTE, why=f"no user has registered the Contact {shown(outcome.contact.address)}"
            )
        asked = [ServerTarget((mate,), LinkKind.SERVER, request.uri, asks=True) for mate in sorted(mates)]
        return Forward(tuple(asked), outcome.identity)

    def _has_namesake(self, aor: str) -> bool:
        """Tell whether another of our domains has a user of the same name, who may have registered the same Contact elsewhere."""
        user = user_of(aor)
        view, homes = self._current.value.view, self._current.value.homes
        same = [domain for domain in view.sip_domains if homes.of(f"sip:{user}@{domain}") is not None]
        return len(same) > 1

    def owned(self, outcome: ToUser) -> tuple[ToUser, str | None]:
        """Replace an alias by the user whose it is, and give the pool that serves this user; None for an unknown user."""
        homes = self._current.value.homes
        home = homes.of(outcome.aor)
        if home is not None:
            return outcome, home
        owner = homes.owner_of(outcome.aor) or outcome.aor
        return ToUser(owner, outcome.identity, outcome.device, outcome.instead), homes.of(owner)

    def find(
        self, flow: Flow, request: Request, outcome: ToUser, home: str | None
    ) -> Forward | Answer | Store | Serve | None:
        """Find where a user is whom the pool *home* serves (see `owned`); None where the registrations have to be read first."""
        view = self._current.value.view
        if outcome.instead is not None and home != view.pool.name:
            return outcome.instead
        if home is None and not self._current.value.homes.ready:
            return NO_USERS_YET
        if home is None or flow.sender is None:
            return Answer(404, why=f"{outcome.aor} is not a user of this network")
        if home != view.pool.name:
            return self._to_home(flow.sender, request, outcome, home)
        return self._at_home(flow, request, outcome)

    def _to_home(self, sender: Sender, request: Request, outcome: ToUser, home: str) -> Forward | Answer:
        """Send a request to the home pool of its user; another front end that asks its backup pool too early may ask again."""
        view = self._current.value.view
        is_from_front_end = isinstance(sender, ServerSender) and sender.peer.role is Role.FRONT_END
        if is_from_front_end and view.backup_of(home) == view.pool.name:
            return NOT_TAKEN_OVER
        return to_home(request, outcome, sender, home, view.way_to(home))

    def _at_home(self, flow: Flow, request: Request, outcome: ToUser) -> Forward | Answer | Store | Serve | None:
        """Find the phones of a user of our pool, or what serves the request in their place."""
        if request.method in EVENT_METHODS and outcome.device is None:
            served = self._events.served(request, outcome, flow.sender)
            if served is not None:
                return served
        if request.method != "MESSAGE":  # the most frequent method, which no rule refuses
            refused = self._events.refused(request, outcome)
            if refused is not None:
                return refused
        if request.method == "REFER" and flow.sender is not None:
            is_application = self._is_application(flow.sender, outcome.identity or "")
            refused = refused_reference(request, outcome.aor, outcome.identity, is_application=is_application)
            if refused is None and outcome.instead is not None:  # to another link of the device that rings
                refused = self._phone_events.refused_early(request, outcome.instead)
            if refused is not None:
                return refused
        held = self._registrations.bindings(outcome.aor)
        if held is None and request.method == "ACK":  # it cannot wait, since nothing answers it
            return outcome.instead
        return None if held is None else self.at_bindings(request, outcome, held)

    def _is_application(self, sender: Sender, identity: str) -> bool:
        """Tell whether a request is of an application: on its link, or in a name that applications speak for and no user has."""
        if isinstance(sender, ServerSender) and sender.peer.role is Role.APPLICATION:
            return True
        domain = identity.rpartition("@")[2]
        pools = self._current.value.view.loaded.topology.pools
        return self._current.value.homes.of(identity) is None and any(domain in pool.speaks_for for pool in pools)

    def at_bindings(self, request: Request, outcome: ToUser, held: Sequence[Binding]) -> Forward | Answer | Store:
        """Make the targets of a request for a user with the bindings *held*; a MESSAGE is stored for a user who has none."""
        if outcome.device is not None:
            held = outcome.device.rows_of(held)
            if not held and outcome.instead is not None:
                return outcome.instead
        elif request.method == "MESSAGE" and self._events.is_to_store(request, outcome.aor, is_registered=bool(held)):
            return Store(outcome.aor, outcome.identity)
        view = self._current.value.view
        found = fork(request, held, outcome.identity, view.name, view.pool_mates)
        if request.method != "MESSAGE" or isinstance(found, Answer) or outcome.device is not None:
            return found
        if self._registrations.is_elsewhere(held) and self._events.is_to_store(
            request, outcome.aor, is_registered=False
        ):
            return Forward(found.targets, found.identity, Store(outcome.aor, outcome.identity))
        return found
