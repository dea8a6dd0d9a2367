"""Each CA that is not retired publishes its CRL and its certificate below its own URL."""

from __future__ import annotations

from datetime import datetime

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.publication import CERTIFICATE_TYPE, CRL_TYPE, published_files


def test_next_generation_has_its_own_folder(ca: EnterpriseCa, noon: datetime) -> None:
    CaGenerations(ca.folder).prepare(noon)
    found = {file.path: file.media_type for file in published_files(CaGenerations(ca.folder))}
    assert found == {
        f"{below}{kind}.{end}": media_type
        for below in ("", "2/")
        for kind in ("root", "issuing")
        for end, media_type in (("crl", CRL_TYPE), ("crt", CERTIFICATE_TYPE))
    }


def test_crl_that_the_ca_has_not_signed_is_left_out(ca: EnterpriseCa) -> None:
    (ca.folder / "issuing.crl").write_bytes((ca.folder / "root.crl").read_bytes())
    assert "issuing.crl" not in {file.path for file in published_files(CaGenerations(ca.folder))}
