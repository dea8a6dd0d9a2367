"""`sipmesh console`: log in to the web console, and make tokens for its HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.output import GOOD, duration, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.topology.document.operators.console_role import ConsoleRole

app = typer.Typer(help="The web console and the HTTP API of the management server.", no_args_is_help=True)

RoleOption = Annotated[
    ConsoleRole,
    typer.Option(
        "--role", help="What it allows: viewer reads, operator publishes and blocks, security-officer revokes."
    ),
]


@app.command()
def login(*, role: RoleOption = ConsoleRole.OPERATOR, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Print a link that logs a browser in. It works once, within five minutes.

    Run the command on the machine of the management server. The audit log shows your name with what you do in the console.
    """
    from sipmesh.server.console.console_server import CONSOLE_LOGIN
    from sipmesh.server.control_socket import SOCKET_SUFFIX

    place = Place(topology)
    managers = place.in_force().topology
    servers = [server.name for pool in managers.pools if pool.role == "management" for server in pool.servers]
    if not servers:
        raise OperatorError("this network has no management server, and so no console")
    code = ask_one(place.state / f"{servers[0]}{SOCKET_SUFFIX}", CONSOLE_LOGIN, role=str(role))
    if as_json:
        say_json(code)
        return
    say(f"Open this link within {duration(code.lifetime_s)}. It logs you in once, as {code.role}:", style=GOOD)
    say(f"{code.url}#{code.code}")


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

    made = secrets.token_urlsafe(32)
    operator = {"name": name, "role": str(role), "token_sha256": hash_of(made)}
    edit(Place(topology).file, lambda text: yaml_edit.append(text, ("console", "operators"), operator))
    say(f"{name} is in the draft as {role}. The token, which is not shown again:", style=GOOD)
    say(made)
    say("To put it in force: sipmesh topology publish -m WHY")
