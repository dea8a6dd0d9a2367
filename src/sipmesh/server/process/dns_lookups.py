"""DNS questions with the DNSSEC status of their answers, as one resolver says it.

A validating resolver sets AD for a secure answer, and answers SERVFAIL for a bogus one unless CD is set (RFC 4035 3.2). The path
to that resolver has to be trusted: it is a resolver of the operator's.
"""

from __future__ import annotations

import asyncio
import errno
import os
from socket import SOCK_DGRAM
from typing import TYPE_CHECKING, Any, Final

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import is_ip
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.transport.dnssec.validation import validation
from sipmesh.transport.resolver import DNS_PORT, split_host_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipmesh.topology.builder.dns_findings import Key
    from sipmesh.transport.dnssec.trust_anchor import Anchors
    from sipmesh.transport.dnssec.validation import Question

TIMEOUT_S: Final = 3.0
"""For one attempt at one name server; each question has two attempts at each."""
MOST_AT_ONCE: Final = 16
MOST_NAME_SERVERS: Final = 4
MOST_QUESTIONS: Final = 64
"""For one name that is proved from an anchor down: two for each zone, and one for each label."""

Address = tuple[str, int]


def name_servers(settings: Sequence[str]) -> list[Address]:
    """Return the name servers of *settings*, or those of this machine; raises `OperatorError` if there is none."""
    if settings:
        servers = [split_host_port(setting, DNS_PORT) for setting in settings][:MOST_NAME_SERVERS]
        for host, _ in servers:
            if not is_ip(host):
                raise OperatorError(f"{host!r} is no IP address; name the name server by its address: --server ADDRESS")
        return servers
    try:
        system = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        raise OperatorError("this machine has no DNS server in /etc/resolv.conf; name one: --server ADDRESS") from None
    return [(str(address), DNS_PORT) for address in system.nameservers][:MOST_NAME_SERVERS]


def look_up(questions: Iterable[Key], servers: Sequence[Address]) -> Mapping[Key, DnsAnswer]:
    """Ask all *questions*, some of them at the same time; the first name server that answers a question counts."""
    return asyncio.run(asked(list(questions), servers))


async def asked(questions: Sequence[Key], servers: Sequence[Address]) -> Mapping[Key, DnsAnswer]:
    """Ask as `look_up` does, on an event loop that runs."""
    free = asyncio.Semaphore(MOST_AT_ONCE)

    async def one(question: Key) -> DnsAnswer:
        async with free:
            return await _ask(question, servers)

    answers = await asyncio.gather(*map(one, questions))
    return dict(zip(questions, answers, strict=True))


async def proved(question: Key, anchors: Anchors, servers: Sequence[Address], at: int) -> DnsAnswer:
    """Ask for *question* and for all that proves its answer from *anchors* down, at the second *at* since 1970.

    The name servers need not be trusted: what they change is bogus.
    """
    name, kind = question
    steps = validation(dns.name.from_text(name), dns.rdatatype.from_text(kind), anchors, at)
    try:
        wanted = next(steps)
        for _ in range(MOST_QUESTIONS):
            wanted = steps.send(await _message(wanted, servers))
    except StopIteration as done:
        answer: DnsAnswer = done.value
        return answer
    except OperatorError as wrong:
        return DnsAnswer(fault=str(wrong))
    finally:
        steps.close()
    return DnsAnswer(fault=f"{name} {kind} needs more than {MOST_QUESTIONS} questions")


async def _message(question: Question, servers: Sequence[Address]) -> dns.message.Message:
    """Return the message of the first name server that answers; raises `OperatorError` if none does."""
    fault, key = "no DNS server is known", (question.name.to_text(), dns.rdatatype.RdataType.make(question.kind).name)
    for host, port in (*servers, *servers):
        try:
            response = await _exchange(key, host, port, checking_disabled=True)
        except (dns.exception.DNSException, OSError) as wrong:
            said = f": {wrong.strerror}" if isinstance(wrong, OSError) and wrong.strerror else ""
            fault = f"{host} port {port} does not answer{said}"
            continue
        if response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            return response
        fault = f"{host} port {port} answers {dns.rcode.to_text(response.rcode())} for {' '.join(key)}"
    raise OperatorError(fault)


async def _ask(question: Key, servers: Sequence[Address]) -> DnsAnswer:
    fault = "no DNS server is known"
    for host, port in (*servers, *servers):
        try:
            return await _ask_at(question, host, port)
        except (dns.exception.DNSException, OSError) as wrong:
            fault = f"{host} port {port} does not answer" + (
                f" ({wrong.strerror})" if isinstance(wrong, OSError) else ""
            )
    return DnsAnswer(fault=fault)


async def _ask_at(question: Key, host: str, port: int) -> DnsAnswer:
    response = await _exchange(question, host, port)
    status = response.rcode()
    if status is dns.rcode.SERVFAIL:
        unchecked = await _exchange(question, host, port, checking_disabled=True)
        if unchecked.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            return DnsAnswer(_data(unchecked, question), Dnssec.BOGUS)
    if status not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return DnsAnswer(fault=f"{host} port {port} answers {dns.rcode.to_text(status)}")
    secure = Dnssec.SECURE if response.flags & dns.flags.AD else Dnssec.INSECURE
    return DnsAnswer(_data(response, question), secure, until=_until(response) if response.flags & dns.flags.AD else 0)


async def _exchange(question: Key, host: str, port: int, *, checking_disabled: bool = False) -> dns.message.Message:
    name, kind = question
    query = dns.message.make_query(dns.name.from_text(name), kind, want_dnssec=True)
    query.flags |= dns.flags.AD | (dns.flags.CD if checking_disabled else 0)
    family = dns.inet.af_for_address(host)
    backend: Any = dns.asyncbackend.get_default_backend()
    # only a connected socket learns at once that the port refuses
    connected = await backend.make_socket(family, SOCK_DGRAM, 0, None, (host, port))
    try:
        async with connected as udp:
            response, _ = await dns.asyncquery.udp_with_fallback(query, host, TIMEOUT_S, port, udp_sock=udp)
    except EOFError:  # TCP, closed within an answer
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None
    return response


def _until(response: dns.message.Message) -> int:
    """Return the second at which the first signature of an answer ends; 0 if the resolver gives none."""
    signatures = (record for rrset in response.answer if rrset.rdtype == dns.rdatatype.RRSIG for record in rrset)
    return min((signature.expiration for signature in signatures), default=0)


def _data(response: dns.message.Message, question: Key) -> Sequence[str]:
    """Return the records of the wanted type, also those behind a CNAME, in a fixed order."""
    wanted = dns.rdatatype.from_text(question[1])
    return sorted(record.to_text() for rrset in response.answer if rrset.rdtype == wanted for record in rrset)
