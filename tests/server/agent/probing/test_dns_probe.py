"""A server asks DNS for the records of its topology, and its report stays short for all answers of DNS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.agent.probing import dns_probe
from sipmesh.server.agent.probing.dns_probe import LONGEST_ANSWERS, dns_answers, questions_of
from sipmesh.server.process import dns_lookups
from sipmesh.server.replication.server_status import MOST_DATA, MOST_QUESTIONS, Probed
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.topology.builder.dns_records import dns_records
from sipmesh.topology.document.model import Topology
from support.managed import Managed
from support.network import EXAMPLE, FE1
from support.running import on_loop


@pytest.fixture(name="topology")
def _topology(managed: Managed) -> Topology:
    return managed.organisation.load().topology


async def seen(topology: Topology) -> dict[tuple[str, str], Any]:
    answers = await dns_answers(topology)
    assert Probed.model_validate(Probed(order=1, answers=answers).model_dump(mode="json")).answers == answers
    return {(one.name, one.type): one for one in answers}


def test_questions_are_those_of_the_topology_and_of_no_other_name(topology: Topology) -> None:
    names = {name for name, _ in questions_of(topology)}
    assert {FE1, EXAMPLE, f"_sips._tcp.{EXAMPLE}"} <= names
    assert all(name.endswith(EXAMPLE) for name in names)


def test_tlsa_records_are_asked_for_only_with_dane(topology: Topology) -> None:
    assert not [name for name, kind in questions_of(topology) if kind == "TLSA"]
    with_dane = topology.model_copy(update={"dane": True})
    names = [name for name, kind in questions_of(with_dane) if kind == "TLSA"]
    ports = {data.split()[2] for data in srv_data(with_dane)}
    assert ports
    assert {name.partition(".")[0] for name in names} == {f"_{port}" for port in ports}
    assert all(name.endswith(EXAMPLE) for name in names)


def srv_data(topology: Topology) -> list[str]:
    return [record.data for record in dns_records(topology) if record.type == "SRV"]


@on_loop
async def test_answers_are_reported_and_long_answers_are_left_out(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = questions_of(topology)

    async def asked(questions: Any, servers: Any) -> dict[Any, DnsAnswer]:
        found = {key: DnsAnswer(["192.0.2.1"], Dnssec.SECURE) for key in questions}
        return found | {questions[-1]: DnsAnswer(["x" * 1900] * 2 * LONGEST_ANSWERS)}

    monkeypatch.setattr(dns_lookups, "asked", asked)
    found = await seen(topology)
    assert list(found) == list(wanted)
    first, last = found[wanted[0]], found[wanted[-1]]
    assert (first.data, first.dnssec, first.fault) == (("192.0.2.1",), "secure", "")
    assert len(last.data) <= MOST_DATA
    monkeypatch.setattr(dns_probe, "LONGEST_ANSWERS", 20)
    found = await seen(topology)
    assert found[wanted[0]].data == ("192.0.2.1",)
    assert (found[wanted[-1]].data, "too long" in found[wanted[-1]].fault) == ((), True)
    assert len(found) <= MOST_QUESTIONS


@on_loop
async def test_machine_without_a_name_server_says_so(topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_settings: Any) -> None:
        raise OperatorError("this machine has no DNS server")

    monkeypatch.setattr(dns_lookups, "name_servers", none)
    assert {one.fault for one in (await seen(topology)).values()} == {"this machine has no DNS server"}


@on_loop
async def test_name_server_that_does_not_answer_holds_up_no_report(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked(_questions: Any, _servers: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(dns_lookups, "asked", asked)
    monkeypatch.setattr(dns_probe, "LONGEST_S", 0.01)
    assert {one.fault for one in (await seen(topology)).values()} == {"no answers to all questions within 0.01 s"}
