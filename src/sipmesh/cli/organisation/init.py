"""`sipmesh init`: create an organisation in one folder, completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.ca.key_algorithm import Algorithm, usable
from sipmesh.cli.doctor.command import say_check
from sipmesh.cli.organisation.first_steps import findings_of, servers_of, steps
from sipmesh.cli.organisation.wishes import Wishes, domain_of
from sipmesh.cli.output import GOOD, WARN, say
from sipmesh.cli.owner import for_owner
from sipmesh.cli.place import CA, HERE, Place
from sipmesh.cli.serving import Serving
from sipmesh.cli.topology.publish import publish_first
from sipmesh.cli.typed_commands import TypedCommands
from sipmesh.cli.users.accounts import Digests, algorithms_of
from sipmesh.cli.users.passwords import FromStdin, new_password
from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.storage.users.password_rule import must_be_a_password

if TYPE_CHECKING:
    from sipmesh.cli.doctor.check import Check
    from sipmesh.cli.organisation.layout import Layout
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.tokens.token_uri import TokenUri

LONGEST_ORGANISATION = 64
"""RFC 5280 A.1, ub-organization-name: every certificate has the name of the organisation."""

FOLDER_MODE = 0o755
"""Other users may read the folder: secret files, the CA, keys and users, have modes of their own."""


def init(
    domain: Annotated[
        str, typer.Argument(help="Your SIP domain, such as example.com. Without it, a terminal is asked.")
    ] = "",
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="The folder to create. By default ./DOMAIN.", callback=for_owner),
    ] = None,
    organisation: Annotated[
        str,
        typer.Option(
            "--organisation", metavar="NAME", help="The organisation name in your certificates. By default the domain."
        ),
    ] = "",
    address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The address of this host, for management and one front end. Other machines cannot reach a loopback address."
            " Without this and the next three options, a terminal is asked, and else it is 127.0.0.1.",
        ),
    ] = "",
    management: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="The address of this host for the management server. By default --address."
        ),
    ] = "",
    front_end: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="The address of a front end; may be repeated. Front ends at one address are one pool. By default --address.",
        ),
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="The address of an edge to partners; may be repeated. By default none."),
    ] = None,
    administrator: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Who administers the network in the console, such as ada. By default no operator is named.",
        ),
    ] = "",
    pkcs11: Annotated[
        str,
        typer.Option(
            metavar="URI",
            help="Make the keys of the CA and of the document signer in this token (RFC 7512). The PIN is in a file.",
        ),
    ] = "",
    pkcs11_root: Annotated[
        str, typer.Option(metavar="URI", help="Make the key of the root in this token. By default that of --pkcs11.")
    ] = "",
    public_ca: Annotated[
        str,
        typer.Option(
            "--public-ca",
            metavar="CA",
            help="letsencrypt, or the https URL of the directory of a CA: front ends get certificates for phones from it by"
            " ACME. You agree to its terms of service. Port 80 of each front end must be reachable. By default none.",
        ),
    ] = "",
    algorithm: Algorithm = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Add a first user, such as alice; may be repeated. With --password-stdin: one line for each.",
        ),
    ] = None,
    digest: Digests = None,
    password_stdin: FromStdin = False,
    run: Annotated[
        bool, typer.Option("--serve", help="Run the servers of this host then, as `sipmesh serve` does.")
    ] = False,
) -> None:
    """Create an organisation in a folder: CA, topology, server certificates and, if wanted, the first users.

    On a terminal it asks for the domain, the addresses and who administers, unless they are given. For a network that other
    machines reach it checks this host and DNS too. It prints what is left to do, in order.
    """
    name = domain_of(domain)
    target = folder or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problem = Problem(target, 0, "", "exists already", "name another folder with --dir")
        raise OperatorError("sipmesh does not overwrite an organisation", (problem,))
    called = _organisation(organisation or name)
    wished = Wishes(address, management, tuple(front_end or ()), tuple(edge or ()), administrator, public_ca)
    layout = wished.layout(name)
    home = next(iter(layout.pools.values())) if len(layout.pools) > 1 else ""
    passwords = {one: new_password(f"{one}@{name}", from_stdin=password_stdin) for one in user or ()}
    for one, password in passwords.items():
        must_be_a_password(password, f"sip:{one}@{name}")
    tokens, wanted = _tokens(pkcs11, pkcs11_root), usable(algorithm) or KeyAlgorithm.P_256
    with _beside(target) as made:
        _build(made, layout, called, tokens, wanted)
        if passwords:
            with Place(made / HERE).accounts() as accounts:
                for one, password in passwords.items():
                    accounts.add(one, password, algorithms_of(digest), pool=home)
        findings = findings_of(Place(made / HERE)) if layout.is_reached else ()
    _tell(target, layout, findings, has_users=bool(passwords), runs=run)
    if run:
        Serving(tuple(servers_of(Place(target / HERE).load(), layout, here=True)), target / HERE, "info").run()


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a folder that becomes *target*, completely or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    is_there = target.exists()  # such as the home of a service, or a volume: it stays, with its owner and its mode
    beside = Path(mkdtemp(prefix=f".{target.name}.", dir=target if is_there else target.parent))
    try:
        yield beside
        if is_there:
            _move_into(target, beside)
        else:
            beside.chmod(FOLDER_MODE)
            beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move_into(target: Path, made: Path) -> None:
    """Move all that is in *made* to *target*, the topology last: without it, no command takes the folder for an organisation."""
    for entry in sorted(made.iterdir(), key=lambda entry: entry.name == HERE.name):
        entry.rename(target / entry.name)


def _organisation(name: str) -> str:
    if len(name) > LONGEST_ORGANISATION:
        raise OperatorError(f"the organisation has {len(name)} characters; use at most {LONGEST_ORGANISATION}")
    return name


def _tokens(uri: str, root_uri: str) -> dict[CertificateKind, TokenUri]:
    """Return the token of each key of the CA; raises `OperatorError` for a URI that cannot be used."""
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.pki.tokens.token_uri import TokenUri

    named = {CertificateKind.ROOT: root_uri or uri, CertificateKind.ISSUING: uri}
    return {kind: TokenUri.parse(text) for kind, text in named.items() if text}


def _build(
    folder: Path, layout: Layout, organisation: str, tokens: Mapping[CertificateKind, TokenUri], algorithm: KeyAlgorithm
) -> None:
    """Make the CA, the draft, the certificates of the servers on this host, and version 1."""
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.server.management.issuing import issue_for

    now = datetime.now(UTC)
    crl_base, domains = f"http://crl.{layout.domain}", [layout.domain]
    ca = EnterpriseCa.create(
        folder / CA, organisation, now, crl_base=crl_base, domains=domains, tokens=tokens, algorithm=algorithm
    )
    _write_draft(folder / HERE, layout.draft(organisation, folder / HERE))
    loaded = Place(folder / HERE).load()
    for server in servers_of(loaded, layout, here=True):
        issue_for(loaded, ca, server, now, note=lambda *_, **__: None)  # the audit log begins with version 1
    publish_first(Place(folder / HERE), f"{organisation} begins")


def _write_draft(file: Path, text: str) -> None:
    """Write the draft; under each umask, only its owner may write to it, because it is what is published next."""
    from sipmesh.pki.files import PUBLIC

    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PUBLIC), "w") as opened:
        opened.write(text)


def _tell(folder: Path, layout: Layout, findings: Sequence[Check], *, has_users: bool, runs: bool) -> None:
    say(f"{folder} contains the organisation {layout.domain}.", style=GOOD)
    say(
        f"  {folder / HERE}  the topology: your servers and partners. Read it. Version 1 is published.",
        f"  {folder / CA}  your certificate authority. Keep it secret, and keep a copy.",
        f"  {folder / CA / 'root.pem'}  your root certificate. Give it to phones and partners.",
        "",
    )
    if findings:
        say("What keeps it from working today:", style=WARN)
        for check in findings:
            say_check(check)
        say("")
    typed = TypedCommands.in_folder(folder)
    left = steps(folder, layout, Place(folder / HERE).load(), typed, has_users=has_users, runs=runs)
    say("Next:", *(f"  {step}" for step in left))
