"""The faults of a network as operators see them: `sipmesh status` and its exit code, the API, the console and the metric."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.admin.metrics.server_metrics import ServerMetrics
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.management.server_faults import Fault
from support.console import Visitor
from support.managed import MGMT, Managed
from support.network import BOT
from support.running import until

TOKEN = "viewer-token"


def console_entry() -> dict[str, Any]:
    """The console of a topology, with a program that may read."""
    operators = [{"name": "ada", "role": "viewer", "token_sha256": hash_of(TOKEN)}]
    return {"listen": f"{HOST}:{free_port()}", "operators": operators}


@dataclass
class ShownFaults:
    """The servers of *managed*, whose topology has `console_entry`."""

    managed: Managed

    def faults(self) -> list[tuple[str, Fault]]:
        """All faults of the network, each with the name of what has it, but that of the application: no test starts it."""
        status = self.managed.master.network.status(self.managed.master.newest)
        named = [(status.manager, status.faults), *((one.known.server, one.faults) for one in status.members)]
        named += [(peer.name, peer.faults) for peer in status.peers if peer.name != BOT]
        return [(name, fault) for name, faults in named for fault in faults]

    async def well(self) -> None:
        """Wait until no fault is left."""
        await until(lambda: not self.faults())

    async def only(self, code: str, hurts: int = 0) -> tuple[str, Fault]:
        """Wait until the network has one fault and no other, with this code; then each surface shows it.

        With *hurts*, wait until it hurts so many servers.
        """
        await until(
            lambda: [(fault.code, hurts in {0, len(fault.hurts)}) for _, fault in self.faults()] == [(code, True)]
        )
        [found] = self.faults()
        await self._shown_everywhere(*found)
        return found

    async def _shown_everywhere(self, name: str, fault: Fault) -> None:
        printed = await self.managed.type("status", code=1)
        words = "".join(printed.split())
        assert f"✗{name.replace(' ', '')}:" in words, printed
        assert "".join(fault.remedy.split(";")[0].split())[:60] in words, printed
        told = json.loads(await self.managed.type("status", "--json", code=1))
        assert told["ok"] is False
        async with Visitor(self.managed, TOKEN) as program:
            answered = (await program.get("/api/v1/status")).json
            servers = [answered["master"], *answered["servers"]]
            named = {one.get("server") or one["peer"]: one["faults"] for one in (*servers, *answered["peers"])}
            shown = [(one["code"], one["hurts"]) for one in named[name]]
            assert shown == [(fault.code, list(fault.hurts))], (shown, fault)
        async with Visitor(self.managed) as browser:
            await browser.log_in("viewer")
            page = html.unescape((await browser.get("/status")).text)
            assert fault.remedy in re.sub("</?code>", "", page)
        metrics = [
            metric for metric in ServerMetrics(self.managed.nodes[MGMT]).collect() if "network_faults" in metric.name
        ]
        counted = {one.labels["code"] for metric in metrics for one in metric.samples if one.value}
        assert fault.code in counted
