"""`sipmesh ca adopt`: the root of another CA is trusted for our servers, with its CRL, and no key is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import Organisation
from support.other_ca import CA, ISSUER_KEY, SIGNS, SUBJECT_KEY, OtherCa, bundled, openssl


@pytest.fixture(name="corp")
def _corp(tmp_path: Path) -> OtherCa:
    (tmp_path / "corp").mkdir()
    return OtherCa(tmp_path / "corp", "root").made()


@pytest.fixture(name="crl")
def _crl(organisation: Organisation, corp: OtherCa) -> str:
    (organisation.folder / "anchors").mkdir()
    corp.crl(organisation.folder / "anchors" / "corp.crl")
    return "anchors/corp.crl"


def test_root_is_trusted_with_its_crl(organisation: Organisation, corp: OtherCa, crl: str) -> None:
    done = organisation.type("ca", "adopt", corp.pem, "--crl", crl)
    assert done.code == 0, done.err
    assert "may issue for any name" in done.out
    (anchor,) = (organisation.folder / "anchors").glob("ca-*.pem")
    draft = (organisation.folder / "topology.yaml").read_text()
    assert f"anchors/{anchor.name}" in draft
    assert crl in draft
    assert organisation.type("topology", "check").code == 0
    again = organisation.type("ca", "adopt", corp.pem, "--crl", crl)
    assert (again.code, (organisation.folder / "topology.yaml").read_text()) == (0, draft)


@pytest.mark.parametrize("form", ["pem", "p7b", "p12"])
@pytest.mark.parametrize(
    ("algorithm", "refusal"),
    [
        ("ML-DSA-44", ""),
        ("ML-DSA-65", "a key of ML-DSA, which counts with the parameter set 44 alone"),
        ("ML-DSA-87", "a key of ML-DSA, which counts with the parameter set 44 alone"),
    ],
    ids=["44", "65", "87"],
)
def test_root_of_ml_dsa_is_trusted_in_each_form_if_its_set_is_44(
    organisation: Organisation, tmp_path: Path, form: str, algorithm: str, refusal: str
) -> None:
    (organisation.folder / "anchors").mkdir()
    pq = OtherCa(tmp_path, "pq", key=(algorithm,)).made()
    pq.crl(organisation.folder / "anchors" / "pq.crl")
    file = pq.pem
    if form == "p7b":
        file = tmp_path / "pq.p7b"
        openssl("crl2pkcs7", "-nocrl", "-certfile", pq.pem, "-outform", "DER", "-out", file)
    elif form == "p12":
        file = tmp_path / "pq.p12"
        openssl("pkcs12", "-export", "-nokeys", "-in", pq.pem, "-out", file, "-passout", "pass:corp")
    done = organisation.type("ca", "adopt", file, "--crl", "anchors/pq.crl", typed="corp\n")
    assert (done.code, refusal in done.err) == (1 if refusal else 0, True), done.err
    assert bool([*(organisation.folder / "anchors").glob("ca-*.pem")]) is not bool(refusal)
    if not refusal:
        checked = organisation.type("topology", "check")
        assert (checked.code, "certificate is of ML-DSA-44" in checked.out) == (0, True)


def test_file_with_a_key_is_refused(organisation: Organisation, tmp_path: Path, crl: str) -> None:
    other = OtherCa(tmp_path, "other", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")).made()
    file = bundled(tmp_path / "all.pem", other.pem, other.key_file)
    refused = organisation.type("ca", "adopt", file, "--crl", crl)
    assert (refused.code, "has a private key, which sipmesh does not need" in refused.err) == (1, True)
    assert organisation.type("ca", "adopt", other.pem, "--crl", crl).code == 0


def test_ca_without_a_crl_is_refused(organisation: Organisation, corp: OtherCa, crl: str) -> None:
    refused = organisation.type("ca", "adopt", corp.pem)
    assert (refused.code, "that of the CA that issues for servers" in refused.err) == (1, True)
    assert organisation.type("ca", "adopt", corp.pem, "--crl", crl).code == 0


def test_crl_that_no_certificate_names_is_given(organisation: Organisation, corp: OtherCa, crl: str) -> None:
    """The CA below the root names none: then one more is needed."""
    below = OtherCa(corp.folder, "servers", (CA, SIGNS, SUBJECT_KEY, ISSUER_KEY), corp).made()
    below.crl(organisation.folder / "anchors" / "servers.crl")
    given = (bundled(corp.folder / "all.pem", below.pem, corp.pem), "--crl", "anchors/servers.crl")
    refused = organisation.type("ca", "adopt", *given)
    assert (refused.code, "and that of CN=Corp root,O=Corp" in refused.err) == (1, True)
    assert organisation.type("ca", "adopt", *given, "--crl", crl).code == 0
    draft = (organisation.folder / "topology.yaml").read_text()
    assert f"anchors/servers.crl, {crl}" in draft


def test_ca_that_excludes_our_names_is_refused(organisation: Organisation, corp: OtherCa) -> None:
    profile = (CA, SIGNS, SUBJECT_KEY, ISSUER_KEY, "crlDistributionPoints=URI:http://pki.corp.test/root.crl")
    narrow, wide = (
        OtherCa(corp.folder, name, (*profile, f"nameConstraints=critical,permitted;DNS:{names}"), corp).made()
        for name, names in (("narrow", "corp.test"), ("wide", "example.com"))
    )
    url = ("--crl", "http://pki.corp.test/servers.crl")
    refused = organisation.type("ca", "adopt", bundled(corp.folder / "n.pem", narrow.pem, corp.pem), *url)
    assert (refused.code, "excludes our names" in refused.err) == (1, True)
    done = organisation.type("ca", "adopt", bundled(corp.folder / "w.pem", wide.pem, corp.pem), *url)
    assert done.code == 0, done.err
    assert (
        '"http://pki.corp.test/servers.crl", "http://pki.corp.test/root.crl"'
        in (organisation.folder / "topology.yaml").read_text()
    )
