"""`sipmesh topology import`: a draft from the configuration of another system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, WARN, say, say_json, say_problems
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import must_have_draft
from sipmesh.errors import OperatorError, Problem
from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from sipmesh.topology.builder.importing.imported import Imported
    from sipmesh.topology.builder.outline import Entry, Outline


class Source(StrEnum):
    """The systems whose configuration can be read."""

    SKYPE_FOR_BUSINESS = "skype-for-business"
    CSV = "csv"
    KAMAILIO_TLS = "kamailio-tls"
    KAMAILIO_DISPATCHER = "kamailio-dispatcher"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What ``sipmesh topology import --json`` prints: the new draft, what could not be taken, and the problems of the draft."""

    draft: Path
    added: Sequence[str]
    left: Sequence[str]
    problems: Sequence[Problem]


def import_topology(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="The file to read.")],
    *,
    source: Annotated[Source, typer.Option("--from", help="The system that has written the file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DRAFT", help="The new draft, in the folder of the topology.")
    ] = Path("imported.yaml"),
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a new draft: the present one, with the pools, servers, SIP domains and sites of the file.

    The present draft stays as it is. The command lists what it could not take, and what `sipmesh topology check` would say.

    Exit codes: 0 if the new draft has no problem, 1 otherwise.
    """
    from sipmesh.pki import files
    from sipmesh.topology.builder.importing.imported import add_imported, read_file
    from sipmesh.topology.document import yaml_tree

    place = Place(topology)
    must_have_draft(place)
    made = place.folder / output
    if made.parent.resolve() != place.folder.resolve() or made.exists():
        problem = Problem(made, 0, "", "exists already, or is in another folder", "name another file with --output")
        raise OperatorError("the new draft is not written", (problem,))
    imported = _reader(source)(read_file(file))
    text = add_imported(yaml_tree.read(topology).decode(), imported, made)
    report = ImportReport(made, _added(topology, text, imported), imported.left, _problems(text, made))
    files.write(made, text.encode())
    if as_json:
        say_json(report)
    else:
        _say(report)
    raise typer.Exit(1 if report.problems else 0)


def _reader(source: Source) -> Callable[[bytes], Imported]:
    from sipmesh.topology.builder.importing import kamailio, server_table, skype_for_business

    readers: dict[Source, Callable[[bytes], Imported]] = {
        Source.SKYPE_FOR_BUSINESS: skype_for_business.read_topology,
        Source.CSV: server_table.read_table,
        Source.KAMAILIO_TLS: kamailio.read_tls,
        Source.KAMAILIO_DISPATCHER: kamailio.read_dispatcher,
    }
    return readers[source]


def _added(topology: Path, text: str, imported: Imported) -> Sequence[str]:
    """Return the names of the pools, servers, domains, sites and partners that the new draft has more.

    A partner comes with the files that its entry names: each server reads them, and management sends them.
    """
    from sipmesh.topology.builder.outline import Outline
    from sipmesh.topology.document import yaml_tree

    old, new = Outline(yaml_tree.read(topology).decode(), topology), Outline(text, topology)
    before = {(one.kind, one.name) for one in _entries(old)}
    added = [one for one in _entries(new) if (one.kind, one.name) not in before]
    return [f"{one.kind} {one.name}{_with_files(one, imported)}" for one in added]


def _with_files(entry: Entry, imported: Imported) -> str:
    files = imported.files_of_partner(entry.name)
    return f", with the files {tell_list(files)}" if files else ""


def _entries(outline: Outline) -> Sequence[Entry]:
    return (*outline.domains, *outline.sites, *outline.pools, *outline.servers, *outline.partners)


def _problems(text: str, file: Path) -> Sequence[Problem]:
    from sipmesh.topology.document.load import load_text

    try:
        load_text(text.encode(), file)
    except OperatorError as wrong:
        return wrong.problems
    return ()


def _say(report: ImportReport) -> None:
    say(f"{report.draft} is a new draft. It adds:", style=GOOD)
    say(*(f"  {name}" for name in report.added or ["nothing"]))
    if report.left:
        say("Not taken:", style=WARN)
        say(*(f"  {line}" for line in report.left))
    if report.problems:
        say("Problems of the new draft:", style=WARN)
        say_problems(report.problems)
    say(f"  to compare it with the version in force: sipmesh topology plan -t {report.draft}")
