"""Files of other CAs, by openssl, certtool and keytool: each form is read, and each mistake has its sentence."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pki.importing.conftest import EC
from sipmesh.errors import OperatorError
from sipmesh.pki.importing.bundle import LARGEST, MOST_CERTIFICATES, Bundle, read_bundle
from support.other_ca import ROOT, OtherCa, bundled, openssl
from support.tiers import wide_after

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "secret of corp"


def read(file: Path, password: str = SECRET) -> Bundle:
    return read_bundle(file.read_bytes(), file, lambda: password)


def why(file: Path, password: str = SECRET) -> str:
    with pytest.raises(OperatorError) as refused:
        read(file, password)
    (problem,) = refused.value.problems
    assert (problem.file, bool(problem.remedy)) == (file, True)
    return problem.reason


def exported(corp: Path, to: Path, *options: str, password: str = SECRET) -> Path:
    """Write the CA for servers with its key and its issuers, as PKCS #12."""
    chain = bundled(to.with_suffix(".chain"), corp / "policy.pem", corp / "root.pem")
    given = ("-in", corp / "servers.pem", "-inkey", corp / "servers.key", "-certfile", chain, "-out", to)
    openssl("pkcs12", "-export", *given, "-passout", f"pass:{password}", *options)
    return to


def test_file_full_of_blocks_without_end_is_refused_at_the_first(tmp_path: Path) -> None:
    file = tmp_path / "poisoned.pem"
    file.write_bytes(b"-----BEGIN CERTIFICATE-----" * (LARGEST // 27))
    assert why(file) == "has a block 'CERTIFICATE' without its end"


def test_second_key_is_refused_before_it_is_decrypted(corp: Path, tmp_path: Path) -> None:
    options = ("-in", corp / "servers.key", "-topk8", "-passout", f"pass:{SECRET}")
    openssl("pkcs8", *options, "-out", tmp_path / "key.pem")
    file, asked = bundled(tmp_path / "all.pem", corp / "servers.pem", *[tmp_path / "key.pem"] * 3), list[str]()

    def password() -> str:
        asked.append(SECRET)
        return SECRET

    with pytest.raises(OperatorError, match="has several private keys"):
        read_bundle(file.read_bytes(), file, password)
    assert len(asked) == 1


def test_certificates_are_read_in_each_form(corp: Path, tmp_path: Path) -> None:
    openssl("x509", "-in", corp / "root.pem", "-outform", "DER", "-out", tmp_path / "root.der")
    openssl("crl2pkcs7", "-nocrl", "-certfile", corp / "root.pem", "-out", tmp_path / "pem.p7b")
    openssl("crl2pkcs7", "-nocrl", "-certfile", corp / "root.pem", "-outform", "DER", "-out", tmp_path / "der.p7b")
    openssl("x509", "-in", corp / "root.pem", "-trustout", "-out", tmp_path / "x.pem")
    found = {
        read(file).certificates
        for file in (corp / "root.pem", *(tmp_path / n for n in ("root.der", "pem.p7b", "der.p7b")))
    }
    assert len(found) == 1
    assert {bundle.key for bundle in (read(corp / "root.pem"), read(tmp_path / "pem.p7b"))} == {None}


@pytest.mark.parametrize(
    ("options", "is_old"),
    wide_after(
        2,
        [
            ((), False),
            (("-legacy",), True),
            (("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"), True),
            (("-nomac",), False),
        ],
    ),
    ids=["AES", "RC2", "3DES", "no MAC"],
)
def test_pkcs12_of_openssl_is_read(corp: Path, tmp_path: Path, options: tuple[str, ...], *, is_old: bool) -> None:
    bundle = read(exported(corp, tmp_path / "ca.p12", *options))
    assert bundle.key is not None
    assert (len(bundle.certificates), bundle.is_old) == (3, is_old)


@pytest.mark.peer("certtool")
def test_pkcs12_of_gnutls_is_read(corp: Path, tmp_path: Path) -> None:
    """Its friendly name is a path: no name in a file is ever one of a file here."""
    file, key, certificate = tmp_path / "ca.p12", corp / "servers.key", corp / "servers.pem"
    options = ("--p12-name", "../../ca/root", "--outder", "--password", SECRET, "--outfile", str(file))
    given = ("--load-privkey", str(key), "--load-certificate", str(certificate))
    subprocess.run(("certtool", "--to-p12", *given, *options), check=True, capture_output=True, timeout=60)
    bundle = read(file)
    assert bundle.key is not None
    assert len(bundle.certificates) == 1


@pytest.mark.wide
@pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool of a Java runtime is not installed")
def test_key_store_of_java_is_read_as_pkcs12_alone(tmp_path: Path) -> None:

    def made(file: Path, kind: str, alias: str) -> Path:
        options = ("-keyalg", "EC", "-groupname", "secp256r1", "-dname", f"CN={alias}", "-ext", "bc:c=ca:true")
        store = ("-storetype", kind, "-keystore", str(file), "-storepass", SECRET, "-keypass", SECRET)
        subprocess.run(
            ("keytool", "-genkeypair", "-alias", alias, *options, *store), check=True, capture_output=True, timeout=60
        )
        return file

    assert read(made(tmp_path / "one.p12", "PKCS12", "one")).key is not None
    assert why(made(tmp_path / "one.jks", "JKS", "one")) == "is a Java key store (JKS)"
    assert why(made(tmp_path / "one.p12", "PKCS12", "two")) == "has several private keys"


OLD = ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")


def in_latin(corp: Path, to: Path, *options: str) -> Path:
    """Write the CA as a machine whose locale is Latin-1 does."""
    (password := to.with_suffix(".password")).write_bytes("gehéim\n".encode("latin-1"))
    given = ("-in", corp / "servers.pem", "-inkey", corp / "servers.key", "-out", to)
    openssl("pkcs12", "-export", *given, "-passout", f"file:{password}", *options)
    return to


def test_password_with_accents_opens_what_it_was_exported_with(corp: Path, tmp_path: Path) -> None:
    """PKCS #12 has passwords as BMPString. openssl makes it of the octets of its locale: UTF-8, or Latin-1 on an old machine."""
    files = (
        exported(corp, tmp_path / "utf8.p12", password="gehéim"),
        exported(corp, tmp_path / "old.p12", *OLD, password="gehéim"),
        in_latin(corp, tmp_path / "latin.p12", *OLD),
    )
    assert all(read(file, "gehéim").key is not None for file in files)
    assert {why(file, "geheim") for file in files} == {"does not open with this password"}


def test_password_that_no_library_encodes_has_a_remedy(corp: Path, tmp_path: Path) -> None:
    file = in_latin(corp, tmp_path / "latin.p12")
    with pytest.raises(OperatorError, match="if it has accents, export the file again with another one"):
        read(file, "gehéim")


def test_encrypted_key_is_read_with_its_password_alone(corp: Path, tmp_path: Path) -> None:
    openssl("pkcs8", "-topk8", "-in", corp / "servers.key", "-out", tmp_path / "k", "-passout", f"pass:{SECRET}")
    file = bundled(tmp_path / "ca.pem", corp / "servers.pem", tmp_path / "k")
    assert read(file).key is not None
    assert why(file, "wrong") == "does not open with this password"


def test_wrong_password_is_named(corp: Path, tmp_path: Path) -> None:
    file = exported(corp, tmp_path / "ca.p12")
    assert why(file, "wrong") == "does not open with this password"
    assert why(file, "") == "does not open with this password"
    assert read(file).key is not None


def test_file_with_several_keys_is_refused(corp: Path, tmp_path: Path) -> None:
    file = bundled(tmp_path / "all.pem", corp / "servers.pem", corp / "servers.key", corp / "policy.key")
    assert why(file) == "has several private keys"
    assert read(bundled(tmp_path / "one.pem", corp / "servers.pem", corp / "servers.key")).key is not None


def test_rsa_key_is_refused(corp: Path, tmp_path: Path) -> None:
    file = bundled(tmp_path / "rsa.pem", corp / "policy.pem", corp / "policy.key")
    assert why(file) == "has a key that is not ECDSA on P-256 or P-384, so sipmesh cannot sign with it"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no readable certificate, PKCS #7 or PKCS #12 file"),
        (b"\x30\x03\x02\x01\x05", "is no readable certificate, PKCS #7 or PKCS #12 file"),
        (b"\x30\x82\x01\x00\x02\x01\x03\x30\x01", "is damaged"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "has a certificate that cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "has a private key that cannot be read"),
        (b"-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n", "is no readable certificate, PKCS #7 or PKCS #12 file"),
        (b"-----BEGIN PKCS#11 PROVIDER URI-----\nMAA=\n-----END PKCS#11 PROVIDER URI-----\n", "PKCS#11 PROVIDER URI"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n", "OPENSSH PRIVATE KEY"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n", "has a block 'CERTIFICATE' without its end"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x").write_bytes(content)
    assert reason in why(tmp_path / "x")


def test_file_with_many_certificates_is_refused(tmp_path: Path) -> None:
    """Each is a signature to verify against all others."""
    roots = [OtherCa(tmp_path, f"r{n}", ROOT, key=EC).made().pem for n in range(MOST_CERTIFICATES + 1)]
    assert why(bundled(tmp_path / "all.pem", *roots)) == f"has {len(roots)} certificates, more than {MOST_CERTIFICATES}"
    assert len(read(bundled(tmp_path / "most.pem", *roots[1:])).certificates) == MOST_CERTIFICATES


def test_name_in_a_bundle_is_shown_without_the_key(corp: Path, tmp_path: Path) -> None:
    assert repr(read(exported(corp, tmp_path / "ca.p12"))) == f"<Bundle {tmp_path / 'ca.p12'} of 3 with a key>"
