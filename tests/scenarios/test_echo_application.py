"""The examples of applications, of another make: one sends messages back, under its own address, and one screens calls."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EXAMPLE, FE1, FE2, Network
from support.running import on_loop, until
from support.talking import call_is_taken_back, inside_of, talking

EXAMPLES = Path(__file__).parents[2] / "examples"
ECHO = f"echo@{EXAMPLE}"


@pytest.fixture(name="folder")
def _folder(pool: Network) -> Path:
    """The folder of the application, with the files of `sipmesh join accept`."""
    pool.set_application(sip_addresses=[ECHO], screens=[f"bob@{EXAMPLE}"])
    organisation = pool.organisations[0]
    roots = organisation.folder / "servers" / f"{BOT}.roots.pem"
    roots.write_bytes(organisation.root.read_bytes())
    return organisation.folder


@asynccontextmanager
async def running(
    folder: Path,
    pool: Network,
    *front_ends: str,
    program: str = "echo_application.py",
    given: tuple[str, str] = ("--address", ECHO),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The *program* with links to both front ends, of which it expects the names *front_ends*."""
    where = [pool.address(server, LinkKind.SERVER) for server in (FE1, FE2)]
    links = [f"{name}={host}:{port}" for name, (host, port) in zip(front_ends, where, strict=True)]
    named = ["--folder", str(folder), "--name", BOT, *given]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / program), *named, *links, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@on_loop
async def test_message_to_the_application_comes_back_from_it(pool: Network, folder: Path) -> None:
    """Also to a phone at the other front end."""
    async with pool, running(folder, pool, FE1, FE2):
        nodes = [pool.nodes[FE1], pool.nodes[FE2]]
        await until(lambda: all(any(link.peer_name == BOT for link in node.pool.all()) for node in nodes))
        for user, server in (("alice", FE1), ("bob", FE2)):
            phone = await pool.phone(user, server)
            await phone.send(phone.request("MESSAGE", f"sip:{ECHO}", [("content-type", "text/plain")], b"hello"))
            assert (await phone.final()).status == 200
            came = await phone.request_in("MESSAGE")
            assert (came.body, came.values("p-asserted-identity")) == (b"hello", [f"<sip:{ECHO}>"])
            await phone.reply(came, 200)


@on_loop
async def test_application_opens_no_link_to_a_server_of_another_name(pool: Network, folder: Path) -> None:
    async with pool, running(folder, pool, FE1, "fe9.example.test") as process:
        _, told = await process.communicate()
        assert (process.returncode, b"Hostname mismatch" in told) == (1, True)


@on_loop
async def test_application_screens_the_calls_of_a_user(pool: Network, folder: Path) -> None:
    """Carol is refused, and Alice talks with Bob: all requests of the call pass by the program, in both directions."""
    program = running(
        folder, pool, FE1, FE2, program="screening_application.py", given=("--refuse", f"carol@{EXAMPLE}")
    )
    async with pool, program:
        nodes = [pool.nodes[FE1], pool.nodes[FE2]]
        await until(lambda: all(any(link.peer_name == BOT for link in node.pool.all()) for node in nodes))
        alice, bob, carol = [await pool.phone(*at) for at in (("alice", FE1), ("bob", FE2), ("carol", FE1))]
        assert (await carol.ask(carol.request("INVITE", f"sip:bob@{EXAMPLE}"))).status == 603
        await bob.silent()
        came, _, dialog = await talking(alice, bob)
        assert came.values("p-asserted-identity") == [f"<sip:alice@{EXAMPLE}>"]
        await bob.request_in("ACK")
        for sender, receiver, of_sender in ((alice, bob, dialog), (bob, alice, Dialog.of_callee(came, bob.tag))):
            await sender.send(inside_of(of_sender, sender, "INFO"))
            inside = await receiver.request_in("INFO")
            assert sum(BOT in via for via in inside.values("via")) == 1
            await receiver.reply(inside, 200)
            assert (await sender.final()).status == 200
        await call_is_taken_back(alice, bob)


@on_loop
async def test_calls_are_screened_again_after_a_restart_of_the_front_end(pool: Network, folder: Path) -> None:
    """The program runs on: it opens its link again, and refuses Carol."""
    program = running(
        folder, pool, FE1, FE2, program="screening_application.py", given=("--refuse", f"carol@{EXAMPLE}")
    )
    async with pool, program as process:
        await until(lambda: any(link.peer_name == BOT for link in pool.nodes[FE1].pool.all()))
        await pool.stop(FE1)
        pool.start(FE1)
        await until(lambda: any(link.peer_name == BOT for link in pool.nodes[FE1].pool.all()))
        carol = await pool.phone("carol", FE1)
        assert (await carol.ask(carol.request("INVITE", f"sip:bob@{EXAMPLE}"))).status == 603
        assert process.returncode is None
