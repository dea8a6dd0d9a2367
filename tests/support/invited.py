"""A person or a phone at the pages of invitations, over real TLS, and the operator who invites."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from sipmesh.demo.ports import HOST


@dataclass(frozen=True, slots=True)
class Answer:
    """What the pages have answered."""

    status: int
    text: str
    headers: dict[str, str]


async def sipmesh(file: Path, *arguments: str) -> str:
    """Run a command on the machine of management, and give what it prints; a failure is an error."""
    code, out, fault = await ran(file, *arguments)
    assert code == 0, f"{fault}{out}"
    return out


async def ran(file: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command; gives its exit code, and what it has printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sipmesh", *arguments, "--topology", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, fault = await process.communicate()
    return process.returncode or 0, out.decode(), fault.decode()


async def invited(file: Path, user: str, *options: str) -> str:
    """Invite a user by the command; gives the link."""
    letter: dict[str, Any] = json.loads(await sipmesh(file, "user", "invite", user, "--json", *options))
    return str(letter["link"])


class Invitee:
    """A client that trusts the enterprise CA, and finds the name of management on this machine. *source* is its address."""

    def __init__(self, root: Path, source: str = HOST) -> None:
        self.root, self._source = root, source

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(cafile=str(self.root))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, local_addr=(self._source, 0), force_close=True)
        )
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await self._session.close()

    async def ask(self, method: str, url: str, **given: Any) -> Answer:
        """Send one request."""
        parts = urlsplit(url)
        if isinstance(given.get("data"), bytes):
            given["data"] = BytesIO(given["data"])
        here = parts._replace(netloc=f"{HOST}:{parts.port}").geturl()
        headers = {"Host": parts.netloc, **given.pop("headers", {})}
        asked = self._session.request(method, here, headers=headers, server_hostname=parts.hostname, **given)
        async with asked as answer:
            return Answer(answer.status, await answer.text(errors="replace"), dict(answer.headers))

    async def get(self, url: str, **given: Any) -> Answer:
        """Open a link."""
        return await self.ask("GET", url, **given)

    async def take(self, link: str, client: str, **given: Any) -> Answer:
        """Send the form of the page with this choice."""
        return await self.ask("POST", link, data={"client": client}, **given)
