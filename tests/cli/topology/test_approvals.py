"""Operators approve with keys of ssh-keygen, by the commands alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cli.world import Organisation
from sipmesh.server.management.publishing.approvals import FOLDER
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop

pytestmark = pytest.mark.peer("ssh-keygen")


def keygen(folder: Path, name: str, passphrase: str = "") -> str:
    """Make a key; gives its public line."""
    file = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-a", "1", "-f", str(file)]
    subprocess.run(command, check=True)
    return file.with_suffix(".pub").read_text().strip()


@pytest.mark.wide
@on_loop
async def test_two_operators_approve_what_a_third_proposes(managed: Managed, tmp_path: Path) -> None:
    """Ada has a file with a passphrase; ssh-keygen signs for Ben, as it does with an agent or a token."""
    lines = {"ada": keygen(tmp_path, "ada", "secret words"), "ben": keygen(tmp_path, "ben")}
    operators = [{"name": name, "key": line} for name, line in lines.items()]
    async with managed:
        await managed.start(MGMT, FE1)
        managed.edit(lambda document: document.update(approvals={"publish": 2, "operators": operators}))
        told = await managed.type("topology", "publish", "-m", "two of us", code=1)
        assert "operators have not approved it" in told
        told = await managed.type("topology", "propose")
        proposal = f"{FOLDER}/proposal-1.json"
        digest = told.split("Its digest:")[1].split()[0]
        assert digest in await managed.type("topology", "review", proposal)
        await managed.type("topology", "approve", proposal, "--key", str(tmp_path / "ada"), typed="wrong\n", code=1)
        await managed.type("topology", "approve", proposal, "--key", str(tmp_path / "ada"), typed="secret words\n")
        await managed.type("topology", "approve", proposal, "--key", str(tmp_path / "ben.pub"))
        told = await managed.type("topology", "publish", "-m", "two of us", "--wait", "0")
        assert "Version 2 is published" in told
        await managed.in_force(2, FE1)
        managed.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        await managed.type("topology", "propose")
        shown = await managed.type("topology", "review", f"{FOLDER}/proposal-2.json", "--before", proposal)
        assert "polite-block" in shown
        assert "+presence:" in shown
        assert "+sip_domains" not in shown
        await managed.type("topology", "propose", "--block", "evil.test")
        for key, typed in (("ada", "secret words\n"), ("ben", "")):
            await managed.type(
                "topology", "approve", f"{FOLDER}/proposal-2.json", "--key", str(tmp_path / key), typed=typed
            )
        await managed.type("partner", "block", "evil.test", "--wait", "0")
        await managed.in_force(3, FE1)


@on_loop
async def test_proposal_that_was_changed_is_neither_reviewed_nor_signed(managed: Managed, tmp_path: Path) -> None:
    async with managed:
        keygen(tmp_path, "ada")
        await managed.type("topology", "propose")
        file = managed.organisation.folder / FOLDER / "proposal-1.json"
        proposal = file.read_bytes()
        for changed, reason in (
            (b'"serial":  1', "proposal was changed"),
            (b'"serial": 1.0', "this is not a proposal"),
        ):
            file.write_bytes(proposal.replace(b'"serial": 1', changed))
            for command in (("review", str(file)), ("approve", str(file), "--key", str(tmp_path / "ada"))):
                assert reason in await managed.type("topology", *command, code=1)
        refused = await managed.type("topology", "review", "nothing.json", code=1)
        assert "there is no proposal" in refused
        assert "sipmesh topology propose" in refused


@on_loop
async def test_running_management_publishes_nothing_without_approvals(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT)
        told = await managed.type("topology", "publish", "-m", "now", "--without-approvals", code=1)
        assert "stop it first" in told


@pytest.mark.wide
def test_rejection_is_shown_with_its_reason_and_is_no_veto(organisation: Organisation, tmp_path: Path) -> None:
    """It counts from operators of the rule only, for this proposal only, and never as an approval."""
    lines = {name: keygen(tmp_path, name) for name in ("ada", "ben", "mallory")}
    operators = [{"name": name, "key": lines[name]} for name in ("ada", "ben")]
    part = json.dumps({"approvals": {"publish": 1, "operators": operators}})[1:-1]
    organisation.file.write_text(f"{organisation.file.read_text()}\n{part}\n")
    assert organisation.type("topology", "propose").code == 0
    proposal = organisation.folder / FOLDER / "proposal-1.json"
    assert organisation.type("topology", "reject", proposal, "--key", tmp_path / "ben", "-m", " ").code == 1
    for name, key in (("ben", "ben.pub"), ("mallory", "mallory")):
        given = ("--key", tmp_path / key, "-m", f"{name} is against it")
        assert "Rejected: proposal 1" in organisation.type("topology", "reject", proposal, *given).out
    (organisation.folder / FOLDER / "x.rejection").write_text("{}")
    told = organisation.type("topology", "plan").out
    assert "0 of 1 have approved; rejected by ben: ben is against it" in told
    assert "mallory" not in told
    for file in list((organisation.folder / FOLDER).glob("*.rejection"))[:2]:
        fields = json.loads(file.read_text())
        file.with_suffix(".sig").write_text(fields.get("signature", ""))
    assert "0 of 1 have approved" in organisation.type("topology", "plan").out
    assert organisation.type("topology", "approve", proposal, "--key", tmp_path / "ada").code == 0
    assert "rejected by ben" in organisation.type("topology", "plan").out
    assert organisation.type("topology", "apply", "-m", "one of us").code == 0
    text = organisation.file.read_text()
    assert organisation.type("topology", "add", "domain", "example.net").code == 0
    assert "rejected" not in organisation.type("topology", "plan").out
    organisation.file.write_text(text)
