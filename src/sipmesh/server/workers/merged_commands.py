"""The commands of the control socket of a server of several processes: each reply is made of those of its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.admin.commands import MOST_REFUSALS, PAGE, AdminCommands
from sipmesh.server.admin.replies import (
    CLIENT_REFUSALS,
    END_CALL,
    EXPLAIN,
    LINKS,
    LOGIN_FAILURES,
    PREPARE_DRAIN,
    REFUSED,
    REFUSED_MESSAGES,
    REGISTRATIONS,
    STATUS,
    USER,
    USERS_CHANGED,
    BindingReply,
    CallEndReply,
    ClientRefusalReply,
    ClosedReply,
    ExplainReply,
    LinkReply,
    ListenerReply,
    LoginFailureReply,
    RegistrationsReply,
    StatusReply,
    UserReply,
    WorkerReply,
    WorkReply,
)
from sipmesh.server.tracing.traced_message import TRACE, TraceReply

if TYPE_CHECKING:
    from sipmesh.server.control_socket import ControlCommand
    from sipmesh.server.proxy.refused_message import RefusedMessage
    from sipmesh.server.refresh.reload_result import ReloadResult
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.server.workers.supervisor import Supervisor
    from sipmesh.trust.judgement.verdict_report import VerdictReport

T = TypeVar("T")

OF_THE_SOCKET: Final = frozenset({"command", "who"})


class MergedCommands(AdminCommands):
    """The commands of a server whose workers *supervisor* keeps; those of its own process are the base class."""

    def __init__(
        self,
        node: RunningServer,
        reload: Callable[[], ReloadResult],
        look: Callable[[], ReloadResult],
        drain: Callable[[], None],
        supervisor: Supervisor,
    ) -> None:
        super().__init__(node, reload, look, drain)
        self._supervisor = supervisor

    async def _replies(self, command: ControlCommand[T], asked: Mapping[str, Any]) -> dict[int, T]:
        """Ask every worker that answers, and return the typed replies by the number of the worker."""
        return _typed(command, await self._supervisor.ask_all(command.name, **_given(asked)))

    async def _obeyed(self, command: ControlCommand[T], asked: Mapping[str, Any]) -> list[T]:
        """Tell every worker, and return the typed replies."""
        return list(_typed(command, await self._supervisor.tell_all(command.name, **_given(asked))).values())

    async def status(self, asked: Mapping[str, Any]) -> StatusReply:
        """Return the status of the whole server, with its workers."""
        own, replies = await super().status(asked), await self._replies(STATUS, asked)
        others = list(replies.values())
        sources = {source.source: source for status in (*others, own) for source in status.sources}
        return replace(
            own,
            links=own.links + sum(status.links for status in others),
            listeners=tuple(_listener(one, others) for one in own.listeners),
            sources=tuple(sources.values()),
            work=_work(own.work, [status.work for status in others]),
            workers=tuple(_worker(worker, replies.get(worker.number)) for worker in self._supervisor.workers()),
        )

    async def prepare_drain(self, asked: Mapping[str, Any]) -> WorkReply:
        """Have every worker grant registrations for a short time from now on."""
        own = await super().prepare_drain(asked)
        return _work(own, await self._obeyed(PREPARE_DRAIN, asked))

    async def links(self, asked: Mapping[str, Any]) -> list[LinkReply]:
        """Return every live link of every process; with ``most`` only so many, the newest first."""
        found = await super().links(asked) + await self._joined(LINKS, asked)
        return found if "most" not in asked else nsmallest(int(asked["most"]), found, key=lambda link: link.age_s)

    async def _joined(self, command: ControlCommand[list[T]], asked: Mapping[str, Any]) -> list[T]:
        return [one for reply in (await self._replies(command, asked)).values() for one in reply]

    async def trace(self, asked: Mapping[str, Any]) -> TraceReply:
        """Return the messages of a trace that each process has taken since the last question, in the order of time."""
        replies = [await super().trace(asked), *(await self._replies(TRACE, asked)).values()]
        messages = sorted((message for reply in replies for message in reply.messages), key=lambda message: message.at)
        return TraceReply(messages, sum(reply.left_out for reply in replies))

    async def end_call(self, asked: Mapping[str, Any]) -> CallEndReply:
        """End a call at the process that has it."""
        return CallEndReply(ended=any(reply.ended for reply in await self._obeyed(END_CALL, asked)))

    async def refused(self, asked: Mapping[str, Any]) -> list[VerdictReport]:
        """Return the latest refusals of peers, newest first."""
        found = await super().refused(asked) + await self._joined(REFUSED, asked)
        return _newest(found, asked, lambda verdict: verdict.at)

    async def refused_messages(self, asked: Mapping[str, Any]) -> list[RefusedMessage]:
        """Return the latest refused messages of each process, newest first."""
        return await super().refused_messages(asked) + await self._joined(REFUSED_MESSAGES, asked)

    async def client_refusals(self, asked: Mapping[str, Any]) -> list[ClientRefusalReply]:
        """Return the last client links that failed before a login, newest first."""
        return _newest(await self._joined(CLIENT_REFUSALS, asked), asked, lambda refusal: refusal.last_at)

    async def login_failures(self, asked: Mapping[str, Any]) -> list[LoginFailureReply]:
        """Return the last failed logins of all users, newest first."""
        return _newest(await self._joined(LOGIN_FAILURES, asked), asked, lambda failure: failure.last_at)

    async def registrations(self, asked: Mapping[str, Any]) -> RegistrationsReply:
        """Return a page of the bindings of one worker after the other; ``after`` has the worker as its third part."""
        after = list(map(str, asked.get("after") or ("", "", "")))
        worker = int(after[2]) if len(after) > 2 and after[2] else 1  # noqa: PLR2004 - the third part
        replies = await self._replies(REGISTRATIONS, {**asked, "after": after[:2]})
        reply = replies.get(worker)
        registers = any(one.registers for one in replies.values())
        bindings = reply.bindings if reply is not None else ()
        if reply is not None and reply.next is not None:
            return RegistrationsReply(bindings, [*reply.next, str(worker)], registers)
        following = min((number for number in replies if number > worker), default=None)
        return RegistrationsReply(bindings, None if following is None else ["", "", str(following)], registers)

    async def user(self, asked: Mapping[str, Any]) -> UserReply:
        """Return what the server knows of one user."""
        replies = list((await self._replies(USER, asked)).values())
        if not replies:
            raise SipmeshError("no worker of this server answers")
        refusals = [one for reply in replies for one in reply.refusals]
        return replace(
            replies[0],
            bindings=_bindings([one for reply in replies for one in reply.bindings]),
            failures=sorted(chain(*(reply.failures for reply in replies)), key=attrgetter("last_at"), reverse=True),
            logins=sorted(chain(*(reply.logins for reply in replies)), key=attrgetter("at"), reverse=True),
            refusals=_newest(refusals, {}, lambda refusal: refusal.last_at),
            messages_waiting=max(reply.messages_waiting for reply in replies),
        )

    async def explain(self, asked: Mapping[str, Any]) -> ExplainReply:
        """Return the verdict on one live link, of any process; raises `SipmeshError` if there is no such link."""
        try:
            return await super().explain(asked)
        except SipmeshError as missing:
            try:
                return next(iter((await self._replies(EXPLAIN, asked)).values()))
            except (OperatorError, StopIteration):
                raise missing from None

    async def reload(self, asked: Mapping[str, Any]) -> ReloadResult:
        """Read all files again, and wait until every worker has in force what was read."""
        return await self._followed(await super().reload(asked))

    async def files_changed(self, asked: Mapping[str, Any]) -> ReloadResult:
        """Read the files that have changed, and wait until every worker has them in force."""
        return await self._followed(await super().files_changed(asked))

    async def _followed(self, result: ReloadResult) -> ReloadResult:
        await self._supervisor.quiet()
        return replace(result, closed=[*result.closed, *self._supervisor.take_closed()])

    async def users_changed(self, asked: Mapping[str, Any]) -> ClosedReply:
        """Read the changes of users at every process."""
        own = await super().users_changed(asked)
        return ClosedReply(own.closed + sum(one.closed for one in await self._obeyed(USERS_CHANGED, asked)))


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if key not in OF_THE_SOCKET}


def _typed(command: ControlCommand[T], replies: Mapping[int, Any]) -> dict[int, T]:
    return {number: command.parse(reply, f"worker {number}") for number, reply in replies.items()}


def _worker(worker: WorkerReply, status: StatusReply | None) -> WorkerReply:
    """Return a worker with its links, which only the worker itself knows."""
    return worker if status is None else replace(worker, up_s=status.up_s, links=status.links)


def _listener(own: ListenerReply, others: Iterable[StatusReply]) -> ListenerReply:
    """Return a port with the connections that all workers have accepted."""
    accepted = sum(one.accepted for status in others for one in status.listeners if one.kind == own.kind)
    return replace(own, accepted=own.accepted + accepted)


def _work(own: WorkReply, others: Sequence[WorkReply]) -> WorkReply:
    everyone = [own, *others]
    down = {outage.server: outage for work in everyone for outage in work.servers_down}
    calls = sorted((call for work in everyone for call in work.calls), key=lambda call: -call.age_s)
    return WorkReply(
        state=own.state,
        requests_waiting=sum(work.requests_waiting for work in everyone),
        calls_up=sum(work.calls_up for work in everyone),
        calls=tuple(calls[-PAGE:]),
        servers_down=tuple(down.values()),
    )


def _bindings(found: Iterable[BindingReply]) -> list[BindingReply]:
    """Return each binding once: as the process that has its link shows it, if one does."""
    best: dict[tuple[str, str], BindingReply] = {}
    for binding in found:
        key = binding.server, binding.contact
        if key not in best or best[key].link is None:
            best[key] = binding
    return list(best.values())


def _newest(found: Iterable[T], asked: Mapping[str, Any], at: Callable[[T], datetime]) -> list[T]:
    most = int(asked.get("most", MOST_REFUSALS))
    return sorted(found, key=lambda one: at(one).astimezone(UTC), reverse=True)[:most]
