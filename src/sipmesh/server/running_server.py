"""One server of the topology, running: everything it is made of, started, reloaded and drained in one place."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.backoff import FailureLimits, LoginBackoff
from sipmesh.routing.identity.dialog_token import Tokens
from sipmesh.routing.proxy.branch import Branches
from sipmesh.routing.proxy.forwarding import ListenerAddress
from sipmesh.routing.registrar.registrar import RegistrarLimits
from sipmesh.server.admin.status_report import standing
from sipmesh.server.certificates.expiring_files import anchors_of, lists_of
from sipmesh.server.certificates.link_rotation import LinkRotation
from sipmesh.server.certificates.presented import PresentedCertificate, PresentedCertificates
from sipmesh.server.control_socket import STATE
from sipmesh.server.proxy.counters import Counters
from sipmesh.server.proxy.digest_auth import DigestAuth
from sipmesh.server.proxy.dispatch import Dispatch
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.proxy.gatekeeper import Gatekeeper
from sipmesh.server.proxy.home_pools import HomePools
from sipmesh.server.proxy.registrations import Registrations
from sipmesh.server.proxy.relay import Relay
from sipmesh.server.proxy.roles import border_of, decide_for, names_of
from sipmesh.server.proxy.user_stores import open_stores
from sipmesh.server.quotas.known_addresses import KnownAddresses
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.server.quotas.principals import Principals
from sipmesh.sip.digest import Nonces
from sipmesh.storage.keyfile import load_or_create
from sipmesh.storage.replicated_users import ReplicatedUsers
from sipmesh.topology.document.listeners import ANYWHERE
from sipmesh.topology.document.load import load
from sipmesh.topology.expiry.impact import server_command
from sipmesh.topology.expiry.inventory import Use
from sipmesh.topology.view import ServerView
from sipmesh.topology.view import view as view_of
from sipmesh.transport.connector import Connector
from sipmesh.transport.limits import Limits
from sipmesh.transport.listener import ForeignAddressError, Listener
from sipmesh.transport.pool import LinkPool
from sipmesh.transport.reactor import Reactor
from sipmesh.transport.resolver import DnsResolver
from sipmesh.transport.tls.contexts import AcceptingContext, MutualContext, client_port_context, mutual_context
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.judgement.crl_diff import newly_revoked
from sipmesh.trust.x509.sip_identity import identities

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from cryptography import x509

    from sipmesh.server.log import Log
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.fetch_status import FetchStatus
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.revocation.ocsp import OcspAnswers
    from sipmesh.trust.x509.certificate import CertificateId

NONCE_LIFETIME_S = 300.0
NONCE_KEY_BYTES = 32  # of this start alone: a nonce is worth nothing on another server, or after a restart
LOOK_AGAIN_S = 60.0
NOT_TAKEN = "new certificate rejected: the old certificate stays in use"


class RunningServer:
    """A running server. *file* is the topology, *name* the server in it; *loaded* is what is in force, if not that file."""

    def __init__(
        self, file: Path, name: str, log: Log, limits: Limits | None = None, *, loaded: Loaded | None = None
    ) -> None:
        loaded = loaded or load(file)
        self.file, self.log = file, log
        self.view: ServerView = view_of(loaded, name)
        self.state = loaded.folder / STATE
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.started_at = time.time()
        self.on_lists: Callable[[frozenset[CertificateId]], None] | None = (
            None  # hears of new lists and whom they newly revoke
        )
        self.on_shown: Callable[[], None] | None = None  # hears that what we show has changed
        self.on_taking: Callable[[Loaded], None] | None = None  # hears of a topology that is about to be in force
        self.supplies: Callable[[datetime], tuple[FetchStatus, ...]] = lambda _: ()  # how what is fetched does
        self.is_managed = False  # whether the next version comes from management, and so may help
        self.not_listening: tuple[str, ...] = ()  # why we do not listen as published
        self.shown = PresentedCertificates({})
        self._keep()
        try:
            self._wire()
        except BaseException:
            self.locations.close()
            self.users.close()
            raise

    def __repr__(self) -> str:
        return f"<RunningServer {self.view.name} {self.view.role}, {self.dispatch!r}>"

    def _keep(self) -> None:
        """Open what outlives a start: the keys of our tokens and, where our role has them, users and bindings.

        Servers of a pool that share a folder share the key of dialogs, so that a call can go on through another of them.
        """
        incarnation = time.time_ns() // 1000
        key, pool_key = (load_or_create(self.state / name) for name in key_files(self.view))
        self.tokens = Tokens(key, incarnation, pool_key)
        self.users, self.locations = open_stores(self.view)

    def _wire(self) -> None:
        """Put the parts together, from the judge up to the pool of links; nothing listens yet."""
        view, tokens = self.view, self.tokens
        advertised, border = advertised_by(view), border_of(view)
        branches = Branches(tokens.incarnation, frozenset(listener.sent_by for listener in advertised.values()))
        self.reactor = Reactor(self.loop, self.limits)
        self.gatekeeper = Gatekeeper(view)
        self.flow_table = FlowTable(view, tokens.incarnation)
        self.neighbours = KnownAddresses(view)
        self.accounts, self.tally = Principals(self.limits, self.neighbours, self._partner_of), Counters()
        self.peer_log = LimitedLog(
            self.log,
            self.loop.time,
            each=self.limits.log_lines_per_principal,
            total=self.limits.log_lines_in_all,
            window_s=self.limits.log_window_s,
        )
        self.logins = self._logins()
        self.registrations = Registrations(view.name, tokens, self.locations, RegistrarLimits())
        self.dispatch = Dispatch(
            names=names_of(view),
            decide=decide_for(view, tokens.incarnation),
            border=border,
            gatekeeper=self.gatekeeper,
            flow_table=self.flow_table,
            relay=Relay(self.loop, self.flow_table, self.locations, tokens, branches, advertised, border),
            registrations=self.registrations,
            logins=self.logins,
            tokens=tokens,
            branches=branches,
            log=self.peer_log,
            accounts=self.accounts,
            tally=self.tally,
        )
        self.resolver = DnsResolver(*view.dns_servers)
        self.connector = Connector(self.reactor, self.dispatch, self._opening_context, self.resolver)
        self.pool = LinkPool(self.reactor, self.connector)
        self.renewal = LinkRotation(self.connector.dial)
        self.flow_table.open_by(self.pool.obtain)
        self.listeners: list[Listener] = []
        self._mutual: dict[LinkKind, MutualContext] = {}

    def _logins(self) -> DigestAuth:
        nonces = Nonces(os.urandom(NONCE_KEY_BYTES), NONCE_LIFETIME_S)
        self.homes = HomePools(self.users, self.view)
        self.failures = LoginBackoff(FailureLimits())
        return DigestAuth(
            self.loop, self.homes, nonces, self.tokens, self.failures, self.flow_table, self.accounts, self.peer_log
        )

    def _partner_of(self, domain: str) -> str:
        """Give the name of the partner that *domain* belongs to; nothing for our own and unknown ones."""
        partner = self.view.partner_for(domain)
        return partner.peer.name if partner is not None else ""

    def _opening_context(self, hop: Hop) -> MutualContext:
        return self._mutual_context(hop.kind)

    def _mutual_context(self, kind: LinkKind) -> MutualContext:
        """The context of mutual-TLS links of *kind*, as the topology in force has it."""
        if kind not in self._mutual:
            self._mutual[kind] = mutual_context(self.shown.of(kind), self.view.anchors(kind))
        return self._mutual[kind]

    def _accepting_context(self, kind: LinkKind) -> AcceptingContext:
        if kind is LinkKind.CLIENT:
            return client_port_context(self.shown.of(kind))
        return self._mutual_context(kind)

    def start(self) -> None:
        """Listen; raises `OperatorError` where a certificate, a key or a port cannot be used."""
        self.shown = PresentedCertificates.first(self.view)
        self._warn_of_missing_names()
        for spec in self.view.listeners:
            try:
                self._listen(spec)
            except ForeignAddressError as wrong:
                self._do_without(spec, wrong)
        self.registrations.begin()  # with the ports ours, no other process serves under this name

    def _listen(self, spec: ListenerSpec) -> None:
        listener = Listener(self.reactor, spec, self._accepting_context(spec.kind), self.dispatch)
        listener.make_room, listener.is_reserved = self.accounts.make_room, self.neighbours.has
        self.listeners.append(listener)
        host, port = listener.address
        self.log.info("listening", kind=spec.kind, host=host, port=port)

    def _do_without(self, spec: ListenerSpec, wrong: ForeignAddressError) -> None:
        """Where the next version comes from management, start without an address that this machine does not have.

        The server port is opened on every address instead, so that management reaches us there with the version that is right.
        """
        if not self.is_managed:
            raise wrong
        if spec.kind is LinkKind.SERVER:
            self._listen(replace(spec, host="::" if ":" in spec.host else ANYWHERE))
        self.not_listening = (*self.not_listening, str(wrong))
        self.log.error(
            "cannot listen on a published address: waiting for a version with another address", why=str(wrong)
        )

    def _listen_again(self) -> None:
        """Open what the version in force says and the one before did not let us open; the server port stays as it is."""
        have, faults = {listener.kind for listener in self.listeners}, []
        for spec in self.view.listeners:
            if spec.kind not in have:
                try:
                    self._listen(spec)
                except OperatorError as wrong:
                    faults.append(str(wrong))
        self.not_listening = tuple(faults)

    def _warn_of_missing_names(self) -> None:
        """A domain that is missing in our certificate is one whose phones will refuse us (RFC 5922)."""
        usable = identities(self.shown.of(LinkKind.SERVER).leaf).usable
        missing = sorted(set(self.view.names) - set(usable))
        if missing:
            remedy = f"sipmesh ca issue {self.view.name}"
            self.log.warning("own certificate lacks names", missing=missing, remedy=remedy)

    def take(self, loaded: Loaded) -> list[str]:
        """Put a topology in force: judge every live link again and close those refused now; returns their ids.

        A new certificate of ours comes into use if our peers would accept it; otherwise the old one stays in use.
        Raises `OperatorError`, and changes nothing, where this server is not in the topology, or has another role.
        """
        view = view_of(loaded, self.view.name)
        if view.role is not self.view.role:
            raise OperatorError(f"{view.name} would become an {view.role}: restart this server in its new role")
        if (view.listeners, view.metrics) != (self.view.listeners, self.view.metrics):
            self.log.warning("published addresses or ports differ: restart this server to use them")
        decide = decide_for(view, self.tokens.incarnation)
        self.resolver.change(*view.dns_servers)
        if self.on_taking is not None:
            self.on_taking(loaded)
        self._show(self.shown.after(view, datetime.now(UTC)))
        self.view, self._mutual = view, {}
        contexts = [self._accepting_context(listener.kind) for listener in self.listeners]
        for listener, context in zip(self.listeners, contexts, strict=True):
            listener.swap(context)
        if self.not_listening:
            self._listen_again()
        self.gatekeeper.take(view)
        self.flow_table.take(view)
        self.neighbours.take(view)
        self.homes.take(view)
        self.dispatch.take(names_of(view), decide, border_of(view))
        self.connector.forgive()
        closed = self.pool.rejudge(self.dispatch.judge_again)
        self.flow_table.judged_anew()
        return [link.id for link in closed] + self.logins.close_changed()

    def would_show(self, at: datetime) -> bool:
        """Whether a certificate that was refused when it came is good now, such as one that had not begun."""
        if not any(self.shown.faults):
            return False
        after = self.shown.after(self.view, at)
        return any(held.identity is not self.shown.held[outside].identity for outside, held in after.held.items())

    def _show(self, shown: PresentedCertificates) -> None:
        """Show what has changed from now on, and tell of it; links that are up stay as they are."""
        for outside, held in shown.held.items():
            before = self.shown.held.get(outside)
            leaf = held.identity.leaf
            if held.fault:
                self.log.error(
                    NOT_TAKEN, file=str(held.identity.chain_path), why=held.fault, remedy=self._remedy(outside)
                )
            elif before is None or before.identity.chain != held.identity.chain:
                self.log.info(
                    "new certificate in use", serial=f"{leaf.serial_number:x}", ends=tell_time(leaf.not_valid_after_utc)
                )
                if before is not None:
                    self.renewal.rotated(self._opened_under(outside), self._replace_from(before, held))
        news = any(held is not self.shown.held.get(outside) for outside, held in shown.held.items())
        self.shown = shown
        if news and self.on_shown is not None:
            self.loop.call_soon(self.on_shown)

    def _replace_from(self, before: PresentedCertificate, now: PresentedCertificate) -> datetime:
        """When links under the certificate *before* have to be replaced: at once where it led to another root."""
        if before.identity.chain[-1].issuer != now.identity.chain[-1].issuer:
            return self.gatekeeper.clock()
        return min(one.not_valid_after_utc for one in before.identity.chain)

    def _standing_elsewhere(self) -> list[Link]:
        """Links to servers of ours that we opened, and whose peer showed that it stands on another root than we do now.

        Where the root has changed it has another certificate by now. It is not looked for more often than once a minute.
        """
        ours = self.shown.of(LinkKind.SERVER).chain[-1].issuer.public_bytes()
        opened = [link for link in self.pool.all() if link.direction is Direction.OPENED and not link.reserved]
        return [
            link
            for link in opened
            if link.kind is LinkKind.SERVER
            and link.verdict is not None
            and link.verdict.relied_on
            and self.loop.time() - link.opened_at >= LOOK_AGAIN_S
            and not any(issuer == ours for issuer, _ in link.verdict.relied_on)
        ]

    def _opened_under(self, outside: bool) -> list[Link]:  # noqa: FBT001 - a half of a Side
        """The links that we opened showing one of our certificates."""
        partners_too = not outside and True not in self.shown.held
        kinds = {LinkKind.PARTNER} if outside else {LinkKind.SERVER}
        kinds |= {LinkKind.PARTNER} if partners_too else set()
        return [
            link
            for link in self.pool.all()
            if link.direction is Direction.OPENED and link.kind in kinds and not link.reserved
        ]

    def replace_links(self, at: datetime) -> list[str]:
        """Replace links that we opened under a certificate that is about to end; returns the ids of those let go."""
        self.renewal.rotated(self._standing_elsewhere(), at)
        return self.renewal.step(at, self.loop.time())

    def _remedy(self, outside: bool) -> str:  # noqa: FBT001 - a half of a Side
        file = self.view.identity(LinkKind.PARTNER)[0].name
        return server_command(self.view.name, file, outside=outside)

    def standing(self) -> ServerStatus:
        """What this server says of itself to management."""
        return standing(self)

    def use(self) -> Use:
        """What is in use here and ends, for the inventory."""
        loaded = self.view.loaded
        return Use(
            server=self.view.name,
            pid=os.getpid(),
            shown={outside: held.chain for outside, held in self.shown.held.items()},
            anchors=tuple(anchors_of(loaded)),
            lists=tuple(lists_of(loaded)),
            supplies=self.supplies(self.gatekeeper.clock()),
        )

    def take_lists(self, changed: Collection[Path]) -> list[str]:
        """Put revocation lists in force whose files have *changed*, with all else as it is (rule R7).

        Closes the links that are refused by them, and returns their ids. Links that stand on a certificate which is newly
        revoked are judged again, and no others: what it costs does not grow with the number of links.
        """
        at = self.gatekeeper.clock()
        revoked: set[CertificateId] = set()
        by_serial = True
        for authority, lists in self.view.loaded.read_lists(changed):
            newly = newly_revoked(authority, lists, at)
            authority.relist(lists)
            revoked |= newly or set()
            by_serial = by_serial and newly is not None
        self.connector.forgive()
        if self.on_lists is not None:
            self.on_lists(frozenset(revoked))
        judge = self.dispatch.judge_again
        closed = self.pool.rejudge_relying_on(revoked, judge) if by_serial else self.pool.rejudge(judge)
        return [link.id for link in closed]

    def take_answers(
        self, authority: Authority, answers: OcspAnswers, about: tuple[x509.Certificate, x509.Certificate]
    ) -> list[str]:
        """Put OCSP answers in force, of which one has changed: *about* a certificate and its issuer.

        Closes the links that stand on that certificate and are refused now, and returns their ids.
        """
        authority.hear(answers)
        self.connector.forgive()
        return [link.id for link in self.pool.rejudge_relying_on([_named(*about)], self.dispatch.judge_again)]

    def stands_on(self, about: tuple[x509.Certificate, x509.Certificate]) -> bool:
        """Whether a link stands on a certificate, which comes with its issuer."""
        return bool(self.reactor.links.relying.on([_named(*about)]))

    def take_revoked(self, named: Iterable[CertificateId]) -> list[str]:
        """Refuse certificates that are *named* by issuer and serial from now on, ahead of the list that has them.

        Closes the links that stand on them, and returns their ids.
        """
        gone = frozenset(named)
        for authority in self.view.loaded.authorities:
            authority.relist(authority.lists.revoking(gone))
        self.connector.forgive()
        return [link.id for link in self.pool.rejudge_relying_on(gone, self.dispatch.judge_again)]

    def take_users(self, document: bytes) -> int:
        """Take over who may log in, in a network where management says so; returns how many links that closed.

        Raises `OperatorError`, and changes nothing, for a document that is not for us or does not go with what we have.
        """
        if not isinstance(self.users, ReplicatedUsers):
            return 0
        changed = self.users.take(document)
        return len(self.logins.close_changed(changed)) if changed else 0

    @property
    def users_number(self) -> int:
        """The number of the users that management has sent, 0 where there are none."""
        return self.users.number if isinstance(self.users, ReplicatedUsers) else 0

    async def refresh_users(self) -> int:
        """Take over changes of users and close the links that no longer prove anything; returns how many.

        A database that cannot be reached for the moment leaves what is known in force, and the log says so.
        """
        try:
            changed = await asyncio.to_thread(self.users.refresh)
        except OperatorError as wrong:
            self.log.warning("user database cannot be read: the known users stay in force", why=str(wrong))
            return 0
        return len(self.logins.close_changed(changed)) if changed else 0

    async def drain(self) -> None:
        """Stop accepting, let what is queued go out, and close everything."""
        for listener in self.listeners:
            listener.close()
        await self.pool.drain()
        await self.connector.close()
        self.reactor.close()
        self.peer_log.close()
        self.locations.close()
        self.users.close()


def key_files(view: ServerView) -> tuple[str, str]:
    """The files of the keys of tokens: of this server's flows, and of the dialogs of its pool."""
    return f"{view.name}.token-key", f"{view.pool.name}.dialog-key"


def _named(certificate: x509.Certificate, issuer: x509.Certificate) -> CertificateId:
    return issuer.subject.public_bytes(), certificate.serial_number


def advertised_by(view: ServerView) -> dict[LinkKind, ListenerAddress]:
    """The name and port that our Via and Record-Route carry, for each kind of link."""
    return {spec.kind: ListenerAddress(spec.name, spec.port) for spec in view.listeners}
