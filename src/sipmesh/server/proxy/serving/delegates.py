"""A call that a delegate makes for another user: P-Preferred-Identity names this user (RFC 3325), and From the delegate.

The server at which the delegate has logged in asserts the other user, who has named the delegate. From still says who speaks, and
shows both. So the dialog is one of the delegate, and goes on if the delegate is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.authentication.verifier import user_of
from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.assertion import PREFERRED
from sipmesh.routing.identity.privacy import hides_identity, is_anonymous
from sipmesh.routing.identity.sender import ClientSender
from sipmesh.routing.numbers.dial_plan import local_digits
from sipmesh.routing.outcome import Answer, Forward, Outcome, ToUser
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.rows import named_row
from sipmesh.sip.text import quote
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.sip.message import Request


def on_behalf(in_force: InForce, sender: Sender, request: Request, outcome: Outcome) -> Outcome:
    """Have a new call of a client be one of the user for whom it is made; *outcome* stays if it is made for no other user.

    An emergency call is always one of the caller: it is the caller who is called back.
    """
    if not isinstance(outcome, (ToUser, Forward)) or not isinstance(sender, ClientSender):
        return outcome
    if not may_be_for_another(request):
        return outcome
    user, boss = outcome.identity or "", boss_in(in_force, request)
    if not boss or boss in sender.users or may_be_emergency(in_force, request, (user, boss)):
        return outcome
    if not in_force.homes.is_delegate(user, boss):
        why = f"{boss[4:]} has not named {user[4:]} as a delegate"
        return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
    shown = quote(f"{user_of(user)} for {user_of(boss)}")
    request.rename(named_row("from", request.from_.uri, request.from_.tag, shown))
    request.remove(PREFERRED)
    if isinstance(outcome, Forward):
        return Forward(outcome.targets, boss, outcome.otherwise)
    return ToUser(outcome.aor, boss, outcome.device, outcome.instead, outcome.chain)


def may_be_for_another(request: Request) -> bool:
    """Tell whether a request begins a call whose caller withholds no name."""
    if request.method != "INVITE" or request.to.tag is not None:
        return False
    return not (is_anonymous(request.from_) or hides_identity(request))


def may_be_emergency(in_force: InForce, request: Request, users: tuple[str, ...]) -> bool:
    """Tell whether a call is an emergency call of one of *users*, or to a number that is one of a site where they may be."""
    if local_digits(request.ruri) in in_force.numbers.emergency:
        return True
    return any(in_force.is_emergency(user, request.ruri) for user in users)


def boss_in(in_force: InForce, request: Request) -> str:
    """Give the first address of a user of ours in P-Preferred-Identity, "" if there is none. A number is no such address."""
    for item in request.items(PREFERRED):
        name = name_of(NameAddr.parse(item))
        if name is not None and in_force.homes.of(name.aor) is not None:
            return name.aor
    return ""


def delegate_in(in_force: InForce, request: Request, caller: str | None) -> str:
    """Give the user of ours in From who calls for *caller*, "" if the caller calls."""
    name = name_of(request.from_) if caller is not None else None
    user = in_force.homes.owner_of(name.aor) if name is not None else ""
    return user if user != caller else ""
