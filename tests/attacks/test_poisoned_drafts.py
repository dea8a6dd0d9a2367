"""What an operator writes into the draft is published by a security officer only who has compared it, and gets no other name."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.demo.organisation import PoolPlan
from sipmesh.pki import files
from sipmesh.pki.csr import request_for
from sipmesh.server.management.grantor import Grantor
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import EDGE, FE3, FE4, POOL2
from support.running import on_loop
from support.tiers import wide_after

OTHER = "db.corp.example"
"""A host that is no server of ours, and whose clients trust our root, such as a database."""

PG = "storage.users='postgresql+psycopg://"
TWO_READINGS = {
    "a name of a parameter in percent": f"{PG}u@127.0.0.1/x?pass%77ord=hunter2'",
    "a host without a value, which one reader passes over": f"{PG}u@evil.test:5433/x?host='",
    "a host in percent": f"{PG}u@127.0.0.1/x?h%6Fst=evil.test'",
    "a file that looks like a URL": "turn={servers: ['turn:t.test'], secret_file: 'x://../ca/issuing.key'}",
    "anchors that look like a URL": "authority.anchors+=x://../ca/issuing.key",
}


@on_loop
async def test_officer_publishes_nothing_that_an_operator_writes_meanwhile(tmp_path: Path) -> None:
    """A partner command publishes the draft if it has no other change: that is the draft which was compared, and no later one."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        assert (await officer.ask("POST", "/api/v1/block", json={"name": "evil.test"})).status == 200
        over = asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                for change in ("media.default=any", "media="):
                    given = {"name": "network", "changes": [change]}
                    await operator.ask("POST", "/api/v1/draft/change", json=given)

        writing = asyncio.create_task(write())
        for _ in range(10):
            answer = await unblocked(officer)
            assert answer.status in {200, 409}, answer.text
            if answer.status == 200 and answer.json["version"]:  # between two changes of the operator
                assert (await officer.ask("POST", "/api/v1/block", json={"name": "evil.test"})).status == 200
            assert network.nodes[MGMT].view.loaded.topology.media.default is MediaPolicy.REQUIRED
        over.set()
        await writing
        draft = network.organisation.folder / "topology.yaml"
        draft.write_bytes(network.nodes[MGMT].view.loaded.content)
        done, before = await unblocked(officer), network.number(MGMT)
        assert (done.status, done.json["other"]) == (200, []), done.text
        assert network.nodes[MGMT].view.loaded.topology.federation.blocked == ()
        assert network.number(MGMT) == before


async def unblocked(officer: Visitor) -> Answer:
    return await officer.ask("POST", "/api/v1/partner/unblock", json={"name": "evil.test"})


@pytest.mark.parametrize(
    ("operation", "given", "key"),
    [
        ("rename", {"name": POOL2, "new": OTHER}, "pools.name"),
        ("change", {"name": "sip.example.test", "changes": [f"internal_name={OTHER}"]}, "pools.internal_name"),
    ],
)
@on_loop
async def test_operator_gives_servers_no_name_of_another_host(
    tmp_path: Path, operation: str, given: dict[str, object], key: str
) -> None:
    """A server renews its certificate by itself, with the names of its pool. The control: a security officer gives the name."""
    server = FE3 if operation == "rename" else EDGE
    async with (
        management_with_console(tmp_path, PoolPlan(POOL2, Role.FRONT_END, (FE3, FE4))) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        assert (await operator.ask("POST", f"/api/v1/draft/{operation}", json=given)).status == 200
        plan = (await operator.get("/api/v1/plan")).json
        assert [(one["key"], one["role"]) for one in plan["grants"]] == [(key, "security-officer")]
        to_publish = {"why": "why not", "base": plan["base"], "digest": plan["digest"]}
        for way in ("publish", "apply"):
            refused = await operator.ask("POST", f"/api/v1/{way}", json=to_publish)
            assert (refused.status, network.number(MGMT)) == (409, 1), refused.text
        assert OTHER not in renewed(network, server)
        assert (await officer.ask("POST", "/api/v1/publish", json=to_publish)).status == 200
        assert OTHER in renewed(network, server)


def renewed(network: Managed, server: str) -> str:
    """Ask for the next certificate with the key of *server*; gives the names that management certifies, as a text."""
    folder, loaded = network.organisation.folder, network.nodes[MGMT].view.loaded
    granted: list[str] = []
    grantor = Grantor(
        folder / "ca", lambda payload, _kind: payload, lambda _name, made: granted.append(str(made.extensions))
    )
    chain = read_certificates(folder / "servers" / f"{server}.pem")
    request = request_for(server, ec.generate_private_key(ec.SECP256R1()))
    signed = sign(request, REQUEST, chain, files.read_key(folder / "servers" / f"{server}.key")).decode()
    assert grantor.asked(server, signed, loaded, chain[0].not_valid_after_utc - timedelta(hours=1))
    assert all(name in granted[0] for name in certificate_names(loaded.topology, server))
    return granted[0]


@pytest.mark.parametrize("form", wide_after(2, TWO_READINGS))
@on_loop
async def test_draft_takes_no_name_that_two_readers_read_differently(tmp_path: Path, form: str) -> None:
    """The check would read one thing, and the server that uses it another one. The control is in the plain form."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        given = {"name": "network", "changes": [TWO_READINGS[form]], "dry_run": True}
        refused = await operator.ask("POST", "/api/v1/draft/change", json=given)
        assert refused.status == 409, refused.text
        assert "hunter2" not in refused.text
        plain = f"{PG}u@127.0.0.1/x?passfile=secrets/db&application_name=sipmesh'"
        done = await operator.ask("POST", "/api/v1/draft/change", json={**given, "changes": [plain]})
        assert done.status == 200, done.text


@on_loop
async def test_signing_of_crls_waits_for_no_change_of_the_draft(tmp_path: Path) -> None:
    """A change of thousands of keys takes seconds. Revocations and CRLs have a thread of their own."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        changes = [f"sites+=[{','.join(f's{first + n}' for n in range(250))}]" for first in range(0, 5_000, 250)]
        given = {"name": "network", "changes": changes, "dry_run": True}
        changing = asyncio.create_task(operator.ask("POST", "/api/v1/draft/change", json=given))
        await asyncio.sleep(0)
        for _ in range(2):
            assert (await officer.ask("POST", "/api/v1/sign-crls", json={})).status == 200
        assert not changing.done()
        assert (await changing).status == 409, "a list in a list is no site"


@on_loop
async def test_one_request_changes_no_draft_at_so_many_places_that_others_wait_for_minutes(tmp_path: Path) -> None:
    """Each change reads the whole draft again, and makes it longer. The control has as many changes, which are short."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await operator.ask("POST", "/api/v1/draft/add-site", json={"name": "berlin"})
        for item, status in ((f"[{','.join('a' * 480)}]", 409), ("", 200)):
            changes = [f"sites+={item or f's{number}'}" for number in range(64)]
            given = {"name": "network", "changes": changes, "dry_run": True}
            done = await operator.ask("POST", "/api/v1/draft/change", json=given)
            assert done.status == status, done.text
            assert ("at too many places for one request" in done.text) is (status == 409)
