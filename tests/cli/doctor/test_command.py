"""`sipmesh doctor`: what it prints, its exit code, and its remedies, typed as they stand."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest

from cli.world import FE1, FE2, MGMT, Organisation, Result, name_server, sipmesh
from upgrades.conftest import give_lists, until_good, until_told
from upgrades.recorded_folder import recorded

A = ("fe1.example.com", "A")


def wrong(said: Result) -> dict[str, str]:
    """The told sentence of each bad check, by its name."""
    checks = [*said.json["host"], *said.json["network"]]
    return {check["name"]: check["remedy"] for check in checks if check["state"] == "bad"}


def test_network_that_runs_has_no_fault(running: Organisation) -> None:
    until_good(running)
    said = running.type("doctor")
    assert said.code == 0, said.out
    assert "✗" not in said.out
    assert "management knows of no fault" in said.out
    assert running.type("doctor", "--json").json["ok"] is True


def test_servers_that_do_not_run_are_one_fault_and_its_remedy_starts_them(organisation: Organisation) -> None:
    said = organisation.type("doctor", "--json")
    assert said.code == 1
    remedy = wrong(said)
    assert set(remedy) == {"servers"}
    words = shlex.split(remedy["servers"].partition(": ")[2])
    assert words == ["sipmesh", "serve", MGMT, FE1]
    organisation.serve_together(*words[2:])
    until_good(organisation)
    assert organisation.type("doctor").code == 0


def test_fault_of_the_network_is_reported_once_at_its_cause(organisation: Organisation) -> None:
    """The front end does not run here: that management has no report of it is not told again."""
    organisation.serve(MGMT)
    said = organisation.type("doctor", "--json")
    assert wrong(said) == {"servers": f"start: sipmesh serve {FE1}"}


@pytest.mark.wide
def test_everything_that_has_expired_is_reported_and_the_remedies_work(tmp_path: Path) -> None:
    """The folder of a release whose servers were off for long: each remedy is typed as it stands; the partner sends its CRLs."""
    organisation, partner = Organisation(tmp_path / "com"), Organisation(tmp_path / "org", "example.org")
    recorded("0.1.0", organisation.folder)
    recorded("0.1.0-partner", partner.folder)
    assert any(wrong.startswith("fetch the newest CRL of example.org") for wrong in expired(organisation))
    assert partner.type("ca", "crl").code == 0
    give_lists(partner, organisation)
    remedies = expired(organisation)
    assert remedies >= {"sipmesh ca crl", f"sipmesh ca issue {FE1}"}
    for remedy in remedies:
        assert organisation.type(*shlex.split(remedy)[1:]).code == 0, remedy
    assert not expired(organisation)


def expired(organisation: Organisation) -> set[str]:
    """Return the remedy of each check of what expires that is bad."""
    checks = organisation.type("doctor", "--json").json["host"]
    return {check["remedy"] for check in checks if check["name"] == "expiry" and check["state"] == "bad"}


@pytest.mark.wide
def test_certificate_that_was_revoked_is_one_fault_and_its_remedy_repairs_it(organisation: Organisation) -> None:
    organisation.serve(MGMT, FE1)
    until_good(organisation)
    organisation.type("ca", "revoke", FE1, "--reason", "key-compromise")
    until_told(organisation, "revoked")
    remedy = wrong(organisation.type("doctor", "--json"))
    assert remedy == {"expiry": f"sipmesh ca issue {FE1}"}
    assert organisation.type(*shlex.split(remedy["expiry"])[1:]).code == 0
    until_good(organisation)
    assert organisation.type("doctor").code == 0


def test_port_of_another_program_keeps_a_server_from_its_start(organisation: Organisation) -> None:
    port = organisation.ports[f"{FE1} client"]
    with socket.create_server(("127.0.0.1", port)):
        assert f"sport = :{port}" in wrong(organisation.type("doctor", "--json"))["ports"]
    assert "ports" not in wrong(organisation.type("doctor", "--json"))


def test_records_that_dns_lacks_are_a_fault_until_they_are_added(organisation: Organisation) -> None:
    """The server gets an address that is not loopback. What `topology dns` prints is added."""
    lines = organisation.file.read_text().replace("address: 127.0.0.1", "address: 192.0.2.1, bind: 127.0.0.1")
    with name_server({}) as empty:
        organisation.file.write_text(f"{lines}dns: {{servers: ['{empty}']}}\n")
        organisation.publish("other addresses")
        assert "sipmesh topology dns --format bind" in wrong(organisation.type("doctor", "--json"))["dns"]
        records: dict[tuple[str, str], list[str]] = {}
        for record in organisation.type("topology", "dns", "--json").json:
            records.setdefault((record["name"], record["type"]), []).append(record["data"])
    with name_server(records) as full:
        organisation.file.write_text(f"{lines}dns: {{servers: ['{full}']}}\n")
        organisation.publish("with the records")
        assert "dns" not in wrong(organisation.type("doctor", "--json"))


def test_only_what_is_to_be_done_is_printed_on_request(organisation: Organisation) -> None:
    said = organisation.type("doctor", "--faults")
    assert "✓" not in said.out
    assert f"sipmesh serve {MGMT} {FE1}" in said.out
    assert "1 fault" in said.out


def test_folder_without_an_organisation_is_checked_as_a_machine(tmp_path: Path) -> None:
    said = sipmesh("doctor", topology=tmp_path / "topology.yaml")
    assert "has no organisation" in said.out
    assert "disk" in said.out
    assert FE2 not in said.out
