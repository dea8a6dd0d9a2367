"""The commands that only a management server answers on its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.control_socket import ROLE, WHO, Command, Encoded
from sipmesh.server.management.network_reply import encoded_status
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.management.replies import (
    ACKNOWLEDGED,
    ASK_DNS,
    BLOCK,
    CALLS,
    DIRECTORY,
    DIRECTORY_ACCEPT,
    DIRECTORY_EXPLAIN,
    END_NETWORK_CALL,
    ERASE_CALLS,
    FETCH_CRLS,
    HISTORY,
    NETWORK,
    PLAN,
    PROBE_LINKS,
    PUBLISH,
    ROLLBACK,
    ROOT,
    TRACE_NETWORK,
    TRAFFIC,
    USERS_IN_FORCE,
    VERSION,
    PublicationReply,
    VersionReply,
)
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.published_version import version_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.operators.console_role import ConsoleRole

if TYPE_CHECKING:
    from sipmesh.server.directory.explain_report import ExplainReport
    from sipmesh.server.management.controller import Controller
    from sipmesh.server.management.replies import (
        Acknowledgement,
        CallsReply,
        CrlsReply,
        DirectoryReply,
        DnsReply,
        ErasedReply,
        Plan,
        ProbedReply,
        PutInForce,
        RootStep,
        TrafficReply,
        UsersInForce,
    )
    from sipmesh.server.tracing.traced_message import TraceReply
    from sipmesh.storage.call_records.call_record import CallRecord

LONGEST_WAIT_S: Final = 60.0


class ManagementCommands:
    """The commands of one management server; the operator is known by the credentials of the control socket."""

    def __init__(self, controller: Controller) -> None:
        self._controller, self._publisher = controller, controller.publisher
        self._root_rotation, self._management_db = controller.root_rotation, controller.management_db

    def commands(self) -> Mapping[str, Command]:
        """Return every command by its name."""
        return {
            PLAN.name: self._plan,
            PUBLISH.name: self._by_leader(self._publish),
            BLOCK.name: self._by_leader(self._block),
            ROLLBACK.name: self._by_leader(self._rollback),
            HISTORY.name: self._history,
            VERSION.name: self._version,
            ACKNOWLEDGED.name: self._by_leader(self._acknowledged),
            NETWORK.name: self._by_leader(self._network),
            TRAFFIC.name: self._by_leader(self._traffic),
            USERS_IN_FORCE.name: self._by_leader(self._users_in_force),
            ROOT.name: self._by_leader(self._root),
            PROBE_LINKS.name: self._by_leader(self._probe),
            ASK_DNS.name: self._by_leader(self._ask_dns),
            FETCH_CRLS.name: self._by_leader(self._fetch_crls),
            TRACE_NETWORK.name: self._by_leader(self._trace),
            DIRECTORY.name: self._by_leader(self._directory),
            DIRECTORY_ACCEPT.name: self._by_leader(self._accept_losses),
            DIRECTORY_EXPLAIN.name: self._by_leader(self._explain_directory),
            CALLS.name: self._by_leader(self._calls),
            END_NETWORK_CALL.name: self._by_leader(self._end_call),
            ERASE_CALLS.name: self._by_leader(self._erase_calls),
        }

    def _by_leader(self, command: Command) -> Command:
        """Return the command for a server that may not lead: then it is refused, with the name of the leader."""

        async def asked(given: Mapping[str, Any]) -> Any:
            if self._management_db.shared is not None:  # its server may not answer
                await asyncio.to_thread(self._controller.must_lead)
            else:
                self._controller.must_lead()
            return await command(given)

        return asked

    async def _traffic(self, _asked: Mapping[str, Any]) -> TrafficReply:
        return self._controller.traffic.reply(now_utc())

    async def _directory(self, _asked: Mapping[str, Any]) -> DirectoryReply:
        return self._controller.directory.report

    async def _accept_losses(self, asked: Mapping[str, Any]) -> DirectoryReply:
        audit = self._controller.management_db.audit
        audit.append(str(asked[WHO]), AuditAct.USER, {"directory": "accept-loss"}, at=now_utc())
        return self._controller.directory.accept_losses()

    async def _explain_directory(self, asked: Mapping[str, Any]) -> ExplainReport:
        return await self._controller.directory.explain(str(asked["user"]))

    async def _plan(self, asked: Mapping[str, Any]) -> Plan:
        return await self._publisher.plan(str(asked.get("draft", DRAFT)))

    async def _publish(self, asked: Mapping[str, Any]) -> PutInForce:
        why, base, digest = str(asked["why"]), int(asked["base"]), str(asked["digest"])
        force, draft = bool(asked.get("force")), str(asked.get("draft", DRAFT))
        return await self._publisher.publish(
            str(asked[WHO]),
            why,
            base,
            digest,
            force=force,
            name=draft,
            role=ConsoleRole(asked[ROLE]),
            overtake=bool(asked.get("overtake")),
        )

    async def _block(self, asked: Mapping[str, Any]) -> PutInForce:
        return await self._publisher.block(str(asked[WHO]), str(asked["name"]), ConsoleRole(asked[ROLE]))

    async def _rollback(self, asked: Mapping[str, Any]) -> PutInForce:
        number, base = int(asked["version"]), int(asked["base"])
        force, role = bool(asked.get("force")), ConsoleRole(asked[ROLE])
        return await self._publisher.rollback(str(asked[WHO]), str(asked["why"]), number, base, force=force, role=role)

    async def _history(self, _asked: Mapping[str, Any]) -> list[VersionReply]:
        return list(map(VersionReply.of, self._management_db.history.list()))

    async def _version(self, asked: Mapping[str, Any]) -> PublicationReply:
        return PublicationReply.of(version_of(self._management_db, int(asked["version"])))

    async def _users_in_force(self, asked: Mapping[str, Any]) -> UsersInForce:
        return await self._controller.users_in_force(min(float(asked["wait_s"]), LONGEST_WAIT_S))

    async def _root(self, asked: Mapping[str, Any]) -> RootStep:
        steps = {
            "activate": self._root_rotation.activate,
            "switch": self._root_rotation.switch,
            "retire": self._root_rotation.retire,
        }
        return steps[str(asked["step"])](str(asked[WHO]))

    async def _acknowledged(self, asked: Mapping[str, Any]) -> Acknowledgement:
        """Wait until every server has reported that a version is in force, at most *wait_s* seconds.

        A server that the newest version adds is not waited for until it has reported once: it starts with that version.
        """
        number, wait_s = int(asked["version"]), float(asked.get("wait_s", LONGEST_WAIT_S))
        return await self._controller.network.acknowledged(number, min(wait_s, LONGEST_WAIT_S))

    async def _probe(self, asked: Mapping[str, Any]) -> Sequence[ProbedReply]:
        """Have servers probe links: *links* has the targets by the server that opens them."""
        wanted = {str(server): list(map(str, targets)) for server, targets in dict(asked["links"]).items()}
        wait_s = min(float(asked.get("wait_s", LONGEST_WAIT_S)), LONGEST_WAIT_S)
        return await self._controller.link_probing.probe(wanted, wait_s)

    async def _ask_dns(self, asked: Mapping[str, Any]) -> Sequence[DnsReply]:
        """Have *servers* ask DNS for the records of the version in force."""
        wait_s = min(float(asked.get("wait_s", LONGEST_WAIT_S)), LONGEST_WAIT_S)
        return await self._controller.link_probing.ask_dns(list(map(str, asked["servers"])), wait_s)

    async def _fetch_crls(self, asked: Mapping[str, Any]) -> Sequence[CrlsReply]:
        """Have *servers* fetch the CRLs of the version in force that they need."""
        wait_s = min(float(asked.get("wait_s", LONGEST_WAIT_S)), LONGEST_WAIT_S)
        return await self._controller.link_probing.fetch_crls(list(map(str, asked["servers"])), wait_s)

    async def _trace(self, asked: Mapping[str, Any]) -> TraceReply:
        """Return what all servers have traced since the last question; the first one begins the trace."""
        name, what = str(asked["id"]), str(asked["what"])
        return self._controller.traces.take(name, what, str(asked[WHO]), bodies=asked.get("bodies") is True)

    async def _calls(self, asked: Mapping[str, Any]) -> CallsReply:
        """Return records of calls, newest first."""
        question = {key: value for key, value in asked.items() if key not in (WHO, ROLE, "command")}
        return await self._controller.calls.read(question, str(asked[WHO]))

    async def _end_call(self, asked: Mapping[str, Any]) -> CallRecord:
        """End a call that is up, and return its record."""
        return await self._controller.call_control.end(str(asked["id"]), str(asked[WHO]))

    async def _erase_calls(self, asked: Mapping[str, Any]) -> ErasedReply:
        """Erase a user from all records of calls."""
        return await self._controller.call_control.erase(str(asked["user"]), str(asked[WHO]))

    async def _network(self, _asked: Mapping[str, Any]) -> Encoded:
        """Reply with every server and its last report, compared with the newest version (`NetworkReply`)."""
        return Encoded(await encoded_status(self._controller.network, self._controller.newest))
