"""The report of a server to management: its certificate, its links, and until when it works without management."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sipmesh import __version__
from sipmesh.server.admin.lapsed_crls import lapsed_crls
from sipmesh.server.admin.replies import FilesReply
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import (
    MOST_CAUSES,
    MOST_NAMES,
    MOST_NEIGHBOURS,
    MOST_PEER_FAULTS,
    MOST_REFUSALS,
    ApplicationUse,
    CallerUse,
    Neighbour,
    PeerFault,
    PeerKind,
    ServerStatus,
    ShownCertificate,
    TrunkUse,
    text,
)
from sipmesh.topology.expiry.countdown import refuses_from
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.explain import headline
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cryptography import x509

    from sipmesh.server.proxy.counters import Counters
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.transport.link.link import Link

MOST_SAYING = 10_000
"""Addresses of applications whose mailboxes are counted: an application may say something from any address at its own name."""

LATELY = timedelta(minutes=10)
"""The age up to which a refusal is in the report."""


def status_of(node: RunningServer) -> ServerStatus:
    """Return the status of a server, without the signed documents that it has: the agent adds them."""
    at = datetime.now(UTC)
    links = [link for link in node.pool.all() if link.state is LinkState.UP]
    refusal = refuses_from(node.use())
    renewal = next((one.renewal for one in node.certificates.for_clients.chains if one.renewal), None)
    return ServerStatus(
        release=__version__,
        number=node.view.loaded.number,
        started_at=datetime.fromtimestamp(node.started_at, UTC),
        certificate=shown_certificate(node.certificates.presented.of(LinkKind.SERVER).chain),
        certificate_fault=text(next(node.certificates.presented.faults, "")),
        renewal_fault=text(renewal.why if renewal else ""),
        renewal_remedy=text(renewal.remedy if renewal else ""),
        refuses_from=refusal.at,
        refuses_because=text(refusal.because),
        links={str(kind): sum(link.kind is kind for link in links) for kind in LinkKind},
        peers=tuple(sorted({link.peer_name for link in links if link.peer_name})[:MOST_NAMES]),
        refused=tuple(refused_lately(node, at)),
        anchors=tuple(sorted(anchors_in_use(node))[:MOST_NAMES]),
        bindings=node.registrations.store,
        bindings_fault=text(node.registrations.fault),
        messages_fault=text(node.events.store_fault),
        records_fault=text(node.records.fault),
        awaits_restart=text(node.awaits_restart),
        rtpengine_fault=node.relay.calls.bridges.control.fault,
        call_bounds=tuple(text(why) for why in node.relay.calls.bounds.lately[-MOST_REFUSALS:]),
        unanswered=tuple(sorted(node.outages.names)[:MOST_NAMES]),
        taken_over=tuple(sorted(node.takeovers.pools)[:MOST_NAMES]),
        neighbours=neighbours_of(links, node.accounts.percent_used),
        messages=node.counters.messages.total() + sum(link.messages_in + link.messages_out for link in node.pool.all()),
        refusals=refusals_of(node.counters),
        trunks=trunks_of(node),
        callers=tuple(callers_of(node)),
        applications=tuple(applications_of(node)),
        peer_faults=tuple(peer_faults(node))[:MOST_PEER_FAULTS],
    )


def refused_lately(node: RunningServer, at: datetime) -> Iterator[str]:
    """Yield why peers were refused in the time before *at*, `MOST_REFUSALS` at most; clients are in the metrics alone."""
    found = (one for one in node.gatekeeper.refused() if at - one.at <= LATELY and one.kind is not LinkKind.CLIENT)
    return (text(headline(verdict)) for verdict in islice(found, MOST_REFUSALS))


def trunks_of(node: RunningServer) -> tuple[TrunkUse, ...]:
    """Return the trunks of a gateway; another server has none."""
    names = node.current.value.trunk_names
    trunks = sorted(names.trunks.trunks)[:MOST_NAMES] if names is not None else ()
    calls, outages, bounds, now = node.trunk_calls, node.trunk_outages, node.relay.calls.bounds, node.loop.time()
    return tuple(
        TrunkUse(trunk=one, calls=calls.with_trunk(one), fails=outages.fails(one), minutes=bounds.minutes_of(one, now))
        for one in trunks
    )


def files_of(node: RunningServer) -> FilesReply | None:
    """Return the files of users; None for a server that has none."""
    figures, is_allowed = node.counters.files, node.view.loaded.topology.files is not None
    return FilesReply(figures.kept, figures.octets) if node.view.role is Role.MANAGEMENT and is_allowed else None


def peer_faults(node: RunningServer) -> Iterator[PeerFault]:
    """Yield the CRLs that have expired, and the trunks at which our login fails, or that refuse all calls."""
    yield from lapsed_crls(node.view.loaded, node.view.role, node.gatekeeper.clock())
    names = node.current.value.trunk_names
    for trunk in sorted(names.trunks.trunks) if names is not None else ():
        if why := node.trunk_logins.why_failed(trunk):
            yield PeerFault(peer=trunk, kind=PeerKind.PARTNER, why=text(why), code=str(Cause.LOGIN_FAILS))
        elif why := node.trunk_outages.why_refused(trunk):
            yield PeerFault(peer=trunk, kind=PeerKind.PARTNER, why=why, code=str(Cause.CALLS_REFUSED))


def callers_of(node: RunningServer) -> Iterator[CallerUse]:
    """Yield the users who call most through the trunks of a gateway; another server has none."""
    for one in node.relay.calls.bounds.callers(node.loop.time()):
        bounds = one.bounds
        most = {"most_calls": bounds.calls, "most_minutes": bounds.minutes, "most_countries": bounds.countries}
        yield CallerUse(user=text(one.user), calls=one.calls, minutes=one.minutes, countries=one.countries, **most)


def applications_of(node: RunningServer) -> Iterator[ApplicationUse]:
    """Yield what each application is used for at a front end."""
    if node.view.role is not Role.FRONT_END:
        return
    calls, pools = node.relay.calls.table, node.view.loaded.topology.pools
    names_of = {
        server.name: (server.name, *pool.sip_addresses)
        for pool in pools
        if pool.role is Role.APPLICATION
        for server in pool.servers
    }
    mailboxes = _mailboxes(node, {name: server for server, names in names_of.items() for name in names})
    for name in sorted(names_of)[:MOST_NAMES]:
        up, called = len(calls.with_outsider(name)), calls.called[name]
        yield ApplicationUse(application=name, calls=up, called=called, mailboxes=mailboxes[name])


def _mailboxes(node: RunningServer, server_of: Mapping[str, str]) -> Counter[str]:
    """Count the mailboxes of each application by the names of *server_of*: its addresses, and its own name as a domain."""
    found = Counter[str]()
    for who, count in islice(node.events.notifier.mailboxes.items(), MOST_SAYING):
        address = who.removeprefix("sip:")
        found[server_of.get(address) or server_of.get(address.partition("@")[2], "")] += count
    return found


def refusals_of(counters: Counters) -> Mapping[str, int]:
    """Return the refused peers and messages by their codes, those alone that are most frequent if there are many."""
    found = Counter(counters.refused_messages)
    for (_, _, code), count in counters.verdicts.items():
        if code != Code.ACCEPTED:
            found[code] += count
    return {text(code): count for code, count in found.most_common(MOST_CAUSES)}


def neighbours_of(links: Sequence[Link], percent_used: Callable[[Link], int]) -> tuple[Neighbour, ...]:
    """Return the links to servers and partners among *links* that are up, the busiest first, `MOST_NEIGHBOURS` at most."""
    linked = [link for link in links if link.kind is not LinkKind.CLIENT and link.peer_name]
    linked.sort(key=lambda link: (-link.messages_in - link.messages_out, link.peer_name))
    return tuple(_neighbour(link, percent_used(link)) for link in linked[:MOST_NEIGHBOURS])


def _neighbour(link: Link, used: int) -> Neighbour:
    seen = link.verdict.seen if link.verdict is not None else None
    return Neighbour(
        peer=text(link.peer_name or ""),
        kind=str(link.kind),
        tls=link.peer.facts.version,
        group=link.peer.facts.group,
        certificate_ends=seen.not_after if seen is not None else None,
        messages=link.messages_in + link.messages_out,
        used=used,
    )


def shown_certificate(chain: Sequence[x509.Certificate]) -> ShownCertificate:
    """Return the part of a report about the certificate that a server presents; *chain* begins with the leaf."""
    leaf, last = chain[0], chain[-1]
    return ShownCertificate(
        serial=f"{leaf.serial_number:x}",
        ends=leaf.not_valid_after_utc,
        issuer=text(leaf.issuer.rfc4514_string()),
        under=text(last.issuer.rfc4514_string()),
    )


def anchors_in_use(node: RunningServer) -> set[str]:
    """Return the anchors that live links or our own certificate depend on, as SHA-256 fingerprints in hex.

    Reserved links are left out: they carry no calls, and the server opens them again.
    """
    loaded = node.view.loaded
    issuers = {
        issuer
        for link in node.pool.all()
        if link.verdict is not None and not link.reserved
        for issuer, _ in link.verdict.relied_on
    }
    issuers |= {
        certificate.issuer.public_bytes() for certificate in node.certificates.presented.of(LinkKind.SERVER).chain
    }
    anchors = (anchor for authority in loaded.authorities for anchor in authority.anchors)
    return {fingerprint(anchor) for anchor in anchors if anchor.subject.public_bytes() in issuers}
