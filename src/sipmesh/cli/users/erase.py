"""`sipmesh user erase`: the records of calls, the message history and the files forget a user."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from sipmesh.cli.output import GOOD, WARN, plural, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

ASK_S: Final = 60.0


def erase(
    user: Annotated[str, typer.Argument(help="The user, with or without domain.")],
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Erase a user from all records of calls, with all aliases, the message history, and the files of the user.

    The account stays: see `sipmesh user remove`. The records stay without the name, for the other party, and so does what the
    other party has in its message history. The audit log has a line for it. Run it where management runs.
    """
    from sipmesh.cli.control_client import ask_one
    from sipmesh.cli.management_socket import running_management
    from sipmesh.server.management.replies import ERASE_CALLS

    place = Place(topology)
    place.in_force()
    socket = running_management(place)
    if socket is None:
        raise OperatorError("management does not run on this machine; run this command where it does, or start it")
    done = ask_one(socket, ERASE_CALLS, ASK_S, user=user)
    if as_json:
        say_json(done)
        return
    say(f"{done.user} is erased from {plural(done.records, 'record')} at management.", style=GOOD)
    if done.told:
        say(f"Erased from the records and the message history of {', '.join(done.told)} too.")
    if done.missing:
        say(
            f"Not linked, so their records still have the user: {', '.join(done.missing)}. Erase again once they are linked.",
            style=WARN,
        )
