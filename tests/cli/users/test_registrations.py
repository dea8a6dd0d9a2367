"""Who is registered where, and why a user cannot log in: what an operator is asked first, and most often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.test_foreign_text import dangerous
from cli.world import FE1, FE2, Organisation
from sipmesh.client.agent import UserAgent
from sipmesh.client.judge import Trust
from support.peer import Peer

DOMAIN = "example.com"


async def _peer(organisation: Organisation, server: str, user: str, password: str, *headers: tuple[str, str]) -> int:
    host, _, port = organisation.address(server).partition(":")
    async with await Peer.open((host, int(port)), f"{user}@{DOMAIN}") as peer:
        return (await peer.register(headers, password)).status


def logs_in(organisation: Organisation, user: str, password: str, *headers: tuple[str, str], server: str = FE1) -> int:
    """Try a login, and go again; gives the final status."""
    return asyncio.run(_peer(organisation, server, user, password, *headers))


def explained(organisation: Organisation, user: str) -> tuple[int, str]:
    told = organisation.type("explain", f"{user}@{DOMAIN}")
    return told.code, told.out


def test_wrong_password_is_explained_with_where_it_came_from_and_what_to_do(running: Organisation) -> None:
    agent = ("user-agent", "desk phone 7")
    assert [logs_in(running, "bob", "wrong", agent) for _ in range(2)] == [401, 401]
    code, told = explained(running, "bob")
    assert code == 1
    assert "bob@example.com is a user, home pool" in told
    assert "digest SHA-256 or MD5" in told
    assert f"Not registered at {FE1}, {FE2}" in told
    assert "desk phone 7" in told
    assert "127.0.0.1" in told
    assert "wrong password" in told
    assert "→ set a new password, here and on the phone: sipmesh user password bob@example.com" in told
    failures = running.type("explain", "bob@example.com", "--json").json["failed_logins"]
    [failure] = [one for one in failures if one["server"] == FE1]  # another test fails as bob at the other server
    assert (failure["count"], failure["class"]) == (2, "wrong-password")


def test_user_that_does_not_exist_is_reported_with_the_nearest_name(running: Organisation) -> None:
    assert logs_in(running, "allice", "allice-secret") == 401
    code, told = explained(running, "allice")
    assert code == 1
    assert "allice@example.com is not a user" in told
    assert "unknown user" in told
    assert "→ did you mean alice@example.com? If not, add the user: sipmesh user add allice@example.com" in told
    left = running.type("explain", "alice@elsewhere.test")
    assert (left.code, "not a SIP domain of the topology" in left.err) == (1, True)


@pytest.mark.wide
def test_user_who_never_tried_gets_a_hint_where_to_look(organisation: Organisation) -> None:
    organisation.add_user("carol")
    organisation.serve(FE1)
    code, told = explained(organisation, "carol")
    assert code == 1
    assert f"no phone has tried this login at {FE1} since the start" in told
    organisation.stop()
    organisation.servers.clear()
    assert "no front end runs here" in explained(organisation, "carol")[1]


def test_registered_user_is_listed_with_server_link_contact_device_and_end(running: Organisation) -> None:
    async def scene() -> None:
        host, _, port = running.address(FE2).partition(":")
        trust = Trust.of_pem(running.root.read_bytes())
        async with UserAgent(f"alice@{DOMAIN}", "alice-secret", trust=trust) as alice:
            await alice.connect(host, int(port))
            assert (await alice.register(300)).status == 200
            told = await asyncio.to_thread(running.type, "registrations", "--json")
            [row] = [one for one in told.json if one["user"] == f"alice@{DOMAIN}"]
            assert row["server"] == FE2
            assert row["remote"] == f"127.0.0.1:{alice.link.local[1] if alice.link else 0}"
            assert row["user_agent"].startswith("sipmesh/")
            links = (await asyncio.to_thread(running.type, "links", "--json")).json
            assert row["link"] in {one["id"] for one in links if one["server"] == FE2 and "alice" in one["peer"]}
            shown = (await asyncio.to_thread(running.type, "registrations")).out
            assert f"{FE2}: 1 registration" in shown
            listed = await asyncio.to_thread(running.type, "user", "list", "--registered", "--json")
            assert [one["user"] for one in listed.json] == [f"alice@{DOMAIN}"]
            code, told_of = await asyncio.to_thread(explained, running, "alice")
            assert (code, "Registered:" in told_of, FE2 in told_of) == (0, True, True)

    asyncio.run(scene())
    assert [one for one in running.type("registrations", "--json").json if one["user"] == f"alice@{DOMAIN}"] == []
    assert "No user is registered" in running.type("user", "list", "--registered").out


def test_failed_logins_are_among_the_refusals_and_cannot_act_on_the_terminal(running: Organisation) -> None:
    hostile = ("user-agent", "\u202eevil\u200bx [red]")  # in all that a header field may hold
    assert logs_in(running, "bob", "wrong", hostile, server=FE2) == 401
    for command in (("links", "--refused"), ("links", "--refused", "--json"), ("explain", "bob@example.com")):
        told = running.type(*command).out
        assert dangerous(told) == []
        assert "wrong password" in told
        assert "evil" in told
    assert {one["user"] for one in running.type("links", "--refused", "--json").json["logins"]} >= {"bob@example.com"}


@pytest.mark.parametrize("what", ["bob@", "@example.com", "a b@example.com", "\x1b@example.com"])
def test_address_that_cannot_be_read_is_one_error(running: Organisation, what: str, tmp_path: Path) -> None:
    left = running.type("explain", what)
    assert left.code == 1
    assert left.err.startswith("error: ")
    assert dangerous(left.err + left.out) == []
    assert "Traceback" not in left.err
