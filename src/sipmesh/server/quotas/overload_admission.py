"""Which requests a server refuses because of overload: new requests first, REGISTER and requests of a dialog last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.early_refusal import CLIENT_METHODS
from sipmesh.routing.identity.route_set import has_dialog_token
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.sip.message import Message, Request
    from sipmesh.transport.link.link import Link

OF_SERVERS: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH", "OPTIONS"})
"""What servers of ours ask one another: never refused because of overload."""

MOST_LAST_OF_USER: Final = 5
"""Requests inside dialogs, or REGISTER, of one user in a step of overload control (0.1 s): more are refused as new requests."""

MOST_LAST_OF_PARTNER: Final = 100
"""The same for a partner, with all its users."""


class OverloadAdmission:
    """Asks *overload* for each request; *tokens* tells which requests belong to a dialog of this server."""

    def __init__(self, overload: OverloadControl, tokens: Tokens) -> None:
        self.overload, self._tokens = overload, tokens

    def count_stray(self, link: Link, message: Message) -> None:
        """Count a *message* that cannot be refused, or need not be served, as a request of its sender under overload."""
        if self.overload.active:
            self.overload.count(link.demand, len(message.body))

    def is_refused(self, link: Link, request: Request) -> bool:
        """Return whether *request* on *link* is refused; asked only under overload.

        A To tag alone is not a dialog: any sender can write one.
        """
        method = request.method
        if link.kind is LinkKind.SERVER and method in OF_SERVERS:
            return False
        was_admitted = link.admitted > 0 and method.encode() in CLIENT_METHODS
        link.admitted -= was_admitted
        if method == "REGISTER" or (request.to.tag is not None and has_dialog_token(request, self._tokens)):
            is_refused = self.overload.refuses_last(link.demand, len(request.body), _most_last(link))
            self.overload.refused_last += is_refused
            return is_refused
        if was_admitted:
            return False
        is_refused = self.overload.refuses_new(link.demand, len(request.body))
        self.overload.refused += is_refused
        return is_refused


def _most_last(link: Link) -> int:
    """Give how many requests that are refused last a principal may send in a step; 0 is no limit.

    A server of ours carries many users, and phones that come back at once may share an address.
    """
    if link.kind is LinkKind.PARTNER:
        return MOST_LAST_OF_PARTNER
    return MOST_LAST_OF_USER if link.kind is LinkKind.CLIENT and link.authenticated else 0
