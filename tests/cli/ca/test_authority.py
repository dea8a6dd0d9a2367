"""The CA at rest; what a revocation does to running servers is in test_live."""

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cli.world import FE1, MGMT, Organisation
from sipmesh.server.replication import crl_store


def issued_to(organisation: Organisation, name: str) -> list[dict[str, Any]]:
    """All that the CA has issued to a server, the oldest first."""
    held = organisation.type("ca", "status", "--json").json["certificates"]
    return [one for one in held if one["names"][0] == name]


def serial_of(organisation: Organisation) -> str:
    file = organisation.folder / "servers" / f"{FE1}.pem"
    return f"{x509.load_pem_x509_certificates(file.read_bytes())[0].serial_number:x}"


def test_status_shows_the_time_left_of_every_certificate_and_crl(organisation: Organisation) -> None:
    told = organisation.type("ca", "status", "--json").json
    kinds = [one["kind"] for one in told["certificates"]]
    assert kinds[:3] == ["root", "issuing", "devices"]
    assert set(kinds[3:]) == {"server", "signer"}
    assert all(one["left_s"] > 0 for one in (*told["certificates"], *told["lists"]))
    assert [one["of"] for one in told["lists"]] == ["root", "issuing", "devices"]
    assert "29 d 23 h" in organisation.type("ca", "status").out


def test_status_names_a_row_of_the_ledger_that_was_changed(organisation: Organisation) -> None:
    with closing(sqlite3.connect(organisation.folder / "ca" / "ledger.db")) as db, db:
        db.execute("UPDATE certificates SET names = 'no JSON' WHERE kind = 'signer'")
    told = organisation.type("ca", "status")
    assert (told.code, "The CA's ledger was changed" in told.out, FE1 in told.out) == (0, True, True)
    changed = organisation.type("ca", "status", "--json").json["changed"]
    assert changed
    assert all("cannot be read" in row for row in changed)


def test_issue_puts_a_new_certificate_in_place(organisation: Organisation) -> None:
    before = serial_of(organisation)
    issued = organisation.type("ca", "issue", FE1, "--days", "90")
    assert issued.code == 0
    assert serial_of(organisation) != before
    assert f"{FE1}: serial {serial_of(organisation)}, valid for 90 days." in issued.out


def test_longest_validity_that_the_option_takes_is_issued_by_the_ca(organisation: Organisation) -> None:
    """A certificate begins five minutes before its issue, and lives 397 days at most."""
    assert "valid for 396 days." in organisation.type("ca", "issue", FE1, "--days", "396").out
    assert organisation.type("ca", "issue", FE1, "--days", "397").code == 2


def test_issue_for_an_unknown_server_names_the_nearest(organisation: Organisation) -> None:
    left = organisation.type("ca", "issue", "fe2.example.com")
    assert left.code == 1
    assert FE1 in left.err


def test_revoking_a_server_revokes_all_that_it_may_still_be_known_by(organisation: Organisation) -> None:
    """An older certificate of the server would do for a thief too."""
    held = issued_to(organisation, FE1)
    organisation.type("ca", "revoke", FE1, "--reason", "superseded")
    after = issued_to(organisation, FE1)
    assert len(held) == len(after) == 2
    assert {(one["state"], one["reason"]) for one in after} == {("revoked", "superseded")}
    assert organisation.type("ca", "revoke", FE1).code == 1


def test_revoking_a_management_server_revokes_what_it_signs_by(organisation: Organisation) -> None:
    """A thief of its signer could publish another topology."""
    signers = [one["serial"] for one in issued_to(organisation, MGMT) if one["kind"] == "signer"]
    done = organisation.type("ca", "revoke", MGMT)
    assert all(f"serial {serial} of the document signer of {MGMT}" in done.out for serial in signers)
    crl = x509.load_pem_x509_crl((organisation.folder / "ca" / "issuing.crl").read_bytes())
    assert set(signers) < {f"{one.serial_number:x}" for one in crl}


def test_one_serial_may_be_revoked_alone(organisation: Organisation) -> None:
    serial = serial_of(organisation)
    done = organisation.type("ca", "revoke", "--serial", serial.upper())
    assert done.code == 0
    assert f"serial {serial} of {FE1}" in done.out
    crl = x509.load_pem_x509_crl((organisation.folder / "ca" / "issuing.crl").read_bytes())
    assert [f"{one.serial_number:x}" for one in crl] == [serial]


def test_a_new_certificate_follows_a_revocation(organisation: Organisation) -> None:
    organisation.type("ca", "revoke", FE1)
    assert organisation.type("ca", "issue", FE1).code == 0
    newest = issued_to(organisation, FE1)[-1]
    assert (newest["serial"], newest["state"]) == (serial_of(organisation), "valid")


def test_a_serial_that_is_none_is_a_usage_error(organisation: Organisation) -> None:
    assert organisation.type("ca", "revoke", "--serial", "fe1").code == 1  # hex, but of no certificate
    assert organisation.type("ca", "revoke", "--serial", "xyz").code == 2


def test_crl_command_writes_all_crls_again(organisation: Organisation) -> None:
    numbers = [one["number"] for one in organisation.type("ca", "status", "--json").json["lists"]]
    assert organisation.type("ca", "crl").code == 0
    after = [one["number"] for one in organisation.type("ca", "status", "--json").json["lists"]]
    assert after == [number + 1 for number in numbers]


def test_crl_command_signs_only_with_the_key_that_is_here(organisation: Organisation, tmp_path: Path) -> None:
    """Otherwise the CRL that all servers need could not be renewed."""
    before = {one["of"]: one["number"] for one in organisation.type("ca", "status", "--json").json["lists"]}
    assert organisation.type("ca", "root", "detach", tmp_path / "safe").code == 0
    made = organisation.type("ca", "crl")
    assert (made.code, "sipmesh ca root request list" in made.out) == (0, True)
    after = {one["of"]: one["number"] for one in organisation.type("ca", "status", "--json").json["lists"]}
    assert after == {"root": before["root"], "issuing": before["issuing"] + 1, "devices": before["devices"] + 1}
    (organisation.folder / "ca" / "issuing.key").unlink()
    assert organisation.type("ca", "crl").code == 1, "without that one nothing is renewed, and nobody shall think so"


@pytest.mark.wide
def test_what_the_ca_does_is_in_the_audit_log(organisation: Organisation) -> None:
    before = len(organisation.type("audit", "--json").out.splitlines())
    serial = serial_of(organisation)
    organisation.type("ca", "issue", FE1)
    organisation.type("ca", "revoke", "--serial", serial, "--reason", "superseded")
    organisation.type("ca", "crl")
    lines = [json.loads(line) for line in organisation.type("audit", "--json").out.splitlines()][before:]
    assert [line["act"] for line in lines] == ["issue", "revoke", "list", "list", "list"]
    assert lines[1]["about"] == {"server": FE1, "serial": serial, "because": "superseded"}
    assert organisation.type("audit", "verify").code == 0


def test_both_certificates_of_a_management_server_are_in_the_audit_log(organisation: Organisation) -> None:
    """What only the audit log has, `ca revoke` finds there: the signer too."""
    organisation.type("ca", "issue", MGMT)
    lines = [json.loads(line) for line in organisation.type("audit", "--json").out.splitlines()][-2:]
    newest = {one["kind"]: one["serial"] for one in issued_to(organisation, MGMT)}
    assert {line["about"].get("kind", "server"): line["about"]["serial"] for line in lines} == newest
    assert {line["about"]["server"] for line in lines} == {MGMT}


def test_no_key_is_made_here_for_a_server_that_has_its_own_elsewhere(organisation: Organisation) -> None:
    key = organisation.folder / "servers" / f"{FE1}.key"
    key.unlink()
    left = organisation.type("ca", "issue", FE1)
    assert left.code == 1
    assert f"sipmesh join request {FE1}" in left.err
    assert "not issued" in organisation.type("ca", "issue", "--all").out
    assert not key.exists()


def test_where_there_is_no_ca_it_is_said(organisation: Organisation, tmp_path: Path) -> None:
    (organisation.folder / "ca").rename(tmp_path / "elsewhere")
    left = organisation.type("ca", "status")
    assert left.code == 1
    assert "contains no CA" in left.err


@pytest.mark.wide
def test_rsa_certificate_for_clients_is_used_beside_the_servers_own(organisation: Organisation) -> None:
    own = serial_of(organisation)
    done = organisation.type("ca", "issue", FE1, "--key", "rsa", "--address", "192.0.2.1", "--days", "90")
    assert done.code == 0
    assert f"client_certificates: [{{certificate: servers/{FE1}.clients-rsa.pem" in done.out
    file = organisation.folder / "servers" / f"{FE1}.clients-rsa.pem"
    leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
    assert isinstance(leaf.public_key(), rsa.RSAPublicKey)
    assert stat.S_IMODE(file.with_suffix(".key").stat().st_mode) == 0o600
    assert serial_of(organisation) == own


def test_certificate_for_clients_that_the_topology_names_is_in_use_at_once(organisation: Organisation) -> None:
    organisation.type("ca", "issue", FE1, "--address", "127.0.0.1")
    pair = f"{{certificate: servers/{FE1}.clients.pem, key: servers/{FE1}.clients.key}}"
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace("ports: {client:", f"client_certificates: [{pair}], ports: {{client:", 1))
    again = organisation.type("ca", "issue", FE1, "--address", "127.0.0.1")
    assert again.code == 0, again.err
    assert "To present it" not in again.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((MGMT, "--key", "rsa"), "phones connect to front ends, and to edges with remote_users"),
        ((FE1, "--address", "not-an-address"), "is not an IP address"),
        (("fe9.example.com", "--key", "rsa"), "is not a server of the topology"),
        (("--all", "--key", "rsa"), "name a server"),
    ],
)
def test_certificate_for_clients_is_of_a_front_end(
    organisation: Organisation, arguments: tuple[str, ...], why: str
) -> None:
    left = organisation.type("ca", "issue", *arguments)
    assert left.code != 0
    assert why in left.err + left.out


def test_crl_that_management_soon_cannot_send_is_warned_of(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CRL of the usual size causes no warning."""
    assert "octets" not in organisation.type("ca", "crl").out
    octets = (organisation.folder / "ca/issuing.crl").stat().st_size
    monkeypatch.setattr(crl_store, "LARGEST_GIVEN", octets + 10)
    signed = organisation.type("ca", "crl")
    assert f"Management sends servers a CRL of {octets + 10:,} at most." in signed.out
    assert "authority.crls+=URL" in signed.out
