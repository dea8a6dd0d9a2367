"""The calls with trunks that are up, at a gateway that is not started."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.numbers.call_bounds import SpentTime
from sipmesh.server.proxy.calls.call_bounds import LOOKED_S
from sipmesh.server.proxy.calls.trunk_calls import MOST_DIALOGS, TrunkCalls
from sipmesh.server.proxy.dialog_key import dialog_of
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.trust.evidence import LinkKind
from support.running import on_loop
from support.still_server import StillServer, still_server
from support.trunks import GATEWAY, PROVIDER

pytestmark = pytest.mark.skipif(
    built() == "compiled", reason="what stands for a branch is no object of a compiled class"
)


def invite(uri: str = "sip:+4989123456@example.test") -> Request:
    headers = [("to", f"<{uri}>"), ("from", "<sip:alice@example.test>;tag=1"), ("call-id", "1"), ("cseq", "1 INVITE")]
    return build_request("INVITE", uri, headers)


INSIDE: Final = SimpleNamespace(place=SimpleNamespace(ends=b""))


@dataclass(eq=False)
class Branch:
    """Stands for a branch that has gone to the provider, or has come from it."""

    proxied: Any
    flow: Any
    request: Request
    branch: str = "b"


def branch(server: StillServer, request: Request, *, of_trunk: bool = False) -> Any:
    partner = server.parts.setup.current.value.view.partner_named(PROVIDER)
    assert partner is not None
    trunk = SimpleNamespace(
        link=SimpleNamespace(kind=LinkKind.PARTNER, meant=PROVIDER, peer_name=PROVIDER), sender=None, sent={"b": 1}
    )
    inside = SimpleNamespace(link=SimpleNamespace(kind=LinkKind.SERVER), sender=None, sent={"b": 1})
    came_on, went_on = (trunk, inside) if of_trunk else (inside, trunk)
    proxied = SimpleNamespace(request=request, flow=came_on, identity="sip:alice@example.test", received=INSIDE)
    return Branch(proxied=proxied, flow=went_on, request=request)


def answered(request: Request, tag: str) -> Response:
    return respond(request, 200, to_tag=tag)


def bye(server: StillServer, tag: str, *, of_trunk: bool = False) -> Any:
    asked = build_request(
        "BYE",
        "sip:x@y.test",
        [("to", f"<sip:x@y.test>;tag={tag}"), ("from", "<sip:alice@example.test>;tag=1"), ("call-id", "1")],
    )
    return branch(server, asked, of_trunk=of_trunk)


def table(server: StillServer) -> TrunkCalls:
    return server.state.trunk_calls


def began(calls: TrunkCalls, sent: Any, response: Response) -> None:
    """A 2xx has passed, in a dialog whose ends are the same in the whole module."""
    calls.began(sent, dialog_of(response, b""), response, 0.0)


@pytest.mark.parametrize(
    ("status", "of_user", "of_trunk"),
    [
        (200, 0, 0),
        (408, 0, 0),
        (481, 0, 0),
        (480, 1, 0),
        (430, 1, 0),
        (500, 1, 1),
        (420, 1, 1),
        (404, 1, 1),
        (503, 1, 1),
    ],
)
@on_loop
async def test_status_of_a_bye_says_whether_its_call_goes_on(
    trunked: Organisation, status: int, of_user: int, of_trunk: int
) -> None:
    async with still_server(trunked, GATEWAY) as server:
        for is_of_trunk, left in ((False, of_user), (True, of_trunk)):
            sent = branch(server, invite())
            began(table(server), sent, answered(invite(), "2"))
            table(server).answered_bye(bye(server, "2", of_trunk=is_of_trunk), status)
            assert table(server).with_trunk(PROVIDER) == left
            for call in table(server).up():
                table(server).forget(call)


@on_loop
async def test_bye_of_another_dialog_ends_no_call(trunked: Organisation) -> None:
    """Its Call-ID is the same. A repeated 2xx counts no second call, also after the BYE, while its branch is known."""
    async with still_server(trunked, GATEWAY) as server:
        sent = branch(server, invite())
        began(table(server), sent, answered(invite(), "2"))
        table(server).answered_bye(bye(server, "3"), 200)
        assert table(server).with_trunk(PROVIDER) == 1
        for _ in range(2):
            table(server).answered_bye(bye(server, "2"), 200)
            began(table(server), sent, answered(invite(), "2"))
            assert table(server).with_trunk(PROVIDER) == 0
        sent.flow.sent.clear()
        table(server).purge()
        assert not table(server).is_full
        assert not table(server)._calls


@on_loop
async def test_call_with_two_dialogs_has_one_channel_until_both_have_ended(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        sent = branch(server, invite())
        for tag in "23":
            began(table(server), sent, answered(invite(), tag))
        assert table(server).with_trunk(PROVIDER) == 1
        assert table(server).ended(dialog_of(answered(invite(), "2"), b""))
        assert table(server).with_trunk(PROVIDER) == 1
        table(server).answered_bye(bye(server, "3"), 200)
        assert table(server).with_trunk(PROVIDER) == 0


@on_loop
async def test_second_phone_that_answers_after_the_first_dialog_has_a_channel_until_its_own_ends(
    trunked: Organisation,
) -> None:
    """A fork behind the trunk may answer twice, and a call of another phone is counted meanwhile."""
    async with still_server(trunked, GATEWAY) as server:
        sent, other = branch(server, invite()), branch(server, invite())
        for tag, one in (("2", sent), ("4", other), ("3", sent)):
            began(table(server), one, answered(invite(), tag))
            table(server).answered_bye(bye(server, tag), 200)
            assert table(server).with_trunk(PROVIDER) == 0
        began(table(server), sent, answered(invite(), "5"))
        assert len(table(server).of_user("sip:alice@example.test")) == table(server).with_trunk(PROVIDER) == 1


@on_loop
async def test_second_call_with_the_dialog_of_the_first_has_a_channel_of_its_own_until_a_bye_of_its_own(
    trunked: Organisation,
) -> None:
    """Both are between the same two ends, with the same Call-ID and tags. A BYE frees one channel, and each BYE frees one."""
    async with still_server(trunked, GATEWAY) as server:
        for sent in (branch(server, invite()), branch(server, invite())):
            began(table(server), sent, answered(invite(), "2"))
        for left in (1, 0, 0):
            table(server).answered_bye(bye(server, "2"), 200)
            assert table(server).with_trunk(PROVIDER) == left
        assert table(server)._of_dialogs == {}


@on_loop
async def test_end_of_one_of_two_calls_with_one_dialog_leaves_the_bye_of_the_other(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        for sent in (branch(server, invite()), branch(server, invite())):
            began(table(server), sent, answered(invite(), "2"))
        table(server).forget(table(server).up()[0])
        assert table(server).with_trunk(PROVIDER) == 1
        table(server).answered_bye(bye(server, "2"), 200)
        assert table(server).with_trunk(PROVIDER) == 0


@on_loop
async def test_call_with_too_many_dialogs_lasts_until_its_longest_time(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        sent = branch(server, invite())
        for number in range(MOST_DIALOGS + 2):
            began(table(server), sent, answered(invite(), f"t{number}"))
        for number in range(MOST_DIALOGS + 2):
            table(server).answered_bye(bye(server, f"t{number}"), 200)
        assert table(server).with_trunk(PROVIDER) == 1
        assert server.state.call_bounds.to_end(120.0) == []
        [call] = server.state.call_bounds.to_end(121.0 + LOOKED_S)
        table(server).forget(call)
        assert table(server).with_trunk(PROVIDER) == 0


@on_loop
async def test_emergency_call_has_no_channel_and_no_longest_time(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        asked = invite("sip:112@example.test")
        began(table(server), branch(server, asked), answered(asked, "2"))
        assert table(server).with_trunk(PROVIDER) == 0
        assert server.state.call_bounds.to_end(1e9) == []


@on_loop
async def test_full_table_has_room_for_no_other_call_until_one_is_over(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        setup, peers = server.parts.setup, server.parts.peers
        calls = TrunkCalls(1, setup.current, peers.flow_table, peers.siblings, SpentTime(), lambda: 0.0)
        began(calls, branch(server, invite()), answered(invite(), "2"))
        assert calls.is_full
        calls.answered_bye(bye(server, "2"), 200)
        assert not calls.is_full
