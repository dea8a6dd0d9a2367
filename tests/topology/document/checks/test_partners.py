"""Contradictions: partners: the way to them, and the sources of revocation of each authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import USAGE, must_report

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: []", "federation.partners[1].crls", "is empty"),
        (USAGE, f"{USAGE}\n      revocation: both", "federation.partners[1].revocation", "is 'both' without `ocsp`"),
        (
            USAGE,
            f"{USAGE}\n      dane: check",
            "federation.partners[1].dane",
            "needs `dns` with servers on the loopback address",
        ),
        (USAGE, f"{USAGE}\n      ct: report", "federation.partners[1].ct", "needs `federation.ct_logs` of 2 operators"),
        (USAGE, f"{USAGE}\n      revocation: ocsp", "federation.partners[1].revocation", "is 'ocsp' without `ocsp`"),
        (USAGE, f"{USAGE}\n      ocsp: ['http://o.test']", "federation.partners[1].ocsp", "OCSP is not used"),
        ("route: sip.example.test", "", "federation", "no `route`"),
        ("route: sip.example.test", "route: sp.example.test", "federation.route", "is not a pool"),
        ("route: sip.example.test", "route: pool1.example.test", "federation.route", "role front-end, not edge"),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, old: str, new: str, field: str, reason: str) -> None:
    must_report(place, old, new, field, reason)


def test_an_organisation_without_partners_needs_no_edge(place: Place) -> None:
    text = place.file.read_text()
    place.file.write_text(text[: text.index("federation:")])
    assert place.load().topology.federation.partners == ()


@pytest.mark.parametrize("policy", ["ocsp", "both"])
def test_ocsp_urls_and_the_revocation_policy_must_agree(place: Place, policy: str) -> None:
    place.spoil((USAGE, f"{USAGE}\n      ocsp: ['http://ocsp.other.test/']\n      revocation: {policy}"))
    assert place.load().partners[1].source == policy


def test_no_crl_is_required_with_ocsp(place: Place) -> None:
    """Nothing is said of CAs that have no list, either."""
    lists = "crls: [partners/c/root.crl, partners/c/issuing.crl]"
    place.spoil((lists, "crls: []\n      ocsp: ['http://ocsp.other.test/']\n      revocation: ocsp"))
    loaded, warnings = place.check()
    assert not loaded.faults
    assert not warnings
