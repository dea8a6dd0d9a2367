"""`sipmesh ca admit`: let a management server get the CA."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note


def admit(
    server: Annotated[str, typer.Argument(help="A management server of the published topology.")],
    *,
    certificate: Annotated[
        str,
        typer.Option(
            metavar="HEX", help="The SHA-256 of its certificate, as `sipmesh management join` shows it on its host."
        ),
    ],
    topology: TopologyFile = HERE,
) -> None:
    """Admit a management server: the leader then seals all keys of the CA to the key of this certificate.

    Run it on the host of the leader. The certificate must have been issued for a server of the management pool: one from
    the time in which the server had another role does not count. A server that leaves the pool has to join again with a new key.
    """
    from sipmesh.server.management.admission import admit as admit_server

    place = Place(topology)
    must_lead(place)
    name, digest = server.lower(), certificate.lower().replace(":", "")
    admit_server(place.in_force(), place.generations(), name, digest, datetime.now(UTC), note=partial(note, place))
    say(f"{name} is admitted: it gets the CA within some seconds.", style=GOOD)
