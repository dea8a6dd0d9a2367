"""Hides who has sent a message from phones and partners, where the sender asks for it (RFC 3323 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.hidden_dialogs import HiddenDialogs
from sipmesh.routing.identity.privacy import (
    answer_hides_sender,
    hidden_contact,
    hide_answer_fields,
    hide_fields,
    hides_sender,
    hides_user,
    is_hidden,
)
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.routing.passport.identity_field import MOST_FIELDS, names_nobody
from sipmesh.routing.proxy.target_set import is_sips
from sipmesh.routing.registrar.gruu import is_temporary
from sipmesh.routing.target import FlowTarget, Target
from sipmesh.sip.rows import PRIVACY, VIA
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow, SentBranch
    from sipmesh.server.proxy.transactions.answerers import Answerers
    from sipmesh.sip.message import Message, Request, Response


class PrivacyService:
    """Replaces Contacts by texts that only their owner gets back, and removes fields; *tokens* seals the texts.

    *answerers* finds whose Contact an answer has.
    """

    def __init__(self, tokens: Tokens, answerers: Answerers) -> None:
        self._tokens, self._answerers = tokens, answerers
        self._dialogs = HiddenDialogs()

    def remember(self, request: Request, identity: str | None) -> None:
        """Remember the dialog that *identity*, who hides, begins with *request*."""
        if identity is not None and request.method == "INVITE":
            self._dialogs.add(owner_hash(identity), request.call_id)

    def open_contact(self, copy: Request, target: Target, identity: str | None) -> None:
        """Give a user its own hidden Contact back.

        A request of another *identity* than this user names no dialog in which the user hides.
        """
        if not isinstance(target, FlowTarget):
            return
        if copy.method == "INVITE" and (identity is None or owner_hash(identity) != target.owner):
            self._dialogs.unname(copy, target.owner)
        if is_hidden(copy.uri):
            contact = self._tokens.reveal(copy.ruri.user or "", target.owner, copy.call_id)
            if contact is not None:
                copy.set_uri(contact)

    def hide_sender(
        self, copy: Request, came_on: Flow, identity: str | None, kind: LinkKind, body: AnonymousBody
    ) -> None:
        """Remove what shows the sender from the copy of a request, for a link of that *kind*, if the sender wants it hidden.

        *came_on* is the link of the request, *identity* its proved sender, and *body* the body of all copies. The top Via of
        *copy* is ours, and stays.
        """
        if not hides_sender(copy):
            return
        if came_on.link.kind is LinkKind.CLIENT:
            self._hide_contact(copy, owner_hash(identity) if identity is not None else b"")
        if kind is not LinkKind.SERVER:
            ours, signed = copy.row(VIA), copy.values("identity") if kind is LinkKind.PARTNER else []
            hide_fields(copy)
            body.put_into(copy)
            copy.prepend("via", ours.value)
            for field in filter(names_nobody, signed[:MOST_FIELDS]):
                copy.append("identity", field)

    def hide_answer(self, sent: SentBranch, response: Response) -> None:
        """Hide a user in a response: one who asks for it, and one whose name in the dialog hides who it is.

        The Contact is removed if it is not known whose it is.
        """
        asks = bool(response.present & PRIVACY) and answer_hides_sender(response)
        if asks or hides_user(sent.proxied.request.to):
            owner = self._answerers.owner_of(sent)
            if owner and sent.request.method == "INVITE":
                self._dialogs.add(owner, response.call_id)
            self._hide_contact(response, owner)
            hide_answer_fields(response)
            AnonymousBody(response).put_into(response)

    def _hide_contact(self, message: Message, owner: bytes) -> None:
        """Replace Contact by a Contact that only *owner* gets back; an ACK, which has no identity here, needs none.

        A temporary GRUU stays: it names no user, and leads to its device outside the dialog too (RFC 5627 section 3.1.2).
        """
        contacts = message.contacts
        if len(contacts) == 1 and is_temporary(contacts[0].uri):
            return
        if not owner:
            message.remove("contact")
        elif contacts and contacts[0].uri != "*":
            token = self._tokens.hide_in(message.call_id, contacts[0].uri, owner)
            message.remove("contact")
            message.append("contact", hidden_contact(token, sips=is_sips(contacts[0].uri)))
