"""Which encodings of a body are refused."""

from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.routing.content_encoding import refused_encoding


@pytest.mark.parametrize("codings", [[], ["identity"], ["Identity"], ["identity", "IDENTITY"]])
def test_body_that_is_not_encoded_passes(codings: list[str]) -> None:
    asked = request("PUBLISH", "sip:bob@example.test", *[("content-encoding", coding) for coding in codings])
    assert refused_encoding(asked) is None


@pytest.mark.parametrize("coding", ["gzip", "identity, gzip", "x-unknown"])
def test_encoded_body_is_refused_with_what_is_accepted(coding: str) -> None:
    refused = refused_encoding(request("PUBLISH", "sip:bob@example.test", ("content-encoding", coding)))
    assert refused is not None
    assert (refused.status, refused.headers) == (415, (("Accept-Encoding", "identity"),))
