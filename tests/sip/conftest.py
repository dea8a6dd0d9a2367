"""The request that most tests of headers read."""

import pytest

from sip.odd_request import HEAD
from sipmesh.sip.message import Request, parse_head


@pytest.fixture(name="request_")
def _request() -> Request:
    found = parse_head(HEAD)
    assert isinstance(found, Request)
    return found
