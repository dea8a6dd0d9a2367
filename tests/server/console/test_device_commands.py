"""Invitations and devices in the console and its API: an operator changes them, a viewer reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.console import Visitor, management_with_console
from support.management_with_invitations import devices, invite, invitee, management_with_invitations
from support.network import FE1
from support.running import on_loop, until
from support.tiers import wide_after

ALICE = {"user": "alice"}
CHANGES = (
    ("user/invite", ALICE),
    ("user/invitation/revoke", {"id": "0"}),
    ("user/device/revoke", {**ALICE, "device": "json"}),
    ("user/device/password", {**ALICE, "device": "json"}),
    ("user/invite-all", {"table": "user\nalice\n"}),
)


@pytest.mark.parametrize(("path", "given"), CHANGES)
@on_loop
async def test_viewer_may_not_change_invitations_or_devices(tmp_path: Path, path: str, given: dict[str, str]) -> None:
    async with management_with_invitations(tmp_path) as network:
        for token, allowed in (("vera-token", False), ("otto-token", True)):
            async with Visitor(network, token) as visitor:
                status = (await visitor.ask("POST", f"/api/v1/{path}", json=given)).status
            assert (status == 403) is not allowed, status


@on_loop
async def test_device_is_revoked_by_an_operator_and_another_one_stays(tmp_path: Path) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        invitee(network) as phone,
    ):
        for device in ("desk", "mobile"):
            assert (await phone.take(await invite(network, device=device), "json")).status == 200
        revoked = await operator.ask("POST", "/api/v1/user/device/revoke", json={**ALICE, "device": "desk"})
        assert (revoked.status, revoked.json["what"]) == (200, "without the device desk")
        assert await devices(network) == ["mobile"]
        again = await operator.ask("POST", "/api/v1/user/device/revoke", json={**ALICE, "device": "desk"})
        assert (again.status, "sipmesh user devices alice" in again.text) == (409, True)


@pytest.mark.parametrize(
    "given",
    wide_after(2, [{"client": "yealink"}, {"mac": "001565aabbcc"}, {"hours": 0}, {"hours": 721}, {"client": "fax"}]),
)
@on_loop
async def test_wrong_parameters_are_refused(tmp_path: Path, given: dict[str, object]) -> None:
    async with management_with_invitations(tmp_path) as network, Visitor(network, "otto-token") as operator:
        answer = await operator.ask("POST", "/api/v1/user/invite", json={**ALICE, **given})
        assert answer.status == 400, answer.text


@on_loop
async def test_operator_invites_on_the_page_of_the_user_and_sees_the_link_once(tmp_path: Path) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network) as operator,
        invitee(network) as phone,
    ):
        await operator.log_in("operator")
        assert "/user/invite?user=" in (await operator.get("/users/alice@example.test")).text
        await operator.get("/user/invite?user=alice")
        page = (
            await operator.post("/user/invite", user="alice", device="desk", client="", mac="", hours="", network="")
        ).text
        [link] = re.findall('<code id="link">([^<]+)</code>', page)
        assert ("<svg" in page, "Fingerprint" in page or "fingerprint" in page) == (True, True)
        shown = (await operator.get("/users/alice@example.test")).text
        assert (link.rpartition("/")[2] in shown, "/user/invitation/revoke?user=" in shown) == (False, True)
        assert (await phone.take(link, "json")).status == 200
        shown = (await operator.get("/users/alice@example.test")).text
        assert ("json" in shown, "/user/device/revoke?user=" in shown) == (True, True)


@on_loop
async def test_without_pages_the_console_offers_no_invitation(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        answer = await operator.ask("POST", "/api/v1/user/invite", json=ALICE)
        assert (answer.status, "add `invitations:" in answer.text) == (409, True)
        listed = await operator.ask("GET", "/api/v1/user/devices", params=ALICE)
        assert listed.json == {"devices": [], "invitations": [], "seen": {}}


@on_loop
async def test_table_invites_each_row_or_none_and_the_links_are_shown_once(tmp_path: Path) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network) as operator,
        Visitor(network) as viewer,
        invitee(network) as phone,
    ):
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        assert 'href="/user/invite-all"' in (await operator.get("/users")).text
        assert 'href="/user/invite-all"' not in (await viewer.get("/users")).text
        await operator.get("/user/invite-all")
        refused = await operator.post("/user/invite-all", table="user,device\nalice,desk\nmallory,desk\n")
        assert (refused.status, "row 2" in refused.text) == (409, True), refused.text
        async with Visitor(network, "vera-token") as reader:
            found = (await reader.ask("GET", "/api/v1/user/devices", params={"user": "alice"})).json
            assert found["invitations"] == []
        done = await operator.post("/user/invite-all", table="user,device\nalice,desk\nbob,car\n")
        assert (done.status, "2 devices may be set up" in done.text) == (200, True), done.text
        links = re.findall("https://[^,\\s<]+/i/[A-Za-z0-9_-]+", done.text)
        assert [(await phone.take(link, "json")).status for link in links] == [200, 200]
        assert await devices(network, "bob") == ["car"]
        assert (await viewer.post("/user/invite-all", table="user\nalice\n")).status == 403


@on_loop
async def test_operator_makes_a_password_on_the_page_of_the_user_and_its_login_is_shown(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, Visitor(network) as operator:
        await network.start(FE1)
        await operator.log_in("operator")
        await operator.get("/user/device/password?user=alice")
        page = (await operator.post("/user/device/password", user="alice", device="desk")).text
        login, password = re.findall("<dd><code>([^<]+)</code>", page)[:2]
        shown = (await operator.get("/users/alice@example.test")).text
        assert (password in shown, "none known" in shown) == (False, True)
        async with Visitor(network, "otto-token") as program:
            again = await program.ask("POST", "/api/v1/user/device/password", json={**ALICE, "device": "desk"})
            assert (again.status, "already" in again.text) == (409, True)
        await until(lambda: network.nodes[FE1].users.ready)
        phone = await network.phone(FE1, "alice")
        phone.login = login
        assert (await phone.register(password=password)).status == 200
        seen = (await network.ask(FE1, "user", user="sip:alice@example.test"))["logins"]
        assert [(one["device"], one["remote"]) for one in seen] == [("desk", "127.0.0.1")]
