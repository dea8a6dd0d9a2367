"""`sipmesh ca adopt`: the root of another CA is trusted for our servers, with its CRL, and no key is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import Organisation
from support.other_ca import CA, ISSUER_KEY, SIGNS, SUBJECT_KEY, OtherCa, bundled


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


def test_file_with_a_key_is_refused(organisation: Organisation, tmp_path: Path, crl: str) -> None:
    other = OtherCa(tmp_path, "other", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")).made()
    file = bundled(tmp_path / "all.pem", other.pem, other.key_file)
    refused = organisation.type("ca", "adopt", file, "--crl", crl)
    assert (refused.code, "has a private key, which sipmesh does not need" in refused.err) == (1, True)
    assert organisation.type("ca", "adopt", other.pem, "--crl", crl).code == 0


def test_ca_without_a_crl_is_refused(organisation: Organisation, corp: OtherCa, crl: str) -> None:
    refused = organisation.type("ca", "adopt", corp.pem)
    assert (refused.code, "does not say where the CRL of the CA is" in refused.err) == (1, True)
    assert organisation.type("ca", "adopt", corp.pem, "--crl", crl).code == 0


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
