"""Message histories in the networks of tests: turned on, read and erased as a phone does it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from server.proxy.events.test_notifier import state, subscribe, watch
from sipmesh.topology.document.load import load
from support.network import Network
from support.peer import Peer
from support.running import until

EVENT = "message-history"


def keep_history(network: Network, days: int | None = 30, organisation: int = 0) -> None:
    """Write for how long the history is kept, None for no such key; servers that run put it in force."""
    of = network.organisations[organisation]
    of.document.pop("history", None)
    if days is not None:
        of.document["history"] = {"days": days}
    of.write()
    for name, node in network.nodes.items():
        if network.of(name) is of:
            node.put_in_force(load(of.file))


def asked(who: str | None = None, before: int = 0) -> str:
    """Give the Event that asks for a page."""
    return EVENT + ("" if who is None else f";with={quote(who, safe='')}") + (f";before={before}" if before else "")


async def read(peer: Peer, event: str) -> Any:
    """Read a page of the own history."""
    _, notify = await watch(peer, f"sip:{peer.user}", event)
    assert (state(notify), notify.first("content-type")) == ("terminated", "application/json")
    return json.loads(notify.body)


async def messages(peer: Peer, who: str, before: int = 0) -> list[dict[str, Any]]:
    """Read a page of a conversation, the newest message first."""
    found: list[dict[str, Any]] = (await read(peer, asked(who, before)))["messages"]
    return found


async def texts(peer: Peer, who: str) -> list[str]:
    return [one.get("text", one.get("left", "")) for one in await messages(peer, who)]


async def partners(peer: Peer) -> list[str]:
    """Read with whom there are conversations, the newest first."""
    return [one["with"] for one in (await read(peer, asked()))["conversations"]]


async def kept(network: Network, count: int) -> None:
    """Wait until so many messages are in the histories that servers which run have written."""
    await until(lambda: sum(node.events.history.kept for node in network.nodes.values()) == count)


async def erase(peer: Peer, what: str, user: str = "") -> int:
    """Erase a conversation, or all with ``*``; gives the status."""
    headers = [("event", EVENT), ("content-type", "application/json")]
    body = json.dumps({"erase": what}).encode()
    return (await peer.ask(peer.request("PUBLISH", user or f"sip:{peer.user}", headers, body))).status


async def refusal(peer: Peer, event: str, to: str = "") -> int:
    """Ask for a page that is refused; gives the status."""
    return (await peer.ask(subscribe(peer, to or f"sip:{peer.user}", event))).status
