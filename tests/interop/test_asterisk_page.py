"""The lines of the page about Asterisk, typed as a newcomer does: then calls pass in both directions."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from interop.asterisk import Asterisk
from sipmesh.client.dialog import Dialog
from sipmesh.demo.ports import HOST, free_port
from support.checkout import DOCS
from support.descriptions import SDES, SDP
from support.peer import Peer
from support.talking import inside_of
from support.trunks import build_trunk

pytestmark = [pytest.mark.peer("asterisk"), pytest.mark.wide]

PAGE = (DOCS / "howto" / "asterisk.md").read_text()
FE, GATE, PBX = "fe1.example.com", "gate1.example.com", "pbx.branch.com"
ALICE, OF_PBX = "+493012345", "+4989123456"
LINES = 5
MORE = ("--address", HOST, "--crl", "partners/issuing.crl")
"""What the page says for a name that is not in DNS, and for an issuing CA below the root."""
OFFER = [("content-type", SDP)]


def blocks(language: str) -> list[str]:
    """The blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def with_places(text: str, places: dict[str, str]) -> str:
    """The configuration with the places of this test in it; each place has to be there."""
    for example, here in places.items():
        assert example in text, example
        text = text.replace(example, here)
    return text


@pytest.fixture(name="organisation")
def _organisation(tmp_path: Path) -> Organisation:
    """An organisation as `sipmesh init` makes it, with alice."""
    folder = tmp_path / "example.com"
    assert sipmesh("init", "example.com", "--dir", folder).code == 0
    organisation = Organisation(folder)
    organisation.choose_ports(whole=False)
    organisation.publish("ports that are free")
    organisation.add_user("alice")
    return organisation


def typed(organisation: Organisation, line: str, *more: str) -> None:
    """Type a line of the page."""
    done = organisation.type(*shlex.split(line)[1:], *more)
    assert done.code == 0, done.out + done.err


def test_five_lines_of_the_page_connect_asterisk(
    organisation: Organisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports and addresses are those of this machine. Asterisk answers the number itself: it has no telephone here."""
    of_pbx, port, rtp = build_trunk(tmp_path / "pbx", PBX), free_port(), free_port()
    monkeypatch.chdir(organisation.folder)
    below = organisation.folder / "partners"
    below.mkdir(exist_ok=True)
    (below / "pbx-root.pem").write_bytes(of_pbx.root.read_bytes())
    for name, crl in zip(("pbx.crl", "issuing.crl"), of_pbx.lists, strict=True):
        (below / name).write_bytes(Path(crl).read_bytes())
    five = blocks("sh")[0].splitlines()
    assert len(five) == LINES
    add_pool, apply, partner_add, alias_add, serve = five
    typed(organisation, add_pool)
    ports = {"server": free_port(), "partner": free_port()}
    text = organisation.file.read_text()
    given = f", ports: {{server: {ports['server']}, partner: {ports['partner']}}}"
    text, found = re.subn(rf"({re.escape(GATE)}, address: {HOST})(, ports: {{[^}}]*}})?", rf"\1{given}", text)
    assert found == 1
    organisation.file.write_text(text)
    organisation.serve_together("mgmt.example.com", FE)
    try:
        typed(organisation, apply)
        typed(organisation, with_places(partner_add, {f"{PBX}:5061": f"{PBX}:{port}"}), *MORE)
        typed(organisation, alias_add)
        organisation.serve_together(*shlex.split(serve)[2:])
        chain, key = of_pbx.credentials(PBX)
        pjsip, extensions = blocks("ini")
        settings = {
            "name": PBX, "chain": chain, "key": key, "anchor": organisation.root, "caller": "", "rtp": rtp, "rtp_end": rtp + 40,
            "gateway_name": "gw.example.com", "endpoint": "", "verify": "yes", "aor": "", "more": "",
        }  # fmt: skip
        asterisk = Asterisk(tmp_path / "asterisk", port, **settings)
        at_gateway = f"gw.example.com:{ports['partner']}"
        keys = "/etc/asterisk/keys/"
        places = {
            "bind=0.0.0.0:5061": f"bind=127.0.0.1:{port}",
            f"{keys}pbx.branch.com.pem": str(chain),
            f"{keys}pbx.branch.com.key": str(key),
            f"{keys}example-root.pem": str(organisation.root),
            "gw.example.com:5061": at_gateway,
            "qualify_frequency=30": "qualify_frequency=2",
            "match=gw.example.com": f"match={HOST}",
        }
        (tmp_path / "asterisk/etc/pjsip.conf").write_text(with_places(pjsip, places))
        answers = {"Dial(PJSIP/${EXTEN:5},30)": "Answer()\n same => n,Echo()"}
        (tmp_path / "asterisk/etc/extensions.conf").write_text(with_places(extensions, answers))
        asyncio.run(both_ways(asterisk, organisation.ports[f"{FE} client"]))
    finally:
        organisation.stop()


async def both_ways(asterisk: Asterisk, port: int) -> None:
    """Alice calls a number of Asterisk, and Asterisk calls hers."""
    async with asyncio.timeout(120), asterisk, await Peer.open((HOST, port), "alice@example.com") as alice:
        assert (await alice.register()).status == 200
        await asterisk.logged("is now Reachable")
        sender = f"<sip:alice@example.com>;tag={alice.tag}"
        await alice.send(invite := alice.request("INVITE", f"tel:{OF_PBX}", OFFER, SDES, sender=sender))
        final = await alice.final()
        assert final.status == 200, final
        dialog = Dialog.of_caller(invite, final)
        await alice.send(inside_of(dialog, alice, "ACK"))
        await alice.send(inside_of(dialog, alice, "BYE"))
        assert (await alice.final(method="BYE")).status == 200
        await asterisk.calls(ALICE)
        came = await alice.request_in("INVITE")
        assert came.from_.uri == f"sip:{OF_PBX}@{PBX}"
        await alice.reply(came, 200, OFFER, SDES)
        assert (await alice.request_in("ACK")).method == "ACK"
        await alice.send(inside_of(Dialog.of_callee(came, alice.tag), alice, "BYE"))
        assert (await alice.final(method="BYE")).status == 200
