"""The commands that a server answers on its control socket: questions of the operator of this machine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from sipmesh import __version__
from sipmesh.errors import SipmeshError
from sipmesh.routing.registrar.binding import NEVER
from sipmesh.server.admin.replies import (
    CLIENT_REFUSALS,
    DRAIN,
    END_CALL,
    EXPLAIN,
    FILES_CHANGED,
    LINKS,
    LOGIN_FAILURES,
    PREPARE_DRAIN,
    REFUSED,
    REFUSED_MESSAGES,
    REGISTRATIONS,
    RELOAD,
    STATUS,
    USER,
    USERS_CHANGED,
    BindingReply,
    CallEndReply,
    CallReply,
    ClientRefusalReply,
    ClosedReply,
    ExplainReply,
    LinkReply,
    ListenerReply,
    LoginFailureReply,
    LoginReply,
    OutageReply,
    RegistrationsReply,
    StatusReply,
    TlsReply,
    UserReply,
    WorkReply,
    chain_replies,
    client_chain_replies,
    partner_chain_replies,
)
from sipmesh.server.admin.status_report import files_of
from sipmesh.server.control_socket import WHO, Command
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.tracing.traced_message import TRACE, TraceReply
from sipmesh.server.tracing.tracer import trace_asked
from sipmesh.storage.call_records.journal import record_in
from sipmesh.storage.call_records.journal_entry import key_of
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.formatting import tell_address
from sipmesh.trust.judgement.explain import explain
from sipmesh.trust.judgement.verdict_report import VerdictReport

PAGE: Final = 500
"""Bindings in one reply: to read and write them takes some milliseconds, in which the server serves no message."""

MOST_REFUSALS: Final = 50
"""Refusals or failed logins in one reply, if the request has no ``most``."""

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.refused_message import RefusedMessage
    from sipmesh.server.refresh.reload_result import ReloadResult
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.transport.link.link import Link


class AdminCommands:
    """The commands of one server: *reload* reads all its files again, *look* only the files that have changed.

    *drain* makes the server take no new work, end what is under way, and stop.
    """

    def __init__(
        self,
        node: RunningServer,
        reload: Callable[[], ReloadResult],
        look: Callable[[], ReloadResult],
        drain: Callable[[], None],
    ) -> None:
        self._node, self._reload, self._look, self._drain = node, reload, look, drain

    def commands(self) -> Mapping[str, Command]:
        """Return every command by its name."""
        return {
            STATUS.name: self.status,
            LINKS.name: self.links,
            REFUSED.name: self.refused,
            REFUSED_MESSAGES.name: self.refused_messages,
            EXPLAIN.name: self.explain,
            REGISTRATIONS.name: self.registrations,
            CLIENT_REFUSALS.name: self.client_refusals,
            LOGIN_FAILURES.name: self.login_failures,
            USER.name: self.user,
            RELOAD.name: self.reload,
            FILES_CHANGED.name: self.files_changed,
            USERS_CHANGED.name: self.users_changed,
            DRAIN.name: self.drain,
            PREPARE_DRAIN.name: self.prepare_drain,
            TRACE.name: self.trace,
            END_CALL.name: self.end_call,
        }

    async def status(self, _asked: Mapping[str, Any]) -> StatusReply:
        """Return the server's name, role, process and listeners, and every certificate and CRL that it uses."""
        node, use = self._node, self._node.use()
        return StatusReply(
            server=node.view.name,
            role=node.view.role,
            pid=os.getpid(),
            up_s=round(time.time() - node.started_at, 1),
            listeners=tuple(
                ListenerReply(listener.spec.key, *listener.address, listener.accepted)
                for listener in node.listening.listeners
            ),
            links=len(node.pool.all()),
            topology=node.view.loaded.digest,
            certificates=chain_replies(use),
            anchors=use.anchors,
            lists=use.lists,
            sources=use.supplies,
            work=self._work(),
            client_certificates=client_chain_replies(use),
            partner_certificates=partner_chain_replies(use),
            release=__version__,
            files=files_of(node),
        )

    def _work(self) -> WorkReply:
        node = self._node
        now, calls = node.loop.time(), node.relay.calls.table.up()
        return WorkReply(
            state=self._state(),
            requests_waiting=node.relay.load,
            calls_up=len(calls),
            calls=tuple(CallReply(call.caller, call.callee, round(now - call.since, 1)) for call in calls[-PAGE:]),
            servers_down=tuple(
                OutageReply(outage.name, round(now - outage.since, 1), outage.why)
                for outage in node.outages.names.values()
            ),
        )

    def _state(self) -> str:
        if self._node.core.state.is_draining:
            return "draining"
        return "preparing" if self._node.registrations.is_shortened else "serving"

    async def trace(self, asked: Mapping[str, Any]) -> TraceReply:
        """Return the messages of a trace since the last question; the first one begins it."""
        return trace_asked(self._node.tracer, asked, str(asked[WHO]))

    async def end_call(self, asked: Mapping[str, Any]) -> CallEndReply:
        """End a call that is up: its record has the id; a call of which this process knows nothing is not ended."""
        node, who = self._node, str(asked.get("by") or asked[WHO])
        call = node.relay.calls.records.up.find(key_of(node.view.name, str(asked["id"])))
        if call is None:
            return CallEndReply(ended=False)
        node.release.end_up(call)
        node.relay.calls.records.ended_by(call, who)
        for key in call.dialogs:
            node.relay.calls.table.ended_here(key)
        if (record := record_in(call.entry.line)) is not None:
            node.log.info("call ended by an operator", by=who, caller=record.caller, callee=record.callee)
        return CallEndReply(ended=True)

    async def prepare_drain(self, _asked: Mapping[str, Any]) -> WorkReply:
        """Grant registrations for a short time from now on; the server goes on serving."""
        self._node.registrations.shorten()
        return self._work()

    async def drain(self, _asked: Mapping[str, Any]) -> WorkReply:
        """Drain the server, and stop it then; while it drains this changes nothing."""
        self._drain()
        return self._work()

    async def links(self, asked: Mapping[str, Any]) -> list[LinkReply]:
        """Return every live link with its verdict in short; with ``most`` only so many, the newest first."""
        links: Sequence[Link] = self._node.pool.all()
        if "most" in asked:
            links = nlargest(_most(asked), links, key=lambda link: link.opened_at)
        return [self._link(link) for link in links]

    def _link(self, link: Link) -> LinkReply:
        users = sorted(link.flow.users) if isinstance(link.flow, Flow) else []
        return LinkReply(
            server=self._node.view.name,
            id=link.id,
            kind=link.kind,
            direction=link.direction,
            state=link.state.value,
            confirmed=link.peer.confirmed,
            peer=link.peer_name or _device_of(link) or ", ".join(users) or link.meant,
            remote=f"{link.remote[0]}:{link.remote[1]}",
            code=link.verdict.code if link.verdict is not None else None,
            tls=TlsReply.of(link.peer.facts),
            age_s=round(self._node.loop.time() - link.opened_at, 1),
            messages_in=link.messages_in,
            messages_out=link.messages_out,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
            port=link.port,
        )

    async def refused(self, asked: Mapping[str, Any]) -> list[VerdictReport]:
        """Return the latest refusals of peers, newest first."""
        newest = list(self._node.gatekeeper.refused())
        return [VerdictReport.of(verdict) for verdict in newest[: _most(asked)]]

    async def refused_messages(self, _asked: Mapping[str, Any]) -> list[RefusedMessage]:
        """Return the latest refused messages, newest first, each with the reference that its sender received.

        Those without a verdict code follow: calls and messages that a rule of a user or the state of the callee has refused.
        """
        refusals = self._node.refusals
        return [*reversed(refusals.newest), *reversed(refusals.plain)]

    async def registrations(self, asked: Mapping[str, Any]) -> RegistrationsReply:
        """Return a page of the live bindings on links of this server; ``after`` is the *next* of the page before."""
        node, links = self._node, self._client_links()
        aor, name = map(str, asked.get("after", ("", "")))
        bindings = node.registrations.here(PAGE, (aor, name))
        key = bindings[-1].key if len(bindings) == PAGE else None
        rows = [self._binding(binding, links) for binding in bindings]
        following = [key.aor, key.name] if key is not None else None
        return RegistrationsReply(rows, following, bool(node.registrations.store))

    def _client_links(self) -> dict[int, Link]:
        """Return the links of clients by number: a binding has the number of its link."""
        return {link.number: link for link in self._node.pool.all() if link.kind is LinkKind.CLIENT}

    def _binding(self, binding: Binding, links: Mapping[int, Link]) -> BindingReply:
        link = links.get(binding.flow) if binding.host == self._node.view.name else None
        return BindingReply(
            user=binding.aor.removeprefix("sip:"),
            server=binding.host,
            link=link.id if link is not None else None,
            remote=tell_address(link.remote) if link is not None else None,
            contact=binding.contact,
            user_agent=binding.user_agent,
            expires=self._end(binding),
            tls=TlsReply.of(link.peer.facts) if link is not None else None,
            digest=self._digest(binding.aor, link.id) if link is not None else "",
        )

    def _digest(self, aor: str, link: str) -> str:
        """Return the algorithm with which *aor* has logged in on a link, "" if it is not known any more."""
        logins = self._node.logins.history.of(aor)
        return next((login.proof for login in logins if login.link == link), "")

    def _end(self, binding: Binding) -> datetime | None:
        """Return when a binding ends by the clock of this machine; only the server that has the link knows it."""
        if binding.expires_at == NEVER:
            return None
        return datetime.fromtimestamp(time.time() + binding.expires_at - self._node.loop.time(), UTC)

    async def _bindings(self, aor: str) -> Sequence[Binding]:
        """Return the live bindings of a user in the whole pool; raises `SipmeshError` if they cannot be read."""
        found: asyncio.Future[Sequence[Binding] | None] = self._node.loop.create_future()
        self._node.registrations.look_up(aor, lambda rows: None if found.done() else found.set_result(rows))
        rows = await found
        if rows is None:
            raise SipmeshError(
                f"{self._node.view.name} cannot read the registrations: {self._node.registrations.health}"
            )
        return rows

    async def login_failures(self, asked: Mapping[str, Any]) -> list[LoginFailureReply]:
        """Return the last failed logins of all users, newest first."""
        return list(map(LoginFailureReply.of, self._node.logins.remembered.newest(_most(asked))))

    async def client_refusals(self, asked: Mapping[str, Any]) -> list[ClientRefusalReply]:
        """Return the last client links that failed before a login, newest first."""
        return list(map(ClientRefusalReply.of, self._node.gatekeeper.client_refusals.newest(_most(asked))))

    async def user(self, asked: Mapping[str, Any]) -> UserReply:
        """Return what this server knows of one user, who may be named by an alias.

        The reply has the home pool, the aliases, the bindings in the pool, the last logins, and those that failed.
        """
        node, links = self._node, self._client_links()
        aor = node.homes.owner_of(str(asked["user"])) or str(asked["user"])
        return UserReply(
            server=node.view.name,
            pool=node.view.pool.name,
            role=node.view.role,
            started_at=datetime.fromtimestamp(node.started_at, UTC),
            ready=node.homes.ready,
            home=node.homes.of(aor),
            bindings=[self._binding(binding, links) for binding in await self._bindings(aor)],
            failures=list(map(LoginFailureReply.of, node.logins.remembered.of(aor))),
            user=aor.removeprefix("sip:"),
            aliases=tuple(node.homes.aliases(aor)),
            logins=list(map(LoginReply.of, node.logins.history.of(aor))),
            refusals=await self.client_refusals({}),
            messages_waiting=node.events.messages_waiting_for(aor),
        )

    async def explain(self, asked: Mapping[str, Any]) -> ExplainReply:
        """Return the verdict on one live link; raises `SipmeshError` if there is no such link."""
        link = self._node.pool.by_id(str(asked["id"]))
        if link is None or link.verdict is None:
            raise SipmeshError(f"{self._node.view.name} has no live link {asked['id']}")
        return ExplainReply(explain(link.verdict), VerdictReport.of(link.verdict))

    async def reload(self, _asked: Mapping[str, Any]) -> ReloadResult:
        """Read topology, CRLs and certificates again."""
        return self._reload()

    async def files_changed(self, _asked: Mapping[str, Any]) -> ReloadResult:
        """Read the files that have changed; a new CRL closes only the links of revoked certificates."""
        return self._look()

    async def users_changed(self, _asked: Mapping[str, Any]) -> ClosedReply:
        """Read the changes of users."""
        return ClosedReply(await self._node.user_updates.refresh())


def _most(asked: Mapping[str, Any]) -> int:
    return int(asked.get("most", MOST_REFUSALS))


def _device_of(link: Link) -> str:
    """Name the device that a client is, and its user; "" if no certificate has proved it."""
    return link.verdict.subject if link.verdict is not None and link.verdict.device is not None else ""
