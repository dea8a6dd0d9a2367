"""The checks of one host: what is asked of its folder."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

from cli.world import FE1, FE2, MGMT, Organisation
from sipmesh.cli.doctor.check import Check, State
from sipmesh.cli.doctor.host import Host, dns_of, expiry_of, machine_checks
from sipmesh.cli.place import Place


def host_of(organisation: Organisation, later: timedelta = timedelta()) -> Host:
    """The host of an organisation at rest, some time *later*."""
    place = Place(organisation.file)
    return Host(place, place.in_force(), {}, datetime.now(UTC) + later)


def of(name: str, host: Host) -> list[Check]:
    """The checks of one *name*."""
    return [check for check in host.checks() if check.name == name]


def test_servers_of_a_host_are_those_whose_keys_it_has(organisation: Organisation) -> None:
    host = host_of(organisation)
    assert host.servers == host.stopped == [MGMT, FE1]
    (organisation.folder / "servers" / f"{FE1}.key").unlink()
    assert host.servers == [MGMT]
    assert FE2 not in host.servers


def test_host_after_a_month_off_has_faults_that_two_commands_repair(organisation: Organisation) -> None:
    """The remedies are typed as they stand."""
    late = host_of(organisation, timedelta(days=40))
    faults = [check for check in expiry_of(late) if check.state is State.BAD]
    assert {check.remedy for check in faults} >= {f"sipmesh ca issue {FE1}", "sipmesh ca crl"}
    fine = [check.state for check in expiry_of(host_of(organisation))]
    assert fine == [State.GOOD]


def test_clock_before_the_last_signature_is_a_fault(organisation: Organisation) -> None:
    [clock] = [check for check in machine_checks(host_of(organisation, -timedelta(days=2))) if check.name == "clock"]
    assert clock.state is State.BAD


def test_key_that_others_can_read_is_named(organisation: Organisation) -> None:
    (organisation.folder / "servers" / f"{FE1}.key").chmod(0o644)
    [check] = of("files", host_of(organisation))
    assert f"{FE1}.key has mode 0644" in check.told


def test_draft_that_is_not_valid_is_a_warning_while_a_version_is_in_force(organisation: Organisation) -> None:
    organisation.file.write_text(organisation.file.read_text().replace("role: front-end", "role: front"))
    assert {check.state for check in of("topology", host_of(organisation))} == {State.WARNING}


def test_network_on_loopback_needs_no_dns(organisation: Organisation) -> None:
    [check] = dns_of(host_of(organisation))
    assert check.state is State.SKIPPED


def test_port_of_proofs_for_a_public_ca_that_another_program_has_is_named(organisation: Organisation) -> None:
    """The remedy is followed: another port, to which that of the CA is forwarded."""
    draft = organisation.file.read_text().replace(f"name: {FE1},", f"name: {FE1}, client_certificates: acme,")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        organisation.file.write_text(f"{draft}\nacme: {{directory: https://ca.example.com/dir, port: {port}}}\n")
        organisation.publish("a public CA")
        [taken, *_] = of("ports", host_of(organisation))
    assert taken.told.startswith(f"port {port} of {FE1} on 127.0.0.1 is in use")
    assert "`acme.port`" in taken.remedy
    assert [check.state for check in of("ports", host_of(organisation))] == [State.GOOD]
