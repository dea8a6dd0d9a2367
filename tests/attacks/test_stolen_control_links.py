"""What a stolen front end cannot do on the links of the control plane: blind an edge, or fill the memory of management."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged
from sipmesh.distribution.event import CALLS_EVENT, STATUS_EVENT
from sipmesh.distribution.items import HIGHEST_NUMBER, ReplicationState
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.csr import read_request, request_for
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.management import offers
from sipmesh.server.management.grantor import MOST_A_DAY, Grantor
from sipmesh.server.management.offers import MOST_OF_POOL
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.sip.message import Request, Response, build_request
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.crls import issuing_beside
from support.giver import Giver
from support.managed import MGMT, Managed, build_published
from support.network import EDGE, EXAMPLE, FE1, FE2, POOL
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.tiers import wide_after

AT = "2026-11-26T12:00:00+00:00"


async def response_to(thief: Peer, request: Request) -> Response:
    """Send a request, accept each request that comes meanwhile, and return the response."""
    await thief.send(request)
    while True:
        came = await thief.receive()
        if isinstance(came, Request):
            await thief.reply(came, 200)
        elif came.cseq == request.cseq and came.call_id == request.call_id:
            return came


class Notifying:
    """A stolen front end to which an edge has subscribed."""

    def __init__(self, thief: Peer, subscribe: Request) -> None:
        self.thief, self.subscribe, self.cseq = thief, subscribe, 0

    async def claims(self, highest: int) -> int:
        """Tell the edge that version *highest* exists; returns the status of the response."""
        self.cseq += 1
        thief, asked = self.thief, self.subscribe
        rows = [
            ("via", thief.via()),
            ("max-forwards", "70"),
            ("from", f"<{asked.to.uri}>;tag={thief.tag}"),
            ("to", f"<{asked.from_.uri}>;tag={asked.from_.tag}"),
            ("call-id", asked.call_id),
            ("cseq", f"{self.cseq} NOTIFY"),
            ("event", asked.first("event") or ""),
            ("subscription-state", "active;expires=600"),
            ("content-type", "application/json"),
        ]
        body = ReplicationState({}, AT, highest).encode()
        return (await response_to(thief, build_request("NOTIFY", str(asked.contacts[0].uri), rows, body))).status


async def notifying(managed: Managed) -> Notifying:
    """Open a link to the edge with the certificate of FE1, and accept its subscription."""
    thief = await managed.peer(EDGE, FE1)
    asked = await thief.request_in("SUBSCRIBE")
    await thief.reply(asked, 200, [("expires", "600")])
    return Notifying(thief, asked)


@pytest.fixture(name="managed")
def _managed(tmp_path_factory: pytest.TempPathFactory) -> Managed:
    folder = tmp_path_factory.mktemp("c")
    return Managed(build_published(folder / "o"), folder)


@on_loop
async def test_claimed_version_blinds_management_to_no_edge_and_ends_with_its_link(managed: Managed) -> None:
    """Management goes on to read the reports of the edge, also while the claim stands."""
    async with managed:
        await managed.start(MGMT, FE2, EDGE)
        await managed.acknowledged(1)
        stolen = await notifying(managed)
        for number in (10**2000, HIGHEST_NUMBER + 1, -1):
            assert await stolen.claims(number) == 400
        assert managed.member(EDGE).behind == 0
        assert await stolen.claims(HIGHEST_NUMBER) == 200
        assert managed.member(EDGE).behind == HIGHEST_NUMBER
        await managed.publish(force=True)
        await managed.acknowledged(2, FE2, EDGE)
        assert not managed.master.reports.misread.get(EDGE)
        await stolen.thief.__aexit__()
        await until(lambda: managed.member(EDGE).behind == 0)


@asynccontextmanager
async def instead_of_front_end(managed: Managed) -> AsyncIterator[asyncio.Queue[Peer]]:
    """Listen where FE1 listens, with its certificate and key; gives the links that servers open."""
    links = asyncio.Queue[Peer]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*managed.credentials(FE1))
    context.load_verify_locations(managed.organisation.root)
    context.verify_mode = ssl.CERT_REQUIRED

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        links.put_nowait(Peer(reader, writer, "fe1@example.test"))

    listening = await asyncio.start_server(accepted, *managed.organisation.address(FE1, LinkKind.SERVER), ssl=context)
    try:
        yield links
    finally:
        listening.close()
        while not links.empty():
            await links.get_nowait().__aexit__()


async def subscribes(thief: Peer, users: int) -> int:
    """Subscribe at management with a number of the users; returns the status of the response."""
    body = json.dumps({"held": [["users", "", users, ""]], "at": AT, "highest": 0, "issuing": ""}).encode()
    headers = [("event", "sipmesh"), ("expires", "600"), ("content-type", "application/json")]
    return (await response_to(thief, thief.request("SUBSCRIBE", f"sip:{MGMT}", headers, body))).status


@pytest.mark.parametrize("in_thread", [False, True])
@on_loop
async def test_subscriptions_with_many_numbers_of_users_fill_no_memory(
    managed: Managed, monkeypatch: pytest.MonkeyPatch, *, in_thread: bool
) -> None:
    """A number that does not exist means all users; of those that exist, the newest few are kept. FE2 gets its users."""
    monkeypatch.setattr(offers, "MANY_USERS", 0 if in_thread else 200)
    managed.organisation.add_users(*(f"user{n}" for n in range(2 * MOST_OF_POOL)), pool=POOL)
    async with managed, instead_of_front_end(managed) as links:
        await managed.start(MGMT)
        ours = managed.master._offers
        async with await links.get() as thief:
            await until(lambda: ours._users.number)
            for number in range(30):
                assert await subscribes(thief, 10**6 + number) == 200
            await until(lambda: not ours._computing)
            assert set(ours._of_pool) == {(POOL, 0)}
            for number in range(ours._users.number):
                assert await subscribes(thief, number) == 200
                assert len(ours._computing) <= 1
                await until(lambda: not ours._computing)
            assert len(ours._of_pool) == MOST_OF_POOL
        await managed.start(FE2)
        await until(lambda: managed.member(FE2).held.state().users == ours._users.number)
        users = Users(managed.organisation.load().users_url)
        users.add("carol@example.test", "carol-secret", pool=POOL)
        users.close()
        await managed.master.refresh_users()
        await until(lambda: managed.member(FE2).held.state().users == ours._users.number)


@pytest.mark.parametrize("is_ours", [False, True])
@on_loop
async def test_certificate_that_is_none_of_our_cas_has_no_edge_ask_for_another_one(
    managed: Managed, tmp_path: Path, *, is_ours: bool
) -> None:
    """What a front end says of the issuing CA is not signed. Each answer would be a line in the audit log of management."""
    at = datetime.now(UTC)
    stranger = EnterpriseCa.create(tmp_path / "stranger", EXAMPLE, at, crl_base="http://crl.example.test")
    issuing = issuing_beside(managed.organisation.ca, at) if is_ours else stranger.issuing
    told = ReplicationState({}, AT, 0, b64encode(issuing.public_bytes(Encoding.DER)).decode())
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        front_end = await Giver.meet(stack, managed, EDGE, FE1)
        assert (await front_end.ask(front_end.notify((), told.encode()))).status == 200
        front_end.statuses.clear()
        assert bool((await front_end.status()).get("request")) is is_ours


def with_unknown_key(made: x509.Certificate) -> x509.Certificate:
    """The same certificate with a key of an algorithm that nothing knows."""
    id_of_key = bytes.fromhex("06072a8648ce3d0201")
    return x509.load_der_x509_certificate(
        made.public_bytes(Encoding.DER).replace(id_of_key, id_of_key[:-1] + b"\x7f", 1)
    )


@pytest.mark.parametrize("lie", ["none", "another algorithm", "unknown key", "no CA"])
@on_loop
async def test_front_end_decides_neither_the_algorithm_of_the_next_key_of_an_edge_nor_that_it_asks(
    managed: Managed, tmp_path: Path, lie: str
) -> None:
    """An edge whose renewal is due asks, with a key as below its own CA; a certificate that is no CA has none ask."""
    at = datetime.now(UTC)
    ca = managed.organisation.ca
    stranger = EnterpriseCa.create(
        tmp_path / "stranger", EXAMPLE, at, crl_base="http://crl.example.test", algorithm=KeyAlgorithm.ML_DSA_44
    )
    leaf = read_certificates(managed.credentials(MGMT)[0])[0]
    told = {
        "none": [ca.issuing],
        "another algorithm": [stranger.issuing],
        "unknown key": [with_unknown_key(ca.issuing)],
        "no CA": [leaf, ca.issuing],
    }[lie]
    is_due = lie != "no CA"
    text = " ".join(b64encode(one.public_bytes(Encoding.DER)).decode() for one in told)
    names = certificate_names(managed.organisation.load().topology, EDGE)
    root, issuing = (Forged.read(ca.folder / f"{name}.pem", ca.folder / f"{name}.key") for name in ("root", "issuing"))
    near_its_end = Forge(at).server(
        replace(issuing, issuer=root), *names, begins=timedelta(minutes=-50), ends=timedelta(minutes=10)
    )
    async with managed, AsyncExitStack() as stack:
        await managed.start(EDGE)
        front_end = await Giver.meet(stack, managed, EDGE, FE1)
        state = ReplicationState({}, AT, 0, text)
        assert (await front_end.ask(front_end.notify((), state.encode()))).status == 200
        await front_end.status()
        if is_due:
            near_its_end.write(managed.folder(EDGE) / "servers", EDGE)
        managed.member(EDGE).reporter.report()
        request = (await front_end.status()).get("request")
        if is_due and not request:  # that report was made before
            request = (await front_end.status()).get("request")
        assert bool(request) is is_due
        if request:
            _, key = read_request(open_signed(str(request).encode(), REQUEST).payload, tmp_path)
            assert KeyAlgorithm.of(key) is KeyAlgorithm.P_256


def signed_requests(managed: Managed) -> list[str]:
    """Requests for certificates, each for another key, signed with the stolen key."""
    chain, key = managed.credentials(FE1)
    leaf, signer = read_certificates(chain), files.read_key(key)
    return [sign(request_for(FE1, files.new_key()), REQUEST, leaf, signer).decode() for _ in range(20)]


async def publishes(thief: Peer, event: str, bodies: Iterable[dict[str, object]]) -> None:
    """Publish without a pause until the link is closed, or all is sent."""

    async def read() -> None:
        with suppress(HungUpError, OSError):
            while True:
                message = await thief.receive()
                if isinstance(message, Request):
                    await thief.reply(message, 200)

    reading = asyncio.create_task(read())
    rows = [("event", event), ("expires", "60"), ("content-type", "application/json")]
    with suppress(HungUpError, OSError):
        for body in bodies:
            await thief.send(thief.request("PUBLISH", f"sip:{MGMT}", rows, json.dumps(body).encode()))
            await asyncio.sleep(0)  # a closed link discards what is written, without a wait: let the loop run
            if reading.done():
                break
        await reading
    reading.cancel()


@pytest.mark.parametrize("what", wide_after(1, ["requests", "large reports", "records"]))
@on_loop
async def test_reports_without_end_close_the_link_and_others_are_served_meanwhile(managed: Managed, what: str) -> None:
    """Versions are published, and FE2 and the edge get them. Of many signed requests for certificates, few are judged."""
    async with managed, instead_of_front_end(managed) as links:
        await managed.start(MGMT, FE2, EDGE)
        async with await links.get() as thief:
            assert await subscribes(thief, 0) == 200
            bodies: dict[str, list[dict[str, object]]] = {
                "requests": [{"number": 1, "request": one} for one in signed_requests(managed)],
                "large reports": [{"number": 1, "unknown": list(range(100_000))}],
                "records": [{"number": 1}],
            }
            event = CALLS_EVENT if what == "records" else STATUS_EVENT
            with patch.object(Grantor, "asked", autospec=True, side_effect=Grantor.asked) as asked:
                flood = asyncio.create_task(publishes(thief, event, islice(cycle(bodies[what]), 20_000)))
                for version in (2, 3):
                    await managed.publish(force=True)
                    await managed.acknowledged(version, FE2, EDGE)
                await flood
            assert asked.call_count <= MOST_A_DAY + 2
        closed = [line["why"] for line in managed.told[MGMT].events("link closed") if line["peer"] == FE1]
        assert closed == ["call records without end" if what == "records" else "reports without end"]
        refused = [line for line in managed.told[MGMT].events("call records rejected") if line["peer"] == FE1]
        assert len(refused) <= 1
