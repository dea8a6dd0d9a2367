"""`sipmesh console`: log in to the web console, and make tokens for its HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.given_file import read_given
from sipmesh.cli.output import GOOD, duration, plural, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note
from sipmesh.cli.users.passwords import FromStdin, new_password
from sipmesh.errors import OperatorError, Problem
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.operators.console_role import ConsoleRole

if TYPE_CHECKING:
    from cryptography import x509

app = typer.Typer(help="The web console and the HTTP API of the management server.", no_args_is_help=True)

RoleOption = Annotated[
    ConsoleRole,
    typer.Option(
        "--role",
        help="What it allows: viewer reads; operator publishes, blocks and changes users; security-officer issues and revokes.",
    ),
]


@app.command()
def login(*, role: RoleOption = ConsoleRole.OPERATOR, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Print a link that logs a browser in. It works once, within five minutes.

    Run the command on the machine of the management server. The audit log shows your name with what you do in the console.
    """
    from sipmesh.server.console.console_server import CONSOLE_LOGIN

    code = ask_one(_management_socket(topology), CONSOLE_LOGIN, role=str(role))
    if as_json:
        say_json(code)
        return
    say(f"Open this link within {duration(code.lifetime_s)}. It logs you in once, as {code.role}:", style=GOOD)
    say(f"{code.url}#{code.code}")


@app.command()
def logout(topology: TopologyFile = HERE) -> None:
    """End every session of the console on this machine, and make every code useless that was not used yet.

    Tokens and certificates stay: remove them from the topology, or revoke them.
    """
    from sipmesh.server.console.console_server import CONSOLE_LOGOUT

    ended = ask_one(_management_socket(topology), CONSOLE_LOGOUT).ended
    say(f"{plural(ended, 'session')} ended.", style=GOOD)


def _management_socket(topology: Path) -> Path:
    """Return the control socket of the management server; raises `OperatorError` if the network has none."""
    from sipmesh.server.control_socket import SOCKET_SUFFIX

    place = Place(topology)
    managers = place.in_force().topology
    servers = [server.name for pool in managers.pools if pool.role == "management" for server in pool.servers]
    if not servers:
        raise OperatorError("this network has no management server, and so no console")
    return place.state / f"{servers[0]}{SOCKET_SUFFIX}"


@app.command()
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the operator or program, such as ansible.")],
    *,
    role: RoleOption = ConsoleRole.VIEWER,
    topology: TopologyFile = HERE,
) -> None:
    """Add an operator with a new token for the HTTP API to the draft, and print the token once.

    The topology has the hash of the token only. The token is valid from the next publication on. To withdraw it, remove the
    operator from `console.operators`, and publish.
    """
    import secrets

    from sipmesh.server.console.access.secret_table import hash_of
    from sipmesh.topology.document import yaml_edit
    from sipmesh.topology.document.changes import edit

    place = Place(topology)
    must_lead(place)
    made = secrets.token_urlsafe(32)
    operator = {"name": name, "role": str(role), "token_sha256": hash_of(made)}
    edit(place.file, lambda text: yaml_edit.append(text, ("console", "operators"), operator))
    say(f"{name} is in the draft as {role}. The token, which is not shown again:", style=GOOD)
    say(made)
    say("To put it in force: sipmesh topology publish -m WHY")


@app.command()
def certificate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the operator, such as ada.")],
    *,
    role: RoleOption = ConsoleRole.VIEWER,
    days: Annotated[int, typer.Option(min=1, max=396, help="The validity of the certificate.")] = 90,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The new file; operators/NAME.p12 or .pem by default.")
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A signing request (PKCS #10) of the operator, who has made the key."),
    ] = None,
    password_stdin: FromStdin = False,
    topology: TopologyFile = HERE,
) -> None:
    """Issue a certificate with which an operator logs in to the console.

    Without --request the command also makes the key, and writes both into a file for the browser (PKCS #12), which a passphrase
    protects. With --request the key stays with the operator, such as on a smart card, and the file has certificates only.

    The certificate says who the operator is. The topology says what the operator may do: a new name is added to the draft. To
    take the access away, remove the operator from `console.operators` and publish, or use `sipmesh ca revoke NAME`.
    """
    place = Place(topology)
    _must_name_an_operator(place, name)
    target = file or place.folder / "operators" / (f"{name}.p12" if request is None else f"{name}.pem")
    if target.exists():
        problem = Problem(target, 0, "", "exists already", "name another file with --out, or remove it")
        raise OperatorError("no certificate was issued", (problem,))
    lifetime = timedelta(days=days)
    if request is None:
        passphrase = new_password(f"the new file {target.name}", from_stdin=password_stdin)
        made = _issue_with_key(place, name, lifetime, target, passphrase)
    else:
        made = _issue_for_request(place, name, lifetime, target, request)
    serial = f"{made.serial_number:x}"
    note(place, AuditAct.ISSUE, operator=name, serial=serial, days=days)
    say(f"{name}: serial {serial}, valid for {plural(days, 'day')}: {target}", style=GOOD)
    _into_draft(place, name, role)


def _must_name_an_operator(place: Place, name: str) -> None:
    from sipmesh.trust.x509.operator_name import NAME_REMEDY, is_operator_name

    if not is_operator_name(name):
        raise OperatorError(f"{name!r} is not a name of an operator: {NAME_REMEDY}")
    if place.load().topology.pool_of(name) is not None:
        raise OperatorError(f"{name} is a server of the topology: give the operator another name")


def _issue_with_key(place: Place, name: str, lifetime: timedelta, target: Path, passphrase: str) -> x509.Certificate:
    from sipmesh.pki import files

    issued = place.ca().issue_operator(name, datetime.now(UTC), lifetime)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(target, issued.pkcs12(name, passphrase), files.SECRET)
    return issued.certificate


def _issue_for_request(place: Place, name: str, lifetime: timedelta, target: Path, request: Path) -> x509.Certificate:
    from sipmesh.pki import files
    from sipmesh.pki.csr import read_person_key

    content = read_given(request, "the certificate is not issued", "name the request of the operator")
    key = read_person_key(content, request)
    issued = place.ca().certify_operator(name, key, datetime.now(UTC), lifetime)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(target, issued.chain)
    return issued.certificate


def _into_draft(place: Place, name: str, role: ConsoleRole) -> None:
    """Add a new operator to the draft, and say what is to do for the certificate to count."""
    from sipmesh.topology.document import yaml_edit
    from sipmesh.topology.document.changes import edit

    console = place.load().topology.console
    known = {operator.name: operator.role for operator in console.operators} if console is not None else {}
    if name not in known:
        operator = {"name": name, "role": str(role)}
        edit(place.file, lambda text: yaml_edit.append(text, ("console", "operators"), operator))
        say(f"{name} is in the draft as {role}. To put it in force: sipmesh topology publish -m WHY")
    elif known[name] != role:
        say(f"{name} is in the draft as {known[name]}, which stays: change it under `console.operators`.")
    if console is None or not console.client_certificates:
        say("The console does not ask for certificates: set `client_certificates: true` under `console`, and publish.")
