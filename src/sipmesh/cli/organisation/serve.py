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
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The server's full name, as in the topology.")],
    topology: TopologyFile = HERE,
    log_level: Annotated[Level, typer.Option(help="The lowest level that is logged.")] = Level.INFO,
) -> None:
    """Run servers of the topology in this process until a signal stops it.

    SIGTERM and Ctrl-C drain and stop the servers; a second signal stops them at once. A changed file is read by itself, and
    SIGHUP reads all files that the topology names. The log goes to standard error: coloured text on a terminal, else one JSON
    object a line.
    """
    from sipmesh.server.log import configure, get_log
    from sipmesh.server.service import serve as run

    configure(level=log_level)
    run(topology, list(dict.fromkeys(map(str.lower, names))), lambda name: get_log(server=name))
