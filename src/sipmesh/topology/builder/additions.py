"""Additions to the draft: pools, servers, SIP domains and sites. What can be derived from the draft is derived."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from sipmesh.errors import LocalError, OperatorError, SipmeshError
from sipmesh.topology.builder.numbering import (
    POOL_STEMS,
    SERVER_STEMS,
    Numbering,
    full_name,
    own_domain,
    role_of,
    stem_of,
)
from sipmesh.topology.builder.outline import Entry, Kind, Outline
from sipmesh.topology.document import yaml_edit
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROUTE = ("federation", "route")
MOST_SERVERS = 64
"""Servers that one command adds: a typing error must not fill the draft."""


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server to add; an empty field is derived. *outside* is the address for partners of a server of an edge."""

    name: str = ""
    pool: str = ""
    address: str = ""
    outside: str = ""
    site: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class NewPool:
    """A pool to add; an empty field is derived. Without *servers* it gets one."""

    role: Role
    name: str = ""
    servers: Sequence[NewServer] = ()
    internal_name: str = ""
    next_hop: str = ""
    speaks_for: Sequence[str] = ()
    site: str = ""
    sip_addresses: Sequence[str] = ()
    numbers: Sequence[str] = ()
    public: bool = False
    screens: Sequence[str] = ()
    if_away: str = ""


def add_pool(text: str, new: NewPool, file: Path) -> str:
    """Add a pool with its servers. The first edge pool becomes the route to partners.

    Raises `OperatorError` if the next hop cannot be derived: the draft has more front-end pools than one.
    """

    def refuse(_name: str, why: SipmeshError) -> NoReturn:
        raise why

    return add_pools(text, [new], file, refuse)


def add_pools(text: str, pools: Sequence[NewPool], file: Path, refuse: Callable[[str, SipmeshError], None]) -> str:
    """Add several pools as `add_pool` does, and read the draft once for all of them.

    A pool that cannot be added is given to *refuse*, and the others are added.
    """
    outline = Outline(text, file)
    made, entries = NewEntries(outline), []
    for new in pools:
        try:
            entries.append(made.of_pool(new))
        except OperatorError as wrong:
            refuse(new.name, wrong)
    text = _extended(text, entries, refuse)
    edge = next((entry["name"] for entry in entries if entry["role"] == Role.EDGE), None)
    if edge is not None and outline.plain(ROUTE) is None:
        text = yaml_edit.put(text, ROUTE, edge)
    return text


def _extended(text: str, entries: Sequence[NewEntry], refuse: Callable[[str, SipmeshError], None]) -> str:
    """Write the entries into the draft; halve them until each that cannot be written is alone."""
    if not entries:
        return text
    try:
        return yaml_edit.extend(text, ("pools",), entries)
    except LocalError as wrong:
        if len(entries) == 1:
            refuse(str(entries[0]["name"]), wrong)
            return text
    middle = len(entries) // 2
    return _extended(_extended(text, entries[:middle], refuse), entries[middle:], refuse)


NewEntry = dict[str, object]
"""A pool as the document has it."""


class NewEntries:
    """Makes the entries of new pools for a draft: what one takes, the next one does not get."""

    def __init__(self, outline: Outline) -> None:
        self._numbering, self._outline = Numbering(outline), outline
        self._front_ends = [
            (pool.name, pool.value.get("site")) for pool in outline.pools if role_of(pool) is Role.FRONT_END
        ]

    def of_pool(self, new: NewPool) -> NewEntry:
        """Make the entry of one pool; raises `OperatorError` if its next hop cannot be derived."""
        domain = own_domain(self._outline)
        name = _new_name(new.name, POOL_STEMS[new.role], domain, self._numbering)
        above = name.partition(".")[2] or domain
        entry: NewEntry = {
            "name": name,
            "role": str(new.role),
            "site": new.site.lower(),
            "servers": _servers_of(new, name, self._numbering, above),
            "internal_name": _internal_name(new, name, above),
            "next_hop": full_name(new.next_hop, domain) if new.next_hop else self._next_hop(new),
            "speaks_for": [speaker.lower() for speaker in new.speaks_for],
            "sip_addresses": list(new.sip_addresses),
            "numbers": list(new.numbers),
            "public": new.public,
            "screens": [name.lower() for name in new.screens],
            "if_away": new.if_away,
        }
        if new.role is Role.FRONT_END:
            self._front_ends.append((name, new.site.lower() or None))
        return {key: value for key, value in entry.items() if value}

    def _next_hop(self, new: NewPool) -> str:
        """Give the only front-end pool, of the site where the pool has one; empty for a pool that needs no next hop."""
        if new.role not in {*BORDERS, Role.APPLICATION}:
            return ""
        every = [name for name, _ in self._front_ends]
        beside = [name for name, site in self._front_ends if new.site and site == new.site.lower()]
        for found in (beside, every):
            if len(found) == 1:
                return found[0]
        if not every:
            remedy = "to add a pool: sipmesh topology add pool --role front-end"
            raise OperatorError(f"a pool of role {new.role} needs a front-end pool as its next hop; {remedy}")
        why = f"the draft has {len(every)} front-end pools; choose one as its next hop: {', '.join(every)}"
        raise OperatorError(why, parameter="next_hop")


def _servers_of(new: NewPool, pool: str, numbering: Numbering, domain: str) -> list[object]:
    servers = [*new.servers] or [NewServer()]
    if len(servers) > MOST_SERVERS:
        raise OperatorError(
            f"one command adds at most {MOST_SERVERS} servers; add the others with: sipmesh topology add server"
        )
    if new.role in (Role.APPLICATION, Role.MANAGEMENT) and len(servers) == 1 and not servers[0].name:
        return [_server(servers[0], pool, new.role, numbering)]  # the only server has the name of the pool
    stem = SERVER_STEMS[new.role]
    return [_server(one, _new_name(one.name, stem, domain, numbering), new.role, numbering) for one in servers]


def _new_name(name: str, stem: str, domain: str, numbering: Numbering) -> str:
    return numbering.take(full_name(name, domain)) if name else numbering.next_name(stem, domain)


def _server(new: NewServer, name: str, role: Role, numbering: Numbering) -> object:
    """Give the server as the draft has it: its name only, where the defaults are right."""
    entry: dict[str, object] = {
        "name": name,
        "site": new.site.lower(),
        "machine": new.machine,
        "address": new.address,
        "ports": numbering.free_ports(role, new.address),
        "outside": {"address": new.outside} if new.outside else None,
    }
    kept = {key: value for key, value in entry.items() if value}
    return kept if len(kept) > 1 else name


def _internal_name(new: NewPool, pool: str, domain: str) -> str:
    """Give the inside name of an edge pool: sip.example.com → edge-int.example.com, sip2 → edge-int2."""
    if new.internal_name or new.role is not Role.EDGE:
        return full_name(new.internal_name, domain) if new.internal_name else ""
    label = pool.partition(".")[0]
    number = label[len(label.rstrip("0123456789")) :]
    return f"edge-int{number}.{domain}"


def add_server(text: str, new: NewServer, file: Path) -> str:
    """Add a server to its pool. Raises `OperatorError` if the pool cannot be derived from the name."""
    outline = Outline(text, file)
    pool, numbering = _pool_for(outline, new), Numbering(outline)
    role = role_of(pool) or Role.FRONT_END  # validation reports the role
    domain = pool.name.partition(".")[2]
    mates = [server for server in outline.servers if server.pool and server.pool.name == pool.name]
    stem = stem_of(mates[0].name) if mates else SERVER_STEMS[role]
    new = new if new.address else replace(new, address=_loopback_of(mates))
    domain = domain if "." in domain else own_domain(outline)
    name = _new_name(new.name, stem or SERVER_STEMS[role], domain, numbering)
    if any(server.name == pool.name for server in mates):
        raise OperatorError(
            f"{pool.name} is the name of the pool and of its server, so that the pool takes no second one; rename the pool: "
            f"sipmesh topology rename {pool.name} NEW --kind pool"
        )
    return yaml_edit.append(text, (*pool.loc, "servers"), _server(new, name, role, numbering))


def _loopback_of(mates: Sequence[Entry]) -> str:
    """Give the loopback address of all *mates*; empty if they have another one: then DNS is used."""
    addresses = {str(server.value.get("address", "")) for server in mates}
    only = addresses.pop() if len(addresses) == 1 else ""
    return only if only == "::1" or only.startswith("127.") else ""


def _pool_for(outline: Outline, new: NewServer) -> Entry:
    """Give the pool that was named, else the one whose servers are called alike, else the only one."""
    if new.pool:
        return outline.one(Kind.POOL, full_name(new.pool, own_domain(outline)))
    carrying = [pool for pool in outline.pools if role_of(pool) is not Role.MANAGEMENT]
    stem = stem_of(new.name.lower())
    alike = {server.pool.name for server in outline.servers if server.pool and stem and stem_of(server.name) == stem}
    for found in ([pool for pool in carrying if pool.name in alike], carrying):
        if len(found) == 1:
            return found[0]
    names = ", ".join(pool.name for pool in carrying)
    why = f"the draft has {len(carrying)} pools to which it could belong; choose one of: {names}"
    raise OperatorError(why, parameter="pool")


def add_domain(text: str, domain: str, file: Path) -> str:
    """Add a SIP domain of ours. Raises `OperatorError` if the draft has it already."""
    return _listed(text, Outline(text, file).domains, "sip_domains", domain)


def add_site(text: str, site: str, file: Path) -> str:
    """Add a site. Raises `OperatorError` if the draft has it already."""
    return _listed(text, Outline(text, file).sites, "sites", site)


def _listed(text: str, known: Sequence[Entry], key: str, name: str) -> str:
    if any(entry.name == name.lower() for entry in known):
        raise OperatorError(f"{name.lower()} is in `{key}` of the draft already")
    return yaml_edit.append(text, (key,), name.lower())
