"""`sipmesh join`: add a server on another machine, in three steps; its key never leaves that machine.

The new machine makes a key and a request. The machine with the CA makes a grant: the certificate, the root, the signed topology
and the CRLs. The new machine checks the grant and installs it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.cli.ca.key_algorithm import Algorithm, usable
from sipmesh.cli.control_client import links_of, reload, say_reloaded
from sipmesh.cli.given_file import read_given
from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.owner import for_owner
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.publish import management_db_of
from sipmesh.cli.typed_commands import TypedCommands
from sipmesh.errors import OperatorError
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import fingerprint as fingerprint_of

if TYPE_CHECKING:
    from sipmesh.pki.keys.algorithm import OwnPublicKey
    from sipmesh.server.management.enrolment import Enrolled
    from sipmesh.topology.document.load import Loaded

app = typer.Typer(help="Add a server on another machine to the network.", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Option("--dir", metavar="DIR", help="The folder of the server on this machine.", callback=for_owner),
]

REFUSAL = ("nothing was changed", "name another file")


@app.command()
def request(
    server: Annotated[str, typer.Argument(help="The server's full name, as in the topology.")],
    *,
    folder: Folder = Path(),
    algorithm: Algorithm = None,
) -> None:
    """On the new machine: create its key, and a certificate request to carry to the machine with the CA."""
    from sipmesh.pki import files
    from sipmesh.pki.csr import request_for
    from sipmesh.pki.keys.algorithm import KeyAlgorithm
    from sipmesh.topology.document.names import fqdn

    name = fqdn(server)
    key_file = folder / "servers" / f"{name}.key"
    files.make_readable_folder(key_file.parent)
    if key_file.exists():
        key = files.read_key(key_file)
        if algorithm not in {None, KeyAlgorithm.of(key)}:
            raise OperatorError(
                f"{key_file} is a key of {KeyAlgorithm.of(key)}; move it away, if no running server uses it, and request again"
            )
    else:
        key = (usable(algorithm) or KeyAlgorithm.P_256).new_key()
        files.write(key_file, files.key_pem(key), files.SECRET)
    made = folder / f"{name}.csr"
    files.write(made, request_for(name, key))
    say(f"{made} is the request. Carry it to the machine with the CA, and run there:", style=GOOD)
    say(f"  sipmesh join grant {made.name}")


@app.command()
def grant(
    request_file: Annotated[Path, typer.Argument(metavar="REQUEST", help="The request file of the new machine.")],
    *,
    days: Annotated[int, typer.Option(min=1, max=396, help="The validity of the certificate.")] = 30,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Issue a second certificate. The first stays valid until it expires or is revoked.",
        ),
    ] = False,
    topology: TopologyFile = HERE,
) -> None:
    """On the machine with the CA: issue the certificate, with the server's names from the published topology.

    It writes the grant to the current directory. A server with a valid certificate needs --replace. Only grant a request whose
    sender you know: the sender can act as this server. With --replace, the owner of the first key can do so too.
    """
    from sipmesh.pki import files
    from sipmesh.pki.csr import read_request
    from sipmesh.server.control_socket import this_operator
    from sipmesh.server.management.enrolment import Enrolment, EnrolmentRequest

    place = Place(topology)
    enrolment = Enrolment(management_db_of(place), place.generations(), place.folder)
    name, key = read_request(read_given(request_file, *REFUSAL), request_file)
    who, now = this_operator(), datetime.now(UTC)
    enrolled = enrolment.enrol(EnrolmentRequest(name, key, who, now, timedelta(days=days), replace=replace))
    made = Path(request_file.with_suffix(".join").name)
    files.write(made, enrolled.grant.encode())
    pool = place.in_force().topology.pool_of(name)
    if pool is not None and pool.role is not Role.MANAGEMENT:
        _warn_of_weaker_key(name, key, enrolled.grant.chain)
    _say_granted(name, made, enrolled)


def _warn_of_weaker_key(name: str, key: OwnPublicKey, chain: tuple[x509.Certificate, ...]) -> None:
    """Tell that a key is weaker than that of the CA, and how the server gets a stronger key."""
    from sipmesh.pki.keys.algorithm import KeyAlgorithm, algorithm_below

    wanted = algorithm_below(chain[1:])
    if wanted is not KeyAlgorithm.ML_DSA_44 or KeyAlgorithm.of(key) is wanted:
        return
    say(
        f"The key of {name} is of ECDSA, and the CA is of ML-DSA-44: who breaks ECDSA can act as this server.",
        f"For a key of ML-DSA-44: remove servers/{name}.key on the new machine, make the request again there, and grant it:",
        style=WARN,
    )
    say(f"  sipmesh join request {name} --algorithm {wanted}", f"  sipmesh join grant {name}.csr --replace", "")


def _say_granted(name: str, made: Path, enrolled: Enrolled) -> None:
    if enrolled.others:
        say(
            f"{name} has other valid certificates. When the server uses the new certificate, revoke the others:",
            style=WARN,
        )
        say(*(f"  sipmesh ca revoke {name} --serial {record.serial_hex}" for record in enrolled.others), "")
    say(f"{made} in the current directory is the grant for {name}.", style=GOOD)
    say(
        "Carry it to the new machine, and run there:",
        f"  sipmesh join accept {made}",
        "",
        "The new machine shows the fingerprint of the root. Compare it with this:",
    )
    say(*(f"  {_in_words(anchor)}" for anchor in enrolled.grant.anchors))


@app.command()
def accept(
    bundle_file: Annotated[Path, typer.Argument(metavar="GRANT", help="The grant file from management.")],
    *,
    folder: Folder = Path(),
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEX",
            help="The root's SHA-256, as `join grant` shows it, once for each root. Without it you are asked.",
        ),
    ] = None,
) -> None:
    """On the new machine: check the grant, and install it.

    You must confirm every root in the grant. Everything else in the grant is verified with these roots. You may repeat this, for
    example after the certificate has expired. Documents of the server stay if they are complete, and a running server loads its
    new certificate itself.
    """
    from sipmesh.cli.organisation.joined_application import is_application, say_application
    from sipmesh.pki import files
    from sipmesh.server.replication.join_grant import JoinGrant

    given = JoinGrant.read(read_given(bundle_file, *REFUSAL), bundle_file)
    name, at = given.server, datetime.now(UTC)
    judged = given.judged(_confirmed(given.anchors, fingerprint or []), folder, at)
    key = files.read_key(folder / "servers" / f"{name}.key")
    if given.chain[0].public_key() != key.public_key():
        raise OperatorError(
            f"{bundle_file} is a grant for another key than servers/{name}.key; make a new request: sipmesh join request"
        )
    runs = _runs(folder, name)
    loaded = judged.hold(folder, runs=runs)
    for wrong in judged.put_lists(folder, loaded, at):
        say(f"{wrong}; get a new grant from management: sipmesh join grant", style=WARN)
    judged.put_certificate(folder, loaded)
    if runs:
        say(f"{name} uses version {loaded.number} and its new certificate.", style=GOOD)
        place = Place(folder / HERE)
        say_reloaded(reload(place, links_of(place)))
        return
    say(f"{name} has joined with version {loaded.number}.", style=GOOD)
    if is_application(name, loaded):
        say_application(name, loaded, folder)
    elif _has_its_data(name, loaded, folder):
        say("Start it:", f"  {TypedCommands.in_folder(folder).start([name])}")
    else:
        say("It is a management server. Let it join the management pool:", f"  sipmesh management join {name} URL")


def _has_its_data(name: str, loaded: Loaded, folder: Path) -> bool:
    """Return False for a management server that has to join the management pool first."""
    from sipmesh.database.shared import SharedDatabase
    from sipmesh.server.replication.document_store import signers_of

    return name not in signers_of(loaded) or SharedDatabase.find(folder) is not None


def _runs(folder: Path, name: str) -> bool:
    from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE, is_answered

    return is_answered(folder / STATE / f"{name}{SOCKET_SUFFIX}")


def _confirmed(anchors: tuple[x509.Certificate, ...], given: list[str]) -> frozenset[str]:
    """Return the fingerprints that the operator has confirmed: only the operator knows the roots of the organisation."""
    if given:
        return frozenset(text.replace(":", "").lower() for text in given)
    say("The grant names these roots:", *(f"  {_in_words(anchor)}" for anchor in anchors))
    typer.confirm("Are these the fingerprints that `join grant` has shown?", abort=True)
    return frozenset(map(fingerprint_of, anchors))


def _in_words(anchor: x509.Certificate) -> str:
    return f"{anchor.subject.rfc4514_string()}  SHA-256 {anchor.fingerprint(SHA256()).hex(':').upper()}"
