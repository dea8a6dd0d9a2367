"""Answers the questions of ``routing.proxy.locate`` with dnspython's asynchronous resolver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.routing.proxy.locate import Naptr, RecordKind, Srv, is_ip
from sipmesh.sip.text import is_digits, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.rdtypes.IN.NAPTR import NAPTR
    from dns.rdtypes.IN.SRV import SRV

    from sipmesh.routing.proxy.locate import DnsQuestion, Locate, Record

LIFETIME_S: Final = 5.0  # for one question, over all name servers
CACHED: Final = 1024
DNS_PORT: Final = 53
MAX_PORT: Final = 65_535


class UnansweredError(SipmeshError):
    """DNS gave neither records nor a definite answer that there are none."""


class Resolver(Protocol):
    """Answers one question at a time."""

    async def ask(self, question: DnsQuestion) -> Sequence[Record]:
        """Return the records, empty if there are none; raises UnansweredError."""


class NoResolver:
    """A resolver for servers whose topology gives every address."""

    async def ask(self, question: DnsQuestion) -> Sequence[Record]:
        """Raise UnansweredError."""
        raise UnansweredError(f"no DNS server is configured to resolve {question.name}")


class DnsResolver:
    """Asks *nameservers* in turn (``host``, ``host:port`` or ``[v6]:port``), or those of the system if none is given."""

    def __init__(self, *nameservers: str, lifetime_s: float = LIFETIME_S) -> None:
        self._lifetime_s = lifetime_s
        self._nameservers = nameservers
        self._resolver = self._resolver_for(nameservers)

    def change(self, *nameservers: str) -> None:
        """Use these name servers from now on, and forget cached answers; if this raises OperatorError, nothing changes."""
        if nameservers != self._nameservers:
            self._resolver = self._resolver_for(nameservers)
            self._nameservers = nameservers

    def _resolver_for(self, nameservers: tuple[str, ...]) -> dns.asyncresolver.Resolver:
        try:
            resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration as error:
            raise OperatorError(f"the system has no DNS server: {error}") from None
        resolver.lifetime = self._lifetime_s
        resolver.cache = dns.resolver.LRUCache(CACHED)
        if nameservers:
            resolver.nameservers = [_nameserver(setting) for setting in nameservers]
        return resolver

    async def ask(self, question: DnsQuestion) -> Sequence[Record]:
        """See :class:`Resolver`; an unknown name and a name without such records give the same empty answer."""
        try:
            name = dns.name.from_text(question.name)
            answer = await self._resolver.resolve(name, question.kind.value, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError) as error:
            raise UnansweredError(f"{question.kind.value} of {question.name}: {_why(error)}") from None
        if answer.rrset is None:
            return ()
        if question.kind is RecordKind.SRV:
            return [_srv(record) for record in answer.rrset if record.rdtype == dns.rdatatype.SRV]
        if question.kind is RecordKind.NAPTR:
            return [_naptr(record) for record in answer.rrset if record.rdtype == dns.rdatatype.NAPTR]
        return [record.to_text() for record in answer.rrset]


def _srv(record: SRV) -> Srv:
    return Srv(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True))


def _naptr(record: NAPTR) -> Naptr:
    flags, service, regexp = (text_of(part) for part in (record.flags, record.service, record.regexp))
    replacement = record.replacement.to_text(omit_final_dot=True)
    return Naptr(record.order, record.preference, flags, service, regexp, replacement)


def _nameserver(setting: str) -> dns.nameserver.Do53Nameserver:
    host, port = split_host_port(setting, DNS_PORT)
    if not is_ip(host):
        raise OperatorError(f"the name server must be an IP address, with or without a port, not {setting!r}")
    return dns.nameserver.Do53Nameserver(host, port)


def split_host_port(text: str, default: int) -> tuple[str, int]:
    """Split ``host:port``, ``[v6]:port`` or a host alone, which gets the *default* port; raises OperatorError."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, str(default)
    if not is_digits(port) or len(port) > len(str(MAX_PORT)) or int(port) > MAX_PORT:
        raise OperatorError(f"{text!r} has no port number after its colon; write one of 1 to {MAX_PORT}")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def locate(machine: Locate, resolver: Resolver) -> list[tuple[str, int]]:
    """Ask the questions of *machine*, all open questions at once, until it knows the addresses; return (host, port) pairs."""
    while questions := machine.questions():
        answers = await asyncio.gather(*(resolver.ask(question) for question in questions), return_exceptions=True)
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, SipmeshError):
                machine.failed(question, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                machine.answered(question, answer)
    return machine.addresses()


def _why(error: Exception) -> str:
    """Return why DNS gave no answer, and what to do: only an operator can mend the way to the name servers."""
    if isinstance(error, dns.exception.Timeout | dns.resolver.NoNameservers | OSError):
        return "no name server answers; check `dns.servers` of the topology, else /etc/resolv.conf"
    return (
        "its name is no DNS name"
        if isinstance(error, dns.exception.SyntaxError | dns.name.LabelTooLong)
        else "DNS refuses it"
    )
