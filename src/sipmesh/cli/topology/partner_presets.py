"""`sipmesh partner presets`: the public CAs that `partner add --third-party` knows, and what has changed since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from sipmesh.cli.output import BAD, GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.topology.third_party.presets import PresetSources

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipmesh.topology.third_party.presets import Preset


@dataclass(frozen=True, slots=True)
class PresetReport:
    """One preset; *missing* are its roots that this system does not trust."""

    name: str
    roots: tuple[str, ...]
    missing: tuple[str, ...]
    crl_hosts: tuple[str, ...]
    server_auth_only: bool


@dataclass(frozen=True, slots=True)
class PresetsReport:
    """What ``sipmesh partner presets --json`` prints; *faults* are about the partners of this topology, and the age."""

    date: str
    days: int
    sources: PresetSources
    presets: tuple[PresetReport, ...]
    faults: tuple[str, ...]


def show_presets(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List the public CAs that `partner add --third-party` knows: roots of this system, and CRL hosts.

    Exit code 1: the presets are old, or a partner is trusted by a root that this system does not trust.
    """
    from sipmesh.topology.third_party.preset_faults import preset_faults
    from sipmesh.topology.third_party.presets import presets
    from sipmesh.topology.third_party.system_roots import system_roots

    known, here, at = presets(), system_roots().keys(), datetime.now(UTC)
    loaded = Place(topology).found()
    faults = list(preset_faults(loaded, known, here, at)) if loaded is not None else []
    rows = tuple(_report(preset, here) for preset in known.presets)
    report = PresetsReport(known.date, known.age(at).days, known.sources, rows, tuple(told for told, _ in faults))
    if as_json:
        say_json(report)
    else:
        _say(report)
        say(*(f"{told}: {remedy}" for told, remedy in faults), style=BAD)
    raise typer.Exit(1 if faults or known.is_old(at) else 0)


def _report(preset: Preset, here: Collection[str]) -> PresetReport:
    names = tuple(root.name for root in preset.roots)
    missing = tuple(root.name for root in preset.roots if root.sha256 not in here)
    return PresetReport(preset.name, names, missing, preset.crl_hosts, preset.server_auth_only)


def _say(report: PresetsReport) -> None:
    made = table("", "preset", "roots", "not in this system", "CRL hosts", "client usage")
    for preset in report.presets:
        made.add_row(
            cell(preset.name),
            cell(", ".join(preset.roots)),
            cell(", ".join(preset.missing) or "-", BAD if preset.missing else GOOD),
            cell(", ".join(preset.crl_hosts)),
            cell("server-ok" if preset.server_auth_only else "strict"),
        )
    show(made)
    say(f"The presets are of {report.date}, {report.days} days ago.", style="dim")
    say(f"Roots: {report.sources.roots}.", f"CRL hosts: {report.sources.crl_hosts}.", style="dim")
