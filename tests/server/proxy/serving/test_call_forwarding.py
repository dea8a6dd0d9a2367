"""Where a call goes by the rules of its callee: the rights that count, and who carries a diversion out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.proxy.effects import Divert
from sipmesh.routing.target import FlowTarget, ServerTarget
from sipmesh.server.proxy.serving.call_forwarding import by_rules, chain_of, forwarded
from sipmesh.sip.message import Response, respond
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, FE1, FE3, Network
from support.running import on_loop
from support.still_server import StillServer, asked, still_server
from support.trunks import GATEWAY, OUTSIDE, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, DORA = "sip:alice@example.test", "sip:bob@example.test", "sip:dora@example.test"
CAROL = "sip:carol@partner.test"
NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)


@pytest.fixture(name="trunked", scope="module")
def _trunked(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    folder = tmp_path_factory.mktemp("trunks")
    example = build_gateway(folder / "example")
    provider = PlayedTrunk(PROVIDER, build_trunk(folder / "provider", PROVIDER))
    join_trunks(example, (provider, {"carries": ["+49"], "emergency": True}))
    classes = [{"name": "premium", "numbers": ["+49900"], "users": ["alice@example.test"]}]
    example.document["numbers"] = {"country": "49", "emergency": ["112"], "classes": classes}
    example.write()
    return example


def sent_on(server: StillServer, to: str, by: str = BOB, caller: str | None = ALICE, peer: str = "") -> object:
    """What becomes of a call of *caller* that *by* forwards to *to*; it has come from a phone, or from the server *peer*."""
    sender = server.server(peer).sender if peer else server.phone().sender
    assert sender is not None
    chain = (Diversion(by, to, Reason.AWAY),)
    return forwarded(server.parts.setup.current.value, sender, asked("INVITE", by), caller, chain, NOON)


@pytest.mark.parametrize("caller", [ALICE, CAROL, None])
@on_loop
async def test_call_to_a_number_has_the_rights_of_the_user_who_forwards(
    trunked: Organisation, caller: str | None
) -> None:
    async with still_server(trunked, FE1) as server:
        found = sent_on(server, f"tel:{OUTSIDE}", caller=caller)
        assert isinstance(found, Forward)
        [target] = found.targets
        assert isinstance(target, ServerTarget)
        assert (target.names, target.uri) == ((GATEWAY,), f"sip:{OUTSIDE}@example.test;user=phone")
        refused = sent_on(server, "tel:+49900123456", caller=caller)
        assert isinstance(refused, Answer)
        assert (refused.status, "which bob@example.test may not call" in refused.why) == (403, True)
        assert isinstance(sent_on(server, "tel:+49900123456", by=ALICE, caller=caller), Forward)
        nowhere = sent_on(server, "tel:+1202", caller=caller)
        assert isinstance(nowhere, Answer)
        assert nowhere.status == 404


@on_loop
async def test_no_call_is_forwarded_to_an_emergency_number(trunked: Organisation) -> None:
    async with still_server(trunked, FE1) as server:
        refused = sent_on(server, "tel:+112")
        assert isinstance(refused, Answer)
        assert (refused.status, "emergency" in refused.why) == (403, True)


@on_loop
async def test_home_pool_of_a_later_user_has_the_first_server_carry_a_diversion_out(two_pools: Network) -> None:
    """But for a user of its own, to whom it forwards itself."""
    async with still_server(two_pools.organisations[0]) as server:
        moved = sent_on(server, BOB, by=ALICE, caller=DORA, peer=FE3)
        assert isinstance(moved, Answer)
        assert (moved.status, dict(moved.headers)) == (
            302,
            {"Contact": f"<{BOB}>", "Diversion": f"<{ALICE}>;reason=away;counter=1"},
        )
        assert isinstance(sent_on(server, BOB, by=ALICE), Forward)
        assert isinstance(sent_on(server, "sip:carol@example.test", by=ALICE, peer=FE3), ToUser)


@on_loop
async def test_redirection_counts_of_the_home_pool_of_the_callee_and_for_its_users_only(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        in_force, invite = server.parts.setup.current.value, asked("INVITE", BOB)

        def moved(*diversions: str, contact: str = ALICE) -> Response:
            headers = [("contact", f"<{contact}>"), *(("diversion", f"<{one}>;reason=away") for one in diversions)]
            return respond(invite, 302, headers=headers)

        def wanted(response: Response, *names: str) -> Divert:
            return Divert((), response, ServerTarget(names, LinkKind.SERVER, BOB))

        assert chain_of(in_force, invite, wanted(moved(BOB), FE3)) == (Diversion(BOB, ALICE, Reason.AWAY),)
        for bad in (
            wanted(moved(BOB), FE1),  # not the home pool of the callee
            wanted(moved(), FE3),
            wanted(moved(DORA), FE3),  # another user than who was called
            wanted(moved(ALICE, BOB), FE3),  # a user of another pool
            wanted(moved(BOB, contact="mailto:x@y.test"), FE3),
            Divert((), moved(BOB), FlowTarget(1, b"", BOB)),  # a phone of another pool
        ):
            assert chain_of(in_force, invite, bad) is None


@on_loop
async def test_phone_forwards_for_its_user_to_sip_and_tel_uris(pool: Network) -> None:
    async with still_server(pool.organisations[0]) as server:
        in_force, invite = server.parts.setup.current.value, asked("INVITE", BOB)
        for contact, to in (
            (f"<{DORA};x=y>", DORA),
            ("<tel:+4930-123456>", "tel:+4930123456"),
            ("<sip:+49%330123456@example.test;user=phone>", "tel:+4930123456"),
        ):
            response = respond(invite, 302, headers=[("contact", contact)])
            found = chain_of(in_force, invite, Divert((), response, FlowTarget(1, owner_hash(BOB), BOB)))
            assert found == (Diversion(BOB, to, Reason.DEFLECTION),)
            assert chain_of(in_force, invite, Divert((), response, FlowTarget(1, owner_hash(DORA), BOB))) is None


@on_loop
async def test_user_without_a_phone_rings_beside_or_goes_where_the_rule_says(pool: Network) -> None:
    async with still_server(pool.organisations[0]) as server:
        in_force, sender = server.parts.setup.current.value, server.phone().sender
        assert sender is not None
        user, rules = ToUser(BOB, ALICE), CallRules(also=("sip:carol@example.test",))
        beside = by_rules(in_force, sender, asked("INVITE", BOB), user, (), rules, NOON)
        assert isinstance(beside, Forward)
        assert (beside.targets, beside.otherwise) == ((), CallHandling(BOB, rules))
        away = by_rules(
            in_force, sender, asked("INVITE", BOB), user, (), CallRules(away="sip:carol@example.test"), NOON
        )
        assert isinstance(away, ToUser)
        assert away.aor == "sip:carol@example.test"
        none = by_rules(in_force, sender, asked("INVITE", BOB), user, (), CallRules(busy=ALICE), NOON)
        assert isinstance(none, Answer)
        assert none.status == 480


@pytest.mark.parametrize("caller", [ALICE, CAROL])
@on_loop
async def test_call_is_forwarded_to_an_address_or_a_number_of_an_application(pool: Network, caller: str) -> None:
    """As unanswered calls to voice mail; another name of our domain leads nowhere."""
    pool.set_application(sip_addresses=["voicemail@example.test"], numbers=["+4930777"])
    async with still_server(pool.organisations[0], FE1) as server:
        for to, uri in (
            ("sip:voicemail@example.test", "sip:voicemail@example.test"),
            ("tel:+4930777001", "sip:+4930777001@example.test;user=phone"),
        ):
            found = sent_on(server, to, caller=caller)
            assert isinstance(found, Forward)
            [target] = found.targets
            assert isinstance(target, ServerTarget)
            assert (target.names, target.uri) == ((BOT,), uri)
        refused = sent_on(server, "sip:fax@example.test", caller=caller)
        assert isinstance(refused, Answer)
        assert refused.status == 404
