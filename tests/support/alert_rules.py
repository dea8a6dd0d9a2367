"""The rules of the package over figures of real servers: which alerts fire before a fault, while it lasts, and after its remedy.

Prometheus would need minutes. Each figure becomes a series of half an hour, one value every ten seconds: ten minutes as it was
before the fault, ten with what was done between *well* and *bad* in every ten seconds, and ten with what was done between
*mended* and *after*. A rule that looks back for an hour needs longer phases: *every_s* is the time between two values.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.checkout import ROOT
from support.figures import Figures

RULES = ROOT / "packaging/monitoring/sipmesh.rules.yml"
STEPS = 60
"""Values of each phase."""

PHASES = {"before": (59,), "during": (72, 119), "after": (179,)}
"""The values at which the alerts are looked at."""

FIRED = re.compile(r"alertname: (\w+), time: (\S+?),?\s*\n\s*exp:\[[^\n]*\n?\s*got:\[\s*0:")


def fired(
    folder: Path, alerts: set[str], well: Figures, bad: Figures, mended: Figures, after: Figures, every_s: int = 10
) -> dict[str, set[str]]:
    """Tell which of *alerts* fire in each phase."""
    phases = {phase: [_duration(value * every_s) for value in values] for phase, values in PHASES.items()}
    series = [
        {
            "series": _series(*key),
            "values": _values(*(one.get(key) for one in (well, bad, mended, after)), is_counter=_counts(key[0])),
        }
        for key in sorted({*well, *bad, *mended, *after}, key=repr)
    ]
    tests = [
        {"eval_time": time, "alertname": alert, "exp_alerts": []}
        for times in phases.values()
        for time in times
        for alert in sorted(alerts)
    ]
    content = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{every_s}s",
        "tests": [{"interval": f"{every_s}s", "input_series": series, "alert_rule_test": tests}],
    }
    file = folder / "alerts.yml"
    file.write_text(json.dumps(content))
    command = [str(shutil.which("promtool")), "test", "rules", str(file)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = set(FIRED.findall(printed.stderr + printed.stdout))
    return {phase: {alert for alert, time in found if time in times} for phase, times in phases.items()}


def _duration(seconds: int) -> str:
    """Write a time as promtool prints it."""
    parts = (seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s")
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def _counts(name: str) -> bool:
    return name.endswith(("_total", "_count", "_sum", "_bucket"))


def _series(name: str, labels: frozenset[tuple[str, str]]) -> str:
    told = {"instance": "fe1:9105", "job": "sipmesh", **dict(labels)}
    return f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in sorted(told.items()))}}}"


def _values(*snapshots: float | None, is_counter: bool) -> str:
    return " ".join(map(_told, _gauge(*snapshots) if not is_counter else _counter(*(one or 0 for one in snapshots))))


def _told(value: float | None) -> str:
    return "_" if value is None else f"{value:.6f}"


def _gauge(well: float | None, bad: float | None, _: float | None, after: float | None) -> Iterator[float | None]:
    for value in (well, bad, after):
        yield from (value,) * STEPS


def _counter(well: float, bad: float, mended: float, after: float) -> Iterator[float]:
    value = well
    for change in (0.0, bad - well, after - mended):
        for _ in range(STEPS):
            value += max(change, 0.0)
            yield value
