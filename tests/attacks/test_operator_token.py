"""The token of an operator is never worth a key: each grant needs a security officer, by whichever way it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import PoolPlan
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.trust.role import Role
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.model_ports import model_port
from support.network import EDGE, FE1, FE3, FE4, POOL, POOL2
from support.running import on_loop
from support.tiers import wide_after

CHANGES: dict[str, tuple[str, list[str], str]] = {
    # what the operator writes into the draft: the part, its keys, and the key of the grant
    "store of users": ("network", ["storage.users=sqlite:///state/others.db"], "storage.users"),
    "store of registrations": ("network", ["storage.bindings=state/others.db"], "storage.bindings"),
    "store of messages": ("network", ["storage.messages=sqlite:///state/others.db"], "storage.messages"),
    "DNS servers": ("network", ["dns.servers=[192.0.2.66]"], "dns"),
    "media in the clear": ("network", ["media.default=any"], "media.default"),
    "presence for partners": ("network", ["presence.partners=allow"], "presence.partners"),
    "a relay for media": (
        "network",
        ["turn={servers: ['turn:turn.evil.test'], secret_file: secrets/turn}"],
        "turn.servers",
    ),
    "expired CRLs": ("network", ["authority.grace=168"], "authority.grace"),
    "log-ins by a provider": (
        "network",
        ["console.openid={issuer: 'https://evil.test', client_id: c, roles: [{value: x, role: viewer}]}"],
        "console.openid",
    ),
    "console for all networks": ("network", ["console.listen='0.0.0.0:8444'"], "console.listen"),
    "a backup pool": (POOL, [f"backup_pool={POOL2}"], "pools.backup_pool"),
    "logins of another pool": (POOL2, ["storage={bindings: state/others.db}"], "pools.storage"),
    "another private key": (FE1, ["key=servers/x.key", "certificate=servers/x.pem"], "pools.servers.key"),
    "a certificate for phones": (
        FE1,
        ["client_certificates=[{certificate: servers/x.pem, key: servers/x.key}]"],
        "pools.servers.client_certificates",
    ),
    "the address of management": (MGMT, ["address=127.0.0.9"], "pools.servers.address"),
}


@pytest.mark.parametrize("name", wide_after(5, CHANGES))
@on_loop
async def test_operator_publishes_no_grant_of_a_security_officer(tmp_path: Path, name: str) -> None:
    """Not by `publish`, and not by `apply`. The plan names the grant and its role to both."""
    part, changes, key = CHANGES[name]
    async with (
        management_with_console(tmp_path, PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4))) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        plan = await drafted(operator, part, changes)
        needed = {one["key"]: one["role"] for one in plan["grants"]}
        assert needed[key] == "security-officer"
        for way in ("publish", "apply"):
            refused = await published(operator, plan, way)
            assert (refused.status, network.number(MGMT)) == (409, 1), refused.text
            assert "needs the role security-officer" in refused.json["error"]
        seen = (await officer.get("/api/v1/plan")).json
        assert key in {one["key"] for one in seen["grants"]}, "the officer sees what the operator has written"


@on_loop
async def test_security_officer_publishes_what_an_operator_may_not(tmp_path: Path) -> None:
    """The control, with changes that a running network can follow. Each version with a grant has a line in the audit log."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        for number, name in enumerate(("media in the clear", "DNS servers", "presence for partners"), 2):
            part, changes, _ = CHANGES[name]
            plan = await drafted(operator, part, changes)
            assert (await published(operator, plan)).status == 409
            assert ((await published(officer, plan)).status, network.number(MGMT)) == (200, number)
        lines = (await officer.get("/api/v1/audit")).json["lines"]
        assert [line["about"]["number"] for line in lines if line["act"] == "grant"] == [4, 3, 2]
        assert len([line for line in lines if line["act"] == "refused"]) == 3


@on_loop
async def test_operator_brings_nothing_back_by_a_rollback(tmp_path: Path) -> None:
    """What was taken away since is given again by an old version. A security officer may go back, and so may `apply` itself."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        await give(network, officer, ["media.default=any"])
        plan = await drafted(operator, "network", ["media.default=encrypted-required"])
        assert (await published(operator, plan)).status == 200, "an operator may take away"
        back = {"version": 2, "base": 3, "why": "back"}
        refused = await operator.ask("POST", "/api/v1/rollback", json=back)
        assert (refused.status, network.number(MGMT)) == (409, 3)
        assert "media of the policy any" in refused.json["error"]
        assert (await officer.ask("POST", "/api/v1/rollback", json=back)).status == 200


@pytest.mark.parametrize(
    ("part", "first", "then", "key"),
    [
        ("network", ["numbers={per_user: {calls: 2}}"], ["numbers={}"], "numbers.per_user"),
        ("network", ["numbers={per_user: {calls: 2}}"], ["numbers={per_user: null}"], "numbers.per_user"),
        (POOL, ["sites=[a, b]", "numbers={sites: [{site: b, country: '33'}]}"], ["site=b"], "pools.site"),
    ],
    ids=["all numbers", "the bounds", "the site"],
)
@on_loop
async def test_operator_takes_away_no_bound_of_calls(
    tmp_path: Path, part: str, first: list[str], then: list[str], key: str
) -> None:
    """A part that is gone asks for nothing any more; a pool at another site has the dial plan and the routes of this site."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        await give(network, officer, first)
        plan = await drafted(operator, part, then)
        assert {one["key"]: one["role"] for one in plan["grants"]} == {key: "security-officer"}
        for way in ("publish", "apply"):
            refused = await published(operator, plan, way)
            assert (refused.status, network.number(MGMT)) == (409, 2), refused.text
        assert ((await published(officer, plan)).status, network.number(MGMT)) == (200, 3)


@on_loop
async def test_operator_does_daily_work(tmp_path: Path) -> None:
    """A new front end, a site, metrics: named in the plan where they give more, and published."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
    ):
        added = {"name": "fe9", "pool": POOL, "address": "127.0.0.1"}
        assert (await operator.ask("POST", "/api/v1/draft/add-server", json=added)).status == 200
        plan = await drafted(operator, FE1, ["metrics=9105"])
        assert {(one["key"], one["role"]) for one in plan["grants"]} == {
            ("pools.servers", "operator"),
            ("pools.servers.metrics", "operator"),
        }
        assert ((await published(operator, plan)).status, network.number(MGMT)) == (200, 2)


@on_loop
async def test_name_that_has_a_certificate_already_is_no_new_server(tmp_path: Path) -> None:
    """Such as a server that was removed while the CA could not revoke: its key would be a front end at once."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        network.organisation.ca.issue(("fe9.example.test", "bot.example.test"), Role.APPLICATION, datetime.now(UTC))
        added = {"name": "fe9", "pool": POOL, "address": "127.0.0.1"}
        assert (await operator.ask("POST", "/api/v1/draft/add-server", json=added)).status == 200
        plan = (await operator.get("/api/v1/plan")).json
        assert [(one["key"], one["role"]) for one in plan["grants"]] == [("pools.servers", "security-officer")]
        assert ((await published(operator, plan)).status, network.number(MGMT)) == (409, 1)
        assert ((await published(officer, plan)).status, network.number(MGMT)) == (200, 2)


@pytest.mark.parametrize(("server", "pool"), [(FE3, POOL), (EDGE, POOL), (FE4, EDGE)])
@on_loop
async def test_server_with_a_certificate_gets_no_other_pool_by_an_operator(
    tmp_path: Path, server: str, pool: str
) -> None:
    """A thief of the key of one server could act as another one, such as a front end that asserts each user."""
    async with (
        management_with_console(tmp_path, PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4))) as network,
        Visitor(network, "otto-token") as operator,
    ):
        network.edit(lambda document: move(document, server, pool))
        plan = (await operator.get("/api/v1/plan")).json
        assert "error" not in plan, plan
        [grant] = [one for one in plan["grants"] if one["key"] == "pools.servers"]
        assert grant["role"] == "security-officer"
        refused = await published(operator, plan, force=False)
        assert (refused.status, network.number(MGMT)) == (409, 1), refused.text


def move(document: dict[str, Any], server: str, pool: str) -> None:
    """Move a server into the pool that has the server or the name *pool*."""
    pools = document["pools"]
    [old] = [one for one in pools if any(member["name"] == server for member in one["servers"])]
    [new] = [one for one in pools if pool in (one["name"], *(member["name"] for member in one["servers"]))]
    entry = next(member for member in old["servers"] if member["name"] == server)
    old["servers"].remove(entry)
    new["servers"].append({"name": server, "address": entry["address"], "ports": {"server": model_port()}})
    if not old["servers"]:
        pools.remove(old)


async def drafted(operator: Visitor, part: str, changes: list[str]) -> Mapping[str, Any]:
    """Change the draft by the API; returns the plan."""
    done = await operator.ask("POST", "/api/v1/draft/change", json={"name": part, "changes": changes})
    assert done.status == 200, done.text
    plan: Mapping[str, Any] = (await operator.get("/api/v1/plan")).json
    assert "error" not in plan, plan
    return plan


async def published(operator: Visitor, plan: Mapping[str, Any], way: str = "publish", *, force: bool = False) -> Answer:
    given = {"why": "why not", "base": plan["base"], "digest": plan["digest"], "force": force}
    return await operator.ask("POST", f"/api/v1/{way}", json=given)


async def give(network: Managed, officer: Visitor, changes: list[str]) -> None:
    before = network.number(MGMT)
    plan = await drafted(officer, "network", changes)
    assert ((await published(officer, plan)).status, network.number(MGMT)) == (200, before + 1)
    assert (network.organisation.folder / DRAFT).exists()


@pytest.mark.parametrize("way", ["publish", "apply"])
@on_loop
async def test_change_of_an_operator_goes_along_with_no_publication_of_the_host(tmp_path: Path, way: str) -> None:
    """The user of the management host may publish all. The operator adds a grant between the plan and the publication."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await drafted(operator, "network", ["authority.grace=1"])
        seen = network_plan(await network.type("topology", "plan", "--json"))
        await drafted(operator, "network", ["media.default=any"])
        told = await network.type("topology", way, "-m", "a word", "--wait", "0", "--plan", seen, code=1)
        assert "not that of the plan that you have read" in told
        told = await network.type("topology", way, "-m", "a word", "--wait", "0", code=1)
        assert "operators of the console may have changed the draft, and may not publish this: " in told
        assert "; calls may have media of the policy any; read the plan" in told
        assert network.number(MGMT) == 1
        read = network_plan(await network.type("topology", "plan", "--json"))
        await network.type("topology", "publish", "-m", "a word", "--wait", "0", "--plan", read)
        assert network.number(MGMT) == 2


def network_plan(printed: str) -> str:
    """Return the name of a plan, as a script makes it from the JSON output."""
    plan = json.loads(printed)
    return f"{plan['base']}-{plan['digest']}"


@on_loop
async def test_what_an_operator_may_publish_is_published_without_a_name(tmp_path: Path) -> None:
    """The control: a draft gives the operator nothing that the operator could not publish."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await drafted(operator, "network", ["media.default=encrypted-required"])
        await network.type("topology", "publish", "-m", "media", "--wait", "0")
        assert network.number(MGMT) == 2
