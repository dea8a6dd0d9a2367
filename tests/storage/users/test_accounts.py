"""Changes of users by name: each is checked against the topology, and is a line in the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.accounts import Accounts
from sipmesh.storage.users.user_database import Users
from support.managed import build_managed, second_pool
from support.network import BEGAN, POOL, POOL2

Noted = list[tuple[AuditAct, dict[str, Any]]]


@pytest.fixture
def noted() -> Noted:
    return []


@pytest.fixture
def accounts(tmp_path: Path, noted: Noted) -> Iterator[Accounts]:
    loaded = build_managed(tmp_path, second_pool()).load()
    users = Users(loaded.users_url)
    yield Accounts(users, loaded.topology, lambda act, /, **about: noted.append((act, about)), lambda: None)
    users.close()


def test_each_change_is_noted_with_the_full_address(accounts: Accounts, noted: Noted) -> None:
    assert accounts.add("carol", "secret-one", (Algorithm.MD5,), POOL).algorithms == (Algorithm.MD5,)
    accounts.set_password("carol", "other-one")
    assert accounts.move("carol", POOL2)[1] == POOL
    accounts.disable("carol", BEGAN)
    accounts.enable("carol")
    assert accounts.add_alias("carol", "+4930123")[1] == accounts.remove_alias("carol", "+4930123")[1]
    assert accounts.remove("carol") == "carol@example.test"
    carol = "carol@example.test"
    assert noted == [
        (AuditAct.USER, {"added": carol}),
        (AuditAct.USER, {"password": carol}),
        (AuditAct.USER, {"moved": carol, "before": POOL, "to": POOL2}),
        (AuditAct.USER, {"disabled": carol}),
        (AuditAct.USER, {"enabled": carol}),
        (AuditAct.ALIAS, {"user": carol, "added": "tel:+4930123"}),
        (AuditAct.ALIAS, {"user": carol, "removed": "tel:+4930123"}),
        (AuditAct.USER, {"removed": carol}),
    ]


def test_what_is_refused_is_not_noted(accounts: Accounts, noted: Noted) -> None:
    with pytest.raises(OperatorError, match="has a choice of 2 home pools"):
        accounts.add("carol", "secret-one")
    with pytest.raises(OperatorError, match=r"evil\.test is not a SIP domain"):
        accounts.add_alias("alice", "sip:info@evil.test;user=phone")
    with pytest.raises(OperatorError, match="has the home pool"):
        accounts.move("alice", POOL)
    with pytest.raises(OperatorError, match="not disabled"):
        accounts.enable("alice")
    assert noted == []


def test_nothing_is_changed_where_the_audit_log_stores_no_line(tmp_path: Path, noted: Noted) -> None:
    def elsewhere() -> None:
        raise OperatorError("mgmt2.example.test leads")

    loaded = build_managed(tmp_path).load()
    users = Users(loaded.users_url)
    accounts = Accounts(users, loaded.topology, lambda act, /, **about: noted.append((act, about)), elsewhere)
    for change in (
        lambda: accounts.add("carol", "secret-one"),
        lambda: accounts.set_password("alice", "other-one"),
        lambda: accounts.move("alice", POOL),
        lambda: accounts.remove("alice"),
        lambda: accounts.disable("alice", BEGAN),
        lambda: accounts.enable("alice"),
        lambda: accounts.add_alias("alice", "+4930123"),
        lambda: accounts.remove_alias("alice", "+4930123"),
    ):
        with pytest.raises(OperatorError, match=r"mgmt2\.example\.test leads"):
            change()
    assert [user.aor for user in users.list()] == ["sip:alice@example.test", "sip:bob@example.test"]
    assert noted == []
    users.close()


def _number(users_url: str) -> int:
    """Give the number of the last change, as a process that starts now sees it."""
    with closing(Users(users_url)) as users:
        return users.number


def test_group_is_one_change_with_its_rules_and_a_refused_one_is_none(
    accounts: Accounts, noted: Noted, tmp_path: Path
) -> None:
    """A process that ends in the middle leaves no account without the rules of a group: there is no such instant."""
    url = str(build_managed(tmp_path, second_pool()).load().users_url)
    before = _number(url)
    with pytest.raises(OperatorError, match="stranger is not a user"):
        accounts.add_group("sales", {"add": ["stranger"]}, POOL)
    assert _number(url) == before
    aor, rules = accounts.add_group("sales", {"add": ["alice"]}, POOL)
    assert (aor, rules.members) == ("sales@example.test", ("sip:alice@example.test",))
    assert _number(url) == before + 1
    assert noted == [(AuditAct.GROUP, {"added": aor, "add": ["alice"]})]
