"""The search of users for desk phones, which read XML over HTTPS and log in with the password of the device.

Management makes the passwords of devices, so a phone tells it nothing new. The own password of a user is not accepted: a person
has chosen it, and it could be guessed here. Searches are bounded as
those over SIP, but counted here for themselves: a front end counts the others.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from aiohttp import web

from sipmesh.server.console.user_commands import opened
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.proxy.events.user_search import MOST_FOUND, SHORTEST, word_from
from sipmesh.server.quotas.search_rates import SearchRates
from sipmesh.sip.text import ascii_lower, octets_of, text_of
from sipmesh.storage.users.phonebook import Entry, found_by, is_device
from sipmesh.topology.document.user_search import UserSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

ROOTS: Final = {"yealink": "YealinkIPPhoneDirectory", "snom": "SnomIPPhoneDirectory", "cisco": "CiscoIPPhoneDirectory"}
"""The root element that each make of phones expects."""

JSON: Final = "json"


class PhonebookPages:
    """Answers searches of phones by the topology of *view*; *strangers* counts requests and wrong logins of each address."""

    def __init__(self, view: Callable[[], ServerView], strangers: Strangers, clock: Callable[[], float]) -> None:
        self._view, self._strangers = view, strangers
        self._rates = SearchRates(clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the path."""
        return [web.get("/b/{kind}", self._search)]

    async def _search(self, request: web.Request) -> web.Response:
        """Return the users whom the user of the phone finds, in the format of its make."""
        kind, loaded = request.match_info["kind"], self._view().loaded
        if kind not in {*ROOTS, JSON}:
            raise web.HTTPNotFound
        aor = await self._logged_in(request, loaded)
        if loaded.topology.user_search is UserSearch.OFF:
            raise web.HTTPForbidden(text="the topology allows no search of users\n")
        word = word_from(request.query.get("q", ""))
        if len(word) < SHORTEST:
            return _answer(kind, [])  # a phone that reads the whole book, without a search
        if not self._rates.admits(aor):
            raise too_many()
        return _answer(kind, await off_loop(_found, loaded, aor, word))

    async def _logged_in(self, request: web.Request, loaded: Loaded) -> str:
        """Return the user whose device has sent the request; raises 401 for any other login.

        Wrong passwords count against their address alone: those of a stranger must not keep the phone of the user out.
        """
        login, _, password = _basic(request).partition(":")
        device, _, domain = login.rpartition("@")
        aor = f"sip:{device.rpartition('+')[0]}@{domain}"
        if not await off_loop(_is_device, loaded, aor, device, password):
            raise self._strangers.wrong_login(request)
        return aor


def _basic(request: web.Request) -> str:
    """Return user name and password of Basic authentication (RFC 7617); "" if there are none."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        return text_of(b64decode(octets_of(given), validate=True)) if ascii_lower(scheme) == "basic" else ""
    except ValueError:
        return ""


def _is_device(loaded: Loaded, aor: str, login: str, password: str) -> bool:
    with opened(loaded) as users, users.reading() as db:
        return is_device(db, aor, login, password)


def _found(loaded: Loaded, aor: str, word: str) -> Sequence[Entry]:
    with opened(loaded) as users, users.reading() as db:
        return found_by(db, loaded.topology, aor, word, MOST_FOUND)


def _answer(kind: str, entries: Sequence[Entry]) -> web.Response:
    if kind == JSON:
        users = [
            {"address": entry.address, "numbers": list(entry.numbers), "group": entry.is_group} for entry in entries
        ]
        return web.Response(text=json.dumps({"users": users}), content_type="application/json")
    lines = [
        f"<DirectoryEntry><Name>{escape(entry.name)}</Name><Telephone>{escape(dialled)}</Telephone></DirectoryEntry>"
        for entry in entries
        for dialled in (entry.address, *entry.numbers)
    ]
    root = ROOTS[kind]
    text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"<{root}>", *lines, f"</{root}>", ""])
    return web.Response(text=text, content_type="text/xml")
