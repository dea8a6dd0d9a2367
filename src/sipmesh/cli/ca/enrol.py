"""`sipmesh ca enrol`: make a one-time token with which a server gets its first certificate by EST or ACME."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.server.enrolment.enrolment_status import EnrolmentStatus
    from sipmesh.storage.management_db import ManagementDb


def enrol(
    server: Annotated[str, typer.Argument(help="A server of the published topology.")] = "",
    *,
    user: Annotated[str, typer.Option(metavar="USER", help="A token for a device of this user, with --device.")] = "",
    device: Annotated[str, typer.Option(metavar="NAME", help="The name of the device, such as desk.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=168, help="How long the token can be used.")] = 24,
    withdraw: Annotated[
        str,
        typer.Option(
            metavar="ID", help="End a token or an ACME account, for example after it was sent to a wrong person."
        ),
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a one-time token with which a server, or a device of a user, gets its first certificate, and print it once.

    A server uses EST or ACME, a device EST. Without a name, the command lists the tokens that can be used, and the ACME accounts
    that can order certificates.

    The token is bound to this name, and the first of the two protocols that succeeds uses it. The CA takes names and usages
    from the topology and the user store, never from the request. Certificates that the server has stay valid.
    """
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.enrolment.enrolment_status import EnrolmentStatus
    from sipmesh.server.enrolment.token_report import checked_name, token_for
    from sipmesh.storage.enrolment.end_enrolment import withdraw as withdraw_one

    place, at = Place(topology), datetime.now(UTC)
    must_lead(place)
    place.generations()
    view, noting = place.view(_manager(place)), partial(note, place)
    with _opened(place) as management_db:
        if withdraw:
            gone = withdraw_one(management_db, withdraw, at, noting)
            say(f"The {gone.kind} {gone.id} of {gone.name} cannot be used any more.", style=GOOD)
            return
        if not (server or user or device):
            _show(EnrolmentStatus.read(management_db, at), as_json=as_json)
            return
        name = checked_name(view, server.lower(), user, device)
        made = token_for(view, management_db, name, this_operator(), at, timedelta(hours=hours), noting)
    if as_json:
        say_json(made)
        return
    say(f"{made.server} may enrol once, until {made.ends:%Y-%m-%d %H:%M}Z. This is not shown again.", style=GOOD)
    if made.est:
        say(f"EST:  {made.est}", f"  user      {made.server}", f"  password  {made.password}")
    if made.acme:
        say(f"ACME: {made.acme}", f"  key id    {made.key_id}", f"  MAC key   {made.mac_key}")


@contextmanager
def _opened(place: Place) -> Iterator[ManagementDb]:
    from sipmesh.storage.management_db import ManagementDb

    management_db = ManagementDb(place.folder)
    try:
        yield management_db
    finally:
        management_db.close()


def _show(status: EnrolmentStatus, *, as_json: bool) -> None:
    if as_json:
        say_json(status)
        return
    made = table("Tokens that can be used", "for", "key id", "made by", "until")
    for token in status.tokens:
        made.add_row(cell(token.name), cell(token.key_id), cell(token.made_by), cell(f"{token.ends:%Y-%m-%d %H:%M}Z"))
    show(made)
    accounts = table("ACME accounts that can order certificates", "for", "account", "made", "by the token", "contact")
    for one in status.accounts:
        named = cell(one.name), cell(one.id), cell(f"{one.made:%Y-%m-%d %H:%M}Z")
        accounts.add_row(*named, cell(one.token), cell(", ".join(one.contact)))
    show(accounts)
    say("To end one of them: sipmesh ca enrol --withdraw ID", style="dim")


def _manager(place: Place) -> str:
    """Return the name of a management server; raises `OperatorError` if the network has none."""
    pools = [pool for pool in place.in_force().topology.pools if pool.role == "management"]
    if not pools:
        raise OperatorError("this network has no management server, and so no port for EST and ACME")
    return pools[0].servers[0].name
