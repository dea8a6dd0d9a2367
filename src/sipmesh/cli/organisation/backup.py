"""`sipmesh backup` and `sipmesh restore`: all that would be lost with the host of management, in one encrypted file."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from sipmesh.storage.restore import Restored

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Take the passphrase from the first line of a file that you alone can read, or with - from the standard input.",
    ),
]

_OTHERS = 0o077


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make; it must not be there yet.")],
    *,
    passphrase_file: PassphraseFile = None,
    topology: TopologyFile = HERE,
) -> None:
    """Write everything that cannot be made anew into one encrypted file: CA, topology, history, audit log, users, keys.

    Servers may run meanwhile. Keep the passphrase elsewhere: without it nobody opens the file, and with it anybody.
    """
    from sipmesh.storage.backup import back_up

    passphrase = _passphrase(passphrase_file, twice=True)
    made = back_up(Place(topology).file, file, passphrase, datetime.now(UTC))
    say(f"{file} holds {made.organisation} as it is now ({file.stat().st_size:,} octets).", style=GOOD)
    say("Keep it on another machine, and the passphrase somewhere else again.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    *,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The folder to restore to: empty, or not there yet.")
    ],
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where management is from now on, if this host has another address.")
    ] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Restore a backup to an empty folder, all of it or nothing.

    Numbers of lists, versions and users jump, so that none is given out twice, and the audit log gets a line. With --address
    the next version is signed at once: it is the last one but for the address of management, and servers take it by themselves.
    """
    from sipmesh.server.control_socket import name_of
    from sipmesh.server.management.publishing.relocation import Relocation, publish_moved
    from sipmesh.storage.restore import restore as put_back

    if not file.is_file():
        problem = Problem(file, 0, "", "is not there", "name the file of a backup")
        raise OperatorError("there is nothing to restore", (problem,))
    passphrase = _passphrase(passphrase_file, twice=False)
    who, at = name_of(os.getuid()), datetime.now(UTC)
    moved: list[Relocation] = []

    def move(made: Path) -> None:
        if address:
            moved.append(publish_moved(made, address, who, at))

    restored = put_back(file, folder, passphrase, who, at, last=move)
    organisation, then = restored.manifest.organisation, f"{restored.manifest.at:%Y-%m-%d %H:%M:%S}Z"
    say(f"{folder} holds {organisation} as it was at {then}.", style=GOOD)
    for one in moved:
        say(f"Version {one.version.number} says that management is at {address}.", style=GOOD)
        if one.draft:
            say(f"The draft does not say so yet: {one.draft}", style=WARN)
    _say_users(folder, restored)
    _say_rest(folder, restored, moved=bool(moved))


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is None:
        asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)
        return asked
    if str(file) == "-":
        return _first_line(sys.stdin.readline(), "the standard input")
    try:
        if file.stat().st_mode & _OTHERS:
            problem = Problem(file, 0, "", "is readable to others", f"run `chmod 600 {file}`")
            raise OperatorError("a passphrase that others can read protects nothing", (problem,))
        return _first_line(file.read_text().partition("\n")[0], str(file))
    except (OSError, UnicodeDecodeError) as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong})", "name a file with the passphrase in its first line")
        raise OperatorError("there is no passphrase", (problem,)) from None


def _first_line(line: str, where: str) -> str:
    if not (passphrase := line.rstrip("\r\n")):
        raise OperatorError(f"there is no passphrase on the first line of {where}")
    return passphrase


def _say_users(folder: Path, restored: Restored) -> None:
    """Users who were in PostgreSQL go back there if that is empty; otherwise the operator has to say what counts."""
    from sipmesh.storage.backup import EXPORTED_USERS, copy_users

    export = folder / EXPORTED_USERS
    if restored.manifest.users != EXPORTED_USERS:
        return
    try:
        count = copy_users(export, Place(folder / HERE).load().users_url)
    except OperatorError as wrong:
        say(f"The users were not put back into their database: {wrong.message}", style=WARN)
        say(f"  when it is there and empty: sipmesh user import {EXPORTED_USERS}")
        return
    export.unlink()
    say(f"{count} users are back in their database.", style=GOOD)


def _say_rest(folder: Path, restored: Restored, *, moved: bool) -> None:
    made = f"{restored.manifest.at:%Y-%m-%d %H:%M}Z"
    steps = [
        f"cd {folder}",
        f"what was done since {made} is not in it: revoke again what was revoked, and issue anew what was issued",
        "sipmesh ca issue --all, where certificates have ended meanwhile",
    ]
    if restored.next_version is None:
        steps.append(
            "if this host has another address than the old one: change `address` of its servers in topology.yaml"
        )
    elif not moved:
        steps.append("if this host has another address than the old one: restore again, with --address ADDRESS")
    steps += [f"{kind}.key is not in it: fetch it, then `sipmesh ca crl`" for kind in restored.keys_missing]
    steps += [f"put {entry} back to {original}" for original, entry in restored.manifest.elsewhere.items()]
    steps.append("start management, or without it every server: sipmesh serve NAME")
    if restored.next_version is not None and not moved:
        number = restored.next_version
        steps.append(f"sipmesh topology publish -m WHY, which makes version {number}: all servers follow by themselves")
    say("", "Next:", *(f"  {step}" for step in steps))
