"""One server of the topology, running: everything it is made of, started, reloaded and drained in one place."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.routing.branch import Branches
from sipmesh.routing.failures import FailureLimits, Failures
from sipmesh.routing.forwarding import Listener as Advertised
from sipmesh.routing.registrar import RegistrarLimits
from sipmesh.routing.token import Tokens
from sipmesh.server.control import STATE
from sipmesh.server.dispatch import Dispatch
from sipmesh.server.gatekeeper import Gatekeeper
from sipmesh.server.logins import Logins
from sipmesh.server.reach import Reach
from sipmesh.server.registrations import Registrations
from sipmesh.server.relay import Relay
from sipmesh.server.roles import decide_for, names_of
from sipmesh.server.stores import open_stores
from sipmesh.sip.digest import Nonces
from sipmesh.storage.keyfile import load_or_create
from sipmesh.topology.document import load
from sipmesh.topology.view import ServerView
from sipmesh.topology.view import view as view_of
from sipmesh.transport.connector import Connector
from sipmesh.transport.contexts import AcceptingContext, Identity, MutualContext, client_port_context, mutual_context
from sipmesh.transport.limits import Limits
from sipmesh.transport.listener import Listener
from sipmesh.transport.pool import LinkPool
from sipmesh.transport.reactor import Reactor
from sipmesh.transport.resolver import DnsResolver
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.identity import identities
from sipmesh.trust.newly import newly_revoked

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipmesh.server.log import Log
    from sipmesh.topology.document import Loaded
    from sipmesh.transport.hop import Hop
    from sipmesh.trust.verdict import Named

NONCE_LIFETIME_S = 300.0


class Node:
    """A running server. *file* is the topology, *name* the server in it."""

    def __init__(self, file: Path, name: str, log: Log, limits: Limits | None = None) -> None:
        loaded = load(file)
        self.file, self.log = file, log
        self.view: ServerView = view_of(loaded, name)
        self.state = loaded.folder / STATE
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.started_at = time.time()
        self._keep()
        try:
            self._wire()
        except BaseException:
            self.locations.close()
            self.users.close()
            raise

    def __repr__(self) -> str:
        return f"<Node {self.view.name} {self.view.role}, {self.dispatch!r}>"

    def _keep(self) -> None:
        """Open what outlives a start: the key of our tokens and, where our role has them, users and bindings."""
        incarnation = time.time_ns() // 1000
        self.tokens = Tokens(load_or_create(self.state / f"{self.view.name}.token-key"), incarnation)
        self.users, self.locations = open_stores(self.view)

    def _wire(self) -> None:
        """Put the parts together, from the judge up to the pool of links; nothing listens yet."""
        view, tokens = self.view, self.tokens
        advertised = advertised_by(view)
        branches = Branches(tokens.incarnation, frozenset(listener.sent_by for listener in advertised.values()))
        self.reactor = Reactor(self.loop, self.limits)
        self.gatekeeper = Gatekeeper(view)
        self.reach = Reach(view, tokens.incarnation)
        self.logins = self._logins()
        self.registrations = Registrations(view.name, tokens, self.locations, RegistrarLimits())
        self.dispatch = Dispatch(
            names=names_of(view),
            decide=decide_for(view, tokens.incarnation),
            gatekeeper=self.gatekeeper,
            reach=self.reach,
            relay=Relay(self.loop, self.reach, self.locations, tokens, branches, advertised),
            registrations=self.registrations,
            logins=self.logins,
            tokens=tokens,
            branches=branches,
            log=self.log,
        )
        resolver = DnsResolver(*view.dns_servers)
        self.connector = Connector(self.reactor, self.dispatch, self._opening_context, resolver)
        self.pool = LinkPool(self.reactor, self.connector)
        self.reach.open_by(self.pool.obtain)
        self.listeners: list[Listener] = []
        self._mutual: dict[LinkKind, MutualContext] = {}

    def _logins(self) -> Logins:
        nonces = Nonces(load_or_create(self.state / "nonce-key"), NONCE_LIFETIME_S)
        return Logins(self.loop, self.users, nonces, Failures(FailureLimits()), self.reach, self.log)

    def _opening_context(self, hop: Hop) -> MutualContext:
        return self._mutual_context(hop.kind)

    def _mutual_context(self, kind: LinkKind) -> MutualContext:
        """The context of mutual-TLS links of *kind*, as the topology in force has it."""
        if kind not in self._mutual:
            self._mutual[kind] = mutual_context(Identity.load(*self.view.identity(kind)), self.view.anchors(kind))
        return self._mutual[kind]

    def _accepting_context(self, kind: LinkKind) -> AcceptingContext:
        if kind is LinkKind.CLIENT:
            return client_port_context(Identity.load(*self.view.identity(kind)))
        return self._mutual_context(kind)

    def start(self) -> None:
        """Listen; raises `OperatorError` where a certificate, a key or a port cannot be used."""
        self._warn_of_missing_names()
        for spec in self.view.listeners:
            listener = Listener(self.reactor, spec, self._accepting_context(spec.kind), self.dispatch)
            self.listeners.append(listener)
            host, port = listener.address
            self.log.info("listening", kind=spec.kind, host=host, port=port)
        self.registrations.begin()  # with the ports ours, no other process serves under this name

    def _warn_of_missing_names(self) -> None:
        """A domain that is missing in our certificate is one whose phones will refuse us (RFC 5922)."""
        usable = identities(Identity.load(self.view.certificate, self.view.key).leaf).usable
        missing = sorted(set(self.view.names) - set(usable))
        if missing:
            remedy = f"sipmesh ca issue {self.view.name}"
            self.log.warning("names missing in our certificate", missing=missing, remedy=remedy)

    def take(self, loaded: Loaded) -> list[str]:
        """Put a topology in force: judge every live link again and close those refused now; returns their ids.

        Raises `OperatorError`, and changes nothing, where this server is not in it, has another role, or has no certificate.
        """
        view = view_of(loaded, self.view.name)
        if view.role is not self.view.role:
            raise OperatorError(f"{view.name} would become an {view.role}: stop this server, and start it as that")
        if view.listeners != self.view.listeners:
            self.log.warning("other addresses or ports: they count from the next start of this server")
        decide = decide_for(view, self.tokens.incarnation)
        before, self.view = (self.view, self._mutual), view
        self._mutual = {}
        try:
            contexts = [self._accepting_context(listener.kind) for listener in self.listeners]
        except OperatorError:
            self.view, self._mutual = before
            raise
        for listener, context in zip(self.listeners, contexts, strict=True):
            listener.swap(context)
        self.gatekeeper.take(view)
        self.reach.take(view)
        self.dispatch.names, self.dispatch.decide = names_of(view), decide
        self.connector.forgive()
        closed = self.pool.rejudge(self.dispatch.judge)
        self.reach.judged_anew()
        return [link.id for link in closed]

    def take_lists(self, changed: Collection[Path]) -> list[str]:
        """Put revocation lists in force whose files have *changed*, with all else as it is (rule R7).

        Closes the links that are refused by them, and returns their ids. Links that stand on a certificate which is newly
        revoked are judged again, and no others: what it costs does not grow with the number of links.
        """
        at = self.gatekeeper.clock()
        revoked: set[Named] = set()
        by_serial = True
        for authority, lists in self.view.loaded.read_lists(changed):
            newly = newly_revoked(authority, lists, at)
            authority.relist(lists)
            revoked |= newly or set()
            by_serial = by_serial and newly is not None
        self.connector.forgive()
        judge = self.dispatch.judge
        closed = self.pool.rejudge_relying_on(revoked, judge) if by_serial else self.pool.rejudge(judge)
        return [link.id for link in closed]

    async def refresh_users(self) -> int:
        """Take over changes of users and close the links that no longer prove anything; returns how many.

        A database that cannot be reached for the moment leaves what is known in force, and the log says so.
        """
        try:
            changed = await asyncio.to_thread(self.users.refresh)
        except OperatorError as wrong:
            self.log.warning("users not refreshed: those known stay in force", why=str(wrong))
            return 0
        return self.logins.close_changed(changed) if changed else 0

    async def drain(self) -> None:
        """Stop accepting, let what is queued go out, and close everything."""
        for listener in self.listeners:
            listener.close()
        await self.pool.drain()
        await self.connector.close()
        self.reactor.close()
        self.locations.close()
        self.users.close()


def advertised_by(view: ServerView) -> dict[LinkKind, Advertised]:
    """The name and port that our Via and Record-Route carry, for each kind of link."""
    return {spec.kind: Advertised(spec.name, spec.port) for spec in view.listeners}
