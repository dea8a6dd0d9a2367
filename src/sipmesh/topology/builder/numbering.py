"""What a new pool or server gets without being asked: its full name, the next free number in it, and free ports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.document.listeners import PORTS_OF
from sipmesh.topology.document.parts.server import CLIENT_PORT, PARTNER_PORT, SERVER_PORT, WEBSOCKET_PORT
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipmesh.topology.builder.outline import Entry, Outline

DEFAULT_PORTS = {"client": CLIENT_PORT, "server": SERVER_PORT, "websocket": WEBSOCKET_PORT, "partner": PARTNER_PORT}
POOL_STEMS = {
    Role.FRONT_END: "pool",
    Role.EDGE: "sip",
    Role.APPLICATION: "app",
    Role.MANAGEMENT: "mgmt",
    Role.GATEWAY: "gw",
}
SERVER_STEMS = {
    Role.FRONT_END: "fe",
    Role.EDGE: "edge",
    Role.APPLICATION: "app",
    Role.MANAGEMENT: "mgmt",
    Role.GATEWAY: "gate",
}
_WITHOUT_NUMBER = frozenset({"sip", "mgmt", "app", "gw"})
"""Stems whose first name has no number."""

_PARTS = re.compile(r"([a-z-]*[a-z])-?([0-9]*)")


def full_name(name: str, domain: str) -> str:
    """Give *name* in lower case, in *domain* if it has one label only."""
    return name.lower() if "." in name else f"{name.lower()}.{domain}"


def own_domain(outline: Outline) -> str:
    """Give the domain of new names: that of the first pool, else the first SIP domain; OperatorError without both."""
    for pool in outline.pools:
        above = pool.name.partition(".")[2]
        if "." in above:
            return above
    if outline.domains:
        return outline.domains[0].name
    raise OperatorError("the draft has no SIP domain; to add a domain: sipmesh topology add domain example.com")


def stem_of(name: str) -> str:
    """Give the letters at the start of a server's name: fe3.example.com → fe."""
    found = _PARTS.fullmatch(name.partition(".")[0])
    return found[1] if found else ""


class Numbering:
    """The names and ports that are taken in a draft, and in what is added to it now."""

    def __init__(self, outline: Outline) -> None:
        self._names = {entry.name for entry in (*outline.pools, *outline.servers)}
        self._web = outline.plain(("websocket",)) is not None
        self._ports: dict[object, set[int]] = {}
        for server in outline.servers:
            self._ports.setdefault(server.value.get("address"), set()).update(_ports(server, web=self._web))

    def take(self, name: str) -> str:
        """Record that *name* is taken; returns it."""
        self._names.add(name)
        return name

    def next_name(self, stem: str, domain: str) -> str:
        """Take the name with the next number after all names of that stem: fe1, fe2 → fe3."""
        numbers = [
            int(found[2] or 1) for found in map(_PARTS.fullmatch, self._labels(domain)) if found and found[1] == stem
        ]
        number = max(numbers, default=0) + 1
        label = stem if number == 1 and stem in _WITHOUT_NUMBER else f"{stem}{number}"
        return self.take(f"{label}.{domain}")

    def _labels(self, domain: str) -> Iterator[str]:
        for name in self._names:
            label, _, above = name.partition(".")
            if above == domain:
                yield label

    def free_ports(self, role: Role, address: str) -> dict[str, int]:
        """Take the ports for a new server of *role* beside the servers at the same address.

        Only ports that differ from the defaults of the role are in the result. A server without an address has a machine of its
        own.
        """
        taken = self._ports.setdefault(address, set()) if address else set()
        chosen: dict[str, int] = {}
        for key in _keys(role, web=self._web):
            port = DEFAULT_PORTS[key]
            while port in taken:
                port += 1
            taken.add(port)
            chosen[key] = port
        return {key: port for key, port in chosen.items() if port != DEFAULT_PORTS[key]}


def _keys(role: Role, *, web: bool) -> Iterable[str]:
    return [key for key in DEFAULT_PORTS if key in PORTS_OF[role] and (web or key != "websocket")]


def _ports(server: Entry, *, web: bool) -> Iterator[int]:
    """Give the ports on which a server of the draft listens."""
    given = server.value.get("ports")
    own: Mapping[str, object] = given if isinstance(given, dict) else {}
    role = role_of(server.pool) if server.pool else None
    for key in _keys(role, web=web) if role else ():
        port = own.get(key, DEFAULT_PORTS[key])
        if isinstance(port, int):
            yield port


def role_of(pool: Entry) -> Role | None:
    """Give the role of a pool of the draft; None if the draft has no such role."""
    try:
        return Role(str(pool.value.get("role")))
    except ValueError:
        return None
