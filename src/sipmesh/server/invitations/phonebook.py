"""The search of users for desk phones, which read XML over HTTPS and log in with the password of the device.

Searches are bounded as those over SIP, but counted here for themselves: a front end counts the others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from aiohttp import web

from sipmesh.server.console.access.account import opened
from sipmesh.server.invitations.device_login import DeviceLogin
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.proxy.events.user_search import MOST_FOUND, SHORTEST, word_from
from sipmesh.server.quotas.search_rates import SearchRates
from sipmesh.storage.users.phonebook import Entry, found_by
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
        self._view, self._login = view, DeviceLogin(strangers, clock)
        self._rates = SearchRates(clock)

    def routes(self) -> list[web.RouteDef]:
        """Return the path."""
        return [web.get("/b/{kind}", self._search)]

    async def _search(self, request: web.Request) -> web.Response:
        """Return the users whom the user of the phone finds, in the format of its make."""
        kind, loaded = request.match_info["kind"], self._view().loaded
        if kind not in {*ROOTS, JSON}:
            raise web.HTTPNotFound
        aor = await self._login.user(request, loaded)
        if loaded.topology.user_search is UserSearch.OFF:
            raise web.HTTPForbidden(text="the topology allows no search of users\n")
        word = word_from(request.query.get("q", ""))
        if len(word) < SHORTEST:
            return _answer(kind, [])  # a phone that reads the whole book, without a search
        if not self._rates.admits(aor):
            raise too_many()
        return _answer(kind, await off_loop(_found, loaded, aor, word))


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
