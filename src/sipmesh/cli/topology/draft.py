"""`sipmesh topology draft`: write the draft from a published version, on a host that has none or another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.regular_file import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.versions.publication import Publication

BEFORE = ".before"
"""The end of the name of a copy of a file that was replaced."""


def draft(
    version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]", help="The number of a published version. The default is the newest.", min=1
        ),
    ] = None,
    *,
    replace: Annotated[
        bool,
        typer.Option("--replace", help=f"Replace files that differ. The files before get {BEFORE} behind their names."),
    ] = False,
    topology: TopologyFile = HERE,
) -> None:
    """Write the draft of this management host from a published version, with the anchor files that it names.

    A host of a management pool has no draft of its own, or an old one, when it takes over. Files that are here already and
    differ stay as they are, and nothing is written, unless you give --replace.
    """
    from sipmesh.pki import files

    place = Place(topology)
    publication = _publication(place, version)
    missing, differing = _compared(place.file, publication)
    if differing and not replace:
        raise OperatorError(
            f"version {publication.number} differs from {', '.join(map(str, differing))}; to replace what is here: --replace"
        )
    for file in differing:
        file.replace(file.with_name(file.name + BEFORE))
        say(f"{file} is kept as {file.name}{BEFORE}.", style=WARN)
    for file, content in (missing | differing).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, content)
        say(f"{file} is written.")
    say(f"{place.file} is version {publication.number}. Change it, then: sipmesh topology plan", style=GOOD)


def _publication(place: Place, version: int | None) -> Publication:
    from sipmesh.cli.topology.publish import publication_of

    return publication_of(place, version if version is not None else place.in_force().number)


def _compared(draft_file: Path, publication: Publication) -> tuple[dict[Path, bytes], dict[Path, bytes]]:
    """Return the files of the version that are missing here, and those that differ, each with the content of the version."""
    missing: dict[Path, bytes] = {}
    differing: dict[Path, bytes] = {}
    home = draft_file.resolve().parent
    wanted = {draft_file: publication.topology.encode()}
    wanted |= {draft_file.parent / name: content for name, content in publication.files.items()}
    for file, content in wanted.items():
        if not file.resolve().is_relative_to(home):
            say(f"{file} is outside the folder of the topology; copy it from the host that has it.", style=WARN)
        elif not file.exists():
            missing[file] = content
        elif read_regular(file) != content:
            differing[file] = content
    return missing, differing
