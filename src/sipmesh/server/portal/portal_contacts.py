"""The page of the user's contacts in the portal: the list, a form for one contact, and a button to remove each."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.console.access.guard import OPERATOR
from sipmesh.server.console.access.operator import Operator
from sipmesh.server.console.operations import NotAllowedError
from sipmesh.server.portal.contact_book import drop_contact, keep_contact, read_book
from sipmesh.server.portal.portal_user import PortalUser
from sipmesh.server.process.off_loop import off_loop
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.storage.users.contact import made_contact
from sipmesh.topology.document.parts.oauth import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from sipmesh.topology.document.load import Loaded

CONTACTS_PAGE: Final = f"{PORTAL}/contacts"
REMOVE: Final = f"{CONTACTS_PAGE}/remove"
FIELDS: Final = ("id", "name", "address", "numbers", "groups")


class PortalContacts:
    """The page, and both of its forms: with *removes* the form by which a contact is removed."""

    template = "contacts.html"

    def __init__(self, loaded: Callable[[], Loaded], *, removes: bool = False) -> None:
        self._loaded, self._removes = loaded, removes

    def must_be_for(self, operator: Operator) -> None:
        """Raise `NotAllowedError` for all but a user of the portal."""
        if not isinstance(operator, PortalUser):
            raise NotAllowedError("this is a page of the portal")

    async def show(self, request: web.Request, told: str = "") -> tuple[str, Mapping[str, Any]]:
        """Return the page of the user who has signed in."""
        book = await off_loop(read_book, self._loaded(), _user(request))
        contacts = sorted(book.contacts, key=lambda one: ascii_lower(one.name or one.address))
        wanted = next((one for one in contacts if one.id == request.query.get("id", "")), None)
        typed = {}
        if wanted is not None:
            typed = {"id": wanted.id, "name": wanted.name, "address": wanted.address}
            typed |= {"numbers": ", ".join(wanted.numbers), "groups": ", ".join(wanted.groups)}
        return self.template, {**self.shown(typed), "contacts": contacts, "why": "", "problems": (), "told": told}

    async def act(self, request: web.Request, sent: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        """Keep or remove a contact of the user who has signed in; raises `OperatorError`."""
        if self._removes:
            await off_loop(drop_contact, self._loaded(), _user(request), sent.get("id", ""))
            return await self.show(request, "The contact is removed.")
        numbers, groups = (_parts(sent.get(one, "")) for one in ("numbers", "groups"))
        contact_id = sent.get("id", "") or secrets.token_hex(16)
        contact = made_contact(contact_id, sent.get("name", ""), sent.get("address", "").strip(LWS), numbers, groups)
        await off_loop(keep_contact, self._loaded(), _user(request), contact)
        return await self.show(request, "The contact is kept.")

    def shown(self, sent: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the form has, with what was *sent*."""
        return {"typed": {one: sent.get(one, "") for one in FIELDS}, "contacts": (), "told": ""}

    def refused(self, sent: Mapping[str, str], _wrong: Exception) -> Mapping[str, Any]:
        """Return what the form has after an error, with what was *sent*."""
        return self.shown(sent)


def _user(request: web.Request) -> str:
    operator = request[OPERATOR]
    if not isinstance(operator, PortalUser):
        raise NotAllowedError("this is a page of the portal")
    return f"sip:{operator.user}"


def _parts(typed: str) -> Sequence[str]:
    return [part.strip(LWS) for part in typed.split(",") if part.strip(LWS)]
