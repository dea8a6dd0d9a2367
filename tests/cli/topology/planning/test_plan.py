"""A plan says what a publication leads to, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.world import Organisation
from sipmesh.server.management.publishing.approvals import FOLDER
from sipmesh.topology.versions.approval import Proposal
from support.approving import Approver, put, rule


def files(organisation: Organisation) -> dict[Path, bytes]:
    return {
        file: file.read_bytes() for file in organisation.folder.rglob("*") if file.suffix in {".yaml", ".pem", ".crl"}
    }


def test_plan_of_nothing_says_so(organisation: Organisation) -> None:
    planned = organisation.type("topology", "plan")
    assert planned.code == 0
    assert "The draft equals version" in planned.out
    assert "apply" not in planned.out


@pytest.mark.wide
def test_plan_names_links_users_certificates_records_and_restarts(organisation: Organisation) -> None:
    organisation.add_user("alice")
    for line in (
        "add domain example.net",
        "add pool --role edge --address 127.0.0.1 --next-hop pool1",
        "add pool --role front-end --address 192.0.2.9",
        "change fe1.example.com ports.client=5071",
    ):
        assert organisation.type("topology", *line.split()).code == 0
    before = files(organisation)
    planned = organisation.type("topology", "plan", "--json").json
    assert files(organisation) == before
    assert {"opener": "fe2.example.com", "server": "edge1.example.com", "kind": "server"} in planned["links_appear"]
    assert planned["links_die"] == planned["homes"] == planned["revoked"] == planned["dangers"] == []
    assert {need["server"]: need["by"] for need in planned["certificates"]} == {
        "fe1.example.com": "apply",
        "fe2.example.com": "join",
        "edge1.example.com": "apply",
    }
    needed = [f"{record['name']} {record['type']} {record['data']}" for record in planned["dns_needed"]]
    assert "_sips._tcp.example.net SRV 1 1 5071 fe1.example.com." in needed
    assert [line for line in planned["restarts"] if line.startswith("fe1.example.com must be restarted")]
    told = organisation.type("topology", "plan").out
    assert "pool1.example.com → sip.example.com: 1 server link" in told
    assert "sipmesh topology apply" in told


def test_plan_names_who_loses_a_home_and_who_is_revoked(organisation: Organisation) -> None:
    assert organisation.type("topology", "add", "pool", "--role", "front-end").code == 0
    organisation.publish("a second pool")
    organisation.add_user("bob", "--pool", "pool2.example.com")
    assert organisation.type("topology", "remove", "pool2.example.com").code == 0
    planned = organisation.type("topology", "plan", "--json").json
    assert planned["homes"] == [{"before": "pool2.example.com", "after": "", "count": 1, "users": ["bob@example.com"]}]
    assert planned["revoked"] == ["fe2.example.com"]
    assert "it is the home pool of users" in planned["dangers"][0]
    told = organisation.type("topology", "plan").out
    assert "bob@example.com" in told
    assert "Revoked at once and permanently:\n  fe2.example.com" in told


def test_plan_of_a_broken_draft_has_its_problems(organisation: Organisation) -> None:
    organisation.file.write_text(organisation.file.read_text() + "nonsense: 1\n")
    planned = organisation.type("topology", "plan")
    assert planned.code == 1
    assert "is not a known key" in planned.err


def test_plan_says_why_the_users_are_not_known(organisation: Organisation) -> None:
    organisation.add_user("alice")
    (organisation.folder / "users.db").write_bytes(b"no database")
    assert organisation.type("topology", "add", "domain", "example.net").code == 0
    planned = organisation.type("topology", "plan")
    assert planned.code == 0, planned.err
    assert "the user database could not be read" in planned.out


def test_network_without_a_version_has_nothing_to_plan(organisation: Organisation) -> None:
    (organisation.folder / "management.db").unlink()
    planned = organisation.type("topology", "plan")
    assert (planned.code, "no version is published" in planned.err) == (1, True)


@pytest.mark.wide
def test_plan_says_who_must_approve_and_who_has(organisation: Organisation) -> None:
    """Nothing is applied before enough operators have approved, and no certificate is issued either."""
    ada, ben = Approver("ada"), Approver("ben")
    part = json.dumps({"approvals": rule(ada, ben)})[1:-1]
    text = organisation.file.read_text()
    organisation.file.write_text(f"{text}\n{part}\n")
    assert organisation.type("topology", "add", "domain", "example.net").code == 0
    before = files(organisation)
    octets = propose(organisation)
    put(organisation.folder, octets, ada)
    told = organisation.type("topology", "plan").out
    assert "by the new version, 2 of ada, ben must approve; 1 of 2 has approved: ada" in told
    assert "operators must approve it first: sipmesh topology propose" in told
    refused = organisation.type("topology", "apply", "-m", "approvals")
    assert (refused.code, files(organisation)) == (1, before)
    assert "not applied: by the new version, 2 of ada, ben must approve" in refused.err
    put(organisation.folder, octets, ben)
    [need] = organisation.type("topology", "plan", "--json").json["approvals"]
    both = ["ada", "ben"]
    assert need == {"rule": "the new version", "needed": 2, "operators": both, "approved": both, "rejected": []}
    assert organisation.type("topology", "apply", "-m", "approvals").code == 0


def propose(organisation: Organisation) -> Proposal:
    """Have the draft proposed."""
    assert organisation.type("topology", "propose").code == 0
    return Proposal.decode((organisation.folder / FOLDER / "proposal-1.json").read_bytes())
