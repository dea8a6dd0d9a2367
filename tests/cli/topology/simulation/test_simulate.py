"""Links, messages and logins are decided without a network, by the judge of servers; each refusal with a control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.pki.ca_rotation import CaGenerations

PARTNER = "partner.test"
FE1, FE2, EDGE = "fe1.example.com", "fe2.example.com", "edge1.example.com"


@pytest.fixture(name="federated", scope="module")
def _federated(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """Two front-end pools, an edge and a partner; nothing runs. Version 2 has no partner yet, the newest has one."""
    theirs = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", PARTNER, "--dir", theirs).code == 0
    other = Organisation(theirs)
    assert other.type("topology", "add", "pool", "--role", "edge").code == 0
    assert other.type("ca", "issue", f"edge1.{PARTNER}").code == 0
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    for role, address in (("edge", "127.0.0.1"), ("front-end", "127.0.0.1")):
        next_hop = ("--next-hop", "pool1") if role == "edge" else ()
        assert made.type("topology", "add", "pool", "--role", role, "--address", address, *next_hop).code == 0
    assert made.type("topology", "apply", "-m", "an edge").code == 0
    ca = theirs / "ca"
    credentials = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl")
    assert made.type("partner", "add", PARTNER, "--edge", f"sip.{PARTNER}", *credentials).code == 0
    made.add_user("alice", "--pool", "pool1.example.com")
    return made


@pytest.fixture(name="theirs")
def _theirs(federated: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the partner's edge."""
    folder = next(tmp_path_factory.getbasetemp().glob(f"p*/p/servers/edge1.{PARTNER}.pem"))
    assert federated.file.exists()
    return folder


def decided(organisation: Organisation, *arguments: str | Path) -> tuple[int, list[tuple[str, str]]]:
    """The exit code, and each decision: who decides, and the code."""
    done = organisation.type("topology", "simulate", *arguments, "--json")
    assert done.out, done.err
    report: dict[str, Any] = done.json
    assert report["accepted"] is (done.code == 0)
    return done.code, [(one["decider"], one["code"]) for one in report["decisions"]]


@pytest.mark.wide
def test_way_to_a_partner_is_decided_link_by_link(federated: Organisation, theirs: Path) -> None:
    way = ("--from", "fe1", "--to", PARTNER)
    assert decided(federated, *way, "--certificate", theirs) == (
        0,
        [
            (EDGE, "accepted"),
            (FE1, "accepted"),
            (EDGE, "accepted"),
            (f"sip.{PARTNER}, if it trusts our root", "accepted"),
        ],
    )
    told = federated.type("topology", "simulate", *way)
    assert told.code == 0
    assert "no certificate is at hand, so only the topology has decided" in told.out


def test_partner_is_accepted_at_the_edge_and_nowhere_else(federated: Organisation, theirs: Path) -> None:
    came = ("--from", PARTNER, "--certificate", theirs)
    assert decided(federated, *came, "--to", "edge1") == (0, [(EDGE, "accepted")])
    code, [(who, why)] = decided(federated, *came, "--to", "mgmt")
    assert (code, who, why) == (1, "mgmt.example.com", "role-not-allowed")


def test_certificate_of_ours_does_not_count_as_a_partner(federated: Organisation) -> None:
    certificate = federated.folder / "servers" / f"{FE2}.pem"
    given = ("--from", FE2, "--to", EDGE, "--certificate", certificate)
    assert decided(federated, *given)[0] == 0
    code, [(who, why)] = decided(federated, *given, "--as", "partner")
    assert (code, who) == (1, EDGE)
    assert why != "accepted"


def test_stranger_is_refused_with_any_name(federated: Organisation, theirs: Path) -> None:
    code, [(who, why)] = decided(federated, "--from", "evil.test", "--to", "fe1", "--certificate", theirs)
    assert (code, who, why) == (1, FE1, "role-not-allowed")


def test_version_decides_who_is_a_partner(federated: Organisation, theirs: Path) -> None:
    came = ("--from", PARTNER, "--to", EDGE, "--as", "partner", "--certificate", theirs)
    newest = federated.type("topology", "history", "--json").json[-1]["version"]
    assert decided(federated, *came, "--version", str(newest)) == (0, [(EDGE, "accepted")])
    code, [(_, why)] = decided(federated, *came, "--version", str(newest - 1))
    assert (code, why) == (1, "untrusted-issuer")


def test_revoked_server_is_refused_by_the_others(federated: Organisation, tmp_path: Path) -> None:
    made = federated.copied(tmp_path / "o")
    assert decided(made, "--from", FE2, "--to", FE1)[0] == 0
    assert made.type("ca", "revoke", FE2).code == 0
    assert decided(made, "--from", FE2, "--to", FE1) == (1, [(FE1, "revoked"), (FE2, "accepted")])


def test_certificate_of_a_server_elsewhere_is_that_of_the_ledger(federated: Organisation, tmp_path: Path) -> None:
    made = federated.copied(tmp_path / "o")
    (made.folder / "servers" / f"{FE2}.pem").unlink()
    assert CaGenerations(made.folder / "ca").records()
    assert decided(made, "--from", FE2, "--to", FE1)[0] == 0


@pytest.mark.parametrize(
    ("start", "end", "user", "code"),
    [
        (PARTNER, EDGE, f"bob@{PARTNER}", "accepted"),
        (PARTNER, EDGE, "alice@example.com", "from-not-allowed"),
        (PARTNER, EDGE, "bob@other.test", "from-not-allowed"),
        ("fe2", FE1, "alice@example.com", "accepted"),
        ("fe2", FE1, f"bob@{PARTNER}", "from-not-allowed"),
        ("edge1", FE1, f"bob@{PARTNER}", "accepted"),
        ("edge1", FE1, "alice@example.com", "from-not-allowed"),
        ("phone", FE1, "alice@example.com", "accepted"),
        ("phone", FE2, "alice@example.com", "accepted"),
        ("phone", FE1, "nobody@example.com", "not-authenticated"),
        ("phone", FE1, f"bob@{PARTNER}", "not-authenticated"),
    ],
)
def test_message_or_login_of_a_user_is_decided_by_the_identity_rules(
    federated: Organisation, start: str, end: str, user: str, code: str
) -> None:
    exit_code, found = decided(federated, "--from", start, "--to", end, "--user", user)
    assert (exit_code == 0, found[-1]) == (code == "accepted", (end, code))


def test_draft_is_judged_before_it_is_published(federated: Organisation, tmp_path: Path) -> None:
    made = federated.copied(tmp_path / "o")
    assert made.type("partner", "block", PARTNER).code == 0
    assert decided(made, "--from", "evil.test", "--to", EDGE, "--as", "partner")[0] == 1
    assert made.type("topology", "change", "network", "nonsense=1").code == 1


def test_wrong_role_is_a_usage_error(federated: Organisation) -> None:
    assert federated.type("topology", "simulate", "--from", "fe1", "--to", "fe2", "--as", "boss").code == 2
