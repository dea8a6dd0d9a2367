"""`sipmesh partner logs`: the logs of Certificate Transparency, from a log list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.given_file import read_given
from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.change import Change
from sipmesh.cli.topology.publish import WAIT_S, Wait
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

UNCHANGED = "nothing was changed"
NAME_A_LIST = "name a log list of version 3"

COUNTED = ("usable", "qualified", "readonly", "retired")
"""The states of logs whose SCTs count; those of a retired log up to its end."""


@dataclass(frozen=True, slots=True)
class _State:
    timestamp: str


@dataclass(frozen=True, slots=True)
class _Log:
    key: str
    state: dict[str, dict[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class _Operator:
    name: str
    logs: tuple[_Log, ...] = ()
    tiled_logs: tuple[_Log, ...] = ()


@dataclass(frozen=True, slots=True)
class _LogList:
    operators: tuple[_Operator, ...]


def ct_logs(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A log list, as JSON (v3).")
    ],
    *,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Replace the logs of Certificate Transparency in the topology (`federation.ct_logs`) by those of a log list.

    Browsers publish such lists, for example https://www.gstatic.com/ct/log_list/v3/log_list.json. Logs that are pending or
    rejected are left out. Compare the list with its signature before you use it: a log of an attacker counts like any other.
    """
    from sipmesh.topology.document import yaml_edit
    from sipmesh.typed_json import UnreadableJsonError, read_document

    place = Place(topology)
    must_lead(place)
    try:
        read = read_document(_LogList, read_given(file, UNCHANGED, NAME_A_LIST))
    except UnreadableJsonError as wrong:
        raise OperatorError(UNCHANGED, (Problem(file, 0, "", f"is no log list ({wrong})", NAME_A_LIST),)) from None
    logs = [entry for operator in read.operators for entry in _entries(operator)]
    change = Change(place)
    made = change.edited(lambda text: yaml_edit.put(text, ("federation", "ct_logs"), logs))
    say(f"{len(logs)} logs of {len({entry['operator'] for entry in logs})} operators count.", style=GOOD)
    change.take_effect(made, "logs of Certificate Transparency", wait)


def _entries(operator: _Operator) -> Iterator[dict[str, str]]:
    for log in (*operator.logs, *operator.tiled_logs):
        state = next(iter(log.state or {}), "")
        if state in COUNTED:
            entry = {"operator": operator.name, "key": log.key}
            end = (log.state or {})[state].get("timestamp")
            yield entry | ({"until": str(end)} if state in {"readonly", "retired"} and end else {})
