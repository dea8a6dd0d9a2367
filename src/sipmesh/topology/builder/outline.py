"""The names in a draft, each with its place: also in a draft that has problems, so that a command can correct it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document import yaml_tree
from sipmesh.topology.document.report import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sipmesh.topology.document.yaml_tree import Loc


class Kind(StrEnum):
    """What a name in a draft stands for."""

    POOL = "pool"
    SERVER = "server"
    DOMAIN = "domain"
    SITE = "site"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Entry:
    """One named part of a draft. *value* has its keys; of a part that is written as its name, only ``name``.

    *pool* is the pool of a server, None for every other kind. *short* is true for a part that is written as its name.
    """

    kind: Kind
    name: str
    loc: Loc
    value: Mapping[str, object]
    pool: Entry | None = None
    short: bool = False


class Outline:
    """The names in the text of a draft. Names are in lower case."""

    def __init__(self, text: str, file: Path) -> None:
        """Read *text*, which is or will be in *file*. Raises `OperatorError` if it is not YAML."""
        root, _ = yaml_tree.parse(text.encode(), file)
        self._root, self._file = root, file
        self.pools = tuple(self._listed(Kind.POOL, ("pools",), "name"))
        self.servers = tuple(server for pool in self.pools for server in self._servers(pool))
        self.domains = tuple(self._listed(Kind.DOMAIN, ("sip_domains",), "name"))
        self.sites = tuple(self._listed(Kind.SITE, ("sites",), "name"))
        self.partners = tuple(self._listed(Kind.PARTNER, ("federation", "partners"), "domains"))

    def plain(self, loc: Loc) -> object:
        """Give the plain value at *loc*, None if there is none."""
        entry = self._root.at(loc)
        return entry.plain() if entry.path == loc else None

    def items(self, loc: Loc) -> tuple[object, ...]:
        """Give the plain values of the list at *loc*; empty if there is no list."""
        found = self.plain(loc)
        return found if isinstance(found, tuple) else ()

    def named(self, name: str) -> list[Entry]:
        """Give each pool, server, domain and site with that name; only the server of a pool may share the pool's name.

        The first label of a pool or server is enough, where it means one name only.
        """
        wanted = name.lower()
        exact = [one for one in (*self.pools, *self.servers, *self.domains, *self.sites) if one.name == wanted]
        if exact or "." in wanted:
            return exact
        short = [one for one in (*self.pools, *self.servers) if one.name.partition(".")[0] == wanted]
        return short if len({one.name for one in short}) == 1 else []

    def one(self, kind: Kind, name: str) -> Entry:
        """Give the entry of *kind* with that name; raises `OperatorError` with the nearest name if there is none."""
        known = {Kind.POOL: self.pools, Kind.SERVER: self.servers, Kind.DOMAIN: self.domains, Kind.SITE: self.sites}
        entries = known.get(kind, ())
        found = next((entry for entry in entries if entry.name == name.lower()), None)
        if found is None:
            raise self.unknown(name, [entry.name for entry in entries], f"a {kind}")
        return found

    def partner(self, name: str) -> Entry:
        """Give the partner with that domain; raises `OperatorError` with the nearest domain if there is none."""
        domains: list[str] = []
        for entry in self.partners:
            theirs = entry.value.get("domains")
            mine = [str(domain).lower() for domain in theirs] if isinstance(theirs, tuple) else []
            if name.lower() in mine:
                return entry
            domains += mine
        raise self.unknown(name, domains, "a partner")

    def unknown(self, name: str, known: list[str], what: str) -> OperatorError:
        """Make the error for a name that the draft does not have."""
        remedy = did_you_mean(name.lower(), known, f"the draft has: {', '.join(known) or 'none'}")
        problem = Problem(self._file, 0, "", f"{name!r} is not {what} of the draft", remedy)
        return OperatorError(f"{name!r} is not {what} of the draft", (problem,))

    def _listed(self, kind: Kind, loc: Loc, key: str) -> Iterator[Entry]:
        for n, item in enumerate(self.items(loc)):
            value = item if isinstance(item, dict) else {"name": item}
            named = value.get(key)
            name = named[0] if isinstance(named, tuple) and named else named
            yield Entry(kind, str(name).lower(), (*loc, n), value, short=not isinstance(item, dict))

    def _servers(self, pool: Entry) -> Iterator[Entry]:
        for entry in self._listed(Kind.SERVER, (*pool.loc, "servers"), "name"):
            yield Entry(entry.kind, entry.name, entry.loc, entry.value, pool, short=entry.short)
