"""The users in the console: changed by an operator in force on the servers at once, and by no viewer."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.server.console import user_commands
from sipmesh.server.console.parameters import UsersToList
from sipmesh.server.console.user_commands import _read_users
from support.console import Visitor, management_with_console
from support.managed import build_managed
from support.running import on_loop

ALICE = {"user": "alice"}
ALICE_ADDRESS = "alice@example.test"
CHANGES = (
    ("user/add", {"user": "carol", "password": "secret-one"}),
    ("user/password", {**ALICE, "password": "other-one"}),
    ("user/disable", ALICE),
    ("user/enable", ALICE),
    ("user/alias/add", {**ALICE, "alias": "+4930123"}),
    ("user/alias/remove", {**ALICE, "alias": "+4930123"}),
    ("user/rules/change", {**ALICE, "no_answer": "bob", "callers": {"*": "block"}}),
    ("user/rules/clear", ALICE),
    ("group/add", {"user": "sales", "add": ["alice"], "order": "in-turn"}),
    ("group/change", {"user": "sales", "add": ["bob"], "overflow": "bob"}),
    ("group/remove", {"user": "sales"}),
    ("user/remove", ALICE),
)


def test_users_are_read_in_pages_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_commands, "MOST_USERS", 1)
    loaded = build_managed(tmp_path).load()
    asked = UsersToList().model_dump(mode="json")
    first = _read_users(loaded, asked)
    assert ([user.user for user in first.users], first.total, first.after) == ([ALICE_ADDRESS], 2, ALICE_ADDRESS)
    assert first.users[0].pool == "pool1.example.test"
    last = _read_users(loaded, {**asked, "after": ALICE_ADDRESS})
    assert ([user.user for user in last.users], last.total, last.after) == (["bob@example.test"], 2, None)


@on_loop
async def test_page_of_users_leads_to_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_commands, "MOST_USERS", 1)
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        first = (await viewer.get("/users")).text
        assert ('href="/users?page=2"' in first, "bob@" in first) == (True, False)
        last = (await viewer.get("/users?page=2")).text
        assert (">Next<" in last, "bob@" in last) == (False, True)
        assert "bob@" in (await viewer.get("/users?sort=-User")).text
        assert "bob@" in (await viewer.get("/users?q=BO")).text
        assert "none" in (await viewer.get("/users?q=%25")).text


@on_loop
async def test_operator_changes_users_with_a_line_each_in_the_audit_log_and_a_viewer_does_not(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        for path, given in CHANGES:
            assert (await viewer.ask("POST", f"/api/v1/{path}", json=given)).status == 403
            done = await operator.ask("POST", f"/api/v1/{path}", json=given)
            assert (done.status, done.json["user"]) == (200, f"{given['user']}@example.test"), done.text
        users = (await viewer.get("/api/v1/users")).json["users"]
        assert [user["user"] for user in users] == ["bob@example.test", "carol@example.test"]
        lines = (await viewer.get("/api/v1/audit")).json["lines"]
        assert {line["who"] for line in lines[: len(CHANGES)]} == {"otto (API)"}
        assert "secret" not in str(lines)


@on_loop
async def test_change_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        for path, given, why in (
            ("user/disable", {"user": "nobody"}, "nobody@example.test"),
            ("user/add", {"user": "x@evil.test", "password": "p-secret"}, "evil.test is not a SIP domain"),
            ("user/move", {"user": "alice", "pool": "pool1.example.test"}, "has the home pool"),
            ("user/move", {"user": "alice", "pool": "evil"}, "is not a pool of the topology"),
        ):
            refused = await operator.ask("POST", f"/api/v1/{path}", json=given)
            assert (refused.status, why in refused.json["error"]) == (409, True), refused.text
        assert (await operator.get("/api/v1/user?user=nobody")).status == 409


@on_loop
async def test_operator_changes_a_user_by_the_forms_of_the_page_of_the_user(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as operator, Visitor(network) as viewer:
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        assert "Add the user" not in (await viewer.get("/users")).text
        assert "Change this user" not in (await viewer.get("/users/alice@example.test")).text
        assert (await viewer.post("/user/disable", user="alice", sure="yes")).status == 403
        for path, given in (
            ("/user/rules/change", {"user": "alice", "no_answer": "bob"}),
            ("/group/add", {"user": "sales", "add": "alice"}),
            ("/group/change", {"user": "sales", "overflow": "bob"}),
        ):
            assert (await viewer.post(path, sure="yes", **given)).status == 403
            assert (await operator.post(path, sure="yes", **given)).status == 200
        assert "Change the group" in (await operator.get("/users/sales@example.test")).text
        assert (await operator.post("/user/disable", user="alice")).status == 409  # the box is not ticked
        done = await operator.post("/user/disable", user="alice", sure="yes")
        assert "alice@example.test is disabled." in done.text
        assert 'href="/users/alice%40example.test"' in done.text
        assert "Enable alice@example.test" in (await operator.get("/users/alice%40example.test")).text
        assert "is enabled" in (await operator.post("/user/enable", user="alice")).text
        for odd in (
            await operator.post("/user/add", user='<b>"x"</b>', password="p"),
            await operator.post("/group/add", user='<b>"x"</b>', add="alice"),
            await operator.post("/group/change", user="sales", add='<b>"x"</b>'),
            await operator.post("/user/rules/change", user="alice", no_answer='<b>"x"</b>'),
        ):
            assert (odd.status, "<b>" in odd.text) == (409, False)
