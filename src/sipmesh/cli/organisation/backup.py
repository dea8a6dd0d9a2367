"""`sipmesh backup` and `sipmesh restore`: all data of the management host, in one encrypted file."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.owner import for_owner
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.secret_prompt import prompt_secret
from sipmesh.errors import OperatorError, Problem
from sipmesh.regular_file import read_regular

if TYPE_CHECKING:
    from sipmesh.storage.backup.restore import Restored

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Read the passphrase from the first line of this file, which only you may read; - is the standard input.",
    ),
]

_OTHERS = 0o077


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. It must not exist yet.")],
    *,
    passphrase_file: PassphraseFile = None,
    topology: TopologyFile = HERE,
) -> None:
    """Write all data that cannot be recreated to an encrypted file: CA, topology, history, audit log, users, keys.

    Servers may run meanwhile. Store the passphrase in another place. A person with the file and the passphrase has every key;
    without the passphrase the backup is lost.
    """
    from sipmesh.storage.backup.create import back_up

    passphrase = _passphrase(passphrase_file, twice=True)
    made = back_up(Place(topology).file, file, passphrase, datetime.now(UTC))
    say(f"{file} contains {made.organisation} as of now ({file.stat().st_size:,} octets).", style=GOOD)
    say("Keep it on another machine. Keep the passphrase in a third place.")
    _say_tokens(Place(topology).folder, "is not in the backup. Keep a backup of the token too, as its maker says")


def _say_tokens(folder: Path, what: str) -> None:
    """Say which keys are in a token: no file has them."""
    from sipmesh.pki.keys.protection import keys_below
    from sipmesh.pki.tokens.key_place import in_tokens

    for file, where in in_tokens(keys_below(folder)).items():
        say(f"The key of {file.relative_to(folder)} is in {where}: it {what}.", style=WARN)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup file.")],
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="The folder to restore to. It must be empty, or not exist yet.",
            callback=for_owner,
        ),
    ],
    address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="The new address of the management server, if this host has another address."
        ),
    ] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Restore a backup to an empty folder, completely or not at all.

    The numbers of CRLs, versions and users skip ahead, so that no number is used twice. The audit log gets a line.
    With --address the next version is signed at once: only the address of management differs, and servers load it themselves.
    """
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.management.publishing.relocation import Relocation, publish_moved
    from sipmesh.storage.backup.restore import restore as put_back

    if not file.is_file():
        problem = Problem(file, 0, "", "is not a regular file", "name a backup file")
        raise OperatorError("there is nothing to restore", (problem,))
    passphrase = _passphrase(passphrase_file, twice=False)
    who, at = this_operator(), datetime.now(UTC)
    moved: list[Relocation] = []

    def move(made: Path) -> None:
        if address:
            moved.append(publish_moved(made, address, who, at))

    restored = put_back(file, folder, passphrase, who, at, last=move)
    organisation, then = restored.manifest.organisation, f"{restored.manifest.at:%Y-%m-%d %H:%M:%S}Z"
    say(f"{folder} contains {organisation} as of {then}.", style=GOOD)
    _say_tokens(folder, "is not restored. This machine needs the token, its module and the PIN")
    for relocation in moved:
        say(f"Version {relocation.version.number} names {address} as the address of management.", style=GOOD)
        if relocation.draft:
            say(f"The draft still has the old address: {relocation.draft}", style=WARN)
    _say_users(folder, restored)
    _say_rest(folder, restored, moved=bool(moved))


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is None:
        return prompt_secret("Passphrase", "give a file, with --passphrase-file", twice=twice)
    if str(file) == "-":
        return _first_line(sys.stdin.readline(), "the standard input")
    try:
        if file.stat().st_mode & _OTHERS:
            problem = Problem(file, 0, "", "is readable for other users", f"run `chmod 600 {file}`")
            raise OperatorError("other users can read the passphrase", (problem,))
        return _first_line(read_regular(file).decode().partition("\n")[0], str(file))
    except (OSError, UnicodeDecodeError) as wrong:
        reason = f"cannot be read ({getattr(wrong, 'strerror', wrong)})"
        problem = Problem(file, 0, "", reason, "name a file with the passphrase in its first line")
        raise OperatorError("there is no passphrase", (problem,)) from None


def _first_line(line: str, where: str) -> str:
    if not (passphrase := line.rstrip("\r\n")):
        raise OperatorError(f"there is no passphrase on the first line of {where}")
    return passphrase


def _say_users(folder: Path, restored: Restored) -> None:
    """Import the users to PostgreSQL if they were there; if it is not empty, print how the operator does it."""
    from sipmesh.storage.backup.create import EXPORTED_USERS, copy_users

    export = folder / EXPORTED_USERS
    if restored.manifest.users != EXPORTED_USERS:
        return
    try:
        count = copy_users(export, Place(folder / HERE).load().users_url)
    except OperatorError as wrong:
        say(f"The users were not restored to their database: {wrong.message}", style=WARN)
        say(f"  When the database exists and is empty: sipmesh user import {EXPORTED_USERS}")
        return
    export.unlink()
    say(f"{count} users are restored to their database.", style=GOOD)


def _say_rest(folder: Path, restored: Restored, *, moved: bool) -> None:
    made = f"{restored.manifest.at:%Y-%m-%d %H:%M}Z"
    steps = [
        f"cd {folder}",
        f"the backup ends at {made}: repeat later revocations, and issue later certificates again",
        "if certificates have expired since: sipmesh ca issue --all",
    ]
    if restored.next_version is None:
        steps.append(
            "if the address of this host differs from the old host: change `address` of its servers in topology.yaml"
        )
    elif not moved:
        steps.append("if the address of this host differs from the old host: restore again, with --address ADDRESS")
    steps += [
        f"{kind}.key is not in the backup: copy it to the CA folder, then: sipmesh ca crl"
        for kind in restored.keys_missing
    ]
    steps += [f"copy {entry} to {original}" for original, entry in restored.manifest.elsewhere.items()]
    steps.append("start the management server, or every server where there is none: sipmesh serve NAME")
    if restored.next_version is not None and not moved:
        number = restored.next_version
        steps.append(f"publish version {number}, which all servers then load: sipmesh topology publish -m WHY")
    say("", "Next:", *(f"  {step}" for step in steps))
