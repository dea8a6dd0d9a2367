"""Checks of a version beyond the document itself: whether its user database opens, and what needs a restart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from sipmesh.errors import OperatorError, Problem
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.listeners import listeners
from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.database.shared import SharedDatabase
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded

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


def from_a_restart(before: Loaded, new: Loaded) -> Iterator[str]:
    """Return a sentence for each server whose addresses or ports change: they change at its next start."""
    old, now = _specs(before), _specs(new)
    for name in sorted(old.keys() & now.keys()):
        if old[name] != now[name]:
            where = ", ".join(f"{spec.host} port {spec.port} ({spec.kind})" for spec in now[name])
            yield f"{name} must be restarted to listen on its new addresses: {where}; restart it, and check that it runs"


def _specs(loaded: Loaded) -> dict[str, tuple[ListenerSpec, ...]]:
    return {
        server.name: listeners(loaded.topology, pool, server)
        for pool in loaded.topology.pools
        for server in pool.servers
    }
