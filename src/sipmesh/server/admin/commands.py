"""What the operator of this machine may ask a running server, by its control socket."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.registrar.binding import NEVER
from sipmesh.server.admin.replies import (
    BindingReply,
    ClosedReply,
    ExplainReply,
    LinkReply,
    ListenerReply,
    RegistrationsReply,
    TlsReply,
    UserReply,
)
from sipmesh.server.certificates.expiring_files import use_to_json
from sipmesh.server.control_socket import Command
from sipmesh.server.proxy.flow import Flow
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.formatting import tell_address
from sipmesh.trust.judgement.explain import explain, to_json

PAGE: Final = 500
"""Bindings in one answer: to read and write them takes some milliseconds, in which no message is served."""

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.message_refusals import RefusedMessage
    from sipmesh.server.refresh.reloader import ReloadResult
    from sipmesh.server.running_server import RunningServer
    from sipmesh.transport.link.link import Link


class AdminCommands:
    """The commands of one server; both tell what came of it: *reload* reads everything anew, *look* what has changed."""

    def __init__(
        self, node: RunningServer, reload: Callable[[], ReloadResult], look: Callable[[], ReloadResult]
    ) -> None:
        self._node, self._reload, self._look = node, reload, look

    def __repr__(self) -> str:
        return f"<AdminCommands of {self._node.view.name}>"

    def commands(self) -> Mapping[str, Command]:
        """Every command by its name."""
        return {
            "status": self.status,
            "links": self.links,
            "refused": self.refused,
            "refused-messages": self.refused_messages,
            "explain": self.explain,
            "registrations": self.registrations,
            "login-failures": self.login_failures,
            "user": self.user,
            "reload": self.reload,
            "files-changed": self.files_changed,
            "users-changed": self.users_changed,
        }

    async def status(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        """Who this is and since when, and every certificate and list that is in use."""
        node = self._node
        return {
            "server": node.view.name,
            "role": node.view.role,
            "pid": os.getpid(),
            "up_s": round(time.time() - node.started_at, 1),
            "listeners": [ListenerReply(one.kind, *one.address, one.accepted) for one in node.listening.listeners],
            "links": len(node.pool.all()),
            "topology": node.view.loaded.digest,
            **use_to_json(node.use()),
        }

    async def links(self, _asked: Mapping[str, Any]) -> list[LinkReply]:
        """Every live link with its verdict in short."""
        return [self._link(link) for link in self._node.pool.all()]

    def _link(self, link: Link) -> LinkReply:
        users = sorted(link.flow.users) if isinstance(link.flow, Flow) else []
        return LinkReply(
            server=self._node.view.name,
            id=link.id,
            kind=link.kind,
            direction=link.direction,
            state=link.state.value,
            confirmed=link.confirmed,
            peer=link.peer_name or ", ".join(users) or link.meant,
            remote=f"{link.remote[0]}:{link.remote[1]}",
            code=link.verdict.code if link.verdict is not None else None,
            tls=TlsReply(link.facts.version, link.facts.cipher, link.facts.group),
            age_s=round(self._node.loop.time() - link.opened_at, 1),
            messages_in=link.messages_in,
            messages_out=link.messages_out,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
        )

    async def refused(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The latest refusals, newest first."""
        newest = list(self._node.gatekeeper.refused())
        return [to_json(verdict) for verdict in newest[: int(asked.get("most", 50))]]

    async def refused_messages(self, _asked: Mapping[str, Any]) -> list[RefusedMessage]:
        """The latest messages that were refused, newest first, each under the reference that its sender was told."""
        return list(reversed(self._node.refusals.newest))

    async def registrations(self, asked: Mapping[str, Any]) -> RegistrationsReply:
        """A page of the live bindings on links of this server; *next* is the key to ask for more with, None at the end."""
        node, links = self._node, self._client_links()
        aor, name = map(str, asked.get("after", ("", "")))
        found = node.registrations.here(PAGE, (aor, name))
        key = found[-1].key if len(found) == PAGE else None
        rows = [self._binding(row, links) for row in found]
        following = [key.aor, key.name] if key is not None else None
        return RegistrationsReply(rows, following, bool(node.registrations.store))

    def _client_links(self) -> dict[int, Link]:
        """The links of clients by number, which is what a binding has of its link."""
        return {link.number: link for link in self._node.pool.all() if link.kind is LinkKind.CLIENT}

    def _binding(self, row: Binding, links: Mapping[int, Link]) -> BindingReply:
        """One binding; *link* is the id of its link, if that is one of ours and up."""
        link = links.get(row.flow) if row.server == self._node.view.name else None
        return BindingReply(
            user=row.aor.removeprefix("sip:"),
            server=row.server,
            link=link.id if link is not None else None,
            remote=tell_address(link.remote) if link is not None else None,
            contact=row.contact,
            user_agent=row.user_agent,
            expires=self._end(row),
        )

    def _end(self, row: Binding) -> str | None:
        """When a row ends by the clock of this machine; only the server that has the link knows it."""
        if row.expires_at == NEVER:
            return None
        return datetime.fromtimestamp(time.time() + row.expires_at - self._node.loop.time(), UTC).isoformat()

    async def _bindings(self, aor: str) -> Sequence[Binding]:
        """The live bindings of a user in the whole pool; raises `SipmeshError` where they cannot be read."""
        found: asyncio.Future[Sequence[Binding] | None] = self._node.loop.create_future()
        self._node.registrations.look_up(aor, lambda rows: None if found.done() else found.set_result(rows))
        rows = await found
        if rows is None:
            raise SipmeshError(
                f"{self._node.view.name} cannot read the registrations: {self._node.registrations.health}"
            )
        return rows

    async def login_failures(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The last failed logins of all users, newest first."""
        return [one.to_json() for one in self._node.logins.remembered.newest(int(asked.get("most", 50)))]

    async def user(self, asked: Mapping[str, Any]) -> UserReply:
        """What this server knows of one user: the home, where it is registered in the pool, and its failed logins."""
        node, aor, links = self._node, str(asked["user"]), self._client_links()
        return UserReply(
            server=node.view.name,
            pool=node.view.pool.name,
            role=node.view.role,
            started_at=datetime.fromtimestamp(node.started_at, UTC).isoformat(),
            ready=node.homes.ready,
            home=node.homes.of(aor),
            bindings=[self._binding(row, links) for row in await self._bindings(aor)],
            failures=[one.to_json() for one in node.logins.remembered.of(aor)],
        )

    async def explain(self, asked: Mapping[str, Any]) -> ExplainReply:
        """The verdict on one live link, in words and as values."""
        link = self._node.pool.by_id(str(asked["id"]))
        if link is None or link.verdict is None:
            raise SipmeshError(f"{self._node.view.name} has no live link {asked['id']}")
        return ExplainReply(explain(link.verdict), to_json(link.verdict))

    async def reload(self, _asked: Mapping[str, Any]) -> dict[str, object]:
        """Read topology, lists and certificates anew."""
        return self._reload().to_json()

    async def files_changed(self, _asked: Mapping[str, Any]) -> dict[str, object]:
        """Take over files that have changed at once; new revocation lists cost the links that they close, and no more."""
        return self._look().to_json()

    async def users_changed(self, _asked: Mapping[str, Any]) -> ClosedReply:
        """Take over changes of users at once."""
        return ClosedReply(await self._node.user_updates.refresh())
