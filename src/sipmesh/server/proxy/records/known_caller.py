"""Who has sent a request, and how its server knows: a login, or the word of a partner, a trunk or an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.sender import ClientSender, ServerSender
from sipmesh.routing.identity.verstat import verstat_of
from sipmesh.server.proxy.records.told_request import ANONYMOUS, claimed
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.sip.message import Request

Known = tuple[str, str]
"""The sender, an address of record, and how it is known."""

LOGIN: Final = "login"


def known_caller(flow: Flow, request: Request, identity: str | None, *, heard: bool) -> Known | None:
    """Give who has sent a request; None if another server makes its record, or if its sender has proved nothing.

    *identity* is the sender as it was asserted to the next server. *heard*: a branch of the request was answered.
    """
    sender = flow.sender
    if isinstance(sender, ClientSender):
        user = _user_of(sender, request, identity)
        if user:
            return user, LOGIN
        return None if heard else _user_elsewhere(sender)
    return _word_of(sender, request, identity) if isinstance(sender, ServerSender) else None


def _user_of(sender: ClientSender, request: Request, identity: str | None) -> str:
    """Give the user of a client's link who has sent a request; "" if none has logged in there."""
    if identity is not None and identity in sender.users:
        return identity
    if len(sender.users) == 1 and not sender.logins:
        return next(iter(sender.users))
    claim = f"sip:{claimed(request)}"
    return claim if claim in sender.users else ""


def _user_elsewhere(sender: ClientSender) -> Known | None:
    """Give a user who has logged in at another pool, whose servers were not reached: they would make the record."""
    for user, login in sender.logins.items():
        return user, f"login at {login.home}"
    return None


def _word_of(sender: ServerSender, request: Request, identity: str | None) -> Known | None:
    """Give the sender whom a partner, a trunk or an application names; None for our servers, which make the record themselves."""
    if sender.kind is LinkKind.PARTNER:
        how = f"{'trunk' if sender.peer.is_trunk else 'partner'} {sender.peer.name}"
        if identity is not None and (result := verstat_of(request)):  # only then is it the result of this gateway
            how = f"{how}, {result}"
    elif sender.peer.role is Role.APPLICATION:
        how = f"application {sender.peer.name}"
    else:
        return None
    if identity is not None:
        return identity, how
    return ANONYMOUS if is_anonymous(request.from_) else claimed(request), how
