"""Find the addresses of a server name: RFC 3263 and RFC 2782. The caller sends the DNS questions.

The result is addresses only. The name that the peer must prove stays the name that was asked for: an SRV target is never an
identity (RFC 5922 section 4). The same is true of a NAPTR record.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, SipmeshError
from sipmesh.sip.text import ascii_lower, ascii_upper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TLS_PORT: Final = 5061  # RFC 3261 19.1.2: the default port of sips and of transport=tls
SIPS: Final = "sips"
FEDERATION: Final = "sipfederationtls"
SRV_MAX: Final = 16  # the DNS of another organisation must not cause hundreds of questions
TLS_SERVICE: Final = "SIPS+D2T"
NOT_OFFERED: Final = "."  # RFC 2782: the target "." means that the service is not available


class RecordKind(Enum):
    """The DNS record types that we ask for."""

    A = "A"
    AAAA = "AAAA"
    SRV = "SRV"
    NAPTR = "NAPTR"
    TXT = "TXT"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One DNS question. *name* has no final dot."""

    name: str
    kind: RecordKind


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record. *target* has no final dot, unless it is the root."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record (RFC 3403). *replacement* has no final dot."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


Record = str | Srv | Naptr


class UnlocatableError(SipmeshError):
    """No address was found. The text says why."""


class Locate:
    """Finds the addresses of *name*, in the order in which they should be tried.

    With a *port*, or without a *service*, the questions are for A and AAAA records of *name*. Otherwise the service decides:

    - ``sips``: the NAPTR records for TLS (RFC 3263 section 4.1) name the SRV records. Without them, it is ``_sips._tcp.NAME``.
      If there is none, *name* and port 5061 are used.
    - federation: ``_sipfederationtls._tcp.NAME``. If there is none, the NAPTR records for TLS name the SRV records. There is no
      other fallback: a partner has such records, or its edge is configured.

    *entropy* orders records of equal priority (RFC 2782).
    """

    def __init__(self, name: str, port: int | None, service: str | None, *, entropy: bytes = b"") -> None:
        self._name, self._port, self._service = name, port, service
        self._entropy, self._draws = entropy, 0
        self._targets: list[tuple[str, int]] = []
        self._open: list[DnsQuestion] = []
        self._found: dict[DnsQuestion, list[str]] = {}
        self._failures: list[str] = []
        self._by_service = DnsQuestion(f"_{service}._tcp.{name}", RecordKind.SRV)
        self._by_naptr = DnsQuestion(name, RecordKind.NAPTR)
        if is_ip(name) or port is not None or service is None:
            self._ask_for([(name, port or TLS_PORT)])
        else:
            self._open.append(self._by_naptr if service == SIPS else self._by_service)

    def __repr__(self) -> str:
        return f"<Locate {self._name}: {len(self._open)} open questions, {len(self._targets)} targets>"

    def questions(self) -> tuple[DnsQuestion, ...]:
        """Give the questions that are open. They may be sent in parallel. If there are none, call :meth:`addresses`."""
        return tuple(self._open)

    def answered(self, question: DnsQuestion, records: Sequence[Record]) -> None:
        """Process the answer to *question*. An empty *records* means that there are no such records."""
        self._close(question)
        if question.kind is RecordKind.NAPTR:
            self._follow([record for record in records if isinstance(record, Naptr)])
        elif question.kind is RecordKind.SRV:
            self._choose(question, [record for record in records if isinstance(record, Srv)])
        else:
            self._found[question] = [record for record in records if isinstance(record, str) and is_ip(record)]

    def failed(self, question: DnsQuestion, why: str) -> None:
        """Record that *question* got no answer. There is no fallback: a timeout does not mean that there is no SRV."""
        self._close(question)
        if question.kind is RecordKind.NAPTR and self._service == SIPS:
            self._open.append(self._by_service)  # some name servers know no NAPTR; it decides nothing about identity
            return
        self._failures.append(why)

    def addresses(self) -> list[tuple[str, int]]:
        """Give the addresses with their ports, best first, IPv6 before IPv4 for each target.

        Raises UnlocatableError if there is none, and LocalError while a question is open.
        """
        if self._open:
            raise LocalError(f"{self!r} was asked for addresses too early")
        found = [(address, port) for target, port in self._targets for address in self._addresses_of(target)]
        if not found:
            raise UnlocatableError(f"{self._name} has no address: {'; '.join(self._failures) or 'DNS knows none'}")
        return list(dict.fromkeys(found))

    def _close(self, question: DnsQuestion) -> None:
        try:
            self._open.remove(question)
        except ValueError:
            raise LocalError(f"{question} is not open in {self!r}") from None

    def _follow(self, records: list[Naptr]) -> None:
        """Ask for the SRV records that the best NAPTR record for TLS names (RFC 3263 section 4.1)."""
        usable = [record for record in records if _is_for_tls(record)]
        best = min(usable, key=lambda record: (record.order, record.preference), default=None)
        if best is not None:
            self._open.append(DnsQuestion(best.replacement, RecordKind.SRV))
        elif self._service == SIPS:
            self._open.append(self._by_service)
        else:
            self._failures.append(f"there is no SRV record {self._by_service.name} and no NAPTR record for TLS")

    def _choose(self, question: DnsQuestion, records: list[Srv]) -> None:
        if not records and self._service == SIPS:
            self._ask_for([(self._name, TLS_PORT)])
        elif not records and question == self._by_service:
            self._open.append(self._by_naptr)
        elif not records:
            self._failures.append(f"there is no SRV record {question.name}")
        elif all(record.target == NOT_OFFERED for record in records):
            self._failures.append(f"{question.name} says that the service is not offered")
        else:
            offered = [record for record in self._by_weight(records[:SRV_MAX]) if record.target != NOT_OFFERED]
            self._ask_for([(record.target, record.port) for record in offered])

    def _ask_for(self, targets: list[tuple[str, int]]) -> None:
        self._targets = targets
        names = dict.fromkeys(name for name, _ in targets if not is_ip(name))
        self._open += [DnsQuestion(name, kind) for name in names for kind in (RecordKind.AAAA, RecordKind.A)]

    def _addresses_of(self, target: str) -> list[str]:
        if is_ip(target):
            return [target]
        kinds = (RecordKind.AAAA, RecordKind.A)
        return [address for kind in kinds for address in self._found.get(DnsQuestion(target, kind), [])]

    def _by_weight(self, records: Iterable[Srv]) -> list[Srv]:
        """Order by priority, and randomly by weight within one priority (RFC 2782, 'Weight')."""
        ordered: list[Srv] = []
        groups: dict[int, list[Srv]] = {}
        for record in records:
            groups.setdefault(record.priority, []).append(record)
        for _, group in sorted(groups.items()):
            left = sorted(group, key=lambda record: record.weight)  # those of weight 0 come first
            while left:
                ordered.append(left.pop(self._draw([record.weight for record in left])))
        return ordered

    def _draw(self, weights: list[int]) -> int:
        """Draw a number from 0 to the sum, inclusive, and give the first index whose running sum reaches it (RFC 2782)."""
        self._draws += 1
        digest = hashlib.sha256(self._entropy + self._draws.to_bytes(4)).digest()
        chosen = int.from_bytes(digest[:8]) % (sum(weights) + 1)
        running = 0
        for index, weight in enumerate(weights):
            running += weight
            if running >= chosen:
                return index
        raise LocalError(f"the weights {weights} have no place for {chosen}")


def _is_for_tls(record: Naptr) -> bool:
    """Tell whether a NAPTR record names SRV records for SIP over TLS (RFC 3263 section 4.1)."""
    is_terminal = ascii_lower(record.flags) == "s" and record.regexp == ""
    return is_terminal and ascii_upper(record.service) == TLS_SERVICE and record.replacement not in {"", NOT_OFFERED}


def is_ip(text: str) -> bool:
    """Tell whether *text* is an IPv4 or IPv6 address, without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
