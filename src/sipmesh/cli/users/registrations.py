"""`sipmesh registrations`: which user is registered where, on the running servers of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sipmesh.cli.diagnosis.links import answers_of
from sipmesh.cli.output import plural, say, say_json, show
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.login_tables import registrations_table

if TYPE_CHECKING:
    from sipmesh.cli.control_client import ServerAnswer


def registrations(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List every registered device: its user, server, link, contact, user agent, and when its registration expires.

    It asks the servers that run on this machine. Registrations on other machines are listed there.
    """
    place = Place(topology)
    first = [one for one in answers_of(place, "registrations") if one.result["registers"]]
    found = {one.server: list(_all(place, one)) for one in first}
    if as_json:
        say_json([row for rows in found.values() for row in rows])
        return
    if any(found.values()):
        show(registrations_table("", [row for rows in found.values() for row in rows]))
    say(*(f"{server}: {plural(len(rows), 'registration')}" for server, rows in found.items()))
    if not found:
        say("No front end runs here.", style="dim")


def _all(place: Place, first: ServerAnswer) -> Iterator[dict[str, Any]]:
    """Every page of one server."""
    page = first.result
    yield from page["bindings"]
    while page["next"] is not None:
        [answer] = answers_of(place, "registrations", first.server, after=page["next"])
        page = answer.result
        yield from page["bindings"]
