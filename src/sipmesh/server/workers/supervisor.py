"""The workers of one server: started, replaced when they end, and sent what comes into force."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.routing.proxy.branch import Branches
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.proxy.outside import Follower
from sipmesh.server.replication.server_status import ServerStatus, text
from sipmesh.server.workers.given_version import packed
from sipmesh.server.workers.held_ports import HeldPorts
from sipmesh.server.workers.merged_status import merged_status
from sipmesh.server.workers.orders import Orders, WorkerEndedError
from sipmesh.server.workers.worker_patience import WorkerPatience
from sipmesh.server.workers.worker_process import WorkerProcess
from sipmesh.server.workers.worker_slot import WorkerSlot
from sipmesh.server.workers.worker_template import WorkerTemplate

if TYPE_CHECKING:
    from sipmesh.server.admin.replies import WorkerReply
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.links.reception import Reception
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.server.running.worker_place import WorkerPlace
    from sipmesh.storage.users.user_document import UserDocument
    from sipmesh.trust.x509.certificate import CertificateId

START_S: Final = 60.0
"""Seconds for the start of a worker, which reads the topology, the CRLs and the users."""

ALIVE_EVERY_S: Final = 1.0
REPORT_TURNS: Final = 5
"""How many of these questions are one for the report to management, which takes a worker some milliseconds."""

ALIVE_STEP_S = 0.5
"""A worker that does not answer is waited for in such steps (`WorkerPatience`). A worker that hangs is killed and replaced."""

SILENT_STEPS: Final = 2
"""Steps after which it counts as silent: the log reports it, and questions do not wait for it."""

REVOKE_S: Final = 3.0
"""A worker that has not put a revocation in force by then is killed: its links end with it (rule R7)."""

FOLLOW_S: Final = 30.0
"""The same for versions, CRLs and users: a large CRL takes seconds to read."""

ASK_S: Final = 4.0
"""How long a command of the control socket waits for a worker."""

MOST_CLOSED: Final = 1_000
"""Ids of closed links that are kept for the next reply of the control socket."""


class Supervisor(Follower):
    """The workers of *node*, which itself has no port.

    Workers are forked by the process that *requests* reaches (`WorkerTemplate`). *changed* is called when there is something
    new to report: all workers have in force what this process has, or a worker has ended or serves again.
    """

    def __init__(
        self,
        node: RunningServer,
        reception: Reception,
        log: Log,
        changed: Callable[[], None],
        requests: socket.socket | None = None,
    ) -> None:
        self._template = WorkerTemplate(requests)
        self._node, self._reception, self._log, self._changed = node, reception, log, changed
        self._ports = HeldPorts(node.place.count, node.limits, self._port_opened)
        node.outside.ports = self._ports
        node.outside.follower = self
        node.outside.orders = self._orders = Orders(reception.siblings, {})
        self._slots = {number: WorkerSlot(number) for number in range(1, node.place.count + 1)}
        self._starts = 0
        self._following: Counter[int] = Counter()
        self.closed: list[str] = []
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False

    @property
    def serving(self) -> list[WorkerProcess]:
        """The workers that serve."""
        found = (slot.process for slot in self._slots.values())
        return [process for process in found if process is not None and process.is_serving]

    def workers(self) -> list[WorkerReply]:
        """Return every worker, also those that do not serve; without their links."""
        return [slot.reply() for slot in self._slots.values()]

    # Start and end

    async def start(self) -> None:
        """Start all workers, and wait until they serve; raises `OperatorError` if one cannot."""
        await asyncio.gather(*(self._start(number) for number in self._slots))
        for number in self._slots:
            self._run(self._keep(number))
            self._run(self._watch(self._slots[number]))

    async def drain(self, hurry: asyncio.Event) -> None:
        """Have all workers drain and end; once *hurry* is set they end at once.

        The ports are closed first: a phone that connects is refused at once, and goes to another server. A worker that
        does not serve yet has nothing to end.
        """
        self._is_ending = True
        self._ports.close()
        self._kill_all(but=self.serving)
        limits = self._node.limits
        await self.tell_all("drain")
        ends = [slot.process.ended() for slot in self._slots.values() if slot.process is not None]
        everything, hurrying = asyncio.gather(*ends), asyncio.ensure_future(hurry.wait())
        limit_s = limits.stop_s + 2 * limits.drain_s
        await asyncio.wait((everything, hurrying), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not everything.done():
            await self.tell_all("hurry")
            await asyncio.wait((everything,), timeout=limits.drain_s)
        self._kill_all()
        await everything

    async def close(self) -> None:
        """End everything at once; does nothing after `drain`."""
        self._is_ending = True
        self._kill_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for slot in self._slots.values():
            if slot.process is not None:
                await slot.process.ended()
        self._orders.close()
        self._ports.close()
        await self._template.close()

    def _kill_all(self, but: Collection[WorkerProcess] = ()) -> None:
        for slot in self._slots.values():
            if slot.process is not None and slot.process not in but:
                slot.process.kill()

    async def _start(self, number: int) -> None:
        """Start one worker, connect it with all others, and let it serve; raises `OperatorError` if it does not."""
        self._starts += 1
        start, slot, place = self._starts, self._slots[number], self._node.place
        facts = {
            "name": self._node.view.name,
            "file": str(self._node.file),
            "number": number,
            "count": place.count,
            "start": start,
            "incarnation": place.incarnation,
        }
        try:
            process = slot.process = await WorkerProcess.spawn(number, start, facts, self._template)
        except OSError as wrong:
            raise OperatorError(f"worker {number} cannot be started: {wrong.strerror}") from wrong
        if self._is_ending:
            process.kill()
            await process.ended()
            raise OperatorError(f"worker {number} is not started: its server ends")
        slot.starts += 1
        process.give_version(packed(self._node.view.loaded, self._node.storage))
        self._connect(process)
        for key in self._ports.keys:
            self._give_port(process, key)
        revoked = [[issuer.hex(), serial] for issuer, serial in self._node.revocation.pushed]
        try:
            await self._give_users(number)
            shortened = self._node.registrations.is_shortened
            await self._orders.ask(
                number, "serve", START_S, revoked=revoked, ports=self._ports.keys, shortened=shortened
            )
        except (SipmeshError, TimeoutError) as wrong:
            process.kill()
            await process.ended()
            why = str(wrong) or "it does not answer"
            raise OperatorError(f"worker {number} of {self._node.view.name} cannot start: {why}") from wrong
        process.is_serving = True
        self._changed()

    async def _give_users(self, number: int) -> None:
        """Give a new worker the users in force here, unless it has them: those that it has read from the disk may be older.

        The disk may be full or damaged, and parts of a document may have come before the worker was there.
        """
        has = await self._orders.ask(number, "users-number", START_S)
        whole = self._node.user_updates.whole() if has < self._node.user_updates.number else None
        if whole is None:
            return
        for document in await off_loop(lambda: [part.encode().decode() for part in whole.divided()]):
            await self._orders.ask(number, "users", FOLLOW_S, document=document)

    def _connect(self, process: WorkerProcess) -> None:
        """Give a new worker a channel to us and to every other worker, and them one to it."""
        place = self._node.place
        branch = _branch_prefix(place, process.start)
        ours, theirs = socket.socketpair()
        with theirs:
            process.give({"process": 0, "branch": self._node.branch_prefix}, theirs.fileno())
        self._reception.join(process.number, branch, ours)
        for other in (slot.process for slot in self._slots.values()):
            if other is not None and other is not process:
                one, two = socket.socketpair()
                with one, two:
                    branch_of_other = _branch_prefix(place, other.start)
                    process.give({"process": other.number, "branch": branch_of_other}, one.fileno())
                    other.give({"process": process.number, "branch": branch}, two.fileno())

    def _give_port(self, process: WorkerProcess, key: str) -> None:
        host, port = self._ports.address(key)
        process.give({"port": key, "host": host, "number": port}, self._ports.of(key, process.number).fileno())

    def _port_opened(self, key: str) -> None:
        for slot in self._slots.values():
            if slot.process is not None:
                self._give_port(slot.process, key)

    async def _keep(self, number: int) -> None:
        """Replace the worker *number* each time that it ends."""
        slot = self._slots[number]
        while slot.process is not None and not self._is_ending:
            status = await slot.process.ended()
            if self._is_ending:
                return
            self._tell_end(slot, slot.process, status)
            self._changed()
            self._leave_ports_to_others(number)
            while not self._is_ending and not await self._is_replaced(number, slot):
                slot.pause_longer()

    def _tell_end(self, slot: WorkerSlot, process: WorkerProcess, status: int) -> None:
        """Log the end of a worker, and choose the pause before the next one."""
        lived_s = slot.ended(process, status, self._node.loop.time())
        self._log.error(
            "a worker has ended and is replaced",
            worker=process.number,
            pid=process.pid,
            status=status,
            after_s=round(lived_s, 1),
            pause_s=slot.pause,
        )

    def _leave_ports_to_others(self, number: int) -> None:
        """Let no connection wait for the next start of the ended worker *number*, while another one serves."""
        if self.serving:
            with suppress(OperatorError):  # the next start says that the port is taken
                self._ports.renew(number)

    async def _is_replaced(self, number: int, slot: WorkerSlot) -> bool:
        """Start a worker after the pause; False if it cannot start. Then no connection waits at its sockets."""
        await asyncio.sleep(slot.pause)
        if self._is_ending:
            return False
        try:
            await self._start(number)
        except OperatorError as wrong:
            if self._is_ending:
                return False
            slot.why = str(wrong)
            self._log.error("a worker cannot be replaced: sipmesh tries again", worker=number, why=str(wrong))
            with suppress(OperatorError):  # the next start says that the port is taken
                self._ports.renew(number)
            return False
        return True

    async def _watch(self, slot: WorkerSlot) -> None:
        """Kill the worker if it hangs, since its clients wait. Each worker is asked by itself: a busy one delays no other."""
        for turn in count():
            if slot.process is not None and slot.process.is_serving:
                await self._look_at(slot.process, reports=self._node.is_managed and turn % REPORT_TURNS == 0)
            await asyncio.sleep(ALIVE_EVERY_S)

    async def _look_at(self, process: WorkerProcess, *, reports: bool) -> None:
        asked = asyncio.ensure_future(self._orders.ask(process.number, "alive", None, reports=reports))
        patience = WorkerPatience(lambda: self._heard(process.number), lambda: process.processor_use, ALIVE_STEP_S)
        try:
            while not (await asyncio.wait((asked,), timeout=ALIVE_STEP_S))[0]:
                patience.step()
                process.is_silent = patience.steps >= SILENT_STEPS
                if patience.is_over:
                    self._log.error("a worker does not answer and is killed", worker=process.number, pid=process.pid)
                    process.kill("it did not answer, and was killed")
                    return
            process.is_silent = False
            with suppress(SipmeshError):
                status = asked.result()
                process.status = ServerStatus.model_validate(status) if status is not None else process.status
        finally:
            asked.cancel()

    def _heard(self, number: int) -> int:
        """Return how many octets the worker *number* has sent; 0 if it has ended."""
        channel = self._reception.siblings.channel(number)
        return channel.received if channel is not None else 0

    def _run(self, work: Any) -> None:
        task = self._node.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def status(self, own: ServerStatus) -> ServerStatus:
        """Return the report of the whole server; *own* is that of this process."""
        merged = merged_status(own, [process.status for process in self.serving if process.status is not None])
        now = self._node.loop.time()
        faults = filter(None, (slot.fault(now) for slot in self._slots.values()))
        return merged.model_copy(update={"workers_fault": text("; ".join(faults))})

    # Questions

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask every worker that serves, and return the results by number; without those that end meanwhile or are silent.

        Raises `OperatorError` if every worker has refused.
        """
        return await self._ask([process.number for process in self.serving if not process.is_silent], command, given)

    async def tell_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Tell every worker that serves, as `ask_all` does. A silent worker gets the order too: it obeys once it goes on."""
        return await self._ask([process.number for process in self.serving], command, given)

    async def _ask(self, processes: Collection[int], command: str, given: Mapping[str, Any]) -> Mapping[int, Any]:
        asked = (self._orders.ask(number, command, ASK_S, **given) for number in processes)
        results = await asyncio.gather(*asked, return_exceptions=True)
        found = {
            number: result
            for number, result in zip(processes, results, strict=True)
            if not isinstance(result, BaseException)
        }
        refusals = [result for result in results if isinstance(result, OperatorError)]
        if refusals and not found:
            raise refusals[0]
        return found

    # What comes into force

    @property
    def is_settled(self) -> bool:
        """Whether every worker has in force what this process has."""
        return not self._following

    def take_closed(self) -> list[str]:
        """Return the ids of the links that workers have closed since the last call, for what came into force."""
        closed, self.closed = self.closed, []
        return closed

    async def quiet(self) -> None:
        """Wait until `is_settled`; a worker that hangs is killed before long."""
        await self._quiet.wait()

    def version_changed(self) -> None:
        """Have every worker put the version in force."""
        self._follow("version", FOLLOW_S, version=packed(self._node.view.loaded))

    def crls_changed(self, files: Collection[Path]) -> None:
        """Have every worker read changed CRLs."""
        self._follow("crls", FOLLOW_S, files=sorted(map(str, files)))

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Have every worker refuse certificates."""
        self._follow("revoke", REVOKE_S, revoked=[[issuer.hex(), serial] for issuer, serial in named])

    def users_changed(self, document: UserDocument) -> None:
        """Have every worker put users in force."""
        self._follow("users", FOLLOW_S, document=document.encode().decode())

    def _follow(self, command: str, limit_s: float, **given: Any) -> None:
        for slot in self._slots.values():
            if slot.process is not None:
                self._quiet.clear()
                self._following[slot.process.number] += 1
                # a worker that does not serve yet has no links, and does this before it serves
                within_s = limit_s if slot.process.is_serving else START_S
                self._run(self._followed(slot.process, command, within_s, given))

    async def _followed(self, process: WorkerProcess, command: str, limit_s: float, given: Mapping[str, Any]) -> None:
        """Wait until one worker has something in force; a worker that cannot put it in force is replaced."""
        with suppress(WorkerEndedError):
            await self._put_in_force(process, command, limit_s, given)
        self._has_followed(process.number)

    async def _put_in_force(
        self, process: WorkerProcess, command: str, limit_s: float, given: Mapping[str, Any]
    ) -> None:
        try:
            closed = await self._orders.ask(process.number, command, limit_s, **given)
            self.closed = [*self.closed, *closed][-MOST_CLOSED:]
        except WorkerEndedError:
            raise
        except (SipmeshError, TimeoutError) as wrong:
            why = str(wrong) or f"no answer within {limit_s:g} s"
            self._log.error(
                "a worker cannot follow and is killed", worker=process.number, pid=process.pid, what=command, why=why
            )
            process.kill(f"it could not carry out {command}, and was killed: {why}")
            await process.ended()

    def _has_followed(self, number: int) -> None:
        self._following[number] -= 1
        self._following += Counter()
        if self.is_settled:
            self._quiet.set()
            self._changed()


def _branch_prefix(place: WorkerPlace, start: int) -> str:
    """Return how the branches of the worker with that *start* begin."""
    return Branches(replace(place, start=start).branches, frozenset()).prefix
