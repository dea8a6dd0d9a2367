"""What `sipmesh links` shows of the servers that run here."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.cli.control_client import FromServer
from sipmesh.cli.diagnosis.links import answers_of, each, links
from sipmesh.cli.place import Place
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.admin.replies import LINKS, ClientRefusalReply, LinkReply, LoginFailureReply, TlsReply
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.judgement.verdict_report import FindingReport, TlsReport, VerdictReport
from support.network import FE1, FE2
from support.prepared import Replies, answered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LINK = LinkReply(
    *(FE1, "s7", LinkKind.SERVER, Direction.ACCEPTED, "up", True, FE2, "192.0.2.2:4711", Code.ACCEPTED),
    *(TlsReply("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519"), 61.0, 3, 4, 100, 200),
)
FINDING = FindingReport(
    *("validity", False, True, "valid now", "expired on 2026-05-31", "RFC 5280 4.1.2.5", Code.EXPIRED),
)
VERDICT = VerdictReport(
    *(Code.EXPIRED, False, FE2, LinkKind.SERVER, Direction.ACCEPTED, "192.0.2.2:4711", FE2, NOON, FE2, ()),
    *(TlsReport("TLSv1.3", "", "", ""), None, (FINDING,), ("renew the certificate", "check the clock")),
)
MESSAGE = RefusedMessage("s7", FE2, "INVITE", 404, "no-route", "elsewhere.test is not known", "c0-1")
LOGIN = LoginFailureReply(
    "bob@example.test", "wrong password", "wrong-password", "192.0.2.9:1", "phone", NOON, NOON, 2, closed=False
)
CLIENT = ClientRefusalReply("plain-sip", "what arrived is not TLS", "192.0.2.9", NOON, NOON, 3)
NOTHING: Replies = {"refused": [], "refused-messages": [], "login-failures": [], "client-refusals": []}


@pytest.fixture(name="place")
def _place(example: Organisation) -> Place:
    return Place(example.file)


def shown(place: Place, replies: Replies, *, refused: bool = False, as_json: bool = False) -> None:
    with answered(place.state, {FE1: replies}):
        links(refused=refused, topology=place.file, as_json=as_json)


def test_live_links_are_counted_for_each_server(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with answered(place.state, {FE1: {"links": [LINK]}, FE2: {"links": []}}):
        links(topology=place.file)
    printed = capsys.readouterr().out
    assert f"{FE1}: 1 link\n" in printed
    assert f"{FE2}: 0 links\n" in printed
    assert "accepted server" in printed
    assert "Why is a peer accepted? sipmesh explain LINK" in printed


def test_without_a_link_no_table_is_shown(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    shown(place, {"links": []})
    assert capsys.readouterr().out == f"{FE1}: 0 links\n"


def test_json_lists_the_links_of_all_servers(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with answered(place.state, {FE1: {"links": [LINK]}, FE2: {"links": [replace(LINK, server=FE2)]}}):
        links(topology=place.file, as_json=True)
    assert [one["server"] for one in json.loads(capsys.readouterr().out)] == [FE1, FE2]


def test_each_kind_of_refusal_has_its_table(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "refused": [VERDICT],
        "refused-messages": [MESSAGE],
        "login-failures": [LOGIN],
        "client-refusals": [CLIENT],
    }
    shown(place, found, refused=True)
    printed = capsys.readouterr().out
    for told in ("expired on 2026-05-31", "renew the certificate", "2026-06-01 12:00:00Z", "c0-1", "wrong password"):
        assert told in printed
    assert "there is no port for plain SIP" in " ".join(printed.split())
    assert "check the clock" not in printed, "the first remedy is enough in a table"
    assert "sipmesh explain USER@DOMAIN" in printed


def test_verdict_without_findings_and_remedies_has_dashes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    shown(place, {**NOTHING, "refused": [replace(VERDICT, findings=(), remedies=())]}, refused=True)
    [row] = [line for line in capsys.readouterr().out.splitlines() if "192.0.2.2:4711" in line]
    assert row.split()[-3:] == ["expired", "-", "-"]


def test_no_refusal_is_said_in_one_line(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    shown(place, NOTHING, refused=True)
    assert capsys.readouterr().out == "The servers have refused no link, message or login since they started.\n"


def test_json_of_refusals_names_the_server_of_each(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    shown(place, {**NOTHING, "refused-messages": [MESSAGE]}, refused=True, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["links"], printed["logins"], printed["clients"]) == ([], [], [])
    assert printed["messages"][0]["server"] == FE1
    assert printed["messages"][0]["reference"] == "c0-1"


@pytest.mark.parametrize(
    ("server", "why"), [("", "no server of this topology runs"), (FE2, f"{FE2} does not run on this machine")]
)
def test_server_that_does_not_run_is_an_error_with_the_command_that_starts_it(
    place: Place, server: str, why: str
) -> None:
    running: dict[str, Replies] = {FE1: {"links": []}} if server else {}
    with answered(place.state, running), pytest.raises(OperatorError, match=f"{why}.*sipmesh serve NAME"):
        answers_of(place, LINKS, server)


def test_only_the_named_server_counts(place: Place) -> None:
    with answered(place.state, {FE1: {"links": [LINK]}, FE2: {"links": []}}):
        assert answers_of(place, LINKS, FE1) == [FromServer(FE1, [LINK])]


def test_one_server_without_a_reply_is_printed_beside_the_others(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with answered(place.state, {FE1: {"links": OperatorError("not today")}, FE2: {"links": []}}):
        assert [answer.server for answer in answers_of(place, LINKS)] == [FE2]
    assert capsys.readouterr().out == f"{FE1}: not today\n"


def test_no_reply_at_all_is_an_error(place: Place) -> None:
    with (
        answered(place.state, {FE1: {"links": OperatorError("not today")}}),
        pytest.raises(OperatorError, match=f"{FE1}: not today"),
    ):
        answers_of(place, LINKS)


def test_each_value_keeps_its_server() -> None:
    answers = [FromServer("a", [1, 2]), FromServer("b", list[int]()), FromServer("c", [3])]
    assert each(answers) == [FromServer("a", 1), FromServer("a", 2), FromServer("c", 3)]


def test_links_need_a_topology(tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        links(topology=tmp_path / "none.yaml")


def test_links_of_one_tls_version_show_who_needs_an_update(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    old = replace(LINK, id="s8", peer="old.example.test", tls=TlsReply("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", ""))
    with answered(place.state, {FE1: {"links": [LINK, old]}}):
        links(tls="1.2", topology=place.file, as_json=True)
        assert [link["id"] for link in json.loads(capsys.readouterr().out)] == ["s8"]
        links(tls="1.3", topology=place.file)
    printed = capsys.readouterr().out
    assert f"{FE1}: 1 link\n" in printed
    assert "s7" in printed
    assert "old.example.test" not in printed
