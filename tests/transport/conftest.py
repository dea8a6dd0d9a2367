from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from transport.authority import Authority

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity


@pytest.fixture(name="ca", scope="session")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that both ends trust."""
    return Authority.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(name="other_ca", scope="session")
def _other_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that neither end trusts."""
    return Authority.create(tmp_path_factory.mktemp("other"), "Other Root")


@pytest.fixture(name="here", scope="session")
def _here(ca: Authority) -> Identity:
    return ca.issue("here.test")


@pytest.fixture(name="there", scope="session")
def _there(ca: Authority) -> Identity:
    return ca.issue("there.test")
