"""An invitation is taken at each server of a management pool, and after a change of the leader; attackers get nothing by it."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from sipmesh.database import lease
from sipmesh.demo.ports import HOST
from sipmesh.routing.events.login_proof import LoginProof
from sipmesh.server.console.access.account import opened
from sipmesh.server.console.access.listener import ConsoleListener
from sipmesh.server.contacts.account_ticket import write_ticket
from sipmesh.server.invitations import invitation_server
from sipmesh.server.invitations.leading_server import HEADER
from sipmesh.server.invitations.strangers import phone_origins
from sipmesh.storage.users.device_accounts import DeviceAccounts
from sipmesh.storage.users.device_rows import row_with_devices
from sipmesh.storage.users.invitations import Invitations
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.topology.document.load import Loaded
from sipmesh.topology.document.parts.invitations import LOG_OUT, RULES
from sipmesh.topology.view import view
from support.invited import Answer
from support.managed import MGMT, MGMT2
from support.model_ports import model_port
from support.network import FE1
from support.pool import Pool, build_pool
from support.running import on_loop, until
from support.tiers import wide_after
from support.web_peer import open_websocket, web_address

pytestmark = pytest.mark.peer("postgresql")

HOSTS = {MGMT: HOST, MGMT2: "127.0.0.2"}


class OnItsHost(ConsoleListener):
    """The port of one of two hosts: each has the same port, on an address of its own."""

    def __init__(self, host: str, port: int, *further: Any) -> None:
        assert host == "0.0.0.0"  # noqa: S104 - what the topology says
        try:
            super().__init__(HOSTS[MGMT], port, *further)
        except OSError:
            super().__init__(HOSTS[MGMT2], port, *further)


@asynccontextmanager
async def two_hosts(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, *, further: bool = False
) -> AsyncIterator[Pool]:
    """A pool with pages of invitations: MGMT leads, MGMT2 follows. *further*: the pages have files of their own."""
    monkeypatch.setattr(lease, "LEASE_S", 600.0)
    monkeypatch.setattr(lease, "LONGEST_LEASE_S", 1200.0)
    monkeypatch.setattr(invitation_server, "ConsoleListener", OnItsHost)
    organisation, entry = build_pool(folder / "m")
    files = {"certificate": "servers/pages.pem", "key": "servers/pages.key"} if further else {}
    organisation.document["files"] = {}
    organisation.document["invitations"] = {"listen": f"0.0.0.0:{model_port()}", **files}
    pool = Pool.make(organisation, {**entry, "address": HOSTS[MGMT2]}, folder, url)
    async with pool.network as network:
        put_pages(pool, MGMT)
        await network.start(MGMT, FE1)
        pool.join()
        put_pages(pool, MGMT2)
        await pool.join_pool()
        await network.start(MGMT2)
        await until(lambda: all(list(network.told[name].events("invitations")) for name in HOSTS))
        await until((network.folder(MGMT2) / "ca" / "enrolment.json").exists)
        await until(lambda: pool.controller(MGMT2).leadership.leader == MGMT)
        yield pool


def put_pages(pool: Pool, name: str) -> None:
    """Put the certificate of a server where that of its pages may be."""
    for file in pool.network.credentials(name):
        shutil.copy(file, pool.network.folder(name) / "servers" / f"pages{file.suffix}")


async def invite(pool: Pool, network: str = "") -> str:
    """Invite alice as an operator at the server that leads; gives the secret."""
    leader = pool.controller(MGMT)
    loaded, lease_of = pool.network.organisation.load(), leader.management_db.lease

    def work() -> str:
        with opened(loaded) as users:
            accounts = DeviceAccounts(Invitations(users), loaded.topology, lambda *_, **__: None, lease_of.must_lead)
            return accounts.invite("alice", datetime.now(UTC), timedelta(hours=1), network=network)[1]

    return await asyncio.to_thread(work)


async def ask(pool: Pool, name: str, method: str, path: str, **given: Any) -> tuple[int, str]:
    """Ask the pages of one host; gives status and text."""
    answer = await asked(pool, name, method, path, **given)
    return answer.status, answer.text


async def asked(pool: Pool, name: str, method: str, path: str, **given: Any) -> Answer:
    """Ask the pages of one host."""
    document: Any = pool.network.organisation.document
    port = int(document["invitations"]["listen"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(pool.network.organisation.root))
    headers = {"Host": f"{name}:{port}", **given.pop("headers", {})}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True)) as session,
        session.request(
            method, f"https://{HOSTS[name]}:{port}{path}", headers=headers, server_hostname=name, **given
        ) as answer,
    ):
        return Answer(answer.status, await answer.text(), dict(answer.headers))


async def take(pool: Pool, name: str, secret: str, **given: Any) -> tuple[int, str]:
    """Take an invitation at one host."""
    return await ask(pool, name, "POST", f"/i/{secret}", data={"client": "json"}, **given)


@pytest.mark.wide
@on_loop
async def test_each_server_takes_invitations_once_with_the_address_of_the_client_and_after_a_change_of_leader(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        here, elsewhere, kept = await invite(pool), await invite(pool, network="10.0.0.0/8"), await invite(pool)
        assert (await ask(pool, MGMT2, "GET", f"/i/{here}"))[0] == 200
        status, text = await take(pool, MGMT2, here)
        assert (status, json.loads(text)["device"]) == (200, "json")
        assert [(await take(pool, name, here))[0] for name in HOSTS] == [404, 404]
        assert (await take(pool, MGMT2, elsewhere))[0] == 404
        lines = [line for line in pool.controller(MGMT).management_db.audit.read() if line.act == "device"]
        assert [(line.who, line.about["address"]) for line in lines] == [("device at 127.0.0.1", "127.0.0.1")]
        await pool.network.stop(MGMT)
        assert (await take(pool, MGMT2, kept))[0] == 503
        pool.end_lease()
        await until(lambda: pool.leads(MGMT2) and pool.controller(MGMT2).leadership.is_ready)
        status, text = await take(pool, MGMT2, kept)
        assert (status, json.loads(text)["device"]) == (200, "json-2")


@pytest.mark.wide
@on_loop
async def test_rules_are_changed_at_each_server_by_the_ticket_of_their_user_alone(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page comes from a front end, which is another site. The change is larger than a form may be."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        loaded = pool.network.organisation.load()
        ticket = await asyncio.to_thread(ticket_of_alice, loaded)
        callers = {f"{'x' * 60}{number}@partner.test": "block" for number in range(64)}
        for name in HOSTS:
            for given, status in ((ticket, 200), (ticket[:-2], 401), ("", 401)):
                headers = {"Authorization": f"Bearer {given}", "Sec-Fetch-Site": "cross-site"}
                asked = {"callers": callers, "do_not_disturb": name == MGMT2}
                answer = await ask(pool, name, "PUT", RULES, json=asked, headers=headers)
                assert answer[0] == status, answer
            evil = {"Authorization": f"Bearer {ticket}", "Origin": "https://evil.test"}
            assert (await ask(pool, name, "DELETE", RULES, headers=evil))[0] == 403
        with opened(loaded) as users:
            held = users.get("sip:alice@example.test").calls
        assert (len(held.callers), held.do_not_disturb) == (64, True)
        lines = [line for line in pool.controller(MGMT).management_db.audit.read() if line.act == "rules"]
        assert [line.who for line in lines] == [f"alice@example.test (web phone at {FE1})"] * 2


@pytest.mark.wide
@on_loop
async def test_web_phone_takes_its_account_at_each_server_and_reads_that_none_leads(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page comes from a front end, and so from another site. A page of any other origin may read nothing."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        network = pool.network
        open_websocket(network.organisation, phone=True)
        await network.publish()
        await until(lambda: all(phone_origins(network.nodes[name].view) for name in HOSTS))
        origin = f"https://{FE1}:{web_address(network.organisation, FE1)[1]}"
        ours = {"Origin": origin, "Sec-Fetch-Site": "same-site"}
        evil = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}

        async def seen(name: str, method: str, path: str) -> list[tuple[int, str | None]]:
            answers = [await asked(pool, name, method, path, headers=page) for page in (evil, ours)]
            return [(answer.status, answer.headers.get("Access-Control-Allow-Origin")) for answer in answers]

        for name in HOSTS:
            page = (await ask(pool, name, "POST", f"/i/{await invite(pool)}", data={"client": "web"}))[1]
            path = f"/p/{page.partition('#invitation=')[2].partition('@')[0]}/account"
            assert await seen(name, "POST", path) == [(403, None), (200, origin)]
            assert (await seen(name, "POST", path))[1] == (404, origin)
        await network.stop(MGMT)
        assert await seen(MGMT2, "DELETE", RULES) == [(503, None), (503, origin)]


@pytest.mark.wide
@on_loop
async def test_ticket_that_was_ended_at_one_server_counts_at_no_other(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of them has to lead for it. The ticket of another login of the user counts at both."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        loaded = pool.network.organisation.load()
        first, second, other = [await asyncio.to_thread(ticket_of_alice, loaded, link) for link in ("l1", "l2", "l3")]
        for ended, here in ((first, MGMT), (second, MGMT2)):
            headers = {"Authorization": f"Bearer {ended}"}
            assert await ask(pool, here, "POST", LOG_OUT, headers=headers) == (204, "")
            for name in HOSTS:
                assert (await ask(pool, name, "PUT", RULES, json={}, headers=headers))[0] == 401
                assert (await ask(pool, name, "GET", "/contacts/list", headers=headers))[0] == 401
        for name in HOSTS:
            headers = {"Authorization": f"Bearer {other}"}
            assert (await ask(pool, name, "GET", "/contacts/list", headers=headers))[0] == 200


@on_loop
async def test_file_that_one_server_took_is_at_the_other_while_the_first_is_down(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the database that they share; no server of them has to lead."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        ticket = await asyncio.to_thread(ticket_of_alice, pool.network.organisation.load())
        sent, headers = aiohttp.FormData(), {"Authorization": f"Bearer {ticket}"}
        sent.add_field("File", b"hello", filename="plan.txt")
        status, xml = await ask(pool, MGMT2, "POST", "/files", data=sent, headers=headers)
        assert (status, f"https://{MGMT2}:" in xml) == (200, True), xml
        path = f"/files/{xml.partition('/files/')[2].partition(chr(34))[0]}"
        await pool.network.stop(MGMT2)
        assert await ask(pool, MGMT, "GET", path) == (200, "hello")
        assert (await ask(pool, MGMT, "GET", f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}"))[0] == 404


def ticket_of_alice(loaded: Loaded, link: str = "") -> str:
    """Sign as a front end."""
    with opened(loaded) as users, users.reading() as db:
        row = row_with_devices(db, "sip:alice@example.test")
    assert row is not None
    known = verifier_of(row)
    return write_ticket(view(loaded, FE1), known, LoginProof(known.generation, link=link), time.time())


@on_loop
async def test_stranger_cannot_say_which_address_it_has(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it does not get around the network of an invitation, nor around its budget."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        secret = await invite(pool, network="10.0.0.0/8")
        for mark in ("10.1.2.3", "10.1.2.3 ", f"10.1.2.3 {'0' * 64}", "10.1.2.3 é", ""):
            for name in HOSTS:
                assert (await take(pool, name, secret, headers={HEADER: mark}))[0] == 404
        cross = await take(pool, MGMT2, await invite(pool), headers={"Sec-Fetch-Site": "cross-site"})
        assert cross[0] == 403
        assert (await take(pool, MGMT2, await invite(pool)))[0] == 200


@pytest.mark.parametrize("further", wide_after(1, [False, True]))
@on_loop
async def test_secret_is_not_sent_to_a_server_whose_certificate_was_revoked(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, further: bool
) -> None:
    """Nor if the topology names a certificate for the pages, which may be of another CA."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch, further=further) as pool:
        secret, network = await invite(pool), pool.network
        crl = network.folder(MGMT2) / "ca" / "issuing.crl"
        before = crl.read_bytes()
        organisation = network.organisation
        leaf = next(one for one in organisation.ca.certificates if one.names[:1] == (MGMT,) and one.kind == "server")
        crl.write_bytes(revoking(pool, leaf.serial))
        assert (await take(pool, MGMT2, secret))[0] == 503
        assert "was revoked" in str([*network.told[MGMT2].events("invitation not sent to the leader")])
        crl.write_bytes(before)
        assert (await take(pool, MGMT2, secret))[0] == 200


@on_loop
async def test_guess_at_a_server_of_the_pool_does_not_reach_its_leader(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request that is sent on costs both servers two handshakes."""
    async with two_hosts(tmp_path, postgres_url, monkeypatch) as pool:
        for secret in ("x" * 32, "x"):
            assert (await take(pool, MGMT2, secret))[0] == 404
            assert (await ask(pool, MGMT2, "GET", f"/p/{secret}/linphone.xml"))[0] == 404
        refused = {name: len(list(pool.network.told[name].events("invitation refused"))) for name in HOSTS}
        assert refused == {MGMT: 0, MGMT2: 4}
        assert (await ask(pool, MGMT2, "GET", f"/p/{'x' * 32}/other.xml"))[0] == 404
        assert not list(pool.network.told[MGMT2].events("fault"))
        assert (await take(pool, MGMT2, await invite(pool)))[0] == 200


def revoking(pool: Pool, serial: int) -> bytes:
    """A CRL of our CA that lists *serial*, as the follower may have it before the leader notices."""
    folder, at = pool.network.folder(MGMT2) / "ca", datetime.now(UTC)
    present = x509.load_pem_x509_crl((folder / "issuing.crl").read_bytes())
    key: Any = load_pem_private_key((folder / "issuing.key").read_bytes(), None)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
    builder = x509.CertificateRevocationListBuilder(
        present.issuer, at, at + timedelta(days=1), list(present.extensions), [entry]
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
