"""`sipmesh user export`, and the import of such a table: users as CSV (RFC 4180), without passwords and hashes."""

from __future__ import annotations

import csv
import io
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, WARN, plural, say, say_document
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.csv_cell import csv_cell, csv_text
from sipmesh.errors import OperatorError, Problem
from sipmesh.foreign_errors import reason_of
from sipmesh.storage.users.account_report import AccountReport
from sipmesh.topology.document.named_files.read import read_or_refuse
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.users.accounts import Accounts
    from sipmesh.topology.document.load import Loaded

COLUMNS: Final = ("user", "pool", "digest", "aliases", "disabled", "created")
SECRET_COLUMNS: Final = frozenset({"password", "secret", "ha1", "ha1_md5", "ha1_sha256", "hash"})
LARGEST_TABLE: Final = 32 << 20
MOST_ROWS: Final = 100_000
PASSWORD_OCTETS: Final = 15
"""120 random bits, 20 characters: no phone and no guesser has to remember them."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """One row of a table that is imported. *key* is the address in the form in which two spellings of it are equal."""

    line: int
    aor: str
    key: str
    pool: str | None
    algorithms: tuple[Algorithm, ...]
    aliases: tuple[str, ...]
    disabled: bool


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A new file. By default the standard output.")
    ] = None,
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Write the users as a CSV table: home pool, digest algorithms, aliases. It has neither passwords nor their hashes."""
    from sipmesh.topology.home_pools import home_by_default

    place = Place(topology)
    default = home_by_default(place.in_force().topology)
    with place.users() as users:
        accounts = [AccountReport.of(user, default) for user in users.list()]
    rows: list[Sequence[str]] = [COLUMNS]
    for one in accounts:
        state = f"{one.disabled:%Y-%m-%dT%H:%M:%SZ}" if one.disabled else ""
        created = f"{one.created:%Y-%m-%dT%H:%M:%SZ}"
        rows.append([one.user, one.pool, " ".join(one.digest), " ".join(one.aliases), state, created])
    if file is None:
        say_document(_written(rows))
        return
    write_new(file, _written(rows), 0o644)
    say(f"{file} has {plural(len(accounts), 'user')}.", style=GOOD)


def _written(rows: Sequence[Sequence[str]]) -> str:
    """Write a table; a name with a comma, which SIP permits, is written in quotes.

    A name that a spreadsheet would read as a formula gets an apostrophe before it, which `csv_text` removes.
    """
    written = io.StringIO()
    cells = [[csv_cell(cell) for cell in row] for row in rows]
    csv.writer(written, lineterminator="\n").writerows(cells)
    return written.getvalue()


def _new_password() -> str:
    """Make a password that a spreadsheet does not read as a formula: an apostrophe before it would be copied with it."""
    while (made := secrets.token_urlsafe(PASSWORD_OCTETS)).startswith("-"):
        pass
    return made


def write_new(file: Path, text: str, mode: int) -> None:
    """Write a file that does not exist yet; it is on the disk afterwards. Raises `OperatorError` if it exists."""
    from sipmesh.pki.files import sync_folder

    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        sync_folder(file.parent)
    except FileExistsError:
        raise OperatorError(f"{file} exists already; name a new file") from None


def add_table(file: Path, passwords: Path | None, place: Place) -> None:
    """Add the users of a table. Raises `OperatorError` with every problem of it; then nothing is added."""
    from sipmesh.routing.identity.alias import folded

    loaded = place.in_force()
    rows = list(_read(file, loaded))
    with place.users() as users, place.accounts() as accounts:
        known = {folded(user.aor) for user in users.list()}
        new = [row for row in rows if row.key not in known]
        if new and passwords is None:
            raise OperatorError(
                f"{plural(len(new), 'new user')} would need a password; name a new file: --passwords FILE"
            )
        if new and passwords is not None:
            given = {row.aor: _new_password() for row in new}
            write_new(passwords, _written([("user", "password"), *given.items()]), 0o600)
            faults = [fault for row in new if (fault := _add(accounts, row, given[row.aor]))]
            say(f"{plural(len(new), 'user')} added; their passwords are in {passwords}.", style=GOOD)
            say(*(f"  {fault}" for fault in faults), style=WARN)
    tell_users_changed(place)
    if len(rows) > len(new):
        say(f"{plural(len(rows) - len(new), 'user')} existed already, and nothing of them is changed.", style="dim")


def _add(accounts: Accounts, row: NewUser, password: str) -> str:
    """Add one user with aliases; returns the problem, empty if there is none. Each change is a line of the audit log."""
    user = row.aor.removeprefix("sip:")
    try:
        accounts.add(user, password, row.algorithms, pool=row.pool or "")
        for alias in row.aliases:
            accounts.add_alias(user, alias)
        if row.disabled:
            accounts.disable(user, datetime.now(UTC))
    except OperatorError as wrong:
        return f"line {row.line}: {wrong.message}"
    return ""


def _read(file: Path, loaded: Loaded) -> Iterator[NewUser]:
    """Read and check a table; raises `OperatorError` with all problems."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for line, row in _rows(file):
        try:
            user = _user(line, row, loaded)
        except OperatorError as wrong:
            problems.append(Problem(file, line, "", wrong.message, "correct this line"))
            continue
        first = seen.setdefault(user.key, line)
        if first != line:
            problems.append(
                Problem(file, line, "user", f"{user.aor} is on line {first} already", "keep one of the two")
            )
        elif not problems:
            yield user
    if problems:
        raise OperatorError("no user is added", tuple(problems))


def _rows(file: Path) -> Sequence[tuple[int, dict[str, str]]]:
    content = read_or_refuse(file, LARGEST_TABLE, "no user is added", "name a table in CSV")
    try:
        text = content.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
        names = [str(name).strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = [
            (
                reader.line_num,
                {name: csv_text(value) for name, value in row.items() if isinstance(value, str)},
            )
            for row in islice(reader, MOST_ROWS + 1)
        ]
    except (csv.Error, UnicodeDecodeError) as wrong:
        raise OperatorError(
            f"{file} is not a table in UTF-8 CSV ({reason_of(wrong)}); save it as CSV in UTF-8"
        ) from None
    if "user" not in names:
        raise OperatorError(f"{file} has no column 'user'; the first line names: {', '.join(COLUMNS)}")
    if secret := sorted(SECRET_COLUMNS & set(names)):
        remedy = "remove the column: new users get random passwords, in the file of --passwords"
        raise OperatorError(
            "a table has no passwords", (Problem(file, 1, secret[0], "is a column with secrets", remedy),)
        )
    if len(rows) > MOST_ROWS:
        raise OperatorError(f"{file} has more than {MOST_ROWS} rows")
    return rows


def _delimiter(text: str) -> str:
    """Return what separates the cells: where the comma is the decimal sign, spreadsheets write semicolons."""
    names = text.partition("\n")[0]
    return next((sign for sign in (";", "\t") if sign in names and "," not in names), ",")


def _user(line: int, row: dict[str, str], loaded: Loaded) -> NewUser:
    from sipmesh.routing.identity.alias import folded, read_alias
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS
    from sipmesh.storage.users.user_rows import MOST_ALIASES
    from sipmesh.topology.home_pools import chosen_home, front_end_pools

    aor, pool = full_address(row["user"].strip(), loaded.topology), row.get("pool", "").strip()
    if not pool and len(front_end_pools(loaded.topology)) > 1:
        raise OperatorError(f"{aor} has no home pool; write one of: {', '.join(front_end_pools(loaded.topology))}")
    names = row.get("digest", "").upper().split()
    known = {str(algorithm): algorithm for algorithm in DEFAULT_ALGORITHMS}
    if wrong := [name for name in names if name not in known]:
        raise OperatorError(f"{wrong[0]!r} is not a digest algorithm; write {' or '.join(known)}")
    chosen = tuple(algorithm for algorithm in (Algorithm.SHA_256, Algorithm.MD5) if str(algorithm) in names)
    address, aliases = read_address(aor), tuple(row.get("aliases", "").split())
    for alias in aliases:
        read_alias(alias, address.domain)
    if len(aliases) > MOST_ALIASES:
        raise OperatorError(f"{aor} has {len(aliases)} aliases; a user has {MOST_ALIASES} at most")
    home = chosen_home(loaded.topology, pool) if pool else None
    disabled = row.get("disabled", "").strip().lower() not in {"", "no", "false", "0"}
    return NewUser(line, aor, folded(address.aor), home, chosen or DEFAULT_ALGORITHMS, aliases, disabled)
