"""`sipmesh explain REFERENCE`: where a refusal is found, by which server it was, and what is said if it is not found."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from cli.world import FE1, FE2, Organisation
from cli.world import MGMT as MGMT_HERE
from sipmesh.cli.diagnosis.refused_message import REMEDIES
from sipmesh.server.proxy.message_refusals import COARSE
from sipmesh.storage.call_records.journal import FOLDER, Journal
from support import network
from support.managed import MGMT, Managed, build_published, second_pool
from support.recording import entry, record
from support.running import LOOK_AGAIN_S, on_loop

BEGAN = record().start


@pytest.fixture(name="recorded")
def _recorded(organisation: Organisation) -> Organisation:
    """An organisation that makes records; nothing runs on this machine, whose files have a refusal."""
    organisation.file.write_text(organisation.file.read_text() + "\ncall_records: {days: 7}\n")
    assert organisation.type("topology", "publish", "--force", "-m", "records of calls").code == 0
    refused = entry(
        status=488, why="RTP/AVP is not encrypted", code="media-not-encrypted", reference="c8-1", server=FE1
    )
    Journal(organisation.folder / "state" / FOLDER, FE1).append([refused])
    return organisation


@on_loop
async def test_refusal_of_another_machine_is_found_at_management(tmp_path: Path) -> None:
    """Its sender was at fe1, whose memory and log are on another host; no record of fe2 has come."""
    managed = Managed(build_published(tmp_path / "m", second_pool(), call_records={}), tmp_path)
    async with managed:
        await managed.start(MGMT, network.FE1)
        await managed.acknowledged(1, network.FE1)
        alice = await managed.agent("alice", network.FE1)
        (warning,) = (await alice.message("bob@elsewhere.test", "hello")).warnings
        reference = warning.rpartition("reference ")[2].strip('"')
        while not (await managed.ask(MGMT, "calls", call=reference))["records"]:
            await asyncio.sleep(LOOK_AGAIN_S)
        for typed in (reference, reference.upper()):
            told = await managed.type("explain", typed, code=1)
            assert (
                "no-route: MESSAGE from alice@example.test to bob@elsewhere.test got 404 at fe1.example.test, 20"
                in told
            )
            assert "elsewhere.test is not a domain, server or partner of this network" in told
            assert "→ check the address" in told
            assert re.search(r"Note: the newest records of .*fe2\.example\.test", told)
            assert reference in await managed.type("calls", "--call", typed)
        assert "alice@example.test" in await managed.type("explain", reference, "--server", network.FE1, code=1)
        for words in ((f"{reference}0",), (reference, "--server", network.FE2)):
            told = await managed.type("explain", *words, code=1)
            assert "at management has it: records are of calls and messages of the last 30 days" in told
            assert re.search(r"Note: the newest records of .*fe2\.example\.test", told)


def test_refusal_that_no_memory_has_is_found_in_the_files_of_this_machine(recorded: Organisation) -> None:
    """The server has restarted since, or does not run."""
    told = recorded.type("explain", "c8-1")
    assert told.code == 1
    assert told.out.startswith(
        f"media-not-encrypted: INVITE from alice@example.test to bob@example.test got 488 at {FE1}, 20"
    )
    assert "  RTP/AVP is not encrypted\n  → set SRTP to mandatory on the phone" in told.out
    assert [one["reference"] for one in recorded.type("explain", "c8-1", "--json").json] == ["c8-1"]
    unknown = recorded.type("explain", "c8-2")
    assert (unknown.code, unknown.out) == (1, "")
    assert "on the host of mgmt.example.com, type sipmesh explain c8-2" in " ".join(unknown.err.split())


@pytest.mark.parametrize(
    ("by", "remedy"),
    [
        (MGMT_HERE, f"{FE1} has made the record, {MGMT_HERE} has the reason: on its host, sipmesh explain c9-1"),
        ("sip.partner.test", "sip.partner.test is not a server of ours: its operator finds the reason"),
    ],
)
def test_reason_that_another_server_knows_is_to_be_had_there(recorded: Organisation, by: str, remedy: str) -> None:
    forbidden = entry(id="x", status=403, why="Forbidden", reference="c9-1", refused_by=by, server=FE1)
    Journal(recorded.folder / "state" / FOLDER, f"{FE1}.w1").append([forbidden])
    told = recorded.type("explain", "c9-1").out
    assert told.startswith(f"refused: INVITE from alice@example.test to bob@example.test got 403 at {by}, 20")
    assert f"→ {remedy}" in told


def test_reference_of_several_servers_is_narrowed_by_the_name_in_the_warning(recorded: Organisation) -> None:
    """Each server counts for itself."""
    later = entry(id="y", start=BEGAN + timedelta(hours=1), status=404, why="nobody", reference="c8-1", refused_by=FE2)
    Journal(recorded.folder / "state" / FOLDER, f"{FE1}.w1").append([later])
    both = recorded.type("explain", "c8-1").out
    assert both.index("nobody") < both.index("RTP/AVP")
    assert "--server NAME shows those of one server" in both
    for server, why in ((FE1, "RTP/AVP is not encrypted"), (FE2, "nobody")):
        (one,) = json.loads(recorded.type("explain", "c8-1", "--server", server, "--json").out)
        assert one["why"] == why


def test_network_without_records_says_what_they_would_bring(organisation: Organisation) -> None:
    told = organisation.type("explain", "c8-1")
    assert told.code == 1
    for part in (
        "no records of calls are made",
        "On the host of the server in the Warning",
        "write `call_records: {}`",
    ):
        assert part in " ".join(told.err.split())


@pytest.mark.parametrize("typed", ["c8-", "c8-1x", "C8-1-2", 'c8-1"', "s1-" + "9" * 21, "p" + "1" * 21 + "-1"])
def test_what_cannot_be_a_reference_is_said_to_be_none(organisation: Organisation, typed: str) -> None:
    told = organisation.type("explain", typed)
    assert told.code == 1
    assert f"{typed} is no reference of a refusal" in told.err


def test_user_whose_name_is_like_a_reference_is_a_user(organisation: Organisation) -> None:
    organisation.add_user("c3-po")
    assert "c3-po@example.com" in organisation.type("explain", "c3-po").out


def test_each_code_of_a_refused_message_has_a_remedy() -> None:
    assert set(REMEDIES) == set(COARSE)
