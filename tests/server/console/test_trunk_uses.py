"""The page of a trunk says what is used of its bounds at each gateway, and that of an application what it is used for."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipmesh.demo.organisation import PoolPlan
from sipmesh.server.replication.server_status import ApplicationUse, CallerUse, Neighbour, ServerStatus, TrunkUse
from sipmesh.trust.role import Role
from support.console import Visitor, management_with_console
from support.network import BOT, FE1, POOL
from support.running import on_loop
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, build_trunk


@on_loop
async def test_page_of_a_trunk_shows_its_channels_and_failures_and_a_partner_has_none(tmp_path: Path) -> None:
    gateway = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL, "rtpengine": 2223})
    async with management_with_console(tmp_path, gateway) as network, Visitor(network) as viewer:
        played, below = build_trunk(tmp_path / "t", PROVIDER), network.organisation.folder / "partners"
        below.mkdir()
        shutil.copyfile(played.root, below / "root.pem")
        files = [below / f"{number}.crl" for number, _ in enumerate(played.lists)]
        for file, crl in zip(files, played.lists, strict=True):
            shutil.copyfile(crl, file)
        entry: dict[str, Any] = {
            "address": "127.0.0.1",
            "anchors": ["partners/root.pem"],
            "crls": [f"partners/{file.name}" for file in files],
            "third_party": True,
        }
        trunk: dict[str, Any] = {"gateway": GATEWAYS, "carries": ["+"], "channels": 30, "minutes": 600}
        partners = [
            entry | {"domains": [PROVIDER], "edge": PROVIDER, "trunk": trunk},
            entry | {"domains": ["partner.test"], "edge": "sip.partner.test"},
        ]
        federation = {"partners": partners, "networks": ["127.0.0.0/8"], "route": "sip.example.test"}
        await network.publish(lambda document: document.update(federation=federation), force=True)
        used = TrunkUse(trunk=PROVIDER, calls=7, fails=True, minutes=411)
        most = {"most_calls": 3, "most_minutes": 100, "most_countries": 5}
        caller = CallerUse(user="alice@example.test", calls=2, minutes=60, countries=4, **most)
        reports = network.master.reports
        reports.record(GATEWAY, ServerStatus(number=2, trunks=(used,), callers=(caller,)), datetime.now(UTC), 2)
        await viewer.log_in("viewer")
        shown = (await viewer.get(f"/partners/{PROVIDER}")).text
        bounds = ("7 of 30", "411 of 600", "2 of 3", "60 of 100", "4 of 5", 'href="/users/alice%40example.test"')
        for wanted in (*bounds, "calls go to other trunks first", GATEWAY, "240 min"):
            assert wanted in shown, wanted
        assert ("as phones and trunk agree" in shown, "media in the clear" in shown) == (True, False)
        trunk["keying"] = "none"
        await network.publish(lambda document: document.update(federation=federation), force=True)
        assert "media in the clear" in (await viewer.get(f"/partners/{PROVIDER}")).text
        other = (await viewer.get("/partners/partner.test")).text
        assert "Channels in use" not in other
        assert "no link now" in (await viewer.get("/partners")).text


@on_loop
async def test_page_of_an_application_says_who_it_is_and_what_it_is_used_for(tmp_path: Path) -> None:
    """A name that is no application has no such page."""
    entry = {"next_hop": POOL, "sip_addresses": ["echo@example.test"], "numbers": ["+49301234"], "public": True}
    application = PoolPlan(BOT, Role.APPLICATION, (BOT,), entry)
    async with management_with_console(tmp_path, application) as network, Visitor(network) as viewer:
        link = Neighbour(peer=BOT, kind="server", tls="TLSv1.3", certificate_ends=datetime(2027, 3, 4, tzinfo=UTC))
        use = ApplicationUse(application=BOT, calls=3, called=1_204, mailboxes=17)
        report = ServerStatus(number=1, applications=(use,), neighbours=(link,))
        network.master.reports.record(FE1, report, datetime.now(UTC), 1)
        await viewer.log_in("operator")
        shown = (await viewer.get(f"/applications/{BOT}")).text
        told = ("echo@example.test", "+49301234", "2027-03-04", "1,204", '<td data-label="Mailboxes">17', "TLSv1.3")
        for wanted in (*told, "each side accepts the other", "/calls?user=echo%40example.test&amp;kind=up"):
            assert wanted in shown, wanted
        assert f'href="/applications/{BOT}"' in (await viewer.get("/status")).text
        assert f'href="/applications/{BOT}"' in (await viewer.get(f"/search?q={BOT}")).text
        assert (await viewer.get(f"/applications/{FE1}")).status == 404
