"""What the operator of a management server may ask of it, beside what every server answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sipmesh.server.control_socket import WHO, Command
from sipmesh.server.management.publisher import DRAFT
from sipmesh.server.replication.topology_source import version_of

if TYPE_CHECKING:
    from sipmesh.server.management.controller import Controller
    from sipmesh.server.management.publisher import Publisher
    from sipmesh.server.management.root_rotation import RootRotation
    from sipmesh.storage.history import Version
    from sipmesh.storage.management_db import ManagementDb

LONGEST_WAIT_S = 60.0


class ManagementCommands:
    """The commands of its control socket; whoever asks is known by the credentials of that socket."""

    def __init__(
        self, master: Controller, publisher: Publisher, succession: RootRotation, management_db: ManagementDb
    ) -> None:
        self._master, self._publisher, self._succession = master, publisher, succession
        self._chronicle = management_db

    def __repr__(self) -> str:
        return f"<ManagementCommands of {self._master!r}>"

    def commands(self) -> Mapping[str, Command]:
        """The commands of the control socket that only management has."""
        return {
            "plan": self._asked_plan,
            "publish": self._asked_publish,
            "block": self._asked_block,
            "rollback": self._asked_rollback,
            "history": self._asked_history,
            "version": self._asked_version,
            "acknowledged": self._asked_acknowledged,
            "network": self._asked_network,
            "root": self._asked_root,
        }

    async def _asked_plan(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._publisher.plan(str(asked.get("draft", DRAFT)))

    async def _asked_publish(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        why, base, digest = str(asked["why"]), int(asked["base"]), str(asked["digest"])
        force, draft = bool(asked.get("force")), str(asked.get("draft", DRAFT))
        return self._publisher.publish(str(asked[WHO]), why, base, digest, force=force, name=draft)

    async def _asked_block(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._publisher.block(str(asked[WHO]), str(asked["name"]))

    async def _asked_rollback(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        number, base = int(asked["version"]), int(asked["base"])
        return self._publisher.rollback(
            str(asked[WHO]), str(asked["why"]), number, base, force=bool(asked.get("force"))
        )

    async def _asked_history(self, _asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [told_version(one) for one in self._chronicle.history.list()]

    async def _asked_version(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        publication = version_of(self._chronicle, int(asked["version"]))
        return {"topology": publication.topology, "files": sorted(publication.files), "why": publication.why}

    async def _asked_root(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        steps = {
            "activate": self._succession.activate,
            "switch": self._succession.switch,
            "retire": self._succession.retire,
        }
        return steps[str(asked["step"])](str(asked[WHO]))

    async def _asked_acknowledged(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until every server has said that it has a version in force, or the time is up.

        Nobody waits for a server that has joined by the newest version and was not heard of yet: it begins with that.
        """
        number, wait_s = int(asked["version"]), float(asked.get("wait_s", LONGEST_WAIT_S))
        missing, new = await self._master.acknowledged(number, min(wait_s, LONGEST_WAIT_S))
        return {"version": number, "missing": missing, "new": new, "servers": self._master.size - len(new)}

    async def _asked_network(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        """Every server with what it holds, against the master's version."""
        return self._master.network()


def told_version(one: Version) -> dict[str, Any]:
    """A version as the history tells it."""
    return {
        "version": one.number,
        "at": one.at.isoformat(),
        "by": one.by,
        "why": one.why,
        "forced": one.forced,
        "digest": one.digest,
    }
