"""`sipmesh ca request` and `ca import`: our issuing CA below the CA of another organisation."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.ca.generation_files import names_of
from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.secret_prompt import prompt_secret
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.pki.importing.bundle import Bundle
    from sipmesh.pki.importing.ca_path import CaPath
    from sipmesh.topology.document.load import Loaded

Given = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="PEM, DER, PKCS #7 or PKCS #12: the CA with all its issuers, in any order."),
]
Crls = Annotated[
    list[str] | None,
    typer.Option(
        "--crl",
        metavar="CRL",
        help="The CRL of a CA above, as URL or as file below anchors/; may be repeated. By default the URLs in the certificates.",
    ),
]


def request(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The signing request to write. Give it to the other CA.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Write a signing request for an issuing CA of ours below the CA of another organisation. Its key stays here.

    The other CA signs it as a subordinate CA with path length 0. Take its certificate with `ca import`.
    """
    from sipmesh.pki import files
    from sipmesh.pki.importing.subordinate import request_ca

    place = Place(topology)
    must_lead(place)
    if not to.name:
        raise OperatorError("no file is named for the signing request; name one: sipmesh ca request ours.csr")
    files.write(to, request_ca(place.generations()))
    say(f"{to} asks for the certificate of our next issuing CA. Nothing has changed yet.", style=GOOD)
    say("Let the other CA sign it as a subordinate CA. Then, with its issuers in one file:", "  sipmesh ca import FILE")


def import_(file: Given, *, crl: Crls = None, topology: TopologyFile = HERE) -> None:
    """Take the certificate of an issuing CA below the CA of another organisation, or a PKCS #12 file with such a CA and its key.

    Everything is checked before anything is replaced. The CA is prepared then, as after `ca root prepare`. It issues nothing yet.
    """
    from sipmesh.pki.importing.ca_path import CaPath
    from sipmesh.pki.importing.subordinate import import_ca
    from sipmesh.topology.document.changes import add_root, edit

    place = Place(topology)
    must_lead(place)
    bundle, draft = read_given_ca(file), place.load()
    must_be_there(place, crl or ())
    made = import_ca(place.generations(), bundle, all_names(draft), crl or (), datetime.now(UTC))
    anchor, crls, _devices = names_of(place, made)
    new = tuple(name for name in crls if name not in draft.topology.authority.crls)
    edit(place.file, lambda text: add_root(text, anchor, new))
    say(f"{made.issuing.subject.rfc4514_string()} is prepared, in {made.folder}.", style=GOOD)
    say_warning(CaPath(file, made.issuing, made.presented[1:], made.root))
    say(
        f"It is below {made.root.subject.rfc4514_string()}. Clients and partners need this root: {made.folder / 'root.pem'}"
    )
    say(f"The draft {place.file} names it beside the present root. Next:")
    say('  sipmesh topology publish -m "a CA below another one"', "  sipmesh ca root activate")


def read_given_ca(file: Path) -> Bundle:
    """Read the file of another CA; asks for its password if it has one. Raises `OperatorError` that names the mistake."""
    from sipmesh.pki.importing.bundle import LARGEST, read_bundle
    from sipmesh.topology.document.named_files.read import read_or_refuse

    remedy = "name the file that the other CA has given"
    content = read_or_refuse(file, LARGEST, "nothing was imported", remedy)
    password = partial(prompt_secret, f"Password of {file.name}", "write it to the standard input")
    bundle = read_bundle(content, file, password)
    if bundle.is_old:
        say(f"{file} is encrypted with 3DES or RC2, which is weak: delete each copy of it.", style=WARN)
    return bundle


def say_warning(path: CaPath) -> None:
    """Say what an operator should know before the root of *path* is trusted."""
    if warning := path.warning():
        say(warning, style=WARN)


def all_names(draft: Loaded) -> tuple[str, ...]:
    """Return all names that certificates of this topology have."""
    from sipmesh.topology.view import certificate_names

    topology = draft.topology
    return tuple(
        dict.fromkeys(name for server in topology.server_names for name in certificate_names(topology, server))
    )


def must_be_there(place: Place, crls: list[str] | tuple[str, ...]) -> None:
    """Raise `OperatorError` if a CRL that is no URL is no file below the organisation's folder."""
    from sipmesh.topology.document.names import is_url

    for name in crls:
        if not is_url(name) and not (place.folder / name).is_file():
            raise OperatorError(
                f"there is no CRL {place.folder / name}; copy it there, and name it as anchors/NAME.crl"
            )
