"""The options that all client commands have: who acts, at which server, and how the result is printed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sipmesh.cli.place import HERE, AsJson, TopologyFile
from sipmesh.cli.users.passwords import FromStdin

As = Annotated[str, typer.Option("--as", metavar="USER", help="Your SIP address, such as alice@example.com.")]
ServerOption = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="HOST[:PORT]",
        help="The server. By default a server of the topology, else found by DNS SRV.",
    ),
]
Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="The root certificate (PEM) for the server's chain. By default the topology's root.",
    ),
]


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Each field is an option of every client command; its type says how the option is written."""

    user: As
    password_stdin: FromStdin = False
    server: ServerOption = ""
    ca: Anchors = None
    topology: TopologyFile = HERE
    as_json: AsJson = False


def client_command(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the options of `ClientOptions`, which it gets as its parameter ``options``.

    The user comes before the command's own options, and the other options come after them.
    """
    shared = dict(inspect.signature(ClientOptions, eval_str=True).parameters)
    own = [item for item in inspect.signature(command, eval_str=True).parameters.values() if item.name != "options"]
    arguments = [parameter for parameter in own if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    others = [parameter for parameter in own if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shared.values()]

    def run(**given: Any) -> None:
        command(options=ClientOptions(**{name: given.pop(name) for name in shared}), **given)

    parameters = [*arguments, options[0], *others, *options[1:]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the options from it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run
