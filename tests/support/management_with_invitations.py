"""A management server with a console and the pages of invitations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.server.console.access.secret_table import hash_of
from support.console import TOKENS, Visitor
from support.invited import Invitee
from support.managed import MGMT, Managed, build_published
from support.model_ports import model_port
from support.network import FE1


@cache
def _ports(_plan: str) -> tuple[int, int]:
    return model_port(), model_port()


@asynccontextmanager
async def management_with_invitations(
    folder: Path, *further: PoolPlan, files: dict[str, int] | None = None, **pages: Any
) -> AsyncIterator[Managed]:
    """The management server alone, of a network with *further* pools; *pages* and *files* are keys of parts of the topology."""
    console, invitations = _ports(repr(sorted(pages)))
    operators = [
        {"name": name, "role": role, "token_sha256": hash_of(f"{name}-token")} for name, role in TOKENS.items()
    ]
    keys: dict[str, Any] = {
        "console": {"listen": f"{HOST}:{console}", "operators": operators},
        "invitations": {"listen": f"{HOST}:{invitations}", **pages},
    }
    if files is not None:
        keys["files"] = files
    organisation = build_published(folder / "o", *further, **keys)
    async with Managed(organisation, folder / "s") as network:
        await network.start(MGMT)
        yield network


async def with_certificates(network: Managed) -> None:
    """Make the device issuing CA, and publish that the first front end takes certificates of devices."""
    organisation = network.organisation
    organisation.certify_devices()
    document: Any = organisation.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    next(server for server in servers if server["name"] == FE1)["client_auth"] = "either"
    organisation.write()
    await network.publish()


async def invite(managed: Managed, user: str = "alice", /, **given: Any) -> str:
    """Have an operator invite a user by the API; gives the link."""
    async with Visitor(managed, "otto-token") as operator:
        answer = await operator.ask("POST", "/api/v1/user/invite", json={"user": user, **given})
        assert answer.status == 200, answer.text
        return str(answer.json["link"])


async def devices(network: Managed, user: str = "alice") -> list[str]:
    """Give the names of the devices of a user, as a viewer reads them."""
    async with Visitor(network, "vera-token") as viewer:
        answer = await viewer.ask("GET", "/api/v1/user/devices", params={"user": user})
        assert answer.status == 200, answer.text
        return [one["name"] for one in answer.json["devices"]]


def invitee(network: Managed, source: str = HOST) -> Invitee:
    """A client of the pages."""
    return Invitee(network.organisation.root, source)
