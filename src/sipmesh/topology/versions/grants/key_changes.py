"""Each key of the document in two versions, side by side. Entries of a list are matched by what they are, not by their place.

A key is named by its path without indexes, such as ``pools.servers.key``. A part that only the new version has is compared with
the defaults of its keys. A part that only the old version has is one change, and one for each entry of its lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sipmesh.topology.document.parts.authority import AuthorityEntry
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.versions.pairing import pairings
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server
    from sipmesh.trust.authority import Authority

POOLS: Final = "pools"
SERVERS: Final = "pools.servers"
PARTNERS: Final = "federation.partners"
OPERATORS: Final = "console.operators"
DEFAULT_HOME: Final = "pools (the first front-end pool)"
"""The order of the pools has a meaning: the first front-end pool is the home of users who have no other."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The topology *before* and the *new* one."""

    before: Loaded
    new: Loaded


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One *key* of *place* with its *old* and its *new* value; *parts* are the parts that have it, None for a part that is new.

    *versions* are both topologies.
    """

    key: str
    place: str
    old: Any
    new: Any
    parts: tuple[Any, Any]
    versions: Versions


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A server with its pool."""

    server: Server
    pool: Pool


def key_changes(before: Loaded, new: Loaded, is_whole: Callable[[str], bool]) -> Iterator[KeyChange]:
    """Yield each key whose value differs, and each entry of `ENTRIES` that differs.

    *is_whole* tells which parts are compared as one value: their own keys are left out.
    """
    walk = _Walk(Versions(before, new), is_whole)
    yield from walk.part("", "", before.topology, new.topology)
    yield from _default_home(walk.versions)


def _default_home(versions: Versions) -> Iterator[KeyChange]:
    old, new = versions.before.topology, versions.new.topology
    homes = home_by_default(old), home_by_default(new)
    pool = new.pool(homes[1])
    renamed = renamed_from(old, new, pool) if pool is not None else None
    if homes[0] != homes[1] and (renamed is None or renamed.name != homes[0]):
        yield KeyChange(DEFAULT_HOME, "", *homes, (old, new), versions)


@dataclass(frozen=True, slots=True)
class _Walk:
    versions: Versions
    is_whole: Callable[[str], bool]

    def part(self, key: str, place: str, old: BaseModel | None, new: BaseModel) -> Iterator[KeyChange]:
        """Yield the changes of the keys of one part."""
        for name in type(new).model_fields:
            path = f"{key}.{name}" if key else name
            yield from self._key(path, place, (old, new), (_value(old, new, name), getattr(new, name)))

    def _key(self, key: str, place: str, parts: tuple[Any, Any], values: tuple[Any, Any]) -> Iterator[KeyChange]:
        old, new = values
        if key in ENTRIES:
            yield from self._entries(key, parts)
        elif isinstance(new, BaseModel) and not self.is_whole(key):
            yield from self._change(key, place, parts, (old, new))
            yield from self.part(key, place, old if isinstance(old, BaseModel) else None, new)
        elif old != new or key.endswith(".anchors"):
            yield from self._change(key, place, parts, self._with_content(key, parts, values))
            if isinstance(old, BaseModel) and new is None and not self.is_whole(key):
                yield from self._gone(key, old)

    def _gone(self, key: str, old: BaseModel) -> Iterator[KeyChange]:
        """Yield the entries of a part that only the old version has: they are gone too."""
        for name in type(old).model_fields:
            path, value = f"{key}.{name}", getattr(old, name)
            if path in ENTRIES:
                yield from self._entries(path, (old, None))
            elif isinstance(value, BaseModel):
                yield from self._gone(path, value)

    def _change(self, key: str, place: str, parts: tuple[Any, Any], values: tuple[Any, Any]) -> Iterator[KeyChange]:
        if values[0] != values[1]:
            yield KeyChange(key, place, *values, parts, self.versions)

    def _entries(self, key: str, parts: tuple[Any, Any]) -> Iterator[KeyChange]:
        for name, old, new in ENTRIES[key](self.versions, *parts):
            yield from self._change(key, name, parts, (old, new))
            if new is not None and (old is not None or key in (POOLS, SERVERS)):
                inner = (old and old.server, new.server) if isinstance(new, ServerPlace) else (old, new)
                yield from self.part(key, name, *inner)

    def _with_content(self, key: str, parts: tuple[Any, Any], values: tuple[Any, Any]) -> tuple[Any, Any]:
        """Add the fingerprints of the certificates to the names of anchor files."""
        if not key.endswith(".anchors") or not isinstance(parts[1], AuthorityEntry):
            return values
        read = _authority(self.versions.before, parts[0]), _authority(self.versions.new, parts[1])
        return _anchors(values[0], read[0]), _anchors(values[1], read[1])


def _value(old: BaseModel | None, new: BaseModel, name: str) -> Any:
    """Return the old value of a key; of a new part the default, and None for a key that has none."""
    if old is not None:
        return getattr(old, name)
    default = type(new).model_fields[name].get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _anchors(names: tuple[str, ...], authority: Authority) -> tuple[str, ...]:
    found = [f"the certificate with the SHA-256 {fingerprint(anchor)}" for anchor in authority.anchors]
    return (*found, *(f"the file {name}" for name in names))


def _authority(loaded: Loaded, entry: AuthorityEntry) -> Authority:
    entries = zip(loaded.topology.authorities, loaded.authorities, strict=True)
    return next(authority for known, authority in entries if known is entry)


Entries = Iterator[tuple[str, Any, Any]]
"""The name of each entry, with the entry before and now; None where there is none."""

T = TypeVar("T")


def _pools(_versions: Versions, old: Topology, new: Topology) -> Entries:
    after = {pool.name: pool for pool in new.pools}
    before = {pool.name: pool for pool in old.pools}
    for pool in new.pools:
        if (renamed := renamed_from(old, new, pool)) is not None:
            before[pool.name] = before.pop(renamed.name)
    yield from _matched(before, after)


def renamed_from(old: Topology, new: Topology, pool: Pool) -> Pool | None:
    """Return the pool of *old* that has another name in *new*, and the same role and servers; None if *pool* is no such pool."""
    if old.pool(pool.name) is not None:
        return None
    gone = (known for known in old.pools if new.pool(known.name) is None and known.role is pool.role)
    return next((known for known in gone if _names(known) == _names(pool)), None)


def _names(pool: Pool) -> frozenset[str]:
    return frozenset(server.name for server in pool.servers)


def _servers(versions: Versions, _old: Pool | None, new: Pool) -> Entries:
    """A server is the same one in each pool."""
    before = {
        server.name: ServerPlace(server, pool) for pool in versions.before.topology.pools for server in pool.servers
    }
    for server in new.servers:
        yield server.name, before.get(server.name), ServerPlace(server, new)


def _partners(versions: Versions, _old: object, _new: object) -> Entries:
    for pair in pairings(versions.before, versions.new):
        old, new = pair.old and pair.old[0], pair.new and pair.new[0]
        known = new or old
        yield f"partner {known.name}" if known is not None else "", old, new


def _operators(_versions: Versions, old: Any, new: Any) -> Entries:
    before = {operator.name: operator for operator in old.operators} if old is not None else {}
    yield from _matched(before, {operator.name: operator for operator in new.operators} if new is not None else {})


def _matched(old: Mapping[str, T], new: Mapping[str, T]) -> Entries:
    for name in {**old, **new}:
        yield name, old.get(name), new.get(name)


ENTRIES: Final[Mapping[str, Callable[[Versions, Any, Any], Entries]]] = {
    POOLS: _pools,
    SERVERS: _servers,
    PARTNERS: _partners,
    OPERATORS: _operators,
}
