"""What the servers on the machine of management know: devices, verdicts, and the verdict on one link."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop, until

ALICE = "alice@example.test"


def as_on_one_machine(network: Managed) -> None:
    """Let the control socket of the front end be beside that of management, as on one machine."""
    ours, theirs = (network.folder(name) / "state" for name in (MGMT, FE1))
    (ours / f"{FE1}.sock").symlink_to(theirs / f"{FE1}.sock")


@on_loop
@pytest.mark.wide
async def test_devices_of_users_and_verdicts_on_their_links_are_shown_as_they_are_now(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await network.start(FE1)
        as_on_one_machine(network)
        await network.acknowledged(1)
        await viewer.log_in("viewer")
        assert ALICE not in (await viewer.get("/registrations")).text
        await network.agent("alice", FE1)
        shown = await viewer.get("/registrations")
        assert (ALICE in shown.text, FE1 in shown.text) == (True, True)
        devices = (await viewer.get("/api/v1/registrations")).json
        assert ([row["user"] for row in devices["bindings"]], devices["servers"]) == ([ALICE], [FE1])
        known = (await viewer.get("/api/v1/user?user=alice")).json
        [server] = [row for row in known["servers"] if row["server"] == FE1]
        assert [row["user"] for row in server["bindings"]] == [ALICE]
        assert TLS in (await viewer.get(f"/users/{ALICE}")).text
        await _links_are_explained(viewer)


TLS = "TLSv1.3"


async def _links_are_explained(viewer: Visitor) -> None:
    verdicts = (await viewer.get("/api/v1/verdicts")).json["verdicts"]
    link = next(row for row in verdicts if row["server"] == FE1 and row["code"] == "accepted")
    explained = await viewer.get(f"/api/v1/explain?id={link['link']}&server={FE1}")
    assert explained.json["verdict"]["code"] == "accepted"
    assert "accepted" in (await viewer.get(f"/links/{FE1}/{link['link']}")).text
    for server in ("evil.test", "../../etc/passwd", f"../state/{FE1}"):
        refused = await viewer.get("/api/v1/explain", params={"id": link["link"], "server": server})
        assert (refused.status, "does not run on the machine" in refused.json["error"]) == (409, True)


@on_loop
async def test_refused_peer_is_the_newest_verdict_with_a_remedy(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        await network.peer(MGMT, f"{MGMT}.signer")
        gatekeeper = network.nodes[MGMT].gatekeeper
        await until(lambda: any(True for _ in gatekeeper.refused()))
        newest = (await viewer.get("/api/v1/verdicts")).json["verdicts"][0]
        assert (newest["server"], newest["code"], newest["link"]) == (MGMT, "role-not-allowed", "")
        assert newest["remedies"]
        assert "role-not-allowed" in (await viewer.get("/verdicts")).text


@on_loop
async def test_page_that_loads_itself_again_does_not_keep_the_session_and_works_without_a_script(
    tmp_path: Path,
) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        shown = (await viewer.get("/verdicts")).text
        assert '<noscript><meta http-equiv="refresh" content="10; url=/verdicts?refresh=1"></noscript>' in shown
        assert (await viewer.get("/verdicts?refresh=1")).status == 200
