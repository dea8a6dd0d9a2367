"""`sipmesh registrations`: the registered devices of all users, on the servers that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.diagnosis.links import answers_of
from sipmesh.cli.output import plural, say, say_json, show
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.login_tables import registrations_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.cli.control_client import FromServer
    from sipmesh.server.admin.replies import BindingReply, RegistrationsReply


def registrations(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List every registered device: its user, server, link, contact, user agent, and when its registration expires.

    It asks the servers that run on this machine. For servers of other machines, run it there.
    """
    from sipmesh.server.admin.replies import REGISTRATIONS

    place = Place(topology)
    first_pages = [page for page in answers_of(place, REGISTRATIONS) if page.value.registers]
    bindings = {page.server: list(_all(place, page)) for page in first_pages}
    if as_json:
        say_json([binding for rows in bindings.values() for binding in rows])
        return
    if any(bindings.values()):
        show(registrations_table("", [binding for rows in bindings.values() for binding in rows]))
    say(*(f"{server}: {plural(len(rows), 'registration')}" for server, rows in bindings.items()))
    if not bindings:
        say("No front end runs here.", style="dim")


def registered_users(place: Place) -> frozenset[str]:
    """Return the users with a registered device on a server of this machine, without the scheme."""
    from sipmesh.server.admin.replies import REGISTRATIONS

    pages = [page for page in answers_of(place, REGISTRATIONS) if page.value.registers]
    return frozenset(binding.user.removeprefix("sip:") for page in pages for binding in _all(place, page))


def _all(place: Place, first: FromServer[RegistrationsReply]) -> Iterator[BindingReply]:
    """Yield the bindings of every page of one server."""
    from sipmesh.server.admin.replies import REGISTRATIONS

    page = first.value
    yield from page.bindings
    while page.next is not None:
        [answer] = answers_of(place, REGISTRATIONS, first.server, after=page.next)
        page = answer.value
        yield from page.bindings
