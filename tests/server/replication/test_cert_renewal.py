"""Automatic renewal: who may request a certificate for whom, and the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Wish
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.csr import request_for
from sipmesh.pki.keys.passphrase import VARIABLE
from sipmesh.pki.ledger.ledger import FILE
from sipmesh.server.certificates.presented import PresentedCertificates
from sipmesh.server.replication.cert_renewal import (
    CERTIFICATE,
    MOST_A_DAY,
    REQUEST,
    Applicant,
    Grantor,
    finish_own,
    is_due,
    renew_own,
)
from sipmesh.topology.document.load import Loaded, load
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import open_signed, sign
from sipmesh.topology.view import ServerView, certificate_names, view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from support import renewal_steps
from support.crls import issuing_beside

FE1, FE2, EDGE, MGMT = "fe1.example.test", "fe2.example.test", "edge1.example.test", "mgmt.example.test"
TOPOLOGY = f"""\
sipmesh: 1
organisation: Example
sip_domains: [example.test]
authority: {{anchors: [ca/root.pem], crls: [ca/root.crl, ca/issuing.crl]}}
pools:
  - {{name: {MGMT}, role: management, servers: [{MGMT}]}}
  - {{name: pool1.example.test, role: front-end, servers: [{{name: {FE1}, machine: a}}, {{name: {FE2}, machine: a}}]}}
  - {{name: sip.example.test, role: edge, servers: [{EDGE}], next_hop: pool1.example.test}}
"""
NOW = datetime.now(UTC)
DUE = NOW + timedelta(days=21)  # of 30


@dataclass
class Place:
    """An organisation in which every server has a certificate that is valid from now."""

    folder: Path
    loaded: Loaded
    ca: EnterpriseCa
    granted: list[tuple[str, x509.Certificate]] = field(default_factory=list)

    def view(self, server: str) -> ServerView:
        return view(self.loaded, server)

    def leaf(self, server: str) -> x509.Certificate:
        return read_certificates(self.view(server).certificate)[0]

    def grantor(self) -> Grantor:
        chain, key = self.view(MGMT).signer
        return Grantor(
            self.folder / "ca",
            lambda payload, kind: sign(payload, kind, read_certificates(chain), files.read_key(key)),
            lambda server, made: self.granted.append((server, made)),
        )

    def applicant(self, server: str) -> Applicant:
        return Applicant(server, self.folder / "state")

    def request(self, server: str) -> str:
        found = self.applicant(server).request(self.view(server), DUE)
        assert found is not None
        return found

    def forged(self, about: str, by: str) -> str:
        """A request for *about* that is signed with the certificate of *by*."""
        shown = self.view(by)
        made = request_for(about, files.new_key())
        return sign(made, REQUEST, read_certificates(shown.certificate), files.read_key(shown.key)).decode()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    file = tmp_path / "topology.yaml"
    ca = EnterpriseCa.create(tmp_path / "ca", "Example", NOW, crl_base="http://crl.example.test")
    file.write_text(TOPOLOGY)
    (tmp_path / "state").mkdir()
    place = Place(tmp_path, load(file), ca)
    for pool in place.loaded.topology.pools:
        for server in pool.servers:
            issued = ca.issue(certificate_names(place.loaded.topology, server.name), pool.role, NOW)
            issued.write(tmp_path / server.certificate_file, tmp_path / server.key_file)
    ca.issue_signer(MGMT, NOW).write(*place.view(MGMT).signer)
    return place


def test_certificate_is_requested_at_two_thirds_of_its_life_and_not_before(place: Place) -> None:
    leaf = place.leaf(FE1)
    assert not is_due(leaf, NOW + timedelta(days=19))
    assert is_due(leaf, DUE)
    assert place.applicant(FE1).request(place.view(FE1), NOW) is None


def again(ca: EnterpriseCa, begins: datetime, ends: datetime) -> x509.Certificate:
    """Make another certificate of the issuing CA, for the same key."""
    old = ca.issuing
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), 77, begins, ends)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(files.read_key(ca.folder / "root.key"), hashes.SHA256())


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
    assert place.applicant(FE1).show(other, view, NOW) is is_shown
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
    assert applicant.show(later, view, NOW)
    assert applicant.show(passed_on, view, NOW) is is_shown
    assert read_certificates(view.certificate)[1] == (passed_on if is_shown else later)


def test_certificate_that_has_been_revoked_gives_way_to_an_earlier_one(place: Place) -> None:
    view, applicant = place.view(FE1), place.applicant(FE1)
    later = again(place.ca, NOW, NOW + timedelta(99))
    earlier = place.ca.issuing
    assert applicant.show(later, view, NOW)
    assert not applicant.show(earlier, view, NOW)
    place.loaded.authority.use_crls(RevocationLists([root_list(place.ca, later.serial_number)]))
    assert applicant.show(earlier, view, NOW)


def test_certificate_is_requested_from_another_ca_of_ours_and_not_because_of_a_stranger(
    place: Place, tmp_path: Path
) -> None:
    """A stolen front end could pass on a certificate of its own as that of our issuing CA."""
    applicant, view = place.applicant(FE1), place.view(FE1)
    stranger = EnterpriseCa.create(tmp_path / "stranger", "Example", NOW, crl_base="http://crl.example.test")
    assert applicant.request(view, NOW, stranger.issuing) is None
    assert applicant.request(view, NOW, place.ca.issuing) is None
    assert applicant.request(view, NOW, issuing_beside(place.ca, NOW)) is not None


def test_revoked_certificate_of_the_issuing_ca_is_not_shown(place: Place) -> None:
    other = again(place.ca, NOW, NOW + timedelta(99))
    for revoked in (True, False):
        lists = RevocationLists([root_list(place.ca, 77 if revoked else 78)])
        place.loaded.authority.use_crls(lists)
        assert place.applicant(FE1).show(other, place.view(FE1), NOW) is not revoked


def root_list(ca: EnterpriseCa, serial: int) -> RevocationList:
    """Make a CRL of the root with one serial number."""
    builder = x509.CertificateRevocationListBuilder(ca.root.subject, NOW, NOW + timedelta(9))
    builder = builder.add_extension(x509.CRLNumber(9), critical=False)
    builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, NOW).build())
    made = builder.sign(files.read_key(ca.folder / "root.key"), hashes.SHA256())
    return RevocationList.load(made.public_bytes(Encoding.DER), (ca.root,))


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


def test_the_same_key_is_granted_once(place: Place) -> None:
    """A server requests with each report; after a restart it requests again, with the waiting key."""
    grantor = place.grantor()
    assert grantor.asked(FE1, place.request(FE1), place.loaded, DUE)
    assert not grantor.asked(FE1, place.request(FE1), place.loaded, DUE)
    assert len(place.granted) == 1


@pytest.mark.parametrize(("later", "granted"), [(timedelta(0), False), (timedelta(days=1), True)])
def test_certificates_of_one_server_are_limited_per_day(place: Place, later: timedelta, *, granted: bool) -> None:
    """A thief cannot fill the ledger and the audit log of management; another server still gets its own certificate."""
    grantor = place.grantor()
    for _ in range(MOST_A_DAY):
        assert grantor.asked(FE1, place.forged(FE1, by=FE1), place.loaded, DUE)
    with ExitStack() as refused:
        if not granted:
            refused.enter_context(pytest.raises(RemoteError, match="has received 4 certificates in a day"))
        grantor.asked(FE1, place.forged(FE1, by=FE1), place.loaded, DUE + later)
    assert len(place.granted) == MOST_A_DAY + granted
    assert grantor.asked(FE2, place.forged(FE2, by=FE2), place.loaded, DUE)


def test_request_for_another_server_is_refused(place: Place) -> None:
    """A front end relays the requests of the edges behind it: with its own key it gets nothing in their name."""
    grantor = place.grantor()
    with pytest.raises(RemoteError, match="not signed with its key"):
        grantor.asked(EDGE, place.forged(EDGE, by=FE1), place.loaded, DUE)
    with pytest.raises(RemoteError, match="requests a certificate for"):
        grantor.asked(FE1, place.forged(EDGE, by=FE1), place.loaded, DUE)
    assert place.granted == []
    assert grantor.asked(EDGE, place.request(EDGE), place.loaded, DUE)


def write(place: Place, statement: str, *values: object) -> None:
    """Change the ledger as who can write to it."""
    with closing(connect(place.folder / "ca" / FILE)) as db, db:
        assert db.execute(statement, values).rowcount > 0


def test_certificate_that_only_the_ledger_has_renews_nothing(place: Place) -> None:
    """Who can write to the ledger, and has a front end, would get the certificate of an edge."""
    wish = Wish(EDGE, dns=(EDGE,), uris=(f"sip:{EDGE}",), ends=timedelta(days=30))
    mallory = Forge(NOW).forge(wish, Forge(NOW).organisation("example.test"))
    assert isinstance(mallory.key, ec.EllipticCurvePrivateKey)
    forged = sign(request_for(EDGE, files.new_key()), REQUEST, mallory.chain, mallory.key).decode()
    der = mallory.certificate.public_bytes(Encoding.DER)
    rightful, serial = place.request(EDGE), f"{place.leaf(EDGE).serial_number:x}"
    columns = "serial", "der", "names", "not_before", "not_after"
    with closing(connect(place.folder / "ca" / FILE)) as db:
        query = f"SELECT {', '.join(columns)} FROM certificates WHERE serial = ?"  # noqa: S608 - our own table
        real = db.execute(query, (serial,)).fetchone()
    dates = mallory.certificate.not_valid_before_utc.isoformat(), mallory.certificate.not_valid_after_utc.isoformat()
    theirs = f"{mallory.certificate.serial_number:x}", der, json.dumps([EDGE]), *dates
    update = f"UPDATE certificates SET {' = ?, '.join(columns)} = ? WHERE serial = ?"  # noqa: S608 - our own table
    write(place, update, *theirs, serial)
    with pytest.raises(RemoteError, match="not signed with its key"):
        place.grantor().asked(EDGE, forged, place.loaded, DUE)
    write(place, update, *real, theirs[0])
    assert place.grantor().asked(EDGE, rightful, place.loaded, DUE)


def test_names_in_the_ledger_make_no_certificate_that_of_another_server(place: Place) -> None:
    serial = f"{place.leaf(FE1).serial_number:x}"
    write(place, "UPDATE certificates SET names = ? WHERE serial = ?", json.dumps([EDGE]), serial)
    with pytest.raises(RemoteError, match="not signed with its key"):
        place.grantor().asked(EDGE, place.forged(EDGE, by=FE1), place.loaded, DUE)
    assert place.grantor().asked(EDGE, place.forged(EDGE, by=EDGE), place.loaded, DUE)
    assert place.grantor().asked(FE1, place.request(FE1), place.loaded, DUE)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE certificates SET serial = 'zz' WHERE serial = ?",
        "UPDATE certificates SET names = 'no JSON' WHERE serial = ?",
        "UPDATE certificates SET der = x'00' WHERE serial = ?",
        "DELETE FROM certificates WHERE serial = ?",
    ],
)
@pytest.mark.parametrize("whose", [FE1, "issuing CA"])
def test_changed_row_keeps_no_server_from_renewal(place: Place, statement: str, whose: str) -> None:
    """The certificate says whose it is, and our CA has signed it. A row of the issuing CA is not needed either."""
    certificate = place.leaf(FE1) if whose == FE1 else place.ca.issuing
    write(place, statement, f"{certificate.serial_number:x}")
    for server in (FE1, FE2):
        assert place.grantor().asked(server, place.request(server), place.loaded, DUE)
    with pytest.raises(RemoteError, match="not signed with its key"):
        place.grantor().asked(EDGE, place.forged(EDGE, by=FE1), place.loaded, DUE)


def test_issuing_ca_that_the_root_has_revoked_issues_nothing_although_its_row_is_gone(place: Place) -> None:
    place.ca.revoke(place.ca.issuing.serial_number, Reason.KEY_COMPROMISE, DUE)
    write(place, "DELETE FROM certificates WHERE serial = ?", f"{place.ca.issuing.serial_number:x}")
    with pytest.raises(OperatorError, match="the issuing CA cannot issue"):
        place.grantor().asked(FE1, place.request(FE1), place.loaded, DUE)


def test_revoked_certificate_is_not_renewed_although_the_ledger_has_no_revocation(place: Place) -> None:
    place.ca.revoke(place.leaf(FE1).serial_number, Reason.KEY_COMPROMISE, DUE)
    write(place, "UPDATE certificates SET revoked_at = NULL, reason = NULL")
    with pytest.raises(RemoteError, match="has expired or was revoked"):
        place.grantor().asked(FE1, place.request(FE1), place.loaded, DUE)
    assert place.grantor().asked(FE2, place.request(FE2), place.loaded, DUE)


def test_request_signed_by_a_document_signer_is_refused(place: Place) -> None:
    chain, key = place.view(MGMT).signer
    made = request_for(MGMT, files.new_key())
    forged = sign(made, REQUEST, read_certificates(chain), files.read_key(key)).decode()
    with pytest.raises(RemoteError, match="not signed with its key"):
        place.grantor().asked(MGMT, forged, place.loaded, DUE)


def test_request_with_a_revoked_or_expired_certificate_is_refused(place: Place) -> None:
    first, second = place.request(FE1), place.request(FE2)
    place.ca.revoke(place.leaf(FE1).serial_number, Reason.KEY_COMPROMISE, DUE)
    grantor = place.grantor()
    with pytest.raises(RemoteError, match="has expired or was revoked"):
        grantor.asked(FE1, first, place.loaded, DUE)
    with pytest.raises(RemoteError, match="has expired or was revoked"):
        grantor.asked(FE2, second, place.loaded, NOW + timedelta(days=31))
    assert grantor.asked(FE2, second, place.loaded, DUE)


def test_request_with_a_certificate_of_another_ca_is_refused(place: Place, tmp_path: Path) -> None:
    """Even with a name and a serial number that we have issued: the certificate is compared octet by octet."""
    other = EnterpriseCa.create(tmp_path / "other", "Example", NOW, crl_base="http://crl.example.test")
    issued = other.issue((FE1,), Role.FRONT_END, NOW)
    issued.write(tmp_path / "stranger.pem", tmp_path / "stranger.key")
    chain, key = read_certificates(tmp_path / "stranger.pem"), files.read_key(tmp_path / "stranger.key")
    forged = sign(request_for(FE1, files.new_key()), REQUEST, chain, key).decode()
    with pytest.raises(RemoteError, match="not signed with its key"):
        place.grantor().asked(FE1, forged, place.loaded, DUE)


def test_removed_server_gets_no_certificate(place: Place) -> None:
    request = place.request(FE2)
    (place.folder / "topology.yaml").write_text(TOPOLOGY.replace(f", {{name: {FE2}, machine: a}}", ""))
    with pytest.raises(RemoteError, match="not in the topology"):
        place.grantor().asked(FE2, request, load(place.folder / "topology.yaml"), DUE)
    assert place.grantor().asked(FE2, request, place.loaded, DUE)


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


def test_management_renews_its_own_certificates_also_after_expiry(place: Place) -> None:
    shown = place.view(MGMT)
    assert renew_own(shown, place.folder / "ca", NOW) == []
    late = NOW + timedelta(days=100)
    assert len(renew_own(shown, place.folder / "ca", late)) == 2
    assert place.leaf(MGMT).not_valid_after_utc > late
    assert read_certificates(shown.signer[0])[0].not_valid_after_utc > late
    assert renew_own(shown, place.folder / "ca", late) == []


def test_management_without_the_ca_renews_nothing(place: Place, tmp_path: Path) -> None:
    assert renew_own(place.view(MGMT), tmp_path / "nowhere", NOW + timedelta(days=100)) == []


@pytest.mark.wide
def test_renewal_that_is_killed_at_any_step_is_finished_at_the_next_start(place: Place) -> None:
    """Also on a server of a management pool that follows: other servers have sealed the CA to the key in the ledger."""
    shown = place.view(MGMT)
    for file in (shown.certificate, shown.key, *shown.signer):
        shutil.copy(file, place.folder / f"{file.name}.first")
    paths = os.pathsep.join(filter(None, sys.path))
    late = (NOW + timedelta(days=100)).isoformat()
    done = subprocess.run(
        [sys.executable, renewal_steps.__file__, str(place.folder), MGMT, late],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("killed") >= 6, "each key waits, and each pair has two files"


def test_key_that_waits_without_a_certificate_is_not_used(place: Place) -> None:
    """It may have been stolen since. Twin: a key that waits, and for which the ledger has a certificate."""
    shown, ca = place.view(MGMT), place.folder / "ca"
    waiting, before = shown.key.with_name(f"{shown.key.name}.next"), shown.key.read_bytes()
    key = files.new_key()
    files.write(waiting, files.key_pem(key), files.SECRET)
    assert not finish_own(shown, ca)
    assert shown.key.read_bytes() == before
    issued = place.ca.issue((MGMT,), Role.MANAGEMENT, NOW, key=key)
    place.ca.revoke(issued.certificate.serial_number, Reason.KEY_COMPROMISE, NOW)
    assert not finish_own(shown, ca)
    assert shown.key.read_bytes() == before
    again = place.ca.issue((MGMT,), Role.MANAGEMENT, NOW, key=key).certificate
    assert finish_own(shown, ca)
    assert (place.leaf(MGMT), waiting.exists()) == (again, False)


@pytest.mark.parametrize("server", [FE1, MGMT])
def test_server_that_was_killed_between_its_key_and_its_certificate_starts(place: Place, server: str) -> None:
    shown = place.view(server)
    issued = place.ca.issue((server,), Role.FRONT_END, NOW)
    files.prepare(shown.certificate, issued.chain, files.PUBLIC)
    files.write(shown.key, issued.key, files.SECRET)
    presented = PresentedCertificates.first(shown)
    assert presented.of(LinkKind.SERVER).leaf == issued.certificate
