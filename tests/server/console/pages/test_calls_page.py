"""The page of calls: for whom, what it finds, how it pages, exports, ends a call and erases a user."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sipmesh.storage.call_records.call_record import CallRecord
from support.console import Visitor, management_with_console
from support.managed import Managed
from support.recording import record, up
from support.running import on_loop

BEGAN = record().start


async def stored(network: Managed, *records: CallRecord) -> None:
    """Store records at management, as if servers had delivered them."""
    await network.master.calls.in_store(lambda store: store.add(records))


def audited(network: Managed) -> list[object]:
    return [line.about.get("found") for line in network.master.management_db.audit.read() if line.act == "calls"]


@on_loop
async def test_viewer_sees_no_record_and_an_operator_does(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network) as viewer,
        Visitor(network) as operator,
    ):
        await stored(network, record(why="<script>alert(1)</script>", status=486))
        await viewer.log_in("viewer")
        await operator.log_in("operator")
        assert (await viewer.get("/calls")).status == 200
        for path in (
            "/calls?user=bob",
            "/calls?call=c8-1",
            "/calls/export?user=bob",
            "/calls/end?id=x",
            "/calls/erase",
        ):
            assert (await viewer.get(path)).status == 403, path
        assert audited(network) == []
        page = await operator.get("/calls?user=bob")
        assert "alice@example.test" in page.text
        assert "<script>" not in page.text
        assert audited(network) == [1]
        assert "alice@example.test" not in (await operator.get("/calls?user=carol")).text


@on_loop
async def test_pages_and_exports_have_all_records_once(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        await stored(network, *[record(id=f"r{n:03d}", start=BEGAN + timedelta(seconds=n)) for n in range(60)])
        await operator.log_in("operator")
        first = (await operator.get("/calls?kind=calls")).text
        assert first.count('<th scope="row">') == 50
        older = first.partition('<a href="/calls?kind=calls&amp;before=')[2].partition('"')[0]
        assert older == "r010"
        assert (await operator.get(f"/calls?kind=calls&before={older}")).text.count('<th scope="row">') == 10
        rows = list(csv.DictReader(io.StringIO((await operator.get("/calls/export?kind=calls&format=csv")).text)))
        assert [row["id"] for row in rows] == [f"r{n:03d}" for n in reversed(range(60))]
        lines = (await operator.get("/calls/export?format=jsonl")).text.splitlines()
        assert json.loads(lines[0])["id"] == "r059"


FOUND = {
    "kind=failed": {"busy"},
    "kind=up": {"now"},
    "kind=messages": {"text"},
    "since=2026-11-30T14:00": {"now"},
    "until=2026-11-30T13:10": {"call", "busy", "text"},
    "call=c7": {"text"},
    "call=c8-1": {"busy"},
}


@on_loop
async def test_search_finds_what_it_says(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        await stored(
            network,
            record(id="call"),
            record(id="busy", status=486, reference="c8-1", refused_by="fe2.example.test"),
            up(id="now", start=BEGAN + timedelta(hours=2)),
            record(id="text", method="MESSAGE", call_id="c7"),
        )
        await operator.log_in("operator")
        for query, found in FOUND.items():
            text = (await operator.get(f"/calls/export?format=csv&{query}")).text
            assert (query, {row["id"] for row in csv.DictReader(io.StringIO(text))}) == (query, found)
            assert (await operator.get(f"/calls?{query}")).text.count('<th scope="row">') == len(found)


@on_loop
async def test_time_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        for path in ("/calls?since=soon", "/calls/export?since=soon"):
            assert "soon is no time; write it as 2026-11-30T14:00" in (await operator.get(path)).text


@on_loop
async def test_browser_without_a_session_gets_no_file(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as stranger:
        await stored(network, record())
        assert "alice" not in (await stranger.get("/calls/export?format=csv")).text


@on_loop
async def test_end_of_a_call_is_offered_where_it_is_up_and_needs_an_operator(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network) as viewer,
        Visitor(network) as operator,
    ):
        await stored(network, up(id="now"), record(id="over"))
        await viewer.log_in("viewer")
        await operator.log_in("operator")
        text = (await operator.get("/calls?kind=calls")).text
        assert ("/calls/end?id=now" in text, "/calls/end?id=over" in text) == (True, False)
        assert (await viewer.post("/calls/end", id="now")).status == 403
        answer = await operator.post("/calls/end", id="now")
        assert "is not linked to management" in answer.text


@on_loop
async def test_call_with_media_in_the_clear_is_marked(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        for media, marked in (("SRTP", False), ("none", True)):
            await stored(network, record(id=media, media=media))
            assert ("in the clear" in (await operator.get("/calls?user=bob")).text) == marked


@on_loop
async def test_call_to_a_trunk_names_the_trunk(tmp_path: Path) -> None:
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        for trunk in ("", "sip.provider.test"):
            await stored(network, record(id=f"by {trunk}", trunk=trunk))
            text = (await operator.get("/calls?user=bob")).text
            assert ("(trunk sip.provider.test)" in text, "(trunk" in text) == (bool(trunk), bool(trunk))


@on_loop
async def test_erasure_needs_a_security_officer(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network) as operator,
        Visitor(network) as officer,
    ):
        await stored(network, record())
        await operator.log_in("operator")
        await officer.log_in("security-officer")
        assert (await operator.post("/calls/erase", user="bob")).status == 403
        assert "bob@example.test is erased from 1 records" in (await officer.post("/calls/erase", user="bob")).text


@on_loop
async def test_button_for_a_day_finds_its_calls_and_marks_messages(tmp_path: Path) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    days = {"today": noon, "yesterday": noon - timedelta(days=1), "older": noon - timedelta(days=2)}
    async with management_with_console(tmp_path, recording=True) as network, Visitor(network) as operator:
        calls = [record(id=day, start=at, why=f"of {day}") for day, at in days.items()]
        text = record(id="text", start=days["yesterday"] + timedelta(hours=1), method="MESSAGE", why="of yesterday")
        await stored(network, *calls, text)
        await operator.log_in("operator")
        for day in ("today", "yesterday"):
            page = (await operator.get(f"/calls?user=bob&day={day}")).text
            assert {one for one in days if f"of {one}" in page} == {day}
            assert ("13:00Z, message" in page, "12:00Z, message" in page) == (day == "yesterday", False)
            assert f'value="{days[day].date()}T00:00"' in page


@on_loop
async def test_program_finds_a_refusal_by_its_reference_if_it_may_read_records(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        await stored(network, record(status=488, reference="c8-1", refused_by="fe2.example.test"), record(id="other"))
        asked = {"call": "c8-1"}
        assert (await viewer.ask("POST", "/api/v1/calls", json=asked)).status == 403
        assert audited(network) == []
        answer = (await operator.ask("POST", "/api/v1/calls", json=asked)).json
        assert [one["refused_by"] for one in answer["records"]] == ["fe2.example.test"]
        assert answer["missing"] == network.master.network.without_records()
        for wrong in ("c8-1\0", "c" * 321):
            assert (await operator.ask("POST", "/api/v1/calls", json={"call": wrong})).status == 400
