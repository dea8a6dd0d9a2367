"""`sipmesh join`: a server on a machine of its own, in three steps; its key never leaves that machine.

The new machine makes a key and a request, management grants it, and the new machine accepts what it was granted: its
certificate, the anchor, the topology as it was signed, and the lists.
"""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.cli.live import links_of, reload, say_reloaded
from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.publish import chronicle_of, loaded_version
from sipmesh.errors import OperatorError, Problem, RemoteError

if TYPE_CHECKING:
    from sipmesh.topology.document import Loaded

app = typer.Typer(help="Bring a server on another machine into the network.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder of this machine's server.")]

LARGEST = 64 << 20


@app.command()
def request(
    server: Annotated[str, typer.Argument(help="The server's full name, as the topology will have it.")],
    *,
    folder: Folder = Path(),
) -> None:
    """On the new machine: make its key, and a request to carry to management."""
    from sipmesh.pki import files
    from sipmesh.pki.joining import request_for
    from sipmesh.topology.names import fqdn

    name = fqdn(server)
    key_file = folder / "servers" / f"{name}.key"
    key_file.parent.mkdir(parents=True, exist_ok=True)
    if key_file.exists():
        key = files.read_key(key_file)
    else:
        key = files.new_key()
        files.write(key_file, files.key_pem(key), files.SECRET)
    made = folder / f"{name}.csr"
    files.write(made, request_for(name, key))
    say(f"{made} is the request; carry it to management, where it is granted:", style=GOOD)
    say(f"  sipmesh join grant {made.name}")


@app.command()
def grant(
    request_file: Annotated[Path, typer.Argument(metavar="REQUEST", help="What the new machine has made.")],
    *,
    days: Annotated[int, typer.Option(min=1, max=397, help="How long its certificate is valid.")] = 30,
    topology: TopologyFile = HERE,
) -> None:
    """Where the CA is: issue the certificate, with the names that the published topology gives the server."""
    from sipmesh.pki import files
    from sipmesh.pki.joining import read_request
    from sipmesh.server.control import name_of
    from sipmesh.storage.audit import Act
    from sipmesh.topology.view import certificate_names, unknown_server

    place = Place(topology)
    chronicle = chronicle_of(place)
    head = chronicle.history.head()
    if head is None:
        raise OperatorError("nothing is published yet; first: sipmesh topology publish -m WHY")
    loaded = loaded_version(place, head.number)
    name, key = read_request(_read(request_file), request_file)
    pool = loaded.topology.pool_of(name)
    if pool is None:
        wrong = unknown_server(loaded.topology, name)
        raise OperatorError(f"{wrong.message}; write it into the topology and publish that first")
    at = datetime.now(UTC)
    names = certificate_names(loaded.topology, name)
    issued = place.ca().certify(names, pool.role, key, at, timedelta(days=days))
    about = {"server": name, "serial": f"{issued.certificate.serial_number:x}"}
    chronicle.audit.append(name_of(os.getuid()), Act.JOIN, about, at=at)
    server = next(one for one in pool.servers if one.name == name)
    lists = {entry: place.folder / entry for entry in loaded.list_names}
    made = request_file.with_suffix(".join")
    bundle: dict[str, Any] = {
        "format": 1,
        "server": name,
        "publication": chronicle.history.get(head.number).jws.decode(),
        "anchors": [_text(place.folder / entry) for entry in loaded.topology.authority.anchors],
        "certificate": issued.chain.decode(),
        "certificate_file": server.certificate_file,
        "lists": {entry: base64.b64encode(_read(file)).decode() for entry, file in lists.items() if file.exists()},
    }
    files.write(made, json.dumps(bundle).encode())
    say(f"{made} is what {name} was granted: carry it back, where it is accepted:", style=GOOD)
    say(f"  sipmesh join accept {made.name}", "", "Compare there what it says of the root; here it is:")
    say(*(f"  {_mark(anchor)}" for anchor in loaded.authority.anchors))


@app.command()
def accept(
    bundle_file: Annotated[Path, typer.Argument(metavar="GRANT", help="What management has granted.")],
    *,
    folder: Folder = Path(),
    fingerprint: Annotated[
        str, typer.Option(metavar="HEX", help="The root's SHA-256, as `join grant` has shown it; else you are asked.")
    ] = "",
) -> None:
    """On the new machine: check what was granted, and put it in place.

    It may be done again, such as for a server whose certificate has ended: what it holds then stays, if it is whole, and a
    server that runs takes its new certificate by itself.
    """
    from sipmesh.pki import files

    bundle = _bundle(bundle_file)
    name = str(bundle["server"])
    anchors = [x509.load_pem_x509_certificate(text.encode()) for text in bundle["anchors"]]
    _confirm(anchors, fingerprint)
    chain = x509.load_pem_x509_certificates(bundle["certificate"].encode())
    key = files.read_key(folder / "servers" / f"{name}.key")
    if chain[0].public_key() != key.public_key():
        raise OperatorError(f"{bundle_file} was granted for another key than servers/{name}.key; request it anew")
    _check_chain(chain, anchors, bundle_file)
    for entry in bundle["lists"]:
        _inside(folder, entry, bundle_file)
    certificate = _inside(folder, str(bundle["certificate_file"]), bundle_file)
    runs = _runs(folder, name)
    loaded = _held(folder, name, bundle["publication"].encode(), anchors, runs=runs)
    _put_lists(folder, bundle["lists"], loaded)
    certificate.parent.mkdir(parents=True, exist_ok=True)
    files.write(certificate, bundle["certificate"].encode())
    if runs:
        say(f"{name} runs with version {loaded.number}, and has a new certificate.", style=GOOD)
        place = Place(folder / HERE)
        say_reloaded(reload(place, links_of(place)))
        return
    say(f"{name} has joined with version {loaded.number}. Start it:", style=GOOD)
    say(f"  sipmesh serve {name}")


def _runs(folder: Path, name: str) -> bool:
    from sipmesh.server.control import SOCKET_SUFFIX, STATE, is_answered

    return is_answered(folder / STATE / f"{name}{SOCKET_SUFFIX}")


def _held(folder: Path, name: str, granted: bytes, anchors: list[x509.Certificate], *, runs: bool) -> Loaded:
    """Hold what was granted, unless what is held is whole, and newer or in use: management gives a running server the rest."""
    from sipmesh.server.holding import Holding
    from sipmesh.topology.jose import open_signed
    from sipmesh.topology.publication import KIND, Publication

    holding = Holding(folder, name)
    if holding.is_there:
        with suppress(OperatorError):
            loaded = holding.load()
            if runs or loaded.number >= Publication.decode(open_signed(granted, KIND).payload).number:
                return loaded
    holding.begin(granted, anchors)
    return holding.load()


def _put_lists(folder: Path, lists: dict[str, str], loaded: Loaded) -> None:
    """Put lists in place, but none in the place of a newer one: a grant may be days old."""
    from sipmesh.distribution.items import Item, Kind
    from sipmesh.server.lists import ListShelf

    shelf, at = ListShelf(folder), datetime.now(UTC)
    for entry, content in lists.items():
        try:
            shelf.put(Item(Kind.LIST, base64.b64decode(content), entry), loaded, at)
        except RemoteError as wrong:
            say(f"{wrong}; management gives a fresh one", style=WARN)


def _bundle(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(_read(file))
        return {
            **{key: str(told[key]) for key in ("server", "publication", "certificate", "certificate_file")},
            "anchors": [str(one) for one in told["anchors"]],
            "lists": {str(name): str(content) for name, content in told["lists"].items()},
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OperatorError(f"{file} is nothing that `sipmesh join grant` has made") from None


def _confirm(anchors: list[x509.Certificate], fingerprint: str) -> None:
    """The one thing that nobody can check for the operator: that this root is theirs."""
    held = {anchor.fingerprint(SHA256()).hex() for anchor in anchors}
    given = fingerprint.replace(":", "").lower()
    if given:
        if given not in held:
            raise OperatorError(f"the root of this grant has another fingerprint: {', '.join(sorted(held))}")
        return
    say("The root of this network, as the grant has it:", *(f"  {_mark(anchor)}" for anchor in anchors))
    typer.confirm("Is it the one that management has shown?", abort=True)


def _check_chain(chain: list[x509.Certificate], anchors: list[x509.Certificate], file: Path) -> None:
    *below, last = chain
    try:
        for one, issuer in zip(below, chain[1:], strict=True):
            one.verify_directly_issued_by(issuer)
        anchor = next(one for one in anchors if one.subject == last.issuer)
        last.verify_directly_issued_by(anchor)
    except (StopIteration, ValueError, TypeError, InvalidSignature):
        raise OperatorError(f"the certificate in {file} does not lead to its root; have it granted anew") from None


def _inside(folder: Path, entry: str, bundle: Path) -> Path:
    """A file of the grant lies below our folder and nowhere else."""
    path = Path(entry)
    if path.is_absolute() or ".." in path.parts:
        raise OperatorError(f"{bundle} would write to {entry}, outside of {folder}: refused")
    return folder / path


def _mark(anchor: x509.Certificate) -> str:
    return f"{anchor.subject.rfc4514_string()}  SHA-256 {anchor.fingerprint(SHA256()).hex(':').upper()}"


def _text(file: Path) -> str:
    return _read(file).decode()


def _read(file: Path) -> bytes:
    from sipmesh.topology.files import UnusableFileError, read_file

    try:
        return read_file(file, LARGEST)
    except UnusableFileError as wrong:
        raise OperatorError("nothing was done", (Problem(file, 0, "", str(wrong), "name another file"),)) from None
