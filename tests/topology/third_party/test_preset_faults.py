"""A root that the system lacks, and an old preset, are faults of the partners that use them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.demo.organisation import Organisation
from sipmesh.topology.third_party.preset_faults import preset_faults
from sipmesh.topology.third_party.presets import Preset, PresetRoot, Presets, PresetSources
from sipmesh.trust.x509.certificate import fingerprint
from support.network import Network

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def known(mark: str) -> Presets:
    preset = Preset("public", (PresetRoot("A root", mark),), ("crl.test",), server_auth_only=True)
    return Presets("2026-12-01", PresetSources("there", "there"), (preset,))


def mark_of(organisation: Organisation) -> str:
    return fingerprint(organisation.load().partners[0].anchors[0])


def test_root_that_the_system_lacks_and_old_presets_are_faults_of_their_partner(federation: Network) -> None:
    loaded = federation.organisations[0].load()
    mark, later = mark_of(federation.organisations[0]), NOW + timedelta(days=181)
    assert list(preset_faults(loaded, known(mark), {mark}, NOW)) == []
    [(told, remedy)] = preset_faults(loaded, known(mark), {"other"}, NOW)
    assert told == "partner partner.test is trusted by A root of public, which this system does not trust"
    assert "partner.test" in remedy
    [(told, _)] = preset_faults(loaded, known(mark), {mark}, later)
    assert "181 days" not in told
    assert "of 2026-12-01" in told


def test_partner_of_a_private_ca_has_no_fault(federation: Network) -> None:
    loaded = federation.organisations[0].load()
    assert list(preset_faults(loaded, known("other"), (), NOW + timedelta(days=999))) == []
