"""A version that blocks an organisation and has no other change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.emergency_block import blocking
from sipmesh.topology.document.load import load_text
from sipmesh.topology.versions.difference import difference
from sipmesh.topology.versions.publication import Draft, Publication
from topology.world import TOPOLOGY, make_authorities


@pytest.fixture(name="published", scope="module")
def _published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Publication, Path]:
    """A version with two partners, and its folder."""
    folder = make_authorities(tmp_path_factory.mktemp("published"))
    (folder / "topology.yaml").write_text(TOPOLOGY)
    draft = Draft.read(TOPOLOGY.encode(), folder / "topology.yaml")
    return draft.compiled(1, "ada", "because", at=datetime.now(UTC)), folder


def test_blocked_partner_is_removed_with_its_own_anchors(published: tuple[Publication, Path]) -> None:
    old, folder = published
    draft = blocking(old, "PARTNER.test", folder)
    assert draft is not None
    federation = draft.loaded.topology.federation
    assert "partner.test" in federation.blocked
    assert [partner.name for partner in federation.partners] == ["other.test"]
    assert set(old.files) - set(draft.files) == {"partners/b/root.pem"}


def test_domain_of_no_partner_is_blocked_beside_the_partners(published: tuple[Publication, Path]) -> None:
    old, folder = published
    draft = blocking(old, "worse.test", folder)
    assert draft is not None
    assert {"evil.test", "worse.test"} <= set(draft.loaded.topology.federation.blocked)
    assert dict(draft.files) == dict(old.files)


def test_form_that_cannot_be_edited_does_not_delay_the_block(published: tuple[Publication, Path]) -> None:
    """An author of the draft must not be able to leave a version in force that prevents a block."""
    old, folder = published
    odd = TOPOLOGY.replace("blocked: [evil.test]", "blocked: [evil.test  # comment\n    ]")
    draft = blocking(replace(old, topology=odd), "partner.test", folder)
    assert draft is not None
    before, after = load_text(TOPOLOGY.encode(), folder / "topology.yaml"), draft.loaded
    assert difference(before, after) == [
        "partner.test is blocked",
        "sip.partner.test is blocked",
        "the entry of partner.test is kept while it is blocked",
        "partner partner.test may no longer connect",
    ]


def test_domain_that_is_blocked_already_needs_no_version(published: tuple[Publication, Path]) -> None:
    assert blocking(published[0], "evil.test", published[1]) is None


@pytest.mark.parametrize("name", ["not a domain", "example.test"])
def test_name_that_cannot_be_blocked_is_refused(published: tuple[Publication, Path], name: str) -> None:
    with pytest.raises(OperatorError):
        blocking(published[0], name, published[1])
