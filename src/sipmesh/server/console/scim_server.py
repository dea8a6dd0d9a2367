"""SCIM 2.0 on the HTTPS server of management (RFC 7644): who asks, what is asked, and the answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import web

from sipmesh.errors import OperatorError
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USERS_CHANGED
from sipmesh.server.console.access.guard import token_of
from sipmesh.server.console.access.scim_token import client_of_token
from sipmesh.server.control_socket import STATE
from sipmesh.server.process.http_peer import address_of
from sipmesh.server.scim.scim_error import MEDIA_TYPE, PATH
from sipmesh.server.scim.scim_request import ScimRequest

if TYPE_CHECKING:
    from sipmesh.server.console.access.guard import Guard
    from sipmesh.server.directory.sync import DirectorySync
    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.server.management.directory_follower import DirectoryFollower
    from sipmesh.server.scim.scim_request import ScimAnswer
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

LARGEST: Final = 1 << 20
"""Octets of a body: a group with some thousand members."""

AGAIN_S: Final = 5
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="SCIM"'}


class ScimServer:
    """Answers SCIM on *host*, if the topology in force has it; *follower* makes the changes."""

    def __init__(self, host: EnrolmentHost, follower: DirectoryFollower) -> None:
        self._host, self._follower = host, follower

    def routes(self, guard: Guard) -> list[web.RouteDef]:
        """Return the paths; *guard* counts tokens that fail."""
        return [web.route("*", PATH + "{rest:(/.*)?}", partial(self._answer, guard))]

    async def _answer(self, guard: Guard, request: web.Request) -> web.Response:
        client = self._client(guard, request)
        if not self._host.leads():
            raise _later("another management server leads: send the request there\n")
        body = await _body(request) if request.method in WRITES else b""
        answer = await self._answered(request, body, client)
        if answer.losses:
            self._follower.refused_losses(f"{client}: {answer.losses}")
        if request.method in WRITES and answer.status < web.HTTPBadRequest.status_code:
            self._host.look()
            await ask_running(self._host.view().loaded.folder / STATE, USERS_CHANGED, {})
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers, content_type=MEDIA_TYPE)

    def _client(self, guard: Guard, request: web.Request) -> str:
        """Return the client; raises HTTP 404 if the topology has no SCIM, and HTTP 401 without a token of it."""
        topology = self._host.view().loaded.topology
        if topology.scim is None:
            raise web.HTTPNotFound(text="the topology has no `scim`\n")
        client = client_of_token(topology, token_of(request) or "")
        if not client:
            guard.failed(address_of(request))
            self._host.log.warning("SCIM client refused", address=address_of(request))
            raise web.HTTPUnauthorized(headers=CHALLENGE, text="this is no token of a SCIM client\n")
        return client

    async def _answered(self, request: web.Request, body: bytes, client: str) -> ScimAnswer:
        path = tuple(unquote(part) for part in request.rel_url.raw_path.removeprefix(PATH).split("/") if part)
        about = body, request.headers.get("If-Match", ""), f"https://{request.host}", self._host.now()
        asked = ScimRequest(request.method, path, dict(request.query), *about)
        try:
            return await self._follower.with_scim(partial(_answer_to, asked), client)
        except OperatorError as wrong:
            self._host.log.warning("a SCIM request is not answered", why=str(wrong))
            raise _later("management cannot change users now; its log says why\n") from None


def _answer_to(
    asked: ScimRequest,
    loaded: Loaded,
    users: Users,
    sync: DirectorySync,
    is_accepted: bool,  # noqa: FBT001 - the callback of `with_scim`
) -> ScimAnswer:
    """Answer in the thread: the library of SCIM is loaded here, so that servers without SCIM need no memory for it."""
    from sipmesh.server.scim.scim_answers import scim_answer_to

    return scim_answer_to(asked, loaded, users, sync, is_accepted)


def _later(text: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=text, headers={"Retry-After": str(AGAIN_S)})


async def _body(request: web.Request) -> bytes:
    """Read the body; raises HTTP 413 for a large one. The limit of the console is for forms."""
    found = bytearray()
    async for part in request.content.iter_any():
        found += part
        if len(found) > LARGEST:
            raise web.HTTPRequestEntityTooLarge(LARGEST, len(found), text=f"the body has more than {LARGEST} octets\n")
    return bytes(found)
