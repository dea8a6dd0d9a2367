"""The presets of this release are complete, and each root has its fingerprint."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.topology.document.names import crl_host
from sipmesh.topology.third_party.presets import presets
from sipmesh.topology.third_party.system_roots import system_roots
from sipmesh.trust.x509.certificate import extension


def test_each_preset_has_roots_by_sha256_and_hosts_of_the_schema() -> None:
    known = presets()
    assert {"letsencrypt", "google", "ssl.com", "digicert"} <= {preset.name for preset in known.presets}
    for preset in known.presets:
        assert preset.roots
        assert all(re.fullmatch("[0-9a-f]{64}", root.sha256) for root in preset.roots)
        assert [crl_host(host) for host in preset.crl_hosts] == list(preset.crl_hosts) != []


def test_no_root_is_in_two_presets() -> None:
    marks = [root.sha256 for preset in presets().presets for root in preset.roots]
    assert len(marks) == len({*marks})


def test_age_counts_from_the_date_of_the_data() -> None:
    begin = datetime.fromisoformat(presets().date).replace(tzinfo=UTC)
    assert presets().age(begin + timedelta(days=3)) == timedelta(days=3)
    assert not presets().is_old(begin + timedelta(days=180))
    assert presets().is_old(begin + timedelta(days=181))


def test_unknown_name_is_refused_with_the_known_names() -> None:
    assert presets().named("google").name == "google"
    with pytest.raises(OperatorError, match="letsencrypt, google"):
        presets().named("Google")


def test_sources_say_with_a_date_that_hosts_of_crls_were_compared_with_nothing() -> None:
    """The roots of a system name no CRL of the certificates below them: the CAs below them do, and are not in the store."""
    for source in (presets().sources.roots, presets().sources.crl_hosts):
        assert presets().date in source
    assert "compared with no certificate" in presets().sources.crl_hosts
    here, wanted = system_roots(), [root.sha256 for preset in presets().presets for root in preset.roots]
    known = [here[sha256] for sha256 in wanted if sha256 in here]
    assert [root for root in known if extension(root, x509.CRLDistributionPoints) is not None] == []
