"""The impostors connect to the right ports on real connections; after each, its control connects: the same without the fault."""

from __future__ import annotations

import asyncio

from OpenSSL import SSL

from sipmesh.client.agent import UserAgent
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Outcome, Text
from sipmesh.client.sdp import make_offer
from sipmesh.demo.attacker import Knock, knock, send_datagram, speak_plainly
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import Forged
from sipmesh.demo.impostors import DAY, IMPOSTORS, AttackedListener, front_end, other_edge, partner_edge
from sipmesh.demo.network import EDGE, EXAMPLE, FE1, OTHER, DemoNetwork
from sipmesh.demo.people import People, connect, next_event
from sipmesh.demo.score import Act, Score
from sipmesh.server.admin import replies
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.verdict_report import VerdictReport
from sipmesh.trust.verdict import LinkRefused

PLACES = {
    AttackedListener.SERVER: (FE1, LinkKind.SERVER),
    AttackedListener.INSIDE: (EDGE, LinkKind.SERVER),
    AttackedListener.PARTNER: (EDGE, LinkKind.PARTNER),
}
CARRIED = "forwarded"
LOOKS, LOOK_AGAIN_S = 100, 0.02
LATEST = 10
"""So many refusals are looked at: the impostors come one by one, so that the last one is among the latest."""

ACCEPTED, REFUSED = "accepted", "REFUSED"
"""The result of a control."""


async def at_the_listeners(network: DemoNetwork, score: Score) -> None:
    """Run the impostors that are refused before a SIP byte is read."""
    says = (
        "Each impostor connects to a port of example.test and must be refused. Its control, the same peer without the fault,"
        " must be accepted."
    )
    act = score.act("Impostors at the ports", says, "impostor", "refused as", "control")
    await without_tls(network, act)
    await old_tls(network, act)
    for impostor in IMPOSTORS:
        server, kind = PLACES[impostor.listener]
        credentials, control = impostor.credentials(network.cast), impostor.control(network.cast)
        await refused(network, act, impostor.title, (server, kind), credentials, impostor.wanted, control=control)


async def without_tls(network: DemoNetwork, act: Act) -> None:
    """Send plain TCP and UDP to every port."""
    for server in (FE1, EDGE):
        for kind in network.example.ports[server]:
            address = network.example.address(server, kind)
            plain = await asyncio.to_thread(speak_plainly, address, server)
            verdict = await verdict_on(network, server, plain)
            tell(act, f"plain TCP to {server} {kind} port", verdict, Code.NOT_TLS, plain)
            datagram = await asyncio.to_thread(send_datagram, address, server)
            good = not datagram.answer and not datagram.served
            act.row(f"UDP to {server} {kind} port", "no answer", good=good, saw=datagram.alert)


async def old_tls(network: DemoNetwork, act: Act) -> None:
    """Connect with TLS 1.1 and an otherwise good certificate."""
    credentials = front_end()(network.cast)
    await refused(
        network, act, "TLS 1.1", (FE1, LinkKind.SERVER), credentials, Code.PROTOCOL_TOO_OLD, SSL.TLS1_1_VERSION
    )


async def refused(
    network: DemoNetwork,
    act: Act,
    title: str,
    place: tuple[str, LinkKind],
    credentials: Forged | None,
    wanted: Code,
    highest: int | None = None,
    control: Forged | None = None,
) -> None:
    """Connect, and find the server's verdict on that connection; then connect with the *control*."""
    server, kind = place
    result = await asyncio.to_thread(
        knock, network.example.address(server, kind), credentials, name=server, domain=EXAMPLE, highest=highest
    )
    verdict = await verdict_on(network, server, result)
    accepted = await is_served(network, place, control) if control is not None else None
    tell(act, title, verdict, wanted, result, control=accepted)


async def is_served(network: DemoNetwork, place: tuple[str, LinkKind], credentials: Forged | None) -> bool:
    """Return whether a peer with the certificate *credentials* gets an answer."""
    server, kind = place
    address = network.example.address(server, kind)
    return (await asyncio.to_thread(knock, address, credentials, name=server, domain=EXAMPLE)).served


async def verdict_on(network: DemoNetwork, server: str, knock_result: Knock) -> VerdictReport | None:
    """Wait for the refusal that the server recorded for this connection; None if there is none."""
    ours = f"{knock_result.local[0]}:{knock_result.local[1]}"
    for _ in range(LOOKS):
        for verdict in await network.result_of(replies.REFUSED, server, most=LATEST):
            if verdict.remote.replace(" port ", ":") == ours:
                return verdict
        await asyncio.sleep(LOOK_AGAIN_S)
    return None


def tell(
    act: Act,
    title: str,
    verdict: VerdictReport | None,
    wanted: Code,
    result: Knock,
    *,
    control: bool | None = None,
) -> None:
    """Print the line of one impostor and its *control*: True if the control was accepted, None if there is none."""
    marked = "" if control is None else ACCEPTED if control else REFUSED
    if verdict is None:
        act.row(title, "NO VERDICT", marked, good=False, expected=str(wanted), peer_got=result.answer or result.alert)
        return
    reason = verdict.reason
    good = verdict.code == wanted and not result.served and control is not False
    details = {
        "wanted": reason.wanted if reason is not None else "",
        "saw": reason.saw if reason is not None else "",
        "remedy": " ".join(verdict.remedies),
    }
    act.row(title, verdict.code, marked, good=good, **details, peer_got=result.answer or result.alert)


async def in_messages(network: DemoNetwork, people: People, score: Score) -> None:
    """Run the senders with a good link and a forbidden message."""
    says = "Each sender has a valid link, and sends a message that it may not send."
    act = score.act("Impostors in messages", says, "sender and message", "code in our log", "answer")
    await by_partner(network, act)
    await by_client(network, people, act)


def partner_message(method: str, to: str, sender: str, *more: str) -> bytes:
    """Return a request as a partner's edge would write it."""
    lines = [
        f"{method} {to} SIP/2.0",
        f"Via: SIP/2.0/TLS sip.partner.test;branch=z9hG4bK-demo-{abs(hash((method, to, sender, more)))}",
        "Max-Forwards: 70",
        f"From: <{sender}>;tag=demo",
        f"To: <{to}>",
        f"Call-ID: demo-{abs(hash((method, to, sender, more)))}",
        f"CSeq: 1 {method}",
        *more,
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


BOB, ERIN = "sip:bob@example.test", "sip:erin@partner.test"

BY_PARTNER: tuple[tuple[str, bytes, int, Code | None], ...] = (
    (
        "partner: From of another domain",
        partner_message("MESSAGE", BOB, "sip:erin@other.test"),
        403,
        Code.FROM_NOT_ALLOWED,
    ),
    (
        "partner: asserts a user of ours",
        partner_message("MESSAGE", BOB, ERIN, "P-Asserted-Identity: <sip:alice@example.test>"),
        403,
        Code.ASSERTION_NOT_ALLOWED,
    ),
    (
        "  control: its own From and identity",
        partner_message("MESSAGE", BOB, ERIN, "P-Asserted-Identity: <sip:erin@partner.test>"),
        200,
        None,
    ),
    (
        "partner: REGISTER",
        partner_message("REGISTER", "sip:example.test", ERIN),
        403,
        Code.ROLE_NOT_ALLOWED,
    ),
    (
        "partner: Route to a third party (open relay)",
        partner_message("MESSAGE", BOB, ERIN, "Route: <sip:victim.test;lr>"),
        403,
        Code.NO_ROUTE,
    ),
    (
        "partner: request for a third domain",
        partner_message("MESSAGE", "sip:x@victim.test", ERIN),
        403,
        Code.NO_ROUTE,
    ),
)
"""What a partner's edge sends, the status that it must get, and the code in our log; None for a forwarded message."""


async def by_partner(network: DemoNetwork, act: Act) -> None:
    """Send as a partner with a good certificate: messages with its own From are forwarded, all others are refused."""
    for title, message, status, code in BY_PARTNER:
        address = network.example.address(EDGE, LinkKind.PARTNER)
        credentials = partner_edge()(network.cast)
        came = await asyncio.to_thread(
            knock, address, credentials, name="sip.example.test", domain=EXAMPLE, message=message
        )
        said = int(came.answer.split()[1]) if came.served else 0
        refusal = await newest_refusal(network, EDGE) if code is not None else None
        found, why = (refusal.code, refusal.why) if refusal is not None else (None, "")
        good = said == status and (code is None or found == code)
        act.row(title, found or CARRIED, str(said), good=good, why=why, peer_got=came.answer or came.alert)


async def newest_refusal(network: DemoNetwork, server: str) -> RefusedMessage | None:
    """Return the last message that a server has refused, None if there is none."""
    refused = await network.result_of(replies.REFUSED_MESSAGES, server)
    return refused[0] if refused else None


async def by_client(network: DemoNetwork, people: People, act: Act) -> None:
    """Send as a client that has logged in and claims to be another user."""
    drain(people.bob)
    bob = people.bob.party.aor
    outcome = await people.alice.request("MESSAGE", bob, sender="sip:erin@partner.test")
    await tell_message(network, act, "client: From of another organisation", outcome, 403, Code.FROM_NOT_ALLOWED)
    outcome = await people.alice.request("MESSAGE", bob, sender="sip:carol@example.test")
    why = "the server asks for carol's password, and alice's is not that" if people.bob.events.empty() else "it arrived"
    good = outcome.status == Status.PROXY_AUTHENTICATION_REQUIRED and people.bob.events.empty()
    act.row("client: From of another user", Code.NOT_AUTHENTICATED, str(outcome.status), good=good, why=why)
    relayed = await people.alice.request("MESSAGE", bob, [("route", "<sip:victim.test;lr>")])
    await tell_message(network, act, "client: Route to a third party (open relay)", relayed, 403, Code.NO_ROUTE)
    in_the_clear = make_offer(people.alice.party.here[0], 1).replace(b"RTP/SAVP", b"RTP/AVP")
    refused = await (await people.alice.call(bob, in_the_clear)).answered()
    title = "client: call with media in the clear"
    await tell_message(network, act, title, refused, Status.NOT_ACCEPTABLE_HERE, Code.MEDIA_NOT_ENCRYPTED)
    claim = [("p-asserted-identity", "<sip:carol@example.test>")]
    outcome = await people.alice.request("MESSAGE", bob, claim, b"who am I?")
    event = await next_event(people.bob)
    identity = event.identity if isinstance(event, Text) else "nothing arrived"
    why = f"bob sees P-Asserted-Identity {identity}: the server has removed what alice asserted"
    good = outcome.ok and identity == people.alice.party.aor
    act.row("client: alice asserts to be carol", "assertion removed", str(outcome.status), good=good, why=why)
    async with await connect(network, "carol", FE1) as stranger:
        outcome = await stranger.message("sip:nobody@example.test", "hello")
    act.row(
        "  control: carol, to an unknown user", CARRIED, str(outcome.status), good=outcome.status == Status.NOT_FOUND
    )


async def tell_message(network: DemoNetwork, act: Act, title: str, outcome: Outcome, status: int, code: Code) -> None:
    """Print the line of one refused message; the reference in the answer must be that of our log."""
    refusal = await newest_refusal(network, FE1)
    found, why, reference = (refusal.code, refusal.why, refusal.reference) if refusal is not None else (None, "", "")
    good = outcome.status == status and found == code and bool(reference) and reference in str(outcome)
    act.row(title, found or "NO REFUSAL", str(outcome.status), good=good, why=why, reference=reference)


def drain(agent: UserAgent) -> None:
    """Drop the events that have arrived so far."""
    while not agent.events.empty():
        agent.events.get_nowait()


async def on_the_way(network: DemoNetwork, people: People, score: Score) -> None:
    """Run the impostors at the far end of our own links: hijackers and men in the middle; then lose a partner's CRL."""
    says, title = "Our own links lead to impostors, who must get nothing.", "Hijacked links"
    if not network.is_managed:
        says, title = f"{says} Then a partner's CRL is lost.", f"{title}, and a lost CRL"
    act = score.act(title, says, "impostor", "refused as")
    cast = network.cast
    await hijack(
        network,
        people,
        act,
        "DNS hijack: certificate of another name",
        cast.forge.server(cast.other, "mallory.test"),
        Code.NAME_MISMATCH,
    )
    await hijack(
        network,
        people,
        act,
        "man in the middle between two servers",
        cast.forge.server(cast.stranger, OTHER),
        Code.UNTRUSTED_ISSUER,
    )
    await hijack(
        network, people, act, "  control: the partner itself", cast.forge.server(cast.other, OTHER), Code.ACCEPTED
    )
    await between_client_and_server(network, act)
    if not network.is_managed:  # otherwise management has given the edge the list: a file that is lost changes nothing
        await list_is_gone(network, act)


async def hijack(network: DemoNetwork, people: People, act: Act, title: str, credentials: Forged, wanted: Code) -> None:
    """Let DNS lead our edge to a decoy, and let alice write to the partner that the decoy pretends to be."""
    with Decoy(credentials) as decoy:
        host, port = decoy.address
        network.dns.records["_sipfederationtls._tcp.other.test", "SRV"] = [f"1 1 {port} decoy.test."]
        network.dns.records["decoy.test", "A"] = [host]
        await network.ask(EDGE, "reload")  # otherwise the edge waits before it dials a hop again that was just refused
        outcome = await people.alice.message("sip:olga@other.test", "for olga only")
        if wanted is Code.ACCEPTED:
            got = f"{decoy.received} message"
            act.row(title, ACCEPTED, good=outcome.ok and decoy.received == 1, alice_got=str(outcome), arrived=got)
            return
        verdict = await verdict_on(network, EDGE, Knock(decoy.address))
        tell(act, title, verdict, wanted, Knock(decoy.address, alert=f"alice got {outcome}"))
        nothing = decoy.received == 0 and not outcome.ok
        act.row("  requests that the impostor received", str(decoy.received), good=nothing, alice_got=str(outcome))


async def between_client_and_server(network: DemoNetwork, act: Act) -> None:
    """Put a man in the middle with another certificate: the client must send nothing."""
    title = "man in the middle between client and server"
    credentials = network.cast.forge.server(network.cast.stranger, EXAMPLE, FE1)
    with Decoy(credentials, mutual=False) as decoy:
        trust = Trust.of_pem(network.example.root.read_bytes())
        async with UserAgent("alice@example.test", "alice-secret", trust=trust) as agent:
            try:
                await agent.connect(*decoy.address)
            except LinkRefused as refusal:
                reason = refusal.verdict.reason
                good = refusal.verdict.code is Code.UNTRUSTED_ISSUER and decoy.received == 0
                details = {"wanted": reason.wanted, "saw": reason.saw} if reason else {}
                act.row(title, refusal.verdict.code, good=good, **details, remedy=" ".join(refusal.verdict.remedies))
            else:
                act.row(title, "ACCEPTED", good=False)


async def list_is_gone(network: DemoNetwork, act: Act) -> None:
    """Make a partner's CRL missing, unreadable or too old: its peers must be refused until a good CRL is back."""
    place, credentials = (EDGE, LinkKind.PARTNER), other_edge()(network.cast)
    file = network.folder / OTHER / "issuing.crl"
    current = file.read_bytes()
    stale = network.cast.forge.revocations(network.cast.other, begins=-2 * DAY, ends=-DAY)
    for how, content in (("missing", None), ("unreadable", b"no list"), ("expired", stale)):
        file.unlink() if content is None else file.write_bytes(content)
        await network.ask(EDGE, "reload")
        await refused(network, act, f"the partner's CRL is {how}", place, credentials, Code.REVOCATION_UNKNOWN)
    file.write_bytes(current)
    await network.ask(EDGE, "reload")
    is_accepted = await is_served(network, place, credentials)
    act.row("  control: a current CRL again", ACCEPTED if is_accepted else REFUSED, good=is_accepted)
