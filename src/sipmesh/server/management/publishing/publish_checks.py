"""Checks of a version beyond the document itself: whether its user database opens, and what needs a restart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from sipmesh.database.masked import masked
from sipmesh.errors import OperatorError, Problem
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.checks.named_files import misplaced_files
from sipmesh.topology.document.listeners import listeners
from sipmesh.topology.document.yaml_tree import dotted
from sipmesh.trust.formatting import tell, tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.database.shared import SharedDatabase
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology

STORAGE = "storage.users"


def must_open(new: Loaded, in_force: Loaded | None = None) -> None:
    """Check that the user database of *new* opens, unless *in_force* uses the same; otherwise servers could not start.

    An SQLite file that does not exist is not created here; its folder must exist and be writable. Raises `OperatorError`.
    """
    if in_force is not None and new.users_url == in_force.users_url:
        return
    file = new.users_file
    if file is not None and not file.exists():
        folder = Path(file).parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise _unusable(new, f"{folder} is not a folder that sipmesh may write to")
        return
    try:
        Users(new.users_url).close()
    except OperatorError as wrong:
        raise _unusable(new, wrong.message) from None


def must_name_files_of_their_kind(new: Loaded, in_force: Loaded | None) -> None:
    """Check that each file is in the folder of its kind, also those of an old version; raises `OperatorError`.

    What *in_force* names already, from an earlier release, stays until the draft is published again.
    """
    known = (
        {found[1] for found in misplaced_files(in_force.topology, in_force.folder)} if in_force is not None else set()
    )
    problems = [
        Problem(new.file, 0, dotted(loc), reason, remedy)
        for loc, reason, remedy in misplaced_files(new.topology, new.folder)
        if reason not in known
    ]
    if problems:
        raise OperatorError("not published: it names files that are not in the folder of their kind", tuple(problems))


def must_keep_name(new: Loaded, in_force: Loaded) -> None:
    """Raise `OperatorError` if *new* has another name of the organisation: no server would accept it, and no later version.

    Nothing forces it, since management is one of these servers.
    """
    name, changed = in_force.topology.organisation, new.topology.organisation
    if name == changed:
        return
    reason = f"is {tell(changed)}, and every server belongs to {tell(name)} for ever"
    remedy = (
        f"write {tell(name)}; for another name, make a new organisation (sipmesh init), and let each server join it"
    )
    raise OperatorError(
        "an organisation cannot change its name", (Problem(new.file, 0, "organisation", reason, remedy),)
    )


def must_share(new: Loaded, shared: SharedDatabase | None) -> None:
    """Check that management of this host uses the database that *new* names, if it names one; raises `OperatorError`.

    User, password and options are not compared: they are those of a host.
    """
    named = new.topology.storage.management
    if named is None:
        return
    if shared is None or _place_of(named) != _place_of(shared.url):
        remedy = "move the data there first: sipmesh management move; or name the database that this host uses"
        reason = "is not the database that management of this host uses"
        raise OperatorError(
            "the management database of the draft cannot be used",
            (Problem(new.file, 0, "storage.management", reason, remedy),),
        )


def _place_of(url: str) -> tuple[object, ...]:
    parsed = make_url(url)
    return parsed.host or parsed.query.get("host"), parsed.port or 5432, parsed.database


def _unusable(new: Loaded, why: str) -> OperatorError:
    remedy = "name a database that this machine can open, or leave `users` unchanged"
    return OperatorError("the user database of the draft cannot be used", (Problem(new.file, 0, STORAGE, why, remedy),))


def users_left_behind(before: Loaded, new: Loaded) -> Iterator[str]:
    """Yield a sentence if *new* has another user database, and users of the present one are not in it.

    A database that cannot be read is passed over: `must_open` refuses a new one, and nothing is known of an old one.
    """
    if new.users_url == before.users_url:
        return
    known = _users_in(before)
    missing = known - _users_in(new)
    if missing:
        where = masked(new.users_url)
        source = before.topology.storage.users.removeprefix("sqlite:///") if before.users_file else "FILE"
        yield (
            f"the user database changes, and {len(missing)} of {len(known)} users are not in the new one: they cannot log in "
            f"after the next start of management; copy them first: sipmesh user import {source} --into {where}"
        )


def look_at_users(new: Loaded, before: Loaded | None) -> Sequence[str]:
    """Do both with the user databases of *new* and of *before*; their servers may not answer for a minute."""
    must_open(new, before)
    return list(users_left_behind(before, new)) if before is not None else ()


def _users_in(loaded: Loaded) -> frozenset[str]:
    if loaded.users_file is not None and not loaded.users_file.exists():
        return frozenset()
    try:
        users = Users(loaded.users_url)
    except OperatorError:
        return frozenset()
    try:
        return frozenset(user.aor for user in users.list())
    except OperatorError:
        return frozenset()
    finally:
        users.close()


def from_a_restart(before: Loaded, new: Loaded) -> Iterator[str]:
    """Return a sentence for each change that servers can use from their next start only."""
    old, now = _specs(before), _specs(new)
    for name in listen_elsewhere(before, new):
        yield f"{name} must be restarted {_new_places(old[name], now[name])}; restart it, and check that it runs"
    yield from _other_pools(before.topology, new.topology)
    yield from _other_pages(before.topology, new.topology)
    yield from _other_processes(before.topology, new.topology)
    yield from _other_stores(before.topology, new.topology)


def _new_places(old: Sequence[ListenerSpec], now: Sequence[ListenerSpec]) -> str:
    """Say where a server begins to listen, and where it stops: what stays is not in the result."""
    begins, ends = ([spec for spec in one if spec not in other] for one, other in ((now, old), (old, now)))
    if not begins:
        return f"to stop listening on {_places(ends)}"
    return f"to listen on its new addresses: {_places(begins)}"


def _places(specs: Sequence[ListenerSpec]) -> str:
    return ", ".join(f"{spec.host} port {spec.port} ({spec.kind})" for spec in specs)


def listen_elsewhere(before: Loaded, new: Loaded) -> Sequence[str]:
    """Return the servers whose addresses or ports change: they listen there from their next start."""
    old, now = _specs(before), _specs(new)
    return [name for name in sorted(old.keys() & now.keys()) if old[name] != now[name]]


def _other_pools(old: Topology, new: Topology) -> Iterator[str]:
    """Say which servers have to be restarted for another pool, or for the new name of theirs: it names keys and rows."""
    before = {server.name: pool.name for pool in old.pools for server in pool.servers}
    for pool in new.pools:
        moved = [server.name for server in pool.servers if before.get(server.name, pool.name) != pool.name]
        if moved:
            yield f"{tell_list(moved)} must be restarted to use the keys and registrations of {pool.name}"


def _other_pages(old: Topology, new: Topology) -> Iterator[str]:
    """Say which servers serve their metrics or CRLs as before until they are restarted, also without TLS."""
    before = {server.name: server for server in old.servers}
    for server in new.servers:
        known = before.get(server.name, server)
        if (known.metrics, known.metrics_tls) != (server.metrics, server.metrics_tls):
            yield f"{server.name} must be restarted to serve its metrics as published"
        if known.publish_lists != server.publish_lists:
            yield f"{server.name} must be restarted to publish CRLs as published"


def _other_processes(old: Topology, new: Topology) -> Iterator[str]:
    before = {server.name: server.workers for server in old.servers}
    for server in new.servers:
        if server.workers != before.get(server.name, server.workers):
            yield f"{server.name} must be restarted to use its new number of workers"


def _other_stores(old: Topology, new: Topology) -> Iterator[str]:
    """Say which servers have to be restarted for other stores. A server that is new uses them from its first start."""
    was, now = old.storage, new.storage
    front_ends, managers = (_in_both(old, new, role) for role in (Role.FRONT_END, Role.MANAGEMENT))
    if moved := _with_other_bindings(old, new):
        yield f"{tell_list(moved)} must be restarted to use the new store of registrations, one after the other"
    if front_ends and was.messages != now.messages:
        yield f"{tell_list(front_ends)} must be restarted to use the new database of stored messages, one after the other"
    if was.users != now.users and (managers or front_ends):
        yield f"{tell_list(managers or front_ends)} must be restarted to use the new database of users"


def _with_other_bindings(old: Topology, new: Topology) -> Sequence[str]:
    """Return the front ends whose pool stores its registrations elsewhere, or with another login."""
    before = {server.name: old.storage_of(pool) for pool in old.pools for server in pool.servers}
    front_ends = [pool for pool in new.pools if pool.role is Role.FRONT_END]
    after = {server.name: new.storage_of(pool) for pool in front_ends for server in pool.servers}
    return [name for name, storage in after.items() if name in before and before[name] != storage]


def _in_both(old: Topology, new: Topology, role: Role) -> Sequence[str]:
    before = frozenset(old.server_names)
    return [server.name for pool in new.pools if pool.role is role for server in pool.servers if server.name in before]


def _specs(loaded: Loaded) -> dict[str, tuple[ListenerSpec, ...]]:
    return {
        server.name: listeners(loaded.topology, pool, server)
        for pool in loaded.topology.pools
        for server in pool.servers
    }
