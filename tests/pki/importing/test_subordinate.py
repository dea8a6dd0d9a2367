"""Our issuing CA below another one: requested, signed, checked, and then the next generation of our CA."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from pki.importing.conftest import EC
from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.importing.bundle import read_bundle
from sipmesh.pki.importing.subordinate import REQUEST_KEY, import_ca, request_ca
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.role import Role
from support.other_ca import BELOW, CA, ISSUER_KEY, SIGNS, SUBJECT_KEY, OtherCa, bundled, openssl

NAMES = ("fe1.example.test", "example.test")


@pytest.fixture(name="generations")
def _generations(tmp_path: Path) -> CaGenerations:
    """The rotation begins now: the other CA is made by a program with the clock of the machine."""
    EnterpriseCa.create(tmp_path / "ca", "Example", datetime.now(UTC), crl_base="http://crl.example.test")
    return CaGenerations(tmp_path / "ca")


def signed(generations: CaGenerations, by: OtherCa, *extensions: str) -> Path:
    """Let another CA sign our request."""
    folder = generations.folder.parent
    (folder / "ours.csr").write_bytes(request_ca(generations))
    return by.sign(folder / "ours.csr", folder / "ours.pem", extensions or BELOW, "-days", "1500")


def imported(
    generations: CaGenerations, *parts: Path, crls: tuple[str, ...] = (), names: tuple[str, ...] = NAMES
) -> EnterpriseCa:
    file = bundled(generations.folder.parent / "given.pem", *parts)
    return import_ca(generations, read_bundle(file.read_bytes(), file, str), names, crls, datetime.now(UTC))


def refused(generations: CaGenerations, *parts: Path, names: tuple[str, ...] = NAMES) -> str:
    """Import files, which must be refused, and change nothing."""
    before = sorted(generations.folder.rglob("*"))
    with pytest.raises(OperatorError) as wrong:
        imported(generations, *parts, names=names)
    assert sorted(generations.folder.rglob("*")) == before
    return " ".join(problem.reason for problem in wrong.value.problems)


def test_request_is_that_of_a_ca_for_servers_and_is_made_once(generations: CaGenerations) -> None:
    first, second = (x509.load_pem_x509_csr(request_ca(generations)) for _ in range(2))
    constraints = first.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)
    assert first.subject.rfc4514_string() == "CN=Example Issuing CA 2,O=Example"
    assert first.public_key() == second.public_key()
    assert (generations.folder / REQUEST_KEY).stat().st_mode & 0o777 == 0o600
    assert generations.numbers == [1]


def test_ca_below_another_issues_and_presents_all_cas_below_the_root(
    generations: CaGenerations, policy: OtherCa, root: OtherCa
) -> None:
    old = generations.current
    made = imported(generations, signed(generations, policy), policy.pem, root.pem)
    assert made.crls_above == ("http://pki.corp.test/policy.crl", "http://pki.corp.test/root.crl")
    assert not (generations.folder / REQUEST_KEY).exists()
    generations.activate()
    now = datetime.now(UTC)
    crossed = x509.load_pem_x509_certificates(generations.current.issue(NAMES, Role.FRONT_END, now).chain)
    crossed[1].verify_directly_issued_by(old.root)
    generations.switch()
    chain = generations.current.issue(NAMES, Role.FRONT_END, now).chain
    (folder := generations.folder.parent / "leaf.pem").write_bytes(chain)
    assert len(x509.load_pem_x509_certificates(chain)) == 3
    openssl("verify", "-x509_strict", "-CAfile", root.pem, "-untrusted", folder, folder)


def test_revocation_by_it_is_in_its_crl_and_that_of_the_root_is_not_ours(
    generations: CaGenerations, root: OtherCa
) -> None:
    made = imported(generations, signed(generations, root), root.pem)
    now = datetime.now(UTC)
    leaf = made.issue(NAMES, Role.FRONT_END, now).certificate
    made.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, now)
    assert made.crls.lists(CertificateKind.ISSUING, leaf.serial_number)
    assert made.crls.due(now) == ()
    with pytest.raises(OperatorError, match="is of another CA; ask its owner to revoke it there"):
        made.revoke(made.issuing.serial_number, Reason.KEY_COMPROMISE, now)
    with pytest.raises(OperatorError, match="is revoked"):
        made.issue(NAMES, Role.FRONT_END, now)


def test_certificate_with_which_it_was_tried_is_revoked(generations: CaGenerations, root: OtherCa) -> None:
    made = imported(generations, signed(generations, root), root.pem)
    (tried,) = (one for one in made.certificates if one.kind == CertificateKind.SERVER)
    assert tried.names == NAMES
    assert made.crls.lists(CertificateKind.ISSUING, tried.serial)


def test_key_identifier_of_the_other_ca_is_used_as_it_is(generations: CaGenerations, root: OtherCa) -> None:
    """RFC 7093: not each CA makes it of the SHA-1 of the key."""
    other = (f"{CA},pathlen:0", SIGNS, "subjectKeyIdentifier=0102030405060708", ISSUER_KEY, BELOW[-1])
    made = imported(generations, signed(generations, root, *other), root.pem)
    leaf = made.issue(NAMES, Role.FRONT_END, datetime.now(UTC)).certificate
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier.key_identifier == bytes.fromhex("0102030405060708")


def test_ca_with_its_key_is_imported(generations: CaGenerations, corp: Path) -> None:
    parts = [corp / name for name in ("servers.key", "root.pem", "policy.pem", "servers.pem")]
    made = imported(generations, *parts)
    assert made.issuing.subject.rfc4514_string() == "CN=Corp servers,O=Corp"
    assert (made.folder / "issuing.key").stat().st_mode & 0o777 == 0o600
    assert made.issue(NAMES, Role.FRONT_END, datetime.now(UTC)).certificate.issuer == made.issuing.subject


def test_key_of_another_certificate_is_refused(generations: CaGenerations, corp: Path, tmp_path: Path) -> None:
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", tmp_path / "other.key")
    parts = [corp / name for name in ("servers.pem", "policy.pem", "root.pem")]
    assert (
        refused(generations, tmp_path / "other.key", *parts)
        == "has a private key that does not match any certificate in it"
    )


def test_answer_to_another_request_is_refused(generations: CaGenerations, corp: Path, root: OtherCa) -> None:
    parts = [corp / name for name in ("servers.pem", "policy.pem", "root.pem")]
    assert refused(generations, *parts) == "has no private key, and there is no open request"
    mine = signed(generations, root)
    assert refused(generations, *parts) == "has no certificate for the key of the open request"
    assert imported(generations, mine, root.pem).has_own_root is False


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        (("basicConstraints=CA:FALSE", SUBJECT_KEY, ISSUER_KEY), "which is no CA"),
        ((CA, "keyUsage=keyCertSign", SUBJECT_KEY, ISSUER_KEY), "no cRLSign"),
        ((*BELOW, "nameConstraints=critical,permitted;DNS:corp.test"), "excludes our names"),
        ((CA, SIGNS, SUBJECT_KEY, ISSUER_KEY), "names no CRL of CN=Corp root,O=Corp with an HTTP URL"),
    ],
)
def test_nothing_is_replaced_by_a_ca_that_cannot_issue(
    generations: CaGenerations, root: OtherCa, extensions: tuple[str, ...], why: str
) -> None:
    assert why in refused(generations, signed(generations, root, *extensions), root.pem)
    assert imported(generations, signed(generations, root), root.pem).folder.name == "2"


def test_crl_that_no_certificate_names_is_given(generations: CaGenerations, root: OtherCa) -> None:
    mine = signed(generations, root, CA, SIGNS, SUBJECT_KEY, ISSUER_KEY)
    assert imported(generations, mine, root.pem, crls=("anchors/corp.crl",)).crls_above == ("anchors/corp.crl",)


def test_ca_with_the_name_of_ours_is_refused(generations: CaGenerations, root: OtherCa) -> None:
    """CRLs are found by the name of their issuer."""
    request = generations.folder.parent / "ours.csr"
    request.write_bytes(request_ca(generations))
    key = generations.folder / REQUEST_KEY
    openssl("req", "-new", "-key", key, "-subj", "/O=Example/CN=Example Issuing CA", "-out", request)
    mine = root.sign(request, request.with_suffix(".pem"))
    assert "has a CA with the name of a CA of ours" in refused(generations, mine, root.pem)


def test_next_ca_below_the_same_root_needs_no_cross_certificate(generations: CaGenerations, root: OtherCa) -> None:
    imported(generations, signed(generations, root), root.pem)
    with pytest.raises(OperatorError, match="another root rotation is in progress"):
        request_ca(generations)
    generations.activate()
    second = imported(generations, signed(generations, root), root.pem)
    assert second.issuing.subject.rfc4514_string() == "CN=Example Issuing CA 3,O=Example"
    assert generations.is_vouched_for
    assert generations.activate().folder.name == "3"


def test_own_root_follows_one_of_others(generations: CaGenerations, root: OtherCa) -> None:
    imported(generations, signed(generations, root), root.pem)
    generations.activate()
    coming = generations.prepare(datetime.now(UTC))
    assert (coming.has_own_root, generations.is_vouched_for) == (True, True)
    assert generations.activate().issue(NAMES, Role.FRONT_END, datetime.now(UTC)).certificate is not None


def test_root_key_that_is_offline_signs_the_cross_certificate_there(
    generations: CaGenerations, root: OtherCa, tmp_path: Path
) -> None:
    shutil.move(generations.folder / "root.key", tmp_path / "root.key")
    imported(generations, signed(generations, root), root.pem)
    with pytest.raises(OperatorError, match="has not signed the cross-certificate"):
        generations.activate()


def test_p384_ca_is_imported(generations: CaGenerations, root: OtherCa, tmp_path: Path) -> None:
    key = (*EC[:-1], "ec_paramgen_curve:P-384")
    other = OtherCa(tmp_path, "strong", BELOW, root, key=key).made()
    assert imported(generations, other.key_file, other.pem, root.pem).has_own_root is False


def test_key_of_a_request_that_was_answered_is_not_requested_again(generations: CaGenerations, root: OtherCa) -> None:
    """Another host of a management pool may still have the file."""
    request_ca(generations)
    kept = (generations.folder / REQUEST_KEY).read_bytes()
    made = imported(generations, signed(generations, root), root.pem)
    generations.activate()
    (generations.folder / REQUEST_KEY).parent.mkdir()
    (generations.folder / REQUEST_KEY).write_bytes(kept)
    (generations.folder / REQUEST_KEY).chmod(0o600)
    assert x509.load_pem_x509_csr(request_ca(generations)).public_key() != made.issuing.public_key()
