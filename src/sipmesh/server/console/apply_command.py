"""The operations `plan` and `apply`: what `sipmesh topology plan` and `apply` do, by the same functions, in one request each.

`apply` runs in a thread of its own, and has the commands of management carried out on the event loop. Each link is probed by the
server that opens it. Phones are not probed, and neither are links of applications: no server can do that for management.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import RELOAD
from sipmesh.server.console.commands import generations_in, noting
from sipmesh.server.console.operations import APPLY, CHANGES, NotAllowedError
from sipmesh.server.control_socket import ROLE, STATE, WHO, encode
from sipmesh.server.management.issuing import issue_for
from sipmesh.server.management.publishing.application import Application
from sipmesh.server.management.publishing.certificate_needs import IssuedBy
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.publishing.link_checks import Checked
from sipmesh.server.management.publishing.plan_report import planned
from sipmesh.server.management.publishing.publish import must_allow
from sipmesh.server.management.publishing.publisher import DRAFT, PLAN_S
from sipmesh.server.management.replies import PLAN, PROBE_LINKS, ROLLBACK
from sipmesh.server.process.off_loop import within
from sipmesh.strict_json import read_json
from sipmesh.topology.document.load import load
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.server.control_socket import Command, ControlCommand
    from sipmesh.server.management.publishing.application import ApplyReport
    from sipmesh.server.management.publishing.link_checks import Check
    from sipmesh.server.management.publishing.plan_report import Planned, PlanReport
    from sipmesh.server.management.replies import Plan
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded

T = TypeVar("T")
Asked = Mapping[str, Any]

PROBED_S: Final = 10.0
"""Seconds that servers have for their links: a connection to the console ends after a minute."""


class ApplyCommand:
    """Compares the draft of *node*'s network, and applies it, one at a time, by the *commands* of management."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, commands: Mapping[str, Command]) -> None:
        self._node, self._management_db, self._commands = node, management_db, commands
        self._turn = asyncio.Lock()

    def commands(self) -> Mapping[str, Command]:
        """Return the operations by their names: `plan` adds to the command of management, `changes`, what follows from it."""
        return {CHANGES: self._commands[PLAN.name], PLAN.name: self._plan, APPLY: self._apply}

    async def _plan(self, asked: Asked) -> PlanReport:
        plan = await self._commands[PLAN.name](asked)
        return (await within(PLAN_S, "the plan", self._planned, plan)).report

    def _planned(self, plan: Plan) -> Planned:
        before = self._node.view.loaded
        return planned(plan, before, load(before.folder / DRAFT), partial(generations_in, before.folder / CA))

    async def _apply(self, asked: Asked) -> ApplyReport:
        """Apply the plan that the operator has read; raises `OperatorError` if nothing is published."""
        async with self._turn:
            plan = await self._commands[PLAN.name]({})
            if (plan.base, plan.digest) != (asked["base"], asked["digest"]):
                raise OperatorError(
                    "the draft or the version in force has changed since the plan was read; read it again"
                )
            must_allow(plan.grants, asked[ROLE])
            if missing := [str(need) for need in plan.approvals if not need.is_met]:
                raise OperatorError(f"not applied: {'; '.join(missing)}")
            host = ConsoleHost(self._node, self._management_db, self._commands, asked)
            return await asyncio.to_thread(self._carry_out, host, plan, asked)

    def _carry_out(self, host: ConsoleHost, plan: Plan, asked: Asked) -> ApplyReport:
        publication = self._planned(plan).publication
        issued = [need.server for need in publication.certificates if need.by is IssuedBy.APPLY]
        if issued and not asked[ROLE].may(ConsoleRole.SECURITY_OFFICER):
            raise NotAllowedError(
                f"this issues certificates for {', '.join(issued)}: it needs the role security-officer"
            )
        rolls_back, wait_s = bool(asked["rolls_back"]), float(asked["wait_s"])
        return Application(host, publication).run(
            str(asked["why"]), wait_s, force=bool(asked["force"]), rolls_back=rolls_back
        )


class ConsoleHost:
    """The management server itself, seen from a thread; it acts for the operator who has *asked*."""

    def __init__(
        self, node: RunningServer, management_db: ManagementDb, commands: Mapping[str, Command], asked: Asked
    ) -> None:
        self._node, self._management_db, self._commands = node, management_db, commands
        self._operator = {key: asked[key] for key in (WHO, ROLE)}
        self.draft = DRAFT

    def ask(self, command: ControlCommand[T], timeout_s: float, /, **given: object) -> T:
        """See `Host`."""
        answer = self._on_loop(self._run(command.name, given), timeout_s)
        return command.parse(read_json(encode(answer)), self._node.view.name)

    async def _run(self, name: str, given: Mapping[str, object]) -> Any:
        """Run a command for the operator. To go back to the version from before needs no role: it was in force a moment ago."""
        also = {ROLE: ConsoleRole.SECURITY_OFFICER} if name == ROLLBACK.name else {}
        return await self._commands[name]({**given, **self._operator, **also})

    def _on_loop(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Have the event loop do *work*; raises `OperatorError` if that takes longer than *timeout_s* seconds."""
        future = asyncio.run_coroutine_threadsafe(work, self._node.loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise OperatorError(f"management has not done it within {timeout_s:g} s") from None

    def issue(self, loaded: Loaded, name: str) -> None:
        """See `Host`."""
        ca = CaGenerations(loaded.folder / CA).current
        issue_for(loaded, ca, name, datetime.now(UTC), note=noting(self._management_db, str(self._operator[WHO])))

    def reload(self) -> None:
        """See `Host`."""
        self._on_loop(ask_running(self._node.view.loaded.folder / STATE, RELOAD, {}), PROBED_S)

    def probe(self, checks: Sequence[Check]) -> list[Checked]:
        """See `Host`: the front ends and edges open their links, by an order of management."""
        known = self._node.view.loaded.topology
        roles = {server.name: pool.role for pool in known.pools for server in pool.servers}
        runnable = [check for check in checks if roles.get(check.opener) in {Role.FRONT_END, *BORDERS}]
        links: dict[str, list[str]] = {}
        for check in runnable:
            links.setdefault(check.opener, []).append(check.target_name)
        replies = self.ask(PROBE_LINKS, PROBED_S + 5, links=links, wait_s=PROBED_S) if links else []
        found = {(reply.server, reply.target): reply for reply in replies}
        results = [(check, found[check.opener, check.target_name]) for check in runnable]
        return [Checked(check, reply.passed, reply.told) for check, reply in results]
