"""Calls of a trunk that are signed (STIR/SHAKEN): what the phone sees, and what passes if signatures are required."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.passport.shaken import attest_of, read_token
from sipmesh.server.proxy.records.known_caller import known_caller
from sipmesh.server.proxy.trunks.signer_chains import MOST_WANTED
from sipmesh.server.refresh.fetcher import Fetcher
from sipmesh.sip.message import Request
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.number_signer import NumberSigner, code, numbers_from, one, token
from support.peer import Peer
from support.publisher import Publisher, content
from support.running import on_loop, until
from support.telling import Told
from support.trunks import ALICE, BOB, GATEWAY, GATEWAYS, OF_PBX, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks
from trust.crls import distribution_point

CERTIFICATES = "certs.provider.test"
MAIN = "+493012300"
TO_ALICE = f"sip:{ALICE}@{GATEWAYS}"
PATH, LIST = "/shaken.pem", "/sti.crl"
PASSED, FAILED, NONE = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"


@dataclass
class World:
    """A provider whose calls are verified, and alice; *signer* has signed, and its certificate is at *url*."""

    network: Network
    provider: PlayedTrunk
    publisher: Publisher
    signers: NumberSigner
    signer: Forged
    alice: Peer
    trunk: Peer

    @property
    def url(self) -> str:
        return f"http://{CERTIFICATES}:{self.publisher.port}{PATH}"

    async def fetched(self) -> None:
        """Have the gateway fetch the certificate: a first call names it."""
        chains = self.network.nodes[GATEWAY].numbers.chains
        chains.of(PROVIDER, self.url)
        await until(lambda: bool(chains.of(PROVIDER, self.url)))

    async def read_again(self, place: str) -> None:
        """Have the gateway read the CRL at *place*, which has changed, without waiting until it is due."""
        lists = self.network.nodes[GATEWAY].numbers.lists
        source = next(one for one in lists._of_trunks[PROVIDER].due_at if one.place == place)
        lists.missed(PROVIDER, source, 0.0)
        lists.is_wanted.set()
        now = asyncio.get_running_loop().time()
        await until(lambda: now < lists._of_trunks[PROVIDER].due_at[source] < float("inf"))

    def token(self, **changes: Any) -> str:
        """A token for a call to alice."""
        return token(changes.pop("signer", self.signer), changes.pop("url", self.url), OUTSIDE, ALICE, **changes)

    async def call(self, *fields: str, sender: str = OUTSIDE) -> int:
        """A call of the trunk; 0 if alice rings, and the status of its refusal otherwise."""
        given = [("content-type", SDP), *(("identity", field) for field in fields)]
        invite = self.trunk.request(
            "INVITE", TO_ALICE, given, SDES, sender=f"<sip:{sender}@{PROVIDER}>;tag={self.trunk.tag}"
        )
        await self.trunk.send(invite)
        self.invite = invite
        return 0

    async def rings(self) -> Request:
        came = await self.alice.request_in("INVITE")
        await self.alice.reply(came, 486)
        assert (await self.alice.request_in("ACK")).method == "ACK"
        assert (await self.trunk.final()).status == 486
        return came

    async def seen(self, *fields: str, sender: str = OUTSIDE) -> str:
        """The verstat that alice sees."""
        await self.call(*fields, sender=sender)
        came = await self.rings()
        told = came.values("p-asserted-identity")
        assert told[0] == f"<sip:{OUTSIDE}@{PROVIDER}>"
        assert not came.has("number-verification")
        assert told[1].startswith(f"<tel:{OUTSIDE};verstat=")
        return told[1].partition("verstat=")[2].rstrip(">")

    async def refused(self, *fields: str) -> int:
        await self.call(*fields)
        return (await self.trunk.final()).status


@pytest.fixture(name="world")
def _world(
    trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path
) -> Callable[..., Any]:
    @asynccontextmanager
    async def made(
        mode: str = "report", *entries: bytes, stir: Callable[[int], Any] = lambda _port: {}, **changes: Any
    ) -> AsyncIterator[World]:
        example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
        signers = NumberSigner()
        file = tmp_path / "example" / "partners" / "sti.pem"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(signers.root.certificate.public_bytes(Encoding.PEM))
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(Publisher())
            crl_points = (f"http://{CERTIFICATES}:{publisher.port}{LIST}",)
            signer = signers.signer(*entries, **{"crl_points": crl_points, **changes})
            publisher.pages[PATH] = content(lambda: signer.pem_chain)
            federation: Any = example.document["federation"]
            rule = {"incoming": mode, "anchors": ["partners/sti.pem"], "hosts": [f"{CERTIFICATES}:{publisher.port}"]}
            for entry in federation["partners"]:
                entry["trunk"]["stir"] = rule | stir(publisher.port)
            example.write()
            network = Network((example,), starts=(FE1, GATEWAY))
            network.dns.records[CERTIFICATES, "A"] = ["127.0.0.1"]
            await stack.enter_async_context(network)
            await stack.enter_async_context(provider)
            fetcher = Fetcher(network.nodes[GATEWAY], lambda _: None, Told().log)
            stack.push_async_callback(fetcher.close)
            alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
            yield World(network, provider, publisher, signers, signer, alice, trunk)

    return made


@on_loop
async def test_phone_sees_that_the_number_was_verified_from_the_second_call_on(world: Callable[..., Any]) -> None:
    """The certificate of the first call is fetched behind it: no call waits for a web server."""
    async with world() as here:
        assert await here.seen(here.token()) == NONE
        await here.fetched()
        assert await here.seen(here.token()) == PASSED
        assert await here.seen() == NONE
        assert here.publisher.asked == [f"GET {PATH}"]


@on_loop
async def test_wrong_tokens_fail_and_a_right_one_passes(world: Callable[..., Any]) -> None:
    async with world() as here:
        await here.fetched()
        stranger = NumberSigner().signer()
        used = here.token()
        assert await here.seen(used) == PASSED
        wrong = [
            used,  # replayed
            here.token(at=-90),
            here.token(at=90),
            here.token(claims={"orig": {"tn": "491700000000"}}),
            here.token(claims={"dest": {"tn": [BOB.removeprefix("+")]}}),
            here.token(claims={"attest": "Z"}),
            here.token(header={"alg": "none"}),
            here.token(header={"alg": "HS256"}),
            here.token(header={"crit": ["x"]}),
            here.token(header={"ppt": "div"}, claims={"div": {"tn": BOB.removeprefix("+")}}),
            here.token(signer=stranger),
            here.token().replace(".", "", 1),
            "",
        ]
        for field in wrong:
            assert await here.seen(field) == FAILED, field
        assert await here.seen(here.token()) == PASSED


@on_loop
async def test_trunk_that_names_slow_urls_delays_the_certificates_of_no_other(
    world: Callable[..., Any], pbx: PlayedTrunk
) -> None:
    """Its calls bring more URLs than may wait, and none of them answers. A call of the other trunk is verified all the same."""
    is_over = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await is_over.wait()
        return web.Response()

    async with world() as here, pbx:
        here.publisher.pages["/silent"] = silent
        for number in range(MOST_WANTED + 2):
            url = here.url.replace(PATH, f"/silent?{number}")
            assert await here.seen(here.token(url=url)) == NONE
        chains, other = here.network.nodes[GATEWAY].numbers.chains, await pbx.opens(here.network)
        signed = token(here.signer, here.url, OF_PBX, ALICE)
        assert chains.of(PBX, here.url) == ()
        await until(lambda: bool(chains.of(PBX, here.url)))
        given = [("content-type", SDP), ("identity", signed)]
        sender = f"<sip:{OF_PBX}@{PBX}>;tag={other.tag}"
        await other.send(other.request("INVITE", TO_ALICE, given, SDES, sender=sender))
        came = await here.alice.request_in("INVITE")
        assert f"<tel:{OF_PBX};verstat={PASSED}>" in came.values("p-asserted-identity")
        is_over.set()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:PORT/shaken.pem", "http://localhost:PORT/shaken.pem", "https://certs.evil.test/shaken.pem"],
)
@on_loop
async def test_no_address_is_contacted_that_the_trunk_does_not_name(world: Callable[..., Any], url: str) -> None:
    async with world() as here:
        at = url.replace("PORT", str(here.publisher.port))
        assert await here.seen(here.token(url=at)) == NONE
        assert here.network.nodes[GATEWAY].numbers.chains.wanted.empty()
        assert here.publisher.asked == []


@pytest.mark.parametrize(
    ("entries", "result"),
    [
        ((one(OUTSIDE[1:]),), PASSED),
        ((numbers_from(OUTSIDE[1:-2] + "00", 100),), PASSED),
        ((code(), one("491111111")), PASSED),
        ((numbers_from(OUTSIDE[1:-2] + "01", 99),), FAILED),
        ((one("491700000000"),), FAILED),
    ],
)
@on_loop
async def test_certificate_signs_for_its_own_numbers(
    world: Callable[..., Any], entries: tuple[bytes, ...], result: str
) -> None:
    async with world("report", *entries) as here:
        await here.fetched()
        assert await here.seen(here.token()) == result


@pytest.mark.parametrize(
    "changes", [{"begins": timedelta(days=-9), "ends": timedelta(days=-1)}, {"extra": ()}, {"ca": True}]
)
@on_loop
async def test_certificate_that_has_expired_or_is_for_no_number_or_of_a_ca_proves_nothing(
    world: Callable[..., Any], changes: dict[str, Any]
) -> None:
    async with world("report", **changes) as here:
        await here.fetched()
        assert await here.seen(here.token()) == FAILED


def allowed(port: int) -> dict[str, Any]:
    """CRLs that certificates name may be fetched."""
    return {"crl_hosts": [f"{CERTIFICATES}:{port}"]}


def revocations(signers: NumberSigner, *revoked: Forged, **changes: Any) -> bytes:
    """A CRL of the root."""
    return signers.forge.revocations(signers.root, revoked, **changes)


@pytest.mark.parametrize(("mode", "refusal"), [("report", 0), ("require", 437)])
@on_loop
async def test_revoked_signer_proves_nothing_and_another_one_does(
    world: Callable[..., Any], mode: str, refusal: int
) -> None:
    """The certificate names its CRL, and the topology allows the host. Another signer of the same CA is not in it."""
    async with world(mode, stir=allowed) as here:
        url = f"http://{CERTIFICATES}:{here.publisher.port}{LIST}"
        now = [revocations(here.signers)]
        here.publisher.pages[LIST] = content(lambda: now[0])
        await here.fetched()
        lists = here.network.nodes[GATEWAY].numbers.lists
        await until(lambda: len(lists._of_trunks[PROVIDER]._held) == 1)
        assert await here.seen(here.token()) == PASSED
        now[0] = revocations(here.signers, here.signer, number=2)
        await here.read_again(url)
        if refusal:
            assert await here.refused(here.token()) == refusal
        else:
            assert await here.seen(here.token()) == FAILED
        other = here.signers.signer(crl_points=(url,))
        here.publisher.pages["/other.pem"] = content(lambda: other.pem_chain)
        at = here.url.replace(PATH, "/other.pem")
        chains = here.network.nodes[GATEWAY].numbers.chains
        chains.of(PROVIDER, at)
        await until(lambda: bool(chains.of(PROVIDER, at)))
        assert await here.seen(here.token(signer=other, url=at)) == PASSED
        now[0] = revocations(here.signers)  # an old CRL does not undo the revocation
        await here.read_again(url)
        assert (await here.refused(here.token()) == refusal) if refusal else (await here.seen(here.token()) == FAILED)


@on_loop
async def test_signer_is_checked_against_a_crl_in_a_file(world: Callable[..., Any], tmp_path: Path) -> None:
    """A new file counts without a command."""
    file = tmp_path / "example" / "partners" / "sti.crl"
    async with world(stir=lambda _: {"crls": ["partners/sti.crl"]}) as here:
        await here.fetched()
        assert await here.seen(here.token()) == NONE  # there is no file yet
        file.write_bytes(revocations(here.signers))
        await here.read_again(str(file))
        assert await here.seen(here.token()) == PASSED
        file.write_bytes(revocations(here.signers, here.signer, number=2))
        await here.read_again(str(file))
        assert await here.seen(here.token()) == FAILED
        file.unlink()
        await here.read_again(str(file))
        assert await here.seen(here.token()) == FAILED


@pytest.mark.parametrize("mode", ["report", "require"])
@pytest.mark.parametrize("fault", ["missing", "expired", "of another CA", "of another point"])
@on_loop
async def test_signer_whose_crl_cannot_be_used_is_not_verified(
    world: Callable[..., Any], mode: str, fault: str
) -> None:
    async with world(mode, stir=allowed) as here:
        stranger = NumberSigner()
        bodies = {
            "expired": revocations(here.signers, begins=timedelta(days=-9), ends=timedelta(days=-1)),
            "of another CA": stranger.forge.revocations(here.signers.root, (), key=stranger.root.key),
            "of another point": revocations(
                here.signers,
                extensions=distribution_point(full_name=[x509.UniformResourceIdentifier("http://a.test/")]),
            ),
        }
        if fault in bodies:
            here.publisher.pages[LIST] = content(lambda: bodies[fault])
        await here.fetched()
        await until(lambda: f"GET {LIST}" in here.publisher.asked)
        for _ in range(2):
            if mode == "require":
                assert await here.refused(here.token()) == 436
            else:
                assert await here.seen(here.token()) == NONE


@on_loop
async def test_crl_at_a_host_that_is_not_allowed_is_not_fetched(world: Callable[..., Any]) -> None:
    async with world(stir=lambda _: {"crl_hosts": ["crl.provider.test"]}) as here:
        here.publisher.pages[LIST] = content(lambda: revocations(here.signers))
        await here.fetched()
        assert await here.seen(here.token()) == NONE
        assert here.publisher.asked == [f"GET {PATH}"]


@on_loop
async def test_forwarded_call_is_verified_by_its_div(world: Callable[..., Any]) -> None:
    """The caller has called bob at the provider, who has forwarded to alice (RFC 8946)."""
    async with world() as here:
        await here.fetched()
        to_bob = here.token(claims={"dest": {"tn": [BOB.removeprefix("+")]}})
        div = here.token(header={"ppt": "div"}, claims={"div": {"tn": BOB.removeprefix("+")}})
        assert await here.seen(to_bob, div) == PASSED
        other = here.token(header={"ppt": "div"}, claims={"div": {"tn": "491111111"}})
        again = here.token(claims={"dest": {"tn": [BOB.removeprefix("+")]}})
        assert await here.seen(again, other) == FAILED


@on_loop
async def test_trunk_that_must_sign_gets_no_call_through_without_a_signature(world: Callable[..., Any]) -> None:
    async with world("require") as here:
        assert await here.refused() == 428
        assert await here.refused(here.token()) == 436  # its certificate is fetched now
        await here.fetched()
        assert await here.refused(here.token(at=-90)) == 403
        assert await here.refused(here.token(header={"alg": "none"})) == 438
        assert await here.refused(here.token(signer=NumberSigner().signer())) == 438
        await here.alice.silent()
        assert await here.seen(here.token()) == PASSED


@on_loop
async def test_verstat_of_a_trunk_is_no_verstat_of_ours(world: Callable[..., Any]) -> None:
    async with world() as here:
        assert await here.seen(sender=f"{OUTSIDE};verstat={PASSED}") == NONE
        given = [("content-type", SDP), ("p-asserted-identity", f"<tel:{OUTSIDE};verstat={PASSED}>")]
        given.append(("number-verification", PASSED))
        sender = f"<sip:{OUTSIDE};verstat={PASSED}@{PROVIDER}>;tag={here.trunk.tag}"
        await here.trunk.send(here.trunk.request("INVITE", TO_ALICE, given, SDES, sender=sender))
        came = await here.rings()
        assert b"Passed" not in b"".join(came.lines)


@on_loop
async def test_record_of_a_call_has_what_was_verified_and_nothing_that_the_trunk_says(
    world: Callable[..., Any],
) -> None:
    """A refused call was not verified: the field may be that of the trunk."""
    async with world() as here:
        assert await here.seen() == NONE
        flow = next(one for one in here.network.nodes[GATEWAY].flow_table.sessions() if one.outsider == PROVIDER)
        sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag=a"
        request = here.trunk.request("INVITE", TO_ALICE, [("number-verification", PASSED)], sender=sender)
        identity = f"sip:{OUTSIDE}@{PROVIDER}"
        assert known_caller(flow, request, identity, heard=True) == (identity, f"trunk {PROVIDER}, {PASSED}")
        assert known_caller(flow, request, None, heard=False) == (identity.partition(":")[2], f"trunk {PROVIDER}")


SIGN = {"certificate": "servers/calls.pem", "key": "servers/calls.key", "url": "https://certs.example.test/calls.pem"}


@pytest.mark.parametrize(
    ("user", "number", "attest", "privacy"),
    [
        ("alice", ALICE, "A", "none"),
        ("carol", MAIN, "B", "none"),
        ("bob", BOB, "", "none"),
        ("alice", ALICE, "", "id"),
    ],
)
@on_loop
async def test_our_call_is_signed_with_what_was_proved_of_its_number(
    trunk_models: dict[str, Organisation],
    provider: PlayedTrunk,
    pbx: PlayedTrunk,
    tmp_path: Path,
    user: str,
    number: str,
    attest: str,
    privacy: str,
) -> None:
    """The certificate has the numbers of alice and of users without a number. No withheld number is signed."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    signers = NumberSigner()
    signer = signers.signer(one(ALICE[1:]), one(MAIN[1:]))
    (tmp_path / "example" / "servers" / "calls.pem").write_bytes(signer.pem_chain)
    (tmp_path / "example" / "servers" / "calls.key").write_bytes(signer.pem_key)
    partners: Any = example.document["federation"]
    partners["partners"][0]["trunk"] |= {"stir": {"incoming": "off", "sign": SIGN}, "main_number": MAIN}
    example.write()
    async with Network((example,), starts=(FE1, GATEWAY)) as network, provider:
        phone = await network.phone(user, FE1)
        given = [("content-type", SDP), ("identity", "forged.by.phone;info=<https://x.test>"), ("privacy", privacy)]
        sender = f"<sip:{user}@{EXAMPLE}>;tag={phone.tag}"
        await phone.send(phone.request("INVITE", f"sip:{OUTSIDE}@{EXAMPLE}", given, SDES, sender=sender))
        came = await (await provider.links.get()).request_in("INVITE")
        if not attest:
            assert not came.has("identity")
            return
        [field] = came.values("identity")
        read = read_token(field)
        read.must_be_of(signer.certificate.public_key())
        assert attest_of([read], number, OUTSIDE, int(time.time())).attest == attest
        assert (read.url, came.has("date")) == (SIGN["url"], True)
