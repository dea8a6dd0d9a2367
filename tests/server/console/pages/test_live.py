"""The pages about users and the audit log: pages of it, and its check."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from yarl import URL

from sipmesh.server.admin.replies import BindingReply, UserReply
from sipmesh.server.console import commands
from sipmesh.server.console.pages import live
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.console import Visitor, beside_management, management_with_console
from support.network import BEGAN, FE1, FE2
from support.running import on_loop, until


@on_loop
async def test_audit_log_is_shown_in_pages_of_bounded_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_LINES", 3)
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        audit = network.master.management_db.audit
        newest = [audit.append("ada", AuditAct.LIST, {"file": f"f{n}.crl"}, at=BEGAN) for n in range(5)][-1].seq
        await viewer.log_in("viewer")
        first = (await viewer.get("/audit")).text
        assert all(f'<th scope="row">{newest - back}</th>' in first for back in range(3))
        assert f'<th scope="row">{newest - 3}</th>' not in first
        assert f'href="/audit?before={newest - 2}"' in first
        older = (await viewer.get(f"/audit?before={newest - 2}")).text
        assert f'<th scope="row">{newest - 3}</th>' in older
        assert "Older lines" not in (await viewer.get("/audit?before=2")).text
        for odd in ("x", "0", "-1", str(2**60)):
            assert (await viewer.get(f"/audit?before={odd}")).status == 400


@on_loop
async def test_check_of_the_whole_log_is_made_once_for_all_who_ask(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        first = (await viewer.get("/api/v1/audit/check")).json
        second = (await viewer.get("/api/v1/audit/check")).json
        assert (first["faults"], first["at"]) == ([], second["at"])


@on_loop
async def test_each_page_about_users_and_events_is_shown(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        for path, told in (
            ("/users?after=a", "alice@example.test"),
            ("/users/alice%40example.test", "No front end runs on this machine"),
            ("/registrations", "no front end runs here"),
            ("/verdicts", "newest first"),
            ("/audit/check", "The chain of hashes is intact"),
        ):
            shown = await viewer.get(URL(path, encoded=True))
            assert (shown.status, told in shown.text) == (200, True), path


@on_loop
async def test_page_of_a_user_has_devices_logins_failures_messages_and_rules(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await network.start(FE1)
        beside_management(network, FE1)
        await network.acknowledged(1, FE1)
        await network.type("user", "presence", "set", "alice", "bob", "block")
        alice = await network.agent("alice", FE1)
        bob = await network.agent("bob", FE1)
        thief = await network.phone(FE1, "alice")
        assert (await thief.register(password="wrong")).status in {401, 403}
        await alice.close()
        node = network.nodes[FE1]
        await until(lambda: not any(link.kind is LinkKind.CLIENT and link.peer_name for link in node.pool.all()))
        assert (await bob.message("sip:alice@example.test", "hello")).status == 202
        await viewer.log_in("viewer")
        page = ""
        async with asyncio.timeout(10):  # the front end looks at its messages every two seconds
            while "<dt>Messages waiting</dt><dd>1</dd>" not in page:
                page = (await viewer.get(URL("/users/alice%40example.test", encoded=True))).text
                await asyncio.sleep(0.1)
        for told in (FE1, "Registered devices", "Logins at", "Failed logins at", "bob@example.test: block"):
            assert told in page, told


def test_registration_is_shown_once_although_each_server_of_its_pool_knows_it() -> None:
    """At the server that has its link; at the first server, if the server with its link runs on another machine."""
    held, far = (BindingReply("alice", server, None, None, "sip:a@x.test", "", None) for server in (FE2, "fe9.test"))
    here = [
        UserReply(name, "pool", Role.FRONT_END, BEGAN, ready=True, home="pool", bindings=[held, far], failures=[])
        for name in (FE1, FE2)
    ]
    assert [(one.server, devices) for one, devices in live._devices_of(here)] == [(FE1, [far]), (FE2, [held])]
