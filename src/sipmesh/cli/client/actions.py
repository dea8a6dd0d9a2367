"""`sipmesh register`, `message` and `call`: act as a client, to check that the network does what it should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.cli.place import HERE, AsJson, TopologyFile
from sipmesh.cli.users.passwords import FromStdin, known_password
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.cli.client.server_discovery import Home
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.call import Call
    from sipmesh.client.outcome import Outcome

T = TypeVar("T")

REFUSED_LOGIN = frozenset({401, 407})
"""Final answers that mean that our credentials did not count (RFC 3261 section 22)."""

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
class Caller:
    """Who acts, as the options have it."""

    user: str
    from_stdin: bool
    server: str
    anchors: list[Path]
    topology: Path


def register(
    *,
    user: As,
    stay: Annotated[
        bool,
        typer.Option(
            "--stay", help="Stay registered until Ctrl-C; print incoming messages, and answer incoming calls."
        ),
    ] = False,
    expires: Annotated[int, typer.Option(min=0, help="The duration of the registration, in seconds.")] = 600,
    password_stdin: FromStdin = False,
    server: ServerOption = "",
    ca: Anchors = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Register, show what the server proved and answered, and remove the registration again.

    With --stay the registration stays. The command refreshes it before it expires, and sends keepalives. After a lost link, it
    opens a new link and registers again. It prints each event, and exits with 1 when a server refuses the login.
    """
    caller = Caller(user, password_stdin, server, ca or [], topology)

    async def do(agent: UserAgent) -> Outcome:
        outcome = await agent.register(expires)
        _tell(agent, outcome, f"register {agent.party.aor}", as_json=as_json)
        if outcome.ok:
            await agent.register(0)
        return outcome

    with suppress(KeyboardInterrupt):
        _leave(_stay(caller, expires, as_json=as_json) if stay else act(caller, do))


def _stay(caller: Caller, expires: int, *, as_json: bool) -> Outcome:
    """Stay registered until Ctrl-C, or until a server refuses us; gives that refusal."""
    from sipmesh.cli.client.server_discovery import find_home
    from sipmesh.cli.client.staying import Staying
    from sipmesh.client.party import new_instance
    from sipmesh.client.registration import KeptRegistration, RetryDelay
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.transport.event_loop import run

    home = find_home(read_address(caller.user), caller.server, caller.anchors, caller.topology)
    password = known_password(caller.user, from_stdin=caller.from_stdin)

    def tell(agent: UserAgent, outcome: Outcome) -> None:
        _tell(agent, outcome, f"register {agent.party.aor}", as_json=as_json)

    async def keep() -> Outcome:
        staying, instance = Staying(tell, as_json=as_json), new_instance()

        def connect() -> Awaitable[UserAgent]:
            return _connected(caller.user, password, home, instance)

        try:
            return await KeptRegistration(connect, expires, staying, RetryDelay(SystemRandom().random)).keep()
        finally:
            staying.close()

    outcome = run(keep())
    say_refusal(outcome, as_json=as_json)
    return outcome


def message(
    to: Annotated[str, typer.Argument(metavar="TO", help="The receiver, such as bob@example.com.")],
    text: Annotated[str, typer.Argument(help="The text of the message.")],
    *,
    user: As,
    password_stdin: FromStdin = False,
    server: ServerOption = "",
    ca: Anchors = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Send a message, and show the final response."""
    caller = Caller(user, password_stdin, server, ca or [], topology)

    async def do(agent: UserAgent) -> Outcome:
        outcome = await agent.message(to, text)
        _tell(agent, outcome, f"message {agent.party.aor} → {to}", as_json=as_json)
        return outcome

    _leave(act(caller, do))


def call(
    to: Annotated[str, typer.Argument(metavar="TO", help="The user to call, such as bob@example.com.")],
    *,
    user: As,
    seconds: Annotated[float, typer.Option("--for", min=0, help="The duration of the call, in seconds.")] = 3.0,
    ring: Annotated[float, typer.Option(min=1, help="The time to wait for an answer, in seconds.")] = 30.0,
    password_stdin: FromStdin = False,
    server: ServerOption = "",
    ca: Anchors = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a call without media, hang up, and show both final responses."""
    caller = Caller(user, password_stdin, server, ca or [], topology)

    async def do(agent: UserAgent) -> Outcome:
        made = agent.invite(to)
        try:
            async with asyncio.timeout(ring):
                outcome = await made.answered()
        except TimeoutError:
            outcome = await made.cancel()
        ended = await _hold(made, seconds) if outcome.ok else None
        _tell(agent, outcome, f"call {agent.party.aor} → {to}", as_json=as_json, path=made.hops, bye=ended)
        return outcome if ended is None or ended.ok else ended

    _leave(act(caller, do))


async def _hold(made: Call, seconds: float) -> Outcome | None:
    """Stay in the call, and hang up unless the other side has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await made.over()
    return await made.hang_up()


def act(caller: Caller, do: Callable[[UserAgent], Awaitable[T]]) -> T:
    """Connect as the caller and do something; raises what refused us or kept us from it."""
    from sipmesh.cli.client.server_discovery import find_home
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.transport.event_loop import run

    home = find_home(read_address(caller.user), caller.server, caller.anchors, caller.topology)
    password = known_password(caller.user, from_stdin=caller.from_stdin)
    return run(_act(caller.user, password, home, do))


async def _act(user: str, password: str, home: Home, do: Callable[[UserAgent], Awaitable[T]]) -> T:
    agent = await _connected(user, password, home)
    async with agent:
        return await do(agent)


async def _connected(user: str, password: str, home: Home, instance: str = "") -> UserAgent:
    """The agent at the first server that can be reached; one that is not who it should be ends the search."""
    from sipmesh.client.agent import LinkLostError, UserAgent

    lost: list[str] = []
    for host, port in home.servers:
        agent = UserAgent(user, password, trust=home.trust, resolver=home.resolver, instance=instance)
        try:
            await agent.connect(host, port)
        except LinkLostError as why:
            lost.append(str(why))
            await agent.close()
        except SipmeshError:
            await agent.close()
            raise
        else:
            return agent
    raise SipmeshError("; ".join(lost))


def _tell(
    agent: UserAgent,
    outcome: Outcome,
    what: str,
    *,
    as_json: bool,
    path: tuple[str, ...] = (),
    bye: Outcome | None = None,
) -> None:
    """Tell the answer, with what the server proved and which way it went."""
    proved = agent.verdict.subject if agent.verdict is not None else ""
    facts = agent.link.facts if agent.link is not None else None
    if as_json:
        said = {"status": outcome.status, "reason": outcome.reason, "warnings": list(outcome.warnings)}
        tls = {"version": facts.version, "cipher": facts.cipher, "group": facts.group} if facts is not None else None
        more = {"bye": bye.status if bye is not None else None, "path": list(path or outcome.hops)}
        say_json({"what": what, **said, "elapsed_s": round(outcome.elapsed_s, 4), "server": proved, "tls": tls, **more})
        return
    tls_told = " ".join(filter(None, (facts.version, facts.cipher, facts.group))) if facts is not None else ""
    say(f"server   {proved} proved, {tls_told}")
    say(f"{what}: {outcome} in {outcome.elapsed_s * 1000:.0f} ms", style=GOOD if outcome.ok else BAD)
    _say_remedy(outcome)
    if path:
        say(f"path     {' → '.join(path)}")
    if bye is not None:
        say(f"hung up: {bye}", style=GOOD if bye.ok else BAD)


def _say_remedy(outcome: Outcome) -> None:
    if outcome.status in REFUSED_LOGIN:
        say("the server rejects this password; to set it: sipmesh user password USER")


def say_refusal(outcome: Outcome, *, as_json: bool) -> None:
    """Tell the answer that ended a registration."""
    if as_json:
        say_json({"what": "refused", "status": outcome.status, "reason": outcome.reason})
        return
    say(f"Refused, and not tried again: {outcome}", style=BAD)
    _say_remedy(outcome)


def _leave(outcome: Outcome) -> None:
    raise typer.Exit(0 if outcome.ok else 1)
