"""What a SCIM client whose token a thief has, and a stranger, can do to the users; the control is the client's right request."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.user_database import Users
from support.console import Answer, Visitor
from support.managed import Managed
from support.running import on_loop, within
from support.scim import PATCH, TOKEN, USER, ScimClient, scim_client, scim_network, users_of
from support.tiers import wide_after

DEEP = 100_000
JSON = {"Content-Type": "application/scim+json"}


async def raw(visitor: Visitor, method: str, path: str, body: bytes) -> Answer:
    """Send octets as a body."""
    return await visitor.ask(method, f"/scim/v2{path}", data=body, headers=JSON)


async def has_access(network: Any) -> set[str]:
    """Give the users who may log in."""
    return {name for name, user in users_of(network).items() if user.disabled is None}


async def ends(client: ScimClient, way: str, one: str) -> int:
    """End the access of a user in one way; gives the status."""
    if way == "delete":
        return (await client.ask("DELETE", f"/Users/{one}"))[0]
    if way == "disable":
        return (await client.patch(f"/Users/{one}", {"op": "replace", "path": "active", "value": False}))[0]
    status, user = await client.ask("GET", f"/Users/{one}")
    assert status == 200
    return (
        await client.ask("PUT", f"/Users/{one}", {"schemas": [USER], "userName": user["userName"], "active": False})
    )[0]


def made_old(network: Managed, by: timedelta = timedelta(days=2)) -> None:
    """Let all users be there for some time."""
    database = Users(network.organisation.load().users_url)
    with database.locked() as db:
        db.execute(tables.USERS.update().values(created=datetime.now(UTC) - by))
    database.close()


@pytest.mark.parametrize("way", ["delete", "disable", "replace"])
@within(150.0)
async def test_users_are_not_ended_in_small_steps_between_decoys(tmp_path: Path, way: str) -> None:
    """A thief adds users of the own, so that each loss is a small part of all."""
    async with scim_network(tmp_path, most_loss=30) as network, scim_client(network) as client:
        real = [await client.add(f"user{n}@example.test", externalId=f"r{n}") for n in range(10)]
        made_old(network)
        statuses = list[int]()
        for number, one in enumerate(real):
            for decoy in range(4):
                await client.add(f"decoy{number}-{decoy}@example.test")
            statuses.append(await ends(client, way, one))
        left = {name for name in await has_access(network) if name.startswith("user")}
        assert (len(left), statuses[0]) == (7, 204 if way == "delete" else 200), statuses


@pytest.mark.parametrize("order", wide_after(1, ["first", "last", "both ends"]))
@within(150.0)
async def test_users_of_the_same_day_are_not_ended_between_decoys(tmp_path: Path, order: str) -> None:
    """On the first day all users are new, those of a thief are newer. The client itself ends as many as the bound allows."""
    async with scim_network(tmp_path, most_loss=30) as network, scim_client(network) as client:
        real = [await client.add(f"user{n}@example.test", externalId=f"r{n}") for n in range(10)]
        made_old(network, timedelta(hours=5))
        ordered = {"first": real, "last": real[::-1], "both ends": [*real[:5], *real[:4:-1]]}[order]
        statuses = list[int]()
        for number, one in enumerate(ordered):
            for decoy in range(4):
                made = await client.add(f"decoy{number}-{decoy}@example.test")
            await ends(client, "delete", made)
            statuses.append(await ends(client, "disable", one))
        left = {name for name in await has_access(network) if name.startswith("user")}
        assert (len(left), statuses) == (7, [200] * 3 + [403] * 7)


@on_loop
async def test_users_who_are_enabled_again_still_count_as_lost(tmp_path: Path) -> None:
    """To disable a user ends the passwords and certificates of the devices, which enabling does not bring back."""
    async with scim_network(tmp_path, most_loss=30) as network, scim_client(network) as client:
        statuses = []
        for one in [await client.add(f"user{n}@example.test") for n in range(10)]:
            statuses.append(await ends(client, "disable", one))
            assert (await client.patch(f"/Users/{one}", {"op": "replace", "path": "active", "value": True}))[0] == 200
        assert statuses == [200] * 3 + [403] * 7
        assert {f"user{n}" for n in range(10)} <= await has_access(network)


@on_loop
async def test_users_are_not_renamed_away_from_their_phones(tmp_path: Path) -> None:
    """A new name ends the passwords and certificates of a user as a disabled account does, so it counts as such."""
    async with scim_network(tmp_path, most_loss=30) as network, scim_client(network) as client:
        ids = [await client.add(f"user{n}@example.test") for n in range(10)]
        statuses = [
            (await client.patch(f"/Users/{one}", {"op": "replace", "path": "userName", "value": f"x{n}@example.test"}))[
                0
            ]
            for n, one in enumerate(ids)
        ]
        assert statuses == [200] * 3 + [403] * 7


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "a text": b'"x"',
    "no UTF-8": b"\xff\xfe{}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a number too large": b'{"schemas":["' + USER.encode() + b'"],"userName":' + b"9" * 5_000 + b"}",
    "not a number": b'{"schemas":["' + USER.encode() + b'"],"userName":"a@example.test","active":NaN}',
    "a NUL": json.dumps({"schemas": [USER], "userName": "a\x00b@example.test"}).encode(),
    "a lone surrogate": b'{"schemas":["' + USER.encode() + b'"],"userName":"\\ud800@example.test"}',
    "a long name": json.dumps({"schemas": [USER], "userName": "a" * 100_000}).encode(),
    "a class of users": json.dumps({"schemas": [USER], "userName": {"__class__": "x"}}).encode(),
}


@on_loop
async def test_bodies_of_a_thief_are_refused_with_words_and_the_next_request_is_served(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        one = await client.add("carol@example.test")
        answers = dict[str, int]()
        for name, body in BODIES.items():
            answers[name] = (await raw(client.visitor, "POST", "/Users", body)).status
            for method in ("PUT", "PATCH"):
                answers[f"{name}, {method}"] = (await raw(client.visitor, method, f"/Users/{one}", body)).status
        assert {name: status for name, status in answers.items() if status not in {400, 409, 413}} == {}
        large = await client.visitor.ask(
            "POST", "/scim/v2/Users", data=io.BytesIO(b" " * (1 << 20) + b"{}"), headers=JSON
        )
        assert large.status == 413
        assert await has_access(network) == {"alice", "bob", "carol"}
        assert (await client.ask("GET", f"/Users/{one}"))[0] == 200


PATHS = {
    "deep parentheses": "(" * 5_000 + "active" + ")" * 5_000,
    "deep filters": "emails[" * 2_000 + "type eq 1" + "]" * 2_000,
    "a long filter": "emails[" + " or ".join('type eq "a"' for _ in range(5_000)) + "].value",
    "another user": "/Users/2",
    "the id": "id",
    "the schemas": "schemas",
    "private": "__class__.__init__",
    "dots": ".".join(["a"] * 10_000),
}


@on_loop
async def test_paths_of_a_thief_change_nothing(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        one = await client.add("carol@example.test")
        before = (await client.ask("GET", f"/Users/{one}"))[1]
        statuses = {
            name: (await client.patch(f"/Users/{one}", {"op": "replace", "path": path, "value": "x"}))[0]
            for name, path in PATHS.items()
        }
        assert all(status < 500 for status in statuses.values()), statuses
        after = (await client.ask("GET", f"/Users/{one}"))[1]
        assert {key: value for key, value in after.items() if key != "meta"} == {
            key: value for key, value in before.items() if key != "meta"
        }, statuses
        for name, path in PATHS.items():
            answer = await client.visitor.ask("GET", "/scim/v2/Users", params={"filter": path[:7_000]})
            assert 400 <= answer.status < 500, name


@on_loop
async def test_of_two_changes_with_one_entity_tag_one_counts(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client, scim_client(network) as other:
        one = await client.add("carol@example.test")
        tag = str((await client.ask("GET", f"/Users/{one}"))[1]["meta"]["version"])
        changes = [
            {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": name}]}
            for name in ("one", "two")
        ]
        answers = await asyncio.gather(
            *(
                sender.ask("PATCH", f"/Users/{one}", change, If_Match=tag)
                for sender, change in zip((client, other), changes, strict=True)
            )
        )
        assert sorted(status for status, _ in answers) == [200, 412]


@on_loop
async def test_attributes_of_rank_give_no_right_here(tmp_path: Path) -> None:
    """Neither roles, nor entitlements, nor the name of a group that no rule has; the token opens no page of operators."""
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        one = await client.add(
            "carol@example.test",
            roles=[{"value": "security-officer", "primary": True}],
            entitlements=[{"value": "operator"}],
            userType="security-officer",
        )
        for name in ("operator", "security-officer", "Domain Admins", "pool1.example.test"):
            await client.group(name, one)
        carol = users_of(network)["carol"]
        assert (carol.pool, carol.calls.as_json()) == (None, {})
        for path in ("/api/v1/users", "/api/v1/status"):
            assert (await client.visitor.get(path)).status == 401


@on_loop
async def test_users_of_operators_are_not_taken_by_any_request(tmp_path: Path) -> None:
    """Not by a name, an alias, a rename, or a member of a group; a replay of the end of another user ends no further user."""
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        one = await client.add("carol@example.test")
        for name in (
            "alice@example.test",
            "ALICE@example.test",
            "alice",
            "%61lice@example.test",
            "sip:alice@example.test",
        ):
            status, _ = await client.ask("POST", "/Users", {"schemas": [USER], "userName": name, "active": False})
            assert status in {400, 409}, name
            renamed = await client.patch(f"/Users/{one}", {"op": "replace", "path": "userName", "value": name})
            assert renamed[0] in {400, 409}, name
        mail = [{"value": "alice@example.test", "primary": True}]
        await client.patch(f"/Users/{one}", {"op": "replace", "path": "emails", "value": mail})
        assert users_of(network)["carol"].aliases == ()
        assert (await client.ask("DELETE", f"/Users/{one}"))[0] == 204
        assert [(await client.ask("DELETE", f"/Users/{one}"))[0] for _ in range(3)] == [404] * 3
        assert await has_access(network) == {"alice", "bob"}


@on_loop
async def test_stranger_learns_and_changes_nothing(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        one = await client.add("carol@example.test")
        answers = set[int]()
        for token in ("", "x", TOKEN[:-1], f"{TOKEN}x", "sona-token"):
            async with scim_client(network, token) as stranger:
                answers.add((await stranger.ask("DELETE", f"/Users/{one}"))[0])
                answers.add((await stranger.answer("GET", "/Users")).status)
        assert answers <= {401, 429}
        assert (await client.ask("GET", f"/Users/{one}"))[0] == 200
