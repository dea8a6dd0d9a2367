"""The remedy of docs/howto/alerts.md for an rtpengine that does not answer."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from interop.rtpengine import Rtpengine
from sipmesh.server.replication.link_fault import Cause
from support.alert_rules import fired
from support.figures import Figures, ask_for_figures, figures, figures_with, labelled
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, POOL
from support.running import LOOK_AGAIN_S, on_loop
from support.shown_faults import ShownFaults, console_entry

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.peer("rtpengine"), pytest.mark.wide]

AWAY = labelled("sipmesh_rtpengine_away")


def with_rtpengine(port: int, document: dict[str, Any]) -> None:
    """Have the front ends of the pool use the rtpengine at *port*."""
    document["console"] = console_entry()
    document["pools"] = [pool for pool in document["pools"] if pool["name"] != "pool2.example.test"]
    next(pool for pool in document["pools"] if pool["name"] == POOL)["rtpengine"] = port


async def when(port: int, value: float) -> Figures:
    """Wait until rtpengine is away, or answers; gives all figures."""
    return await figures_with(port, lambda found: found.get(AWAY) == value)


@on_loop
async def test_rtpengine_that_has_died_is_a_fault_of_its_server_until_it_is_started(
    managed: Managed, tmp_path: Path
) -> None:
    """No call is needed to find it: the server looks at it every few seconds."""
    here, port = ShownFaults(managed), ask_for_figures(managed.organisation)
    with Rtpengine(tmp_path / "rtpengine") as rtpengine:
        async with managed:
            await managed.start(MGMT)
            await managed.publish(partial(with_rtpengine, rtpengine.port), force=True)
            await managed.start(FE1, EDGE)
            managed.join(FE2)
            await managed.start(FE2)
            await here.well()
            well = await when(port, 0)
            rtpengine.kill()
            bad = await when(port, 1)
            faults = await both(here)
            assert {name for name, _ in faults} == {FE1, FE2}
            for name, remedy in faults:
                assert remedy.startswith(f"start it on the host of {name}: systemctl start rtpengine-daemon")
            assert "calls that need rtpengine fail" in " ".join((await managed.type("status", code=1)).split())
            rtpengine.start()
            mended = await when(port, 0)
            await here.well()
            after = await figures(port)
    alerts = {"SipmeshRtpengineAway"}
    phases = fired(tmp_path, alerts, well, bad, mended, after)
    assert phases == {"before": set(), "during": alerts, "after": set()}


async def both(here: ShownFaults) -> list[tuple[str, str]]:
    """Wait until both front ends report it; give their names and the remedies."""
    while len(found := here.faults()) != 2 or {fault.code for _, fault in found} != {Cause.RTPENGINE}:
        await asyncio.sleep(LOOK_AGAIN_S)
    return [(name, fault.remedy) for name, fault in found]
