"""Which release has written the files of this host, and which releases run."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from itertools import chain
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, warning
from sipmesh.database.schema import SCHEMAS
from sipmesh.storage import state_format
from sipmesh.storage.location_service.bindings import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sipmesh.cli.doctor.check import Check

RELEASES: Final = "releases"
NO_REPORT: Final = "before 0.1.0"
_BACK: Final = "make a backup first, since an older release does not use it then: sipmesh backup FILE"
_RIGHT_AFTER: Final = "restart all servers of the pool right after each other"


def file_checks(folder: Path, registrations: Iterable[Path]) -> Iterator[Check]:
    """Tell which files of *folder* this release brings to a newer format, and which it does not read.

    *registrations* are the files in which the pools of this host store them.
    """
    found = [*_tables(folder), *chain.from_iterable(map(_registrations, registrations)), *_state(folder / "state")]
    yield from found or [good(RELEASES, "the files of this host have the formats of this release")]


def _tables(folder: Path) -> Iterator[Check]:
    for file in sorted({*folder.glob("*.db"), *folder.glob("ca/*.db"), *folder.glob("state/messages.db")}):
        for schema in SCHEMAS:
            found = _revision(file, schema.version_table)
            if found and found > schema.head:
                yield _newer(file, f"revision {found}", schema.head)
            elif found and found < schema.head:
                told = f"the next start brings {file} from revision {found} to {schema.head}"
                yield warning(RELEASES, told, _BACK)


def _revision(file: Path, table: str) -> str:
    """Give the revision in a table of a database that may be in use; empty if there is none."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        row = db.execute(f'SELECT version_num FROM "{table}"').fetchone()  # noqa: S608 - a name of ours
        return str(row[0]) if row else ""
    return ""


def _registrations(file: Path) -> Iterator[Check]:
    """Tell beforehand that servers of two releases do not see each other's registrations in one file."""
    if not file.exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        [found] = db.execute("PRAGMA user_version").fetchone()
        if found > SCHEMA_VERSION:
            yield _newer(file, f"format {found}", SCHEMA_VERSION)
        elif 0 < found < SCHEMA_VERSION:
            told = (
                f"{file} has format {found}, and this release writes {SCHEMA_VERSION}: until all servers of the pool run this "
                "release, a user of one is away for the others"
            )
            yield warning(RELEASES, told, _RIGHT_AFTER)


def _state(state: Path) -> Iterator[Check]:
    found = state_format.found_in(state)
    if found > state_format.FORMAT:
        yield _newer(state, f"format {found}", state_format.FORMAT)


def _newer(path: Path, has: str, known: object) -> Check:
    told = f"{path} was written by a newer release: it has {has}, and this one knows {known}"
    return bad(RELEASES, told, state_format.REMEDY)


def running_checks(installed: str, here: Mapping[str, str]) -> Iterator[Check]:
    """Compare the release of each server that runs on this host with the *installed* release."""
    for server, release in sorted(here.items()):
        if release != installed:
            told = f"{server} runs release {release or NO_REPORT}, and {installed} is installed"
            yield warning(RELEASES, told, f"restart it: systemctl restart sipmesh@{server}")


def pool_checks(releases: Sequence[tuple[str, str, str]]) -> Iterator[Check]:
    """Tell which pools have servers of several releases; *releases* has pool, server and release."""
    pools: dict[str, dict[str, list[str]]] = {}
    for pool, server, release in releases:
        pools.setdefault(pool, {}).setdefault(release or NO_REPORT, []).append(server)
    for pool, by_release in sorted(pools.items()):
        if len(by_release) > 1:
            mix = "; ".join(f"{release}: {', '.join(sorted(names))}" for release, names in sorted(by_release.items()))
            told = f"{pool} has servers of {len(by_release)} releases ({mix})"
            yield warning(RELEASES, told, "end the update: restart those of the older release")
