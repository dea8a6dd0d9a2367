"""The steps of the page that leads from one host to two paired sites."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from sipmesh.topology.document.load import load
from sipmesh.topology.home_pools import backup_pools
from support.checkout import ROOT

DOMAIN = "example.com"


def address(network: int) -> str:
    """An address of this machine that no other process uses, so that every port of it is free."""
    return f"127.{network}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


@pytest.mark.wide
def test_steps_of_the_page_make_a_valid_topology(tmp_path: Path) -> None:
    """What docs/howto/second-site.md types into the draft, in its order, with an address of this machine."""
    page = (ROOT / "docs/howto/second-site.md").read_text()
    typed = [shlex.split(line, comments=True) for line in page.splitlines() if line.startswith("sipmesh topology")]
    assert sipmesh("init", DOMAIN, "--dir", tmp_path / "o", "--address", address(57)).code == 0
    organisation = Organisation(tmp_path / "o", DOMAIN)
    for _, group, *words in typed:
        if words[0] != "apply":
            told = organisation.type(group, *(address(58) if word == "192.0.2.4" else word for word in words))
            assert told.code == 0, f"{words}\n{told.out}{told.err}"
    pools = [f"{name}.{DOMAIN}" for name in ("pool1", "pool2")]
    draft = load(organisation.folder / "topology.yaml").topology
    assert backup_pools(draft) == dict(zip(pools, reversed(pools), strict=True))
    assert "gets their password hashes" in organisation.type("topology", "plan").out
