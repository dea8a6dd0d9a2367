"""`sipmesh ca enrol`: make a one-time token with which a server gets its first certificate by EST or ACME."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from sipmesh.cli.output import GOOD, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note
from sipmesh.errors import OperatorError


def enrol(
    server: Annotated[str, typer.Argument(help="A server of the published topology.")] = "",
    *,
    user: Annotated[str, typer.Option(metavar="USER", help="A token for a device of this user, with --device.")] = "",
    device: Annotated[str, typer.Option(metavar="NAME", help="The name of the device, such as desk.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=168, help="How long the token can be used.")] = 24,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a one-time token with which a server, or a device of a user, gets its first certificate, and print it once.

    A server uses EST or ACME, a device EST.

    The token is bound to this name, and the first of the two protocols that succeeds uses it. The CA takes names and usages
    from the topology and the user store, never from the request. Certificates that the server has stay valid.
    """
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.enrolment.token_report import checked_name, token_for
    from sipmesh.storage.management_db import ManagementDb

    place = Place(topology)
    must_lead(place)
    place.generations()
    view, at = place.view(_manager(place)), datetime.now(UTC)
    management_db = ManagementDb(place.folder)
    try:
        name = checked_name(view, server.lower(), user, device)
        made = token_for(view, management_db, name, this_operator(), at, timedelta(hours=hours), partial(note, place))
    finally:
        management_db.close()
    if as_json:
        say_json(made)
        return
    say(f"{made.server} may enrol once, until {made.ends:%Y-%m-%d %H:%M}Z. This is not shown again.", style=GOOD)
    if made.est:
        say(f"EST:  {made.est}", f"  user      {made.server}", f"  password  {made.password}")
    if made.acme:
        say(f"ACME: {made.acme}", f"  key id    {made.key_id}", f"  MAC key   {made.mac_key}")


def _manager(place: Place) -> str:
    """Return the name of a management server; raises `OperatorError` if the network has none."""
    pools = [pool for pool in place.in_force().topology.pools if pool.role == "management"]
    if not pools:
        raise OperatorError("this network has no management server, and so no port for EST and ACME")
    return pools[0].servers[0].name
