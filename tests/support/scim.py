"""A management server to which SCIM clients write, and a client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.storage.users.user import User
from sipmesh.storage.users.user_database import Users
from support.console import Answer, Visitor
from support.managed import MGMT, Managed, build_published
from support.model_ports import model_port
from support.running import until

TOKEN = "scim-client-token"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OPERATOR = {"name": "sona", "role": "security-officer", "token_sha256": hash_of("sona-token")}
_PORTS: dict[str, int] = {}


@asynccontextmanager
async def scim_network(
    folder: Path, *servers: str, further: Sequence[PoolPlan] = (), **keys: Any
) -> AsyncIterator[Managed]:
    """Run management with SCIM, and *servers*; *keys* are further keys of ``scim``."""
    port = _PORTS.setdefault(repr((further, keys)), model_port())
    console = {"listen": f"{HOST}:{port}", "operators": [OPERATOR]}
    scim = {"tokens": [{"name": "entra", "token_sha256": hash_of(TOKEN)}], **keys}
    organisation = build_published(folder / "o", *further, console=console, scim=scim)
    async with Managed(organisation, folder / "s") as network:
        await network.start(MGMT, *servers)
        yield network


@dataclass
class ScimClient:
    """A client that sends requests as *visitor*."""

    visitor: Visitor

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send one request, and return the status and the JSON of the answer."""
        answer = await self.answer(method, path, body, **headers)
        return answer.status, json.loads(answer.text) if answer.text else None

    async def answer(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request, and return the whole answer."""
        given: dict[str, Any] = {"data": json.dumps(body)} if body is not None else {}
        sent = {"Content-Type": "application/scim+json", **{key.replace("_", "-"): to for key, to in headers.items()}}
        return await self.visitor.ask(method, f"/scim/v2{path}", headers=sent, **given)

    async def add(self, name: str, **more: Any) -> str:
        """Add an active user, and return the id."""
        status, made = await self.ask("POST", "/Users", {"schemas": [USER], "userName": name, "active": True, **more})
        assert status == 201, made
        return str(made["id"])

    async def group(self, name: str, *members: str, **more: Any) -> str:
        """Add a group, and return the id."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members], **more}
        status, made = await self.ask("POST", "/Groups", body)
        assert status == 201, made
        return str(made["id"])

    async def patch(self, path: str, *operations: Mapping[str, Any]) -> tuple[int, Any]:
        """Change a resource."""
        return await self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})


async def adopted(network: Managed, client: ScimClient, name: str) -> str:
    """Let SCIM clients write a local user, once no sync runs; gives the id."""
    follower = network.master.directory
    await until(lambda: follower._followed is follower._server.view.loaded)
    assert "1 user" in await network.type("directory", "adopt", name)
    found = await client.ask("GET", f'/Users?filter=userName eq "{name}"')
    return str(found[1]["Resources"][0]["id"])


@asynccontextmanager
async def scim_client(network: Managed, token: str = TOKEN) -> AsyncIterator[ScimClient]:
    """A client with *token*."""
    async with Visitor(network, token) as visitor:
        yield ScimClient(visitor)


def users_of(network: Managed) -> Mapping[str, User]:
    """The users in the database of management, by the part of their address before the @."""
    users = Users(network.organisation.load().users_url)
    try:
        return {user.aor.removeprefix("sip:").partition("@")[0]: user for user in users.list()}
    finally:
        users.close()
