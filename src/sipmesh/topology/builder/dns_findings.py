"""What DNS answers, compared with the records that a topology needs; each difference with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sipmesh.topology.builder.dns_records import TTL_S, DnsRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ADDRESS_TYPES = ("A", "AAAA")
Key = tuple[str, str]
"""The name of a record, without its final dot, and its type."""


class Dnssec(StrEnum):
    """What the resolver says of the signatures of an answer (RFC 4033 5)."""

    SECURE = "secure"
    INSECURE = "insecure"
    """The zone is not signed, or the resolver does not validate."""
    BOGUS = "bogus"
    UNKNOWN = "unknown"


class State(StrEnum):
    """The result for one name and type."""

    GOOD = "good"
    MISSING = "missing"
    WRONG = "wrong"
    BOGUS = "bogus"
    UNSIGNED = "unsigned"
    """The record is right, and peers ignore it: a TLSA record counts only if DNSSEC proves it (RFC 6698 section 4.1)."""
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What DNS has for one name and type: *data* in the text form of zone files; *fault* says why there is no answer.

    *why* explains what DNSSEC says. *until* is the second, since 1970, at which a signature of the answer ends; 0 if it has none.
    """

    data: Sequence[str] = ()
    dnssec: Dnssec = Dnssec.UNKNOWN
    fault: str = ""
    why: str = ""
    until: int = 0


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """One name and type: what is *wanted* and *seen*, and the remedy (empty if it is good)."""

    name: str
    type: str
    state: State
    dnssec: Dnssec
    wanted: Sequence[str]
    seen: Sequence[str]
    mend: Sequence[str] = ()


def questions(records: Iterable[DnsRecord]) -> Sequence[Key]:
    """Give the questions to ask for *records*. For addresses, ask for both types: a server would also use an unwanted one.

    Each host below a name with CAA records is asked for its own: they would count in place of those (RFC 8659 3).
    """
    found: dict[Key, None] = {}
    for record in records:
        types = ADDRESS_TYPES if record.type in ADDRESS_TYPES else (record.type,)
        found |= dict.fromkeys((record.name, kind) for kind in types)
    hosts = (name for name, kind in tuple(found) if kind == "A")
    found |= dict.fromkeys((host, "CAA") for host in hosts if any((above, "CAA") in found for above in _above(host)))
    return list(found)


def _above(name: str) -> Iterator[str]:
    """Give the names above *name*, the nearest first."""
    while name := name.partition(".")[2]:
        yield name


def compare(records: Iterable[DnsRecord], answers: Mapping[Key, DnsAnswer]) -> Sequence[DnsFinding]:
    """Compare what *records* want with the *answers* to their questions."""
    wanted: dict[Key, list[DnsRecord]] = {}
    for record in records:
        wanted.setdefault((record.name, record.type), []).append(record)
    free = {record.name for held in wanted.values() for record in held if not record.data}
    return list(_findings(wanted, answers, free))


def _findings(
    wanted: Mapping[Key, Sequence[DnsRecord]], answers: Mapping[Key, DnsAnswer], free: set[str]
) -> Iterator[DnsFinding]:
    for name, kind in answers:
        records, answer = wanted.get((name, kind), ()), answers[name, kind]
        if kind == "CAA" and not records and answer.data:
            records = next((wanted[above, kind] for above in _above(name) if (above, kind) in wanted), ())
        if kind in ADDRESS_TYPES and name in free:
            if kind == "A":
                yield _any_address(name, answer, answers.get((name, "AAAA"), DnsAnswer()))
            continue
        if records and not records[0].data:
            yield _any_data(name, kind, answer)
        elif records or answer.data or answer.fault:
            yield _finding(name, kind, [record.data for record in records], answer)


def _any_data(name: str, kind: str, answer: DnsAnswer) -> DnsFinding:
    """Judge a record of another organisation, whose data we do not know."""
    if answer.data and answer.dnssec is not Dnssec.BOGUS:
        return DnsFinding(name, kind, State.GOOD, answer.dnssec, ["any"], answer.data)
    if answer.fault or answer.dnssec is Dnssec.BOGUS:
        return _finding(name, kind, ["any"], answer)
    mend = (
        f"ask the partner to add {kind} records of {name}., or name its edge: sipmesh partner change DOMAIN edge=HOST"
    )
    return DnsFinding(name, kind, State.MISSING, answer.dnssec, ["any"], (), [mend])


def _any_address(name: str, four: DnsAnswer, six: DnsAnswer) -> DnsFinding:
    """Judge a name for which the topology has no address: one address of any kind is enough."""
    seen, worst = [*four.data, *six.data], six if six.dnssec is Dnssec.BOGUS else four
    if worst.dnssec is Dnssec.BOGUS or (not seen and worst.fault):
        return _finding(name, "A", ["an address"], worst)
    if seen:
        return DnsFinding(name, "A", State.GOOD, four.dnssec, ["an address"], seen)
    mend = f"add an A or AAAA record of {name}., or `address` to this server in the topology"
    return DnsFinding(name, "A", State.MISSING, four.dnssec, ["an address"], seen, [mend])


def _finding(name: str, kind: str, wanted: Sequence[str], answer: DnsAnswer) -> DnsFinding:
    seen, given = list(answer.data), (answer.dnssec, wanted, list(answer.data))
    if answer.dnssec is Dnssec.BOGUS:
        mend = f"sign the zone of {name}. again, or correct the DS record at its parent: validating resolvers refuse the answer"
        return DnsFinding(name, kind, State.BOGUS, *given, [mend])
    if answer.fault:
        return DnsFinding(
            name, kind, State.UNANSWERED, *given, [f"{answer.fault}: start it, or ask another one by --server"]
        )
    alike = str if kind == "CAA" else normal  # the URI of an account is exact
    missing = [data for data in wanted if alike(data) not in map(alike, seen)]
    stale = [data for data in seen if alike(data) not in map(alike, wanted)]
    if not missing and not stale and kind == "TLSA" and answer.dnssec is not Dnssec.SECURE:
        mend = f"sign the zone of {name}., and ask a resolver that validates: peers ignore TLSA records without DNSSEC"
        return DnsFinding(name, kind, State.UNSIGNED, *given, [mend])
    if not missing and not stale:
        return DnsFinding(name, kind, State.GOOD, *given)
    added = [f"add: {name}. {TTL_S} IN {kind} {data}" for data in missing]
    removed = [f"remove: {name}. IN {kind} {data}" for data in stale]
    return DnsFinding(name, kind, State.WRONG if seen else State.MISSING, *given, [*added, *removed])


def normal(data: str) -> str:
    """Give record data in lower case with single blanks: host names in it are equal in any case (RFC 4343)."""
    return " ".join(data.lower().split())
