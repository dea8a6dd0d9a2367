"""A log in the document."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.ct_log_entry import CtLogEntry
from trust.ct import SigningLog

LOG = SigningLog("Google")
KEY = base64.b64encode(LOG.spki).decode()


def test_entry_is_the_log_of_its_key() -> None:
    assert CtLogEntry(operator="Google", key=KEY).log == LOG.known()


@pytest.mark.parametrize("key", ["", "x", "AAAA", KEY[:-8], f"{KEY} "])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="is not the key of a log"):
        CtLogEntry(operator="Google", key=key)
