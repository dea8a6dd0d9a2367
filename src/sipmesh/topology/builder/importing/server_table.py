"""A table of servers as CSV (RFC 4180): one row for each server, with the columns of `COLUMNS` in any order."""

from __future__ import annotations

import csv
import io
from itertools import islice
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.foreign_errors import reason_of
from sipmesh.topology.builder.additions import NewPool, NewServer
from sipmesh.topology.builder.importing.imported import MOST_SERVERS, Imported, site_label
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS: Final = ("server", "pool", "role", "address", "outside", "site", "next_hop", "internal_name", "speaks_for")
_REQUIRED: Final = ("server", "pool", "role")

Row = dict[str, str]


def read_table(content: bytes) -> Imported:
    """Read a table of servers; raises `OperatorError` if it is no CSV, or a column is missing."""
    made, pools = Imported(), dict[str, list[tuple[int, Row]]]()
    for line, row in _rows(content, made):
        missing = [column for column in _REQUIRED if not row[column]]
        if missing:
            made.leave(f"line {line}", f"`{missing[0]}` is empty")
            continue
        pools.setdefault(row["pool"].lower(), []).append((line, row))
    for name, rows in pools.items():
        _add(made, name, rows)
    made.sites = list(dict.fromkeys(made.sites))
    return made


def _rows(content: bytes, made: Imported) -> list[tuple[int, Row]]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        names = [str(name).strip().lower().replace(" ", "_") for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = [(reader.line_num, _row(read)) for read in islice(reader, MOST_SERVERS + 1)]
    except (csv.Error, UnicodeDecodeError) as wrong:
        raise OperatorError(
            f"this is not a table of servers in UTF-8 CSV ({reason_of(wrong)}); save it as CSV in UTF-8"
        ) from None
    absent = [column for column in _REQUIRED if column not in names]
    if absent:
        raise OperatorError(f"the table has no column {absent[0]!r}; the first line names: {', '.join(COLUMNS)}")
    if len(rows) > MOST_SERVERS:
        raise OperatorError(f"the table has more than {MOST_SERVERS} rows")
    for name in names:
        if name not in COLUMNS:
            made.leave(f"column {name!r}", f"it is not one of: {', '.join(COLUMNS)}")
    return rows


def _row(read: Mapping[str | None, object]) -> Row:
    given = {str(name): value.strip() for name, value in read.items() if isinstance(value, str)}
    return {column: given.get(column, "") for column in COLUMNS}


def _add(made: Imported, name: str, rows: list[tuple[int, Row]]) -> None:
    line, first = rows[0]
    try:
        role = Role(first["role"].lower())
    except ValueError:
        made.leave(f"pool {name} (line {line})", f"{first['role']!r} is not a role; write one of: {', '.join(Role)}")
        return
    for line, row in rows[1:]:
        if row["role"].lower() != role:
            made.leave(f"line {line}", f"{name} is a pool of role {role} already")
    mine = [row for _, row in rows if row["role"].lower() == role]
    sites = [site_label(row["site"]) for row in mine]
    made.sites += [site for site in sites if site]
    common = sites[0] if len(set(sites)) == 1 else ""
    servers = [
        NewServer(row["server"], address=row["address"], outside=row["outside"], site="" if common else site)
        for row, site in zip(mine, sites, strict=True)
    ]
    speaks_for = tuple(first["speaks_for"].replace(";", " ").split())
    made.pools.append(NewPool(role, name, servers, first["internal_name"], first["next_hop"], speaks_for, common))
