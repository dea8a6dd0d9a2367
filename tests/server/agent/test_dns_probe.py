"""A server asks DNS for the records of its topology, and its report stays short whatever DNS answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.agent import dns_lookups, dns_probe
from sipmesh.server.agent.dns_probe import LONGEST_ANSWERS, DnsProbe, questions_of
from sipmesh.server.replication.server_status import MOST_DATA, MOST_QUESTIONS, Probed
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.topology.document.model import Topology
from support.managed import Managed
from support.network import EXAMPLE, FE1
from support.running import on_loop, until


@pytest.fixture(name="topology")
def _topology(managed: Managed) -> Topology:
    return managed.organisation.load().topology


async def seen(topology: Topology) -> dict[tuple[str, str], Any]:
    probe = DnsProbe(asyncio.get_running_loop())
    probe.begin(topology)
    await until(lambda: not probe.is_asking)
    assert probe.answers is not None
    assert (
        Probed.model_validate(Probed(order=1, answers=probe.answers).model_dump(mode="json")).answers == probe.answers
    )
    return {(one.name, one.type): one for one in probe.answers}


def test_questions_are_those_of_the_topology_and_of_no_other_name(topology: Topology) -> None:
    names = {name for name, _ in questions_of(topology)}
    assert {FE1, EXAMPLE, f"_sips._tcp.{EXAMPLE}"} <= names
    assert all(name.endswith(EXAMPLE) for name in names)


@on_loop
async def test_answers_are_reported_and_long_ones_are_left_out(
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
async def test_probe_that_is_stopped_has_no_answers(topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(_questions: Any, _servers: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(dns_lookups, "asked", asked)
    probe = DnsProbe(asyncio.get_running_loop())
    probe.begin(topology)
    assert (probe.is_asking, repr(probe)) == (True, "<DnsProbe asks>")
    probe.stop()
    assert (probe.is_asking, probe.answers) == (False, None)


@on_loop
async def test_name_server_that_does_not_answer_holds_up_no_report(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked(_questions: Any, _servers: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(dns_lookups, "asked", asked)
    monkeypatch.setattr(dns_probe, "LONGEST_S", 0.01)
    assert {one.fault for one in (await seen(topology)).values()} == {"no answers to all questions within 0.01 s"}
