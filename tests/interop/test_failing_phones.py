"""Real phones that fail, and what `sipmesh explain` says of each to an operator who types it; docs/reference/tested-phones.md."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from cli.world import sipmesh
from interop.matrix.device import LOOK_AGAIN_S
from interop.matrix.stage import MAKES, WRONG_NAME, Stage, on_stage
from interop.tables import WRITES, Table
from sipmesh.demo.network import EXAMPLE, FE1, DemoNetwork
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.evidence import LinkKind

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("baresip", "linphone", "pjsua2", "chromium", "certutil", "npm"),
    pytest.mark.peer("curl"),
]

PATIENCE_S = 120.0
"""A phone that is challenged and gives up has no login after a minute."""
TABLE = Table("failing phones")
STRICT = "strict"
"""A user with SHA-256 alone."""

Failing = Callable[[Stage], AbstractAsyncContextManager[object]]
WAYS: dict[str, tuple[str, Failing]] = {}
"""What each phone does wrong, with its user."""


def fails(title: str, user: str = "alice") -> Callable[[Failing], Failing]:
    """Add a way to fail under its *title*."""

    def add(way: Failing) -> Failing:
        WAYS[title] = (user, way)
        return way

    return add


def set_up(make: str, user: str = "alice", **wishes: Any) -> Failing:
    """A phone of *make* that is set up wrongly."""
    return lambda phones: phones.phone(make, user=user, **wishes)


fails("baresip with TCP instead of TLS")(set_up("baresip", transport="tcp"))
fails("baresip with TLS 1.1 at most")(set_up("baresip", old_tls=True))
fails("baresip without our root")(
    lambda phones: phones.phone("baresip", user="alice", anchor=phones.network.partner.root)
)
fails("PJSIP without our root")(lambda phones: phones.phone("pjsua2", user="alice", anchor=phones.network.partner.root))
fails("PJSIP with RSA only")(set_up("pjsua2", rsa_only=True))
fails("linphone with a name that is in no certificate")(set_up("linphone", name=WRONG_NAME))
fails("linphone with a wrong password")(set_up("linphone", password="wrong"))
fails("linphone with another authentication name")(set_up("linphone", login="alice.smith"))
fails("linphone of a user who does not exist", "alise")(set_up("linphone", user="alise"))
fails("baresip, whose user has SHA-256 and MD5", "bob")(set_up("baresip", user="bob"))
fails("JsSIP, whose user has SHA-256 alone", STRICT)(set_up("jssip", user=STRICT))
fails("JsSIP with a wrong password")(set_up("jssip", password="wrong"))


@fails("JsSIP at the port of phones")
@asynccontextmanager
async def at_the_sip_port(phones: Stage) -> AsyncIterator[object]:
    """`wss://` with the port for TLS."""
    page = await phones.browser.page("jssip")
    await page.start(f"wss://{EXAMPLE}:{phones.network.example.ports[FE1][LinkKind.CLIENT]}", "alice", EXAMPLE)
    yield page
    await page.close()


@fails("JsSIP in a page of another site")
@asynccontextmanager
async def of_another_site(phones: Stage) -> AsyncIterator[object]:
    """The same web server under another name."""
    origin = phones.browser.origin
    phones.browser.origin = origin.replace("localhost", "127.0.0.1")
    try:
        async with phones.phone("jssip", user="alice") as page:
            yield page
    finally:
        phones.browser.origin = origin


@asynccontextmanager
async def curl(phones: Stage, scheme: str, kind: LinkKind) -> AsyncIterator[object]:
    """A program that asks a port for a file."""
    ports = phones.network.example.ports[FE1]
    url = f"{scheme}://{FE1}:{ports[kind]}/phone.cfg"
    options = ("-s", "-m", "10", "--resolve", f"{FE1}:{ports[kind]}:127.0.0.1", "--cacert", phones.network.example.root)
    process = await asyncio.create_subprocess_exec("curl", *options, url, stdout=asyncio.subprocess.DEVNULL)
    await process.wait()
    yield process


fails("curl, which asks the port of phones for http://")(lambda phones: curl(phones, "http", LinkKind.CLIENT))
fails("curl, which asks the port of phones for https://")(lambda phones: curl(phones, "https", LinkKind.CLIENT))


def add_strict_user(network: DemoNetwork) -> None:
    network.example.add_users(STRICT, algorithms=(Algorithm.SHA_256,))


@pytest.fixture(name="phones", scope="module")
def _phones(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Stage]:
    yield from on_stage(runner, tmp_path_factory.mktemp("f"), pages=True, prepare=add_strict_user)


async def explained(phones: Stage, user: str) -> Any:
    """Type the command as an operator does."""
    told = await asyncio.to_thread(
        sipmesh, "explain", f"{user}@{EXAMPLE}", "--json", topology=phones.network.example.file
    )
    assert told.code == 1, told
    return told.json


def reasons(report: Any) -> list[str]:
    return [row["reason"] for row in report["failed_links"]] + [row["flaw"] for row in report["failed_logins"]]


@pytest.mark.parametrize("title", WAYS)
def test_failing_phone_is_explained(phones: Stage, runner: asyncio.Runner, title: str) -> None:
    """The server has started again: it remembers no other phone."""
    user, way = WAYS[title]

    async def play() -> Any:
        await phones.kill(FE1)
        await phones.network.start(FE1)
        async with asyncio.timeout(PATIENCE_S), way(phones):
            while not reasons(report := await explained(phones, user)):
                await asyncio.sleep(LOOK_AGAIN_S)
        return report

    report = runner.run(play())
    remedies = [remedy for remedy in report["remedies"] if not remedy.startswith("run this command on")]
    seen = ["; ".join(reasons(report)), "; ".join(remedies)]
    if WRITES in os.environ:
        TABLE.write(title, *seen)
    assert TABLE.rows()[title] == seen


def test_page_has_each_failing_phone() -> None:
    assert set(TABLE.rows()) == set(WAYS)
    assert len(WAYS) >= len(MAKES)
