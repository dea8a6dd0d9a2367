"""TLSA records of partners: what does not come changes nothing, and what is not checked is not asked for."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.test_revocation import partner_entry
from sipmesh.demo.organisation import Organisation
from sipmesh.server.refresh import tlsa_sources
from sipmesh.server.refresh.tlsa_sources import TlsaSources
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.trust.dane.tlsa import DaneStatus
from support.network import EDGE, Network
from support.running import on_loop, until

RECORD = "3 1 1 aa"


@on_loop
async def test_answer_that_does_not_come_leaves_the_last_one_in_force(
    federation: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker who stops DNS turns no check off. The control: an answer without a record does, if DNSSEC proves it."""
    answers = [DnsAnswer([RECORD], Dnssec.SECURE), DnsAnswer(fault="no answer"), DnsAnswer((), Dnssec.SECURE)]
    asked: list[str] = []
    seen = asyncio.Event()

    async def answered(questions: list[tuple[str, str]], _servers: object) -> dict[tuple[str, str], DnsAnswer]:
        asked.append(questions[0][0])
        if len(asked) == len(answers):
            await seen.wait()
        return {questions[0]: answers[min(len(asked), len(answers)) - 1]}

    monkeypatch.setattr(tlsa_sources, "asked", answered)
    for pause in ("EVERY_S", "AGAIN_S"):
        monkeypatch.setattr(tlsa_sources, pause, 0.0)
    example: Organisation = federation.organisations[0]
    federation.starts = (EDGE,)
    async with federation:
        partner_entry(example)["dane"] = "check"
        example.write()
        node, loaded = federation.nodes[EDGE], example.load()
        sources = TlsaSources(node, federation.told[EDGE].log)
        sources.follow(loaded)
        [authority] = loaded.partners
        assert authority.tlsa is not None
        assert authority.tlsa.status is DaneStatus.UNKNOWN
        await until(lambda: len(asked) == len(answers))
        assert authority.tlsa.records
        seen.set()
        await until(lambda: authority.tlsa is not None and not authority.tlsa.records)
        await sources.close()
        count = len(asked)
        await asyncio.sleep(0)
        assert len(asked) == count


@on_loop
async def test_partner_without_the_check_is_not_asked_for(federation: Network) -> None:
    federation.starts = (EDGE,)
    async with federation:
        loaded = federation.organisations[0].load()
        sources = TlsaSources(federation.nodes[EDGE], federation.told[EDGE].log)
        sources.follow(loaded)
        assert loaded.partners[0].tlsa is None
        await sources.close()
