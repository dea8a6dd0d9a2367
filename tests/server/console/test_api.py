"""The HTTP API: each operation, and what each role may not do."""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from sipmesh.demo.ports import HOST
from sipmesh.server.console.access import guard
from sipmesh.server.console.operations import TABLE, Operations
from sipmesh.topology.document.operators.console_role import ConsoleRole
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT
from support.network import EDGE, FE1
from support.running import on_loop, until

READS = [
    operation
    for operation in TABLE
    if not operation.changes and not any(field.is_required() for field in operation.given.model_fields.values())
]


@on_loop
async def test_every_reading_operation_answers_those_with_its_role_and_no_stranger(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network) as stranger,
    ):
        for operation in READS:
            path = f"/api/v1/{operation.path}"
            answers = [(await visitor.get(path)).status for visitor in (viewer, operator, stranger)]
            assert answers == [200 if operation.role is ConsoleRole.VIEWER else 403, 200, 401], path
        version = await viewer.get("/api/v1/version?version=1")
        assert (
            "sip_domains" in version.json["result"]["topology"]
            if "result" in version.json
            else version.json["topology"]
        )


@on_loop
async def test_parameters_that_do_not_fit_are_refused_in_words(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        for query in ("", "version=x", "version=0", "version=1&further=1", f"version={2**70}", "version=1&version=x"):
            refused = await operator.get(f"/api/v1/version?{query}")
            assert (refused.status, "parameters cannot be read" in refused.json["error"]) == (400, True), query
        assert (await operator.get("/api/v1/version?version=99")).status == 409
        assert (await operator.get("/api/v1/explain?id=nothing")).status == 409
        for body in ({}, {"name": 7}, {"name": ""}, {"name": "a.test", "who": "ada"}):
            assert (await operator.ask("POST", "/api/v1/block", json=body)).status == 400
        assert (await operator.ask("POST", "/api/v1/block", json=[])).status == 400
        assert (await operator.get("/api/v1/block")).status == 405


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
PATHS = (
    *(f"/api/v1/{operation.path}" for operation in TABLE),
    "/api/v1/openapi.json",
    "/api",
    "/api/",
    "/api/v2/status",
)
PATHS += ("/api/v1", "/api/v1/", "/api/v1/status/", "/%61pi/v1/nothing", "/api//v1/status", "/api/v1/..%2f..%2flogin")
REQUESTS: tuple[dict[str, Any], ...] = (
    {},
    {"data": b"[", "headers": {"Content-Type": "application/json"}},
    {"data": b"x" * 70_000, "headers": {"Content-Type": "application/json"}},
    {"data": b"x", "headers": {"Content-Type": "text/plain"}},
    {"headers": {"Expect": "the unexpected"}},
    {"headers": {"Authorization": "Bearer wrong"}},
    {"headers": {"Host": "evil.test"}},
    {"headers": {"Sec-Fetch-Site": "cross-site"}},
)


def must_be_a_refusal(status: int, kind: str, body: bytes, case: object) -> None:
    assert kind == "application/json", (status, kind, body, case)
    refusal = json.loads(body)
    assert set(refusal) == {"error", "problems"}, (status, refusal, case)
    assert refusal["error"], (status, case)


@on_loop
async def test_every_refusal_is_the_json_object_that_the_page_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that refuse: the router, the guard, the reader of the body, an operation, the limits; each method at each path."""
    monkeypatch.setattr(guard, "REQUESTS_A_MINUTE", 10_000)
    seen: set[int] = set()
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        for path, method in product(PATHS, METHODS):
            given = REQUESTS[zlib.crc32(f"{method} {path}".encode()) % len(REQUESTS)]
            for one in (given, {}):
                answer = await viewer.session.request(
                    method, URL(path, encoded=True), server_hostname=MGMT, allow_redirects=False, **one
                )
                body = await answer.read()
                seen.add(answer.status)
                if answer.status >= 400 and method != "HEAD":
                    must_be_a_refusal(answer.status, answer.content_type, body, (method, path, one))
                assert "Content-Security-Policy" in answer.headers, (method, path, one)
        for _ in range(guard.FAILURES_A_MINUTE + 1):
            refused = await viewer.get("/api/v1/status", headers={"Authorization": "Bearer wrong"})
        must_be_a_refusal(refused.status, "application/json", refused.text.encode(), "")
    assert {400, 401, 403, 404, 405, 413, 415, 417, 421} <= seen
    assert refused.status == 429


@on_loop
async def test_what_the_parser_refuses_is_json_too_and_says_nothing_of_the_request(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        for sent, status in (
            (b"GET / HTTP/9.9 secret\r\n\r\n", 400),
            (b"secret\r\n\r\n", 400),
            (b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\nX: " + b"secret" * 2_000 + b"\r\n\r\n", 431),
            (b"GET /api/v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: secret\r\n\r\n", 400),
            (b"POST /api/v1/block HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: secret\r\n\r\n", 400),
        ):
            trusted = ssl.create_default_context(cafile=str(network.organisation.root))
            reader, writer = await asyncio.open_connection(HOST, viewer.port, ssl=trusted, server_hostname=MGMT)
            writer.write(sent)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert int(head.split()[1]) == status, (sent[:60], head)
            assert b"content-type: application/json" in head.lower()
            must_be_a_refusal(status, "application/json", body, sent[:60])
            assert b"secret" not in body
            writer.close()
        assert (await viewer.get("/api/v1/status")).status == 200


@on_loop
async def test_fault_of_ours_is_refused_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        with monkeypatch.context() as patched:
            patched.setattr(Operations, "run", fails)
            answer = await viewer.get("/api/v1/status")
            must_be_a_refusal(answer.status, answer.headers["Content-Type"].partition(";")[0], answer.text.encode(), "")
            assert answer.status == 500
        network.told[MGMT].lines.clear()  # this fault was wanted


@on_loop
async def test_repeated_key_of_a_body_is_refused(tmp_path: Path) -> None:
    """Which of two values counts is another answer for each parser: a proxy may have checked the other one."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        kind = {"Content-Type": "application/json"}
        for body in (
            b'{"name": "a.test", "name": "b.test"}',
            b'{"name": "a.test", "n\\u0061me": "b.test"}',
            b'{"name": NaN}',
        ):
            refused = await operator.ask("POST", "/api/v1/block", data=body, headers=kind)
            assert refused.status == 400, body
        assert network.number(MGMT) == 1
        assert (await operator.ask("POST", "/api/v1/block", data=b'{"name": "a.test"}', headers=kind)).status == 200


@on_loop
async def test_each_role_may_do_its_part_only(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        block = {"name": "evil.test"}
        assert (await viewer.ask("POST", "/api/v1/block", json=block)).status == 403
        assert network.number(MGMT) == 1
        done = await operator.ask("POST", "/api/v1/block", json=block)
        assert (done.status, network.number(MGMT)) == (200, 2)
        back = {"version": 1, "base": 2, "why": "not yet"}
        assert (await viewer.ask("POST", "/api/v1/rollback", json=back)).status == 403
        assert (await operator.ask("POST", "/api/v1/rollback", json={**back, "force": True})).status == 403
        refused = await operator.ask("POST", "/api/v1/rollback", json=back)
        assert (refused.status, "evil.test is no longer blocked" in refused.json["error"]) == (409, True)
        assert (await officer.ask("POST", "/api/v1/rollback", json=back)).status == 200
        serial = await _serial(viewer, FE1)
        for visitor in (viewer, operator):
            assert (await visitor.ask("POST", "/api/v1/revoke", json={"serial": serial})).status == 403
        revoked = await officer.ask("POST", "/api/v1/revoke", json={"serial": serial, "reason": "key-compromise"})
        assert revoked.status == 200, revoked.text
        lines = _result(await viewer.get("/api/v1/audit"))
        assert lines["faults"] == []
        acts = [(line["who"], line["act"]) for line in lines["lines"][:6]]
        by_sona = [("sona (API)", act) for act in ("revoke", "grant", "rollback")]
        by_otto = [
            ("otto (API)", act) for act in ("refused", "draft", "block")
        ]  # a block is written into the draft too
        assert acts == [*by_sona, *by_otto]


@on_loop
async def test_certificate_that_is_revoked_in_the_console_counts_at_once_on_every_server(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "sona-token") as officer:
        await network.start(FE1)
        await network.acknowledged(1)
        links = network.nodes[MGMT].pool
        await until(lambda: any(link.peer_name == FE1 for link in links.all()))
        serial = await _serial(officer, FE1)
        revoked = await officer.ask("POST", "/api/v1/revoke", json={"serial": serial})
        assert _result(revoked)["server"] == FE1
        await until(lambda: not any(link.peer_name == FE1 and link.verdict for link in links.all()))


@on_loop
async def test_draft_is_planned_published_and_refused_when_it_has_changed(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        network.edit(lambda document: document.update(presence={"inside": "block"}))
        plan = _result(await operator.get("/api/v1/plan"))
        given = {"why": "nobody watches", "base": plan["base"], "digest": plan["digest"]}
        network.edit(lambda document: document.update(presence={"inside": "allow"}))
        changed = await operator.ask("POST", "/api/v1/publish", json=given)
        assert (changed.status, "has changed since it was compared" in changed.json["error"]) == (409, True)
        network.edit(lambda document: document.update(presence={"inside": "block"}))
        done = await operator.ask("POST", "/api/v1/publish", json=given)
        assert (done.status, network.number(MGMT)) == (200, 2), done.text


@on_loop
async def test_token_counts_until_a_version_without_it_is_in_force(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        assert (await viewer.get("/api/v1/status")).status == 200

        def remove(document: dict[str, Any]) -> None:
            document["console"]["operators"] = document["console"]["operators"][1:]

        await network.publish(remove)
        assert (await viewer.get("/api/v1/status")).status == 401


async def _serial(visitor: Visitor, server: str) -> str:
    entries = _result(await visitor.get("/api/v1/certificates"))["entries"]
    entry = next(entry for entry in entries if (entry["what"], entry["name"]) == ("server", server))
    serial: str = (entry["in_use"] or entry["on_disk"])["number"]
    return serial


def _result(answer: Any) -> Any:
    assert answer.status == 200, answer.text
    return answer.json


@on_loop
@pytest.mark.wide
async def test_operator_has_servers_probe_their_links_and_a_viewer_does_not(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        await network.start(FE1, EDGE)
        await network.acknowledged(1, FE1, EDGE)
        asked = {"links": {FE1: [EDGE], EDGE: [FE1]}}
        assert (await viewer.ask("POST", "/api/v1/probe", json=asked)).status == 403
        refused: list[Any] = [{}, {"links": {}}, {"links": {FE1: []}}, {**asked, "wait_s": 600}]
        for wrong in refused:
            assert (await operator.ask("POST", "/api/v1/probe", json=wrong)).status == 400
        probed = await operator.ask("POST", "/api/v1/probe", json=asked)
        assert [(one["server"], one["target"], one["passed"]) for one in probed.json] == [
            (FE1, EDGE, True),
            (EDGE, FE1, True),
        ]


@on_loop
async def test_operator_gives_no_access_by_a_publication_or_by_going_back(tmp_path: Path) -> None:
    """Otto, once a security officer, goes back to the version in which he was one; a security officer may."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as otto,
        Visitor(network, "sona-token") as sona,
    ):
        console: Any = network.organisation.document["console"]
        operators = console["operators"]

        async def publish(visitor: Visitor, role: str) -> Answer:
            demoted = [{**one, "role": role if one["name"] == "otto" else one["role"]} for one in operators]
            network.edit(lambda document: document["console"].update(operators=demoted))
            plan = _result(await visitor.get("/api/v1/plan"))
            given = {"why": "roles", "base": plan["base"], "digest": plan["digest"]}
            return await visitor.ask("POST", "/api/v1/publish", json=given)

        refused = await publish(otto, "security-officer")
        assert (refused.status, "otto gets the role security-officer" in refused.json["error"]) == (409, True)
        assert network.number(MGMT) == 1
        assert (await publish(sona, "security-officer")).status == 200
        assert (await publish(otto, "operator")).status == 200  # giving up a role needs none
        back = {"version": 2, "base": 3, "why": "as before"}
        refused = await otto.ask("POST", "/api/v1/rollback", json=back)
        assert (refused.status, "security-officer" in refused.json["error"]) == (409, True)
        assert (await otto.ask("POST", "/api/v1/rollback", json={**back, "may_grant": True})).status == 400
        assert network.number(MGMT) == 3
        assert (await sona.ask("POST", "/api/v1/rollback", json=back)).status == 200
