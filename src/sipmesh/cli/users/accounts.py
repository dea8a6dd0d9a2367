"""`sipmesh user`: the accounts of users."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, WARN, cell, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.device_password import give_device_password
from sipmesh.cli.users.pages import After, Limit, say_next
from sipmesh.cli.users.passwords import FromStdin, new_password
from sipmesh.errors import OperatorError
from sipmesh.storage.users.account_report import AccountReport, plain_address
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.users.user import User
    from sipmesh.storage.users.user_database import Users

PAGE: Final = 1_000
"""Users that one query reads."""

app = typer.Typer(help="The users of your SIP domains.", no_args_is_help=True)


class Digest(StrEnum):
    """The hash by which a phone proves that it knows the password."""

    MD5 = "md5"
    SHA_256 = "sha-256"


Digests = Annotated[
    list[Digest] | None,
    typer.Option(
        "--digest",
        help="The digest algorithm of the challenge. By default both; md5 alone for phones that support no other.",
    ),
]
HomePool = Annotated[
    str,
    typer.Option(
        "--pool", metavar="POOL", help="The user's home pool: the front-end pool at which the user's phones log in."
    ),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="USER", help="The user, such as alice@example.com; alice is enough where you have one domain."
    ),
]


@app.command()
def add(
    user: Address,
    *,
    pool: HomePool = "",
    digest: Digests = None,
    password_stdin: FromStdin = False,
    topology: TopologyFile = HERE,
) -> None:
    """Add a user."""
    from sipmesh.topology.home_pools import home_of_new_user

    place = Place(topology)
    loaded = place.in_force()
    aor = full_address(user, loaded.topology)
    home_of_new_user(loaded.topology, pool, aor)  # an error comes before the question for the password
    password = new_password(aor, from_stdin=password_stdin)
    with place.accounts() as accounts:
        made = accounts.add(aor, password, algorithms_of(digest), pool)
    tell_users_changed(place)
    at = f" at {made.pool}" if made.pool else ""
    say(f"{plain_address(made)} may log in{at} ({_in_words(made.algorithms)}).", style=GOOD)


def algorithms_of(digest: Sequence[Digest] | None) -> tuple[Algorithm, ...]:
    """Return the algorithms, strongest first."""
    from sipmesh.sip.digest import Algorithm

    wanted = {str(name).upper() for name in digest or ()}
    return tuple(algorithm for algorithm in (Algorithm.SHA_256, Algorithm.MD5) if algorithm in wanted)


def _in_words(algorithms: Collection[Algorithm]) -> str:
    return "digest " + " or ".join(algorithms)


@app.command("list")
def list_users(
    *,
    registered: Annotated[
        bool,
        typer.Option("--registered", help="Only users with a device that is registered on a server of this machine."),
    ] = False,
    limit: Limit = 0,
    after: After = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the users, ordered by address."""
    place = Place(topology)
    here = _registered(place) if registered else None
    default = _home_by_default(place)
    with place.users() as users:
        known = (AccountReport.of(user, default) for user in _after(users, after))
        wanted = (account for account in known if here is None or account.user in here)
        accounts = list(islice(wanted, limit or None))
    if as_json:
        say_json(accounts)
        return
    made = table("", "user", "pool", "digest", "aliases", "since", "")
    for account in accounts:
        since = f"{account.created:%Y-%m-%d %H:%M}Z"
        names = map(", ".join, (account.digest, account.aliases))
        said = ("group", account.is_group), ("disabled", account.disabled)
        state = cell(", ".join(word for word, holds in said if holds) or None, WARN if account.disabled else "")
        made.add_row(cell(account.user), cell(account.pool), *map(cell, names), cell(since), state)
    if accounts:
        show(made)
        say_next(limit, len(accounts), f"sipmesh user list --limit {limit} --after {accounts[-1].user}")
    elif registered:
        say("No user is registered on a server of this machine.", style="dim")
    else:
        say("There are no users yet. To add a user: sipmesh user add alice", style="dim")


def _registered(place: Place) -> frozenset[str]:
    from sipmesh.cli.users.registrations import registered_users

    return registered_users(place)


def _after(users: Users, after: str) -> Iterator[User]:
    """Yield the users whose address is above *after*, by pages: each asks the database for its own users only."""
    from sipmesh.storage.users.user_list import UsersWanted

    last = f"sip:{after}"
    while page := users.page(UsersWanted(PAGE, last)).users:
        yield from page
        last = page[-1].aor


def _home_by_default(place: Place) -> str:
    from sipmesh.topology.home_pools import home_by_default

    return home_by_default(place.in_force().topology)


@app.command()
def move(
    user: Address,
    *,
    pool: Annotated[str, typer.Option("--pool", metavar="POOL", help="The new home pool, a front-end pool.")],
    topology: TopologyFile = HERE,
) -> None:
    """Move a user to another home pool. The user's live links are closed at once, and phones log in at the new pool."""
    place = Place(topology)
    with place.accounts() as accounts:
        moved, before = accounts.move(user, pool)
    tell_users_changed(place)
    say(f"{plain_address(moved)} has moved from {before} to {moved.pool}.", style=GOOD)


@app.command()
def password(
    user: Address,
    *,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Make a password for a new device of this name, and print it once. No other device is logged out.",
        ),
    ] = "",
    digest: Digests = None,
    password_stdin: FromStdin = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Change a password. The user's live links are closed at once.

    With --device, a new device gets a password of its own instead. To revoke it: sipmesh user devices USER --revoke NAME.
    """
    place = Place(topology)
    if device:
        if digest or password_stdin:
            raise OperatorError(
                "--device makes a random password with both digests: leave out --digest and --password-stdin"
            )
        give_device_password(place, user, device, as_json=as_json)
        return
    if as_json:
        raise OperatorError("--json is for --device: without it, there is nothing to print")
    new = new_password(full_address(user, place.in_force().topology), from_stdin=password_stdin)
    with place.accounts() as accounts:
        changed = accounts.set_password(user, new, algorithms_of(digest))
    tell_users_changed(place)
    say(f"{plain_address(changed)} has a new password ({_in_words(changed.algorithms)}).", style=GOOD)


@app.command()
def remove(user: Address, topology: TopologyFile = HERE) -> None:
    """Remove a user with all aliases. The user's live links are closed at once, and the user's devices are revoked.

    Records of calls keep the user, with all aliases: `sipmesh user erase` erases them.
    """
    from sipmesh.cli.ca.devices import end_devices_of, revoke_devices_of
    from sipmesh.storage.call_records.call_query import names_of_user

    place = Place(topology)
    loaded = place.in_force()
    records, names = loaded.topology.call_records, names_of_user(full_address(user, loaded.topology), loaded)
    with place.accounts(partial(end_devices_of, place)) as accounts:
        aor = accounts.remove(user)
    tell_users_changed(place)
    revoke_devices_of(place, aor, ended=accounts.ended)
    say(f"{aor} is removed.", style=GOOD)
    if records is not None:
        say(
            f"Records of calls keep the user for {plural(records.days, 'day')}. To erase the user there:",
            *(f"  sipmesh user erase {name}" for name in names),
        )


@app.command("import")
def import_users(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A database file of users, as `sipmesh restore` writes it, or a table: NAME.csv."
        ),
    ],
    *,
    passwords: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For a table: a new file for the passwords of the new users, which only you can read."
        ),
    ] = None,
    into: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="For a database file: the user database to copy to, if no published version names it yet; - reads it from"
            " the standard input.",
        ),
    ] = "",
    topology: TopologyFile = HERE,
) -> None:
    """Copy all users of a database file to the user database, which must be empty; or add the users of a CSV table.

    A table has the column user, and the optional columns pool, aliases, digest and disabled. It has no passwords: each
    new user gets a random one, written to the file of --passwords. Users that exist already are left as they are.
    """
    from sipmesh.cli.topology.remote_servers import must_lead, note_each
    from sipmesh.storage.audit_act import AuditAct
    from sipmesh.storage.backup.create import copy_users

    if not file.is_file():
        raise OperatorError(f"there is no regular file {file}")
    place = Place(topology)
    if into:
        _copy(file, into, place.folder)
        return
    if file.suffix.lower() == ".csv":
        from sipmesh.cli.users.user_table import add_table

        add_table(file, passwords, place)
        return
    must_lead(place)
    count = copy_users(file, place.in_force().users_url)
    with place.users() as users:
        note_each(place, AuditAct.USER, ({"added": user.aor, "imported": file.name} for user in users.list()))
    tell_users_changed(place)
    say(f"{count} users are imported from {file}.", style=GOOD)


def _copy(file: Path, url: str, folder: Path) -> None:
    """Copy the users of a database file to the database that the next version names; files of its URL are below *folder*."""
    from sipmesh.database.masked import masked
    from sipmesh.storage.backup.create import copy_users
    from sipmesh.topology.document.storage.database_url import reached_by_tls

    if file.suffix.lower() == ".csv":
        raise OperatorError("--into is for a database file of users, and not for a table")
    url = sys.stdin.readline().strip() if url == "-" else url
    count = copy_users(file, reached_by_tls(url, folder))
    say(f"{count} users are copied from {file} to {masked(url)}.", style=GOOD)
    say("To use that database, name it in `storage.users`, publish, and restart management.")
