"""From an invitation to a call with real phones: no file is typed, and no phone has the password of its user."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.baresip import CONFIG, MODULES, NO_PLAYER, Baresip
from interop.chromium import Chromium
from interop.hosts_file import require_namespaces
from interop.linphone import LOOK_AGAIN_S, PATIENCE_S, Linphone
from interop.phone_page import PhonePage
from interop.pjsua import Pjsua
from interop.web_phones import ALICE, BOB, PACKETS, dials, has_audio, speaks
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.demo.web import MGMT
from sipmesh.sip.digest import Algorithm
from support.invited import Invitee, invited, sipmesh
from support.web_peer import web_address

pytestmark = pytest.mark.peer("baresip")


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """example.test with management, and with no user whose password a phone of these tests knows."""
    network = runner.run(DemoNetwork.build(tmp_path_factory.mktemp("n"), web=True))
    network.example.add_users("emil", algorithms=(Algorithm.MD5,))  # for baresip 1.1.0, which knows no other
    for server in (FE1, FE2, MGMT):
        network.dns.records[server, "A"] = ["127.0.0.1"]
    runner.run(network.start(MGMT, FE1, FE2))
    yield network
    runner.run(network.stop())


async def taken(network: DemoNetwork, user: str, client: str, *options: str) -> str:
    """Invite a user, and take the invitation as a person does who chooses this client; gives the file or the page."""
    link = await invited(network.example.file, user, *options)
    async with Invitee(network.example.root) as person:
        assert (await person.get(link)).status == 200
        answer = await person.take(link, client)
    assert answer.status == 200, answer.text
    return answer.text


class InvitedBaresip(Baresip):
    """baresip on a machine without a sound card, whose configuration is there before the script of an invitation runs."""

    def __init__(self, folder: Path, user: str, script: str, dns: str) -> None:
        self._script, self._dns = script, dns
        super().__init__(folder, user, "", "example.test", "")

    def _write(self, password: str, server: str, **_settings: Any) -> None:  # noqa: ARG002 - the script has both
        self.folder.mkdir(parents=True)
        modules = next((path for path in MODULES if Path(path).is_dir()), MODULES[0])
        config = CONFIG.format(
            anchor="/nowhere.pem", transport="tls", source="ausine,440", player=NO_PLAYER,
            folder=self.folder, dns=self._dns, modules=modules, control=self.control, mux="no", more="", device="",
        )  # fmt: skip
        (self.folder / "config").write_text(config)
        script = self.folder / "baresip.sh"
        script.write_text(self._script)
        subprocess.run(["sh", str(script), str(self.folder)], check=True, capture_output=True)


async def baresip(network: DemoNetwork, user: str) -> InvitedBaresip:
    """A phone that has taken an invitation of *user*."""
    script = await taken(network, user, "baresip")
    folder = network.folder / f"b-{user}-{len(list(network.folder.iterdir()))}"
    return InvitedBaresip(folder, user, script, network.dns.setting)


async def devices(network: DemoNetwork, user: str) -> dict[str, str]:
    """The clients of the devices of a user, by their names."""
    found = json.loads(await sipmesh(network.example.file, "user", "devices", user, "--json"))
    return {one["name"]: one["client"] for one in found}


@pytest.mark.wide
def test_baresip_calls_baresip_after_their_invitations(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """A device that is revoked loses its link; the phone of the other user stays."""

    async def play() -> None:
        async with await baresip(network, "emil") as emil, await baresip(network, "carol") as carol:
            await emil.registered()
            await carol.registered()
            await call(emil, carol, "carol")
            assert await devices(network, "carol") == {"baresip": "baresip"}
            await sipmesh(network.example.file, "user", "devices", "carol", "--revoke", "baresip")
            await carol.event("REGISTER_FAIL")
            await emil.registered()

    runner.run(play())


async def answered(phone: Baresip) -> None:
    """Answer as a person does."""
    await phone.event("CALL_INCOMING")
    await phone.command("accept")
    await phone.event("CALL_ESTABLISHED")


async def call(caller: Baresip, callee: Baresip, user: str) -> None:
    """Call, hear, and hang up."""
    await caller.command("dial", f"sip:{user}@example.test")
    await answered(callee)
    await caller.event("CALL_ESTABLISHED")
    await caller.hears(20)
    await caller.command("hangup")
    await callee.event("CALL_CLOSED")


SHOWN = 8_000
"""Characters of a log in the report of a failure."""


class InvitedLinphone(Linphone):
    """linphone on a machine whose configuration names only the root and the address of the invitation."""

    def __init__(self, folder: Path, user: str, url: str, root: Path) -> None:
        super().__init__(folder, user, "", "example.test", FE1, anchor=root)
        (folder / "rc").write_text(MACHINE.format(root=root, url=url))

    async def registered(self) -> None:
        """Wait until the account is registered: the daemon has no number for an account that it has fetched."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while "to [LinphoneRegistrationOk]" not in self.log:
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            pytest.fail(f"linphone is not registered; the end of its log:\n{self.log[-SHOWN:]}")

    def names(self) -> tuple[str, ...]:
        """Give the names that the hosts file of its machine has."""
        return FE1, FE2, MGMT


MACHINE = """\
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
root_ca={root}
use_ipv6=0
register_only_when_network_is_up=0
[net]
firewall_policy=nopolicy
dns_srv_enabled=0
[rtp]
audio_rtp_port=-1
[misc]
config-uri={url}
"""


@pytest.mark.wide
@pytest.mark.peer("linphone")
def test_linphone_calls_baresip_after_their_invitations(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """Linphone fetches its account itself, once."""
    require_namespaces()

    async def play() -> None:
        page = await taken(network, "alice", "linphone")
        [url] = re.findall('<code id="url">([^<]+)</code>', page)
        folder = network.folder / f"l{len(list(network.folder.iterdir()))}"
        async with InvitedLinphone(folder, "alice", url, network.example.root) as alice:
            await alice.registered()
            async with await baresip(network, "emil") as emil:
                await emil.registered()
                await alice.command("call sip:emil@example.test")
                await answered(emil)
                await alice.talk()
                await emil.hears(20)
                await emil.command("hangup")
        async with Invitee(network.example.root) as another:
            assert (await another.get(url)).status == 404

    runner.run(play())
    assert runner.run(devices(network, "alice"))["linphone"] == "linphone"


@pytest.mark.peer("pjsua2")
def test_pjsip_calls_baresip_after_their_invitations(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """The attributes of PJSUA2 are set as the JSON names them."""
    require_namespaces()

    async def play() -> None:
        content = json.loads(await taken(network, "bob", "pjsip"))
        folder = network.folder / f"p{len(list(network.folder.iterdir()))}"
        async with Pjsua.provisioned(folder, content) as bob, await baresip(network, "emil") as emil:
            await bob.registered()
            await emil.registered()
            await bob.do("call", uri="sip:emil@example.test")
            await answered(emil)
            await bob.hears(20)
            await emil.hears(20)
            await bob.do("hang_up")

    runner.run(play())
    assert runner.run(devices(network, "bob"))["pjsip"] == "pjsip"


def test_root_package_of_linux_installs_the_root_that_was_compared(
    network: DemoNetwork, runner: asyncio.Runner, tmp_path: Path
) -> None:
    """A wrong answer to the question installs nothing."""

    async def play() -> str:
        link = await invited(network.example.file, "alice")
        async with Invitee(network.example.root) as person:
            return (await person.get(f"{link.partition('/i/')[0]}/trust/root.sh")).text

    script = tmp_path / "root.sh"
    script.write_text(runner.run(play()))
    for answer in ("n\n", "y\n"):
        made = tmp_path / answer.strip()
        ran = subprocess.run(
            ["sh", str(script)], input=answer, env={"DESTDIR": str(made), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        installed = [file.read_text() for file in made.rglob("*.crt")]
        assert (ran.returncode == 0, installed) == (
            answer == "y\n",
            [network.example.root.read_text()] * (answer == "y\n"),
        )


async def at(page: PhonePage, place: str) -> None:
    """Wait until the browser is at a page of this server and path."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await page.evaluate("location.host + location.pathname") == place:
                    return
            except RuntimeError:  # the page before has just ended
                pass
            await asyncio.sleep(LOOK_AGAIN_S)


async def web_phone(network: DemoNetwork, browser: Chromium, user: str, link: str) -> PhonePage:
    """Open an invitation in the browser and take it with one click; gives the web phone, which is logged in then."""
    page = await PhonePage.open(browser, link)
    assert await page.text("user") == f"{user}@example.test"
    await page.press("web")
    await at(page, f"{FE1}:{web_address(network.example, FE1)[1]}/phone")
    await page.shows("phone", f"{user}@example.test")
    assert await page.evaluate("location.hash") == ""
    assert await page.evaluate("document.getElementById('password').value") == ""
    return page


@pytest.mark.soak
@pytest.mark.peer("chromium", "certutil", "npm")
def test_web_phones_open_logged_in_with_one_click_and_write_and_call(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """Neither the address of the page nor the link has a secret that counts afterwards."""

    async def play() -> None:
        links = {user: await invited(network.example.file, user) for user in ("alice", "bob")}
        async with Chromium(network.folder / "chromium", network.example.root, (FE1, FE2, MGMT)) as browser:
            alice, bob = [await web_phone(network, browser, user, link) for user, link in links.items()]
            async with await baresip(network, "emil") as emil:
                await emil.registered()
                await alice.add_contact("emil@example.test")
                await alice.choose("emil@example.test")
                await alice.write("hello from an invitation")
                await emil.event("MESSAGE")
            await dials(alice, "bob")
            await bob.shows("incoming", ALICE)
            await bob.press("answer")
            await speaks(alice, BOB)
            figures = await alice.media(PACKETS)
            assert has_audio(figures), figures
            await alice.press("hang-up")
            await bob.until("document.getElementById('call').hidden")
            async with Invitee(network.example.root) as another:
                for link in links.values():
                    assert (await another.take(link, "web")).status == 404
        for user in links:
            assert "web" in await devices(network, user)

    runner.run(play())
