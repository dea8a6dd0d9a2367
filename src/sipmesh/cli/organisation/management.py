"""`sipmesh management`: the database that management servers share."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from sipmesh.cli.management_socket import managers, running_management
from sipmesh.cli.output import GOOD, say
from sipmesh.cli.owner import for_owner
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.errors import OperatorError

AGAIN_S: Final = 0.5
"""Seconds between two looks for what the leader seals."""

app = typer.Typer(help="The database of management, and the servers that share it.", no_args_is_help=True)


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
    from sipmesh.server.control_socket import this_operator
    from sipmesh.storage.management_move import move as move_to

    place = Place(topology)
    if running_management(place) is not None:
        raise OperatorError("the management server runs; stop it, move the data, and start it again")
    named = managers(place)
    if len(named) != 1:
        raise OperatorError("the topology does not name one management server; its data cannot be moved")
    move_to(place.folder, SharedDatabase(_given(url, place.folder), named[0]), this_operator(), datetime.now(UTC))
    say(f"The data of management is in PostgreSQL now. {FILE} has the URL.", style=GOOD)
    say(f"Start the server again: sipmesh serve {named[0]}")


@app.command()
def join(
    server: Annotated[str, typer.Argument(help="The management server of this machine.")],
    url: Annotated[
        str, typer.Argument(help="The URL of the database of the pool; - reads it from the standard input.")
    ],
    *,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The folder of the server.", callback=for_owner)
    ] = Path(),
    wait: Annotated[float, typer.Option(min=0, max=600, help="Seconds to wait for the leader.")] = 60.0,
) -> None:
    """Add a server that has joined the network to the management pool.

    Before this, publish a version with the server in the management pool, and let the server join: sipmesh join. The command
    shows the certificate of the server. Admit it on the host of the leader: sipmesh ca admit. Then the leader seals the CA to the
    key of the server, and the server stores it.
    """
    from sipmesh.database.shared import SharedDatabase
    from sipmesh.server.management.pool.joining import join_pool
    from sipmesh.topology.document.names import fqdn

    shared, until = SharedDatabase(_given(url, folder), fqdn(server)), time.monotonic() + wait
    told = False
    while not join_pool(folder, shared):
        if not told:
            told = _say_what_to_admit(folder, shared.server)
        if time.monotonic() >= until:
            raise OperatorError(
                "the leader has not sealed the CA for this server yet; admit it (sipmesh ca admit), and repeat this command"
            )
        time.sleep(AGAIN_S)
    say(f"{shared.server} has the CA. Start it: sipmesh serve {shared.server}", style=GOOD)


def _say_what_to_admit(folder: Path, server: str) -> bool:
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.topology.document.named_files.trust_anchors import read_certificates
    from sipmesh.topology.view import view
    from sipmesh.trust.x509.certificate import fingerprint

    file = view(DocumentStore(folder, server).load(), server).certificate
    digest = fingerprint(read_certificates(file)[0])
    say("On the host of the leader, admit this server:", f"  sipmesh ca admit {server} --certificate {digest}")
    return True


def _given(url: str, folder: Path) -> str:
    """Return the URL, read from the standard input where it is ``-``, with the files that it names below *folder*.

    The URL is kept in a file with mode 0600, and may contain the password. Raises `OperatorError` for another kind of database,
    and for a database that would be reached without TLS.
    """
    from sipmesh.topology.document.storage.database_url import POSTGRESQL, reached_by_tls

    text = sys.stdin.readline().strip() if url == "-" else url
    if not text.startswith(f"{POSTGRESQL}://"):
        raise OperatorError("the URL names no PostgreSQL database; write it as postgresql+psycopg://USER@HOST/DATABASE")
    return reached_by_tls(text, folder)
