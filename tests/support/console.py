"""A management server with a console, and its visitors."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding
from yarl import URL

from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.files import key_pem
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.console.access.guard import COOKIE
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.control_socket import SOCKET_SUFFIX
from support.managed import MGMT, Credentials, Managed, build_published
from support.model_ports import model_port

TOKENS = {"vera": "viewer", "otto": "operator", "sona": "security-officer"}
"""Operators with a token for the API: the token of *vera* is ``vera-token``."""


@cache
def _console_port(_plan: str) -> int:
    return model_port()


@asynccontextmanager
async def management_with_console(
    folder: Path,
    *pools: PoolPlan,
    recording: bool = False,
    algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
    **further: Any,
) -> AsyncIterator[Managed]:
    """A management server that serves a console, alone, with further *pools*.

    *further* keys are those of ``console`` in the topology. *recording*: servers make records of calls. *algorithm* is that
    of the CA.
    """
    operators = [
        {"name": name, "role": role, "token_sha256": hash_of(f"{name}-token")} for name, role in TOKENS.items()
    ]
    console = {
        "listen": f"{HOST}:{_console_port(repr((pools, further, recording, algorithm)))}",
        "operators": operators,
        **further,
    }
    keys: dict[str, object] = {"call_records": {}} if recording else {}
    organisation = build_published(folder / "o", *pools, algorithm=algorithm, console=console, **keys)
    async with Managed(organisation, folder / "s") as network:
        await network.start(MGMT)
        yield network


@dataclass
class Answer:
    """What the console has answered."""

    status: int
    text: str
    headers: dict[str, str]
    json: Any = None


class Visitor:
    """A browser, or a program with a *token*, that trusts the enterprise CA and the name of management.

    It shows the certificate of its *credentials*, chain and key, where it is asked for one. *source* is its address.
    """

    part = "console"
    """Of the topology, with the port."""

    def __init__(
        self, network: Managed, token: str = "", credentials: Credentials | None = None, source: str = HOST
    ) -> None:
        self._source = source
        self._network, self._token, self._credentials = network, token, credentials
        self.form_token = ""

    async def __aenter__(self) -> Self:
        pages: Any = self._network.organisation.document[self.part]
        self.port = int(pages["listen"].rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(self._network.organisation.root))
        if self._credentials is not None:
            context.load_cert_chain(*self._credentials)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        self.session = aiohttp.ClientSession(
            f"https://{HOST}:{self.port}",
            headers={"Host": f"{MGMT}:{self.port}", **headers},
            connector=aiohttp.TCPConnector(ssl=context, local_addr=(self._source, 0)),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
        )
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str | URL, **given: Any) -> Answer:
        """Send one request; a redirection is an answer."""
        async with self.session.request(method, path, server_hostname=MGMT, allow_redirects=False, **given) as answer:
            text = await answer.text()
            json = await answer.json() if answer.content_type == "application/json" else None
            if found := re.search(r'name="form_token" value="([^"]+)"', text):
                self.form_token = found[1]
            return Answer(answer.status, text, dict(answer.headers), json)

    async def get(self, path: str | URL, **given: Any) -> Answer:
        """Read a page."""
        return await self.ask("GET", path, **given)

    async def post(self, path: str, **form: str) -> Answer:
        """Send a form of the page that was read last."""
        return await self.ask("POST", path, data={"form_token": self.form_token, **form})

    async def log_in(self, role: str) -> str:
        """Log in with a code that an operator of the machine has got; gives the secret of the session."""
        code = (await self._network.ask(MGMT, "console-login", role=role))["code"]
        answer = await self.ask("POST", "/login", data={"code": code})
        assert (answer.status, answer.headers["Location"]) == (303, "/"), answer.text
        cookies = {cookie.key: cookie.value for cookie in self.session.cookie_jar}
        assert (await self.get("/")).status == 200
        return cookies[COOKIE]


def operator_credentials(network: Managed, name: str, folder: Path) -> Credentials:
    """Issue a certificate for the operator *name*; gives the files with its chain and its key."""
    issued = CaGenerations(network.organisation.folder / "ca").current.issue_operator(name, datetime.now(UTC))
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (issued.certificate, *issued.issuers)))
    key.write_bytes(key_pem(issued.key))
    return chain, key


def beside_management(network: Managed, *servers: str) -> None:
    """Let management find the control sockets of *servers*, as of servers on its own machine."""
    for name in servers:
        socket = f"state/{name}{SOCKET_SUFFIX}"
        (network.organisation.folder / socket).symlink_to(network.folder(name) / socket)
