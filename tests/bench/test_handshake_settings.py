"""Each side of the comparison is a handshake that ends with an acceptance, so that only the setting differs."""

from __future__ import annotations

import pytest

from bench import handshake_settings
from bench.handshake_settings import Side, compared, of_devices, of_partners

SETTINGS = [*of_partners(), *of_devices()]


@pytest.mark.parametrize(("without", "with_it"), [row[1:] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_both_sides_are_accepted(without: Side, with_it: Side) -> None:
    for side in (without, with_it):
        side.handshake()
        assert side.seen == ["accepted"]


def test_comparison_measures_both_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake_settings, "HANDSHAKES", 2)
    before, after, ratios = compared(*SETTINGS[0][1:])
    assert before > 0 < after
    assert len(ratios) == handshake_settings.PAIRS
