"""Grants that were changed on their way: the new server accepts nothing that does not hang from the roots that were confirmed."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from cli.world import DOMAIN, FE1, FE2, Organisation, Result, sipmesh
from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from support.tiers import wide_after

MGMT = f"mgmt.{DOMAIN}"
NOW = datetime.now(UTC)
MALLORY = Forge(NOW).organisation("Mallory")
Told = dict[str, Any]


@pytest.fixture(name="network")
def _network(organisation: Organisation) -> Organisation:
    """fe2 is in the topology, and has no certificate; nothing runs."""
    text = organisation.file.read_text().replace("      #- {name: fe2", "      - {name: fe2")
    organisation.file.write_text(text)
    assert organisation.type("topology", "publish", "-m", "a second front end").code == 0
    return organisation


@pytest.fixture(name="far")
def _far(network: Organisation, tmp_path: Path) -> Path:
    """The new machine's folder, with what it was granted."""
    folder = tmp_path / "far"
    folder.mkdir()
    assert sipmesh("join", "request", FE2, "--dir", folder).code == 0
    granted = granted_in(folder, network)
    assert granted.code == 0, granted.err
    return folder


def granted_in(folder: Path, network: Organisation, *options: str) -> Result:
    """Grant the request in *folder*, which is the current directory: the grant is written there."""
    with chdir(folder):
        return network.type("join", "grant", folder / f"{FE2}.csr", *options)


def mark(file: Path) -> str:
    return x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex()


def accept(folder: Path, *marks: str) -> Result:
    given = [word for one in marks for word in ("--fingerprint", one)]
    return sipmesh("join", "accept", folder / f"{FE2}.join", "--dir", folder, *given)


def refuses(network: Organisation, far: Path, change: Callable[[Told], object], *words: str) -> None:
    """See that a changed grant leaves nothing behind, and that the grant of management is accepted."""
    file = far / f"{FE2}.join"
    good = file.read_bytes()
    told = json.loads(good)
    change(told)
    file.write_text(json.dumps(told))
    left = accept(far, mark(network.root))
    assert left.code == 1, left.out
    assert all(word in left.err for word in words), left.err
    assert not (far / "servers" / f"{FE2}.pem").exists()
    assert not list((far / "state").glob("*")) if (far / "state").exists() else True
    file.write_bytes(good)
    done = accept(far, mark(network.root))
    assert done.code == 0, done.err


def signed_by(told: Told, credentials: Forged, **changes: Any) -> None:
    """Put the topology of a grant under another signature, as the next version."""
    old = Publication.decode(open_signed(told["publication"].encode(), KIND).payload)
    new = replace(old, number=old.number + 1, by="mallory (66)", **changes)
    assert isinstance(credentials.key, ec.EllipticCurvePrivateKey)
    told["publication"] = sign(new.encode(), KIND, credentials.chain, credentials.key).decode()


def ours(network: Organisation) -> Forged:
    """Our issuing CA in the forge's hands."""
    ca = network.folder / "ca"
    return Forged.read(ca / "issuing.pem", ca / "issuing.key", Forged.read(ca / "root.pem", ca / "root.key"))


def front_end(network: Organisation) -> Forged:
    """A front end that was taken over, with its key."""
    servers = network.folder / "servers"
    return Forged.read(servers / f"{FE1}.pem", servers / f"{FE1}.key", ours(network))


def signer(issuer: Forged, **changes: Any) -> Forged:
    wish = Wish(MGMT, dns=(MGMT,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90))
    return Forge(NOW).forge(wish, issuer, **changes)


def pem(held: Forged) -> str:
    return held.pem_chain.decode()


def root_of(held: Forged) -> Forged:
    return held if held.issuer is None else root_of(held.issuer)


def test_second_root_beside_the_confirmed_one_is_not_accepted(network: Organisation, far: Path) -> None:
    def change(told: Told) -> None:
        told["anchors"].append(pem(root_of(MALLORY)))

    refuses(network, far, change, "not confirmed")


def test_second_root_in_the_file_of_the_confirmed_one_is_not_accepted(network: Organisation, far: Path) -> None:
    def change(told: Told) -> None:
        told["anchors"][0] += pem(root_of(MALLORY))

    refuses(network, far, change, "not confirmed")


def test_topology_that_names_a_second_root_and_hangs_from_it_is_not_accepted(network: Organisation, far: Path) -> None:
    """The whole attack: the carrier of the grant becomes the management of the new server."""

    def change(told: Told) -> None:
        told["anchors"].append(pem(root_of(MALLORY)))
        root = network.root.read_bytes() + root_of(MALLORY).pem_chain
        signed_by(told, signer(MALLORY), files={"ca/root.pem": root})

    refuses(network, far, change, "not confirmed")


def test_second_root_that_only_the_topology_names_is_not_accepted(network: Organisation, far: Path) -> None:
    """Signed by our own signer, as where a root is being changed: it was not confirmed all the same."""

    def change(told: Told) -> None:
        servers = network.folder / "servers"
        credentials = Forged.read(servers / f"{MGMT}.signer.pem", servers / f"{MGMT}.signer.key", ours(network))
        old = Publication.decode(open_signed(told["publication"].encode(), KIND).payload)
        root = network.root.read_bytes() + root_of(MALLORY).pem_chain
        signed_by(told, credentials, files={**old.files, "ca/root.pem": root})

    refuses(network, far, change, "not confirmed")


def test_each_root_of_a_change_of_roots_is_confirmed(network: Organisation, far: Path) -> None:
    """Two fingerprints for two roots; with either of them alone nothing is accepted."""
    prepared = network.type("ca", "root", "prepare")
    assert prepared.code == 0, prepared.err
    network.file.write_text(network.file.read_text().replace("[ca/root.pem]", "[ca/root.pem, ca/2/root.pem]"))
    network.file.write_text(
        network.file.read_text().replace("ca/devices.crl]", "ca/devices.crl, ca/2/root.crl, ca/2/issuing.crl]")
    )
    published = network.type("topology", "publish", "-m", "two roots")
    assert published.code == 0, published.err
    again = granted_in(far, network)
    assert again.code == 0, again.err
    marks = mark(network.root), mark(network.folder / "ca" / "2" / "root.pem")
    for one in marks:
        assert accept(far, one).code == 1
    assert accept(far, *marks).code == 0


@pytest.mark.parametrize(
    "credentials",
    wide_after(
        3,
        [
            front_end,
            lambda network: signer(front_end(network)),
            lambda network: signer(Forge(NOW).authority("CA below a leaf", front_end(network))),
            lambda network: signer(ours(network), names=(MGMT,), dns=()),
            lambda network: signer(ours(network), ends=timedelta(days=-1), begins=timedelta(days=-9)),
            lambda network: signer(ours(network), dns=(FE1,)),
        ],
    ),
    ids=["front end", "issued by a front end", "CA under a front end", "with a SIP name", "expired", "no manager"],
)
def test_topology_that_no_signer_of_management_has_signed_is_not_accepted(
    network: Organisation, far: Path, credentials: Callable[[Organisation], Forged]
) -> None:
    refuses(network, far, lambda told: signed_by(told, credentials(network)), "is rejected")


def test_topology_by_a_revoked_signer_is_not_accepted(network: Organisation, far: Path) -> None:
    """The thief of a signer, after its revocation: the lists of the grant name it."""
    generations = CaGenerations(network.folder / "ca")
    servers = network.folder / "servers"
    stolen = Forged.read(servers / f"{MGMT}.signer.pem", servers / f"{MGMT}.signer.key", ours(network))
    kept = network.folder / "ca" / "issuing.crl"
    generations.current.revoke(stolen.certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
    listed = base64.b64encode(kept.read_bytes()).decode()

    def change(told: Told) -> None:
        signed_by(told, stolen)
        told["lists"]["ca/issuing.crl"] = listed
        if "proof" in told:
            told["proof"].append(listed)

    refuses(network, far, change, "revoked")


def test_management_grants_nothing_by_a_topology_whose_signer_is_revoked(network: Organisation, far: Path) -> None:
    """No server would accept it; once it is published again it is granted."""
    assert network.type("ca", "revoke", MGMT).code == 0
    refused = granted_in(far, network)
    assert (refused.code, "topology publish" in refused.err) == (1, True)
    assert network.type("ca", "issue", MGMT).code == 0
    assert network.type("topology", "publish", "-m", "a new signer").code == 0
    assert granted_in(far, network).code == 0
    assert accept(far, mark(network.root)).code == 0


def test_grant_without_crls_is_not_accepted(network: Organisation, far: Path) -> None:
    """Whether the signer is revoked cannot be told then."""

    def change(told: Told) -> None:
        told["lists"] = {}
        told["proof"] = []

    refuses(network, far, change, "revocation-unknown")


def test_certificate_that_a_front_end_issued_is_not_put_in_place(network: Organisation, far: Path) -> None:
    """It bears our name and our key, and leads to the root by signatures alone."""
    key = x509.load_pem_x509_csr((far / f"{FE2}.csr").read_bytes()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    issuer = front_end(network)
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, FE2)]))
    builder = builder.issuer_name(issuer.certificate.subject).public_key(key).serial_number(77)
    builder = builder.not_valid_before(NOW - timedelta(hours=1)).not_valid_after(NOW + timedelta(days=9))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(FE2)]), critical=False)
    made = Forged(builder.sign(issuer.key, SHA256()), issuer.key, issuer)

    def change(told: Told) -> None:
        told["certificate"] = pem(made)

    refuses(network, far, change, "certificate in this grant is rejected")


def test_grant_writes_no_file_that_the_topology_does_not_name(network: Organisation, far: Path) -> None:
    """A list in the place of a key, and the certificate in the place of the state."""
    file = far / f"{FE2}.join"
    key = (far / "servers" / f"{FE2}.key").read_bytes()
    told = json.loads(file.read_bytes())
    told["lists"][f"servers/{FE2}.key"] = told["lists"]["ca/issuing.crl"]
    told["lists"]["planted.crl"] = told["lists"]["ca/issuing.crl"]
    told["certificate_file"] = "planted.pem"
    file.write_text(json.dumps(told))
    done = accept(far, mark(network.root))
    assert done.code == 0, done.err
    assert (far / "servers" / f"{FE2}.key").read_bytes() == key
    assert not list(far.glob("planted*"))
    assert (far / "servers" / f"{FE2}.pem").exists()


@pytest.mark.parametrize("server", ["../../fe2.example.com", "/etc/fe2", ""])
def test_grant_for_no_server_name_is_no_grant(network: Organisation, far: Path, server: str) -> None:
    refuses(network, far, lambda told: told.update(server=server), "is not a file of")


def test_second_grant_for_another_key_has_to_be_asked_for(network: Organisation, far: Path, tmp_path: Path) -> None:
    """Without a word the server's name would belong to two keys; both the refusal and the second one are in the audit log."""
    second = tmp_path / "second"
    second.mkdir()
    assert sipmesh("join", "request", FE2, "--dir", second).code == 0
    refused = granted_in(second, network)
    assert (refused.code, "--replace" in refused.err, f"sipmesh ca revoke {FE2}" in refused.err) == (1, True, True)
    assert not (second / f"{FE2}.join").exists()
    assert granted_in(far, network).code == 0  # the same key again
    done = granted_in(second, network, "--replace")
    assert (done.code, " --serial" in done.out) == (0, True)
    management_db = ManagementDb(network.folder)
    told = [(str(line.act), dict(line.about)) for line in management_db.audit.read()]
    management_db.close()
    refusals = [about for act, about in told if act == "refused" and about.get("server") == FE2]
    assert len(refusals) == 1
    assert [about["beside"].count(" ") for _, about in told if "beside" in about] == [1]
    shutil.rmtree(second)


def test_grant_for_a_server_whose_certificate_was_revoked_needs_no_option(network: Organisation, far: Path) -> None:
    assert network.type("ca", "revoke", FE2).code == 0
    (far / "servers" / f"{FE2}.key").unlink()
    assert sipmesh("join", "request", FE2, "--dir", far).code == 0
    assert granted_in(far, network).code == 0
    assert accept(far, mark(network.root)).code == 0
