"""The words of `identity:` in the entry of a partner."""

from __future__ import annotations

from sipmesh.topology.document.identity_policy import IdentityPolicy


def test_words_are_the_published_words() -> None:
    assert [str(policy) for policy in IdentityPolicy] == ["sign", "verify", "required"]
