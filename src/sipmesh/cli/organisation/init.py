"""`sipmesh init`: create an organisation in one folder, completely or not at all."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import CA, HERE, Place
from sipmesh.cli.topology.publish import publish_first
from sipmesh.cli.users.accounts import Digests, algorithms_of
from sipmesh.cli.users.passwords import FromStdin, new_password
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from pydantic_core import PydanticCustomError

LONGEST_ORGANISATION = 64
"""RFC 5280 A.1, ub-organization-name: every certificate has the name of the organisation."""

FOLDER_MODE = 0o755
"""Other users may read the folder: secret files, the CA, keys and users, have modes of their own."""

TEMPLATE = """\
# The network of {domain}. It names every server and partner that is trusted. All others are refused.
# This is a draft. Servers use the published version. To publish the draft: sipmesh topology publish -m "why"

sipmesh: 1  # the version of this format
organisation: {organisation}

# The domains of your users, as in alice@{domain}.
sip_domains: [{domain}]

# Your own certificate authority, and its revocation lists: one for each CA of the chain. See: sipmesh ca status
authority:
  anchors: [ca/root.pem]
  crls: [ca/root.crl, ca/issuing.crl]

pools:
  # The management server signs each version and sends it to all other servers. It carries no calls.
  - name: mgmt.{domain}
    role: management
    servers:
      - {{name: mgmt.{domain}, address: {address}, ports: {{server: 5070}}}}

  # Front ends. Phones log in on port 5061, your other servers connect on port 5062; `ports` sets others.
  # A server listens on `address`, and other servers connect to it there. Without `address`, the server listens on
  # every address, and other servers find it by DNS.
  - name: pool1.{domain}
    role: front-end
    servers:
      - {{name: fe1.{domain}, address: {address}}}
      #- {{name: fe2.{domain}, address: {address}, ports: {{client: 5063, server: 5064}}}}

  # An edge connects to partners. To have an edge, remove the # in front of these lines.
  #- name: sip.{domain}
  #  role: edge
  #  servers:
  #    - {{name: edge1.{domain}, address: {address}, ports: {{server: 5066, partner: 5067}}}}
  #  internal_name: edge-int.{domain}
  #  next_hop: pool1.{domain}

# Phones in web pages connect to front ends by secure WebSocket, on port 8443, if you add a line `websocket: {{}}` here.
# Pages of https://{domain} may connect then; `websocket: {{origins: [...]}}` names other sites.
# `websocket: {{phone: true}}` serves a phone for browsers, at https://SERVER:8443/phone.

# Federation. `sipmesh partner add` writes the partners. Without partners, no other organisation can connect.
#federation:
#  route: sip.{domain}
"""


def init(
    domain: Annotated[str, typer.Argument(help="Your SIP domain, such as example.com.")],
    *,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="The folder to create. By default ./DOMAIN.")
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
            help="The address on which the servers listen. Other machines cannot reach a loopback address.",
        ),
    ] = "127.0.0.1",
    user: Annotated[str, typer.Option(metavar="NAME", help="Add a first user, such as alice.")] = "",
    digest: Digests = None,
    password_stdin: FromStdin = False,
) -> None:
    """Create an organisation in a folder: CA, topology, server certificates and, if wanted, a first user."""
    name = _domain(domain)
    target = folder or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problem = Problem(target, 0, "", "exists already", "name another folder with --dir")
        raise OperatorError("sipmesh does not overwrite an organisation", (problem,))
    password = new_password(f"{user}@{name}", from_stdin=password_stdin) if user else ""
    target.parent.mkdir(parents=True, exist_ok=True)
    is_there = target.exists()  # such as the home of a service, or a volume: it stays, with its owner and its mode
    beside = Path(mkdtemp(prefix=f".{target.name}.", dir=target if is_there else target.parent))
    try:
        _build(beside, name, _organisation(organisation or name), _address(address))
        if user:
            with Place(beside / HERE).accounts() as accounts:
                accounts.add(user, password, algorithms_of(digest))
        if is_there:
            _move_into(target, beside)
        else:
            beside.chmod(FOLDER_MODE)
            beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    _tell(target, name, user)


def _move_into(target: Path, made: Path) -> None:
    """Move all that is in *made* to *target*, the topology last: without it, no command takes the folder for an organisation."""
    for entry in sorted(made.iterdir(), key=lambda entry: entry.name == HERE.name):
        entry.rename(target / entry.name)


def _domain(text: str) -> str:
    from pydantic_core import PydanticCustomError

    from sipmesh.topology.document.names import fqdn

    try:
        return fqdn(text)
    except PydanticCustomError as wrong:
        raise _unfit(wrong) from None


def _address(text: str) -> str:
    from pydantic_core import PydanticCustomError

    from sipmesh.topology.document.names import address

    try:
        return address(text)
    except PydanticCustomError as wrong:
        raise _unfit(wrong) from None


def _unfit(wrong: PydanticCustomError) -> OperatorError:
    context = wrong.context or {}
    return OperatorError(f"{context['reason']}; {context['remedy']}")


def _organisation(name: str) -> str:
    if len(name) > LONGEST_ORGANISATION:
        raise OperatorError(f"the organisation has {len(name)} characters; use at most {LONGEST_ORGANISATION}")
    return name


def _build(folder: Path, domain: str, organisation: str, address: str) -> None:
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.server.management.issuing import issue_for
    from sipmesh.topology.document.yaml_edit import written

    now = datetime.now(UTC)
    ca = EnterpriseCa.create(folder / CA, organisation, now, crl_base=f"http://crl.{domain}")
    text = TEMPLATE.format(
        domain=domain, organisation=written(organisation), address=address if address.count(".") else written(address)
    )
    _write_draft(folder / HERE, text)
    loaded = Place(folder / HERE).load()
    for server in (server for pool in loaded.topology.pools for server in pool.servers):
        issue_for(loaded, ca, server.name, now, note=lambda *_, **__: None)  # the audit log begins with version 1
    publish_first(Place(folder / HERE), f"{organisation} begins")


def _write_draft(file: Path, text: str) -> None:
    """Write the draft. Whatever the umask, only its owner may write to it: who can change it decides what is published next."""
    from sipmesh.pki.files import PUBLIC

    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PUBLIC), "w") as opened:
        opened.write(text)


def _tell(folder: Path, domain: str, user: str) -> None:
    say(f"{folder} contains the organisation {domain}.", style=GOOD)
    say(
        f"  {folder / HERE}  the topology: your servers and partners. Read it. Version 1 is published.",
        f"  {folder / CA}  your certificate authority. Keep it secret, and keep a copy.",
        f"  {folder / CA / 'root.pem'}  your root certificate. Give it to phones and partners.",
        "",
        "Next:",
        f"  cd {folder}",
        *([] if user else [f"  sipmesh user add alice@{domain}"]),
        f"  sipmesh serve mgmt.{domain} fe1.{domain}",
        *(["  sipmesh links"] if user else []),
    )
