"""`sipmesh user invite` and `invitations`: links by which a device of a user gets its account, each once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.output import GOOD, cell, plural, say, say_document, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.server.provisioning.client_kind import ClientKind
from sipmesh.server.provisioning.letter import Letter
from sipmesh.storage.users.invitation import PORTAL_LINK

if TYPE_CHECKING:
    from sipmesh.server.provisioning.invitation_table import Row
    from sipmesh.storage.users.device_accounts import DeviceAccounts
    from sipmesh.topology.view import ServerView

LONGEST: Final = timedelta(days=30)
LARGEST_TABLE: Final = 4 << 20
_SPAN: Final = re.compile("([1-9][0-9]{0,4})([mhd])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def invite(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="The user, such as alice@example.com.")] = "",
    *,
    phone: Annotated[
        ClientKind | None,
        typer.Option(help="The only kind of phone that may take it. By default the person chooses a softphone."),
    ] = None,
    device: Annotated[str, typer.Option(help="Name of the device. By default that of the kind of phone.")] = "",
    mac: Annotated[str, typer.Option(help="MAC address of a desk phone, whose --phone is needed too.")] = "",
    lasts: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long it is valid, such as 30m, 12h or 7d.")
    ] = "3d",
    network: Annotated[
        str, typer.Option("--from", metavar="NETWORK", help="Take it from these addresses only, such as 10.0.0.0/8.")
    ] = "",
    remote: Annotated[
        bool, typer.Option("--remote", help="The device logs in at an edge for remote users, and not at the home pool.")
    ] = False,
    certificate: Annotated[
        bool, typer.Option("--certificate", help="The device gets a certificate, and no password: for softphones.")
    ] = False,
    portal: Annotated[
        bool, typer.Option("--portal", help="The link sets up no device: it signs the user in to the portal, once.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the QR code to this new file, as SVG.")
    ] = None,
    table_file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Invite each row of this table: user, device, phone, mac, from, remote, certificate.",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For --csv: a new file for the links, which only you can read."),
    ] = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Invite one device of a user: print a link and a QR code, which set up one phone, once.

    The device gets a password of its own, or a certificate. No other device of the user is logged out. The link is shown only
    now. With --portal it sets up no device: it signs the user in to the portal, once.
    Compare the fingerprint where a phone or a browser does not know your CA yet.
    """
    place, lifetime = Place(topology), _lifetime(lasts)
    view = _management(place)
    if table_file is not None:
        if to is None or user:
            raise OperatorError(
                "--csv invites the users of a table: name a new file for the links with --to, and no user"
            )
        _invite_all(place, view, table_file, to, lifetime)
        return
    if not user:
        raise OperatorError("name a user, or a table of users with --csv")
    row = {"user": user, "device": device, "phone": str(phone or ""), "mac": mac, "from": network}
    with place.devices() as accounts:
        ticks = {"remote": "yes" if remote else "", "certificate": "yes" if certificate else ""}
        letter = _invited(accounts, view, row | ticks, lifetime, portal=portal)
    if svg is not None:
        _write_svg(svg, letter.link)
    if as_json:
        say_json(letter)
        return
    _say(letter)


def _management(place: Place) -> ServerView:
    """Return the view of the management server of this host: its name is in the links."""
    from sipmesh.cli.management_socket import managers, running_management
    from sipmesh.server.control_socket import SOCKET_SUFFIX
    from sipmesh.server.provisioning.letter import NO_PAGES

    running, known = running_management(place), managers(place)
    if not known or place.in_force().topology.invitations is None:
        raise OperatorError(NO_PAGES)
    return place.view(running.name.removesuffix(SOCKET_SUFFIX) if running is not None else known[0])


def _lifetime(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    lifetime = int(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    if not timedelta(0) < lifetime <= LONGEST:
        raise OperatorError(f"--for {text}: write a time of at most {LONGEST.days} days, such as 30m, 12h or 7d")
    return lifetime


def _invited(
    accounts: DeviceAccounts, view: ServerView, row: Row, lifetime: timedelta, *, portal: bool = False
) -> Letter:
    from sipmesh.server.provisioning.invitation_table import wish_of
    from sipmesh.server.provisioning.letter import letter_of

    wish = wish_of(row)
    if portal and wish["client"]:
        raise OperatorError("a link to the portal is for no phone: leave out --phone")
    if portal:
        wish["client"] = PORTAL_LINK
    made, token = accounts.invite(row["user"], datetime.now(UTC), lifetime, **wish)
    return letter_of(view, made, token)


def _say(letter: Letter) -> None:
    from sipmesh.server.provisioning.letter import PORTAL_BY_LINK, qr_for_terminal

    may = "sign in to the portal once" if PORTAL_BY_LINK in letter.link else "set up one device"
    until = f"{letter.expires:%Y-%m-%d %H:%M}Z (invitation {letter.invitation})"
    say(f"{letter.user} may {may} until {until}.", style=GOOD)
    say_document(f"\n  {letter.link}\n")
    if code := qr_for_terminal(letter.link):
        say_document(code)
    else:
        say("For a QR code, install segno: pip install segno", style="dim")
    say("Fingerprint of our root certificate (SHA-256), for the person to compare:")
    for digits, words in zip(letter.fingerprints, letter.words, strict=True):
        say_document(f"  {words}\n  {digits}\n")


def _write_svg(file: Path, link: str) -> None:
    from sipmesh.cli.users.user_table import write_new
    from sipmesh.server.provisioning.letter import qr_svg

    svg = qr_svg(link)
    if not svg:
        raise OperatorError("a QR code needs segno; install it: pip install segno")
    write_new(file, svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1), 0o600)


def _invite_all(place: Place, view: ServerView, source: Path, to: Path, lifetime: timedelta) -> None:
    """Invite the users of a table. All rows are read first; links are written before the first invitation is worth anything."""
    from sipmesh.cli.users.user_table import write_new
    from sipmesh.server.provisioning.invitation_table import COLUMNS, links_table, rows_of
    from sipmesh.topology.document.named_files.read import read_or_refuse

    remedy = f"name a CSV table with the columns {', '.join(COLUMNS)}"
    text = read_or_refuse(source, LARGEST_TABLE, "the table cannot be read", remedy).decode("utf-8-sig", "replace")
    rows, letters = list(rows_of(text, str(source))), list[Letter]()
    write_new(to, "", 0o600)
    with place.devices() as accounts:
        try:
            for row in rows:
                letters.append(_invited(accounts, view, row, lifetime))
        except OperatorError as wrong:
            made = f"{plural(len(letters), 'invitation')} of the rows before it: their links are in {to}"
            raise OperatorError(f"{source}, row {len(letters) + 1}: {wrong}; there are {made}") from wrong
        finally:
            to.write_text(links_table(letters))
    say(f"{plural(len(rows), 'invitation')} made; their links are in {to}.", style=GOOD)


def invitations(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Only those of this user.")] = "",
    *,
    revoke: Annotated[str, typer.Option(metavar="ID", help="Revoke the invitation with this id.")] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the open invitations. An invitation that was taken is listed with its device: `sipmesh user devices`."""
    place = Place(topology)
    with place.devices() as accounts:
        if revoke:
            revoked = accounts.revoke(revoke)
            say(f"The invitation {revoked.id} of {revoked.aor} is revoked.", style=GOOD)
            return
        found = accounts.open_ones(user, datetime.now(UTC))
    if as_json:
        say_json(found)
        return
    made = table("", "id", "user", "device", "phone", "expires", "from", "state")
    for one in found:
        state = "opened" if one.is_ticket else "sent"
        values = (one.id, one.aor.removeprefix("sip:"), one.device, one.client, f"{one.expires:%Y-%m-%d %H:%M}Z")
        made.add_row(*map(cell, (*values, one.network, state)))
    if found:
        show(made)
    else:
        say("There is no open invitation. To make one: sipmesh user invite alice", style="dim")
