"""What a management server signs by: issued beside its certificate, and told of before it ends."""

from __future__ import annotations

import stat
from typing import Any

from cryptography import x509

from cli.world import FE1, Organisation
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING

MGMT = "mgmt.example.com"


def signer(organisation: Organisation) -> dict[str, Any]:
    told = organisation.type("ca", "inventory", "--json").json["entries"]
    (entry,) = [one for one in told if one["what"] == "signer"]
    assert isinstance(entry, dict)
    return entry


def test_a_management_server_is_issued_what_it_signs_by(organisation: Organisation) -> None:
    assert organisation.type("ca", "issue", MGMT).code == 0
    servers = organisation.folder / "servers"
    chain = x509.load_pem_x509_certificates((servers / f"{MGMT}.signer.pem").read_bytes())
    assert len(chain) == 2, "the signer, and the issuing CA for those who know the root"
    assert list(chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [DOCUMENT_SIGNING]
    assert stat.S_IMODE((servers / f"{MGMT}.signer.key").stat().st_mode) == 0o600
    assert not (servers / f"{FE1}.signer.pem").exists()


def test_inventory_says_that_nothing_can_be_published_without_it(organisation: Organisation) -> None:
    laid = signer(organisation)
    assert (laid["name"], laid["stops"]) == (MGMT, "no version can be published; the published version stays in force")
    assert (laid["note"], laid["broken"]) == ("", False)
    assert "no version can be published" in organisation.type("ca", "inventory").out


def test_where_its_file_is_on_another_machine_the_ca_knows_what_it_has_issued(organisation: Organisation) -> None:
    laid = signer(organisation)
    (organisation.folder / "servers" / f"{MGMT}.signer.pem").unlink()
    assert signer(organisation)["on_disk"] == laid["on_disk"]
    organisation.type("ca", "issue", MGMT)
    assert signer(organisation)["on_disk"] != laid["on_disk"]


def test_revoked_signer_is_an_alarm_until_there_is_another(organisation: Organisation) -> None:
    file = organisation.folder / "servers" / f"{MGMT}.signer.pem"
    serial = x509.load_pem_x509_certificates(file.read_bytes())[0].serial_number
    organisation.type("ca", "revoke", "--serial", f"{serial:x}")
    told = organisation.type("ca", "inventory")
    assert told.code == 1
    assert f"{MGMT}: it is revoked, and servers reject its signatures; sipmesh ca issue {MGMT}" in told.out
    organisation.type("ca", "issue", MGMT)
    assert organisation.type("ca", "inventory").code == 0
