"""A token of SoftHSM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.pki.tokens.token_uri import TokenUri
from support.soft_hsm import SoftToken, new_token

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="soft")
def _soft(tmp_path: Path) -> SoftToken:
    return new_token(tmp_path)


@pytest.fixture(name="uri")
def _uri(soft: SoftToken) -> TokenUri:
    return TokenUri.parse(soft.uri)
