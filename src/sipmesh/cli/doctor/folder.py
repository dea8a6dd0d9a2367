"""The folder of the organisation: whether the topology is valid, and whether its secret files are private."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sipmesh.cli.doctor.check import Check
    from sipmesh.errors import Problem

TOPOLOGY, FILES, CERTIFICATES = "topology", "files", "certificates"
_OTHERS: Final = 0o077


def topology_checks(problems: Iterable[Problem], published: int) -> Iterator[Check]:
    """Tell each problem of the draft: servers use the *published* version, if there is one."""
    how = warning if published else bad
    found = [how(TOPOLOGY, _sentence(problem), problem.remedy) for problem in problems]
    yield from found or [good(TOPOLOGY, "the topology is valid")]


def certificate_checks(problems: Iterable[Problem]) -> Iterator[Check]:
    """Tell each certificate on this machine that lacks a name, or that cannot be read; `expiry` has their dates."""
    for problem in problems:
        yield bad(CERTIFICATES, _sentence(problem), problem.remedy)


def _sentence(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
    return f"{place}{f' {problem.field}' if problem.field else ''}: {problem.reason}"


def file_checks(secret: Iterable[Path], shared: Iterable[Path]) -> Iterator[Check]:
    """Judge the modes: only the owner may read *secret* files, and only the owner may write to *shared* places."""
    open_to_others = [file for file in secret if _mode(file) & _OTHERS]
    for file in open_to_others:
        told = f"{file} has mode {_mode(file):04o}: other users may have read it, and no server starts with it"
        yield bad(FILES, told, f"chmod 600 {file}")
    written = [*shared]
    for path in written:
        told = f"other users can write to {path}; a server takes this right from them when it starts"
        yield warning(
            FILES, told, f"chmod go= {path}; if they may have done so, join the server again, or restore its backup"
        )
    if not open_to_others and not written:
        yield good(FILES, "no other user can read a secret file, or write to a folder of a server")


def _mode(file: Path) -> int:
    with suppress(OSError):
        return stat.S_IMODE(file.stat().st_mode)
    return 0
