"""`sipmesh register`, `message` and `call`: act as a SIP client, to test the network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sipmesh.cli.client.options import ClientOptions, client_command
from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.cli.users.passwords import known_password
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.cli.client.server_discovery import Home
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.call import Call
    from sipmesh.client.outcome import Outcome

T = TypeVar("T")

REFUSED_LOGIN = frozenset({401, 407})
"""Final responses that reject our credentials (RFC 3261 section 22)."""


@client_command
def register(
    *,
    options: ClientOptions,
    stay: Annotated[
        bool,
        typer.Option(
            "--stay", help="Stay registered until Ctrl-C; print incoming messages, and answer incoming calls."
        ),
    ] = False,
    expires: Annotated[int, typer.Option(min=0, help="The duration of the registration, in seconds.")] = 600,
) -> None:
    """Register, show what the server proved and answered, and remove the registration again.

    With --stay the registration stays. The command refreshes it before it expires, and sends keepalives. After a lost link, it
    opens a new link and registers again. It prints each event, and exits with 1 when a server refuses the login.
    """

    async def do(agent: UserAgent) -> Outcome:
        outcome = await agent.register(expires)
        _tell(agent, outcome, f"register {agent.party.aor}", as_json=options.as_json)
        if outcome.ok:
            await agent.register(0)
        return outcome

    with suppress(KeyboardInterrupt):
        _leave(_stay(options, expires) if stay else act(options, do))


def _stay(options: ClientOptions, expires: int) -> Outcome:
    """Stay registered until Ctrl-C, or until a server refuses the login; returns the refusal."""
    from sipmesh.cli.client.server_discovery import find_home
    from sipmesh.cli.client.staying import Staying
    from sipmesh.client.party import new_instance
    from sipmesh.client.registration import KeptRegistration, RetryDelay
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.transport.reactor.event_loop import run

    home = find_home(read_address(options.user), options.server, options.ca or [], options.topology)
    password = known_password(options.user, from_stdin=options.password_stdin)

    def tell(agent: UserAgent, outcome: Outcome) -> None:
        _tell(agent, outcome, f"register {agent.party.aor}", as_json=options.as_json)

    async def keep() -> Outcome:
        staying, instance = Staying(tell, as_json=options.as_json), new_instance()

        def connect() -> Awaitable[UserAgent]:
            return _connected(options.user, password, home, instance)

        try:
            return await KeptRegistration(connect, expires, staying, RetryDelay(SystemRandom().random)).keep()
        finally:
            staying.close()

    outcome = run(keep())
    say_refusal(outcome, as_json=options.as_json)
    return outcome


@client_command
def message(
    to: Annotated[str, typer.Argument(metavar="TO", help="The receiver, such as bob@example.com.")],
    text: Annotated[str, typer.Argument(help="The text of the message.")],
    *,
    options: ClientOptions,
) -> None:
    """Send a message, and show the final response."""

    async def do(agent: UserAgent) -> Outcome:
        outcome = await agent.message(to, text)
        _tell(agent, outcome, f"message {agent.party.aor} → {to}", as_json=options.as_json)
        return outcome

    _leave(act(options, do))


@client_command
def call(
    to: Annotated[str, typer.Argument(metavar="TO", help="The user to call, such as bob@example.com.")],
    *,
    options: ClientOptions,
    seconds: Annotated[float, typer.Option("--for", min=0, help="The duration of the call, in seconds.")] = 3.0,
    ring: Annotated[float, typer.Option(min=1, help="The time to wait for an answer, in seconds.")] = 30.0,
) -> None:
    """Make a call without media, hang up, and show both final responses."""

    async def do(agent: UserAgent) -> Outcome:
        made = agent.invite(to)
        try:
            async with asyncio.timeout(ring):
                outcome = await made.answered()
        except TimeoutError:
            outcome = await made.cancel()
        ended = await _hold(made, seconds) if outcome.ok else None
        _tell(agent, outcome, f"call {agent.party.aor} → {to}", as_json=options.as_json, path=made.hops, bye=ended)
        return outcome if ended is None or ended.ok else ended

    _leave(act(options, do))


async def _hold(made: Call, seconds: float) -> Outcome | None:
    """Stay in the call for so many *seconds*, then hang up, unless the other side has hung up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await made.over()
    return await made.hang_up()


def act(options: ClientOptions, do: Callable[[UserAgent], Awaitable[T]]) -> T:
    """Connect as the user, and call *do* with the agent. Raises `LinkRefused` for a server that fails the checks.

    Raises `SipmeshError` if no server can be reached.
    """
    from sipmesh.cli.client.server_discovery import find_home
    from sipmesh.routing.registrar.address_of_record import read_address
    from sipmesh.transport.reactor.event_loop import run

    home = find_home(read_address(options.user), options.server, options.ca or [], options.topology)
    password = known_password(options.user, from_stdin=options.password_stdin)
    return run(_act(options.user, password, home, do))


async def _act(user: str, password: str, home: Home, do: Callable[[UserAgent], Awaitable[T]]) -> T:
    agent = await _connected(user, password, home)
    async with agent:
        return await do(agent)


async def _connected(user: str, password: str, home: Home, instance: str = "") -> UserAgent:
    """Return an agent at the first server that can be reached; a server that fails the checks ends the search."""
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
    raise SipmeshError(f"{'; '.join(lost)}; start the server, or name another: --server HOST:PORT")


def _tell(
    agent: UserAgent,
    outcome: Outcome,
    what: str,
    *,
    as_json: bool,
    path: tuple[str, ...] = (),
    bye: Outcome | None = None,
) -> None:
    """Print the final response, with the identity that the server proved and the path of the request."""
    from sipmesh.cli.client.reports import HandshakeReport, OutcomeReport
    from sipmesh.client.outcome import identity_of

    answered_by = identity_of(outcome.response)
    proved = agent.verdict.subject if agent.verdict is not None else ""
    facts = agent.link.peer.facts if agent.link is not None else None
    if as_json:
        report = OutcomeReport(
            what=what,
            status=outcome.status,
            reason=outcome.reason,
            warnings=list(outcome.warnings),
            elapsed_s=round(outcome.elapsed_s, 4),
            server=proved,
            tls=HandshakeReport(facts.version, facts.cipher, facts.group) if facts is not None else None,
            bye=bye.status if bye is not None else None,
            path=list(path or outcome.hops),
            answered_by=answered_by,
        )
        say_json(report)
        return
    tls = " ".join(filter(None, (facts.version, facts.cipher, facts.group))) if facts is not None else ""
    say(f"server   {proved} proved, {tls}")
    say(f"{what}: {outcome} in {outcome.elapsed_s * 1000:.0f} ms", style=GOOD if outcome.ok else BAD)
    _say_remedy(outcome)
    if answered_by is not None:
        say(f"answered by {answered_by}, identity asserted by the server")
    if path:
        say(f"path     {' → '.join(path)}")
    if bye is not None:
        say(f"hung up: {bye}", style=GOOD if bye.ok else BAD)


def _say_remedy(outcome: Outcome) -> None:
    if outcome.status in REFUSED_LOGIN:
        say("the server rejects this password; to set it: sipmesh user password USER")


def say_refusal(outcome: Outcome, *, as_json: bool) -> None:
    """Print the final response that has ended a registration."""
    from sipmesh.cli.client.reports import RefusalReport

    if as_json:
        say_json(RefusalReport("refused", outcome.status, outcome.reason))
        return
    say(f"Refused, and not tried again: {outcome}", style=BAD)
    _say_remedy(outcome)


def _leave(outcome: Outcome) -> None:
    raise typer.Exit(0 if outcome.ok else 1)
