"""The cross-certificate for the issuing CA of the next generation."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.offline.cross_certificate import cross_wish


def test_cross_certificate_is_for_the_newer_issuing_ca_under_the_older_crl(
    ca: EnterpriseCa, tmp_path: Path, noon: datetime
) -> None:
    newer = EnterpriseCa.create(tmp_path / "2", "Example", noon, crl_base="http://crl.test", generation=2)
    wish = cross_wish(ca, newer)
    assert (wish.subject, wish.crl_url) == (newer.issuing.subject, f"{ca.crl_base}/root.crl")


def test_cross_certificate_expires_with_the_older_root(ca: EnterpriseCa, tmp_path: Path) -> None:
    late = ca.root.not_valid_after_utc - timedelta(days=30)
    newer = EnterpriseCa.create(tmp_path / "2", "Example", late, crl_base="http://crl.test", generation=2)
    assert cross_wish(ca, newer).not_after == ca.root.not_valid_after_utc
