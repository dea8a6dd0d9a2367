"""The page about the HTTP API, typed by a test: bash and curl against a management server that runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from ruamel.yaml import YAML

from sipmesh.demo.forge import Forge
from sipmesh.server.console import user_commands
from sipmesh.server.console.operations import TABLE
from support.checkout import ROOT
from support.console import management_with_console
from support.managed import MGMT, Managed, without
from support.network import EDGE, EDGES, FE1, FE2
from support.running import on_loop

PAGE = ROOT / "docs/howto/api.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def block(heading: str) -> str:
    """The commands below one heading."""
    text = PAGE.read_text().partition(f"## {heading}")[2].partition("\n## ")[0]
    return "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


async def typed(network: Managed, script: str, operator: str = "otto") -> tuple[int, str]:
    """Run lines of the page in the folder of management, with the names and the port of this network."""
    console: Any = network.organisation.document["console"]
    host, _, port = str(console["listen"]).rpartition(":")
    home = network.organisation.folder
    (home / "differences.py").write_text(blocks("python")[0])
    (home / ".curlrc").write_text(f'connect-to = "{MGMT}:{port}:{host}:{port}"\n')
    program = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-o", "pipefail", "-c", ported(script, port)),
        cwd=home,
        env={**os.environ, "CURL_HOME": str(home), "TOKEN": f"{operator}-token"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await program.communicate()
    return program.returncode or 0, printed.decode()


def ported(text: str, port: str) -> str:
    return text.replace(":8444", f":{port}").replace("example.com", "example.test")


HELPERS = blocks("sh")[0]


@pytest.mark.peer("curl")
@on_loop
@pytest.mark.wide
async def test_lines_for_curl_read_and_change(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        code, printed = await typed(network, block("With curl"))
        assert code == 0, printed
        assert printed.startswith("1\n")
        for what in ("dora@example.test", '"closed":', "alice@example.test"):
            assert what in printed
        code, printed = await typed(network, HELPERS + 'api --json \'{"name": "worse.example"}\' $API/block', "vera")
        assert (code, "error" in json.JSONDecoder().raw_decode(printed[printed.index("{") :])[0]) == (22, True), printed


@pytest.mark.wide
@pytest.mark.peer("curl")
@on_loop
async def test_version_is_published_and_taken_back_if_servers_are_missing(tmp_path: Path) -> None:
    """No front end runs: so the version is taken back."""
    async with management_with_console(tmp_path) as network:
        network.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        lines = block("Publish, wait, and go back").partition("apply=")[0]
        code, printed = await typed(network, HELPERS + lines.replace("wait_s=5", "wait_s=0"))
        assert code == 0, printed
        *_, rolled_back, probed = printed.splitlines()
        assert rolled_back == "3", printed
        assert {one["told"] for one in json.loads(probed)} == {
            f"{name} has not reported that version 3 is in force" for name in (FE1, EDGE)
        }
        history = await network.ask(MGMT, "history")
        assert [version["why"] for version in history][1] == "a change of the night"
        assert FE1 in history[2]["why"]


@pytest.mark.wide
@pytest.mark.peer("curl")
@on_loop
async def test_plan_is_applied_in_one_request(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        await network.start(FE1, EDGE)
        await network.publish(without(FE2), force=True)
        await network.acknowledged(2, FE1, EDGE)
        network.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        lines = "apply=" + block("Publish, wait, and go back").partition("apply=")[2]
        assert await typed(network, HELPERS + lines) == (0, "[]\n")
        assert network.number(MGMT) == 3
        network.edit(lambda document: document.update(presence={"partners": "block"}))
        code, printed = await typed(network, HELPERS + lines, "vera")
        assert (code != 0, "403" in printed, network.number(MGMT)) == (True, True, 3), printed


@pytest.mark.wide
@pytest.mark.peer("curl")
@on_loop
async def test_second_plan_of_the_wanted_users_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The users come in pages of one."""
    monkeypatch.setattr(user_commands, "MOST_USERS", 1)
    async with management_with_console(tmp_path) as network:
        code, printed = await typed(network, HELPERS + block("Wanted and there"))
        assert code == 0, printed
        planned = [line for line in printed.splitlines() if not line.startswith("{")]
        assert planned == ["disable bob@example.test", "add eve@example.test"]


@pytest.mark.wide
@pytest.mark.peer("curl")
@on_loop
async def test_draft_is_changed_and_partners_are_published(tmp_path: Path) -> None:
    """What comes into the draft leaves it again: so the partner is published. A viewer can do nothing of it."""
    async with management_with_console(tmp_path) as network:
        await network.publish(lambda document: document.update(federation={"route": EDGES}))
        code, printed = await typed(network, HELPERS + block("Change the draft"))
        assert (code, printed.count('"written": true')) == (0, 5), printed
        await typed(network, HELPERS + 'api --json \'{"name": "berlin"}\' $API/draft/remove')
        root = Forge(datetime.now(UTC)).root("Partner root").certificate
        (network.organisation.folder / "partner-root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        code, printed = await typed(network, HELPERS + block("Add and remove a partner"), "sona")
        assert (code, re.findall(r'"version": (\d)', printed)) == (0, ["3", "4", "5"]), printed
        code, printed = await typed(network, HELPERS + block("Add and remove a partner"), "vera")
        assert (code, network.number(MGMT)) == (22, 5), printed


def test_ansible_tasks_use_operations_that_exist() -> None:
    [play] = YAML(typ="safe").load(blocks("yaml")[0])
    urls = [task["ansible.builtin.uri"]["url"].partition("}}/")[2].partition("?")[0] for task in play["tasks"]]
    assert urls == ["user", "user/add"]
    operations = {operation.path: operation for operation in TABLE}
    assert [operations[url].changes for url in urls] == [False, True]
    body = play["tasks"][1]["ansible.builtin.uri"]["body"]
    assert body.keys() <= operations["user/add"].given.model_fields.keys()
