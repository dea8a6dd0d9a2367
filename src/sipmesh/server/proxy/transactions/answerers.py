"""Who has answered a call: the answer gets an identity that this server has proved, as a request does (RFC 3325 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.dialog_token import DialogToken, FlowSide, owner_hash
from sipmesh.routing.identity.privacy import is_anonymous, is_hidden
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.proxy.forwarding import assert_identity, creates_dialog, recorded_token
from sipmesh.routing.registrar.gruu import is_to_hidden_user
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import SentBranch
    from sipmesh.sip.message import Response


class Answerers:
    """Finds the user who has answered on a link that may have several; *tokens* are those of the pool."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def name_in(self, sent: SentBranch, response: Response) -> None:
        """Write who has accepted an INVITE into its 2xx; none, if the call was to a user who hides."""
        request = sent.proxied.request
        if not FIRST_FINAL <= response.status < FIRST_REDIRECTION or request.method != "INVITE" or sent.is_carried:
            return
        if is_anonymous(request.to) or is_to_hidden_user(request):
            return
        kind = sent.flow.link.kind
        if kind is LinkKind.CLIENT:
            assert_identity(response, self._user(sent))
        elif kind is LinkKind.PARTNER:
            assert_identity(response, _user_of_partner(sent))

    def _user(self, sent: SentBranch) -> str | None:
        """Give the user of a client's link who has answered; None if it is not known which of them."""
        users = sent.flow.users
        if len(users) == 1:
            return next(iter(users))
        owner = self.owner_of(sent)
        return next((user for user in users if owner_hash(user) == owner), None)

    def owner_of(self, sent: SentBranch) -> bytes:
        """Return the hash of the user who answers, on a link that may have several; empty if it is not known.

        The token of a new dialog has it as the other side. In a dialog whose Contact is hidden, it is who can open this Contact.
        """
        request = sent.proxied.request
        if creates_dialog(request):
            token = self._tokens.read(recorded_token(sent.request))
            return token.b.owner if isinstance(token, DialogToken) and isinstance(token.b, FlowSide) else b""
        owners = sent.flow.owners
        for owner in owners:
            if (
                is_hidden(request.uri)
                and self._tokens.reveal(request.ruri.user or "", owner, request.call_id) is not None
            ):
                return owner
        return next(iter(owners)) if len(owners) == 1 else b""


def _user_of_partner(sent: SentBranch) -> str | None:
    """Give the user in To, if it is in a domain of the partner at the other end: its edge answers for its users."""
    called, sender = sent.proxied.request.to, sent.flow.sender
    if not called.is_sip or not isinstance(sender, ServerSender) or called.sip_uri.user is None:
        return None
    return called.sip_uri.aor if called.sip_uri.host in sender.peer.asserts else None
