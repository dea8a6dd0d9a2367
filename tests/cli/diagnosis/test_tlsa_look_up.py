"""`sipmesh explain` of a partner's certificate asks DNS for its TLSA records, as an edge does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scenarios.test_dane import OTHER, name_of
from scenarios.test_revocation import credentials_of, leaf_of, partner_entry
from sipmesh.cli.diagnosis.offline_judge import judge_file
from sipmesh.cli.diagnosis.tlsa_look_up import ask_for_tlsa
from sipmesh.topology.builder.tlsa import tlsa_of_chain
from sipmesh.trust.dane.tlsa import DaneStatus
from support.network import PARTNER, PARTNER_EDGE, Network
from support.signed_zones import signed_zones


@pytest.mark.peer("knot")
def test_certificate_of_a_partner_is_judged_with_the_records_of_now(federation: Network, tmp_path: Path) -> None:
    """The control is the same certificate after the record has changed."""
    example, partner = federation.organisations[:2]
    chain = credentials_of(partner, PARTNER_EDGE)[0]
    right = f"{name_of(federation)}. 60 TLSA {tlsa_of_chain([leaf_of(credentials_of(partner, PARTNER_EDGE))])}"
    folder = tmp_path / "dns"
    folder.mkdir()
    with signed_zones(folder, {PARTNER: ("nsec", [right])}) as zones:
        document: Any = example.document
        document["dns"] = {"servers": [f"127.0.0.1:{zones.port}"], "trust_anchors": [zones.anchor]}
        entry = partner_entry(example)
        for key in ("anchors", "crls"):
            entry.pop(key)
        entry["dane"] = "only"
        example.write()
        loaded = example.load()
        assert judge_file(chain, loaded, None, "").verdict.accepted
        zones.write(PARTNER, f"{name_of(federation)}. 60 TLSA {OTHER}")
        assert judge_file(chain, loaded, None, "").verdict.code == "dane-mismatch"
        ask_for_tlsa(loaded, ["other.test"], datetime.now(UTC))
        [authority] = loaded.partners
        assert authority.tlsa is not None
        assert authority.tlsa.status is DaneStatus.SECURE
