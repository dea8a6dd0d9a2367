"""`sipmesh trace`: asks management, or the servers of this machine, and shows what comes until it is stopped."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.control_client import ask_all, ask_one
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import QUIET, WARN, console, say
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from sipmesh.server.tracing.traced_message import TracedMessage, TraceReply

ASK_EVERY_S: Final = 0.3


def trace(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A user, with or without domain; a domain, a partner, a server, a link, or a Call-ID."
        ),
    ],
    *,
    bodies: Annotated[
        bool, typer.Option("--bodies", help="Show the bodies too, without the keys of media. The audit log says so.")
    ] = False,
    heads: Annotated[bool, typer.Option("--heads", help="Show all header lines of each message.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="End after this number of seconds; by default, Ctrl-C ends the trace."),
    ] = None,
    pcap: Annotated[
        Path | None, typer.Option("--pcap", help="Also write the messages to this file, for Wireshark or sngrep.")
    ] = None,
    hep: Annotated[
        str, typer.Option("--hep", metavar="HOST:PORT", help="Also send them to a HEP collector, over TLS.")
    ] = "",
    hep_ca: Annotated[
        Path | None, typer.Option("--hep-ca", help="The root of the collector's certificate; otherwise the system's.")
    ] = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show each message of a user, a call, a partner or a link, live, at all servers of the network.

    Each message is shown once, as an arrow: who sent it, how its sender is known, and what each server has changed in it.
    Credentials, tokens of routes and keys are left out. Nothing is written to disk but the file of --pcap.
    """
    from sipmesh.cli.trace.sinks import JsonLines, Shown, pcap_file, to_collector

    with ExitStack() as opened:
        sinks: list[Callable[[TracedMessage], None]] = [JsonLines() if as_json else Shown(console().width, heads=heads)]
        if pcap is not None:
            sinks.append(pcap_file(opened.enter_context(_created(pcap))))
        if hep:
            sinks.append(to_collector(opened, hep, hep_ca))
        try:
            for message in _messages(Place(topology), what, seconds, bodies=bodies):
                for sink in sinks:
                    sink(message)
        except KeyboardInterrupt:
            pass


def _created(file: Path) -> BinaryIO:
    try:
        return file.open("xb")
    except FileExistsError:
        raise OperatorError(f"{file} exists; name a new file") from None
    except OSError as wrong:
        raise OperatorError(f"{file} cannot be written: {wrong.strerror}") from wrong


def _messages(place: Place, what: str, seconds: float | None, *, bodies: bool) -> Iterator[TracedMessage]:
    """Give the messages as they come, for *seconds*, or without end for None; says who takes no part."""
    ask = _asker(place, what, bodies=bodies)
    ends, told = time.monotonic() + seconds if seconds else None, set[str]()
    while True:
        reply = ask()
        for fault in sorted({*reply.faults} - told):
            told.add(fault)
            say(fault, style=WARN, error=True)
        yield from sorted(reply.messages, key=lambda message: message.at)
        if reply.left_out:
            say(f"{reply.left_out} messages are above the limits of a trace, and are left out.", style=WARN, error=True)
        if ends is not None and time.monotonic() >= ends:
            return
        time.sleep(ASK_EVERY_S)


def _asker(place: Place, what: str, *, bodies: bool) -> Callable[[], TraceReply]:
    """Return what asks for the next messages: management for those of all servers, or else the servers of this machine."""
    from sipmesh.server.management.replies import TRACE_NETWORK
    from sipmesh.server.tracing.traced_message import TRACE, TraceReply

    place.in_force()
    given = {"id": secrets.token_hex(8), "what": what, "bodies": bodies}
    socket = running_management(place)
    if socket is not None:
        say(f"Tracing {what} at all servers. Ctrl-C ends it.", style=QUIET, error=True)
        return lambda: ask_one(socket, TRACE_NETWORK, **given)

    def ask_here() -> TraceReply:
        answers = ask_all(place, TRACE, **given)
        if not answers:
            raise OperatorError("no server of this topology runs on this machine; trace where management runs")
        replies = [answer.reply for answer in answers if answer.reply is not None]
        return TraceReply(
            [message for reply in replies for message in reply.messages],
            sum(reply.left_out for reply in replies),
            [f"{answer.server}: {answer.fault}" for answer in answers if answer.fault],
        )

    say(
        f"Tracing {what} at the servers of this machine: management does not run here. Ctrl-C ends it.",
        style=WARN,
        error=True,
    )
    return ask_here
