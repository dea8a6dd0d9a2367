"""Alice, bob and erin log in, send messages and make calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sipmesh.client.agent import UserAgent
from sipmesh.client.call import IncomingCall
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Text
from sipmesh.demo.network import EDGE, FE1, FE2, PARTNER_EDGE, PARTNER_FE, DemoNetwork
from sipmesh.demo.score import Act, Score
from sipmesh.sip.status import Status
from sipmesh.trust.evidence import LinkKind

PATIENCE_S = 10.0


@dataclass(slots=True)
class People:
    """The three users, each logged in at another server."""

    alice: UserAgent
    bob: UserAgent
    erin: UserAgent

    async def leave(self) -> None:
        """Close every link."""
        await asyncio.gather(*(agent.close() for agent in (self.alice, self.bob, self.erin)))


async def connect(network: DemoNetwork, user: str, server: str) -> UserAgent:
    """Open a judged link for *user* to *server*; raises `LinkRefused` if the server is not the intended server."""
    organisation = network.organisation_of(server)
    trust = Trust.of_pem(organisation.root.read_bytes())
    agent = UserAgent(f"{user}@{organisation.domain}", f"{user}-secret", trust=trust)
    await agent.connect(*organisation.address(server, LinkKind.CLIENT))
    return agent


async def log_in(network: DemoNetwork, score: Score) -> People:
    """Register the three users over TLS with digest; each judges chain and name of its server first."""
    act = score.act("Users log in", "Each phone checks its server's certificate, then proves its password (digest).")
    agents = []
    for user, server in (("alice", FE1), ("bob", FE2), ("erin", PARTNER_FE)):
        agent = await connect(network, user, server)
        outcome = await agent.register()
        verdict = agent.verdict
        proved = verdict.subject if verdict is not None else ""
        good = outcome.status == Status.OK
        where = {"server_proved": proved, "tls": tls_of(agent)}
        act.row(f"{user} logs in at {server}", str(outcome), good=good, **where)
        agents.append(agent)
    return People(*agents)


def tls_of(agent: UserAgent) -> str:
    """Return TLS version, cipher suite and group of the agent's link."""
    facts = agent.link.peer.facts if agent.link is not None else None
    return ", ".join(filter(None, (facts.version, facts.cipher, facts.group))) if facts is not None else ""


async def talk(network: DemoNetwork, people: People, score: Score) -> None:
    """Send a message and make a call along each path, then show the verdicts on the links between the servers."""
    act = score.act("Users write and call", "alice and bob are users of example.test. erin is a user of partner.test.")
    for caller, callee in (
        (people.alice, people.bob),
        (people.alice, people.erin),
        (people.erin, people.alice),
    ):
        await write(act, caller, callee)
        await call(act, caller, callee)
    await show_hops(network, score)


async def write(act: Act, sender: UserAgent, receiver: UserAgent) -> None:
    """Send one message, and check that it arrives."""
    text = f"hello {receiver.party.user}, this is {sender.party.user} ✓"
    outcome = await sender.message(receiver.party.aor, text)
    event = await next_event(receiver) if outcome.ok else None
    arrived = isinstance(event, Text) and event.text == text and event.sender == sender.party.aor
    seen = f"“{event.text}” from {event.identity}" if isinstance(event, Text) else "nothing"
    path = " → ".join((*event.hops[1:], receiver.party.user)) if isinstance(event, Text) else ""
    what = f"{sender.party.user} sends {receiver.party.user} a message"
    act.row(what, str(outcome), good=arrived, received=seen, path=path)


async def call(act: Act, caller: UserAgent, callee: UserAgent) -> None:
    """Make one call, from INVITE to BYE."""
    outgoing = await caller.call(callee.party.aor)
    answer = await outgoing.answered()
    event = await next_event(callee) if answer.ok else None
    seen, ended = "nothing", None
    if isinstance(event, IncomingCall):
        ended = await outgoing.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            await event.over()
        seen = f"call from {event.identity}, then BYE"
    good = answer.ok and ended is not None and ended.ok
    statuses = f"INVITE {answer.status}, BYE {ended.status if ended else 'none'}"
    path = " → ".join(outgoing.hops)
    act.row(f"{caller.party.user} calls {callee.party.user}", statuses, good=good, received=seen, path=path)


async def next_event(agent: UserAgent) -> Text | IncomingCall | None:
    """Return the next message or call that arrives, None if none arrives in time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await agent.events.get()
    except TimeoutError:
        return None


async def show_hops(network: DemoNetwork, score: Score) -> None:
    """Show the links between servers that were used, with the verdict of each server on its peer."""
    act = score.act(
        "Links between servers",
        "Each server has checked the certificate of its peer: mutual TLS.",
    )
    for server in (FE1, FE2, EDGE, PARTNER_EDGE, PARTNER_FE):
        for link in await network.ask(server, "links"):
            if link["kind"] == LinkKind.CLIENT:
                continue
            tls = link["tls"]
            used = f"{link['messages_in']} in, {link['messages_out']} out"
            act.row(
                f"{server} ↔ {link['peer']}",
                f"{link['code']}, {tls['version']}",
                good=link["code"] == "accepted" and tls["version"] in {"TLSv1.2", "TLSv1.3"},
                link=f"{link['direction']} {link['kind']}",
                cipher=f"{tls['cipher']}, group {tls['group'] or 'unknown'}",
                messages=used,
            )
