"""A token says where it is used; without enrolment in the topology none is made."""

from __future__ import annotations

from pathlib import Path

from support.console import Visitor, management_with_console
from support.enrolling import EST, enrolling, token
from support.managed import MGMT
from support.network import FE1
from support.running import on_loop


@on_loop
async def test_token_names_the_protocols_that_are_on(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        made = await token(network)
        assert (made["est"], made["acme"]) == ("", f"https://{MGMT}:{visitor.port}/acme/directory")
        await network.publish(lambda document: document["console"]["enrolment"].update(protocols=["est"]))
        made = await token(network)
        assert (made["est"], made["acme"]) == (f"https://{MGMT}:{visitor.port}{EST}", "")


@on_loop
async def test_no_token_is_made_without_enrolment(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "sona-token") as officer:
        refused = await officer.ask("POST", "/api/v1/enrol", json={"server": FE1})
        assert (refused.status, "add `enrolment: {protocols: [est, acme]}`" in refused.text) == (409, True)
        assert network.master.management_db.enrolment_tokens.open_tokens(0) == []


@on_loop
async def test_security_officer_makes_a_token_in_the_console(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        assert 'href="/enrol"' in (await officer.get("/certificates")).text
        await officer.get("/enrol")
        done = await officer.post("/enrol", server=FE1)
        assert (done.status, f"{FE1} may enrol until" in done.text) == (200, True)


@on_loop
async def test_token_is_for_a_server_or_for_a_device_of_a_known_user(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network, "sona-token") as officer:
        for given in (
            {"user": "alice"},
            {"server": FE1, "user": "alice", "device": "desk"},
            {"user": "eve", "device": "desk"},
        ):
            assert (await officer.ask("POST", "/api/v1/enrol", json=given)).status == 409
        made = (await officer.ask("POST", "/api/v1/enrol", json={"user": "alice", "device": "desk"})).json
        assert made["server"] == "alice@example.test/desk"
