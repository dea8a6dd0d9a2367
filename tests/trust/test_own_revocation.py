"""A certificate must not confirm its own status: who may sign the CRL or OCSP response about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.demo.forge import Forge, Forged, KeyKind, Wish
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.ocsp import OcspAnswer, OcspAnswers
from sipmesh.trust.revocation.revocation_source import RevocationSource
from trust.network import ALPHA, NOON, Network, verdict_on
from trust.path_checks import check_path

FORGE = Forge(NOON)
NOW = timedelta(0)
HOUR = timedelta(hours=1)


def listed(issuer: Forged, *revoked: Forged, **changes: Any) -> RevocationList:
    return RevocationList.load(FORGE.revocations(issuer, revoked, **changes))


def code(leaf: Forged, *lists: RevocationList) -> Code | None:
    """What the lists say of the path of *leaf*, the anchor left out."""
    path: list[x509.Certificate] = []
    above: Forged | None = leaf
    while above is not None:
        path.append(above.certificate)
        above = above.issuer
    return check_path(path, RevocationLists(lists), at=NOON, grace=NOW).code


ROOT = FORGE.root("Rolling root")
OLD = FORGE.authority("Rolling CA", ROOT, path_length=None)
NEW = FORGE.authority("Rolling CA", OLD, path_length=None)  # the new key, by the old one: self-issued
OF_ROOT = listed(ROOT)


def test_a_self_issued_authority_that_its_issuer_has_revoked_does_not_clear_itself() -> None:
    """Its own CRL is newer, and has the same issuer name as the CRL that revokes it."""
    leaf = FORGE.server(NEW, "fe1.example.test")
    revoking = listed(OLD, NEW, number=7)
    clearing = listed(NEW, number=8, begins=-timedelta(minutes=1))
    assert code(leaf, OF_ROOT, revoking, clearing) is Code.REVOKED
    assert code(leaf, OF_ROOT, listed(OLD, number=7), clearing) is None


def test_revoked_old_key_certified_by_the_new_key_does_not_clear_itself() -> None:
    new = FORGE.authority("Rolling CA", ROOT, path_length=None)
    old = FORGE.forge(Wish("Rolling CA", ca=True, usages=()), new)
    leaf = FORGE.server(old, "fe1.example.test")
    clearing = listed(old, number=8, begins=-timedelta(minutes=1))
    assert code(leaf, OF_ROOT, listed(new, old, number=7), clearing) is Code.REVOKED
    assert code(leaf, OF_ROOT, listed(new, number=7)) is None


def test_a_key_that_the_revoked_authority_issued_does_not_clear_it() -> None:
    """Three keys of one name. The last one is below the revoked one, and its CRL is the newest."""
    third = FORGE.authority("Rolling CA", NEW, path_length=None)
    leaf = FORGE.server(third, "fe1.example.test")
    clearing = listed(third, number=9, begins=-timedelta(minutes=1))
    assert code(leaf, OF_ROOT, listed(OLD, NEW, number=7), clearing) is Code.REVOKED
    assert code(leaf, OF_ROOT, listed(OLD, number=7), clearing) is None


def test_a_crl_by_its_own_key_alone_leaves_a_self_issued_authority_unknown() -> None:
    leaf = FORGE.server(NEW, "fe1.example.test")
    assert code(leaf, OF_ROOT, listed(NEW)) is Code.REVOCATION_UNKNOWN
    assert code(leaf, OF_ROOT, listed(OLD)) is None


def test_same_name_without_rollover_cannot_sign_a_crl() -> None:
    """An authority in between has another name: the two of one name are two authorities."""
    first = FORGE.authority("Twin CA", ROOT, path_length=None)
    between = FORGE.authority("Between CA", first, path_length=None)
    second = FORGE.authority("Twin CA", between, path_length=None)
    leaf = FORGE.server(FORGE.authority("Twin CA", second, path_length=None), "fe1.example.test")
    lists = (OF_ROOT, listed(first), listed(between))
    assert code(leaf, *lists, listed(second)) is None
    assert code(leaf, *lists) is Code.REVOCATION_UNKNOWN


def test_the_right_to_sign_crls_is_checked_for_each_certificate_of_a_key() -> None:
    """A second certificate of the same key, with cRLSign, must not lend it to the first one."""
    without = FORGE.forge(
        Wish("Silent CA", ca=True, usages=(), with_key_usage=False, critical=(_key_usage(crl_sign=False),)), ROOT
    )
    lent = FORGE.forge(Wish("Silent CA", ca=True, usages=()), ROOT, reuse=without.key)
    held = listed(lent)
    assert held.signed_by(lent.certificate)
    assert not held.signed_by(without.certificate)
    assert held.signed_by(lent.certificate)


def _key_usage(*, crl_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize("extension", [x509.CRLNumber(1), x509.AuthorityKeyIdentifier(b"12345", None, None)])
def test_a_crl_with_a_critical_extension_that_must_not_be_critical_is_not_used(extension: x509.ExtensionType) -> None:
    """RFC 5280 5.2.1, 5.2.3."""
    for critical in (True, False):
        builder = x509.CertificateRevocationListBuilder().issuer_name(OLD.certificate.subject).last_update(NOON)
        builder = builder.next_update(NOON + HOUR).add_extension(extension, critical)
        if not isinstance(extension, x509.CRLNumber):
            builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        data = builder.sign(OLD.key, hashes.SHA256()).public_bytes(Encoding.DER)
        if critical:
            with pytest.raises(UnusableListError, match="critical"):
                RevocationList.load(data)
        else:
            assert RevocationList.load(data).number == 1


@pytest.mark.parametrize(
    "extension", [x509.CRLReason(x509.ReasonFlags.key_compromise), x509.InvalidityDate(NOON.replace(tzinfo=None))]
)
def test_a_crl_with_a_critical_entry_extension_is_not_used(extension: x509.ExtensionType) -> None:
    """RFC 5280 5.3.1, 5.3.2: both extensions are non-critical. The critical one is for indirect CRLs."""
    for critical in (True, False):
        entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOON)
        builder = x509.CertificateRevocationListBuilder().issuer_name(OLD.certificate.subject).last_update(NOON)
        builder = builder.next_update(NOON + HOUR).add_extension(x509.CRLNumber(1), critical=False)
        builder = builder.add_revoked_certificate(entry.add_extension(extension, critical).build())
        data = builder.sign(OLD.key, hashes.SHA256()).public_bytes(Encoding.DER)
        if critical:
            with pytest.raises(UnusableListError, match="critical"):
                RevocationList.load(data)
        else:
            assert RevocationList.load(data).serials == {7}


def test_an_answer_about_the_certificate_that_signed_it_does_not_count() -> None:
    """A leaf that may sign answers, and need not be asked for itself, would call itself good for ever."""
    at = datetime.now(UTC).replace(microsecond=0)
    forge = Forge(at)
    ca = forge.organisation("Example")
    usages = (ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH)
    responder = forge.server(ca, "fe1.example.test", usages=usages, extra=(x509.OCSPNoCheck(),))
    other = forge.forge(Wish("fe2.example.test"), ca, reuse=KeyKind.EC_P256.make())
    for about, wanted in ((responder, Code.REVOCATION_UNKNOWN), (other, None)):
        answers = OcspAnswers([_answer(ca, about, responder, at)])
        path = (about.certificate, ca.certificate)
        found = check_path(path, RevocationLists(), answers, at=at, grace=NOW, source=RevocationSource.ANSWERS)
        assert found.code is wanted


def _answer(ca: Forged, about: Forged, by: Forged, at: datetime) -> OcspAnswer:
    builder = ocsp.OCSPResponseBuilder().add_response(
        about.certificate, ca.certificate, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, at, at + HOUR, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate).certificates([by.certificate])
    return OcspAnswer.load(builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER))


def test_judge_refuses_leaves_of_an_authority_that_cleared_itself() -> None:
    """The whole judgement of a partner's link by an edge. The control differs in the revocation only."""
    net = Network()
    root = net.forge.root("Rolling Alpha root")
    first = net.forge.authority("Rolling Alpha CA", root, path_length=None)
    rolled = net.forge.authority("Rolling Alpha CA", first)
    peer = net.forge.server(rolled, ALPHA)
    for revoked in ((rolled,), ()):
        lists = [
            RevocationList.load(net.forge.revocations(root)),
            RevocationList.load(net.forge.revocations(first, revoked, number=7)),
            RevocationList.load(net.forge.revocations(rolled, number=8, begins=-timedelta(minutes=1))),
        ]
        authority = Authority("Alpha", (root.certificate,), RevocationLists(lists))
        policy = net.policy(LinkKind.PARTNER, peers=net.swapped(net.alpha, authority=authority))
        assert verdict_on(peer, policy).code is (Code.REVOKED if revoked else Code.ACCEPTED)
