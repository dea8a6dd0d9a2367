"""Media policies."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.parts.media import AnyMedia, Media


@pytest.mark.parametrize(
    ("written", "media"),
    [
        ("any", Media(default=MediaPolicy.ANY)),
        ({}, Media(default=MediaPolicy.REQUIRED)),
        ({"default": "encrypted"}, Media(default=MediaPolicy.ENCRYPTED)),
    ],
)
def test_policy_may_be_one_word(written: object, media: Media) -> None:
    assert TypeAdapter(AnyMedia).validate_python(written) == media
