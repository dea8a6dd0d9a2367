"""A server's certificate is revoked while its links are up: its links close, others stay, a new certificate is accepted."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from sipmesh.client.outcome import Text
from sipmesh.demo.attacker import Knock, knock
from sipmesh.demo.attacks import verdict_on
from sipmesh.demo.forge import Forged
from sipmesh.demo.network import EDGE, EXAMPLE, FE1, FE2, DemoNetwork
from sipmesh.demo.people import People, connect, next_event
from sipmesh.demo.score import Act, Score
from sipmesh.pki.crl.builder import Reason
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

PATIENCE_S = 10.0
LOOK_AGAIN_S = 0.02


async def revoke(network: DemoNetwork, people: People, score: Score) -> None:
    """Revoke fe2's certificate; its link to fe1 must close, fe1's link to the edge must not."""
    act = score.act(
        "A server certificate is revoked",
        "Links with the revoked server fe2 must close at once. Other links must stay up.",
    )
    before = {peer: await links_with(network, peer) for peer in (FE2, EDGE)}
    up = all(before.values())
    act.row("fe1 has links with fe2 and edge1", "up" if up else "DOWN", good=up, links=tell(before))
    credentials = credentials_of(network, FE2)
    serial = credentials.certificate.serial_number
    started = time.monotonic()
    await asyncio.to_thread(network.example.ca.revoke, serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
    for name in (FE1, EDGE):  # as `ca revoke` does; without this, they also notice the new CRL
        await network.ask(name, "files-changed")
    fallen = await until_gone(network, before[FE2])
    took = time.monotonic() - started
    closed = f"{', '.join(before[FE2])} of fe1 {'down' if fallen else 'not down'} after {took:.2f} s"
    result = f"closed after {took:.2f} s" if fallen else "NOT CLOSED"
    act.row("fe2 is revoked: its links with fe1", result, good=fallen, serial=f"{serial:x}", saw=closed)
    edge_now = await links_with(network, EDGE)
    up = edge_now == before[EDGE]
    act.row("the link of fe1 with edge1", "up" if up else "DOWN", good=up, links=f"{EDGE}: {', '.join(edge_now)}")
    await refused_now(network, people, act, credentials)
    await new_certificate(network, people, act)


def credentials_of(network: DemoNetwork, server: str) -> Forged:
    """Return the present certificate and key of a server, as a thief would have copied them."""
    folder = network.organisation_of(server).folder / "servers"
    return Forged.read(folder / f"{server}.pem", folder / f"{server}.key", network.cast.ours)


async def links_with(network: DemoNetwork, peer: str) -> list[str]:
    """Return the ids of fe1's live links with *peer*."""
    links = await network.ask(FE1, "links")
    return sorted(link["id"] for link in links if link["peer"] == peer and link["kind"] == LinkKind.SERVER)


def tell(links: dict[str, list[str]]) -> str:
    """Return the links by peer in one line."""
    return "; ".join(f"{peer}: {', '.join(ids) or 'none'}" for peer, ids in links.items())


async def until_gone(network: DemoNetwork, ids: list[str]) -> bool:
    """Wait until none of *ids* is a live link of fe1; return False if one still is after ``PATIENCE_S``."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while {link["id"] for link in await network.ask(FE1, "links")} & set(ids):
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        return False
    return True


async def refused_now(network: DemoNetwork, people: People, act: Act, credentials: Forged) -> None:
    """Check that a new link with the revoked certificate is refused, in both directions."""
    outcome = await people.alice.message(people.bob.party.aor, "are you there?")
    stored = outcome.status == Status.ACCEPTED
    act.row("alice sends bob on fe2 a message", f"{outcome.status}, not delivered", good=stored, answer=str(outcome))
    result = await knock_at_fe1(network, credentials)
    verdict = await verdict_on(network, FE1, result)
    code = verdict.code if verdict is not None else "no verdict"
    act.row(
        "fe2 connects with its revoked certificate",
        code,
        good=code == Code.REVOKED,
        peer_got=result.answer or result.alert,
    )


async def knock_at_fe1(network: DemoNetwork, credentials: Forged) -> Knock:
    """Open a link to fe1's server port with the certificate *credentials*."""
    address = network.example.address(FE1, LinkKind.SERVER)
    return await asyncio.to_thread(knock, address, credentials, name=FE1, domain=EXAMPLE)


async def new_certificate(network: DemoNetwork, people: People, act: Act) -> None:
    """Give fe2 a new certificate: it is accepted again, without a restart."""
    await asyncio.to_thread(network.example.issue, FE2)
    await network.ask(FE2, "reload")
    await people.bob.close()
    people.bob = await connect(network, "bob", FE2)
    await people.bob.register()
    await network.ask(FE1, "reload")  # otherwise fe1 waits before it dials a hop again that was just refused
    outcome = await people.alice.message(people.bob.party.aor, "welcome back")
    seen = "nothing"
    while outcome.ok and seen != "welcome back":  # the stored message comes first
        event = await next_event(people.bob)
        if not isinstance(event, Text):
            break
        seen = event.text
    result = await knock_at_fe1(network, credentials_of(network, FE2))
    verdict = "accepted" if result.served else "REFUSED"
    act.row("fe2 connects with a new certificate", verdict, good=result.served, peer_got=result.answer or result.alert)
    act.row("alice sends bob a message again", str(outcome), good=seen == "welcome back", received=seen)
