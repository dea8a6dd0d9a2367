"""Serial numbers that are sent ahead of their CRL."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.server.replication.revocation_push import MOST, named_in, revoked_payload


@given(st.frozensets(st.tuples(st.binary(), st.integers(0, 2**159)), max_size=20))
def test_serials_are_read_as_they_were_written(named: frozenset[tuple[bytes, int]]) -> None:
    assert named_in(revoked_payload("Example", 1, named)) == named


def test_document_is_bounded() -> None:
    """The CRL follows, and contains all of them."""
    named = [(b"issuer", serial) for serial in range(MOST + 1)]
    assert len(named_in(revoked_payload("Example", 1, named))) == MOST


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"revoked": [["!", "1"]]}).encode(),
        json.dumps({"revoked": [["aQ==", "xyz"]]}).encode(),
        json.dumps({"revoked": [["aQ=="]]}).encode(),
        json.dumps({"revoked": [["aQ==", 7]]}).encode(),
    ],
)
def test_document_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError, match="revocations that cannot be read") as refused:
        named_in(payload)
    assert refused.value.status == 488
