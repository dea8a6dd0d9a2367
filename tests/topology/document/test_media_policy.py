"""The order of the media policies."""

from __future__ import annotations

from itertools import pairwise

from sipmesh.topology.document.media_policy import MediaPolicy, is_weaker, strictest


def test_each_policy_is_weaker_than_the_next() -> None:
    assert [str(policy) for policy in MediaPolicy] == ["any", "encrypted", "encrypted-required"]
    assert all(is_weaker(first, second) and not is_weaker(second, first) for first, second in pairwise(MediaPolicy))


def test_no_policy_means_the_strictest() -> None:
    assert strictest([]) is MediaPolicy.REQUIRED
