"""How a server carries the requests of users whose home is another pool: as an edge proxy of RFC 5626.

The home pool authenticates the user, and judges each request of the user and to the user. This server passes them on: between
the user's link and the link on which the home pool has accepted the login, and nowhere else. It asserts nothing.
"""

from __future__ import annotations

from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.assertion import asserted, preferred_user
from sipmesh.routing.identity.dialog_token import FlowSide, PathToken, owner_hash
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import CarriedLogin, ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Drop, Forward, Outcome
from sipmesh.routing.target import Carriage, FlowTarget, Found, ServerTarget
from sipmesh.sip.message import Request
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind


def carried(request: Request, route_set: RouteSet, sender: Sender, incarnation: int) -> Outcome | None:
    """Decide about a request of a carried user or to one; None if it is neither."""
    if isinstance(sender, ClientSender):
        login = login_of(request, route_set, sender) if sender.logins else None
        return None if login is None or request.method == "REGISTER" else to_home(request, login)
    return None if route_set.path is None else to_phone(request, route_set.path, sender, incarnation)


def login_of(request: Request, route_set: RouteSet, sender: ClientSender) -> CarriedLogin | None:
    """Give the login that a request of a link belongs to; None if it is of a user whom this server has authenticated, or of none.

    Inside a dialog that began on a carried flow, our token in its Route names the user. Otherwise From does, or what identifies
    the sender behind an anonymous From. The home pool judges From. So on a link with one carried user alone, each request is of
    this user.
    """
    if route_set.path is not None:
        for login in sender.logins.values():
            if owner_hash(login.user) == route_set.path.side.owner:
                return login
    name = name_of(request.from_)
    aor = "" if name is None else name.aor
    found = sender.logins.get(aor) or sender.logins.get(sender.owner_of(aor))
    if found is None and len(sender.logins) > 1:
        domains = frozenset(user.rpartition("@")[2] for user in sender.logins)
        found = sender.logins.get(preferred_user(request, sender, domains))
    if found is None and len(sender.logins) == 1 and not sender.users:
        return next(iter(sender.logins.values()))
    return found


def to_home(request: Request, login: CarriedLogin) -> Forward:
    """Send a request of a carried user to the server that has accepted the login, with the token of the login."""
    carriage = Carriage(login.flow, login.route, login.path)
    return Forward((ServerTarget((login.server,), LinkKind.SERVER, request.uri, carries=carriage),), None)


def to_phone(request: Request, token: PathToken, sender: Sender, incarnation: int) -> Forward | Answer | Drop:
    """Send a request of the home pool down the flow that its Route names (RFC 5626 section 5.3.1).

    The home pool has judged who sends it. For its own user it may say who calls, and no other peer may use the token. A token
    in a Record-Route comes from one side of a dialog: the home pool may have forwarded it, but has not judged it.
    """
    is_home = isinstance(sender, ServerSender) and sender.kind is LinkKind.SERVER and sender.is_side(token.home)
    if not is_home or token.is_recorded or request.method == "REGISTER":
        why = "the peer named a carried flow of this server, and not by the Path that the home pool of its user has"
        return Drop(why) if request.method == "ACK" else Answer(403, code=Code.NO_ROUTE, why=why)
    side: FlowSide = token.side
    if side.incarnation != incarnation:
        why = "the flow belongs to an earlier start of this server"
        return Drop(why) if request.method == "ACK" else Answer(430, "Flow Failed", code=Code.NO_ROUTE, why=why)
    claims = asserted(request)
    target = FlowTarget(side.number, side.owner, request.uri, found=Found.PATH)
    return Forward((target,), claims[0].aor if claims else None)
