"""What the commands about the topology print with --json: the names of the fields are the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.errors import Problem
    from sipmesh.topology.builder.border_crossings import Crossing


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``sipmesh topology check --json`` prints: *ok* if there is no problem; warnings do not count.

    *crossings* is what crosses the border of a machine.
    """

    ok: bool
    problems: Sequence[Problem]
    warnings: Sequence[Problem]
    crossings: Sequence[Crossing] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class DraftReport(CheckReport):
    """The same in a network with a published version: its number, and the changes of the draft since then."""

    published: int
    unpublished: Sequence[str]


@dataclass(frozen=True, slots=True)
class EditReport:
    """What commands that edit the draft print with ``--json``: whether the file was *written*, and the lines that change.

    *unpublished* are the changes of the draft since version *published* in words; 0 means that no version is published.
    """

    file: Path
    written: bool
    diff: Sequence[str]
    published: int
    unpublished: Sequence[str]


@dataclass(frozen=True, slots=True)
class OpenerReport:
    """A peer that may open a link, and the SIP domains whose users it may assert; *name* is None if no peer may."""

    name: str | None
    asserts: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListenerReport:
    """One port of a server; *name* is the name in its certificate that peers expect there."""

    kind: str
    host: str
    port: int
    name: str
    may_open: Sequence[OpenerReport]


@dataclass(frozen=True, slots=True)
class ViewReport:
    """What ``sipmesh topology show SERVER --json`` prints; *names* are the names in the certificate of the server."""

    server: str
    role: str
    pool: str
    certificate: Path
    names: Sequence[str]
    listeners: Sequence[ListenerReport]


@dataclass(frozen=True, slots=True)
class PublishedReport:
    """What ``sipmesh topology publish --json`` prints; *missing* are servers that do not have the version in force yet.

    *forced* says what the version breaks, *closed* are the ids of the links that it closed, *new* are servers that have not
    started yet. *took_s* is the time of the whole command, in seconds. *at_rest* says that no management server runs here: the
    version is in force when it starts.
    """

    version: int
    changes: Sequence[str] = ()
    forced: Sequence[str] = ()
    closed: Sequence[str] = ()
    missing: Sequence[str] = ()
    new: Sequence[str] = ()
    took_s: float = 0.0
    at_rest: bool = False


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What ``sipmesh topology show VERSION --json`` prints."""

    version: int
    by: str
    why: str
    topology: str
