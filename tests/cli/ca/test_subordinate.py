"""`sipmesh ca request` and `ca import`: the draft names the other root, and a wrong file changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import Organisation
from sipmesh.pki.importing.subordinate import REQUEST_KEY
from support.other_ca import BELOW, CA, ISSUER_KEY, SIGNS, SUBJECT_KEY, OtherCa, bundled, openssl

SECRET = "secret of corp"


@pytest.fixture(name="corp")
def _corp(tmp_path: Path) -> OtherCa:
    (tmp_path / "corp").mkdir()
    return OtherCa(tmp_path / "corp", "root").made()


def signed(organisation: Organisation, corp: OtherCa, *extensions: str) -> Path:
    """Let the other CA sign our request; returns the answer with its root."""
    assert organisation.type("ca", "request", corp.folder / "ours.csr").code == 0
    mine = corp.sign(corp.folder / "ours.csr", corp.folder / "ours.pem", extensions or BELOW)
    return bundled(corp.folder / "answer.pem", mine, corp.pem)


def test_ca_below_another_is_requested_imported_and_named_by_the_draft(
    organisation: Organisation, corp: OtherCa
) -> None:
    done = organisation.type("ca", "import", signed(organisation, corp))
    assert done.code == 0, done.err
    assert "may issue for any name" in done.out
    draft = (organisation.folder / "topology.yaml").read_text()
    assert "anchors: [ca/root.pem, ca/2/root.pem]" in draft
    assert '"http://pki.corp.test/root.crl", ca/2/issuing.crl]' in draft
    assert organisation.type("topology", "check").code == 0
    assert "CN=Corp root" in organisation.type("ca", "root", "status").out
    assert organisation.type("ca", "status").code == 0
    assert organisation.type("ca", "inventory").code == 0


def test_wrong_answer_changes_nothing(organisation: Organisation, corp: OtherCa) -> None:
    topology = organisation.folder / "topology.yaml"
    before = topology.read_bytes()
    refused = organisation.type("ca", "import", signed(organisation, corp, "basicConstraints=CA:FALSE", SUBJECT_KEY))
    assert (refused.code, "which is no CA" in refused.err) == (1, True)
    assert topology.read_bytes() == before
    assert not (organisation.folder / "ca" / "2").exists()
    assert (organisation.folder / "ca" / REQUEST_KEY).exists()


def test_crl_that_is_not_there_is_refused_before_anything_changes(organisation: Organisation, corp: OtherCa) -> None:
    answer = signed(organisation, corp, CA, SIGNS, SUBJECT_KEY, ISSUER_KEY)
    refused = organisation.type("ca", "import", answer, "--crl", "anchors/corp.crl")
    assert (refused.code, "there is no CRL" in refused.err) == (1, True)
    (organisation.folder / "anchors").mkdir()
    corp.crl(organisation.folder / "anchors" / "corp.crl")
    done = organisation.type("ca", "import", answer, "--crl", "anchors/corp.crl")
    assert done.code == 0, done.err
    assert "anchors/corp.crl" in (organisation.folder / "topology.yaml").read_text()


@pytest.mark.parametrize(
    ("key", "refusal"),
    [
        (("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ""),
        (("ML-DSA-44",), "for a CA with a key of ML-DSA, make one of ours below it: sipmesh ca request FILE"),
    ],
    ids=["P-256", "ML-DSA-44"],
)
def test_ca_below_a_root_of_ml_dsa_is_imported_with_a_key_of_ecdsa_alone(
    organisation: Organisation, tmp_path: Path, key: tuple[str, ...], refusal: str
) -> None:
    root = OtherCa(tmp_path, "pqroot", key=("ML-DSA-44",)).made()
    below = OtherCa(tmp_path, "servers", BELOW, root, key=key).made()
    given = ("-in", below.pem, "-inkey", below.key_file, "-certfile", root.pem, "-out", tmp_path / "ca.p12")
    openssl("pkcs12", "-export", *given, "-passout", f"pass:{SECRET}")
    done = organisation.type("ca", "import", tmp_path / "ca.p12", typed=f"{SECRET}\n")
    assert (done.code, refusal in done.err) == (1 if refusal else 0, True), done.err
    assert (organisation.folder / "ca" / "2").exists() is not bool(refusal)


def test_request_is_signed_by_a_root_of_ml_dsa(organisation: Organisation, tmp_path: Path) -> None:
    """Its answer comes as PKCS #7."""
    root = OtherCa(tmp_path, "pqroot", key=("ML-DSA-44",)).made()
    answer = signed(organisation, root)
    openssl("crl2pkcs7", "-nocrl", "-certfile", answer, "-outform", "DER", "-out", tmp_path / "answer.p7b")
    done = organisation.type("ca", "import", tmp_path / "answer.p7b")
    assert done.code == 0, done.err
    assert organisation.type("ca", "status").code == 0


def test_pkcs12_file_asks_for_its_password(organisation: Organisation, corp: OtherCa) -> None:
    below = OtherCa(corp.folder, "servers", BELOW, corp, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")).made()
    given = ("-in", below.pem, "-inkey", below.key_file, "-certfile", corp.pem, "-out", corp.folder / "ca.p12")
    openssl("pkcs12", "-export", "-legacy", *given, "-passout", f"pass:{SECRET}")
    wrong = organisation.type("ca", "import", corp.folder / "ca.p12", typed="not this one\n")
    assert (wrong.code, "does not open with this password" in wrong.err, "not this one" in wrong.err) == (
        1,
        True,
        False,
    )
    done = organisation.type("ca", "import", corp.folder / "ca.p12", typed=f"{SECRET}\n")
    assert done.code == 0, done.err
    assert "3DES or RC2" in done.out
    assert SECRET not in done.out + done.err
