"""Where a user is: at the home pool, or here the phones, a notifier or the store in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.verifier import user_of
from sipmesh.routing.events.history_query import NOT_THE_USER, is_of_user
from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.routing.events.packages import MESSAGE_HISTORY, event_type, is_for_notifier
from sipmesh.routing.events.reference import refused_reference
from sipmesh.routing.events.stored_message import is_storable
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Forward, Serve, Store, ToContact, ToMembers, ToUser, try_later
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.roles.front_end import may_leave, to_home
from sipmesh.routing.target import AnotherNotifier, ServerTarget
from sipmesh.server.proxy.serving.call_forwarding import by_rules, carries_out
from sipmesh.server.proxy.serving.call_groups import ring_group, rings_for_group, write_to_group
from sipmesh.server.proxy.serving.dialling import number_called, to_trunks
from sipmesh.server.proxy.serving.effects import ReadBindings
from sipmesh.server.proxy.serving.screened_calls import to_screener
from sipmesh.server.proxy.serving.watchers import refused_early_reference, refused_watcher
from sipmesh.sip.names import GUARDED
from sipmesh.sip.status import Status
from sipmesh.sip.tel import NO_DOMAIN
from sipmesh.sip.text import shown
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.numbers.application_table import ApplicationRoute
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request

NO_USERS_YET: Final = try_later("management has not sent the users yet")
NOT_TAKEN_OVER: Final = try_later("the servers of the home pool still answer here, or have answered a short time ago")
NOT_OF_GROUPS: Final = frozenset({"ACK", "MESSAGE"})
"""What a group does not refuse at once: nothing answers an ACK, and a MESSAGE, the most frequent method, finds no phone."""

EVENT_METHODS: Final = frozenset({"SUBSCRIBE", "PUBLISH", "NOTIFY"})

Found = ToUser | Forward | Answer | Store | ToMembers | Serve | ReadBindings


def find_contact(
    state: ServingState, in_force: InForce, request: Request, outcome: ToContact
) -> ToUser | Forward | Answer:
    """Find whose Contact is addressed: of a user with a link here, or of another server of the pool, which may know it."""
    owner = state.registrations.owner_at(outcome.contact.address)
    if owner and not _has_namesake(in_force, owner):
        return ToUser(owner, outcome.identity, outcome.contact)
    mates = in_force.view.pool_mates if outcome.asks_mates else ()
    if not mates:
        why = f"no user has registered the Contact {shown(outcome.contact.address)}"
        return Answer(Status.NOT_FOUND, code=Code.NO_ROUTE, why=why)
    asked = [ServerTarget((mate,), LinkKind.SERVER, request.uri, asks=True) for mate in sorted(mates)]
    return Forward(tuple(asked), outcome.identity)


def _has_namesake(in_force: InForce, aor: str) -> bool:
    """Tell whether another of our domains has a user of the same name, who may have registered the same Contact elsewhere."""
    user, homes = user_of(aor), in_force.homes
    same = [domain for domain in in_force.view.sip_domains if homes.of(f"sip:{user}@{domain}") is not None]
    return len(same) > 1


def find_user(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser, now: float
) -> Found:
    """Find where the user of *outcome* is; an alias is replaced by the user whose it is."""
    homes, view = in_force.homes, in_force.view
    home = homes.of(outcome.aor)
    if home is None:
        owner = homes.owner_of(outcome.aor) or outcome.aor
        outcome = ToUser(owner, outcome.identity, outcome.device, outcome.instead, outcome.chain)
        home = homes.of(owner)
    group = homes.group_rules(outcome.aor) if request.method not in NOT_OF_GROUPS and request.to.tag is None else None
    if group is not None and (home == view.pool.name or carries_out(in_force, sender)):
        return ring_group(state, in_force, sender, request, outcome, group, now)
    if home == view.pool.name:
        return _find_at_home(state, in_force, sender, request, outcome, now)
    if outcome.instead is not None:
        return outcome.instead
    if home is None:
        return _at_number(state, in_force, sender, request, outcome, now) if homes.ready else NO_USERS_YET
    if request.method == "MESSAGE" and carries_out(in_force, sender) and (group := homes.group_rules(outcome.aor)):
        return write_to_group(in_force, request, outcome, group)
    return _to_home(in_force, sender, request, outcome, home)


def _at_number(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser, now: float
) -> Found:
    """Find whose name it is that no user has: a user's by its number, an application's, or a telephone number behind a trunk."""
    number = number_called(in_force, outcome)
    owner = in_force.homes.owner_of(f"sip:{number}@{NO_DOMAIN}") if number else ""
    if owner:
        return find_user(state, in_force, sender, request, ToUser(owner, outcome.identity), now)
    application = in_force.applications.at(outcome.aor, number) if outcome.device is None else None
    if application is not None:
        return to_named_application(in_force, sender, request, outcome, application, number)
    is_nobody = Answer(Status.NOT_FOUND, why=f"{outcome.aor} is not a user of this network")
    return to_trunks(in_force, sender, request, outcome, number, state.time) or is_nobody


def to_named_application(
    in_force: InForce,
    sender: Sender,
    request: Request,
    outcome: ToUser,
    application: ApplicationRoute,
    number: str,
) -> Forward | Answer:
    """Send a request to the application with that name, by the pool of front ends before it."""
    if not (application.public or may_leave(sender)):
        why = f"partners and trunks may not call {outcome.aor}: the application {application.pool} is not public"
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=why)
    view = in_force.view
    if application.next_hop != view.pool.name:
        return to_home(request, outcome, sender, application.next_hop, view.way_to(application.next_hop))
    uri = f"sip:{number}@{view.loaded.topology.sip_domains[0]};user=phone" if number else request.uri
    return Forward((ServerTarget(view.pools[application.pool].servers, LinkKind.SERVER, uri),), outcome.identity)


def _to_home(in_force: InForce, sender: Sender, request: Request, outcome: ToUser, home: str) -> Forward | Answer:
    """Send a request to the home pool of its user; another front end that asks its backup pool too early may ask again."""
    view = in_force.view
    is_from_front_end = isinstance(sender, ServerSender) and sender.peer.role is Role.FRONT_END
    if is_from_front_end and view.backup_of(home) == view.pool.name:
        return NOT_TAKEN_OVER
    return to_home(request, outcome, sender, home, view.way_to(home))


def _find_at_home(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser, now: float
) -> Found:
    """Find the phones of a user of our pool, or what serves the request in their place."""
    if request.method != "MESSAGE":  # the most frequent method, which has no notifier, and which no rule refuses
        instead = _instead_of_phones(state, in_force, sender, request, outcome)
        if instead is not None:
            return instead
    if request.method == "INVITE" and in_force.applications.screen:
        screened = to_screener(state, in_force, sender, request, outcome)
        if screened is not None:
            return screened
    held = state.registrations.bindings(outcome.aor, now)
    if held is not None:
        return at_bindings(state, in_force, sender, request, outcome, held)
    if request.method == "ACK" and outcome.instead is not None:  # it cannot wait, since nothing answers it
        return outcome.instead
    return ReadBindings(outcome)


def _instead_of_phones(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser
) -> Serve | Forward | Answer | None:
    """Give what serves or refuses a request in place of the phones of its user, who is at home here; None if nothing does."""
    if request.method in EVENT_METHODS and outcome.device is None:
        if event_type(request) == MESSAGE_HISTORY.name and not is_of_user(sender, in_force.view.pool.name):
            return NOT_THE_USER
        served = find_notifier(state, in_force, sender, request, outcome)
        if served is not None:
            return served
    refused = refused_watcher(in_force, request, outcome.aor, outcome.identity or "")
    if refused is None and request.method == "REFER":
        is_application = _is_application(in_force, sender, outcome.identity or "")
        refused = refused_reference(request, outcome.aor, outcome.identity, is_application=is_application)
        if refused is None and outcome.instead is not None:  # to another link of the device that rings
            refused = refused_early_reference(state, request, outcome.instead)
    return refused


def find_notifier(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser
) -> Serve | Forward | None:
    """Give a SUBSCRIBE or PUBLISH to the notifier of its user, which may be another server of this pool.

    None: it is for the phones of the user. What another server of this pool has sent here is served here.
    """
    if not is_for_notifier(request, outcome.aor, outcome.identity):
        return None
    if isinstance(sender, ServerSender) and sender.peer.pool == in_force.view.pool.name:
        return Serve(outcome.aor, outcome.identity)
    return next_notifier(state, in_force, request, AnotherNotifier(outcome.aor, outcome.identity, frozenset()))


def next_notifier(state: ServingState, in_force: InForce, request: Request, what: AnotherNotifier) -> Serve | Forward:
    """Give a SUBSCRIBE or PUBLISH to the notifier that is chosen without the servers that do not answer.

    If that one does not answer either, the request is decided about again without it.
    """
    down = {*state.outages.names, *what.tried}
    chosen = notifier_of(what.aor, in_force.view.pool.servers, down)
    if chosen in {in_force.view.name, ""}:
        return Serve(what.aor, what.identity)
    again = AnotherNotifier(what.aor, what.identity, what.tried | {chosen})
    target = ServerTarget((chosen,), LinkKind.SERVER, request.uri, again=again)
    return Forward((target,), what.identity)


def _is_application(in_force: InForce, sender: Sender, identity: str) -> bool:
    """Tell whether a request is of an application: on its link, or in a name that applications speak for and no user has."""
    if isinstance(sender, ServerSender) and sender.peer.role is Role.APPLICATION:
        return True
    domain, pools = identity.rpartition("@")[2], in_force.view.loaded.topology.pools
    return in_force.homes.of(identity) is None and any(domain in pool.speaks_for for pool in pools)


def at_bindings(
    state: ServingState,
    in_force: InForce,
    sender: Sender,
    request: Request,
    outcome: ToUser,
    held: Sequence[Binding],
) -> ToUser | Forward | Answer | Store | ToMembers:
    """Make the targets of a request for a user with the bindings *held*; a MESSAGE is stored for a user who has none.

    A call goes where the rules of the user say: perhaps to another user, who is to be found next.
    """
    is_message = request.method == "MESSAGE"
    rules = in_force.homes.call_rules(outcome.aor) if request.method == "INVITE" else None
    if (rules is not None or outcome.chain) and request.to.tag is None:
        of_device = held if outcome.device is None else outcome.device.rows_of(held)
        of_group = not outcome.chain and rings_for_group(in_force, sender, request, outcome.aor)
        return by_rules(in_force, sender, request, outcome, of_device, rules, state.time, of_group=of_group)
    if outcome.device is not None:
        held = outcome.device.rows_of(held)
        if not held and outcome.instead is not None:
            return outcome.instead
    elif is_message:
        instead = _instead_of_delivery(state, in_force, sender, request, outcome, is_registered=bool(held))
        if instead is not None:
            return instead
    view = in_force.view
    found = fork(request, held, outcome.identity, view.name, view.pool_mates)
    if not is_message or isinstance(found, Answer) or outcome.device is not None:
        return found
    may_be_lost = state.registrations.is_elsewhere(held)  # with the server that has its link
    if may_be_lost and is_to_store(state, in_force, request, outcome.aor, is_registered=False):
        return Forward(found.targets, found.identity, Store(outcome.aor, outcome.identity))
    return found


def _instead_of_delivery(
    state: ServingState, in_force: InForce, sender: Sender, request: Request, outcome: ToUser, *, is_registered: bool
) -> Store | ToMembers | Answer | None:
    """Give what is done with a MESSAGE that is not sent to phones now: it is for the members of a group, or it is stored."""
    group = in_force.homes.group_rules(outcome.aor) if not is_registered else None
    if group is not None and carries_out(in_force, sender):
        return write_to_group(in_force, request, outcome, group)
    if request.present & GUARDED and rings_for_group(in_force, sender, request, outcome.aor):
        is_registered = False  # it is stored, and delivered: a phone that does not answer keeps no sender waiting
    if is_to_store(state, in_force, request, outcome.aor, is_registered=is_registered):
        return Store(outcome.aor, outcome.identity)
    return None


def is_to_store(state: ServingState, in_force: InForce, request: Request, aor: str, *, is_registered: bool) -> bool:
    """Tell whether a MESSAGE for *aor* is to be stored: no phone is registered, or earlier messages are being delivered."""
    if is_registered and not state.delivery.is_running(aor):
        return False
    if in_force.homes.is_guest(aor) or in_force.homes.group_rules(aor) is not None:
        return False  # it would stay here when the home pool is back, and no phone of a group will come
    return in_force.messages.per_user > 0 and is_storable(request)
