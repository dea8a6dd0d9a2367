"""The portal by a ticket of a real KDC, and by a link of an operator: each attacker, and the right user beside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.scim.scim_store import resource_for
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.invitation import PORTAL_LINK
from sipmesh.storage.users.scim_rows import put_resource
from sipmesh.storage.users.user_database import Users
from support.console import Visitor
from support.invited import invited, ran
from support.kdc import Kdc
from support.managed import MGMT, Managed
from support.management_with_invitations import devices, invite, invitee, management_with_invitations
from support.portal import PortalBrowser
from support.running import on_loop
from support.scim import TOKEN
from support.tickets import header_with_ticket

KERBEROS = "/portal/login/kerberos"
LINK = "/portal/login/link"
REALM = {"realm": "CORP.TEST", "keytab": "secrets/portal.keytab", "domain": "example.test"}


def refusals(network: Managed) -> list[str]:
    """Give why sign-ins were refused."""
    return [str(line["why"]) for line in network.told[MGMT].events("portal refused")]


@asynccontextmanager
async def in_realm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Managed, Kdc]]:
    """A portal for the users of a domain, and its KDC."""
    with Kdc(folder / "kdc") as kdc:
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        async with management_with_invitations(folder) as network:
            secrets = network.organisation.folder / "secrets"
            secrets.mkdir(exist_ok=True)
            kdc.service(f"HTTP/{MGMT}", secrets / "portal.keytab")
            entry = {"kerberos": REALM}
            await network.publish(lambda document: document["invitations"].update(portal=entry))
            yield network, kdc


@asynccontextmanager
async def with_links(folder: Path) -> AsyncIterator[Managed]:
    """A portal that takes links of operators."""
    async with management_with_invitations(folder, portal={"links": True}) as network:
        yield network


async def is_in(browser: PortalBrowser, user: str = "alice@example.test") -> bool:
    page = await browser.get("/portal")
    return page.status == 200 and user in page.text


async def token_for(network: Managed, user: str = "alice", **given: Any) -> str:
    """Have an operator make a link; gives what follows its #."""
    address, _, token = (await invite(network, user, client=PORTAL_LINK, **given)).partition("#")
    assert address.endswith(LINK)
    return token


def adopt(network: Managed, aor: str) -> None:
    """Let SCIM clients write a local user, as an operator does by `sipmesh directory adopt`."""
    users, at = Users(network.organisation.load().users_url), datetime.now(UTC)
    row, entry = resource_for(aor, at)
    DirectoryLinks(users).adopt(entry, at, lambda db: put_resource(db, row))
    users.close()


async def leaf_of(browser: PortalBrowser) -> bytes:
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", browser.port))
    return ssl.PEM_cert_to_DER_cert(pem)


@pytest.mark.peer("kerberos")
@on_loop
async def test_user_signs_in_by_a_ticket_once_and_for_the_own_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied ticket, and a copied session, count for no other browser."""
    async with (
        in_realm(tmp_path, monkeypatch) as (network, kdc),
        PortalBrowser(network) as alice,
        PortalBrowser(network) as thief,
    ):
        kdc.person("alice")
        assert f'href="{KERBEROS}"' in (await alice.get("/portal/login")).text
        asked = await alice.get(KERBEROS)
        assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, "Negotiate")
        header = header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}")
        begun = await alice.get(KERBEROS, headers=header)
        assert (begun.status, begun.headers["WWW-Authenticate"][:10]) == (200, "Negotiate ")
        assert await is_in(alice)
        assert (await thief.get(KERBEROS, headers=header)).status == 403
        assert "replay" in refusals(network)[-1]
        assert not await is_in(thief)
        made = await alice.fill("/portal/device/password", device="desk")
        assert "alice+desk" in made.text
        assert network.master.management_db.audit.read()[-1].who == "alice@example.test (portal)"
        await network.publish(lambda document: document["invitations"].pop("portal"))
        assert not await is_in(alice)
        assert (await alice.get("/portal/login")).status == 404


@pytest.mark.peer("kerberos")
@on_loop
async def test_ticket_of_a_person_without_an_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are that of a machine, of a disabled user, of a service, and what is no ticket; a right one counts after them."""
    async with (
        in_realm(tmp_path, monkeypatch) as (network, kdc),
        PortalBrowser(network) as person,
        Visitor(network, "otto-token") as operator,
    ):
        for name in ("alice", "eve", "bob", "alice/admin", "alice$"):
            kdc.person(name)
        answer = await operator.ask("POST", "/api/v1/user/disable", json={"user": "bob"})
        assert answer.status == 200, answer.text
        for name, why in (
            ("eve", "no account"),
            ("alice$", "no name of a user"),
            ("bob", "disabled"),
            ("alice/admin", "no person"),
        ):
            header = header_with_ticket(kdc, name, tmp_path, f"HTTP/{MGMT}")
            refused = await person.get(KERBEROS, headers=header)
            assert (refused.status, "Set-Cookie" in refused.headers) == (403, False), name
            assert why in refusals(network)[-1]
        for given in ("Negotiate", "Negotiate !", "Basic YTpi", "Negotiate YWJj"):
            assert (await person.get(KERBEROS, headers={"Authorization": given})).status == 403
        assert not await is_in(person)
        header = header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}")
        assert (await person.get(KERBEROS, headers=header)).status == 200
        assert await is_in(person)


@pytest.mark.peer("kerberos")
@on_loop
async def test_person_of_the_domain_with_the_name_of_a_local_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync takes no local user either: an operator says first that both are one person."""
    async with in_realm(tmp_path, monkeypatch) as (network, kdc), PortalBrowser(network) as alice:
        kdc.person("alice")
        scim = {"tokens": [{"name": "entra", "token_sha256": hash_of(TOKEN)}]}
        await network.publish(lambda document: document.update(scim=scim))
        header = header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}")
        assert (await alice.get(KERBEROS, headers=header)).status == 403
        assert "sipmesh directory adopt alice@example.test" in refusals(network)[-1]
        assert not await is_in(alice)
        adopt(network, "sip:alice@example.test")
        header = header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}")
        assert (await alice.get(KERBEROS, headers=header)).status == 200
        assert await is_in(alice)


@pytest.mark.peer("kerberos")
@on_loop
async def test_ticket_for_another_connection_service_or_realm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that names the TLS connection is refused behind another TLS server (RFC 5929)."""
    async with in_realm(tmp_path, monkeypatch) as (network, kdc), PortalBrowser(network) as alice:
        kdc.person("alice")
        kdc.service("HTTP/other.example.test", tmp_path / "other.keytab")
        leaf, other = await leaf_of(alice), network.organisation.root.read_text()
        wrong = [
            header_with_ticket(kdc, "alice", tmp_path, "HTTP/other.example.test"),
            header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}", ssl.PEM_cert_to_DER_cert(other)),
        ]
        with Kdc(tmp_path / "elsewhere", "EVIL.TEST") as evil:
            monkeypatch.setenv("KRB5_CONFIG", evil.environment["KRB5_CONFIG"])
            evil.person("alice")
            evil.service(f"HTTP/{MGMT}", tmp_path / "evil.keytab")
            wrong.append(header_with_ticket(evil, "alice", tmp_path / "evil", f"HTTP/{MGMT}"))
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        for header in wrong:
            assert (await alice.get(KERBEROS, headers=header)).status == 403
        header = header_with_ticket(kdc, "alice", tmp_path, f"HTTP/{MGMT}", leaf)
        assert (await alice.get(KERBEROS, headers=header)).status == 200
        assert await is_in(alice)


@pytest.mark.peer("kerberos")
@on_loop
async def test_name_of_the_realm_counts_in_each_case_for_the_account_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_realm(tmp_path, monkeypatch) as (network, kdc), PortalBrowser(network) as alice:
        kdc.person("Alice")
        header = header_with_ticket(kdc, "Alice", tmp_path, f"HTTP/{MGMT}")
        assert (await alice.get(KERBEROS, headers=header)).status == 200
        assert await is_in(alice)
        await alice.fill("/portal/device/password", device="desk")
        assert network.master.management_db.audit.read()[-1].who == "alice@example.test (portal)"


@on_loop
async def test_link_signs_in_its_user_once(tmp_path: Path) -> None:
    """What a stranger guesses, a used link and another user's account are refused; the link is in no URL that a server gets."""
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice, PortalBrowser(network) as thief:
        token = await token_for(network)
        assert 'id="code"' in (await alice.get(LINK)).text
        for guess in ("", "A" * 32, token[:-1], f"{token}A", token.swapcase()):
            assert (await thief.post(LINK, code=guess)).status == 401
        begun = await alice.post(LINK, code=token)
        assert (begun.status, token in begun.text) == (200, False)
        assert await is_in(alice)
        for browser in (thief, alice):
            assert (await browser.post(LINK, code=token)).status == 401
        assert await is_in(alice)
        assert not await is_in(thief)
        assert (await alice.get("/users")).status == 404
        audited = network.master.management_db.audit.read()[-1]
        assert (audited.who, audited.about["user"]) == ("browser at 127.0.0.1", "alice@example.test")
        assert token not in "".join(map(str, network.told[MGMT].lines))


@on_loop
async def test_right_link_counts_after_any_failures_of_its_address(tmp_path: Path) -> None:
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice:
        token = await token_for(network)
        answers = [401]
        while answers[-1] == 401:
            answers.append((await alice.post(LINK, code="A" * 32)).status)
        assert answers[-1] == 429
        assert 10 <= answers[1:].count(401) < 20  # a minute may end between them
        assert (await alice.post(LINK, code=token)).status == 200


@on_loop
async def test_link_from_another_site_signs_in_nothing(tmp_path: Path) -> None:
    """A form of another site cannot sign a browser in to an account of its choice, and the link is not used up."""
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice:
        token = await token_for(network)
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert (await alice.ask("POST", LINK, data={"code": token}, headers=headers)).status == 403
        assert "data-sends" not in (await alice.get(LINK, headers=headers)).text
        assert (await alice.post(LINK, code=token)).status == 200


@pytest.mark.parametrize("end", ["disable", "remove", "revoke"])
@on_loop
async def test_link_of_a_user_who_leaves_is_worth_nothing(tmp_path: Path, end: str) -> None:
    """Also for an account of the same name that is made afterwards."""
    async with (
        with_links(tmp_path) as network,
        PortalBrowser(network) as person,
        Visitor(network, "otto-token") as operator,
    ):
        token, other = await token_for(network), await token_for(network, "bob")
        if end == "revoke":
            shown = await operator.get("/api/v1/user/devices?user=alice")
            [open_one] = shown.json["invitations"]
            request = ("/api/v1/user/invitation/revoke", {"id": open_one["id"]})
        else:
            request = (f"/api/v1/user/{end}", {"user": "alice"})
        answer = await operator.ask("POST", request[0], json=request[1])
        assert answer.status == 200, answer.text
        if end == "remove":
            added = {"user": "alice", "password": "another-one", "pool": ""}
            assert (await operator.ask("POST", "/api/v1/user/add", json=added)).status == 200
        assert (await person.post(LINK, code=token)).status == 401
        assert (await person.post(LINK, code=other)).status == 200
        assert await is_in(person, "bob@example.test")


@on_loop
async def test_link_to_the_portal_sets_up_no_device_and_that_of_a_device_opens_no_portal(tmp_path: Path) -> None:
    """The control: the two links where they belong."""
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice, invitee(network) as device:
        token, link = await token_for(network), await invite(network)
        secret = link.rpartition("/")[2]
        for path in (f"/i/{token}", f"/p/{token}/linphone.xml", f"/d/{token}/account.cfg"):
            assert (await alice.get(path)).status == 404
        assert (await alice.post(f"/i/{token}", client="json")).status == 404
        assert (await alice.post(LINK, code=secret)).status == 401
        assert await devices(network) == []
        assert (await device.take(link, "json")).status == 200
        assert (await alice.post(LINK, code=token)).status == 200


@on_loop
async def test_user_of_a_link_makes_no_further_links(tmp_path: Path) -> None:
    """A session ends, and a link would begin the next one; a link for a device is made."""
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice:
        await alice.post(LINK, code=await token_for(network))
        shown = await alice.get("/portal/device/link")
        assert f'value="{PORTAL_LINK}"' not in shown.text
        refused = await alice.post("/portal/device/link", client=PORTAL_LINK)
        assert (refused.status, LINK in refused.text) == (403, False)
        made = await alice.fill("/portal/device/link", client="json")
        assert "/i/" in made.text


@pytest.mark.wide
@on_loop
async def test_command_makes_a_link_only_where_the_portal_takes_it(tmp_path: Path) -> None:
    async with with_links(tmp_path) as network, PortalBrowser(network) as alice:
        file = network.organisation.file
        link = await invited(file, "alice", "--portal", "--for", "1h")
        assert (await alice.post(LINK, code=link.partition("#")[2])).status == 200
        for wrong in (("--phone", "web"), ("--device", "desk"), ("--certificate",)):
            assert (await ran(file, "user", "invite", "alice", "--portal", *wrong))[0] == 1
        await network.publish(lambda document: document["invitations"].pop("portal"))
        code, _, fault = await ran(file, "user", "invite", "alice", "--portal")
        assert (code, "portal: {links: true}" in fault) == (1, True), fault
        assert (await alice.get(LINK)).status == 404
        assert not await is_in(alice)
