"""Words for pools and servers that have changed, and for the default home pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.part_changes.field_changes import (
    Words,
    from_to,
    list_fields,
    list_names,
    order_changes,
    spell,
)
from sipmesh.topology.versions.part_changes.storage_changes import pool_storage_changes
from sipmesh.trust.formatting import tell, tell_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.history import History
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server


def _next_hop(whose: str, old: str | None, new: str | None) -> str:
    return f"{whose} sends requests to {new or 'no pool'} instead of {old or 'no pool'}"


def _backup_pool(whose: str, old: str | None, new: str | None) -> str:
    if new is None:
        return f"{whose}'s users are served by no other pool any more while its servers do not answer"
    instead = f" instead of {old}" if old else ""
    return f"{whose}'s users are served by {new}{instead} while its servers do not answer, and {new} gets their password hashes"


def _remote_users(whose: str, _old: bool, new: bool) -> str:  # noqa: FBT001 - the values of a field
    return f"{whose} {'has a client port for remote users' if new else 'no longer has a client port for remote users'}"


def _public(whose: str, _old: bool, new: bool) -> str:  # noqa: FBT001 - the values of a field
    return f"partners and trunks {'may' if new else 'can no longer'} call the addresses and numbers of {whose}"


def _if_away(whose: str, _old: str, new: str) -> str:
    return f"the calls that {whose} screens {'ring' if new == 'pass' else 'are refused'} while it does not answer"


def _kept(history: History | None) -> str:
    return "as the topology says" if history is None else f"for {history.days} days"


_POOL: Mapping[str, Words | None] = {
    **dict.fromkeys(("name", "servers", "speaks_for", "sip_addresses", "numbers", "screens", "storage")),
    "role": from_to("role"),
    "site": from_to("site", "none"),
    "internal_name": from_to("inside name", "none"),
    "remote_users": _remote_users,
    "next_hop": _next_hop,
    "public": _public,
    "if_away": _if_away,
    "rtpengine": from_to("port of rtpengine", "none"),
    "backup_pool": _backup_pool,
    "takeover_after": from_to("seconds before its backup pool takes over"),
    "history": lambda whose, _old, new: f"{whose} keeps the message history of its users {_kept(new)}",
}

_SERVER: Mapping[str, Words | None] = {
    **dict.fromkeys(("name", "ports", "outside")),
    "site": from_to("site", "that of its pool"),
    "address": from_to("address", "the DNS entry"),
    "bind": from_to("address to listen on", "the default"),
    "machine": from_to("machine", "that of its address"),
    "certificate": from_to("certificate file", "the default"),
    "key": from_to("key file", "the default"),
    "client_certificates": from_to("list of certificates for clients", "none"),
    "publish_lists": from_to("address for CRLs and OCSP", "none"),
    "metrics": from_to("address for metrics", "none"),
    "metrics_tls": from_to("TLS for metrics"),
    "client_auth": from_to("proof of users on the client port"),
    "workers": from_to("number of workers"),
}

_PORTS: Mapping[str, Words | None] = {
    name: from_to(f"{name} port", "the default") for name in ("client", "websocket", "server", "partner")
}

_SIDE: Mapping[str, Words | None] = {
    "address": from_to("address", "the DNS entry"),
    "bind": from_to("address to listen on", "the default"),
    "certificate": from_to("certificate file", "that of the inside"),
    "key": from_to("key file", "that of the inside"),
    "partners": from_to("list of certificates for single partners", "none"),
}


def pool_changes(old: Topology, new: Topology) -> Iterator[str]:
    """List pools and servers that are added, removed, moved or changed, and another default home pool."""
    before, after = {pool.name: pool for pool in old.pools}, {pool.name: pool for pool in new.pools}
    yield from (f"pool {name} is removed ({pool.role})" for name, pool in before.items() if name not in after)
    new_ones = (pool for name, pool in after.items() if name not in before)
    yield from (f"pool {pool.name} is added ({pool.role}{_settings(pool)})" for pool in new_ones)
    yield from order_changes([*before], [*after], "the pools")
    yield from _home(old, new)
    yield from _servers(old, new)
    for name, pool in before.items():
        if name in after:
            yield from _pool(pool, after[name])


def _home(old: Topology, new: Topology) -> Iterator[str]:
    """Describe a change of the default home pool."""
    before, after = home_by_default(old), home_by_default(new)
    if before != after:
        yield f"users without an explicit home pool have the home pool {after or 'no pool'} instead of {before or 'no pool'}"


def _settings(pool: Pool) -> str:
    """Describe the settings of a new pool."""
    settings = {
        "site": pool.site,
        "next hop": pool.next_hop,
        "inside name": pool.internal_name,
        "speaks for": tell_list(pool.speaks_for),
        "has the addresses": tell_list(pool.sip_addresses),
        "has the numbers": tell_list(pool.numbers),
        "screens the calls to": tell_list(pool.screens),
        "lets calls on": "while it does not answer" if pool.if_away == "pass" else "",
        "may be called by": "partners and trunks" if pool.public else "",
        "a port for": "remote users" if pool.remote_users else "",
        "backup pool": pool.backup_pool,
        "its own store of the bindings": pool.storage and tell(pool.storage.bindings),
    }
    return "".join(f", {name} {value}" for name, value in settings.items() if value)


def _pool(old: Pool, new: Pool) -> Iterator[str]:
    yield from list_fields(f"pool {old.name}", old, new, _POOL)
    yield from pool_storage_changes(old, new)
    yield from list_names(
        old.speaks_for,
        new.speaks_for,
        lambda name: f"pool {old.name} may now speak for the users of {name}",
        lambda name: f"pool {old.name} may no longer speak for the users of {name}",
        f"the domains that pool {old.name} speaks for",
    )
    yield from _names_of_application(f"pool {old.name}", "address", old.sip_addresses, new.sip_addresses)
    yield from _names_of_application(f"pool {old.name}", "numbers", old.numbers, new.numbers)
    yield from list_names(
        old.screens,
        new.screens,
        lambda name: f"pool {old.name} screens the calls to {name}",
        lambda name: f"pool {old.name} no longer screens the calls to {name}",
        f"the users and domains whose calls pool {old.name} screens",
    )
    before, after = ([server.name for server in pool.servers] for pool in (old, new))
    yield from order_changes(before, after, f"the servers of {old.name}")


def _names_of_application(whose: str, what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    def comes(name: str) -> str:
        return f"{whose} gets the {what} {name}"

    def goes(name: str) -> str:
        return f"{whose} loses the {what} {name}"

    return list_names(old, new, comes, goes, f"the {what} of {whose}")


def _servers(old: Topology, new: Topology) -> Iterator[str]:
    before, after = (
        {server.name: (pool, server) for pool in topology.pools for server in pool.servers} for topology in (old, new)
    )
    for name in [*before, *(name for name in after if name not in before)]:
        was, will = before.get(name), after.get(name)
        if will is None and was is not None:
            yield f"server {name} is removed from {was[0].name}"
        elif was is None and will is not None:
            yield f"server {name} is added to {will[0].name}{_placed(will[1])}"
        elif was is not None and will is not None:
            if was[0].name != will[0].name:
                yield f"server {name} moves from {was[0].name} to {will[0].name}"
            yield from _server(was[1], will[1])


def _placed(server: Server) -> str:
    return f" at {server.address}" if server.address else ""


def _server(old: Server, new: Server) -> Iterator[str]:
    yield from list_fields(old.name, old, new, _SERVER)
    yield from list_fields(old.name, old.ports, new.ports, _PORTS)
    if old.outside is not None and new.outside is not None:
        yield from list_fields(f"the outside of {old.name}", old.outside, new.outside, _SIDE)
    elif old.outside != new.outside:
        had, has = (spell(side, "none") if side else "no outside address" for side in (old.outside, new.outside))
        yield f"the outside of {old.name} changes from {had} to {has}"
