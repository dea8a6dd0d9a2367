"""All metrics of one server."""

from __future__ import annotations

import re

from support.checkout import ROOT
from support.figures import OneWorker, ask_for_figures, get, page_of
from support.network import Network
from support.running import on_loop


@on_loop
async def test_every_figure_is_documented(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home, workers=OneWorker()):
        _, text = await get(port, "/metrics")
    told = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    rows = re.findall(r"^\| `(sipmesh_\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    assert told == set(rows)
