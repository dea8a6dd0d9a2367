"""The budget of a transaction adds up, and every function that it names is still there."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import sipmesh
from bench.bed import MeasurementError, children_of
from bench.stages import (
    CALL_STAGES,
    LOGIN_STAGES,
    MEDIA,
    OFTEN,
    READ,
    ROUTE,
    STORED,
    TRANSACTION,
    TURN,
    Costs,
    beside,
    per_call,
    per_login,
    per_transaction,
    read_costs,
    run_through,
)

SOURCES = Path(sipmesh.__file__).parent
MADE_BY_MYPYC = re.compile(r"(_env)?_clear$|_____init__$|_____mypyc_.*")

# One turn that reads 10, frames 20, and has a message routed for 100, of which 30 are for a check; two transactions.
PROFILE = """\
ob=(1) sipmesh.so
fn=(1) CPyDef_reactor___Reactor____turn
0x10 6
cfn=(2) CPyDef_pyopenssl___PyOpenSslTls___read
calls=2 0x20
+3 10
cfn=(3) CPyDef_framing___MessageReader___next
calls=2 0x30
* 20
cfn=(4) CPyDef_dispatch___Dispatch___arrived
calls=2 0x40
* 100

fn=(2)
0x20 10
fn=(3)
0x30 20
fn=(4)
0x40 60
cfn=(5) CPyDef_check___check_request
calls=2 0x50
* 30
cfn=(6) CPyDef_relay___Relay___forward
calls=2 0x60
* 10
fn=(5)
0x50 30
fn=(6)
0x60 10
"""


def test_stages_add_up_to_the_turn() -> None:
    found = per_transaction(Costs(PROFILE.splitlines(keepends=True)))
    assert found["all"] == 68
    assert (found["read: TLS"], found["check: what is read of the fields"]) == (5, 15)
    assert found["route: decide, transactions"] == 35
    assert found["the rest: the wake-up, links"] == 3
    assert sum(cost for name, cost in found.items() if name != "all") == found["all"]


def test_stages_of_a_call_are_those_of_its_two_transactions_and_its_media() -> None:
    counted = Costs(PROFILE.splitlines(keepends=True))
    counted.inclusive["CPyDef_judgement___fault_in"] = 20
    found = per_call(counted)
    assert (found["all"], found["read: TLS"], found[MEDIA], found["route: decide, transactions"]) == (136, 10, 20, 50)
    assert sum(cost for name, cost in found.items() if name != "all") == found["all"]


def test_profile_without_transactions_is_no_budget() -> None:
    with pytest.raises(MeasurementError, match="compiled"):
        per_transaction(Costs([]))


def test_stages_of_a_login_add_up_to_its_requests_and_what_follows_the_store() -> None:
    counted = Costs([])
    counted.calls[STORED] = 2
    counted.inclusive.update({READ: 100, STORED: 20, "CPyDef_check___check_request": 30})
    found = per_login(counted)
    assert (found["all"], found["register: decide, bindings"], found["check: what is read of the fields"]) == (
        60,
        10,
        15,
    )
    assert sum(cost for name, cost in found.items() if name != "all") == found["all"]
    with pytest.raises(MeasurementError, match="compiled"):
        per_login(Costs([]))


def test_costs_of_several_processes_are_summed_up(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).write_text(PROFILE)
    assert per_transaction(read_costs(tmp_path / "1", tmp_path / "2")) == per_transaction(Costs(PROFILE.splitlines()))
    assert read_costs(tmp_path / "1", tmp_path / "2").calls[TRANSACTION] == 4


def test_places_of_a_message_are_laid_out_beside_each_other_with_what_they_cost_together() -> None:
    text = beside(("one", "first", "second", "both / one"), [{"all": 100.0}, {"all": 90.0}, {"all": 71.0}])
    assert text.splitlines()[-1].split("|")[1:-1] == [" all ", " 100.0 ", " 90.0 ", " 71.0 ", " 1.61 "]


def test_children_of_a_process_are_found() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        assert child.pid in children_of(os.getpid())
        child.communicate()


def test_what_every_request_runs_through_is_named_once_without_what_compilers_add() -> None:
    counted = Costs([])
    counted.calls.update({TRANSACTION: 20, f"{TURN}.part.0": 10, f"{TURN}'2": 9, ROUTE: 17, "PyList_New": 100})
    assert run_through(counted, 1) == {TRANSACTION, TURN}
    assert run_through(counted, 2) == {TRANSACTION, TURN, ROUTE}
    with pytest.raises(MeasurementError, match="compiled"):
        run_through(Costs([]), 1)


def found(function: str) -> Any:
    """Find a function by its name in C: ``CPyDef_module___Class___method``, with the package before a module that is not alone.

    Raises AttributeError where there is none.
    """
    parts = function.removeprefix("CPyDef_").replace("____", "___.").split("___")
    for length in (1, 2):
        for file in sorted(SOURCES.rglob(f"{'/'.join(parts[:length])}.py")):
            held: Any = importlib.import_module(".".join(file.relative_to(SOURCES.parent).with_suffix("").parts))
            with suppress(AttributeError):
                for name in parts[length:]:
                    held = getattr(held, name.replace(".", "_"))
                return held
    raise AttributeError(function)


NAMED = (
    TRANSACTION,
    TURN,
    ROUTE,
    READ,
    *(one for many in (CALL_STAGES, LOGIN_STAGES) for names in many.values() for one in names),
)


@pytest.mark.parametrize("function", sorted(set(NAMED)))
def test_function_that_a_stage_names_is_there(function: str) -> None:
    assert callable(found(function))


@pytest.mark.wide
def test_functions_that_are_marked_as_run_often_are_there() -> None:
    """A part that is not listed was renamed, and lies apart: `python -m bench.stages --often` writes the list again."""
    assert [name for name in OFTEN.read_text().split() if not is_there(MADE_BY_MYPYC.sub("", name))] == []


def is_there(function: str) -> bool:
    """Tell whether a function or a property of that name in C is among the sources."""
    try:
        found(function)
    except (AttributeError, ValueError):
        return False
    return True
