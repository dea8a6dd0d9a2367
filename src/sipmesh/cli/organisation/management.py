"""`sipmesh management`: the database that management servers share."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.publish import managers, running_management
from sipmesh.errors import OperatorError

app = typer.Typer(help="The database of management, and the servers that share it.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `move` a command of a group."""


@app.command()
def move(
    url: Annotated[
        str, typer.Argument(help="The URL of an empty PostgreSQL database; - reads it from the standard input.")
    ],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Move the versions, the audit log and the ledger of the CA to a PostgreSQL database.

    Stop the management server first. The files stay, with .moved behind their names. Repeat the command if it was interrupted.
    """
    from sipmesh.database.shared import FILE, SharedDatabase
    from sipmesh.server.control_socket import name_of
    from sipmesh.storage.management_move import move as move_to

    place = Place(topology)
    if running_management(place) is not None:
        raise OperatorError("the management server runs; stop it, move the data, and start it again")
    named = managers(place)
    if len(named) != 1:
        raise OperatorError("the topology does not name one management server; its data cannot be moved")
    text = sys.stdin.readline().strip() if url == "-" else url
    if not text.startswith("postgresql+psycopg://"):
        raise OperatorError("the URL names no PostgreSQL database; write it as postgresql+psycopg://USER@HOST/DATABASE")
    move_to(place.folder, SharedDatabase(text, named[0]), name_of(os.getuid()), datetime.now(UTC))
    say(f"The data of management is in PostgreSQL now. {FILE} has the URL.", style=GOOD)
    say(f"Start the server again: sipmesh serve {named[0]}")
