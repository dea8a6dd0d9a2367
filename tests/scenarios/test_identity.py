"""Calls to a partner are signed, and a proxy on the way that changes a fingerprint is found out (RFC 8224)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from sipmesh.client.dialog import Dialog
from sipmesh.routing.passport.claims import claims_of
from sipmesh.routing.passport.identity_field import MOST_FIELDS, read_field, write_field
from sipmesh.routing.passport.verification import FRESH_S
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.call_signer import mirrored
from support.descriptions import CRYPTO, DTLS, SDES, SDP, with_body
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, PARTNER_EDGES, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.tiers import wide_after

ALICE = "sip:alice@example.test"
ERIN = "sip:erin@partner.test"


def asking(network: Network, ours: str | None, theirs: str | None) -> Network:
    """Set what each organisation does about the identity of the other."""
    example, partner = network.organisations
    to_partner = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    to_us = f"{EDGES}:{example.ports[EDGE][LinkKind.PARTNER]}"
    ours_key, theirs_key = ({} if word is None else {"identity": word} for word in (ours, theirs))
    example.federate(EDGES, [partner.as_partner(edge=to_partner, **ours_key)])
    partner.federate(PARTNER_EDGES, [example.as_partner(edge=to_us, **theirs_key)])
    return network


@pytest.mark.parametrize("is_outgoing", [True, False])
@on_loop
async def test_offer_is_signed_by_the_front_end_and_verified_by_the_partner(
    federation: Network, *, is_outgoing: bool
) -> None:
    asking(federation, "required", "required")
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        caller, callee, server = (alice, erin, FE1) if is_outgoing else (erin, alice, PARTNER_FE)
        await caller.send(with_body(caller.request("INVITE", f"sip:{callee.user}"), DTLS))
        came = await callee.request_in("INVITE")
        signed = read_field(came.first("identity") or "")
        assert f'"orig":{{"uri":"sip:{caller.user}"}}'.encode() in signed.payload
        assert signed.chain[0] == federation.nodes[server].certificates.presented.of(LinkKind.SERVER).leaf
        assert came.has("date")


ANONYMOUS = "sip:anonymous@anonymous.invalid"


@on_loop
async def test_call_of_a_caller_who_hides_passes_where_a_signature_is_required(federation: Network) -> None:
    """The domain signs for its anonymous address. The call and its new offers pass in both directions."""
    asking(federation, "required", "required")
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        invite = with_body(alice.request("INVITE", ERIN, sender=f"<{ANONYMOUS}>;tag={alice.tag}"), DTLS)
        invite.append("identity", await others_signature(federation, alice, erin))
        await alice.send(invite)
        came = await erin.request_in("INVITE")
        assert verified(came) == []
        assert b"alice" not in came.encode()
        await erin.reply(came, 200, [("content-type", SDP)], DTLS)
        by_alice = Dialog.of_caller(invite, await alice.final())
        await alice.send(inside_of(by_alice, alice, "ACK"))
        await erin.request_in("ACK")
        by_erin = Dialog.of_callee(came, erin.tag)
        for sender, receiver, dialog in ((alice, erin, by_alice), (erin, alice, by_erin)):
            await sender.send(with_body(inside_of(dialog, sender, "UPDATE"), DTLS))
            await receiver.reply(await receiver.request_in("UPDATE"), 200, [("content-type", SDP)], DTLS)
            assert (await sender.final(method="UPDATE")).status == 200


async def others_signature(network: Network, alice: Peer, erin: Peer) -> str:
    """The signature of a call in which alice does not hide: it names her."""
    await alice.send(with_body(alice.request("INVITE", ERIN), DTLS))
    came = await erin.request_in("INVITE")
    await erin.reply(came, 486)
    await alice.final()
    await erin.request_in("ACK")
    return came.first("identity") or ""


@pytest.mark.parametrize("domain", ["partner.test", "elsewhere.test", "example.test"])
@on_loop
async def test_domain_signs_for_its_own_anonymous_address_only(federation: Network, domain: str) -> None:
    """By a server of the partner; the control is the anonymous address of its own domain. Without a signature it is 428."""
    asking(federation, "required", "required")
    federation.starts = (FE1, EDGE)
    async with federation:
        alice, edge = await federation.phone("alice", FE1), await proxy(federation)
        asked = with_body(edge.request("INVITE", ALICE, sender=f"<{ANONYMOUS}>;tag=1"), DTLS)
        assert (await edge.ask(asked)).status == 428
        certificate, key_file = federation.credentials(PARTNER_EDGE)
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        asked = with_body(edge.request("INVITE", ALICE, sender=f"<{ANONYMOUS}>;tag=2"), DTLS)
        claims = claims_of(asked, int(datetime.now(UTC).timestamp()), domain)
        asked.append(
            "identity",
            write_field(claims.encode(), domain, load_pem_x509_certificates(certificate.read_bytes()), key, "ES256"),
        )
        await edge.send(asked)
        if domain == "partner.test":
            assert verified(await alice.request_in("INVITE")) == []
        else:
            assert (await edge.final()).status == 437
            await alice.silent()


def verified(came: Request) -> list[str]:
    """What the server tells the callee of the signature."""
    return came.values("verified-identity")


CLAIM = ("verified-identity", f"<{ERIN}>")


@pytest.mark.parametrize(
    ("ours", "told"), [("required", [f"<{ERIN}>"]), ("verify", [f"<{ERIN}>"]), ("sign", []), (None, [])]
)
@on_loop
async def test_callee_sees_that_the_caller_was_verified(federation: Network, ours: str | None, told: list[str]) -> None:
    """Only where our edge has verified the signature: what the caller itself writes is removed."""
    asking(federation, ours, "sign")
    async with federation:
        erin, alice = await federation.phone("erin", PARTNER_FE), await federation.phone("alice", FE1)
        await erin.send(with_body(erin.request("INVITE", ALICE, [CLAIM]), DTLS))
        came = await alice.request_in("INVITE")
        assert came.has("identity")
        assert verified(came) == told


@on_loop
async def test_only_our_edge_says_who_was_verified(federation: Network) -> None:
    """Neither the partner's edge without a signature, nor a user of ours; and no partner learns what we have verified."""
    asking(federation, "verify", "sign")
    async with federation:
        alice, bob, edge = (
            await federation.phone("alice", FE1),
            await federation.phone("bob", FE1),
            await proxy(federation),
        )
        await edge.send(with_body(edge.request("INVITE", ALICE, [CLAIM], sender=f"<{ERIN}>;tag=1"), DTLS))
        assert verified(await alice.request_in("INVITE")) == []
        for sender, uri, callee in ((alice, f"sip:{bob.user}", bob), (bob, ERIN, edge)):
            claim = ("verified-identity", f"<sip:{sender.user}>")
            await sender.send(with_body(sender.request("INVITE", uri, [claim, CLAIM]), DTLS))
            while not isinstance(came := await callee.receive(), Request):  # what answers the calls before
                pass
            assert verified(came) == []


@on_loop
async def test_without_the_key_of_the_topology_nothing_is_signed(federation: Network) -> None:
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await alice.send(with_body(alice.request("INVITE", ERIN), DTLS))
        assert not (await erin.request_in("INVITE")).has("identity")


async def captured(network: Network) -> tuple[Request, Peer]:
    """What a proxy on the way sees: erin's INVITE to alice, signed by her front end. Gives alice too."""
    erin, alice = await network.phone("erin", PARTNER_FE), await network.phone("alice", FE1)
    await erin.send(with_body(erin.request("INVITE", ALICE), DTLS))
    came = await alice.request_in("INVITE")
    await alice.reply(came, 486)
    await alice.request_in("ACK")
    return came, alice


async def proxy(network: Network) -> Peer:
    """A proxy on the way, with the certificate of the partner's edge."""
    return await network.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)


@asynccontextmanager
async def man_in_the_middle(network: Network) -> AsyncIterator[tuple[Request, Peer, Peer]]:
    """A network that asks partners for signatures: the INVITE that the proxy has seen, alice, and the proxy."""
    asking(network, "required", "sign")
    async with network:
        seen, alice = await captured(network)
        yield seen, alice, await proxy(network)


def copy_of(seen: Request, by: Peer, *, body: bytes = DTLS, uri: str = ALICE, **changed: str) -> Request:
    """Make the INVITE that the proxy has *seen*, as it sends it on, with what it has *changed*."""
    given = {name: seen.first(name) or "" for name in ("from", "to", "call-id", "identity")} | changed
    identity = [("identity", value) for value in given["identity"].split("\n") if value]
    made = by.request(
        "INVITE", uri, identity, sender=given["from"], to=given["to"], call_id=given["call-id"], cseq=seen.cseq.number
    )
    return with_body(made, body)


OWN = DTLS.replace(b"AB", b"CD")
BESIDE = DTLS.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/SAVP") + CRYPTO


@pytest.mark.parametrize(
    ("body", "uri", "changed", "status"),
    wide_after(
        5,
        [
            (OWN, ALICE, {}, 438),  # its own key
            (DTLS, "sip:bob@example.test", {}, 438),  # another callee
            (DTLS, ALICE, {"from": "<sip:frank@partner.test>;tag=1"}, 438),  # another caller
            (DTLS, ALICE, {"call-id": "again"}, 438),  # a replay
            (DTLS, ALICE, {"identity": ""}, 428),
            (SDES, ALICE, {}, 438),  # keys that it can read
            (BESIDE, ALICE, {}, 438),  # the same beside the fingerprint
            (b"", ALICE, {}, 438),
            (DTLS, "sip:bob@example.test", {"to": "<sip:bob@example.test>"}, 438),
            (OWN, ALICE, {"identity": ""}, 428),
            (DTLS, ALICE, {"identity": "a.b.c;info=<sip:partner.test>;alg=ES256"}, 438),
            (DTLS, ALICE, {"identity": "a.b.c"}, 436),
        ],
    ),
)
@on_loop
async def test_proxy_that_changes_a_call_is_found_out(
    federation: Network, body: bytes, uri: str, changed: dict[str, str], status: int
) -> None:
    """Its certificate is right, its link is accepted, and it has a genuine signature. The same call unchanged arrives."""
    async with man_in_the_middle(federation) as (seen, alice, middle):
        refused = await middle.ask(copy_of(seen, middle, body=body, uri=uri, **changed))
        assert refused.status == status
        assert "refused: identity" in refused.values("warning")[-1]
        await alice.silent()
        await middle.send(copy_of(seen, middle))
        assert (await alice.request_in("INVITE")).body == DTLS


@on_loop
async def test_second_valid_signature_of_a_token_is_a_replay_too(federation: Network) -> None:
    """Any reader can make (r, n - s) of (r, s)."""
    async with man_in_the_middle(federation) as (seen, alice, middle):
        other = mirrored(seen.first("identity") or "")
        changed = {"identity": other, "call-id": "again"}
        assert (await middle.ask(copy_of(seen, middle, body=DTLS, uri=ALICE, **changed))).status == 438
        await middle.send(copy_of(seen, middle, identity=other))
        assert (await alice.request_in("INVITE")).body == DTLS


@on_loop
async def test_wrong_signature_beside_a_right_one_does_no_harm(federation: Network) -> None:
    async with man_in_the_middle(federation) as (seen, alice, middle):
        both = f"a.b.c;info=<sip:x>\n{seen.first('identity')}"
        await middle.send(copy_of(seen, middle, identity=both))
        assert (await alice.request_in("INVITE")).body == DTLS
        late = "\n".join([*MOST_FIELDS * ["a.b.c;info=<sip:x>"], seen.first("identity") or ""])
        assert (await middle.ask(copy_of(seen, middle, identity=late))).status == 438


@on_loop
async def test_signer_of_another_organisation_gets_437_and_an_old_token_403(federation: Network) -> None:
    """A genuine token of our own front end proves nothing about a user of the partner."""
    async with man_in_the_middle(federation) as (seen, alice, middle):
        ours = federation.nodes[FE1].certificates.presented.of(LinkKind.SERVER)
        assert isinstance(ours.key, ec.EllipticCurvePrivateKey)
        payload = read_field(seen.first("identity") or "").payload
        forged = write_field(payload, "partner.test", ours.chain, ours.key, "ES256")
        assert (await middle.ask(copy_of(seen, middle, identity=forged))).status == 437
        gatekeeper = federation.nodes[EDGE].gatekeeper
        clock = gatekeeper.clock
        gatekeeper.clock = lambda: clock() + timedelta(seconds=FRESH_S + 2)
        stale = await middle.ask(copy_of(seen, middle))
        assert (stale.status, stale.reason) == (403, "Stale Date")
        await alice.silent()


@on_loop
async def test_partner_that_need_not_sign_may_call_without_a_signature(federation: Network) -> None:
    asking(federation, "verify", None)
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        await erin.send(with_body(erin.request("INVITE", ALICE), DTLS))
        assert not (await alice.request_in("INVITE")).has("identity")


@on_loop
async def test_new_offer_inside_a_call_is_signed_too(federation: Network) -> None:
    asking(federation, "required", "required")
    async with federation:
        alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
        came, _, dialog = await talking(alice, erin)
        assert came.has("identity")
        await erin.request_in("ACK")
        for method in ("INVITE", "UPDATE"):
            await alice.send(with_body(inside_of(dialog, alice, method), DTLS))
            again = await erin.request_in(method)
            assert again.has("identity")
            await erin.reply(again, 488)
            await alice.final(method=method)
            if method == "INVITE":
                await erin.request_in("ACK")
