"""The files that users send beside messages, over HTTPS as linphone does it (GSMA RCC.07 section 3.2.5).

A user of ours uploads a file, and gets the XML for a message: with the link of the file, and until when it is there. Who has the
link can fetch the file; the link is the permission, for users of partners too. No path names a user, and nothing is listed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import OperatorError, RemoteError, UnusableDatabaseError
from sipmesh.server.console.access.connection import ConsoleConnection
from sipmesh.server.console.access.guard import HEADERS
from sipmesh.server.files.file_about import FILE_XML, OCTETS, about_of, disposition, written_xml
from sipmesh.server.files.first_part import FirstPart, boundary_of
from sipmesh.server.invitations.account_login import AccountLogin
from sipmesh.server.process.http_peer import address_of
from sipmesh.server.process.http_runner import too_many
from sipmesh.storage.sent_files import PART
from sipmesh.topology.document.parts.files import FILES, MEGABYTE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from sipmesh.server.files.file_about import FileAbout
    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.invitations.ticket_login import TicketLogin
    from sipmesh.server.log import Log
    from sipmesh.server.portal.file_keeper import FileKeeper
    from sipmesh.storage.file_cipher import FileCipher
    from sipmesh.storage.sent_files import SentFile
    from sipmesh.topology.document.parts.files import Files
    from sipmesh.topology.view import ServerView

REQUESTS_A_MINUTE: Final = 120
"""Requests of one user; a file needs two."""

UPLOADS: Final = 16
UPLOADS_OF_USER: Final = 2
DOWNLOADS: Final = 64
DOWNLOADS_TO_ADDRESS: Final = 24
DOWNLOADS_OF_OWNER: Final = 8
"""Files of one user that go to one address: who has links of one user leaves places to others behind the same NAT.

Of the files of one user as many go as there are places left, at most half of them, so that who has one link and many addresses
leaves places to the files of others.
"""

PART_S: Final = 20.0
"""Seconds for each part of `PART` octets, in both directions: a slower peer would keep its place for hours."""

AROUND: Final = 16 << 10
"""Octets of an upload around the file: the lines of the multipart body."""

FULL: Final = 507
"""There is no room for the file (RFC 4918 section 11.5)."""

NOT_THERE: Final = "There is no such file: its time is over, it was removed, or the link is not whole.\n"
_CONTENT: Final = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Frame-Options": "DENY"}


class FilePages:
    """Answers by the topology of *view*; *keeper* has the files, and *strangers* counts wrong logins and wrong links.

    *tickets* judges those of the web phone, and *clock* returns seconds that never go back. *refused* counts refused uploads by
    their status.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        keeper: FileKeeper,
        tickets: TicketLogin,
        strangers: Strangers,
        clock: Callable[[], float],
        refused: Counter[int],
        log: Log,
    ) -> None:
        self._view, self._keeper, self._tickets, self._strangers, self._log = view, keeper, tickets, strangers, log
        self._refused = refused
        self._login = AccountLogin(view, tickets, strangers, clock, REQUESTS_A_MINUTE)
        self._uploads, self._downloads = Places(UPLOADS), Places(DOWNLOADS)

    def routes(self) -> list[web.RouteDef]:
        """Return every path."""
        one = f"{FILES}/{{token}}"
        return [
            web.post(FILES, self._tickets.for_phone(self._counted)),
            web.get(one, self._fetch),
            web.delete(one, self._tickets.for_phone(self._remove)),
            web.options(FILES, self._preflight),
            web.options(one, self._preflight),
        ]

    async def _preflight(self, request: web.Request) -> web.Response:
        return self._tickets.preflight(request, ("POST", "DELETE"))

    def _wanted(self) -> Files:
        wanted = self._view().loaded.topology.files
        if wanted is None:
            raise web.HTTPNotFound(text="the topology allows no files\n")
        return wanted

    # Upload

    async def _counted(self, request: web.Request) -> web.Response:
        """Take an upload, and count it if it is refused; a login that is asked for is no refusal."""
        try:
            answer = await self._upload(request)
        except web.HTTPException as refusal:
            if refusal.status != HTTPStatus.UNAUTHORIZED:
                self._refused[refusal.status] += 1
            raise
        except UnusableDatabaseError:
            self._refused[HTTPStatus.SERVICE_UNAVAILABLE] += 1
            raise
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self._refused[answer.status] += 1
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        """Store a file. A request without a body asks whether the user may: linphone begins so."""
        wanted, aor = self._wanted(), await self._login.user(request)
        if not request.can_read_body:
            return web.Response(status=204)
        size = request.content_length
        if size is None:
            raise web.HTTPLengthRequired
        largest = wanted.largest_mb * MEGABYTE
        if size > largest + AROUND:
            raise web.HTTPRequestEntityTooLarge(largest, size, text=f"files have at most {wanted.largest_mb} MB\n")
        try:
            part = FirstPart(boundary_of(request.headers.get("Content-Type", "")))
            with self._uploads.taken({aor: UPLOADS_OF_USER}):
                return await self._receive(request, part, aor, wanted, size)
        except ConnectionError:
            return web.Response(status=400)  # the client is gone
        except RemoteError as wrong:
            raise web.HTTPBadRequest(text=f"{wrong}\n") from None
        except UnusableDatabaseError:
            raise
        except OperatorError as wrong:
            self._log.warning("file not stored", user=aor, octets=size, why=str(wrong))
            return web.Response(status=FULL, text=f"{wrong}\n")

    async def _receive(self, request: web.Request, part: FirstPart, aor: str, wanted: Files, size: int) -> web.Response:
        """Store the *part* of a request of *size* octets, and answer with the XML about it."""
        file, is_kept = await self._keeper.begin(aor, size, wanted), False
        try:
            with _lasting(request, _longest(size)):
                octets, parts = await self._store(request, part, file)
            if not part.is_whole or octets > wanted.largest_mb * MEGABYTE:
                raise RemoteError("the file in the upload is not whole, or too large", rule="RFC 7578 section 4")
            about = about_of(part.name, part.content_type)
            until = await self._keeper.finish(file, octets, parts, about, wanted.days)
            is_kept = True
        finally:
            if not is_kept:
                await asyncio.shield(self._keeper.drop(file))
        self._log.info("file stored", user=aor, octets=octets)
        url = f"https://{self._view().invitation_host}{FILES}/{file.token}"
        answer = web.Response(text=written_xml(about, octets, url, until), content_type=FILE_XML, charset="utf-8")
        answer.force_close()
        return answer

    async def _store(self, request: web.Request, part: FirstPart, file: FileCipher) -> tuple[int, int]:
        """Store the content of *part* as it comes; gives its octets, and how many parts are stored."""
        held, octets, number = bytearray(), 0, 0
        async for content in _contents(request, part):
            held += content
            octets += len(content)
            while len(held) >= PART:
                await self._keeper.write(file, number, bytes(held[:PART]))
                del held[:PART]
                number += 1
        if held or not number:
            await self._keeper.write(file, number, bytes(held))
            number += 1
        return octets, number

    # What is there

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        """Send a whole file, also to who asks for a range: a browser saves it, and shows nothing of it on our origin."""
        self._wanted()
        found = await self._found(request)
        if found is None:
            raise self._strangers.failed(request, "the link of a file is wrong, or its time is over", NOT_THERE)
        file, sent, about = found
        to, owner = address_of(request), sent.owner.aor
        shares = {to: DOWNLOADS_TO_ADDRESS, f"{to} {owner}": DOWNLOADS_OF_OWNER, owner: self._downloads.left}
        with self._downloads.taken(shares):
            answer = web.StreamResponse(headers={**HEADERS, **_CONTENT, "Content-Disposition": disposition(about.name)})
            answer.force_close()
            answer.content_type, answer.content_length = OCTETS, sent.size
            await answer.prepare(request)
            try:
                if request.method == "GET":
                    with _lasting(request, _longest(sent.size)):
                        await self._send(answer, file, sent.parts)
            except (OperatorError, OSError) as wrong:
                # TimeoutError is an OSError. A part of the answer is sent already.
                self._log.warning("file not sent", octets=sent.size, why=str(wrong) or "its receiver was too slow")
                if request.transport is not None:
                    request.transport.abort()
            return answer

    async def _send(self, answer: web.StreamResponse, file: FileCipher, parts: int) -> None:
        for number in range(parts):
            part = await self._keeper.part(file, number)
            if part is None:
                raise OperatorError("a part of the file is gone")
            async with asyncio.timeout(PART_S):
                await answer.write(part)
        await answer.write_eof()

    async def _found(self, request: web.Request) -> tuple[FileCipher, SentFile, FileAbout] | None:
        try:
            return await self._keeper.find(request.match_info["token"])
        except OperatorError as wrong:
            self._log.warning("file not sent", octets=0, why=str(wrong))
            raise web.HTTPServiceUnavailable(text="files cannot be read now: try again later\n") from None

    async def _remove(self, request: web.Request) -> web.Response:
        """Remove a file of the user who has logged in; the file of another user is not there for this one."""
        self._wanted()
        aor = await self._login.user(request)
        try:
            removed = await self._keeper.remove(request.match_info["token"], aor)
        except OperatorError:
            raise web.HTTPServiceUnavailable(text="files cannot be removed now: try again later\n") from None
        if not removed:
            raise self._strangers.failed(request, "the link of a file to remove is wrong", NOT_THERE)
        self._log.info("file removed", user=aor)
        return web.Response(status=204)


class Places:
    """So many transfers at once, and so many of one who makes them."""

    def __init__(self, most: int) -> None:
        self._most, self._taken, self._of = most, 0, Counter[str]()

    @property
    def left(self) -> int:
        """How many places are left."""
        return self._most - self._taken

    @contextmanager
    def taken(self, shares: Mapping[str, int]) -> Iterator[None]:
        """Take a place for the block; *shares*: who takes it, and how many each may have. Raises HTTP 429 if there is none."""
        if not self.left or any(self._of[who] >= most for who, most in shares.items()):
            raise too_many(int(PART_S))
        self._taken += 1
        self._of.update(shares.keys())
        try:
            yield
        finally:
            self._taken -= 1
            self._of -= Counter(shares.keys())  # without those who have none


async def _contents(request: web.Request, part: FirstPart) -> AsyncIterator[bytes]:
    """Give the content of *part* as it comes; raises HTTP 408 for a client that is too slow.

    The time for storing it is not that of the client.
    """
    loop, octets, left = asyncio.get_running_loop(), 0, PART_S
    try:
        while True:
            since = loop.time()
            async with asyncio.timeout(left):
                piece = await request.content.readany()
            if not piece:
                return
            octets, left = octets + len(piece), left - (loop.time() - since)
            if octets >= PART:
                octets, left = 0, PART_S
            yield part.feed(piece)
    except TimeoutError:
        answer = web.HTTPRequestTimeout(text="the file comes too slowly\n")
        answer.force_close()
        raise answer from None


def _longest(size: int) -> float:
    return PART_S * (size // PART + 1)


@contextmanager
def _lasting(request: web.Request, seconds: float) -> Iterator[None]:
    """Let the connection last so much longer for the transfer in the block, and end with the response."""
    if isinstance(request.protocol, ConsoleConnection):
        request.protocol.longer_s = seconds
    try:
        yield
    finally:
        request.protocol.close()
