"""The page of enrolment by EST and ACME: the tokens that can be used, and the accounts that can order certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.console.operations import ENROLMENTS
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.enrolment.enrolment_status import OpenAccount, OpenToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from sipmesh.server.console.pages.frame import Frame

PATH: Final = "/certificates/enrolment"
TOKENS: Final = (
    Column[OpenToken]("Server or device", lambda one: one.name),
    Column[OpenToken]("Key id", lambda one: one.key_id),
    Column[OpenToken]("Made by", lambda one: one.made_by),
    Column[OpenToken]("Ends", lambda one: one.ends),
)
ACCOUNTS: Final = (
    Column[OpenAccount]("Server", lambda one: one.name),
    Column[OpenAccount]("Account", lambda one: one.id),
    Column[OpenAccount]("Made", lambda one: one.made),
    Column[OpenAccount]("By the token", lambda one: one.token),
    Column[OpenAccount]("Contact", lambda one: one.contact),
)


class EnrolmentPage:
    """Shows the tokens and the accounts of *frame*'s network."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the template and its values."""
        known = await self._frame.read(request, ENROLMENTS)
        accounts = Table.of(ACCOUNTS, known.accounts, Wanted.of(request.path, request.query))
        tokens = Table.of(TOKENS, known.tokens, Wanted(request.path), len(known.tokens) or 1)
        return "enrolment.html", {"accounts": accounts, "tokens": tokens}
