"""Entries of roots as LDIF; a real domain takes them: `tests/interop/test_samba_roots.py`."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import ldap.dn
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.pki.active_directory import forest_dn, ldif_of, root_dn

DOMAIN = "corp.example.com"


def test_each_root_is_an_entry_below_certification_authorities_alone() -> None:
    """No entry is below NTAuthCertificates: a CA there can log in any account."""
    roots = [Forge(datetime.now(UTC)).root("Example Root CA").certificate for _ in range(2)]
    text = ldif_of(roots, DOMAIN)
    assert max(map(len, text.splitlines())) == 76
    assert text.count("changetype: add") == 2
    assert "NTAuth" not in text
    unfolded = text.replace("\n ", "")
    for root in roots:
        assert f"dn: {root_dn(root, DOMAIN)}\n" in unfolded
        assert f"cACertificate:: {base64.b64encode(root.public_bytes(Encoding.DER)).decode()}\n" in unfolded
    assert root_dn(roots[0], DOMAIN) != root_dn(roots[1], DOMAIN)


@pytest.mark.parametrize("name", ["Example Root CA", 'a, b+c"\\<>;=#', "Käthe", "x" * 64, " padded ", "two\nlines"])
def test_name_of_a_root_stays_one_value_of_the_name(name: str) -> None:
    root = Forge(datetime.now(UTC)).root(name).certificate
    parts = ldap.dn.str2dn(root_dn(root, DOMAIN))
    assert [part[0][1] for part in parts[1:5]] == [
        "Certification Authorities",
        "Public Key Services",
        "Services",
        "Configuration",
    ]
    assert len(parts[0]) == 1
    assert len(parts[0][0][1]) <= 64
    assert ldif_of([root], DOMAIN).splitlines()[0].startswith("dn:: " if "ä" in name else "dn: ")


def test_domain_is_a_name_of_its_labels() -> None:
    assert forest_dn(DOMAIN) == "DC=corp,DC=example,DC=com"
