"""What the servers on this machine know at this moment: registered devices, the last verdicts, the verdict on one link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import EXPLAIN, LINKS, REFUSED, REFUSED_MESSAGES, REGISTRATIONS
from sipmesh.server.console.operations import VERDICTS
from sipmesh.server.console.replies import DevicesReply, VerdictEntry, VerdictsReply
from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE, running

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.admin.local_servers import ServerAnswer
    from sipmesh.server.admin.replies import ExplainReply
    from sipmesh.server.control_socket import Command
    from sipmesh.server.proxy.refused_message import RefusedMessage
    from sipmesh.server.running.running_server import RunningServer

MOST_VERDICTS: Final = 50
"""Refusals of one server in one reply, and as many accepted links."""


class LiveCommands:
    """The operations of the console that ask every server of the machine of *node*, by the control sockets."""

    def __init__(self, node: RunningServer) -> None:
        self._node = node

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {
            REGISTRATIONS.name: self._registrations,
            VERDICTS: self._verdicts,
            EXPLAIN.name: self._explain,
            REFUSED_MESSAGES.name: self._refused_messages,
        }

    @property
    def _state(self) -> Path:
        return self._node.view.loaded.folder / STATE

    async def _registrations(self, _asked: Mapping[str, Any]) -> DevicesReply:
        """Return the first page of each server: the page of one user has all devices of the user."""
        answers = await ask_running(self._state, REGISTRATIONS, {})
        pages = {
            answer.server: answer.reply for answer in answers if answer.reply is not None and answer.reply.registers
        }
        bindings = sorted((row for page in pages.values() for row in page.bindings), key=lambda row: row.user)
        more = [server for server, page in pages.items() if page.next is not None]
        return DevicesReply(bindings, sorted(pages), more, _faults(answers))

    async def _verdicts(self, _asked: Mapping[str, Any]) -> VerdictsReply:
        """Return the last refusals, and the live links that were opened last."""
        most = {"most": MOST_VERDICTS}
        refusals, links = await asyncio.gather(
            ask_running(self._state, REFUSED, most), ask_running(self._state, LINKS, most)
        )
        now = datetime.now(UTC)
        found = [VerdictEntry.refused(one.server, verdict) for one in refusals for verdict in one.reply or ()]
        found += [
            VerdictEntry.accepted(link, now) for one in links for link in one.reply or () if link.code is not None
        ]
        found.sort(key=lambda entry: entry.at, reverse=True)
        return VerdictsReply(found, sorted({*_faults(refusals), *_faults(links)}))

    async def _refused_messages(self, _asked: Mapping[str, Any]) -> list[RefusedMessage]:
        """Return the last refused messages of each server."""
        return [message for one in await ask_running(self._state, REFUSED_MESSAGES, {}) for message in one.reply or ()]

    async def _explain(self, asked: Mapping[str, Any]) -> ExplainReply:
        """Return the verdict on a live link; raises `SipmeshError` if there is no such link, or no such server here."""
        server = str(asked["server"]) or self._node.view.name
        known = {path.name.removesuffix(SOCKET_SUFFIX): path for path in running(self._state)}
        if server not in known:
            raise SipmeshError(f"{server} does not run on the machine of management: use `sipmesh explain` there")
        return await EXPLAIN.ask(known[server], id=asked["id"])


def _faults(answers: Iterable[ServerAnswer[Any]]) -> list[str]:
    return [f"{answer.server}: {answer.fault}" for answer in answers if answer.fault]
