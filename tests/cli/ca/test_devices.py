"""`sipmesh ca devices` and `sipmesh ca issue --user`, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from cli.world import Organisation
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.device_ca import device_domains
from sipmesh.trust.x509.device_identity import DeviceIdentity, device_identity


@pytest.fixture(name="world")
def _world(organisation: Organisation) -> Organisation:
    organisation.add_user("alice")
    return organisation


DESK = DeviceIdentity("sip:alice@example.com", "desk")
SECRET = "four secret words here"


def issue(world: Organisation, *more: str | Path, typed: str = "") -> tuple[int, str]:
    done = world.type("ca", "issue", "--user", "alice", "--device", "desk", *more, typed=typed)
    return done.code, done.out + done.err


def test_new_organisation_issues_for_devices_at_once(world: Organisation) -> None:
    code, _ = issue(world, "--password-stdin", typed=f"{SECRET}\n")
    assert code == 0
    file = world.folder / "devices" / "alice.desk.p12"
    assert file.stat().st_mode & 0o777 == 0o600
    bundle = load_pkcs12(file.read_bytes(), SECRET.encode())
    assert bundle.cert is not None
    assert device_identity(bundle.cert.certificate) == DESK


def test_file_that_is_there_stays(world: Organisation) -> None:
    assert issue(world, "--format", "pem")[0] == 0
    file = world.folder / "devices" / "alice.desk.pem"
    before = file.read_bytes()
    code, told = issue(world, "--format", "pem")
    assert (code, "exists already" in told, file.read_bytes()) == (1, True, before)


def test_device_that_has_made_its_key_gets_certificates_only(world: Organisation, tmp_path: Path) -> None:
    key, request = files.new_key(), tmp_path / "desk.csr"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bob@example.com")])
    asked = x509.CertificateSigningRequestBuilder(name).add_extension(
        x509.SubjectAlternativeName([x509.DNSName("fe1.example.com")]), critical=False
    )
    request.write_bytes(asked.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    assert issue(world, "--request", request)[0] == 0
    content = (world.folder / "devices" / "alice.desk.pem").read_bytes()
    leaf = x509.load_pem_x509_certificates(content)[0]
    assert (device_identity(leaf), leaf.public_key(), b"PRIVATE" in content) == (DESK, key.public_key(), False)


@pytest.mark.parametrize(
    "arguments",
    [("--user", "alice"), ("--device", "desk"), ("--user", "alice", "--device", "desk", "--all")],
)
def test_user_and_device_are_named_together(world: Organisation, arguments: tuple[str, ...]) -> None:
    assert world.type("ca", "issue", *arguments).code == 2


def test_unknown_user_gets_no_certificate(world: Organisation) -> None:
    done = world.type("ca", "issue", "--user", "nobody", "--device", "desk", "--format", "pem")
    assert done.code == 1
    assert not (world.folder / "devices").exists()


def test_devices_of_a_user_are_revoked_by_name(world: Organisation) -> None:
    assert issue(world, "--format", "pem")[0] == 0
    revoked = world.type("ca", "revoke", "alice@example.com", "--device", "desk")
    assert revoked.code == 0, revoked.err
    assert "desk of alice@example.com" in revoked.out
    again = world.type("ca", "revoke", "alice@example.com")
    assert "has no certificate to revoke" in again.err


def test_status_and_inventory_show_devices(world: Organisation) -> None:
    assert issue(world, "--format", "pem")[0] == 0
    status = world.type("ca", "status", "--json").json
    assert ["alice@example.com", "desk"] in [one["names"] for one in status["certificates"]]
    stock = world.type("ca", "inventory", "--json").json
    (entry,) = [one for one in stock["entries"] if one["what"] == "device"]
    assert entry["name"] == "alice@example.com desk"


def test_existing_organisation_makes_the_ca_later(world: Organisation) -> None:
    for file in (world.folder / "ca").glob("devices.*"):
        file.unlink()
    text = world.file.read_text()
    lines = text.replace(", ca/devices.crl", "").splitlines(keepends=True)
    world.file.write_text("".join(line for line in lines if "ca/devices" not in line))
    code, told = issue(world, "--format", "pem")
    assert (code, "sipmesh ca devices" in told) == (1, True)
    made = world.type("ca", "devices")
    assert made.code == 0, made.err
    assert (world.file.read_text().count("ca/devices.crl"), world.file.read_text().count("ca/devices.pem")) == (1, 1)
    assert device_domains(EnterpriseCa.open(world.folder / "ca").devices) == ("example.com",)
    assert issue(world, "--format", "pem")[0] == 0


@pytest.mark.parametrize(("change", "spelled"), [("remove", "alice"), ("disable", "sip:Alice@example.com")])
def test_devices_are_revoked_with_their_user(world: Organisation, change: str, spelled: str) -> None:
    world.add_user("bob")
    assert issue(world, "--format", "pem")[0] == 0
    other = world.type("ca", "issue", "--user", "bob", "--device", "desk", "--format", "pem")
    assert other.code == 0
    done = world.type("user", change, spelled)
    assert "of desk of alice@example.com" in done.out
    status = world.type("ca", "status", "--json", "--all").json
    states = {one["names"][0]: one["state"] for one in status["certificates"] if one["kind"] == "device"}
    assert states == {"alice@example.com": "revoked", "bob@example.com": "valid"}
    assert issue(world, "--format", "pem", "--device", "mobile")[0] == 1
