"""Words for stores that have changed: the general stores, and those of single pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sipmesh.database.masked import masked
from sipmesh.topology.versions.part_changes.field_changes import Words, from_to, list_fields
from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.stores import PoolStorage


def storage_changes(old: Topology, new: Topology) -> Iterator[str]:
    """List the changes of the general storage."""
    yield from list_fields("", old.storage, new.storage, _STORAGE)
    yield from list_fields("", old.storage.valkey, new.storage.valkey, _VALKEY)


def pool_storage_changes(old: Pool, new: Pool) -> Iterator[str]:
    """List the changes of the store of one pool. What is left out of it counts as nothing, never as the general setting."""
    whose = f"pool {old.name}"
    if old.storage is None or new.storage is None:
        if old.storage is not new.storage:
            before, after = (_spelled(storage) for storage in (old.storage, new.storage))
            yield f"{whose}'s store of the bindings changes from {before} to {after}"
        return
    yield from list_fields(whose, old.storage, new.storage, _POOL_STORAGE)
    yield from list_fields(whose, old.storage.valkey, new.storage.valkey, _POOL_VALKEY)


def _spelled(storage: PoolStorage | None) -> str:
    if storage is None:
        return "the general one"
    user = f", user {tell(storage.valkey.user)}" if storage.valkey.user else ""
    return f"one of its own, {tell(storage.bindings)}{user}"


def _database(what: str) -> Words:
    """Describe a change of the URL of the database *what*, without its password."""

    def say(_whose: str, old: str | None, new: str | None) -> str:
        before, after = (masked(url or "nothing") for url in (old, new))
        if before == after:
            return f"the database of the {what} is opened with another password"
        return f"the database of the {what} changes from {tell(before)} to {tell(after)}"

    return say


def _login(article: str) -> Mapping[str, Words | None]:
    """Words for the login at a store; *article* begins them where they follow no name."""
    return {
        "user": from_to(f"{article}user of the store of the bindings", "the default"),
        "password_file": from_to(f"{article}password file of the store of the bindings", "the environment"),
        "anchors": from_to(f"{article}list of anchors of the store of the bindings", "none"),
        "certificate": from_to(f"{article}certificate for the store of the bindings", "none"),
        "key": from_to(f"{article}key file for the store of the bindings", "none"),
        "sentinel": from_to(f"{article}name of the primary of the store of the bindings", "none"),
    }


_STORAGE: Mapping[str, Words | None] = {
    "users": _database("users"),
    "management": _database("management"),
    "bindings": from_to("the store of the bindings"),
    "valkey": None,
    "messages": _database("stored messages"),
    "calls": _database("records of calls"),
}

_POOL_STORAGE: Mapping[str, Words | None] = {"bindings": from_to("store of the bindings"), "valkey": None}

_VALKEY, _POOL_VALKEY = _login("the "), _login("")
