"""The ways in which a phone can fail, each made to fail at a running server, and what `sipmesh explain` says of it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cli.world import sipmesh
from sipmesh.server.admin.commands import AdminCommands
from sipmesh.server.admin.replies import UserReply
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.sip.digest import Algorithm, answer, parse_challenge
from sipmesh.sip.message import Request
from sipmesh.storage.users.user_database import Users
from sipmesh.transport.reactor.event_loop import Loop
from support.network import FE1, Network
from support.peer import Peer
from support.prepared import answered
from support.running import PATIENCE_S, until
from support.tiers import wide_after

Act = Callable[[Network], Awaitable[None]]
PAGE = Path(__file__).parents[2] / "docs/howto/phones.md"
FIRST, LAST = "<!-- failing phones: tests/scenarios/test_failing_phones.py -->", "<!-- end of failing phones -->"
HEAD = "\n| the phone | reason | what to do |\n| --- | --- | --- |"
WRITES = "SIPMESH_WRITE_PAGES"
"""A variable of the environment: with it, the tests write their rows into the page."""
GET = b"GET /phone.cfg HTTP/1.1\r\nHost: fe1.example.test\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
PLAIN = b"REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1\r\n\r\n"


async def sends(network: Network, data: bytes) -> None:
    """A program that writes *data* to the client port without TLS, and waits for the end."""
    reader, writer = await asyncio.open_connection(*network.address(FE1))
    writer.write(data)
    with suppress(OSError):
        await reader.read()
    writer.close()


async def says(network: Network, data: bytes) -> None:
    """A program that writes *data* over TLS, and waits for the end."""
    peer = await network.peer(FE1, "alice")
    await peer.write(data)
    await peer.hung_up()


async def shakes(network: Network, **settings: object) -> None:
    """A phone with other TLS settings, which gets no link or sends nothing on it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(str(settings.pop("ciphers", "DEFAULT")))
    for name, value in settings.items():
        setattr(context, name, value)
    with suppress(OSError, ssl.SSLError):
        reader, writer = await asyncio.open_connection(*network.address(FE1), ssl=context)
        writer.close()
        await reader.read()


async def distrusts(network: Network) -> None:
    """A phone that does not trust our root, and says so in an alert."""

    def shake() -> None:
        with socket.create_connection(network.address(FE1)) as sock, suppress(ssl.SSLError):
            ssl.create_default_context().wrap_socket(sock, server_hostname="example.test")

    await asyncio.to_thread(shake)


async def logs_in(
    network: Network, name: str, secret: str, *, md5: bool = False, nonce: str = "", says: tuple[str, str] = ("", "")
) -> None:
    """A phone of alice that answers the challenge as *name* with *secret*; *says*: what it writes, and what instead."""
    peer = await network.peer(FE1, "alice")
    challenged = await peer.ask(registering(peer))
    challenges = [parse_challenge(value) for value in challenged.values("www-authenticate")]
    if md5:
        challenges = [parse_challenge(row.replace("SHA-256", "MD5")) for row in challenged.values("www-authenticate")]
    row = answer(challenges[:1], name, secret, "REGISTER", "sip:example.test", "cnonce", 1)
    credentials = row.replace(*says) + nonce
    assert (await peer.ask(registering(peer, ("authorization", credentials)))).status in {400, 401}


def registering(peer: Peer, *headers: tuple[str, str]) -> Request:
    return peer.request(
        "REGISTER", "sip:example.test", [*headers, ("user-agent", "desk phone")], to=f"<sip:{peer.user}>"
    )


def explained(network: Network, act: Act, title: str, user: str = "alice@example.test") -> tuple[str, list[str]]:
    """Let a phone fail, and type ``sipmesh explain`` about its user then. *title* says on the page what the phone does.

    "" if the page does not have this phone.
    """

    async def failing() -> UserReply:
        async with asyncio.timeout(PATIENCE_S), network:
            await act(network)
            node = network.nodes[FE1]
            await until(lambda: node.logins.remembered.newest(1) or node.gatekeeper.client_refusals.newest(1))
            desk = AdminCommands(node, reload=nothing, look=nothing, drain=node.core.drain)
            return await desk.user({"user": f"sip:{user}"})

    with asyncio.Runner(loop_factory=Loop) as runner:
        reply = runner.run(failing())
    folder = network.organisations[0].folder
    with answered(folder / "state", {FE1: {"user": reply}}):
        told = sipmesh("explain", user, topology=network.organisations[0].file)
        report = sipmesh("explain", user, "--json", topology=network.organisations[0].file).json
    assert told.code == 1
    if title:
        check_page(title, report)
    return " ".join(told.out.split()), [refusal.reason for refusal in reply.refusals]


def check_page(title: str, report: dict[str, Any]) -> None:
    """The page has the row of this phone, as the command prints it now."""
    seen = [row["reason"] for row in report["failed_links"]] + [row["flaw"] for row in report["failed_logins"]]
    remedies = [remedy for remedy in report["remedies"] if not remedy.startswith("run this command on")]
    cells = (title, "; ".join(seen), "; ".join(remedies))
    row = f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    text = PAGE.read_text()
    before, found, rest = text.partition(FIRST)
    assert found, f"{PAGE} has no table of failing phones"
    rows, _, after = rest.partition(LAST)
    if WRITES in os.environ and row not in rows:
        kept = [line for line in rows.split(HEAD)[-1].splitlines() if line and not line.startswith(f"| {title} |")]
        PAGE.write_text("\n".join([before + FIRST, HEAD, *kept, row, "", LAST]) + after)
        return
    assert row in rows, f"write the page again: {WRITES}=1 pytest -n 0 {Path(__file__).name}"


TITLES = {
    "plain-sip": "speaks SIP without TLS",
    "plain-http": "sends HTTP without TLS to the SIP port",
    "not-tls": "sends something that is not TLS",
    "http-on-sip-port": "sends HTTP inside TLS to the SIP port",
    "websocket-on-sip-port": "opens a WebSocket at the SIP port",
    "not-sip": "sends something inside TLS that is not SIP",
    "no-shared-cipher": "knows RSA only",
    "protocol-too-old": "knows TLS 1.1 at most",
    "certificate-refused": "does not trust our root",
    "closed-without-a-byte": "closes the link after the handshake",
    "wrong password": "has a wrong password",
    "user name is not": "has another authentication name",
    "malformed": "sends malformed credentials",
    "userhash": "hides its authentication name (userhash)",
    "qop": "covers the body with its answer (auth-int)",
    "the digest algorithm was not offered": "answers with a digest algorithm that was not offered",
}
"""What each phone does, by what is seen of it."""


def nothing() -> ReloadResult:
    return ReloadResult(taken=True, closed=())


@pytest.mark.parametrize(
    ("act", "reason", "remedy"),
    wide_after(
        4,
        [
            (
                lambda n: sends(n, PLAIN),
                "plain-sip",
                "set the transport of the phone to TLS: there is no port for plain SIP",
            ),
            (lambda n: sends(n, GET), "plain-http", "an HTTP client without TLS has reached this SIP port"),
            (lambda n: sends(n, b"\x00" * 64), "not-tls", "what it has sent is not TLS"),
            (lambda n: says(n, GET), "http-on-sip-port", "an HTTP client has reached the SIP port"),
            (lambda n: says(n, UPGRADE), "websocket-on-sip-port", "it needs the WebSocket port"),
            (lambda n: says(n, b"hello\r\n\r\n"), "not-sip", "what the phone has sent is not SIP"),
            (
                lambda n: shakes(n, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256"),
                "no-shared-cipher",
                "no cipher or signature in common",
            ),
            (
                lambda n: shakes(
                    n,
                    minimum_version=ssl.TLSVersion.TLSv1_1,
                    maximum_version=ssl.TLSVersion.TLSv1_1,
                    ciphers="ALL:@SECLEVEL=0",
                ),
                "protocol-too-old",
                "allow TLS 1.2 or 1.3",
            ),
            (distrusts, "certificate-refused", "install ca/root.pem on the phone"),
            (shakes, "closed-without-a-byte", "it does not accept the server's certificate"),
        ],
    ),
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_phone_that_gets_no_link_is_explained_with_its_remedy(
    home: Network, act: Act, reason: str, remedy: str
) -> None:
    """It is not known whose phone it is: for a user who is not registered, each such link is shown."""
    told, reasons = explained(home, act, TITLES[reason])
    assert "Not registered" in told
    assert reasons == [reason]
    assert remedy in told


@pytest.mark.parametrize(
    ("act", "why", "remedy"),
    wide_after(
        3,
        [
            (lambda n: logs_in(n, "alice", "wrong"), "wrong password", "sipmesh user password alice@example.test"),
            (lambda n: logs_in(n, "alice.smith", "alice-secret"), "user name is not", "set it to alice"),
            (lambda n: logs_in(n, "alice", "alice-secret", nonce=", qop=auth"), "malformed", "update its firmware"),
            (lambda n: logs_in(n, "alice", "alice-secret", nonce=", userhash=true"), "userhash", "update its firmware"),
            (
                lambda n: logs_in(n, "alice", "alice-secret", says=("qop=auth", "qop=auth-int")),
                "qop",
                "update its firmware",
            ),
            (
                lambda n: logs_in(n, "alice", "alice-secret", says=("algorithm=SHA-256", "algorithm=SHA-512-256")),
                "the digest algorithm was not offered",
                "offer the digest algorithms that the phone supports",
            ),
        ],
    ),
)
def test_phone_that_cannot_log_in_is_explained_with_its_remedy(home: Network, act: Act, why: str, remedy: str) -> None:
    told, _ = explained(home, act, TITLES[why])
    assert why in told
    assert remedy in told


def test_phone_that_knows_md5_only_is_explained_where_the_user_has_sha_256_alone(home: Network) -> None:
    users = Users(home.organisations[0].load().users_url)
    users.set_password("alice@example.test", "alice-secret", [Algorithm.SHA_256])
    users.close()
    told, _ = explained(
        home, lambda n: logs_in(n, "alice", "alice-secret", md5=True), "knows MD5 only, and its user has SHA-256 alone"
    )
    assert "was not offered" in told
    assert "--digest sha-256 --digest md5" in told


async def gives_up(network: Network) -> None:
    """A phone that is challenged and hangs up: it supports none of the algorithms."""
    async with await Peer.open(network.address(FE1), "alice@example.test") as peer:
        assert (await peer.ask(registering(peer))).status == 401


def test_phone_that_does_not_answer_the_challenge_is_explained(home: Network) -> None:
    told, _ = explained(home, gives_up, "does not answer the challenge")
    assert "the challenge (SHA-256, MD5) was not answered" in told
    assert "sipmesh user password alice@example.test --digest md5" in told


def test_unknown_user_of_a_phone_is_explained_with_a_similar_user(home: Network) -> None:
    async def act(network: Network) -> None:
        peer = await network.peer(FE1, "alise")
        assert (await peer.register(password="x")).status == 401

    told, _ = explained(home, act, "logs in as a user who does not exist", "alise@example.test")
    assert "did you mean alice@example.test?" in told


def test_phone_that_its_home_pool_refuses_is_explained_with_the_servers_to_ask(two_pools: Network) -> None:
    async def act(network: Network) -> None:
        peer = await network.peer(FE1, "bob")
        await peer.register(password="wrong")

    told, _ = explained(two_pools, act, "", "bob@example.test")
    assert (
        "see why a server of the pool pool2.example.test has refused the login: fe3.example.test, fe4.example.test"
        in told
    )
