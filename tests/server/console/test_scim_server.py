"""SCIM over real HTTPS: what clients of identity providers send, and each attack with the right request beside it."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sipmesh.server.console.scim_server import LARGEST
from support.console import Visitor
from support.network import FE1
from support.running import within
from support.scim import TOKEN, USER, adopted, scim_client, scim_network, users_of

LOCAL = {"alice", "bob"}


@within(150.0)
async def test_user_is_added_changed_renamed_disabled_enabled_and_removed(tmp_path: Path) -> None:
    """The shapes are those that Entra sends: operations with capitals, and truth values as text."""
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        assert (await client.ask("GET", "/Users?filter=userName%20eq%20%22carol%40example.test%22"))[1][
            "totalResults"
        ] == 0
        carol = await client.add(
            "Carol@example.test",
            externalId="0a1b",
            displayName="Carol",
            phoneNumbers=[{"type": "work", "value": "tel:+49 30 1234"}, {"type": "fax", "value": "+49309"}],
            **{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"}},
        )
        assert users_of(network)["carol"].aliases == ("tel:+49301234",)
        status, found = await client.ask("GET", '/Users?filter=externalId+eq+"0a1b"')
        assert (status, found["Resources"][0]["id"], found["Resources"][0]["userName"]) == (
            200,
            carol,
            "Carol@example.test",
        )
        path = f"/Users/{carol}"
        assert (await client.patch(path, {"op": "Replace", "path": "userName", "value": "caroline@example.test"}))[
            0
        ] == 200
        assert set(users_of(network)) == {*LOCAL, "caroline"}
        assert set(users_of(network)["caroline"].aliases) == {"sip:carol@example.test", "tel:+49301234"}
        status, changed = await client.patch(path, {"op": "Replace", "path": "active", "value": "False"})
        assert (status, changed["active"]) == (200, False)
        assert users_of(network)["caroline"].disabled is not None
        assert (await client.patch(path, {"op": "replace", "value": {"id": carol, "active": True}}))[0] == 200
        assert users_of(network)["caroline"].disabled is None
        added = {"op": "Add", "path": 'emails[type eq "work"].value', "value": "c.smith@example.test"}
        assert (await client.patch(path, added))[1]["emails"] == [{"type": "work", "value": "c.smith@example.test"}]
        assert "sip:c.smith@example.test" in users_of(network)["caroline"].aliases
        assert (await client.ask("DELETE", path))[0] == 204
        assert (await client.ask("GET", path))[0] == 404
        assert users_of(network)["caroline"].disabled is not None
        lines = [line.about for line in network.master.management_db.audit.read() if line.who == "entra (SCIM)"]
        assert [line["directory"] for line in lines] == ["add", "rename", "disable", "enable", "update", "disable"]


@within(150.0)
async def test_same_person_comes_back_with_the_external_id(tmp_path: Path) -> None:
    """A removed user keeps numbers and name; for another person of the same name an operator decides."""
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        carol = await client.add("carol", externalId="c")
        await client.ask("DELETE", f"/Users/{carol}")
        status, refused = await client.ask(
            "POST", "/Users", {"schemas": [USER], "userName": "carol", "externalId": "d"}
        )
        assert (status, refused["scimType"]) == (409, "uniqueness")
        assert "sipmesh directory adopt carol@example.test" in refused["detail"]
        assert await client.add("carol", externalId="c") == carol
        assert users_of(network)["carol"].disabled is None


@within(150.0)
async def test_what_another_user_has_is_never_taken_over_and_the_client_gets_the_reason(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        assert "alice@example.test" in await network.type("user", "alias", "add", "alice", "+49301")
        dave = await client.add("dave", phoneNumbers=[{"value": "+49302"}])
        before = users_of(network)
        told = {
            "alice": "is a local user, who stays as before",
            "dave": "another user has the userName dave, and keeps it",
            "dave@example.test": "another user has the userName dave@example.test, and keeps it",
        }
        for name, why in told.items():
            status, refused = await client.ask("POST", "/Users", {"schemas": [USER], "userName": name, "active": True})
            assert (status, refused["scimType"], why in refused["detail"]) == (409, "uniqueness", True), refused
        for number, owner in (("+49301", "alice"), ("+49302", "dave")):
            body = {"schemas": [USER], "userName": "eve", "phoneNumbers": [{"value": number}]}
            status, refused = await client.ask("POST", "/Users", body)
            assert (status, f"is a name of {owner}@example.test, who keeps it" in refused["detail"]) == (409, True)
        status, refused = await client.patch(f"/Users/{dave}", {"op": "replace", "path": "userName", "value": "bob"})
        assert (status, "is a name of bob@example.test" in refused["detail"]) == (409, True), refused
        assert users_of(network) == before
        await client.add("eve", phoneNumbers=[{"value": "+49303"}])
        one = await adopted(network, client, "alice")
        assert (await client.patch(f"/Users/{one}", {"op": "add", "path": "externalId", "value": "a"}))[0] == 200
        assert users_of(network)["alice"] == before["alice"]


@within(150.0)
async def test_client_that_deletes_all_users_is_stopped_until_an_operator_accepts_it(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        ids = [await client.add(f"u{n}") for n in range(10)]
        answers = [await client.ask("DELETE", f"/Users/{one}") for one in ids]
        assert [status for status, _ in answers] == [204, 204, *[403] * 8]
        assert "2 of 10 users have lost their access" in answers[2][1]["detail"]
        assert sum(user.disabled is None for user in users_of(network).values()) == 8 + len(LOCAL)
        (fault,) = network.master.own_faults.of_pool()
        assert "sipmesh directory apply --accept-loss" in fault.what
        assert (await client.patch(f"/Users/{ids[5]}", {"op": "replace", "path": "displayName", "value": "Five"}))[
            0
        ] == 200
        assert "For one hour" in await network.type("directory", "apply", "--accept-loss")
        assert network.master.own_faults.of_pool() == []
        assert [(await client.ask("DELETE", f"/Users/{one}"))[0] for one in ids[2:]] == [204] * 8


@within(150.0)
async def test_tokens_allow_what_they_are_for_alone(tmp_path: Path) -> None:
    """An operator's token does not write users, and the SCIM client's token opens no part of the API."""
    async with scim_network(tmp_path) as network:
        for token in ("", "sona-token", "wrong", f"{TOKEN}x"):
            async with scim_client(network, token) as client:
                status, refused = await client.ask("GET", "/Users")
                assert (status, refused["status"]) == (401, "401")
                assert refused["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        async with Visitor(network, TOKEN) as visitor:
            assert (await visitor.get("/api/v1/users")).status == 401
        async with Visitor(network, "sona-token") as visitor:
            assert (await visitor.get("/api/v1/users")).status == 200
        async with scim_client(network) as client:
            assert (await client.ask("GET", "/Users"))[0] == 200


@within(150.0)
async def test_withdrawn_token_is_refused(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        assert (await client.ask("GET", "/Users"))[0] == 200
        await network.publish(lambda document: document["scim"].update(tokens=[]))
        assert (await client.ask("GET", "/Users"))[0] == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"schemas": [USER]}, "invalidValue"),
        ({"schemas": [USER], "userName": "a b"}, "invalidValue"),
        ({"schemas": [USER], "userName": "carol+desk"}, "invalidValue"),
        ({"schemas": [USER], "userName": "carol@elsewhere.test"}, "invalidValue"),
        ({"schemas": [USER], "userName": ["carol"]}, "invalidValue"),
        ({"schemas": [USER], "userName": "carol", "active": "perhaps"}, "invalidValue"),
        ([], "invalidSyntax"),
        ("[" * 20_000, "invalidSyntax"),
    ],
)
@within(150.0)
async def test_user_who_can_be_none_here_is_refused(tmp_path: Path, body: Any, kind: str) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        status, refused = await client.ask("POST", "/Users", body)
        assert (status, refused.get("scimType")) == (400, kind), refused
        await client.add("carol")
        assert set(users_of(network)) == {*LOCAL, "carol"}


@within(150.0)
async def test_requests_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        carol = await client.add("carol")
        nested = "(" * 90 + 'userName eq "carol"' + ")" * 90
        for text in ("userName sw", 'userName co "c"', 'password eq "x"', 'userName eq "a" or userName eq "b"'):
            status, refused = await client.ask("GET", f"/Users?filter={text}")
            assert (status, refused["scimType"]) == (400, "invalidFilter"), refused
        assert (await client.ask("GET", f"/Users?filter={nested}"))[1]["totalResults"] == 1
        hostile = 'x" or userName eq "carol'
        assert (await client.ask("GET", "/Users?filter=" + f"userName eq {json.dumps(hostile)}"))[1][
            "totalResults"
        ] == 0
        assert (await client.ask("GET", f"/Groups/{carol}"))[0] == 404
        assert (await client.ask("POST", "/Bulk", {}))[0] == 404
        large = io.BytesIO(b" " * (LARGEST + 1))
        assert (await client.visitor.ask("POST", "/scim/v2/Users", data=large)).status == 413
        stale = await client.answer("PUT", f"/Users/{carol}", {"schemas": [USER], "userName": "x"}, If_Match='W/"7"')
        assert stale.status == 412
        assert (await client.ask("PUT", f"/Users/{carol}", {"schemas": [USER], "userName": "x"}, If_Match='W/"1"'))[
            0
        ] == 200
        assert (await client.patch("/Users/" + carol, {"op": "remove", "path": "userName"}))[0] == 400
        assert set(users_of(network)) == {*LOCAL, "x"}


@within(150.0)
async def test_pages_have_all_users_once(tmp_path: Path) -> None:
    async with scim_network(tmp_path) as network, scim_client(network) as client:
        ids = {await client.add(f"u{n}") for n in range(5)}
        found = []
        for start in (1, 3, 5, 7):
            status, page = await client.ask("GET", f"/Users?startIndex={start}&count=2")
            assert (status, page["totalResults"], page["startIndex"]) == (200, 5, start)
            found += [one["id"] for one in page.get("Resources", ())]
        assert (set(found), len(found)) == (ids, 5)
        assert (await client.ask("GET", "/Users?count=0"))[1]["itemsPerPage"] == 0


@within(150.0)
async def test_phone_of_a_disabled_user_is_out_at_once_and_its_certificate_is_revoked(tmp_path: Path) -> None:
    """Out within a second; the bound is ten times the promise."""
    async with scim_network(tmp_path, FE1) as network, scim_client(network) as client:
        one = await adopted(network, client, "alice")
        phone, other = await network.agent("alice", FE1), await network.agent("bob", FE1)
        assert [(await one.register()).status for one in (phone, other)] == [200, 200]
        began = asyncio.get_running_loop().time()
        assert (await client.patch(f"/Users/{one}", {"op": "Replace", "path": "active", "value": "False"}))[0] == 200
        await phone.gone()
        assert asyncio.get_running_loop().time() - began < 10.0
        assert (await other.register()).status == 200
