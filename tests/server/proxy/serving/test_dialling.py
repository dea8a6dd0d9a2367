"""Where a call to a number goes that no user of ours has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.registrar.device import RegisteredContact
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.serving.dialling import at_gateways, number_called, to_trunks
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, Network
from support.running import on_loop
from support.still_server import asked, still_server
from support.trunks import GATEWAY, OUTSIDE, PBX, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE = "sip:alice@example.test"
NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)
CALLED = ToUser(f"sip:{OUTSIDE}@example.test", ALICE)


@pytest.fixture(name="trunked", scope="module")
def _trunked(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    folder = tmp_path_factory.mktemp("trunks")
    example = build_gateway(folder / "example")
    provider = PlayedTrunk(PROVIDER, build_trunk(folder / "provider", PROVIDER))
    join_trunks(example, (provider, {"carries": ["+49"]}))
    return example


@on_loop
async def test_call_goes_to_the_gateways_whose_trunks_carry_the_number(trunked: Organisation) -> None:
    async with still_server(trunked, FE1) as server:
        in_force, sender = server.parts.setup.current.value, server.phone().sender
        assert sender is not None
        found = to_trunks(in_force, sender, asked("INVITE"), CALLED, OUTSIDE, NOON)
        assert isinstance(found, Forward)
        [target] = found.targets
        assert isinstance(target, ServerTarget)
        assert (target.names, target.kind) == ((GATEWAY,), LinkKind.SERVER)
        assert (target.uri, found.identity) == (f"sip:{OUTSIDE}@example.test;user=phone", ALICE)


@pytest.mark.parametrize("name", ["bob", "112", "+43123456789", f"{OUTSIDE};isub=1"])
@on_loop
async def test_name_that_no_trunk_carries_goes_nowhere(trunked: Organisation, name: str) -> None:
    async with still_server(trunked, FE1) as server:
        in_force, sender = server.parts.setup.current.value, server.phone().sender
        assert sender is not None
        user = ToUser(f"sip:{name}@example.test", ALICE)
        assert to_trunks(in_force, sender, asked("INVITE"), user, number_called(in_force, user), NOON) is None
        one_device = ToUser(CALLED.aor, ALICE, RegisteredContact("sip:x@192.0.2.1", None))
        assert (number_called(in_force, CALLED), number_called(in_force, one_device)) == (OUTSIDE, "")


@on_loop
async def test_trunks_carry_calls_of_our_users_only(trunked: Organisation) -> None:
    async with still_server(trunked, FE1) as server:
        in_force, sender = server.parts.setup.current.value, server.phone().sender
        assert sender is not None
        outside = ServerSender(LinkKind.SERVER, in_force.view.trusted[GATEWAY])
        answers = [
            to_trunks(in_force, outside, asked("INVITE"), CALLED, OUTSIDE, NOON),
            to_trunks(in_force, sender, asked("MESSAGE"), CALLED, OUTSIDE, NOON),
        ]
        assert [answer.status for answer in answers if isinstance(answer, Answer)] == [403, 404]


@on_loop
async def test_topology_without_trunks_carries_nothing(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        in_force, sender = server.parts.setup.current.value, server.phone().sender
        assert sender is not None
        assert to_trunks(in_force, sender, asked("INVITE"), CALLED, OUTSIDE, NOON) is None


@pytest.fixture(name="routed", scope="module")
def _routed(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """Two trunks carry all numbers. At night, and for bob, only the second one does."""
    folder = tmp_path_factory.mktemp("routes")
    example = build_gateway(folder / "example")
    trunks = [PlayedTrunk(name, build_trunk(folder / name, name)) for name in (PROVIDER, PBX)]
    join_trunks(example, *((trunk, {"carries": ["+"]}) for trunk in trunks))
    night = {"name": "night", "numbers": ["+"], "trunks": [PBX], "hours": "18:00-08:00"}
    bobs = {"name": "bobs", "numbers": ["+"], "trunks": [PBX, PROVIDER], "users": ["bob@example.test"]}
    example.document["numbers"] = {"routes": [night, bobs], "time_zone": "Europe/Berlin"}
    example.write()
    return example


@pytest.mark.parametrize(
    ("user", "hour", "named"),
    [("alice", 12, ""), ("alice", 17, f";trunks={PBX}"), ("bob", 12, f";trunks={PBX}+{PROVIDER}")],
)
@on_loop
async def test_route_of_caller_and_time_names_the_trunks_for_the_gateway(
    routed: Organisation, user: str, hour: int, named: str
) -> None:
    """17:00 in UTC is 18:00 in Berlin."""
    async with still_server(routed, FE1) as server:
        at = NOON.replace(hour=hour)
        target = at_gateways(server.parts.setup.current.value, "a call", OUTSIDE, f"sip:{user}@example.test", at)
        assert target is not None
        assert (target.names, target.uri) == ((GATEWAY,), f"sip:{OUTSIDE}@example.test;user=phone{named}")
