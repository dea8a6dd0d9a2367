"""Sessions of operators who leave as users end; those of others, and of operators who are no users, stay."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.console.access.account import Account, accounts_of
from sipmesh.server.console.access.kerberos_logins import KerberosLogin
from sipmesh.server.console.access.leavers import LONGEST_SILENCE_S, Leavers
from sipmesh.server.console.access.operator import Operators
from sipmesh.server.log import get_log
from sipmesh.storage.users.user_database import Users
from support.network import build_example
from support.running import on_loop

ALICE, BOB = "alice@example.test", "bob@example.test"


@dataclass
class Console:
    """The sessions of a console, and its clock."""

    example: Organisation
    now: float = 0.0
    operators: Operators = field(init=False)
    leavers: Leavers = field(init=False)

    def __post_init__(self) -> None:
        loaded = self.example.load()
        self.operators = Operators(lambda: self.now)
        self.leavers = Leavers(lambda: loaded, self.operators, lambda: self.now, get_log())

    def log_in(self, user: str = "") -> str:
        account = accounts_of(self.example.load(), [user])[user] if user else None
        login = KerberosLogin("CORP.TEST", f"{user}x@CORP.TEST", 1e9, lambda: self.now)
        return self.operators.begin(replace(login, account=account))

    def are_in(self, *secrets: str) -> list[bool]:
        return [self.operators.session(secret) is not None for secret in secrets]


@pytest.fixture(name="console")
def _console(tmp_path: Path) -> Console:
    return Console(build_example(tmp_path / "o"))


def change(console: Console, what: str, *given: object) -> None:
    users = Users(console.example.load().users_url)
    getattr(users, what)(*given)
    users.close()


@pytest.mark.parametrize("way", ["disable", "remove", "remove and add again", "disable and enable"])
@on_loop
async def test_session_of_who_leaves_ends_and_others_stay(console: Console, way: str) -> None:
    secrets = [console.log_in(user) for user in (ALICE, BOB, "")]
    await console.leavers.look()
    assert console.are_in(*secrets) == [True] * 3
    first = way.partition(" ")[0]
    change(console, first, ALICE, *([datetime.now(UTC)] if first == "disable" else []))
    if way.endswith("again"):
        change(console, "add", ALICE, "another person")
    if way.endswith("enable"):
        change(console, "enable", ALICE)
    await console.leavers.look()
    assert console.are_in(*secrets) == [False, True, True]


@on_loop
async def test_sessions_of_users_end_if_the_database_is_silent_for_a_minute(console: Console) -> None:
    secrets = [console.log_in(user) for user in (ALICE, "")]
    await console.leavers.look()
    (console.example.folder / "users.db").write_bytes(b"no database" * 100)
    console.now = LONGEST_SILENCE_S - 1
    await console.leavers.look()
    assert console.are_in(*secrets) == [True, True]
    console.now = LONGEST_SILENCE_S
    await console.leavers.look()
    assert console.are_in(*secrets) == [False, True]


def test_account_compares_by_what_it_was() -> None:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    assert Account(ALICE, at, 1) != Account(ALICE, at, 2)
