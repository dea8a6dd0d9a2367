"""`sipmesh ca admit` takes the SHA-256 as it is shown elsewhere, and admits a management server only."""

from __future__ import annotations

from cli.world import FE1, MGMT, Organisation
from sipmesh.server.management.admission import Admissions, key_digest
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.x509.certificate import fingerprint


def test_management_server_is_admitted_and_a_front_end_is_not(organisation: Organisation) -> None:
    servers = organisation.folder / "servers"
    leaf, other = (read_certificates(servers / f"{name}.pem")[0] for name in (MGMT, FE1))
    refused = organisation.type("ca", "admit", FE1, "--certificate", fingerprint(other))
    assert (refused.code, "is no management server" in refused.err) == (1, True)
    shown = fingerprint(leaf).upper()
    with_colons = ":".join(shown[at : at + 2] for at in range(0, len(shown), 2))
    done = organisation.type("ca", "admit", MGMT, "--certificate", with_colons)
    assert (done.code, f"{MGMT} is admitted" in done.out) == (0, True), done.err
    assert Admissions.read(organisation.folder / "ca").keys == {MGMT: key_digest(leaf)}
