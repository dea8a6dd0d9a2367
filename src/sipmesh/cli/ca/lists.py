"""`sipmesh ca lists`: what others fetch from the URLs in our certificates, as files for a web server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sipmesh.cli.output import GOOD, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile

app = typer.Typer(help="Our CRLs and CA certificates, for the URLs in our certificates.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What ``sipmesh ca lists export --json`` prints: *base* is the URL below which certificates name these *files*."""

    base: str
    files: tuple[str, ...]


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that a web server serves; it is made.")],
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Write our CRLs and CA certificates to DIR in DER, as RFC 5280 requires of these URLs. Run it after each new CRL.

    Each file is replaced as a whole, so a web server may serve DIR meanwhile.
    """
    from sipmesh.pki import files
    from sipmesh.pki.publication import published_files

    generations = Place(topology).generations()
    names = []
    for file in published_files(generations):
        target = folder / file.path
        files.make_readable_folder(target.parent)
        files.write(target, file.content)
        names.append(file.path)
    base = generations.current.crl_base
    if as_json:
        say_json(ExportReport(base, tuple(names)))
    else:
        say(f"Written to {folder}: {', '.join(names)}.", style=GOOD)
        say(f"Certificates name these files below {base}.", style="dim")
