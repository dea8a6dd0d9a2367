"""`sipmesh ca root`: replace the root CA step by step, and use a root whose key is on another machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.ca.ask_first import Yes, ask_first
from sipmesh.cli.ca.devices import name_in_draft
from sipmesh.cli.ca.generation_files import names_of
from sipmesh.cli.ca.key_algorithm import Algorithm, usable
from sipmesh.cli.control_client import ask_one, links_of, reload, say_reloaded
from sipmesh.cli.given_file import read_given
from sipmesh.cli.management_socket import managers
from sipmesh.cli.output import GOOD, WARN, cell, say, say_json, second, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.errors import OperatorError
from sipmesh.pki.offline.request import OfflineKind
from sipmesh.regular_file import read_regular

if TYPE_CHECKING:
    from sipmesh.cli.ca.reports import GenerationReport
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.offline.request import OfflineRequest
    from sipmesh.server.management.replies import RootStep

app = typer.Typer(
    help="Replace the root CA: prepare, publish, activate, switch, publish, retire.", no_args_is_help=True
)


@app.command()
def status(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show every generation of the CA, and the next step."""
    from sipmesh.cli.ca.reports import RotationReport

    generations = Place(topology).generations()
    reports = [_report(generations, number) for number in generations.numbers]
    following = _following(Place(topology))
    if as_json:
        say_json(RotationReport(reports, following, generations.is_crossed))
        return
    made = table("", "generation", "root", "ends", "state")
    for report in reports:
        made.add_row(*map(cell, (report.generation, report.root, second(report.ends), report.state)))
    show(made)
    say(following)


def _report(generations: CaGenerations, number: int) -> GenerationReport:
    from sipmesh.cli.ca.reports import GenerationReport

    root = generations.open(number).root
    state = _state(number, generations.number, generations.old)
    return GenerationReport(number, root.subject.rfc4514_string(), root.not_valid_after_utc, state)


def _state(number: int, current: int, old: list[int]) -> str:
    if number == current:
        return "issues"
    if number > current:
        return "prepared"
    return "trusted, does not issue" if number in old else "retired"


def _following(place: Place) -> str:
    """Return the next step, in words."""
    generations = place.generations()
    coming = generations.next
    if coming is not None:
        in_force = place.in_force()
        if in_force.number and names_of(place, coming)[0] in in_force.topology.authority.anchors:
            return f"Version {in_force.number} names the new root. When all servers have it in force: sipmesh ca root activate"
        return (
            "Publish the draft, which names the new root. When all servers have it in force: sipmesh ca root activate"
        )
    if generations.is_crossed:
        return "Give the new root certificate to phones and partners. Then: sipmesh ca root switch"
    if generations.old:
        return "Remove the old root: sipmesh ca root retire"
    return "No root rotation is in progress."


@app.command()
def prepare(
    *,
    pkcs11: Annotated[
        str,
        typer.Option(
            metavar="URI", help="Make its keys in this token (RFC 7512). By default where the present keys are."
        ),
    ] = "",
    algorithm: Algorithm = None,
    topology: TopologyFile = HERE,
) -> None:
    """Create a new root with an issuing CA under it, which the present root cross-certifies. The draft then names both roots.

    The new CA does not issue yet. The command ends with the next step, and so does `ca root status`.
    """
    from sipmesh.pki.tokens.token_uri import TokenUri
    from sipmesh.topology.document.changes import add_root, edit

    place = Place(topology)
    must_lead(place)
    token = TokenUri.parse(pkcs11) if pkcs11 else None
    made = place.generations().prepare(datetime.now(UTC), token, usable(algorithm))
    anchor, crls, devices = names_of(place, made)
    draft = edit(place.file, lambda text: add_root(text, anchor, crls, devices))
    if not place.generations().current.has_own_root:
        say(
            "The present root is of another organisation. Before `activate`, phones and partners need the new root.",
            style=WARN,
        )
    elif not place.generations().is_vouched_for:
        say(
            "The key of the present root is on another machine. It must sign a cross-certificate before the new CA can issue:"
        )
        say("  sipmesh ca root request cross request.json", style=WARN)
    say(f"{made.root.subject.rfc4514_string()} is prepared, in {made.folder}.", style=GOOD)
    if draft.topology.federation.partners:
        say(
            f"Give {made.folder / 'issuing.crl'} to partners now. After `activate`, a partner without it refuses your servers.",
            style=WARN,
        )
    say(f"The draft {place.file} names it beside the present root. Next:")
    say('  sipmesh topology publish -m "a new root"', "  sipmesh ca root activate")


@app.command()
def activate(*, topology: TopologyFile = HERE) -> None:
    """Let the new CA issue, when every server trusts its root. All servers then renew their certificates themselves."""
    step = _take_step(Place(topology), "activate")
    say(
        f"Generation {step.generation} issues from now on. Servers renew their certificates themselves; to follow this: "
        "sipmesh status",
        style=GOOD,
    )
    say("Its certificates chain to both roots. Give the new root certificate to phones and partners:")
    say(f"  {Place(topology).ca().folder / 'root.pem'}", "Then: sipmesh ca root switch")


@app.command()
def switch(*, yes: Yes = False, topology: TopologyFile = HERE) -> None:
    """Change the chains of all servers to the new root only. Peers that have only the old root then refuse them.

    It first tries the link of each edge with each partner, and asks.
    """
    place = Place(topology)
    told = "From then on, phones and partners that do not have the new root refuse all servers of this network."
    ask_first(place, [told, "To go back, they need the new root: there is no step back."], yes=yes)
    step = _take_step(place, "switch")
    say(f"From now on the chains of all servers lead to {step.root} only.", style=GOOD)
    say("Links that use the old root are replaced at most 30 seconds after their last call.")
    say("Then: sipmesh ca root retire")


@app.command()
def retire(*, topology: TopologyFile = HERE) -> None:
    """Remove the old root: run it once to change the draft, publish, then run it again to close the old CA."""
    from sipmesh.topology.document.changes import edit, remove_root

    place = Place(topology)
    must_lead(place)
    generations = place.generations()
    if generations.next is not None or generations.is_crossed or not generations.old:
        raise OperatorError(f"there is no root to retire. {_following(place)}")
    named = place.load().topology.authority
    needed = names_of(place, generations.current)[1]
    for number in generations.old:
        anchor, all_crls, devices = names_of(place, generations.open(number))
        crls = tuple(name for name in all_crls if name not in needed)
        if anchor in named.anchors:
            edit(place.file, lambda text, a=anchor, c=crls, d=devices: remove_root(text, a, c, place.file, d))  # type: ignore[misc]
            say(f"The draft {place.file} no longer names {anchor}. Next:", style=WARN)
            say('  sipmesh topology publish -m "remove the old root"', "  sipmesh ca root retire")
            return
    step = _take_step(place, "retire")
    say(f"Retired: generation {', '.join(map(str, step.retired))}.", style=GOOD)


@app.command()
def detach(
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder for the key and certificate of the root.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Move the root's key from this machine to a folder. The root then signs only requests that you carry to it.

    The other hosts of a management pool remove their copies.
    """
    from sipmesh.pki import files
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.offline.request import DETACHED, ROOT_KEY
    from sipmesh.pki.tokens.key_place import token_of

    place = Place(topology)
    must_lead(place)
    ca = place.ca()
    key = ca.folder / ROOT_KEY
    if not ca.crls.has_key(CertificateKind.ROOT):
        raise OperatorError(f"{key} is not on this machine")
    if (token := token_of(key)) is not None:
        raise OperatorError(f"the root's key is in the {token.shown}, and no file has it; take the token away instead")
    to.mkdir(parents=True, exist_ok=True)
    for name, mode in ((ROOT_KEY, files.SECRET), ("root.pem", files.PUBLIC)):
        if (to / name).exists():
            raise OperatorError(f"{to / name} is there already; name another folder")
        files.write(to / name, read_regular(ca.folder / name), mode)
    files.read_key(to / ROOT_KEY)
    files.write(ca.folder / DETACHED, b"{}\n")
    key.unlink()
    say(
        f"The root's key is in {to} now and no longer in the CA folder. Move that folder offline, and keep a copy.",
        style=GOOD,
    )
    if len(managers(place)) > 1:
        say(
            "The other management hosts remove their copies when they get the next files of the CA. Look there.",
            style=WARN,
        )
    say("The root must sign a new CRL within six months: sipmesh ca root request list FILE")


@app.command()
def request(
    what: Annotated[
        OfflineKind,
        typer.Argument(
            help="list: the root's next CRL; cross: the cross-certificate for the next issuing CA; "
            "devices: the certificate of the device issuing CA."
        ),
    ],
    to: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The signing request to write. Carry it to the machine with the root's key."
        ),
    ],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Write a signing request for a root whose key is on another machine."""
    from sipmesh.pki import files

    generations = Place(topology).generations()
    at = datetime.now(UTC)
    if not generations.current.has_own_root:
        raise OperatorError(
            "the present root is of another organisation: it signs no such request; see: sipmesh ca root status"
        )
    if what is OfflineKind.LIST:
        signing_request = generations.current.offline_root.request_crl(at)
    elif what is OfflineKind.DEVICES:
        domains = Place(topology).load().topology.sip_domains
        signing_request = generations.current.offline_root.request_devices(domains, at)
    else:
        coming = generations.next
        if coming is None:
            raise OperatorError("no next root is prepared; first: sipmesh ca root prepare")
        signing_request = generations.current.offline_root.request_cross(coming, at)
    files.write(to, signing_request.encode())
    say(f"{to} asks the root to sign:", *(f"  {line}" for line in signing_request.summary), style=GOOD)
    say(
        f"Carry it to the machine with the root's key, and run: sipmesh ca root sign {to.name} --key root.key --root root.pem"
    )


@app.command()
def sign(
    request_file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The signing request that `ca root request` has written.")
    ],
    *,
    key: Annotated[Path, typer.Option(help="The root's key.")] = Path("root.key"),
    root: Annotated[Path, typer.Option(help="The root's certificate.")] = Path("root.pem"),
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """Show a signing request and sign it, on the machine with the root's key. This needs no network and no topology."""
    from sipmesh.pki import files
    from sipmesh.topology.document.named_files.read import UnusableFileError
    from sipmesh.topology.document.named_files.trust_anchors import read_certificates

    signing_request = _read_request(request_file)
    try:
        certificate = read_certificates(root)[0]
    except UnusableFileError as wrong:
        raise OperatorError(f"{root} {wrong}; name the root's certificate with --root") from None
    say("To be signed:", *(f"  {line}" for line in signing_request.summary))
    if not yes:
        typer.confirm("Sign it?", abort=True)
    signed = signing_request.signed(certificate, files.read_key(key))
    to = request_file.with_name(f"{request_file.name}.signed")
    files.write(to, signed.encode())
    say(f"{to} is signed. Carry it back, and run: sipmesh ca root take {to.name}", style=GOOD)


@app.command()
def take(
    signed_file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The signed request that `ca root sign` has written.")
    ],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Install what the root has signed, if it matches the signing request. A CRL is in force at once."""
    place = Place(topology)
    generations = place.generations()
    signing_request = _read_request(signed_file)
    before = links_of(place)
    file = generations.current.offline_root.accept(signing_request, generations.next)
    say(f"{file} is in place.", style=GOOD)
    if signing_request.what is OfflineKind.LIST:
        say_reloaded(reload(place, before, changed_only=True))
    elif signing_request.what is OfflineKind.DEVICES:
        ca = generations.open(generations.number)
        ca.crls.reissue(datetime.now(UTC))
        name_in_draft(place, ca)
    else:
        say(_following(place))


def _read_request(file: Path) -> OfflineRequest:
    """Read a signing request; raises `OperatorError`."""
    from sipmesh.pki.offline.request import OfflineRequest

    remedy = "name the file that `sipmesh ca root request` or `sign` has written"
    return OfflineRequest.read(read_given(file, "there is no signing request", remedy), file)


def _take_step(place: Place, step: str) -> RootStep:
    from sipmesh.server.management.replies import ROOT

    return ask_one(management_socket(place), ROOT, 30.0, step=step)


@app.command()
def ldif(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The root domain of the forest of Active Directory.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Print an LDIF that adds our roots to Active Directory, so that the hosts of its forest trust them.

    An administrator of the forest applies it by ldapmodify or ldifde. It gives no right to log in to the domain.
    """
    from sipmesh.cli.organisation.wishes import checked
    from sipmesh.pki.active_directory import ldif_of
    from sipmesh.topology.document.names import fqdn

    name = checked(domain, fqdn)
    typer.echo(ldif_of([ca.root for ca in Place(topology).generations().alive], name), nl=False)
