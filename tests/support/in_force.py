"""What a server has in force, without the server."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.server.in_force.home_pools import KnownUsers
from sipmesh.server.in_force.in_force import Current, InForce, Lasting, in_force_of
from sipmesh.server.proxy.login.user_stores import NoUsers
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.view import ServerView


def lasting(users: KnownUsers | None = None) -> Lasting:
    """What no version changes, of a server that has these *users*."""
    return Lasting(7, Gruus(b"key of the pool", "pool.example.test"), users or NoUsers())


def current_of(loaded: Loaded, server: str, users: KnownUsers | None = None) -> Current:
    """What *server* has in force under *loaded*."""
    return Current(in_force_of(loaded, server, lasting(users)))


def put(current: Current, organisation: Organisation) -> InForce:
    """Put in force only what *organisation* has written now."""
    current.value = in_force_of(organisation.load(), current.value.view.name, lasting())
    return current.value


def put_view(current: Current, view: ServerView) -> None:
    """Only put another *view* in force."""
    current.value = replace(current.value, view=view)
