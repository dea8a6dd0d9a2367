"""Refused messages: the sender gets a class and a reference, the log has the reason under the same reference."""

from __future__ import annotations

import re

import pytest

from sipmesh.server.proxy.gatekeeper import REMEMBERED_REFUSALS
from sipmesh.server.proxy.message_refusals import COARSE
from sipmesh.trust.code import Code
from support.network import FE1, Network
from support.running import on_loop

BOSS = "<sip:boss@example.test>;tag=1"


@pytest.mark.parametrize(
    ("uri", "sender", "coarse", "code"),
    [
        ("sip:bob@victim.example.net", None, "routing", Code.NO_ROUTE),
        ("sip:bob@example.test", "<sip:erin@partner.test>;tag=1", "identity", Code.FROM_NOT_ALLOWED),
    ],
)
@on_loop
async def test_sender_learns_a_class_and_the_log_the_reason(
    home: Network, uri: str, sender: str | None, coarse: str, code: Code
) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        refused = await alice.ask(alice.request("MESSAGE", uri, sender=sender))
        (warning,) = refused.values("warning")
        found = re.fullmatch(rf'399 {FE1} "refused: (\w+), reference (\S+)"', warning)
        assert found is not None
        told = home.nodes[FE1].refusals.newest[-1]
        assert (found[1], found[2], told.code) == (coarse, told.reference, code)
        line = home.told[FE1].last("message refused")
        assert (line["reference"], line["code"], line["why"]) == (told.reference, code, told.why)
        assert told.why not in warning


@on_loop
async def test_newest_refusals_are_kept_only(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        for _ in range(REMEMBERED_REFUSALS + 1):
            await alice.ask(alice.request("MESSAGE", "sip:bob@victim.example.net"))
        kept = [one.reference for one in home.nodes[FE1].refusals.newest]
        assert len(kept) == REMEMBERED_REFUSALS
        assert [int(one.rpartition("-")[2]) for one in kept] == list(range(2, REMEMBERED_REFUSALS + 2))


@pytest.mark.parametrize(
    ("method", "headers", "status", "has_reference"),
    [
        ("INVITE", (), 404, True),
        ("MESSAGE", (), 404, True),
        ("MESSAGE", [("proxy-require", "teleport")], 420, False),
        ("OPTIONS", (), 404, False),
    ],
)
@on_loop
async def test_call_or_message_that_is_refused_without_a_code_has_a_reference_too(
    home: Network, method: str, headers: list[tuple[str, str]], status: int, *, has_reference: bool
) -> None:
    """No metric counts it, no warning is logged, and it displaces no refusal with a code."""
    async with home:
        alice, refusals = await home.phone("alice", FE1), home.nodes[FE1].refusals
        refused = await alice.ask(alice.request(method, "sip:nobody@example.test", headers))
        references = [one.reference for one in refusals.plain if one.why.endswith("is not a user of this network")]
        assert (refused.status, len(references)) == (status, has_reference)
        assert all(f'"refused: unavailable, reference {one}"' in (refused.first("warning") or "") for one in references)
        assert (len(refusals.newest), home.nodes[FE1].counters.refused_messages.total()) == (0, 0)
        assert {line["level"] for line in home.told[FE1].events("message refused")} <= {"info"}


def test_class_says_less_than_the_code() -> None:
    assert len({*COARSE.values()}) < len(COARSE)
    assert not {*COARSE.values()} & {str(code) for code in Code}
