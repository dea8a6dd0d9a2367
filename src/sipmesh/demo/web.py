"""What `sipmesh demo --web` adds: management with console and pages of invitations, and the web phone on the front ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.console.console_server import CONSOLE_LOGIN
from sipmesh.server.management.publishing.offline_publish import publish_first
from sipmesh.server.web_phone.files import is_built
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.transport.websocket.pages import PHONE
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.demo.network import DemoNetwork
    from sipmesh.demo.score import Score

MGMT: Final = "mgmt.example.test"
MANAGEMENT: Final = (PoolPlan(MGMT, Role.MANAGEMENT, (MGMT,)),)
CALLERS: Final = ("carol", "dave")
"""The users of the two web phones; the acts of the demo leave them alone."""


def add_web(example: Organisation) -> None:
    """Give example.test a console, pages of invitations and files, and each front end a WebSocket port with the web phone."""
    document: dict[str, Any] = example.document
    document["websocket"] = {"phone": True}
    document["files"] = {}
    for pages in ("console", "invitations"):
        document[pages] = {"listen": f"{example.host}:{free_port(example.host)}"}
    for server in _front_ends(example):
        server["ports"]["websocket"] = free_port(example.host)


def _front_ends(example: Organisation) -> list[dict[str, Any]]:
    document: dict[str, Any] = example.document
    return [server for pool in document["pools"] if pool["role"] == Role.FRONT_END for server in pool["servers"]]


def publish_web(example: Organisation) -> None:
    """Add the second caller, and publish the topology as version 1."""
    example.add_users(CALLERS[1])
    publish_first(example.file, "the demo", "the demo starts", datetime.now(UTC))


async def show_pages(network: DemoNetwork, score: Score) -> None:
    """Print the links, each with what logs in there."""
    code = await network.result_of(CONSOLE_LOGIN, MGMT, role=ConsoleRole.VIEWER)
    document: dict[str, Any] = network.example.document
    score.say(
        "\nOpen these pages in a browser. It warns, because it does not know the CA of the demo:",
        f"accept, or import {network.example.root}.",
        f"  console with the map, good for one login within 5 minutes: https://{document['console']['listen']}/login#{code.code}",
    )
    for user, server in zip(CALLERS, _front_ends(network.example), strict=True):
        address, port = f"{user}@{network.example.domain}", server["ports"]["websocket"]
        score.say(f"  web phone, password {user}-secret: https://{HOST}:{port}{PHONE}#{address}")
    if not is_built():
        score.say("  The web phone is not built: install npm, then run tools/web_phone, or install sipmesh again.")
