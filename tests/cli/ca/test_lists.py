"""Our CRLs and CA certificates as files for a web server."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from cli.world import Organisation


def test_export_writes_each_file_in_der_below_the_urls_of_our_certificates(
    organisation: Organisation, tmp_path: Path
) -> None:
    done = organisation.type("ca", "lists", "export", tmp_path / "www", "--json")
    assert done.code == 0
    assert done.json["base"] == "http://crl.example.com"
    assert {"issuing.crl", "issuing.crt", "root.crl", "root.crt"} <= {*done.json["files"]}
    issuing = x509.load_der_x509_certificate((tmp_path / "www" / "issuing.crt").read_bytes())
    crl = x509.load_der_x509_crl((tmp_path / "www" / "issuing.crl").read_bytes())
    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    points = issuing.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [name.value for point in points for name in point.full_name or ()] == [f"{done.json['base']}/root.crl"]
    assert sorted(path.name for path in (tmp_path / "www").iterdir()) == sorted(done.json["files"])


def test_export_again_replaces_the_files(organisation: Organisation, tmp_path: Path) -> None:
    for _ in range(2):
        assert organisation.type("ca", "lists", "export", tmp_path / "www").code == 0
        assert organisation.type("ca", "crl").code == 0
    before = (tmp_path / "www" / "issuing.crl").read_bytes()
    assert organisation.type("ca", "lists", "export", tmp_path / "www").code == 0
    assert (tmp_path / "www" / "issuing.crl").read_bytes() != before
