"""A CA of another organisation: a root, a policy CA and a CA for servers below it, as openssl makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.other_ca import BELOW, POLICY, OtherCa

if TYPE_CHECKING:
    from pathlib import Path

EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@pytest.fixture(name="corp", scope="session")
def _corp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the three CAs; tests only read it."""
    folder = tmp_path_factory.mktemp("corp")
    root = OtherCa(folder, "root").made()
    policy = OtherCa(folder, "policy", POLICY, root).made()
    OtherCa(folder, "servers", BELOW, policy, key=EC).made()
    return folder


@pytest.fixture(name="root")
def _root(corp: Path) -> OtherCa:
    return OtherCa(corp, "root")


@pytest.fixture(name="policy")
def _policy(corp: Path, root: OtherCa) -> OtherCa:
    return OtherCa(corp, "policy", POLICY, root)
