"""A plan is published as it was read: by its name, or after an answer at the terminal."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pytest
import typer

from sipmesh.cli.topology.planning.reading import must_be_read, name_of
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import Plan
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.approval import ApprovalNeed
from sipmesh.topology.versions.grants.grant import Gain, Grant

GIVEN = Grant("media.default", Gain.DECIDE, "phones", "calls may be in the clear", ConsoleRole.SECURITY_OFFICER)
BY_OPERATORS = replace(GIVEN, role=ConsoleRole.OPERATOR)
PLAN: Final = Plan("topology.yaml", 4, "d" * 64, ["a change"], ["a pool is lost"], (), (GIVEN,), operators=True)
HARMLESS: Final = replace(PLAN, grants=(BY_OPERATORS,))


@contextmanager
def terminal(typed: str) -> Iterator[None]:
    """Let the standard input be a terminal where a user has *typed* a line."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{typed}\n".encode())
    before = sys.stdin
    try:
        with os.fdopen(theirs) as sys.stdin:
            yield
    finally:
        sys.stdin = before
        os.close(ours)


def test_plan_that_was_read_is_published() -> None:
    must_be_read(PLAN, name_of(PLAN), force=True, asks=False)


@pytest.mark.parametrize("seen", [replace(PLAN, base=3), replace(PLAN, digest="e" * 64)])
@pytest.mark.parametrize("now", [PLAN, HARMLESS, replace(PLAN, operators=False)])
def test_another_plan_than_was_read_is_not_published(seen: Plan, now: Plan) -> None:
    """A newer version counts too: the same draft would take back what it has changed."""
    with pytest.raises(OperatorError, match="not that of the plan that you have read"):
        must_be_read(now, name_of(seen), force=False, asks=True)


@pytest.mark.parametrize(("plan", "force"), [(PLAN, False), (HARMLESS, True)])
def test_what_no_operator_publishes_alone_is_not_published_unread(plan: Plan, *, force: bool) -> None:
    with pytest.raises(OperatorError, match="may not publish this: "):
        must_be_read(plan, "", force=force, asks=True)


@pytest.mark.parametrize("plan", [HARMLESS, replace(PLAN, operators=False)])
def test_what_operators_may_publish_needs_no_name(plan: Plan) -> None:
    """And so does a draft that only the users of the host can change."""
    must_be_read(plan, "", force=False, asks=False)


@pytest.mark.parametrize(("approved", "passes"), [(("ada", "ben"), True), (("ada",), False)])
def test_signatures_of_operators_are_the_name_of_a_content(approved: tuple[str, ...], *, passes: bool) -> None:
    plan = replace(PLAN, approvals=(ApprovalNeed("the version in force", 2, ("ada", "ben"), approved),))
    if passes:
        must_be_read(plan, "", force=False, asks=False)
        return
    with pytest.raises(OperatorError):
        must_be_read(plan, "", force=False, asks=False)


def test_yes_at_the_terminal_publishes_and_anything_else_does_not() -> None:
    with terminal("y"):
        must_be_read(PLAN, "", force=False, asks=True)
    with terminal("n"), pytest.raises(typer.Abort):
        must_be_read(PLAN, "", force=False, asks=True)


def test_no_user_is_asked_about_a_plan_that_was_not_printed() -> None:
    with terminal("y"), pytest.raises(OperatorError, match="may not publish this"):
        must_be_read(PLAN, "", force=False, asks=False)
