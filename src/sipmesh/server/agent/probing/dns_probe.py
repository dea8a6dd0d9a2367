"""What DNS answers this server for each record that the topology in force needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.replication.server_status import MOST_DATA, MOST_QUESTIONS, DnsSeen, text
from sipmesh.topology.builder.dns_findings import DnsAnswer, questions
from sipmesh.topology.builder.dns_records import dns_records, partner_records, tlsa_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipmesh.topology.builder.dns_findings import Key
    from sipmesh.topology.document.model import Topology


LONGEST_ANSWERS: Final = 128 << 10
"""Characters of record data in one report; 400 ordinary records have 20,000."""


LONGEST_S: Final = 20.0
"""Seconds for all questions of one order."""


async def dns_answers(topology: Topology) -> tuple[DnsSeen, ...]:
    """Ask for each record of *topology*, at most `MOST_QUESTIONS`.

    The questions go to the name servers of the topology, else to those of this machine.
    """
    from sipmesh.server.process.dns_lookups import asked, name_servers

    wanted = questions_of(topology)
    try:
        servers = name_servers(topology.dns.servers if topology.dns is not None else ())
        async with asyncio.timeout(LONGEST_S):
            answers = await asked(wanted, servers)
    except OperatorError as wrong:
        answers = dict.fromkeys(wanted, DnsAnswer(fault=wrong.message))
    except TimeoutError:
        answers = dict.fromkeys(wanted, DnsAnswer(fault=f"no answers to all questions within {LONGEST_S:g} s"))
    return tuple(_within(LONGEST_ANSWERS, answers))


def questions_of(topology: Topology) -> Sequence[Key]:
    """Return the names and types for which a server asks: those of *topology*, and of its partners that DNS finds.

    With `dane` in the topology also the names of TLSA records. The server does not know their data: the command compares them.
    """
    records = [*dns_records(topology), *partner_records(topology)]
    return questions([*records, *tlsa_names(records)] if topology.dane else records)[:MOST_QUESTIONS]


def _within(octets: int, answers: Mapping[Key, DnsAnswer]) -> Iterator[DnsSeen]:
    """Yield what was seen; the report is bounded for all answers of DNS."""
    for (name, kind), answer in answers.items():
        data, fault = tuple(map(text, answer.data[:MOST_DATA])), text(answer.fault)
        octets -= sum(map(len, data)) + len(fault)
        if octets < 0:
            data, fault = (), "the answers are too long for a report"
        yield DnsSeen(name=name, type=kind, data=data, dnssec=str(answer.dnssec), fault=fault)
