"""`sipmesh drain`: stop a server of this machine without harm to what is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import duration, plural, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.admin.replies import WorkReply

LOOK_AGAIN_S = 0.1
MOST_CALLS = 10


def drain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The server's full name, as in the topology.")],
    topology: TopologyFile = HERE,
    *,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Go on serving, and grant registrations for one minute only.")
    ] = False,
) -> None:
    """Drain a server that runs on this machine: it stops when its work is done.

    The server takes no new request, ends what is under way, closes the links of its phones one after the other, and stops. The
    command returns when the server has stopped. Under systemd, use `systemctl stop`: it does the same.

    Some phones come back only at their next refresh, after up to an hour. Run the command with --prepare an hour before, or
    before the longest time that your phones ask for. From then on each phone refreshes within a minute, so it is back within a
    minute after the restart.
    """
    from sipmesh.server.admin.replies import DRAIN, PREPARE_DRAIN
    from sipmesh.server.control_socket import SOCKET_SUFFIX, is_answered

    place, server = Place(topology), name.lower()
    place.view(server)
    socket = place.state / f"{server}{SOCKET_SUFFIX}"
    if not is_answered(socket):
        raise OperatorError(f"{server} does not run on this machine")
    if prepare:
        asyncio.run(PREPARE_DRAIN.ask(socket))
        say(f"{server} grants registrations for one minute from now on. To stop it: sipmesh drain {server}")
        return
    work = asyncio.run(DRAIN.ask(socket))
    say(f"{server} drains: {_progress(work)}.", *calls_of(work))
    asyncio.run(_stopped(socket))
    say(f"{server} has stopped.")


def _progress(work: WorkReply) -> str:
    waiting, calls = plural(work.requests_waiting, "request"), plural(work.calls_up, "call")
    return f"{waiting} without a final response, {calls} up"


def calls_of(work: WorkReply) -> list[str]:
    """Name the newest calls, which go on at other servers of the pool."""
    newest = work.calls[-MOST_CALLS:]
    more = [f"  and {work.calls_up - len(newest)} more"] if work.calls_up > len(newest) else []
    return [f"  {call.caller} to {call.callee}, for {duration(call.age_s)}" for call in newest] + more


async def _stopped(socket: Path) -> None:
    """Wait until no process answers on the control socket."""
    from sipmesh.server.control_socket import is_answered

    while is_answered(socket):
        await asyncio.sleep(LOOK_AGAIN_S)
