"""The files of a trunk's signatures: read at the gateway, and of no use if one of them is wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.demo.forge import KeyKind
from sipmesh.server.in_force.stir_rules import stir_rules
from sipmesh.topology.document.parts.stir import Stir
from sipmesh.trust.role import Role
from support.number_signer import NumberSigner

SIGNERS = NumberSigner()
SIGN = {"certificate": "servers/c.pem", "key": "servers/c.key", "url": "https://c.test/c.pem"}
STIR = {"anchors": ["partners/a.pem"], "hosts": ["c.test"], "sign": SIGN, "crls": ["partners/a.crl", "http://d.test/"]}


def seen(folder: Path, role: Role = Role.GATEWAY) -> Any:
    trunk = SimpleNamespace(name="sbc.test", trunk=SimpleNamespace(stir=Stir.model_validate(STIR)))
    return SimpleNamespace(role=role, partners=(trunk,), loaded=SimpleNamespace(folder=folder))


def written(folder: Path, **changes: Any) -> Path:
    """All files of a trunk; *changes* are those of our certificate."""
    signer = SIGNERS.signer(**changes)
    for name, content in (
        ("partners/a.pem", SIGNERS.root.pem_chain),
        ("servers/c.pem", signer.pem_chain),
        ("servers/c.key", signer.pem_key),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_gateway_reads_the_roots_of_signers_and_our_own_key(tmp_path: Path) -> None:
    rule = stir_rules(seen(written(tmp_path)))["sbc.test"]
    assert (rule.anchors, rule.hosts, rule.signs) == ((SIGNERS.root.certificate,), frozenset({"c.test"}), True)
    assert rule.checks_revocation
    assert rule.crls == (str(tmp_path / "partners/a.crl"), "http://d.test/")
    assert rule.own is not None
    assert rule.own.url == SIGN["url"]
    assert stir_rules(seen(tmp_path, Role.FRONT_END)) == {}


@pytest.mark.parametrize("name", ["partners/a.pem", "servers/c.pem", "servers/c.key"])
@pytest.mark.parametrize("content", [None, b"nothing"])
def test_file_that_cannot_be_read_is_of_no_use(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = written(tmp_path) / name
    file.unlink() if content is None else file.write_bytes(content)
    rule = stir_rules(seen(tmp_path))["sbc.test"]
    assert not rule.anchors if name.startswith("partners") else rule.own is None
    assert rule.signs


def test_key_of_another_curve_or_of_another_certificate_is_of_no_use(tmp_path: Path) -> None:
    assert stir_rules(seen(written(tmp_path, key=KeyKind.RSA_2048)))["sbc.test"].own is None
    (written(tmp_path) / "servers" / "c.key").write_bytes(NumberSigner().signer().pem_key)
    assert stir_rules(seen(tmp_path))["sbc.test"].own is None
