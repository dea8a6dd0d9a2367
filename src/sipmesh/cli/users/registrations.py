"""`sipmesh registrations`: the registered devices of all users, on the servers that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.diagnosis.links import answers_of
from sipmesh.cli.output import plural, say, say_json, show
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.login_tables import registrations_table
from sipmesh.cli.users.pages import After, Limit, say_next

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.cli.control_client import FromServer
    from sipmesh.server.admin.replies import BindingReply, RegistrationsReply


def registrations(
    *, limit: Limit = 0, after: After = "", topology: TopologyFile = HERE, as_json: AsJson = False
) -> None:
    """List every registered device: its user, server, link, contact, user agent, and when its registration expires.

    With --limit or --after, the devices are ordered by user, and those of the last user are all shown.

    It asks the servers that run on this machine. For servers of other machines, run it there.
    """
    from sipmesh.server.admin.replies import REGISTRATIONS

    place = Place(topology)
    first_pages = [page for page in answers_of(place, REGISTRATIONS) if page.value.registers]
    bindings = {page.server: list(_all(place, page)) for page in first_pages}
    every = [binding for rows in bindings.values() for binding in rows]
    found = _part(every, limit, after) if limit or after else every
    if as_json:
        say_json(found)
        return
    if found:
        show(registrations_table("", found))
        say_next(limit, len(found), f"sipmesh registrations --limit {limit} --after {found[-1].user}")
    say(*(f"{server}: {plural(len(rows), 'registration')}" for server, rows in bindings.items()))
    if not bindings:
        say("No front end runs here.", style="dim")


def _part(every: Sequence[BindingReply], limit: int, after: str) -> Sequence[BindingReply]:
    """Return the devices of the users after *after*, at least *limit*, with all those of the last user."""
    found = sorted((one for one in every if one.user > after), key=lambda one: one.user)
    if not limit or len(found) <= limit:
        return found
    return [one for one in found if one.user <= found[limit - 1].user]


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
