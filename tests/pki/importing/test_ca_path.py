"""The path of another CA: every usual mistake is named in one sentence, and a right path passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pki.importing.conftest import EC
from sipmesh.errors import OperatorError
from sipmesh.pki.importing.bundle import Bundle, read_bundle
from sipmesh.pki.importing.ca_path import CaPath, must_be_ours, path_of, roots_of
from support.other_ca import BELOW, CA, CRL, ISSUER_KEY, POLICY, ROOT, SIGNS, SUBJECT_KEY, OtherCa, bundled

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("fe1.example.test", "pool1.example.test", "example.test")
SERVER = ("basicConstraints=CA:FALSE", "keyUsage=digitalSignature", SUBJECT_KEY, ISSUER_KEY)


def bundle(folder: Path, *parts: Path) -> Bundle:
    file = bundled(folder / "given.pem", *parts)
    return read_bundle(file.read_bytes(), file, str)


def path(folder: Path, *parts: Path) -> CaPath:
    found = bundle(folder, *parts)
    return path_of(found, found.certificates[0])


def faults(found: CaPath, later: timedelta = timedelta(0)) -> list[str]:
    """Return what is wrong now, or *later*."""
    try:
        found.must_be_usable(NAMES, datetime.now(UTC) + later)
    except OperatorError as refused:
        return [problem.reason for problem in refused.problems]
    return []


def test_path_is_found_in_each_order(corp: Path, tmp_path: Path) -> None:
    parts = [corp / f"{name}.pem" for name in ("servers", "policy", "root")]
    found = path(tmp_path, *parts)
    assert faults(found) == []
    assert [one.subject for one in found.certificates] == [
        one.subject for one in path(tmp_path, parts[0], parts[2], parts[1]).certificates
    ]
    must_be_ours(found)


def test_missing_issuer_is_named(corp: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match="the certificate of CN=Corp root,O=Corp is missing, which has issued CN=Corp policy"
    ):
        path(tmp_path, corp / "servers.pem", corp / "policy.pem")
    with pytest.raises(OperatorError, match="the certificate of CN=Corp policy,O=Corp is missing"):
        path(tmp_path, corp / "servers.pem", corp / "root.pem")


def test_issuer_of_the_same_name_with_another_key_is_named(corp: Path, tmp_path: Path) -> None:
    """Such as the policy CA before it was renewed."""
    other = OtherCa(tmp_path, "policy", POLICY, OtherCa(corp, "root")).made()
    with pytest.raises(
        OperatorError, match="has a certificate of CN=Corp policy,O=Corp that has not signed CN=Corp servers"
    ):
        path(tmp_path, corp / "servers.pem", other.pem, corp / "root.pem")


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        (SERVER, "has the certificate of CN=Corp wrong,O=Corp, which is no CA"),
        ((CA, "keyUsage=critical,cRLSign", SUBJECT_KEY, ISSUER_KEY), "CN=Corp wrong,O=Corp may not sign certificates"),
        ((CA, "keyUsage=critical,keyCertSign", SUBJECT_KEY, ISSUER_KEY), "whose key usage has no cRLSign"),
        ((CA, SIGNS, "subjectKeyIdentifier=none", ISSUER_KEY), "has no subject key identifier"),
        ((CA, SIGNS, SUBJECT_KEY, "authorityKeyIdentifier=none"), "has no authority key identifier"),
        ((*BELOW, "extendedKeyUsage=serverAuth"), "has not both serverAuth and clientAuth"),
        ((*BELOW, "nameConstraints=critical,permitted;DNS:corp.test"), "excludes our names: CN=Corp wrong,O=Corp"),
        ((*BELOW, "nameConstraints=critical,excluded;DNS:example.test"), "excludes our names: CN=Corp wrong,O=Corp"),
        ((*BELOW, "nameConstraints=permitted;DNS:example.test"), "NameConstraints not marked critical"),
        ((*BELOW, "1.2.3.4=critical,ASN1:NULL"), "has the critical extension 1.2.3.4, which sipmesh does not support"),
    ],
)
def test_mistake_in_a_profile_is_named(root: OtherCa, tmp_path: Path, extensions: tuple[str, ...], reason: str) -> None:
    wrong = OtherCa(tmp_path, "wrong", extensions, root, key=EC).made()
    told = faults(path(tmp_path, wrong.pem, root.pem))
    assert any(reason in one for one in told), told
    assert all(len(one) < 200 for one in told)


@pytest.mark.parametrize(
    "extensions",
    [
        BELOW,
        (CA, SUBJECT_KEY, ISSUER_KEY),
        (*BELOW, "nameConstraints=critical,permitted;DNS:example.test"),
        (*BELOW, "extendedKeyUsage=serverAuth,clientAuth,emailProtection"),
        (*BELOW, "certificatePolicies=1.2.3.4"),
    ],
)
def test_right_profile_passes(root: OtherCa, tmp_path: Path, extensions: tuple[str, ...]) -> None:
    assert faults(path(tmp_path, OtherCa(tmp_path, "right", extensions, root, key=EC).made().pem, root.pem)) == []


def test_path_length_that_is_too_short_is_named(root: OtherCa, tmp_path: Path) -> None:
    short = OtherCa(tmp_path, "short", BELOW, root).made()
    below = OtherCa(tmp_path, "below", BELOW, short, key=EC).made()
    assert faults(path(tmp_path, below.pem, short.pem, root.pem)) == [
        "cannot issue: CN=Corp short,O=Corp allows 0 authorities below it, not 1"
    ]


def test_chain_of_many_cas_is_refused(tmp_path: Path) -> None:
    above: OtherCa | None = None
    parts: list[Path] = []
    for n in range(8):
        above = OtherCa(
            tmp_path, f"n{n}", ROOT if above is None else (CA, SIGNS, SUBJECT_KEY, ISSUER_KEY), above, key=EC
        ).made()
        parts.insert(0, above.pem)
    with pytest.raises(OperatorError, match="has more than 6 CAs above each other"):
        path(tmp_path, *parts)
    assert faults(path(tmp_path, *parts[2:])) == []


def test_expired_and_future_cas_are_named(corp: Path, tmp_path: Path) -> None:
    found = path(tmp_path, corp / "servers.pem", corp / "policy.pem", corp / "root.pem")
    assert [told.partition(", which is valid from")[0] for told in faults(found, timedelta(days=9000))] == [
        f"has CN=Corp {name},O=Corp" for name in ("servers", "policy", "root")
    ]
    assert len(faults(found, timedelta(days=-9))) == 3


@pytest.mark.parametrize(
    ("key", "options", "reason"),
    [
        (EC, ("-sha1",), "a signature over sha1"),
        (("rsa:1024",), (), "an RSA key of 1024 bits"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"), (), "an EC key on secp256k1"),
    ],
)
def test_weak_ca_is_named(
    root: OtherCa, tmp_path: Path, key: tuple[str, ...], options: tuple[str, ...], reason: str
) -> None:
    weak = OtherCa(tmp_path, "weak", BELOW, root, key=key, options=options).made()
    (told,) = faults(path(tmp_path, weak.pem, root.pem))
    assert told.startswith("is too weak: ")
    assert reason in told


def test_root_that_has_signed_itself_over_sha1_passes(tmp_path: Path) -> None:
    """No peer verifies the signature of a root on itself, and old Windows CAs have such a root."""
    old = OtherCa(tmp_path, "old", options=("-sha1",)).made()
    below = OtherCa(tmp_path, "below", BELOW, replace(old, options=()), key=EC).made()
    assert faults(path(tmp_path, below.pem, old.pem)) == []


def test_ca_with_an_rsa_key_or_a_root_cannot_be_our_issuing_ca(corp: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="has a CA whose key is not ECDSA"):
        must_be_ours(path(tmp_path, corp / "policy.pem", corp / "root.pem"))
    alone = OtherCa(tmp_path, "alone", key=EC).made()
    with pytest.raises(OperatorError, match="has a root alone"):
        must_be_ours(path(tmp_path, alone.pem))


def test_roots_are_what_is_adopted(corp: Path, tmp_path: Path) -> None:
    other = OtherCa(tmp_path, "other", key=EC).made()
    found = roots_of(bundle(tmp_path, corp / "policy.pem", other.pem, corp / "root.pem", corp / "servers.pem"))
    assert sorted((one.root.subject.rfc4514_string(), len(one.certificates)) for one in found) == [
        ("CN=Corp other,O=Corp", 1),
        ("CN=Corp root,O=Corp", 3),
    ]


def test_leaf_is_not_adopted(root: OtherCa, tmp_path: Path) -> None:
    leaf = OtherCa(tmp_path, "leaf", (*SERVER, CRL), root).made()
    with pytest.raises(OperatorError, match="has the certificate of CN=Corp leaf,O=Corp, which is no CA"):
        roots_of(bundle(tmp_path, leaf.pem, root.pem))


def test_ca_that_may_issue_for_any_name_is_a_warning(corp: Path, root: OtherCa, tmp_path: Path) -> None:
    whole = path(tmp_path, corp / "servers.pem", corp / "policy.pem", corp / "root.pem")
    assert whole.warning().startswith("CN=Corp root,O=Corp may issue for any name")
    assert whole.warning(corp / "root.pem").startswith("CN=Corp root,O=Corp is a public CA")
    limited = OtherCa(tmp_path, "limited", (*BELOW, "nameConstraints=critical,permitted;DNS:example.test"), root).made()
    assert path(tmp_path, limited.pem, root.pem).warning(tmp_path / "none") == ""
