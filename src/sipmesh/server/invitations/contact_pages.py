"""The contacts of the user who has logged in, over HTTPS: a subset of CardDAV (RFC 6352) for phones, JSON for the web phone.

No path names a user: whose contacts they are follows from the login alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn
from xml.sax.saxutils import escape

from aiohttp import web

from sipmesh.errors import OperatorError, RemoteError, UnusableDatabaseError
from sipmesh.server.contacts.dav_xml import CARD, DAV, MULTIGET, PROPFIND, QUERY, SERVER, multistatus, read_request
from sipmesh.server.contacts.vcard import LARGEST_CARD, read_vcard, write_vcard
from sipmesh.server.invitations.account_login import AccountLogin
from sipmesh.server.portal.contact_book import (
    UnmetError,
    drop_contact,
    etag_of,
    keep_contact,
    read_book,
    read_contact,
)
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.storage.users.contact import contact_of_json
from sipmesh.storage.users.contact_rows import MOST_CONTACTS, FullError
from sipmesh.strict_json import read_object
from sipmesh.topology.document.parts.invitations import CONTACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipmesh.server.contacts.dav_xml import Asked
    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.invitations.ticket_login import TicketLogin
    from sipmesh.server.portal.contact_book import ContactBook
    from sipmesh.storage.users.contact import Contact
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

HOME: Final = f"{CONTACTS}/"
BOOK: Final = f"{CONTACTS}/book/"
LIST: Final = f"{CONTACTS}/list"
WELL_KNOWN: Final = "/.well-known/carddav"
REQUESTS_A_MINUTE: Final = 1_200
"""Requests of one user: a phone that writes all its contacts sends one for each."""

BOOKS_A_MINUTE: Final = 120
"""Requests of one user for more than one contact: each reads all contacts of the user."""

FULL: Final = 507
"""The user has as many contacts as are kept (RFC 4918 section 11.5)."""

_ENDING: Final = ".vcf"
_XML: Final = "application/xml"
_CARD_TYPE: Final = "text/vcard"
_ADDRESS_DATA: Final = f"{{{CARD}}}address-data"
_ETAG: Final = f"{{{DAV}}}getetag"
_TYPE: Final = f"{{{DAV}}}resourcetype"
_DAV: Final = {"DAV": "1, 3, addressbook", "Allow": "OPTIONS, GET, PUT, DELETE, PROPFIND, REPORT"}


class ContactPages:
    """Answers by the topology of *view*; *strangers* counts requests and wrong logins of each address.

    *tickets* judges those of the web phone, and *clock* returns seconds that never go back.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        tickets: TicketLogin,
        strangers: Strangers,
        clock: Callable[[], float],
    ) -> None:
        self._view, self._tickets = view, tickets
        self._user = AccountLogin(view, tickets, strangers, clock, REQUESTS_A_MINUTE).user
        self._books = RequestRate(BOOKS_A_MINUTE, clock)

    def routes(self) -> list[web.RouteDef]:
        """Return every path."""
        card = f"{CONTACTS}/book{{_:/{{1,2}}}}{{id}}{_ENDING}"  # linphone writes two slashes behind an address with one
        places = (CONTACTS, HOME, BOOK[:-1], BOOK)
        collections = [web.route(method, path, self._find) for path in places for method in ("PROPFIND", "REPORT")]
        return [
            web.route("*", WELL_KNOWN, _moved),
            *(web.options(path, _options) for path in (*places, card)),
            *collections,
            web.route("PROPFIND", card, self._find),
            web.get(card, self._read_card),
            web.put(card, self._write_card),
            web.delete(card, self._remove),
            web.get(LIST, self._read_list),
            web.put(f"{LIST}/{{id}}", self._write_entry),
            web.delete(f"{LIST}/{{id}}", self._remove),
            web.options(LIST, self._preflight),
            web.options(f"{LIST}/{{id}}", self._preflight),
        ]

    # CardDAV

    async def _find(self, request: web.Request) -> web.Response:
        """Answer PROPFIND and REPORT about the collections and the contacts in them."""
        aor, loaded = await self._user(request), self._view().loaded
        try:
            asked = read_request(await _body(request))
        except RemoteError as wrong:
            raise web.HTTPBadRequest(text=f"{wrong}\n") from None
        if asked.root not in ({PROPFIND} if request.method == "PROPFIND" else {MULTIGET, QUERY}):
            raise web.HTTPForbidden(text="this request is not supported here\n")
        here = request.path if request.path.endswith(_ENDING) else f"{request.path.rstrip('/')}/"
        has_inside = request.headers.get("Depth", "0") != "0"
        if has_inside or asked.root != PROPFIND:
            self._count_book(aor)
        answer = await off_loop(_answer, loaded, aor, here, asked, has_inside)
        if not answer:
            raise web.HTTPNotFound
        return web.Response(text=answer, status=207, content_type=_XML, charset="utf-8", headers=_DAV)

    def _count_book(self, aor: str) -> None:
        """Count a request of *aor* for all contacts; raises HTTP 429 for too many."""
        if not self._books.admits(aor):
            raise too_many()

    async def _read_card(self, request: web.Request) -> web.Response:
        found = await off_loop(read_contact, self._view().loaded, await self._user(request), request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        headers = {"ETag": etag_of(found)}
        return web.Response(text=write_vcard(found), content_type=_CARD_TYPE, charset="utf-8", headers=headers)

    async def _write_card(self, request: web.Request) -> web.Response:
        """Keep a contact. The answer has no ETag: what is kept may be less than what was sent (RFC 6352 section 6.3.2.3)."""
        aor, body = await self._user(request), await _body(request)
        try:
            contact = read_vcard(body.decode(), request.match_info["id"])
        except (OperatorError, UnicodeDecodeError) as wrong:
            raise web.HTTPForbidden(text=f"{wrong}\n") from None
        return await self._kept(request, aor, contact)

    # The web phone

    async def _read_list(self, request: web.Request) -> web.Response:
        aor = await self._user(request)
        self._count_book(aor)
        book = await off_loop(read_book, self._view().loaded, aor)
        found = {"contacts": [one.as_json() for one in book.contacts], "most": MOST_CONTACTS}
        return web.Response(text=json.dumps(found), content_type="application/json")

    async def _write_entry(self, request: web.Request) -> web.Response:
        aor, body = await self._user(request), await _body(request)
        try:
            contact = contact_of_json(request.match_info["id"], read_object(body))
        except (OperatorError, ValueError) as wrong:
            raise web.HTTPForbidden(text=f"{wrong}\n") from None
        return await self._kept(request, aor, contact)

    async def _preflight(self, request: web.Request) -> web.Response:
        return self._tickets.preflight(request, ("GET", "PUT", "DELETE"))

    # Changes

    async def _kept(self, request: web.Request, aor: str, contact: Contact) -> web.Response:
        try:
            is_new = await off_loop(keep_contact, self._view().loaded, aor, contact, dict(request.headers))
        except UnmetError:
            raise web.HTTPPreconditionFailed from None
        except FullError as wrong:
            return web.Response(status=FULL, text=f"{wrong}\n")
        except UnusableDatabaseError:
            raise
        except OperatorError as wrong:
            raise web.HTTPForbidden(text=f"{wrong}\n") from None
        return web.Response(status=201 if is_new else 204)

    async def _remove(self, request: web.Request) -> web.Response:
        aor, contact = await self._user(request), request.match_info["id"]
        try:
            removed = await off_loop(drop_contact, self._view().loaded, aor, contact, dict(request.headers))
        except UnmetError:
            raise web.HTTPPreconditionFailed from None
        return web.Response(status=204 if removed else 404)


async def _moved(_request: web.Request) -> NoReturn:
    raise web.HTTPMovedPermanently(HOME)


async def _options(_request: web.Request) -> web.Response:
    return web.Response(headers=_DAV)


async def _body(request: web.Request) -> bytes:
    """Read the body; raises HTTP 413 for a large one. The limit of the port is for forms."""
    found = bytearray()
    async for part in request.content.iter_any():
        found += part
        if len(found) > LARGEST_CARD:
            raise web.HTTPRequestEntityTooLarge(LARGEST_CARD, len(found), text=f"more than {LARGEST_CARD} octets\n")
    return bytes(found)


def _answer(loaded: Loaded, aor: str, here: str, asked: Asked, has_inside: bool) -> str:  # noqa: FBT001 - of a request
    """Write the answer about the contacts of *aor*, "" if there is no contact *here*; 500 contacts take tens of milliseconds."""
    found = _found(here, asked, read_book(loaded, aor), has_inside=has_inside)
    return "" if not found and here.endswith(_ENDING) else multistatus(found, asked.properties)


def _found(
    here: str, asked: Asked, book: ContactBook, *, has_inside: bool
) -> Sequence[tuple[str, Mapping[str, str] | None]]:
    """Return the resources that a request about *here* means, with their properties; *has_inside*: and those in it."""
    by_path = {f"{BOOK}{one.id}{_ENDING}": one for one in book.contacts}
    if asked.root == MULTIGET:
        named = dict.fromkeys(asked.hrefs[:MOST_CONTACTS])
        return [(path, _card(by_path[path], with_data=True) if path in by_path else None) for path in named]
    if asked.root == QUERY:
        return [(path, _card(one, with_data=bool(asked.properties))) for path, one in by_path.items()]
    if here.endswith(_ENDING):
        return [(here, _card(by_path[here]))] if here in by_path else []
    if here == HOME:
        return [(here, _home()), *([(BOOK, _about(book))] if has_inside else [])]
    return [(here, _about(book)), *([(path, _card(one)) for path, one in by_path.items()] if has_inside else [])]


def _home() -> Mapping[str, str]:
    here = f"<d:href>{HOME}</d:href>"
    return {
        _TYPE: "<d:collection/><d:principal/>",
        f"{{{DAV}}}displayname": "Contacts",
        f"{{{DAV}}}current-user-principal": here,
        f"{{{DAV}}}principal-URL": here,
        f"{{{CARD}}}addressbook-home-set": here,
    }


def _about(book: ContactBook) -> Mapping[str, str]:
    reports = "".join(
        f"<d:supported-report><d:report><card:{one}/></d:report></d:supported-report>"
        for one in ("addressbook-query", "addressbook-multiget")
    )
    rights = "".join(f"<d:privilege><d:{one}/></d:privilege>" for one in ("read", "write"))
    return {
        _TYPE: "<d:collection/><card:addressbook/>",
        f"{{{DAV}}}displayname": "Contacts",
        f"{{{DAV}}}current-user-principal": f"<d:href>{HOME}</d:href>",
        f"{{{DAV}}}supported-report-set": reports,
        f"{{{DAV}}}current-user-privilege-set": rights,
        f"{{{SERVER}}}getctag": str(book.changes),  # linphone reads a number, which has to rise
        f"{{{CARD}}}max-resource-size": str(LARGEST_CARD),
        f"{{{CARD}}}supported-address-data": f'<card:address-data-type content-type="{_CARD_TYPE}" version="4.0"/>',
    }


def _card(contact: Contact, *, with_data: bool = False) -> Mapping[str, str]:
    about = {_ETAG: etag_of(contact), f"{{{DAV}}}getcontenttype": f"{_CARD_TYPE}; charset=utf-8", _TYPE: ""}
    return {**about, _ADDRESS_DATA: escape(write_vcard(contact), {"\r": "&#13;"})} if with_data else about
