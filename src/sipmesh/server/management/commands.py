"""The control socket commands that only a management server has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sipmesh.server.control_socket import WHO, Command, Encoded
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.replication.topology_source import version_of

if TYPE_CHECKING:
    from sipmesh.server.management.controller import Controller
    from sipmesh.server.management.network import Acknowledgement
    from sipmesh.server.management.publishing.publisher import Plan, PutInForce
    from sipmesh.server.management.root_rotation import RootStep
    from sipmesh.storage.history import Version

LONGEST_WAIT_S = 60.0


class ManagementCommands:
    """The commands of the control socket; its credentials identify the operator."""

    def __init__(self, controller: Controller) -> None:
        self._controller, self._publisher = controller, controller.publisher
        self._root_rotation, self._management_db = controller.root_rotation, controller.management_db

    def __repr__(self) -> str:
        return f"<ManagementCommands of {self._controller!r}>"

    def commands(self) -> Mapping[str, Command]:
        """Return the commands that only management has."""
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

    async def _asked_plan(self, asked: Mapping[str, Any]) -> Plan:
        return await self._publisher.plan(str(asked.get("draft", DRAFT)))

    async def _asked_publish(self, asked: Mapping[str, Any]) -> PutInForce:
        why, base, digest = str(asked["why"]), int(asked["base"]), str(asked["digest"])
        force, draft = bool(asked.get("force")), str(asked.get("draft", DRAFT))
        return await self._publisher.publish(str(asked[WHO]), why, base, digest, force=force, name=draft)

    async def _asked_block(self, asked: Mapping[str, Any]) -> PutInForce:
        return await self._publisher.block(str(asked[WHO]), str(asked["name"]))

    async def _asked_rollback(self, asked: Mapping[str, Any]) -> PutInForce:
        number, base = int(asked["version"]), int(asked["base"])
        return await self._publisher.rollback(
            str(asked[WHO]), str(asked["why"]), number, base, force=bool(asked.get("force"))
        )

    async def _asked_history(self, _asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [told_version(version) for version in self._management_db.history.list()]

    async def _asked_version(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        publication = version_of(self._management_db, int(asked["version"]))
        return {"topology": publication.topology, "files": sorted(publication.files), "why": publication.why}

    async def _asked_root(self, asked: Mapping[str, Any]) -> RootStep:
        steps = {
            "activate": self._root_rotation.activate,
            "switch": self._root_rotation.switch,
            "retire": self._root_rotation.retire,
        }
        return steps[str(asked["step"])](str(asked[WHO]))

    async def _asked_acknowledged(self, asked: Mapping[str, Any]) -> Acknowledgement:
        """Wait until every server has reported that the version is in force, or until the time is up.

        A server that joined with the newest version and has not reported yet is not waited for: it starts with that version.
        """
        number, wait_s = int(asked["version"]), float(asked.get("wait_s", LONGEST_WAIT_S))
        return await self._controller.network.acknowledged(number, min(wait_s, LONGEST_WAIT_S))

    async def _asked_network(self, _asked: Mapping[str, Any]) -> Encoded:
        """Return the status of every server, compared with the newest version."""
        return Encoded(await self._controller.network.encoded_status(self._controller.newest))


def told_version(version: Version) -> dict[str, Any]:
    """Return a version as the history command shows it."""
    return {
        "version": version.number,
        "at": version.at.isoformat(),
        "by": version.by,
        "why": version.why,
        "forced": version.forced,
        "digest": version.digest,
    }
