"""`sipmesh directory status`: the last sync of the management server, and what it could not take."""

from __future__ import annotations

import typer

from sipmesh.cli.output import BAD, GOOD, WARN, plural, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.trust.formatting import tell_time


def status(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show the last sync of the management server, the conflicts, and why nothing is synced.

    Exit code 1: the directory is not synced.
    """
    from sipmesh.cli.control_client import ask_one
    from sipmesh.cli.management_socket import running_management
    from sipmesh.server.directory.directory_reader import most_loss_of
    from sipmesh.server.management.replies import DIRECTORY

    place = Place(topology)
    most_loss_of(place.in_force())
    socket = running_management(place)
    if socket is None:
        raise OperatorError("no management server runs here, so nothing is synced; start it: sipmesh serve NAME")
    reply = ask_one(socket, DIRECTORY)
    if as_json:
        say_json(reply)
    else:
        if reply.at is not None:
            users = f"{plural(reply.users, 'user')} from the directory, {reply.ended} of them without access by it"
            say(
                f"Last synced with {reply.server} at {tell_time(reply.at)}: {users}.", style="" if reply.fault else GOOD
            )
        elif not reply.fault:
            say("The first sync runs.", style="dim")
        for one in reply.conflicts:
            say(f"{one.user}: {one.reason}", f"  → {one.remedy}", style=WARN)
        if reply.more:
            say(f"and {reply.more} more: sipmesh directory plan --json", style="dim")
        if reply.fault:
            say(f"Not synced: {reply.fault}", style=BAD)
    if reply.fault:
        raise typer.Exit(1)
