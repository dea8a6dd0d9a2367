"""A plan is carried out and verified with real links; what fails its verification is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.cli.place import Place

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
    """A partner in the draft, whose edge does not answer; beside it a domain, so that certificates are issued also."""
    assert sipmesh("init", "silent.test", "--dir", folder).code == 0
    ca = folder / "ca"
    credentials = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl")
    assert live.type("topology", "add", "domain", "example.org").code == 0
    given = ("--edge", "sip.silent.test:1", "--address", "127.0.0.1", *credentials)
    assert live.type("partner", "add", "silent.test", *given).code == 1  # the draft has another change


def test_failed_verification_takes_version_and_certificates_back(live: Organisation, tmp_path: Path) -> None:
    silent_partner(live, tmp_path / "p")
    number, before = in_force(live), Place(live.file).in_force().topology
    kept = certificate(live, FE1), certificate(live, EDGE)
    applied = live.type("topology", "apply", "-m", "a partner", "--json")
    assert applied.code == 1
    report = applied.json
    assert (report["version"], report["rolled_back"]) == (number + 1, number + 2)
    assert f"{EDGE} → sip.silent.test" in report["faults"][0]
    assert Place(live.file).in_force().topology == before
    assert (certificate(live, FE1), certificate(live, EDGE)) == kept
    assert live.type("topology", "history", "--json").json[-1]["why"].endswith("has failed its verification")
    assert live.type("topology", "verify").code == 0
    told = live.type("topology", "apply", "-m", "a partner", "--no-rollback")
    assert told.code == 1
    assert f"To go back: sipmesh topology rollback {number + 2}" in told.out
    assert in_force(live) == number + 3
    assert live.type("topology", "rollback", str(number + 2), "--force").code == 0


def test_draft_that_breaks_something_is_not_applied(live: Organisation) -> None:
    text, number, before = live.file.read_text(), in_force(live), certificate(live, FE1)
    live.file.write_text(text.replace("organisation: example.com", "organisation: Other"))
    applied = live.type("topology", "apply", "-m", "x")
    live.file.write_text(text)
    assert applied.code == 1
    assert "the organisation changes its name" in applied.err
    assert (in_force(live), certificate(live, FE1)) == (number, before)
