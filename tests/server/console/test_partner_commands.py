"""Partners are added, changed, removed and unblocked through the API; a draft with other changes is not published."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.server.console.partner_commands import CHANGES
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.topology.document.changes import PARTNER_FILES
from sipmesh.trust.x509.certificate import fingerprint
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import EDGES, PARTNER, PARTNER_EDGES, POOL
from support.running import on_loop

CRL = "http://crl.partner.test/issuing.crl"


@pytest.fixture(name="pem", scope="module")
def _pem() -> str:
    """The root certificate of the partner."""
    return Forge(datetime.now(UTC)).root("Partner root").certificate.public_bytes(Encoding.PEM).decode()


def to_add(pem: str, **further: Any) -> dict[str, Any]:
    return {"domains": [PARTNER], "anchors": [pem], "crls": [CRL], "edge": PARTNER_EDGES, **further}


async def ask(visitor: Visitor, path: str, **given: Any) -> Answer:
    return await visitor.ask("POST", f"/api/v1/partner/{path}", json=given)


@asynccontextmanager
async def network_with_route(folder: Path) -> AsyncIterator[Managed]:
    """A management server with a console, and an edge pool as the route to partners: version 2."""
    async with management_with_console(folder) as network:
        await network.publish(lambda document: document.update(federation={"route": EDGES}))
        yield network


def files_of(network: Managed) -> list[str]:
    folder = network.organisation.folder / PARTNER_FILES
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.pem"))


@on_loop
async def test_partner_comes_changes_and_goes_each_in_a_version(tmp_path: Path, pem: str) -> None:
    """The same requests by a viewer are refused."""
    async with (
        network_with_route(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        steps: list[tuple[str, dict[str, Any], str]] = [
            ("add", to_add(pem, media="encrypted"), f"{PARTNER} is a partner"),
            ("change", {"domain": PARTNER, "changes": ["client_usage=server-ok"]}, f"{PARTNER} is changed"),
            ("remove", {"domain": PARTNER}, f"{PARTNER} is no longer a partner"),
        ]
        for number, (path, given, what) in enumerate(steps, 3):
            assert ((await ask(viewer, path, **given)).status, network.number(MGMT)) == (403, number - 1)
            if path != "remove":  # who gives a partner more is a security officer
                assert (await ask(operator, path, **given)).status == (403 if path == "add" else 409)
                assert network.number(MGMT) == number - 1
            done = await ask(operator if path == "remove" else officer, path, **given)
            assert done.status == 200, done.text
            assert (done.json["what"], done.json["version"], network.number(MGMT)) == (what, number, number)
            partners = (await viewer.get("/api/v1/partners")).json
            assert [one["domains"][0] for one in partners["partners"]] == ([] if path == "remove" else [PARTNER])
        assert (await operator.ask("POST", "/api/v1/block", json={"name": "evil.test"})).status == 200
        history = (await viewer.get("/api/v1/versions")).json
        assert [(one["by"], one["why"]) for one in history][2:5] == [
            ("otto (API)" if path == "remove" else "sona (API)", what) for path, _, what in steps
        ]


@on_loop
async def test_trunk_is_added_with_its_keys(tmp_path: Path, pem: str) -> None:
    """A wrong key is refused, and named."""
    async with network_with_route(tmp_path) as network, Visitor(network, "sona-token") as officer:
        pool = {"role": "gateway", "name": "gw.example.test", "next_hop": POOL}
        await network.publish(lambda document: document["pools"].append(pool | {"servers": ["gw1.example.test"]}))
        keys = ["trunk.gateway=gw.example.test", 'trunk.carries=["+"]', "trunk.channels=30"]
        wrong = await ask(officer, "add", **to_add(pem, domains=["sbc.test"], changes=[*keys, "trunk.chanels=3"]))
        assert (wrong.status, "channels" in str(wrong.json)) == (409, True)
        added = await ask(officer, "add", **to_add(pem, domains=["sbc.test"], changes=keys))
        assert added.status == 200, added.json
        assert "channels: 30" in network.organisation.file.read_text()


@on_loop
async def test_blocked_name_is_taken_back(tmp_path: Path) -> None:
    """An operator blocks, and a security officer takes it back."""
    async with (
        network_with_route(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        given = {"name": "network", "changes": ["federation.blocked+=evil.test"]}
        assert (await operator.ask("POST", "/api/v1/draft/change", json=given)).status == 200
        assert (await operator.ask("POST", "/api/v1/block", json={"name": "evil.test"})).status == 200
        assert (await ask(operator, "unblock", name="evil.test")).status == 403
        done = await ask(officer, "unblock", name="EVIL.test")
        assert (done.status, done.json["what"]) == (200, "evil.test is no longer blocked"), done.text
        assert done.json["version"] == network.number(MGMT) == 4
        assert (await ask(officer, "unblock", name="evil.test")).status == 409


@on_loop
async def test_block_is_in_the_draft_too_so_that_its_publication_does_not_undo_it(tmp_path: Path) -> None:
    """A draft that cannot be read does not delay the block: the reply says that the draft does not have it."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        draft = network.organisation.folder / DRAFT
        done = await operator.ask("POST", "/api/v1/block", json={"name": "evil.test"})
        assert (done.status, done.json["version"], done.json["draft_fault"]) == (200, 2, "")
        assert "evil.test" in draft.read_text()
        assert (await network.ask(MGMT, "plan"))["changes"] == []
        draft.write_text("sipmesh: [")
        done = await operator.ask("POST", "/api/v1/block", json={"name": "worse.test"})
        assert (done.status, done.json["version"], network.number(MGMT)) == (200, 3, 3)
        assert done.json["draft_fault"]
        assert draft.read_text() == "sipmesh: ["


@on_loop
async def test_other_changes_of_the_draft_are_named_and_not_published(tmp_path: Path, pem: str) -> None:
    async with network_with_route(tmp_path) as network, Visitor(network, "sona-token") as officer:
        network.edit(lambda document: document.update(presence={"inside": "block"}))
        done = await ask(officer, "add", **to_add(pem))
        assert (done.status, done.json["version"], network.number(MGMT)) == (200, 0, 2), done.text
        assert len(done.json["other"]) == 1
        assert [PARTNER in line for line in done.json["changes"]] == [True]
        assert PARTNER in (network.organisation.folder / DRAFT).read_text()


@on_loop
async def test_refused_partner_leaves_draft_and_folder_as_they_were(tmp_path: Path, pem: str) -> None:
    """So does a dry run. A removal that breaks something needs a security officer, who says so."""
    async with (
        network_with_route(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        draft = network.organisation.folder / DRAFT
        before = draft.read_text()
        assert (await ask(officer, "add", **to_add("no certificate"))).status == 409
        tried = await ask(officer, "add", **to_add(pem, dry_run=True))
        assert (tried.status, tried.json["version"], bool(tried.json["diff"])) == (200, 0, True), tried.text
        for wrong in (to_add(pem, domains=["../x"]), to_add(pem, crls=["/etc/passwd"]), to_add(pem, anchors=[])):
            assert (await ask(officer, "add", **wrong)).status == 400
        assert (draft.read_text(), files_of(network), network.number(MGMT)) == (before, [], 2)
        assert (await ask(officer, "add", **to_add(pem))).status == 200
        assert len(files_of(network)) == 1
        assert (await ask(operator, "remove", domain=PARTNER, force=True)).status == 403
        assert (await ask(officer, "remove", domain=PARTNER, force=True)).status == 200


def test_each_change_has_a_reason_with_a_name() -> None:
    assert all(says.count("{}") == 1 for _, says in CHANGES.values())


@on_loop
async def test_partner_has_a_page_and_a_name_that_is_none_has_not(tmp_path: Path, pem: str) -> None:
    async with (
        network_with_route(tmp_path) as network,
        Visitor(network, "sona-token") as officer,
        Visitor(network) as viewer,
    ):
        await viewer.log_in("viewer")
        assert (await viewer.get(f"/partners/{PARTNER}")).status == 404
        assert (await ask(officer, "add", **to_add(pem))).status == 200
        for name in (PARTNER, PARTNER_EDGES, PARTNER.upper()):
            page = await viewer.get(f"/partners/{name}")
            assert (page.status, CRL in page.text, "Their verdict on us" in page.text) == (200, True, True)
        assert f'href="/partners/{PARTNER}"' in (await viewer.get("/partners")).text
        assert (await viewer.get("/partners/evil.test")).status == 404


@on_loop
async def test_page_adds_a_partner_with_the_fingerprint_that_the_partner_has_told_alone(
    tmp_path: Path, pem: str
) -> None:
    """Another fingerprint, a part of it or none adds nothing, and the refusal does not give it away."""
    told = fingerprint(x509.load_pem_x509_certificate(pem.encode()))
    colons = ":".join(told[at : at + 2] for at in range(0, 64, 2)).upper()
    async with network_with_route(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        await officer.get("/add/partner")
        form = {"domains": PARTNER, "anchors": pem, "crls": CRL, "edge": PARTNER_EDGES, "client_usage": "strict"}
        for wrong, status in (("0" * 64, 409), (told[:16], 400), ("", 400), (f"{told} {'0' * 64}", 409)):
            refused = await officer.post("/add/partner", do="change", fingerprints=wrong, **form)
            assert (refused.status, network.number(MGMT), files_of(network)) == (status, 2, []), wrong
            assert (told in refused.text) is (told in wrong)
        planned = await officer.post("/add/partner", do="plan", fingerprints=colons, **form)
        assert (planned.status, PARTNER in planned.text.partition("Lines of topology.yaml")[2]) == (200, True)
        assert "<li>partner partner.test may now connect with" in planned.text, planned.text
        assert (network.number(MGMT), files_of(network)) == (2, [])
        (digest,) = re.findall(r'name="planned" value="([0-9a-f]{64})"', planned.text)
        await network.publish(lambda document: document.update(dane=True))
        again = await officer.post("/add/partner", do="change", planned=digest, fingerprints=colons, **form)
        assert ("This is the new plan" in again.text, network.number(MGMT), files_of(network)) == (True, 3, [])
        (digest,) = re.findall(r'name="planned" value="([0-9a-f]{64})"', again.text)
        done = await officer.post("/add/partner", do="change", planned=digest, fingerprints=colons, **form)
        assert f"{PARTNER} is a partner in version 4" in done.text, done.text
        assert network.number(MGMT) == 4
