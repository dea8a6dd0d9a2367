"""The pages of invitations, over real TLS: what the invited person gets, and what each attacker does not."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.invitations import taking
from sipmesh.server.provisioning.client_kind import CHOICES, ClientKind
from sipmesh.storage.users.device_accounts import DeviceAccounts
from support.console import Visitor
from support.invited import Answer
from support.management_with_invitations import devices, invite, invitee, management_with_invitations
from support.running import on_loop
from support.tiers import wide_after

NOT_OPEN = "This link is not valid"
RACERS = 4
MAC = "00:15:65:AA:BB:CC"
DESK = {"yealink": "001565aabbcc.cfg", "snom": "001565aabbcc.xml", "cisco": "001565AABBCC.xml"}


def refused(answer: Answer) -> bool:
    """Tell whether the answer has no account, no user and no reason."""
    return answer.status == 404 and NOT_OPEN in answer.text and "alice" not in answer.text


@on_loop
async def test_mail_scanners_that_open_the_link_do_not_use_it_up(tmp_path: Path) -> None:
    """Neither does a scanner that asks for the header alone, or that follows each link of the page."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as scanner, invitee(network) as alice:
        link = await invite(network)
        for _ in range(3):
            page = await scanner.get(link)
            assert (page.status, "alice@example.test" in page.text) == (200, True)
        await scanner.ask("HEAD", link)
        for found in re.findall('href="([^"]+)"', page.text):
            assert (await scanner.get(f"{link.partition('/i/')[0]}{found}")).status == 200
        assert await devices(network) == []
        assert json.loads((await alice.take(link, "json")).text)["account"]["auth_username"] == "alice+json"


@pytest.mark.parametrize("client", wide_after(2, [kind for kind in CHOICES if kind is not ClientKind.WEB]))
@on_loop
async def test_link_is_worth_nothing_after_its_use(tmp_path: Path, client: str) -> None:
    """As from the log of a proxy, or from the history of the browser."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as alice, invitee(network) as eve:
        link = await invite(network)
        assert (await alice.take(link, "web")).status == 400  # these front ends have no web phone: nothing is used up
        assert (await alice.take(link, client)).status == 200
        for later in (await eve.get(link), await eve.take(link, client), await eve.take(link, "json")):
            assert refused(later), later


@on_loop
async def test_of_requests_at_the_same_instant_one_gets_the_account(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as client:
        link = await invite(network)
        answers = await asyncio.gather(*(client.take(link, "json") for _ in range(RACERS)))
        assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
        assert await devices(network) == ["json"]


@on_loop
async def test_ticket_of_linphone_is_used_once_and_for_linphone_only(tmp_path: Path) -> None:
    """It is in the page after the form, and not in the link that the operator has sent."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as alice, invitee(network) as eve:
        link = await invite(network)
        page = await alice.take(link, "linphone")
        [url] = re.findall('<code id="url">([^<]+)</code>', page.text)
        ticket = url.split("/")[-2]
        assert ticket not in link
        base = link.partition("/i/")[0]
        others = [await eve.get(f"{base}/i/{ticket}"), await eve.take(f"{base}/i/{ticket}", "json")]
        others += [await eve.get(f"{base}/d/{ticket}/001565aabbcc.cfg")]
        assert all(map(refused, others)), others
        assert await devices(network) == []
        assert "alice+linphone" in (await alice.get(url)).text
        assert refused(await eve.get(url))


@on_loop
async def test_another_site_cannot_make_a_browser_take_an_invitation(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as browser:
        link = await invite(network)
        answer = await browser.take(link, "json", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 403
        assert (await browser.take(link, "json", headers={"Sec-Fetch-Site": "same-origin"})).status == 200


@pytest.mark.parametrize("kind", wide_after(2, [*DESK, "polycom"]))
@on_loop
async def test_desk_phone_gets_its_file_by_secret_and_mac_together_once(tmp_path: Path, kind: str) -> None:
    """A stranger who tries MAC addresses, or who has the link without the MAC address, gets nothing and uses up nothing."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as phone, invitee(network) as eve:
        link = await invite(network, client=kind, mac=MAC)
        base, mine = link[: link.rindex("/") + 1], DESK.get(kind, "001565aabbcc.cfg")
        other_secret = f"{base.partition('/d/')[0]}/d/{'A' * 32}/"
        tried = [f"{base}001565aabbcd{mine[12:]}", f"{base}y000000000000.cfg", f"{other_secret}{mine}"]
        tried += [f"{base.partition('/d/')[0]}/i/{base.split('/')[-2]}"]
        for url in tried:
            assert refused(await eve.get(url)), url
        assert refused(await eve.take(tried[-1], "json"))
        assert (await eve.get(base)).status == 404
        answer = await phone.get(f"{base}{mine}")
        if kind == "polycom":
            [second] = re.findall('CONFIG_FILES="([^"]+)"', answer.text)
            answer = await phone.get(second)
            assert refused(await eve.get(second))
        assert answer.status == 200
        assert f"alice+{kind}" in answer.text
        assert refused(await eve.get(f"{base}{mine}"))
        assert await devices(network) == [kind]


@pytest.mark.parametrize("end", ["remove", "disable", "revoke"])
@on_loop
async def test_invitation_ends_with_its_user_and_by_an_operator(tmp_path: Path, end: str) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        invitee(network) as phone,
    ):
        link = await invite(network)
        listed = (await operator.ask("GET", "/api/v1/user/devices", params={"user": "alice"})).json["invitations"]
        if end == "revoke":
            path, given = "/api/v1/user/invitation/revoke", {"id": listed[0]["id"]}
        else:
            path, given = f"/api/v1/user/{end}", {"user": "alice"}
        assert (await operator.ask("POST", path, json=given)).status == 200
        assert refused(await phone.get(link))
        assert refused(await phone.take(link, "json"))
        assert (await phone.take(await invite(network, "bob"), "json")).status == 200


@pytest.mark.parametrize("end", ["remove", "disable"])
@on_loop
async def test_file_of_a_desk_phone_ends_with_its_user(tmp_path: Path, end: str) -> None:
    """Also for the phone with the right secret and MAC address; the phone of another user gets its file."""
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        invitee(network) as phone,
    ):
        links = [await invite(network, user, client="yealink", mac=MAC) for user in ("alice", "bob")]
        mine, other = (f"{link[: link.rindex('/') + 1]}{DESK['yealink']}" for link in links)
        assert (await operator.ask("POST", f"/api/v1/user/{end}", json={"user": "alice"})).status == 200
        assert refused(await phone.get(mine))
        answer = await phone.get(other)
        assert (answer.status, "bob+yealink" in answer.text) == (200, True)


@on_loop
async def test_late_invitation_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        """The clock of the pages, an hour on."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 3600, tz)

    async with management_with_invitations(tmp_path) as network, invitee(network) as phone:
        link, longer = await invite(network, hours=1), await invite(network, hours=2)
        monkeypatch.setattr(taking, "datetime", Later)
        assert refused(await phone.take(link, "json"))
        assert (await phone.take(longer, "json")).status == 200


@on_loop
async def test_invitation_for_a_network_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network, "127.0.0.2") as eve,
        invitee(network) as alice,
    ):
        link = await invite(network, network="127.0.0.1/32")
        assert refused(await eve.get(link))
        assert refused(await eve.take(link, "json"))
        assert (await alice.take(link, "json")).status == 200


@on_loop
async def test_viewer_may_not_invite_and_an_operator_may(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network:
        for token, status in (("vera-token", 403), ("otto-token", 200)):
            async with Visitor(network, token) as visitor:
                answer = await visitor.ask("POST", "/api/v1/user/invite", json={"user": "alice"})
            assert answer.status == status
            assert ("link" in answer.text) == (status == 200)


@on_loop
async def test_audit_api_log_and_files_have_no_secret_afterwards(tmp_path: Path) -> None:
    """A security officer reads all that there is: neither the link nor the password is in it."""
    async with (
        management_with_invitations(tmp_path) as network,
        Visitor(network, "sona-token") as officer,
        invitee(network) as phone,
    ):
        taken, still_open = await invite(network), await invite(network, device="second")
        account = json.loads((await phone.take(taken, "json")).text)["account"]
        await phone.get(taken)
        page = await phone.take(await invite(network), "linphone")
        [url] = re.findall('<code id="url">([^<]+)</code>', page.text)
        hidden = [taken.rpartition("/")[2], still_open.rpartition("/")[2], url.split("/")[-2], account["password"]]
        audit = (await officer.ask("GET", "/api/v1/audit")).text
        assert all(word in audit for word in ('"invitation"', '"device"', "127.0.0.1"))
        read = [audit, (await officer.ask("GET", "/api/v1/user/devices", params={"user": "alice"})).text]
        files = [file for folder in (tmp_path / "o", tmp_path / "s") for file in folder.rglob("*") if file.is_file()]
        read += [file.read_bytes().decode("latin-1") for file in files]
        assert len(read) > 10
        assert not [secret for secret in hidden for text in read if secret in text]


@on_loop
async def test_what_keeps_an_account_from_being_made_is_not_told_to_a_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The invitation stays open: on another host of a management pool, or once the database answers again, it counts."""

    def fails(*_: object, **__: object) -> None:
        raise OperatorError("the leader is mgmt2.example.test")

    async with management_with_invitations(tmp_path) as network, invitee(network) as phone:
        link = await invite(network)
        with monkeypatch.context() as patched:
            patched.setattr(DeviceAccounts, "take", fails)
            answer = await phone.take(link, "json")
            assert (answer.status, "mgmt2" in answer.text) == (503, False)
        assert (await phone.take(link, "json")).status == 200


@on_loop
async def test_form_with_another_choice_than_that_of_the_invitation_is_refused(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as phone:
        link = await invite(network, client="baresip")
        for wrong in ("json", "yealink", "", "../x"):
            answer = await phone.take(link, wrong) if wrong else None
            assert answer is None or answer.status == 400
        assert 'value="json"' not in (await phone.get(link)).text
        assert (await phone.take(link, "baresip")).text.startswith("#!/bin/sh")


@on_loop
async def test_each_package_with_our_root_is_public(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as anybody:
        base = (await invite(network)).partition("/i/")[0]
        page = (await anybody.get(f"{base}/")).text
        found = re.findall('href="(/trust/[^"]+)"', page)
        assert len(found) == 6
        for path in found:
            answer = await anybody.get(f"{base}{path}")
            assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
        for path in ("/trust/root.key", "/trust/..%2Fca%2Froot.key", "/login", "/api/v1/users", "/static/console.css"):
            assert (await anybody.get(f"{base}{path}")).status == 404
