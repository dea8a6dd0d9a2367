"""Who gets a certificate from management, and with which names."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Wish
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.csr import request_for
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.ledger.ledger import FILE
from sipmesh.server.management.grantor import MOST_A_DAY
from sipmesh.server.replication.renewal import REQUEST
from sipmesh.topology.document.load import load
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.trust.role import Role
from support.renewing import DUE, EDGE, FE1, FE2, MGMT, NOW, TOPOLOGY, Place
from support.tiers import wide_after


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


def write(place: Place, statement: str, *values: object) -> None:
    """Change the ledger as who can write to it."""
    with closing(connect(place.folder / "ca" / FILE)) as db, db:
        assert db.execute(statement, values).rowcount > 0


def test_the_same_key_is_granted_once(place: Place) -> None:
    """A server requests with each report; after a restart it requests again, with the waiting key."""
    grantor = place.grantor()
    assert grantor.asked(FE1, place.request(FE1), place.loaded, DUE)
    assert not grantor.asked(FE1, place.request(FE1), place.loaded, DUE)
    assert len(place.granted) == 1


def test_server_that_a_front_end_keeps_from_the_new_ca_gets_no_certificate_for_a_weaker_key(place: Place) -> None:
    """A stolen front end passes on the old CA as that which issues; the new CA is of ML-DSA-44."""
    kept = place.request(EDGE)
    generations = CaGenerations(place.folder / "ca")
    coming = generations.prepare(NOW, algorithm=KeyAlgorithm.ML_DSA_44)
    generations.activate()
    grantor = place.grantor()
    with pytest.raises(RemoteError, match="for a key of ECDSA, and the CA is of ML-DSA-44"):
        grantor.asked(EDGE, kept, place.loaded, DUE)
    place.loaded.authority.anchors = (*place.loaded.authority.anchors, coming.root)
    told = place.applicant(EDGE).request(place.view(EDGE), NOW, (coming.issuing,))
    assert told is not None
    assert grantor.asked(EDGE, told, place.loaded, DUE)
    assert KeyAlgorithm.of(place.granted[0][1].public_key()) is KeyAlgorithm.ML_DSA_44


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


def test_certificate_that_only_the_ledger_has_renews_nothing(place: Place) -> None:
    """Otherwise an attacker who can write to the ledger, and has a front end, would get the certificate of an edge."""
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
    wide_after(
        3,
        [
            "UPDATE certificates SET serial = 'zz' WHERE serial = ?",
            "UPDATE certificates SET der = x'00' WHERE serial = ?",
            "DELETE FROM certificates WHERE serial = ?",
            "UPDATE certificates SET names = 'no JSON' WHERE serial = ?",
        ],
    ),
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
