"""Each block for the topology on the page about providers is a draft that `sipmesh topology check` accepts."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.world import sipmesh
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.trust.role import Role
from support.checkout import DOCS
from support.network import BEGAN
from support.trunks import build_trunk

PAGE = (DOCS / "howto" / "providers.md").read_text()
SECTIONS = [section.partition("\n") for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]]
BLOCKS = [(title, text.partition("```yaml\n")[2].partition("```")[0]) for title, _, text in SECTIONS]


@pytest.fixture(name="organisation", scope="module")
def _organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """example.com with a gateway that has rtpengine, and the files that the blocks name."""
    folder = tmp_path_factory.mktemp("providers")
    gateway = {"next_hop": "pool1.example.com", "rtpengine": 2223}
    plans = (
        PoolPlan("pool1.example.com", Role.FRONT_END, ("fe1.example.com",)),
        PoolPlan("gw.example.com", Role.GATEWAY, ("gate1.example.com",), gateway),
    )
    made = Organisation.build(folder / "o", "example.com", plans, issued_at=BEGAN)
    made.write()
    made.issue_all()
    trunk = build_trunk(folder / "trunk", "sbc.provider.test")
    named = "".join(block for _, block in BLOCKS)
    for name in re.findall(r"partners/[a-z0-9-]+\.(?:pem|crl)", named):
        file = made.folder / name
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(trunk.root if name.endswith("pem") else trunk.lists[0], file)
    for name in re.findall(r"secrets/[a-z]+", named):
        file = made.folder / name
        file.parent.mkdir(exist_ok=True, mode=0o700)
        file.write_text("the password of an account")
        file.chmod(0o600)
    return made


def test_each_system_says_where_its_fields_are_from() -> None:
    assert [title for title, _, text in SECTIONS if not text.startswith("\nFrom their documents")] == []
    assert len(SECTIONS) == 4


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_block_passes_topology_check(organisation: Organisation, title: str, block: str) -> None:
    given: dict[str, Any] = YAML(typ="safe").load(block)
    organisation.document["federation"] = given["federation"]
    organisation.write()
    checked = sipmesh("topology", "check", topology=organisation.file)
    assert checked.code == 0, f"{title}: {checked.out}{checked.err}"
    trunk = given["federation"]["partners"][0]["trunk"]
    assert trunk["gateway"] == "gw.example.com"
    trunk["gateway"] = "fe1.example.com"
    organisation.write()
    assert sipmesh("topology", "check", topology=organisation.file).code != 0
