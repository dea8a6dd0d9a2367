"""What a security officer has read is what is published: the name of a plan, and the question at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.server.management.publishing.plan_report import PlanReport
    from sipmesh.server.management.replies import Plan

ReadPlan = Annotated[
    str,
    typer.Option(
        "--plan",
        metavar="PLAN",
        help="The plan that you have read, as `sipmesh topology plan` names it. Another draft is not published.",
    ),
]


def name_of(plan: Plan | PlanReport) -> str:
    """Return the name of *plan*: the version in force, and the digest of the draft, the whole of it."""
    return f"{plan.base}-{plan.digest}"


def must_be_read(plan: Plan | PlanReport, named: str, *, force: bool, asks: bool) -> None:
    """Raise `OperatorError` unless *plan* is the plan that the user has *named*, or no user has to read it.

    Operators of the console change the draft, and the user of this host may publish all that they may not. So a draft with such a
    change is published only by its name, or after the user has answered a question. *asks* is False if the plan was not printed.
    """
    if named and named != name_of(plan):
        raise OperatorError(
            "not published: the draft or the version in force is not that of the plan that you have read; "
            "read it again: sipmesh topology plan"
        )
    needs = _of_an_officer(plan, force=force)
    if named or not needs:
        return
    if asks and sys.stdin.isatty():
        typer.confirm("Publish this?", abort=True, err=True)
        return
    raise OperatorError(
        f"not published: operators of the console may have changed the draft, and may not publish this: {'; '.join(needs)}; "
        "read the plan, and give its name by --plan: sipmesh topology plan"
    )


def _of_an_officer(plan: Plan | PlanReport, *, force: bool) -> Sequence[str]:
    """Return the changes that need an officer; empty if no other operator made them, or if enough have signed exactly this."""
    from sipmesh.topology.document.operators.console_role import ConsoleRole

    if not plan.operators or (plan.approvals and all(need.is_met for need in plan.approvals)):
        return ()
    grants = [grant.sentence for grant in plan.grants if not ConsoleRole.OPERATOR.may(grant.role)]
    return [*(plan.dangers if force else ()), *grants]
