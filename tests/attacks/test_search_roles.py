"""What a search finds is what the role may read: a viewer does not learn of refused messages, not even that there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yarl import URL

from sipmesh.server.console.operations import SEARCH, TABLE, operation_of
from sipmesh.server.console.search import SOURCES
from sipmesh.server.management.replies import CALLS
from support.console import Visitor, beside_management, management_with_console
from support.managed import Managed
from support.network import FE1
from support.running import on_loop


async def refused_reference(network: Managed) -> str:
    """Let a phone send a message in the name of another user; gives the reference that the phone gets."""
    phone = await network.phone(FE1, "alice")
    stolen = phone.request("MESSAGE", "sip:bob@example.test", sender="<sip:x@stranger.test>;tag=1")
    warning = (await phone.ask(stolen)).first("warning") or ""
    return warning.rpartition("reference ")[2].strip('"')


async def found_by(visitor: Visitor, text: str) -> Any:
    answer = await visitor.get(URL(f"/api/v1/search?find={text}"))
    assert answer.status == 200, answer.text
    return answer.json


@on_loop
async def test_viewer_finds_no_refused_message_and_an_operator_finds_it(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        await network.start(FE1)
        beside_management(network, FE1)
        await network.acknowledged(1, FE1)
        reference = await refused_reference(network)
        found = await found_by(operator, reference)
        assert [(one["kind"], one["name"]) for one in found["results"]] == [("refusal", reference)]
        assert found["left_out"] == []
        assert [fault.partition(";")[0] for fault in found["faults"]] == ["calls: no records of calls are made"]
        hidden, never = await found_by(viewer, reference), await found_by(viewer, "0" * len(reference))
        left_out = ["references of refused messages", "calls"]
        assert hidden == never == {"results": [], "left_out": left_out, "faults": []}
        assert (await viewer.get("/api/v1/refused-messages")).status == 403
        assert "stranger.test" in str((await operator.get("/api/v1/refused-messages")).json)


@on_loop
async def test_page_of_a_viewer_has_no_more_than_the_answer_of_the_api(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as viewer,
        Visitor(network) as operator,
    ):
        await viewer.log_in("viewer")
        await operator.log_in("operator")
        await network.start(FE1)
        beside_management(network, FE1)
        await network.acknowledged(1, FE1)
        reference = await refused_reference(network)
        shown = (await viewer.get(f"/search?q={reference}")).text
        assert ("stranger.test" in shown, "alice" in shown, "Your role does not read" in shown) == (False, False, True)
        assert "MESSAGE from " in (await operator.get(f"/search?q={reference}")).text


def test_each_source_of_the_search_is_an_operation_that_reads() -> None:
    """Each request for records of calls has a line in the audit log: that is its only change."""
    assert {source.operation for source in SOURCES if operation_of(source.operation).changes} == {CALLS.name}
    assert [one.name for one in TABLE if one.name == SEARCH] == [SEARCH]
