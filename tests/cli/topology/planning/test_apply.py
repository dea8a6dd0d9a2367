"""A plan is carried out and verified with real links; what fails its verification is taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.cli.place import Place
from sipmesh.demo.ports import HOST
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import NetworkReply, Plan, PutInForce, ServerReply
from sipmesh.topology.document.load import load
from support.managed import MGMT as MANAGEMENT
from support.managed import Managed, servers_of, without
from support.network import EDGE as OUTER
from support.network import EDGES, FE2, FE3, FE4, POOL2
from support.network import FE1 as FRONT_END
from support.prepared import answered
from support.publisher import published
from support.running import on_loop, until

FE1, EDGE, MGMT = "fe1.example.com", "edge1.example.com", "mgmt.example.com"


@pytest.fixture(name="live", scope="module")
def _live(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """Management, a front end and an edge that run in one process."""
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    ports = (f"ports.server={made.ports[f'{EDGE} server']}", f"ports.partner={made.ports[f'{EDGE} partner']}")
    assert made.type("topology", "add", "pool", "--role", "edge", "--address", "127.0.0.1").code == 0
    assert made.type("topology", "change", EDGE, *ports).code == 0
    applied = made.type("topology", "apply", "-m", "an edge")
    assert applied.code == 0, applied.err
    assert "Nothing is verified" in applied.out
    assert (made.folder / "servers" / f"{EDGE}.key").exists()
    made.serve_together(MGMT, FE1, EDGE)
    try:
        yield made
    finally:
        made.stop()


def in_force(organisation: Organisation) -> int:
    return Place(organisation.file).in_force().number


def certificate(organisation: Organisation, server: str) -> bytes:
    return (organisation.folder / "servers" / f"{server}.pem").read_bytes()


@pytest.mark.wide
def test_new_domain_is_issued_published_and_proved_to_phones(live: Organisation) -> None:
    number, before = in_force(live), certificate(live, FE1)
    assert live.type("topology", "add", "domain", "example.net").code == 0
    applied = live.type("topology", "apply", "-m", "a domain", "--json")
    assert applied.code == 0, applied.out + applied.err
    report = applied.json
    assert (report["base"], report["version"], report["rolled_back"]) == (number, number + 1, 0)
    assert (report["issued"], report["faults"]) == ([FE1, EDGE], [])
    checks = {(check["check"]["opener"], check["check"]["name"]) for check in report["checks"]}
    assert {("", "example.net"), (FE1, ""), (EDGE, "")} <= checks
    assert all(check["passed"] for check in report["checks"])
    assert certificate(live, FE1) != before


def silent_partner(live: Organisation, folder: Path) -> None:
    """A partner in the draft, whose edge does not answer."""
    assert sipmesh("init", "silent.test", "--dir", folder).code == 0
    ca = folder / "ca"
    credentials = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl")
    given = ("--edge", "sip.silent.test:1", "--address", "127.0.0.1", *credentials)
    assert live.type("partner", "add", "silent.test", *given).code == 1  # the draft has another change


@pytest.mark.wide
def test_failed_verification_takes_version_and_certificates_back(live: Organisation) -> None:
    """No server can fetch the CRL; beside it the draft has a domain, so that certificates are issued also."""
    text, url = live.file.read_text(), "http://127.0.0.1:1/gone.crl"
    assert live.type("topology", "add", "domain", "example.org").code == 0
    assert live.type("topology", "change", "network", f"authority.crls+={url}").code == 0
    number, before = in_force(live), Place(live.file).in_force().topology
    kept = certificate(live, FE1), certificate(live, EDGE)
    applied = live.type("topology", "apply", "-m", "a CRL", "--json")
    assert applied.code == 1
    report = applied.json
    assert (report["version"], report["rolled_back"]) == (number + 1, number + 2)
    assert report["faults"][0].startswith(f"{EDGE} → {url}")
    assert Place(live.file).in_force().topology == before
    assert (certificate(live, FE1), certificate(live, EDGE)) == kept
    assert live.type("topology", "history", "--json").json[-1]["why"].endswith("has failed its verification")
    assert live.type("topology", "verify").code == 0
    told = live.type("topology", "apply", "-m", "a CRL", "--no-rollback")
    assert told.code == 1
    assert f"To go back: sipmesh topology rollback {number + 2}" in told.out
    assert in_force(live) == number + 3
    assert live.type("topology", "rollback", str(number + 2), "--force").code == 0
    live.file.write_text(text)


@pytest.mark.wide
def test_what_was_never_started_is_listed_and_does_not_take_the_version_back(
    live: Organisation, tmp_path: Path
) -> None:
    """A front end and a pool of edges whose keys are here, an application elsewhere, and a partner who has not begun."""
    text, number = live.file.read_text(), in_force(live)
    for added in (("server", "fe2"), ("pool", "--role", "edge", "--address", "127.0.0.1"), ("application", "bot")):
        assert live.type("topology", "add", *added).code == 0
    silent_partner(live, tmp_path / "p")
    applied = live.type("topology", "apply", "-m", "all of them", "--json")
    assert (applied.code, applied.json["faults"], applied.json["rolled_back"]) == (0, [], 0), applied.out + applied.err
    new = [f"{name}.example.com" for name in ("bot", "edge2", "fe2")]
    assert applied.json["new"] == [*new, "sip.silent.test"]
    assert applied.json["next_steps"] == [
        f"{new[0]} is not started yet: on its machine: sipmesh join request {new[0]}",
        *(f"{name} is not started yet: sipmesh serve {name}" for name in new[1:]),
        "sip.silent.test does not answer yet: sipmesh partner probe sip.silent.test",
    ]
    again = live.type("topology", "publish", "-m", "again", "--json")
    assert (again.code, again.json["missing"], again.json["new"]) == (0, [], ["fe2.example.com", "edge2.example.com"])
    live.file.write_text(text)
    assert live.type("topology", "rollback", str(number), "--force").code == 0


@pytest.mark.wide
def test_crl_that_servers_cannot_fetch_takes_the_version_back(live: Organisation) -> None:
    """The same with a URL that has the CRL is verified, by each server for itself."""
    text, number, content = live.file.read_text(), in_force(live), (live.folder / "ca/root.crl").read_bytes()
    with published({"/root.crl": content}) as publisher:
        url = publisher.url("")
        assert live.type("topology", "change", "network", f"authority.crls+={url}/gone.crl").code == 0
        applied = live.type("topology", "apply", "-m", "a URL", "--json")
        assert applied.code == 1
        assert applied.json["faults"] == [
            f"{server} → {url}/gone.crl: the CRL cannot be used: answers 404" for server in (EDGE, FE1)
        ]
        assert applied.json["rolled_back"] == number + 2
        live.file.write_text(text)
        assert live.type("topology", "change", "network", f"authority.crls+={url}/root.crl").code == 0
        told = live.type("topology", "apply", "-m", "a URL")
        assert told.code == 0, told.out + told.err
        assert f"✓ {EDGE} → {url}/root.crl: the CRL can be used" in told.out
        verified = live.type("topology", "verify")
        assert f"✓ {FE1} → {url}/root.crl: the CRL can be used" in verified.out
        live.file.write_text(text)
        assert live.type("topology", "rollback", str(number + 2), "--force").code == 0


@pytest.mark.wide
def test_partner_is_added_and_its_crl_that_the_edge_cannot_fetch_is_reported(
    live: Organisation, tmp_path: Path
) -> None:
    text, number, folder = live.file.read_text(), in_force(live), tmp_path / "p"
    assert sipmesh("init", "far.test", "--dir", folder).code == 0
    given = ("--edge", "sip.far.test:1", "--address", "127.0.0.1", "--ca", folder / "ca/root.pem")
    with published({"/root.crl": (folder / "ca/root.crl").read_bytes()}) as publisher:
        url = publisher.url("")
        crls = ("--crl", f"{url}/root.crl", "--crl", f"{url}/issuing.crl")
        added = live.type("partner", "add", "far.test", *given, *crls)
    assert added.code == 1, added.out + added.err
    assert f"✓ {EDGE} → {url}/root.crl: the CRL of far.test can be used" in added.out
    assert f"✗ {EDGE} → {url}/issuing.crl: the CRL of far.test cannot be used: answers 404" in added.out
    assert f"to go back: sipmesh topology rollback {number}" in added.out
    assert live.type("topology", "rollback", str(number), "--force").code == 0
    live.file.write_text(text)


@pytest.mark.wide
def test_result_is_written_in_words(live: Organisation) -> None:
    text = live.file.read_text()
    assert live.type("topology", "change", "network", "media=any").code == 0
    applied = live.type("topology", "apply", "-m", "media")
    assert applied.code == 0, applied.out + applied.err
    for line in ("the media of calls of our users changes", "is published.", "The verification has passed."):
        assert line in applied.out
    live.file.write_text(text)


def test_draft_that_nothing_forces_is_not_applied(live: Organisation) -> None:
    text, number, before = live.file.read_text(), in_force(live), certificate(live, FE1)
    live.file.write_text(text.replace("organisation: example.com", "organisation: Other"))
    applied = live.type("topology", "apply", "-m", "x", "--force")
    live.file.write_text(text)
    assert applied.code == 1
    assert "an organisation cannot change its name" in applied.err
    assert (in_force(live), certificate(live, FE1)) == (number, before)


def prepared(organisation: Organisation, **replies: object) -> dict[str, object]:
    """The replies of a management server that publishes version 2, and cannot say what follows."""
    draft, in_force_now = load(organisation.file), Place(organisation.file).in_force().number
    master = ServerReply(server=MGMT, faults=())
    return {
        "plan": Plan("topology.yaml", in_force_now, draft.digest, ["a change"], []),
        "network": NetworkReply(in_force_now, datetime.now(UTC), master, ()),
        "publish": PutInForce(in_force_now + 1),
        "acknowledged": OperatorError("it ends"),
        **replies,
    }


def test_verification_that_cannot_be_finished_has_failed(organisation: Organisation) -> None:
    """Management ends in the middle: what was not verified does not count as good."""
    state = organisation.folder / "state"
    number = in_force(organisation)
    with answered(state, {MGMT: prepared(organisation, rollback=PutInForce(number + 2))}) as asked:
        applied = organisation.type("topology", "apply", "-m", "x", "--json")
    assert (applied.code, applied.json["rolled_back"]) == (1, number + 2)
    assert applied.json["faults"] == [
        "the verification could not be finished: it ends",
        "the version with the content from before is not confirmed by every server: it ends",
    ]
    [taken_back] = [one for one in asked if one["command"] == "rollback"]
    assert (taken_back["version"], taken_back["base"]) == (number, number + 1)


def test_draft_that_changes_while_it_is_compared_is_not_applied(organisation: Organisation) -> None:
    """Certificates must not be issued for another draft than the published draft."""
    number, before = in_force(organisation), certificate(organisation, FE1)
    plan = Plan("topology.yaml", number, "0" * 64, ["a change"], [])
    with answered(organisation.folder / "state", {MGMT: prepared(organisation, plan=plan)}) as asked:
        applied = organisation.type("topology", "apply", "-m", "x")
    assert (applied.code, "has changed while they were compared" in applied.err) == (1, True)
    assert "publish" not in [one["command"] for one in asked]
    assert certificate(organisation, FE1) == before


@pytest.mark.wide
@on_loop
async def test_link_that_a_server_on_another_machine_cannot_open_takes_the_version_back(managed: Managed) -> None:
    """The key of the front end is not here, so management asks it; only it opens links to the edge."""
    async with managed:
        await managed.start(MANAGEMENT, FRONT_END, OUTER)
        for file in (managed.organisation.folder / "servers").glob("*.key"):
            if not file.name.startswith(MANAGEMENT):
                file.unlink()
        managed.edit(lambda document: document.update(pools=[p for p in document["pools"] if p["name"] != POOL2]))
        await managed.publish(without(FE2), force=True)
        await managed.acknowledged(2, FRONT_END, OUTER)
        managed.edit(lambda document: servers_of(document, EDGES)[0].update(address="127.0.0.9", bind=HOST))
        applied = json.loads(await managed.type("topology", "apply", "-m", "it moves", "--json", code=1))
        link, _, told = applied["faults"][0].partition(":")
        assert (link, "refused" in told) == (f"{FRONT_END} → {OUTER}", True)
        assert (applied["version"], applied["rolled_back"]) == (3, 4)
        await managed.in_force(4)
        verified = json.loads(await managed.type("topology", "verify", "--json", code=1))  # the application is off
        passed = {(one["check"]["opener"], one["check"]["target"].partition(":")[0]): one["passed"] for one in verified}
        assert passed[FRONT_END, OUTER]
        assert passed[OUTER, FRONT_END]
        assert passed[MANAGEMENT, FRONT_END]


NEVER_STARTED = (FE3, FE4)


async def with_a_stopped_server(managed: Managed) -> None:
    """Run every server, and stop the second front end until management knows it."""
    await managed.start(MANAGEMENT, FRONT_END, FE2, OUTER)
    await managed.acknowledged(1, FRONT_END, FE2, OUTER)
    await managed.stop(FE2)
    known = managed.master.network.snapshot
    await until(lambda: not any(one.linked for member, one in known(1).known if member.name == FE2))


@pytest.mark.wide
@on_loop
async def test_server_that_was_stopped_before_is_named_and_does_not_take_the_version_back(managed: Managed) -> None:
    """A site is changed while one server is under maintenance; that server gets the version when it starts."""
    async with managed:
        await with_a_stopped_server(managed)
        managed.edit(lambda document: document.update(sites=["berlin"]))
        managed.edit(lambda document: [one.update(site="berlin") for one in servers_of(document, EDGES)])
        given = ("topology", "apply", "-m", "a site", "--wait", "2")
        applied = json.loads(await managed.type(*given, "--json"))
        assert (applied["version"], applied["rolled_back"], applied["faults"]) == (2, 0, [])
        assert applied["unreached"] == applied["missing"] == [FE2, *NEVER_STARTED]
        checked = [check["check"] for check in applied["checks"]]
        assert FRONT_END in {check["opener"] for check in checked}
        assert not [check for check in checked if FE2 in (check["opener"], check["target"].partition(":")[0])]
        managed.edit(lambda document: document.update(media="any"))
        told = await managed.type(*given)
        assert f"Management had no contact with {', '.join((FE2, *NEVER_STARTED))}, before the" in told
        assert "The verification has passed." in told
        await managed.start(FE2)
        await managed.acknowledged(3, FE2)


@pytest.mark.wide
@on_loop
async def test_server_that_had_contact_and_fails_takes_the_version_back_though_another_was_stopped(
    managed: Managed,
) -> None:
    """The control: the edge ran before, and no server reaches it under the new version."""
    async with managed:
        await with_a_stopped_server(managed)
        managed.edit(lambda document: servers_of(document, EDGES)[0].update(address="127.0.0.9", bind=HOST))
        given = ("topology", "apply", "-m", "it moves", "--wait", "2", "--json")
        applied = json.loads(await managed.type(*given, code=1))
        assert (applied["version"], applied["rolled_back"]) == (2, 3)
        assert applied["unreached"] == [FE2, *NEVER_STARTED]
        assert {fault.partition(":")[0] for fault in applied["faults"]} >= {f"{FRONT_END} → {OUTER}"}
        assert not [fault for fault in applied["faults"] if FE2 in fault]
        await managed.in_force(3)
