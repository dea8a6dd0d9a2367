"""`sipmesh serve`: run servers of the topology."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sipmesh.cli.place import HERE, TopologyFile


class Level(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="The server's full name, as the topology has it.")
    ],
    topology: TopologyFile = HERE,
    log_level: Annotated[Level, typer.Option(help="The least that is logged.")] = Level.INFO,
) -> None:
    """Run a server of the topology until it is told to stop; several run in this one process.

    SIGTERM and Ctrl-C drain and stop it; SIGHUP, and every change of the files that the topology names, has it read them
    anew. It logs to the standard error: coloured text on a terminal, one JSON object a line elsewhere.
    """
    from sipmesh.server.log import configure, get_log
    from sipmesh.server.service import serve as run

    configure(level=log_level)
    run(topology, list(dict.fromkeys(map(str.lower, names))), lambda name: get_log(server=name))
