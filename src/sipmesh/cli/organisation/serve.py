"""`sipmesh serve`: run servers of the topology."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sipmesh.cli.place import HERE, TopologyFile
from sipmesh.cli.serving import Serving


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
    Serving(tuple(names), topology, log_level).run()
