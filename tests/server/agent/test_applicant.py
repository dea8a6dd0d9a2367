"""A server requests its next certificate, and stores what is its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import RemoteError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.keys.passphrase import VARIABLE
from sipmesh.server.replication.renewal import CERTIFICATE
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.view import view as view_of
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from support.crls import issuing_beside
from support.renewing import DUE, FE1, FE2, NOW, Place


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


def again(ca: EnterpriseCa, begins: datetime, ends: datetime) -> x509.Certificate:
    """Make another certificate of the issuing CA, for the same key."""
    old = ca.issuing
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), 77, begins, ends)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(files.read_key(ca.folder / "root.key"), hashes.SHA256())


def root_list(ca: EnterpriseCa, serial: int) -> RevocationList:
    """Make a CRL of the root with one serial number."""
    builder = x509.CertificateRevocationListBuilder(ca.root.subject, NOW, NOW + timedelta(9))
    builder = builder.add_extension(x509.CRLNumber(9), critical=False)
    builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, NOW).build())
    made = builder.sign(files.read_key(ca.folder / "root.key"), hashes.SHA256())
    return RevocationList.load(made.public_bytes(Encoding.DER), (ca.root,))


@pytest.mark.parametrize(
    ("begins", "ends", "is_shown"),
    [
        (timedelta(0), timedelta(99), True),
        (timedelta(-9), timedelta(-1), False),
        (timedelta(1), timedelta(99), False),
    ],
    ids=["valid", "expired", "later"],
)
def test_only_a_valid_certificate_of_the_issuing_ca_is_shown(
    place: Place, begins: timedelta, ends: timedelta, *, is_shown: bool
) -> None:
    """A stolen front end could pass on an earlier one: then each peer would refuse the edge behind it."""
    view, other = place.view(FE1), again(place.ca, NOW + begins, NOW + ends)
    before = read_certificates(view.certificate)
    assert place.applicant(FE1).show((other,), view, NOW) is is_shown
    assert read_certificates(view.certificate) == ([before[0], other] if is_shown else before)


@pytest.mark.parametrize(
    ("begins", "is_shown"), [(timedelta(minutes=-3), False), (timedelta(minutes=-1), True)], ids=["earlier", "later"]
)
def test_earlier_certificate_of_the_issuing_ca_does_not_replace_a_later_one(
    place: Place, begins: timedelta, *, is_shown: bool
) -> None:
    """A stolen front end could pass on again what it was given before the last renewal."""
    view = place.view(FE1)
    later, passed_on = (again(place.ca, NOW + when, NOW + timedelta(99)) for when in (timedelta(minutes=-2), begins))
    applicant = place.applicant(FE1)
    assert applicant.show((later,), view, NOW)
    assert applicant.show((passed_on,), view, NOW) is is_shown
    assert read_certificates(view.certificate)[1] == (passed_on if is_shown else later)


def test_certificate_that_has_been_revoked_gives_way_to_an_earlier_one(place: Place) -> None:
    view, applicant = place.view(FE1), place.applicant(FE1)
    later = again(place.ca, NOW, NOW + timedelta(99))
    earlier = place.ca.issuing
    assert applicant.show((later,), view, NOW)
    assert not applicant.show((earlier,), view, NOW)
    place.loaded.authority.use_crls(RevocationLists([root_list(place.ca, later.serial_number)]))
    assert applicant.show((earlier,), view, NOW)


def test_certificate_is_requested_from_another_ca_of_ours_and_not_because_of_a_stranger(
    place: Place, tmp_path: Path
) -> None:
    """A stolen front end could pass on a certificate of its own as that of our issuing CA."""
    applicant, view = place.applicant(FE1), place.view(FE1)
    stranger = EnterpriseCa.create(tmp_path / "stranger", "Example", NOW, crl_base="http://crl.example.test")
    assert applicant.request(view, NOW, (stranger.issuing,)) is None
    assert applicant.request(view, NOW, (place.ca.issuing,)) is None
    assert applicant.request(view, NOW, (issuing_beside(place.ca, NOW),)) is not None


def test_the_next_key_is_encrypted_where_a_passphrase_is_configured(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the key waits for its certificate, and even if the present key is not encrypted."""
    passphrase = place.folder / "passphrase"
    files.write(passphrase, b"a passphrase that nobody types", files.SECRET)
    monkeypatch.setenv(VARIABLE, str(passphrase))
    applicant, grantor = place.applicant(FE1), place.grantor()
    request = applicant.request(place.view(FE1), DUE)
    assert request is not None
    (waiting,) = (place.folder / "state").glob("*.next-key")
    assert files.is_encrypted(waiting.read_bytes())
    assert grantor.asked(FE1, request, place.loaded, DUE)
    item = grantor.item(FE1)
    assert item is not None
    assert applicant.accept_certificate(open_signed(item.body, CERTIFICATE).payload, place.view(FE1))
    key = place.view(FE1).key
    assert files.is_encrypted(key.read_bytes())
    assert files.read_key(key).public_key() == place.leaf(FE1).public_key()


def test_a_server_gets_its_next_certificate_with_the_names_of_the_topology(place: Place) -> None:
    applicant, grantor = place.applicant(FE1), place.grantor()
    request = applicant.request(place.view(FE1), DUE)
    assert request is not None
    assert grantor.asked(FE1, request, place.loaded, DUE)
    item = grantor.item(FE1)
    assert item is not None
    before = place.leaf(FE1)
    assert applicant.accept_certificate(open_signed(item.body, CERTIFICATE).payload, place.view(FE1))
    after = place.leaf(FE1)
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.public_key() != before.public_key()
    assert files.read_key(place.view(FE1).key).public_key() == after.public_key()
    assert after.extensions.get_extension_for_class(x509.SubjectAlternativeName) == (
        before.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    )
    assert [server for server, _ in place.granted] == [FE1]
    assert not list((place.folder / "state").iterdir())


def test_server_below_a_ca_of_ml_dsa_gets_its_next_certificate_for_such_a_key(tmp_path: Path) -> None:
    """The request and the answer are signed with such keys too; a request of another server is refused."""
    place = Place.make(tmp_path, KeyAlgorithm.ML_DSA_44)
    applicant, grantor = place.applicant(FE1), place.grantor()
    request = applicant.request(place.view(FE1), DUE)
    assert request is not None
    with pytest.raises(RemoteError, match="not signed with its key"):
        grantor.asked(FE2, request, place.loaded, DUE)
    assert grantor.asked(FE1, request, place.loaded, DUE)
    item = grantor.item(FE1)
    assert item is not None
    before = place.leaf(FE1)
    assert applicant.accept_certificate(open_signed(item.body, CERTIFICATE).payload, place.view(FE1))
    after = place.leaf(FE1)
    assert after.public_key() != before.public_key()
    assert KeyAlgorithm.of(after.public_key()) is KeyAlgorithm.ML_DSA_44


def test_certificate_for_another_server_or_key_is_not_stored(place: Place) -> None:
    applicant, grantor = place.applicant(FE1), place.grantor()
    grantor.asked(FE2, place.request(FE2), place.loaded, DUE)
    theirs = grantor.item(FE2)
    assert theirs is not None
    payload = open_signed(theirs.body, CERTIFICATE).payload
    with pytest.raises(RemoteError, match=f"a certificate of {FE2}"):
        applicant.accept_certificate(payload, place.view(FE1))
    before = place.leaf(FE1)
    relabelled = json.dumps({**json.loads(payload), "server": FE1}).encode()
    assert not applicant.accept_certificate(relabelled, place.view(FE1))
    applicant.request(place.view(FE1), DUE)
    assert not applicant.accept_certificate(relabelled, place.view(FE1))
    assert place.leaf(FE1) == before
    with pytest.raises(RemoteError, match="cannot be read"):
        applicant.accept_certificate(b"{}", place.view(FE1))


def test_revoked_certificate_of_the_issuing_ca_is_not_shown(place: Place) -> None:
    other = again(place.ca, NOW, NOW + timedelta(99))
    for revoked in (True, False):
        lists = RevocationLists([root_list(place.ca, 77 if revoked else 78)])
        place.loaded.authority.use_crls(lists)
        assert place.applicant(FE1).show((other,), place.view(FE1), NOW) is not revoked


def test_certificate_below_an_adopted_root_is_not_renewed_by_management(place: Place) -> None:
    """Management would refuse each request, of which each report has one."""
    view, other = place.view(FE1), issuing_beside(place.ca, NOW)
    applicant = place.applicant(FE1)
    assert applicant.request(view, NOW, (other,)) is not None
    authority = view.loaded.topology.authority.model_copy(update={"anchors": ("anchors/ca-0.pem",)})
    topology = view.loaded.topology.model_copy(update={"authority": authority})
    root = place.ca.root.public_bytes(Encoding.PEM)
    adopted = replace(view.loaded, topology=topology, embedded={"anchors/ca-0.pem": root})
    assert applicant.request(view_of(adopted, FE1), NOW, (other,)) is None
