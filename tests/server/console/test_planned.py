"""A change is bound to its plan: to its parameters, to the draft and to the version in force."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.server.console.planned import PlanChangedError, must_be_as_planned, planned_digest

ASKED: dict[str, Any] = {"name": "fe3", "dry_run": True, "planned": "", "who": "otto", "role": "operator"}


def test_change_as_planned_is_accepted_and_so_is_one_without_a_plan() -> None:
    digest = planned_digest("add-server", ASKED, 3, "draft")
    must_be_as_planned("add-server", {**ASKED, "dry_run": False, "planned": digest}, 3, "draft")
    must_be_as_planned("add-server", ASKED, 4, "another draft")


@pytest.mark.parametrize(
    ("operation", "name", "base", "draft"),
    [
        ("add-pool", "fe3", 3, "draft"),
        ("add-server", "fe4", 3, "draft"),
        ("add-server", "fe3", 4, "draft"),
        ("add-server", "fe3", 3, "draft of another"),
    ],
)
def test_change_that_would_do_something_else_is_refused(operation: str, name: str, base: int, draft: str) -> None:
    digest = planned_digest("add-server", ASKED, 3, "draft")
    with pytest.raises(PlanChangedError):
        must_be_as_planned(operation, {**ASKED, "name": name, "planned": digest}, base, draft)
