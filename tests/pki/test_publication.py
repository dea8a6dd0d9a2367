"""Each CA that is not retired publishes its CRL and its certificate below its own URL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime

from cryptography import x509

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.publication import CERTIFICATE_TYPE, CRL_TYPE, published_files
from sipmesh.trust.role import Role


def test_next_generation_has_its_own_folder(ca: EnterpriseCa, noon: datetime) -> None:
    CaGenerations(ca.folder).prepare(noon)
    found = {file.path: file.media_type for file in published_files(CaGenerations(ca.folder))}
    assert found == {
        f"{below}{kind}.{end}": media_type
        for below in ("", "2/")
        for kind in ("root", "issuing")
        for end, media_type in (("crl", CRL_TYPE), ("crt", CERTIFICATE_TYPE))
    }


def test_paths_are_those_in_the_certificates_of_each_generation(ca: EnterpriseCa, noon: datetime) -> None:
    """Also in the third generation, and where 0.1.0 has made it: its URLs were below those of the second."""
    generations = CaGenerations(ca.folder)
    for number in (2, 3):
        generations.prepare(noon)
        generations.activate()
        assert named_and_published(generations, noon) == f"{number}/issuing.crl"
    with closing(sqlite3.connect(generations.current.folder / "ledger.db")) as db, db:
        db.execute("UPDATE facts SET value = ? WHERE key = 'crl_base'", (f"{ca.crl_base}/2/3",))
    assert named_and_published(CaGenerations(ca.folder), noon) == "2/3/issuing.crl"


def named_and_published(generations: CaGenerations, noon: datetime) -> str:
    """Return the path of the CRL that a new certificate names, if it is published."""
    made = generations.current.issue(("fe1.example.test",), Role.FRONT_END, noon).certificate
    points = made.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    [name] = list(points[0].full_name or ())
    path = str(name.value).removeprefix(f"{generations.open(1).crl_base}/")
    assert path in {file.path for file in published_files(generations)}
    return path


def test_crl_that_the_ca_has_not_signed_is_left_out(ca: EnterpriseCa) -> None:
    (ca.folder / "issuing.crl").write_bytes((ca.folder / "root.crl").read_bytes())
    assert "issuing.crl" not in {file.path for file in published_files(CaGenerations(ca.folder))}
